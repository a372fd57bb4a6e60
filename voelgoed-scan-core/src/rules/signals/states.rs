//! What holds now: which devices are silent, how full the places are, which uploads wait. Also ends the open signals.
//!
//! Invariants: a device is not silent because nobody could hear it, so silence begins no earlier than the time since which
//! the servers listen. A signal that needs a scan to open is only ended here.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};

use super::{Opening, millis};
use crate::model::{
    DeviceId, EventId, GateId, Signal, SignalDetails, SignalKind, SignalSettings, SignalSubject, Timestamp,
};

/// How many points below its limit an occupancy signal ends.
const OCCUPANCY_POINTS: u32 = 5;

/// Below how many waiting scans `sync_waiting` ends.
const FEW_WAITING: u32 = 10;

/// An active device with an active session at a live event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkingDevice {
    /// The device.
    pub device_id: DeviceId,
    /// The event of its session.
    pub event_id: EventId,
    /// The gate of its session.
    pub gate_id: GateId,
    /// When its session began.
    pub started_at: Timestamp,
    /// When it last called.
    pub last_seen_at: Option<Timestamp>,
}

/// A device that reported scans which it has not uploaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitingDevice {
    /// The device.
    pub device_id: DeviceId,
    /// The event and the gate of its active session.
    pub place: Option<(EventId, GateId)>,
    /// How many scans wait.
    pub waiting: u32,
}

/// A live event or one of its gates, with a capacity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The event.
    pub event_id: EventId,
    /// The gate; `None` for the event.
    pub gate_id: Option<GateId>,
    /// People inside.
    pub inside: i64,
    /// The capacity.
    pub capacity: u32,
}

/// What holds in an organization.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OrganizationState {
    /// Its settings.
    pub settings: SignalSettings,
    /// Its open signals.
    pub open: Vec<Signal>,
    /// Its devices at work.
    pub working: Vec<WorkingDevice>,
    /// Its devices with scans that wait.
    pub waiting: Vec<WaitingDevice>,
    /// Its live events and their gates.
    pub places: Vec<Place>,
}

/// The signals that open and end.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct StateChanges {
    /// Signals that open.
    pub opened: Vec<Signal>,
    /// Signals that end, with the time.
    pub closed: Vec<Signal>,
}

impl OrganizationState {
    /// The signals that open and end now. The servers have listened since `listening_since`, and every call until
    /// `heard_until` is on record.
    pub fn changes(
        &self,
        listening_since: Timestamp,
        heard_until: Timestamp,
        opening: &mut Opening<'_>,
    ) -> StateChanges {
        let mut closed = Vec::new();
        let mut open = HashSet::new();
        let states = States::new(self);
        for signal in &self.open {
            let Some(subject) = signal.subject() else { continue };
            if states.is_over(signal, subject, opening.now) {
                closed.push(Signal {
                    closed_at: Some(opening.now),
                    ..signal.clone()
                });
            } else {
                open.insert((signal.kind, subject));
            }
        }
        let mut opened = self.silent(listening_since, heard_until, opening);
        opened.extend(self.full(opening));
        opened.extend(self.waiting(opening));
        opened.retain(|signal| {
            let subject = signal.subject();
            subject.is_some_and(|subject| !open.contains(&(signal.kind, subject)))
        });
        StateChanges { opened, closed }
    }

    fn silent(
        &self,
        listening_since: Timestamp,
        heard_until: Timestamp,
        opening: &mut Opening<'_>,
    ) -> Vec<Signal> {
        let rule = self.settings.rule(SignalKind::DeviceSilent);
        let Some(within_s) = rule.within_s.filter(|_| rule.enabled) else {
            return Vec::new();
        };
        let is_silent = |device: &&WorkingDevice| {
            let heard = device.last_seen_at.unwrap_or(device.started_at);
            let since = heard.max(device.started_at).max(listening_since);
            heard_until.millis_since(since) > millis(within_s)
        };
        let silent = self.working.iter().filter(is_silent);
        silent
            .map(|device| {
                let details = SignalDetails {
                    within_s: Some(within_s),
                    last_seen_at: device.last_seen_at,
                    ..SignalDetails::default()
                };
                Signal {
                    event_id: Some(device.event_id),
                    gate_id: Some(device.gate_id),
                    device_id: Some(device.device_id),
                    ..opening.signal(SignalKind::DeviceSilent, details)
                }
            })
            .collect()
    }

