//! Reads the occupancy of an event from the counters of its gates.
//!
//! Invariant: the occupancy of a `daily` event is that of the day of the read, whether or not a scan of that day was counted.

use crate::model::{EventId, EventOccupancy, GateCount, OrganizationId, PlaceCount, ResultCounts, Timestamp};
use crate::store::StoreError;
use crate::store::sql::batch::writes::ARRIVALS_SLOT_MILLIS;
use crate::store::sql::former_rules::RulesBegin;
use crate::store::sql::{Dialect, mapping, query, statement};

/// The occupancy of an event and its gates. `None` if the event does not exist.
pub(super) async fn event_occupancy<D: Dialect>(
    organization: OrganizationId,
    event: EventId,
    now: Timestamp,
    connection: &mut D::Connection,
) -> Result<Option<EventOccupancy>, StoreError> {
    let minute_ago = now.plus_millis(-60_000).as_millis();
    let event_row = query::<D>(statement!("occupancy/event.sql"))
        .id(organization.as_uuid())
        .id(event.as_uuid())
        .int(minute_ago.div_euclid(ARRIVALS_SLOT_MILLIS))
        .fetch_optional(connection)
        .await?;
    let Some(event_row) = event_row else {
        return Ok(None);
    };
    let gate_rows = query::<D>(statement!("occupancy/gates.sql"))
        .id(organization.as_uuid())
        .id(event.as_uuid())
        .fetch_all(connection)
        .await?;
    let found = mapping::event(&event_row)?;
    let day = RulesBegin::of_row(&event_row)?.day(&found, now);
    let mut total = PlaceCount {
        capacity: found.capacity,
        ..PlaceCount::default()
    };
    let mut results = ResultCounts::default();
    let mut gates = Vec::with_capacity(gate_rows.len());
    for row in &gate_rows {
        let gate = mapping::gate(row)?;
        // Everybody who was counted before the day began has left.
        let is_current = row.time("counted_since")? >= day.counted_since;
        let (entries, exits) = if is_current {
            (row.int("entries")?, row.int("exits")?)
        } else {
            (0, 0)
        };
        total.entries += entries;
        total.exits += exits;
        results.add(&ResultCounts {
            valid: row.int("valid")?,
            duplicate: row.int("duplicate")?,
            invalid_token: row.int("invalid_token")?,
            wrong_event: row.int("wrong_event")?,
            wrong_gate: row.int("wrong_gate")?,
            refused: row.int("refused")?,
        });
        let count = PlaceCount {
            inside: entries - exits,
            entries,
            exits,
            capacity: gate.capacity,
        };
        gates.push(GateCount {
            id: gate.id,
            name: gate.name,
            count,
        });
    }
    total.inside = total.entries - total.exits;
    Ok(Some(EventOccupancy {
        event: total,
        gates,
        results,
        scans_per_minute: event_row.int("scans_per_minute")?,
    }))
}
