//! Records when staff changed the statuses of tickets, for scans that arrive later (`sync/`).

use serde::Serialize;
use uuid::fmt::Simple;

use crate::model::{OrganizationId, TicketId, TicketStatus, Timestamp};
use crate::store::StoreError;
use crate::store::sql::{Dialect, query};

#[derive(Serialize)]
struct StatusRow {
    i: Simple,
    s: TicketStatus,
}

/// Records the statuses that tickets have from `now` on. A status like the last recorded one is no change, and one that
/// only says whether a ticket was scanned is `active`.
pub(crate) async fn record_statuses<D: Dialect>(
    organization: OrganizationId,
    statuses: impl Iterator<Item = (TicketId, TicketStatus)>,
    now: Timestamp,
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    let row = |(ticket, status): (TicketId, TicketStatus)| StatusRow {
        i: ticket.as_uuid().simple(),
        s: status.after_admissions(0),
    };
    let rows: Vec<_> = statuses.map(row).collect();
    if rows.is_empty() {
        return Ok(());
    }
    query::<D>(D::SQL.record_ticket_status)
        .json(&rows)
        .id(organization.as_uuid())
        .time(now)
        .execute(connection)
        .await?;
    Ok(())
}
