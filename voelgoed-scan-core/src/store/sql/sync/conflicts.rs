//! Lists conflicts: scans that lost against an admission, and scans in quarantine.

use crate::model::{EventId, NamedGate, OrganizationId, Timestamp};
use crate::rules::ConflictKind;
use crate::store::sql::bounded_list::{BoundedList, ROWS_PER_READ, cursor};
use crate::store::sql::{Dialect, Row, Sql, query, statement};
use crate::store::{ConflictFilter, Cursor, Page, PageRequest, StoreError};
use crate::sync::{Conflict, NamedDevice};

/// A page of conflicts, newest first by the time of the scan that lost.
pub(super) async fn list<D: Dialect>(
    organization: OrganizationId,
    filter: &ConflictFilter,
    page: &PageRequest,
    sql: &Sql<D>,
) -> Result<Page<Conflict>, StoreError> {
    let is_filtered = filter.event_id.is_some() || filter.kind.is_some();
    let mut list = BoundedList::new(page, Cursor::MAX);
    while let Some((after, limit)) = list.next_read() {
        let (_permit, mut connection) = sql.read_bulk(organization).await?;
        let bound = if is_filtered {
            query::<D>(statement!("sync/conflicts_bound.sql"))
                .id(organization.as_uuid())
                .int(after.at)
                .id(&after.id)
                .int(ROWS_PER_READ - 1)
                .fetch_optional(&mut connection)
                .await?
        } else {
            None
        };
        let bound = bound
            .map(|row| cursor(&row, "scanned_at", "scan_id"))
            .transpose()?;
        let last = bound.unwrap_or(Cursor::MIN);
        let rows = query::<D>(statement!("sync/conflicts.sql"))
            .id(organization.as_uuid())
            .int(after.at)
            .id(&after.id)
            .opt_id(filter.event_id.as_ref().map(EventId::as_uuid))
            .opt_text(filter.kind.map(ConflictKind::as_str))
            .int(last.at)
            .id(&last.id)
            .int(limit)
            .fetch_all(&mut connection)
            .await?;
        list.add(rows.iter().map(conflict), bound)?;
    }
    Ok(list.into_page(|conflict: &Conflict| Cursor {
        at: conflict.times.last().map_or(0, |at| Timestamp::as_millis(*at)),
        id: *conflict.other_scan_id.as_uuid(),
    }))
}

pub(in crate::store::sql) fn conflict<D: Dialect>(row: &Row<D>) -> Result<Conflict, StoreError> {
    let mut conflict = Conflict {
        kind: row.parse("kind")?,
        winner_scan_id: row.opt_id("winner_scan_id")?,
        other_scan_id: row.id("scan_id")?,
        ticket_code: row.opt_parse("ticket_code")?,
        gates: Vec::new(),
        devices: Vec::new(),
        times: Vec::new(),
    };
    // The winner of a scan of a deleted event may be deleted already.
    if conflict.winner_scan_id.is_some() && row.opt_time("winner_at")?.is_some() {
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
