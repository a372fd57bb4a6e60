//! A row of the table `tickets`, as an import writes it. The organization is a parameter of its own.

use serde::Serialize;
use uuid::fmt::Simple;

use crate::model::{ClassName, HolderName, Note, OrderRef, TicketListing, Timestamp};
use crate::store::StoreError;
use crate::store::sql::bulk::{BulkRow, Column, column};
use crate::store::sql::folded::{folded, folded_words};
use crate::store::sql::import::chunk::ImportedTicket;
use crate::store::sql::lookup::json_text;

#[derive(Serialize)]
pub(super) struct ImportRow<'a> {
    updated_at: i64,
    i: Simple,
    e: Simple,
    code: String,
    status: &'a str,
    ticket_class: Option<&'a str>,
    gate_ids: Option<String>,
    seat: Option<String>,
    valid_from: Option<i64>,
    valid_until: Option<i64>,
    entry_limit: i64,
    version: i64,
    note: Option<&'a str>,
    holder_name: Option<&'a str>,
    holder_folded: Option<String>,
    order_ref: Option<&'a str>,
    order_folded: Option<String>,
    media: Option<String>,
}

impl BulkRow for ImportRow<'_> {
    fn columns(rows: &[Self]) -> Vec<Column<'_>> {
        vec![
            column!(Int, rows, row => row.updated_at),
            column!(Id, rows, row => row.i.into_uuid()),
            column!(Id, rows, row => row.e.into_uuid()),
            column!(Text, rows, row => row.code.as_str()),
            column!(Text, rows, row => row.status),
            column!(OptText, rows, row => row.ticket_class),
            column!(OptText, rows, row => row.gate_ids.as_deref()),
            column!(OptText, rows, row => row.seat.as_deref()),
            column!(OptInt, rows, row => row.valid_from),
            column!(OptInt, rows, row => row.valid_until),
            column!(Int, rows, row => row.entry_limit),
            column!(Int, rows, row => row.version),
            column!(OptText, rows, row => row.note),
            column!(OptText, rows, row => row.holder_name),
            column!(OptText, rows, row => row.holder_folded.as_deref()),
            column!(OptText, rows, row => row.order_ref),
            column!(OptText, rows, row => row.order_folded.as_deref()),
            column!(OptText, rows, row => row.media.as_deref()),
        ]
    }
}

impl<'a> ImportRow<'a> {
    pub(super) fn new(imported: &'a ImportedTicket, now: Timestamp) -> Result<Self, StoreError> {
        let TicketListing {
            ticket,
            holder_name,
            order_ref,
            media,
        } = &imported.listing;
        let holder_name = holder_name.as_ref().map(HolderName::as_str);
        let order_ref = order_ref.as_ref().map(OrderRef::as_str);
        Ok(Self {
            updated_at: now.as_millis(),
            i: ticket.id.as_uuid().simple(),
            e: ticket.event_id.as_uuid().simple(),
            code: ticket.code.to_string(),
            status: ticket.status.as_str(),
            ticket_class: ticket.ticket_class.as_ref().map(ClassName::as_str),
            gate_ids: ticket.gate_ids.as_ref().map(json_text).transpose()?,
            seat: ticket.seat.as_ref().map(json_text).transpose()?,
            valid_from: ticket.valid_from.map(Timestamp::as_millis),
            valid_until: ticket.valid_until.map(Timestamp::as_millis),
            entry_limit: i64::from(ticket.entry_limit),
            version: imported.version + 1,
            note: ticket.note.as_ref().map(Note::as_str),
            holder_name,
            holder_folded: holder_name.map(folded_words),
            order_ref,
            order_folded: order_ref.map(folded),
            media: media
                .as_ref()
                .filter(|media| !media.is_empty())
                .map(json_text)
                .transpose()?,
        })
    }
}
