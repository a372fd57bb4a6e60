//! Lists conflicts: scans that lost against an admission, and scans in quarantine.

use crate::model::{EventId, NamedGate, OrganizationId, Timestamp};
use crate::rules::ConflictKind;
use crate::store::sql::{Dialect, Row, query, statement};
use crate::store::{ConflictFilter, Cursor, Page, PageRequest, StoreError};
use crate::sync::{Conflict, NamedDevice};

/// A page of conflicts, newest first by the time of the scan that lost.
pub(super) async fn list<D: Dialect>(
    organization: OrganizationId,
    filter: &ConflictFilter,
    page: &PageRequest,
    connection: &mut D::Connection,
) -> Result<Page<Conflict>, StoreError> {
    let after = page.after.unwrap_or(Cursor::MAX);
    let rows = query::<D>(statement!("sync/conflicts.sql"))
        .id(organization.as_uuid())
        .int(after.at)
        .id(&after.id)
        .opt_id(filter.event_id.as_ref().map(EventId::as_uuid))
        .opt_text(filter.kind.map(ConflictKind::as_str))
        .int(i64::from(page.limit) + 1)
        .fetch_all(connection)
        .await?;
    let conflicts = rows.iter().map(conflict).collect::<Result<Vec<_>, _>>()?;
    Ok(Page::truncate(conflicts, page.limit, |conflict: &Conflict| {
        Cursor {
            at: conflict.times.last().map_or(0, |at| Timestamp::as_millis(*at)),
            id: *conflict.other_scan_id.as_uuid(),
        }
    }))
}

fn conflict<D: Dialect>(row: &Row<D>) -> Result<Conflict, StoreError> {
    let mut conflict = Conflict {
        kind: row.parse("kind")?,
        winner_scan_id: row.opt_id("winner_scan_id")?,
        other_scan_id: row.id("scan_id")?,
        ticket_code: row.opt_parse("ticket_code")?,
        gates: Vec::new(),
        devices: Vec::new(),
        times: Vec::new(),
    };
    if conflict.winner_scan_id.is_some() {
        conflict.gates.push(NamedGate {
            id: row.id("winner_gate_id")?,
            name: row.opt_text("winner_gate_name")?.unwrap_or_default(),
        });
        conflict.devices.push(NamedDevice {
            id: row.id("winner_device_id")?,
            name: row.opt_text("winner_device_name")?.unwrap_or_default(),
        });
        conflict.times.push(row.time("winner_at")?);
    }
    conflict.gates.push(NamedGate {
        id: row.id("gate_id")?,
        name: row.opt_text("gate_name")?.unwrap_or_default(),
    });
    conflict.devices.push(NamedDevice {
        id: row.id("device_id")?,
        name: row.opt_text("device_name")?.unwrap_or_default(),
    });
    conflict.times.push(row.time("scanned_at")?);
    Ok(conflict)
}
