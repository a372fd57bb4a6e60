//! The event of an uploaded scan. A gate may serve several events, and phones of the first edition name only the gate.

use std::collections::HashMap;

use crate::model::{EventId, GateId, ScanId, Timestamp};
use crate::sync::QuarantinedPlace;
use crate::sync::{ScanFault, SessionSpan, SyncScan};

/// The gates of an upload that exist, each with its event if only one event has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GateEvents(HashMap<GateId, Option<EventId>>);

impl GateEvents {
    /// Adds an event that has the gate.
    pub fn add(&mut self, gate: GateId, event: EventId) {
        let only = self.0.entry(gate).or_insert(Some(event));
        if *only != Some(event) {
            *only = None;
        }
    }
}

impl FromIterator<(GateId, EventId)> for GateEvents {
    fn from_iter<T: IntoIterator<Item = (GateId, EventId)>>(gates: T) -> Self {
        let mut events = Self::default();
        for (gate, event) in gates {
            events.add(gate, event);
        }
        events
    }
}

/// By what the event of an uploaded scan is found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EventLookup<'a> {
    /// The scans of the upload that are in quarantine, each with its place there.
    pub(crate) quarantined: &'a HashMap<ScanId, QuarantinedPlace>,
    /// The events that have the gates of the upload.
    pub(crate) gate_events: &'a GateEvents,
    /// The sessions of the device.
    pub(crate) sessions: &'a [SessionSpan],
}

impl EventLookup<'_> {
    /// The event of a scan: the one that it names, else the one that it has in quarantine, else the only one that has its
    /// gate, else that of the session that the device had `at` its time. Whether the event has the gate is not checked.
    pub(crate) fn find(&self, scan: &SyncScan, at: Timestamp) -> Result<EventId, ScanFault> {
        let Some(only) = self.gate_events.0.get(&scan.gate_id) else {
            return Err(ScanFault::new("/gate_id", "is not a gate"));
        };
        let kept = self.quarantined.get(&scan.scan_id);
        let kept = kept
            .filter(|place| place.gate_id == scan.gate_id)
            .map(|place| place.event_id);
        scan.event_id
            .or(kept)
            .or(*only)
            .or_else(|| session_at(self.sessions, at, |_| true).map(|session| session.event_id))
            .ok_or_else(|| ScanFault::new("/event_id", "is required: several events have this gate"))
    }
}

/// The session that the device had at a time, among those that `fits` accepts. Of two that meet at that time, the later one.
pub(crate) fn session_at(
    sessions: &[SessionSpan],
    at: Timestamp,
    fits: impl Fn(&SessionSpan) -> bool,
) -> Option<&SessionSpan> {
    sessions
        .iter()
        .filter(|one| one.from <= at && one.until.is_none_or(|until| at <= until) && fits(one))
        .max_by_key(|one| (one.from, one.id))
}
