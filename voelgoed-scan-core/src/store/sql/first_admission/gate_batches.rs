//! Which doors does a batch come in by, and how many people by each?

use std::collections::HashMap;

use serde::Serialize;
use uuid::Uuid;

use crate::model::{ActiveSession, AuthenticatedDevice, ClassName, EventId, GateId, OrganizationId};
use crate::store::StoreError;
use crate::store::sql::batch::{hex, text};

/// A gate as memory holds it, with what a batch wants of it.
#[derive(Serialize)]
pub(super) struct Door<'a> {
    /// Its place among the doors.
    k: usize,
    o: String,
    /// The change counters that the facts hold by.
    generation: i64,
    doors: i64,
    e: String,
    g: String,
    /// Whose counters are locked: from this gate to that.
    low: String,
    high: String,
    /// How many are to be let in here, and at its event.
    entries: i64,
    entries_at_event: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    gate_capacity: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_capacity: Option<u32>,
    /// The ticket classes that the gate lets in, where it does not let in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    classes: Option<&'a [ClassName]>,
    /// The gate's name, as JSON.
    gate_name: String,
    #[serde(skip)]
    event: (OrganizationId, EventId),
    #[serde(skip)]
    gate: GateId,
}

/// What makes two attempts come in by the same door: all that the door's facts hold by, too.
#[derive(PartialEq, Eq, Hash)]
struct DoorKey {
    organization: OrganizationId,
    event: EventId,
    gate: GateId,
    generation: i64,
    doors: i64,
}

/// The doors of a batch, each once.
#[derive(Default)]
pub(super) struct Doors<'a> {
    places: HashMap<DoorKey, usize>,
    all: Vec<Door<'a>>,
}

impl<'a> Doors<'a> {
    /// The place of an attempt's door, where one more is to be let in.
    pub(super) fn want(
        &mut self,
        authenticated: &AuthenticatedDevice,
        active_session: &'a ActiveSession,
    ) -> Result<usize, StoreError> {
        let key = DoorKey {
            organization: authenticated.device.organization_id,
            event: active_session.event.id,
            gate: active_session.gate.id,
            generation: authenticated.generation,
            doors: active_session.doors,
        };
        let next = self.all.len();
        let k = *self.places.entry(key).or_insert(next);
        if k == next {
            self.all.push(door(k, authenticated, active_session)?);
        }
        if let Some(door) = self.all.get_mut(k) {
            door.entries += 1;
        }
        Ok(k)
    }

    /// The doors, each with the entries at all doors of its event.
    pub(super) fn counted(self) -> Vec<Door<'a>> {
        let mut doors = self.all;
        let mut at_event: HashMap<_, i64> = HashMap::new();
        for door in &doors {
            *at_event.entry(door.event).or_default() += door.entries;
        }
        for door in &mut doors {
            door.entries_at_event = at_event.get(&door.event).copied().unwrap_or_default();
        }
        doors
    }
}

fn door<'a>(
    k: usize,
    authenticated: &AuthenticatedDevice,
    active_session: &'a ActiveSession,
) -> Result<Door<'a>, StoreError> {
    let ActiveSession { event, gate, .. } = active_session;
    let organization = authenticated.device.organization_id;
    let g = hex(gate.id.as_uuid());
    // A capacity of the event is one of all its gates.
    let (low, high) = match event.capacity {
        Some(_) => (hex(&Uuid::nil()), hex(&Uuid::max())),
        None => (g.clone(), g.clone()),
    };
    Ok(Door {
        k,
        o: hex(organization.as_uuid()),
        generation: authenticated.generation,
        doors: active_session.doors,
        e: hex(event.id.as_uuid()),
        g,
        low,
        high,
        entries: 0,
        entries_at_event: 0,
        gate_capacity: gate.capacity,
        event_capacity: event.capacity,
        classes: gate.ticket_classes.as_deref(),
        gate_name: text(&gate.name)?,
        event: (organization, event.id),
        gate: gate.id,
    })
}

/// How many a statement let in by the other gates of a door's event, where it let in so many by each door.
pub(super) fn let_in_elsewhere(doors: &[Door<'_>], let_in: &[i64], k: usize) -> i64 {
    let Some(own) = doors.get(k) else { return 0 };
    let others = doors
        .iter()
        .zip(let_in)
        .filter(|(door, _)| door.event == own.event && door.gate != own.gate);
    others.map(|(_, many)| many).sum()
}
