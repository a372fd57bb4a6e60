//! Groups the entries of a batch by gate and by the cached facts that they rely on, and counts them.

use std::collections::HashMap;

use serde::Serialize;
use uuid::Uuid;
use uuid::fmt::Simple;

use crate::model::{
    ActiveSession, AuthenticatedDevice, ClassName, EventId, GateId, OrganizationId, Timestamp,
};
use crate::store::StoreError;
use crate::store::sql::lookup::json_text;

/// The entries at one gate, with the cached facts by which they are admitted. The statement reads the serialized
/// fields.
#[derive(Serialize)]
pub(super) struct GateBatch<'a> {
    /// The position among the gate batches.
    k: usize,
    /// The counters at which the facts were read.
    change_counter: i64,
    facts_changed_at_counter: i64,
    e: Simple,
    g: Simple,
    /// The first and the last gate whose counters are locked.
    low: Simple,
    high: Simple,
    /// How many people the batch would let in at this gate, and at its event.
    entries: i64,
    entries_at_event: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    gate_capacity: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_capacity: Option<u32>,
    /// The ticket classes that the gate admits. `None` if it admits all.
    #[serde(skip_serializing_if = "Option::is_none")]
    classes: Option<&'a [ClassName]>,
    /// The gate's name, as JSON text.
    gate_name: String,
    /// The start of the period in which people are counted.
    since: i64,
    #[serde(skip)]
    event: (OrganizationId, EventId),
    #[serde(skip)]
    gate: GateId,
}

/// Entries with the same key share a gate batch: they have the same gate and rely on the same state of the facts.
#[derive(PartialEq, Eq, Hash)]
struct GateBatchKey {
    organization: OrganizationId,
    event: EventId,
    gate: GateId,
    change_counter: i64,
    facts_changed_at_counter: i64,
}

/// Collects the gate batches of a batch.
#[derive(Default)]
pub(super) struct GateBatches<'a> {
    positions: HashMap<GateBatchKey, usize>,
    all: Vec<GateBatch<'a>>,
}

impl<'a> GateBatches<'a> {
    /// Adds an entry. Returns the position of its gate batch.
    pub(super) fn add_entry(
        &mut self,
        authenticated: &AuthenticatedDevice,
        active_session: &'a ActiveSession,
        since: Timestamp,
    ) -> Result<usize, StoreError> {
        let key = GateBatchKey {
            organization: authenticated.device.organization_id,
            event: active_session.event.id,
            gate: active_session.gate.id,
            change_counter: authenticated.change_counter,
            facts_changed_at_counter: active_session.facts_changed_at_counter,
        };
        let next = self.all.len();
        let k = *self.positions.entry(key).or_insert(next);
        if k == next {
            self.all
                .push(gate_batch(k, authenticated, active_session, since)?);
        }
        if let Some(gate_batch) = self.all.get_mut(k) {
            gate_batch.entries += 1;
        }
        Ok(k)
    }

    /// The gate batches, each with the number of entries at its event.
    pub(super) fn finish(self) -> Vec<GateBatch<'a>> {
        let mut gate_batches = self.all;
        let mut at_event: HashMap<_, i64> = HashMap::new();
        for gate_batch in &gate_batches {
            *at_event.entry(gate_batch.event).or_default() += gate_batch.entries;
        }
        for gate_batch in &mut gate_batches {
            gate_batch.entries_at_event = at_event.get(&gate_batch.event).copied().unwrap_or_default();
        }
        gate_batches
    }
}

fn gate_batch<'a>(
    k: usize,
    authenticated: &AuthenticatedDevice,
    active_session: &'a ActiveSession,
    since: Timestamp,
) -> Result<GateBatch<'a>, StoreError> {
    let ActiveSession { event, gate, .. } = active_session;
    let organization = authenticated.device.organization_id;
    let g = gate.id.as_uuid().simple();
    // The capacity of an event counts the people at all of its gates.
    let (low, high) = match event.capacity {
        Some(_) => (Uuid::nil().simple(), Uuid::max().simple()),
        None => (g, g),
    };
    Ok(GateBatch {
        k,
        change_counter: authenticated.change_counter,
        facts_changed_at_counter: active_session.facts_changed_at_counter,
        e: event.id.as_uuid().simple(),
        g,
        low,
        high,
        entries: 0,
        entries_at_event: 0,
        gate_capacity: gate.capacity,
        event_capacity: event.capacity,
        classes: gate.ticket_classes.as_deref(),
        gate_name: json_text(&gate.name)?,
        since: since.as_millis(),
        event: (organization, event.id),
        gate: gate.id,
    })
}

/// How many people the statement admitted at the other gates of the event of gate batch `k`. `admitted` holds the
/// number for each gate batch.
pub(super) fn admitted_at_other_gates(gate_batches: &[GateBatch<'_>], admitted: &[i64], k: usize) -> i64 {
    let Some(own) = gate_batches.get(k) else { return 0 };
    gate_batches
        .iter()
        .zip(admitted)
        .filter(|(other, _)| other.event == own.event && other.gate != own.gate)
        .map(|(_, count)| count)
        .sum()
}
