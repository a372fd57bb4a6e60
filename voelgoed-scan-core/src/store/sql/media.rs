//! The tickets of media.

use serde::Serialize;

use crate::model::{MediumTicket, OrganizationId, TicketCode, hex};
use crate::store::StoreError;
use crate::store::sql::{Dialect, Row, query};

/// A medium as statements read it, with the ticket that gets it.
#[derive(Serialize)]
pub(crate) struct MediumRow {
    m: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    c: Option<TicketCode>,
}

impl MediumRow {
    pub(crate) fn new(sha256: [u8; 32], ticket: Option<TicketCode>) -> Self {
        Self {
            m: hex::encode(&sha256),
            c: ticket,
        }
    }
}

/// The tickets that have these media, at all events of the organization.
pub(crate) async fn tickets_by_media<D: Dialect>(
    organization: OrganizationId,
    media: &[[u8; 32]],
    connection: &mut D::Connection,
) -> Result<Vec<MediumTicket>, StoreError> {
    if media.is_empty() {
        return Ok(Vec::new());
    }
    let lookups: Vec<_> = media.iter().map(|sha256| MediumRow::new(*sha256, None)).collect();
    let rows = query::<D>(D::SQL.load_tickets_by_media)
        .json(&lookups)
        .id(organization.as_uuid())
        .fetch_all(connection)
        .await?;
    let ticket = |row: &Row<D>| {
        Ok(MediumTicket {
            medium_sha256: row.bytes("medium_sha256")?,
            event_id: row.id("event_id")?,
            ticket_code: row.parse("ticket_code")?,
        })
    };
    rows.iter().map(ticket).collect()
}
