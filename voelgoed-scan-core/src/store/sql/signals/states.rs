//! What holds now, from which signals open and end: devices at work, waiting scans, people inside, open signals.

use std::collections::HashMap;

use crate::model::{DeviceSettings, Event, EventId, EventStatus, OrganizationId, SignalSettings, Timestamp};
use crate::rules::check_event;
use crate::rules::signals::{OrganizationState, Place, WaitingDevice, WorkingDevice};
use crate::store::StoreError;
use crate::store::sql::former_rules::RulesBegin;
use crate::store::sql::{Dialect, Row, mapping, query, statement};

type States = HashMap<OrganizationId, OrganizationState>;

/// A live event, and since when its people are counted.
struct LiveEvent {
    capacity: Option<u32>,
    counted_since: Timestamp,
    inside: i64,
}

/// Reads the states of all organizations that have one.
pub(super) async fn read<D: Dialect>(
    settings: &HashMap<OrganizationId, SignalSettings>,
    now: Timestamp,
    connection: &mut D::Connection,
) -> Result<States, StoreError> {
    let mut states = States::new();
    for row in all::<D>(statement!("signals/open.sql"), connection).await? {
        state(&mut states, &row)?.open.push(super::signal(&row)?);
    }
    let mut live = HashMap::new();
    for row in all::<D>(statement!("signals/live_events.sql"), connection).await? {
        let event = mapping::event(&row)?;
        if !is_live(&event, now) {
            continue;
        }
        let day = RulesBegin::of_row(&row)?.day(&event, now);
        live.insert(
            (event.organization_id, event.id),
            LiveEvent {
                capacity: event.capacity,
                counted_since: day.counted_since,
                inside: 0,
            },
        );
    }
    for row in all::<D>(statement!("signals/working_devices.sql"), connection).await? {
        let device = working_device(&row)?;
        let event = (row.id("organization_id")?, device.event_id);
        if live.contains_key(&event) && !is_rehearsal(&row)? {
            state(&mut states, &row)?.working.push(device);
        }
    }
    for row in all::<D>(statement!("signals/waiting_devices.sql"), connection).await? {
        if !is_rehearsal(&row)? {
            let device = waiting_device(&row)?;
            state(&mut states, &row)?.waiting.push(device);
        }
    }
    read_places::<D>(live, &mut states, connection).await?;
    for (organization, state) in &mut states {
        if let Some(settings) = settings.get(organization) {
            state.settings = settings.clone();
        }
    }
    Ok(states)
}

async fn all<D: Dialect>(
    sql: &'static str,
    connection: &mut D::Connection,
) -> Result<Vec<Row<D>>, StoreError> {
    query::<D>(sql).fetch_all(connection).await
}

fn state<'a, D: Dialect>(
    states: &'a mut States,
    row: &Row<D>,
) -> Result<&'a mut OrganizationState, StoreError> {
    Ok(states.entry(row.id("organization_id")?).or_default())
}

/// Whether scans are expected: the event is live, or postponed and on its new date. Its doors do not count.
fn is_live(event: &Event, now: Timestamp) -> bool {
    match event.status {
        EventStatus::Live => true,
        EventStatus::Postponed => check_event(event, now).is_ok(),
        EventStatus::Draft
        | EventStatus::Published
        | EventStatus::Ended
        | EventStatus::Cancelled
        | EventStatus::Archived => false,
    }
}

fn is_rehearsal<D: Dialect>(row: &Row<D>) -> Result<bool, StoreError> {
    Ok(row.json::<DeviceSettings>("settings")?.is_rehearsal())
}

fn working_device<D: Dialect>(row: &Row<D>) -> Result<WorkingDevice, StoreError> {
    Ok(WorkingDevice {
        device_id: row.id("device_id")?,
        event_id: row.id("event_id")?,
        gate_id: row.id("gate_id")?,
        started_at: row.time("started_at")?,
        last_seen_at: row.opt_time("last_seen_at")?,
    })
}

fn waiting_device<D: Dialect>(row: &Row<D>) -> Result<WaitingDevice, StoreError> {
    let event: Option<EventId> = row.opt_id("event_id")?;
    Ok(WaitingDevice {
        device_id: row.id("id")?,
        place: event.zip(row.opt_id("gate_id")?),
        waiting: row.number("waiting")?,
    })
}

async fn read_places<D: Dialect>(
    mut live: HashMap<(OrganizationId, EventId), LiveEvent>,
    states: &mut States,
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    for row in all::<D>(statement!("signals/live_counts.sql"), connection).await? {
        let event_id: EventId = row.id("event_id")?;
        let Some(event) = live.get_mut(&(row.id("organization_id")?, event_id)) else {
            continue;
        };
        // Everybody who was counted before the day began has left.
        let inside = if row.time("counted_since")? >= event.counted_since {
            row.int("entries")? - row.int("exits")?
        } else {
            0
        };
        event.inside += inside;
        if let Some(capacity) = row.opt_number("capacity")? {
            let gate_id = Some(row.id("gate_id")?);
            state(states, &row)?.places.push(Place {
                event_id,
                gate_id,
                inside,
                capacity,
            });
        }
    }
    for ((organization, event_id), event) in live {
        if let Some(capacity) = event.capacity {
            states.entry(organization).or_default().places.push(Place {
                event_id,
                gate_id: None,
                inside: event.inside,
                capacity,
            });
        }
    }
    Ok(())
}
