//! Searches the tickets of the session's event by name, order or the start of a code, for guests without their ticket.
//!
//! Invariant: personal data is in memory only. It is neither stored on the phone nor logged.

use std::fmt;

use serde::Deserialize;

use crate::client::listing::ListPage;
use crate::client::{ClientError, ScannerClient};
use crate::model::{
    ClassName, GateId, HolderName, Note, OrderRef, Seat, TicketCode, TicketStatus, Timestamp,
};

/// The number of tickets that one search returns.
const PAGE_SIZE: &str = "50";

/// A ticket that a search found. Scan it with its code as a typed ticket code.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct FoundTicket {
    /// The ticket code.
    pub code: TicketCode,
    /// The status. `None` if the server has a status that this version does not know.
    #[serde(deserialize_with = "known_status")]
    pub status: Option<TicketStatus>,
    /// The ticket class.
    pub ticket_class: Option<ClassName>,
    /// The gates that admit the ticket. `None` is all.
    pub gate_ids: Option<Vec<GateId>>,
    /// The seat.
    pub seat: Option<Seat>,
    /// The first moment at which the ticket admits.
    pub valid_from: Option<Timestamp>,
    /// The last moment at which the ticket admits.
    pub valid_until: Option<Timestamp>,
    /// How many people the ticket admits.
    pub entry_limit: u8,
    /// The number of admissions.
    pub scan_count: u32,
    /// A note for the steward.
    pub note: Option<Note>,
    /// The holder's name. Personal data.
    pub holder_name: Option<HolderName>,
    /// The reference of the order.
    pub order_ref: Option<OrderRef>,
}

fn known_status<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<TicketStatus>, D::Error> {
    Ok(String::deserialize(deserializer)?.parse().ok())
}

/// Shows no personal data.
impl fmt::Debug for FoundTicket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FoundTicket")
            .field("code", &self.code)
            .field("status", &self.status)
            .field("ticket_class", &self.ticket_class)
            .finish_non_exhaustive()
    }
}

/// A page of a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketSearch {
    /// The tickets.
    pub tickets: Vec<FoundTicket>,
    /// What to pass for the next page. `None` on the last one.
    pub next_cursor: Option<String>,
}

impl ScannerClient {
    /// Searches the tickets of the session's event by the start of a code, of any word of the holder's name, or of the
    /// order's reference. `cursor` is that of the page before.
    ///
    /// Needs the server. Fails with `forbidden` unless the device's settings carry `can_search`.
    pub async fn search(&self, text: &str, cursor: Option<&str>) -> Result<TicketSearch, ClientError> {
        let session = self.offline.session().await.ok_or(ClientError::NoActiveSession)?;
        let path = format!("/api/v1/events/{}/tickets", session.event_id);
        let mut parameters = vec![("q", text.trim()), ("limit", PAGE_SIZE)];
        parameters.extend(cursor.map(|cursor| ("cursor", cursor)));
        let ListPage { data, next_cursor } = self.get_page(&path, &parameters).await?;
        Ok(TicketSearch {
            tickets: data,
            next_cursor,
        })
    }
}