    fn full(&self, opening: &mut Opening<'_>) -> Vec<Signal> {
        let mut opened = Vec::new();
        for kind in [SignalKind::Occupancy90, SignalKind::Occupancy100] {
            let rule = self.settings.rule(kind);
            let Some(limit) = rule.limit.filter(|_| rule.enabled) else {
                continue;
            };
            for place in self.places.iter().filter(|place| place.reaches(limit)) {
                let details = SignalDetails {
                    limit: Some(limit),
                    inside: Some(place.inside),
                    capacity: Some(place.capacity),
                    ..SignalDetails::default()
                };
                opened.push(Signal {
                    event_id: Some(place.event_id),
                    gate_id: place.gate_id,
                    ..opening.signal(kind, details)
                });
            }
        }
        opened
    }

    fn waiting(&self, opening: &mut Opening<'_>) -> Vec<Signal> {
        let rule = self.settings.rule(SignalKind::SyncWaiting);
        let Some(limit) = rule.limit.filter(|_| rule.enabled) else {
            return Vec::new();
        };
        let many = self.waiting.iter().filter(|device| device.waiting > limit);
        many.map(|device| {
            let details = SignalDetails {
                limit: Some(limit),
                waiting: Some(device.waiting),
                ..SignalDetails::default()
            };
            Signal {
                event_id: device.place.map(|(event, _)| event),
                gate_id: device.place.map(|(_, gate)| gate),
                device_id: Some(device.device_id),
                ..opening.signal(SignalKind::SyncWaiting, details)
            }
        })
        .collect()
    }
}

impl Place {
    /// Whether the people inside reach this percentage of the capacity. A place for nobody reaches none.
    fn reaches(&self, percent: u32) -> bool {
        self.capacity > 0 && self.inside.saturating_mul(100) >= i64::from(self.capacity) * i64::from(percent)
    }

    /// Whether the people inside are at most this percentage of the capacity.
    fn is_at_most(&self, percent: u32) -> bool {
        self.inside.saturating_mul(100) <= i64::from(self.capacity) * i64::from(percent)
    }
}

/// The states by subject.
struct States<'a> {
    settings: &'a SignalSettings,
    working: HashMap<DeviceId, &'a WorkingDevice>,
    waiting: HashMap<DeviceId, u32>,
    places: HashMap<SignalSubject, &'a Place>,
}

impl<'a> States<'a> {
    fn new(state: &'a OrganizationState) -> Self {
        let subject = |place: &Place| match place.gate_id {
            Some(gate) => SignalSubject::Gate(place.event_id, gate),
            None => SignalSubject::Event(place.event_id),
        };
        Self {
            settings: &state.settings,
            working: state.working.iter().map(|one| (one.device_id, one)).collect(),
            waiting: state
                .waiting
                .iter()
                .map(|one| (one.device_id, one.waiting))
                .collect(),
            places: state.places.iter().map(|one| (subject(one), one)).collect(),
        }
    }

    /// Whether an open signal ends.
    fn is_over(&self, signal: &Signal, subject: SignalSubject, now: Timestamp) -> bool {
        let rule = self.settings.rule(signal.kind);
        if !rule.enabled {
            return true;
        }
        let device = signal.device_id;
        match signal.kind {
            SignalKind::DeviceSilent => {
                let working = device.and_then(|device| self.working.get(&device));
                working.is_none_or(|working| {
                    working.last_seen_at > signal.details.last_seen_at
                        || working.started_at > signal.opened_at
                })
            }
            SignalKind::Occupancy90 | SignalKind::Occupancy100 => {
                let end = rule.limit.unwrap_or(0).saturating_sub(OCCUPANCY_POINTS);
                let place = self.places.get(&subject);
                place.is_none_or(|place| place.is_at_most(end))
            }
            SignalKind::SyncWaiting => {
                let waiting = device.and_then(|device| self.waiting.get(&device)).copied();
                let few = FEW_WAITING.min(rule.limit.unwrap_or(0)).max(1);
                waiting.unwrap_or(0) < few
            }
            SignalKind::ImpossibleTravel
            | SignalKind::DuplicateSpam
            | SignalKind::HighVelocity
            | SignalKind::DeviceErrors
            | SignalKind::LateBatch => {
                let close_s = rule.close_s.unwrap_or(0);
                now.millis_since(signal.opened_at) >= millis(close_s)
            }
        }
    }
}
