//! How many are inside, as far as this node was told? Shown with denials that no database was asked about.

use std::sync::{Mutex, MutexGuard, PoisonError};

use foldhash::HashMap;

use crate::model::{
    Event, EventId, EventOccupancy, Gate, GateId, Headcount, Occupancy, OrganizationId, ScanAnswer,
};

#[derive(Default)]
struct Inside {
    event: i64,
    gates: HashMap<GateId, i64>,
}

/// People inside, by event.
#[derive(Default)]
pub(crate) struct OccupancyCache(Mutex<HashMap<(OrganizationId, EventId), Inside>>);

impl OccupancyCache {
    fn lock(&self) -> MutexGuard<'_, HashMap<(OrganizationId, EventId), Inside>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what an answer of the database told.
    pub(crate) fn note(&self, organization: OrganizationId, answer: &ScanAnswer) {
        let mut occupancy_cache = self.lock();
        let inside = occupancy_cache
            .entry((organization, answer.event_id))
            .or_default();
        inside.event = answer.occupancy.event.inside;
        inside.gates.insert(answer.gate.id, answer.occupancy.gate.inside);
    }

    /// Notes what the database told of an event.
    pub(crate) fn note_event(
        &self,
        organization: OrganizationId,
        event: EventId,
        occupancy: &EventOccupancy,
    ) {
        let gates = occupancy
            .gates
            .iter()
            .map(|gate| (gate.id, gate.count.inside))
            .collect();
        self.lock().insert(
            (organization, event),
            Inside {
                event: occupancy.event.inside,
                gates,
            },
        );
    }

    /// What is known of a gate and its event; `None` where nothing is.
    pub(crate) fn occupancy(&self, event: &Event, gate: &Gate) -> Option<Occupancy> {
        let occupancy_cache = self.lock();
        let inside = occupancy_cache.get(&(event.organization_id, event.id))?;
        Some(Occupancy {
            gate: Headcount {
                inside: *inside.gates.get(&gate.id)?,
                capacity: gate.capacity,
            },
            event: Headcount {
                inside: inside.event,
                capacity: event.capacity,
            },
        })
    }

    /// Forgets an event whose people were counted anew.
    pub(crate) fn forget(&self, organization: OrganizationId, event: EventId) {
        self.lock().remove(&(organization, event));
    }
}
