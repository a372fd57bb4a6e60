//! Reads what the metrics show of all organizations. Each read is bounded or counts in the database.

use crate::model::{Headcount, Timestamp};
use crate::store::sql::former_rules::RulesBegin;
use crate::store::sql::{Dialect, mapping, query, statement};
use crate::store::{DeviceCounts, LiveEvent, StoreError};

/// How long ago an online device was heard of, in milliseconds.
const ONLINE_MILLIS: i64 = 60_000;

/// How long ago an idle device was heard of, in milliseconds. A silent one was heard of before that.
const IDLE_MILLIS: i64 = 300_000;

/// For how long a device counts that reported scans which wait, in milliseconds. One that is lost never uploads them.
const REPORT_MILLIS: i64 = 24 * 3_600_000;

/// The live events that changed last, with at most `limit` gates in all.
pub(super) async fn live_events<D: Dialect>(
    now: Timestamp,
    limit: u16,
    connection: &mut D::Connection,
) -> Result<Vec<LiveEvent>, StoreError> {
    let rows = query::<D>(statement!("nodes/live_events.sql"))
        .int(i64::from(limit))
        .fetch_all(connection)
        .await?;
    let mut events: Vec<LiveEvent> = Vec::new();
    for row in &rows {
        let event = mapping::event(row)?;
        let is_next = events
            .last()
            .is_none_or(|last| (last.organization_id, last.event_id) != (event.organization_id, event.id));
        if is_next {
            events.push(LiveEvent {
                organization_id: event.organization_id,
                event_id: event.id,
                capacity: event.capacity,
                gates: Vec::new(),
            });
        }
        let Some(gate) = row.opt_id("gate_id")? else {
            continue;
        };
        // Everybody who was counted before the day began has left.
        let day = RulesBegin::of_row(row)?.day(&event, now);
        let is_current = row.time("gate_counted_since")? >= day.counted_since;
        let inside = if is_current {
            row.int("entries")? - row.int("exits")?
        } else {
            0
        };
        let count = Headcount {
            inside,
            capacity: row.opt_number("gate_capacity")?,
        };
        if let Some(last) = events.last_mut() {
            last.gates.push((gate, count));
        }
    }
    Ok(events)
}

/// Counts the active devices of all organizations.
pub(super) async fn device_counts<D: Dialect>(
    now: Timestamp,
    connection: &mut D::Connection,
) -> Result<DeviceCounts, StoreError> {
    let row = query::<D>(statement!("nodes/device_counts.sql"))
        .time(now.plus_millis(-ONLINE_MILLIS))
        .time(now.plus_millis(-IDLE_MILLIS))
        .time(now.plus_millis(-REPORT_MILLIS))
        .fetch_optional(connection)
        .await?
        .ok_or_else(|| StoreError::failed("a count has a row"))?;
    Ok(DeviceCounts {
        online: row.int("online")?,
        idle: row.int("idle")?,
        silent: row.int("silent")?,
        never: row.int("never")?,
        unsent_scans: row.int("unsent_scans")?,
    })
}
