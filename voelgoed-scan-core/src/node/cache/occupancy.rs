//! Caches how many people are inside. A denial that is served from a cache shows these numbers.

use foldhash::HashMap;
use parking_lot::Mutex;

use crate::bus::EventKey;
use crate::model::{
    Event, EventId, EventOccupancy, Gate, GateId, Headcount, Occupancy, OrganizationId, ScanAnswer,
};

#[derive(Default)]
struct InsideCounts {
    event: i64,
    gates: HashMap<GateId, i64>,
}

/// People inside, by event.
#[derive(Default)]
pub(crate) struct OccupancyCache(Mutex<HashMap<EventKey, InsideCounts>>);

impl OccupancyCache {
    /// Stores the counts of an answer that the database decided.
    pub(crate) fn put_answer(&self, organization: OrganizationId, answer: &ScanAnswer) {
        let mut events = self.0.lock();
        let counts = events.entry((organization, answer.event_id)).or_default();
        counts.event = answer.occupancy.event.inside;
        counts.gates.insert(answer.gate.id, answer.occupancy.gate.inside);
    }

    /// Stores the counts of a whole event.
    pub(crate) fn put_event(&self, organization: OrganizationId, event: EventId, occupancy: &EventOccupancy) {
        let gates = occupancy
            .gates
            .iter()
            .map(|gate| (gate.id, gate.count.inside))
            .collect();
        self.0.lock().insert(
            (organization, event),
            InsideCounts {
                event: occupancy.event.inside,
                gates,
            },
        );
    }

    /// The counts of a gate and its event; `None` where either is not cached.
    pub(crate) fn get(&self, event: &Event, gate: &Gate) -> Option<Occupancy> {
        let events = self.0.lock();
        let counts = events.get(&(event.organization_id, event.id))?;
        Some(Occupancy {
            gate: Headcount {
                inside: *counts.gates.get(&gate.id)?,
                capacity: gate.capacity,
            },
            event: Headcount {
                inside: counts.event,
                capacity: event.capacity,
            },
        })
    }

    /// Removes an event whose counts changed by something other than a scan at a gate.
    pub(crate) fn remove_event(&self, organization: OrganizationId, event: EventId) {
        self.0.lock().remove(&(organization, event));
    }
}
