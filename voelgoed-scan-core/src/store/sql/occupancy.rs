//! Reads the occupancy of an event from the counters of its gates, and its activity from its records.
//!
//! Invariant: the occupancy of a `daily` event is that of the day of the read, whether or not a scan of that day was counted.

use std::collections::HashMap;

use crate::model::{
    ActivityMinutes, EventActivity, EventId, EventOccupancy, GateActivity, GateCount, GateId, OrganizationId,
    PlaceCount, ResultCounts, Timestamp,
};
use crate::store::StoreError;
use crate::store::sql::batch::writes::ARRIVALS_SLOT_MILLIS;
use crate::store::sql::former_rules::RulesBegin;
use crate::store::sql::{Dialect, Row, mapping, query, statement};

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
        results.add(&result_counts::<D>(row)?);
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

/// The columns of the results in a row of counters.
fn result_counts<D: Dialect>(row: &Row<D>) -> Result<ResultCounts, StoreError> {
    Ok(ResultCounts {
        valid: row.int("valid")?,
        duplicate: row.int("duplicate")?,
        invalid_token: row.int("invalid_token")?,
        wrong_event: row.int("wrong_event")?,
        wrong_gate: row.int("wrong_gate")?,
        refused: row.int("refused")?,
    })
}

/// What happened at the gates of an event in these minutes. It is empty if the event does not exist.
pub(super) async fn event_activity<D: Dialect>(
    organization: OrganizationId,
    event: EventId,
    minutes: ActivityMinutes,
    connection: &mut D::Connection,
) -> Result<EventActivity, StoreError> {
    let gate_rows = query::<D>(statement!("occupancy/gates.sql"))
        .id(organization.as_uuid())
        .id(event.as_uuid())
        .fetch_all(connection)
        .await?;
    let mut gates = Vec::with_capacity(gate_rows.len());
    let mut places: HashMap<GateId, usize> = HashMap::new();
    for row in &gate_rows {
        let gate = mapping::gate(row)?;
        places.insert(gate.id, gates.len());
        gates.push(GateActivity {
            id: gate.id,
            name: gate.name,
            results: result_counts::<D>(row)?,
            entries: vec![0; minutes.count()],
            exits: vec![0; minutes.count()],
            denials: vec![0; minutes.count()],
        });
    }
    let rows = query::<D>(statement!("occupancy/activity.sql"))
        .id(organization.as_uuid())
        .id(event.as_uuid())
        .int(minutes.from().as_millis())
        .int(minutes.to().as_millis())
        .fetch_all(connection)
        .await?;
    for row in &rows {
        let gate = places
            .get(&row.id("gate_id")?)
            .and_then(|place| gates.get_mut(*place));
        let (Some(gate), Some(minute)) = (gate, minutes.place(row.int("minute")?)) else {
            continue;
        };
        for (name, counts) in [
            ("entries", &mut gate.entries),
            ("exits", &mut gate.exits),
            ("denials", &mut gate.denials),
        ] {
            if let Some(count) = counts.get_mut(minute) {
                *count = u32::try_from(row.int(name)?).unwrap_or(u32::MAX);
            }
        }
    }
    Ok(EventActivity {
        from: minutes.from(),
        to: minutes.to(),
        gates,
    })
}
