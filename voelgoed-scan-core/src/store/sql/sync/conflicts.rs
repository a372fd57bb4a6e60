//! Which conflicts are there? They stand on the scans that lost, and in the quarantine.

use crate::model::{NamedGate, OrganizationId, Timestamp};
use crate::rules::ConflictKind;
use crate::store::sql::{Dialect, Row, query};
use crate::store::{ConflictFilter, Cursor, Page, PageRequest, StoreError};
use crate::sync::{Conflict, NamedDevice};

/// A page of conflicts, newest first by the time of the scan that lost.
pub(super) async fn list<D: Dialect>(
    organization: OrganizationId,
    filter: &ConflictFilter,
    page: &PageRequest,
    connection: &mut D::Connection,
) -> Result<Page<Conflict>, StoreError> {
    let start = page.after.unwrap_or(Cursor::LAST);
    let rows = query::<D>(
        "select c.kind, c.scan_id, c.ticket_code, c.scanned_at, \
         c.gate_id, g.name as gate_name, c.device_id, d.name as device_name, \
         w.scan_id as winner_scan_id, w.scanned_at as winner_at, w.gate_id as winner_gate_id, \
         wg.name as winner_gate_name, w.device_id as winner_device_id, wd.name as winner_device_name \
         from (select x.conflict as kind, x.scan_id, x.winner_scan_id, x.ticket_code, x.event_id, x.gate_id, \
             x.device_id, x.scanned_at \
             from scans x where x.organization_id = $1 and x.conflict is not null \
             and (x.scanned_at, x.scan_id) < ($2, $3) \
             union all select 'unverified', q.scan_id, null, q.ticket_code, q.event_id, q.gate_id, \
             q.device_id, q.scanned_at \
             from quarantine q where q.organization_id = $1 and (q.scanned_at, q.scan_id) < ($2, $3)) c \
         left join scans w on w.organization_id = $1 and w.scan_id = c.winner_scan_id \
         left join gates g on g.organization_id = $1 and g.id = c.gate_id \
         left join gates wg on wg.organization_id = $1 and wg.id = w.gate_id \
         left join devices d on d.organization_id = $1 and d.id = c.device_id \
         left join devices wd on wd.organization_id = $1 and wd.id = w.device_id \
         where ($4 is null or c.event_id = $4) and ($5 is null or c.kind = $5) \
         order by c.scanned_at desc, c.scan_id desc limit $6",
    )
    .id(organization.as_uuid())
    .int(start.at)
    .id(&start.id)
    .opt_id(filter.event_id.as_ref().map(crate::model::EventId::as_uuid))
    .opt_text(filter.kind.map(ConflictKind::as_str))
    .int(i64::from(page.limit) + 1)
    .fetch_all(connection)
    .await?;
    let conflicts = rows.iter().map(conflict).collect::<Result<Vec<_>, _>>()?;
    Ok(Page::cut(conflicts, page.limit, |conflict: &Conflict| Cursor {
        at: conflict.times.last().map_or(0, |at| Timestamp::as_millis(*at)),
        id: *conflict.other_scan_id.as_uuid(),
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
