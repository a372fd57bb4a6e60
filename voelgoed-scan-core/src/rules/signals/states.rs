//! What holds now: which devices are silent, how full the places are, which uploads wait. Also ends the open signals.
//!
//! Invariants: a device is not silent because nobody could hear it, so silence begins no earlier than the time since which
//! the servers listen. A signal that needs a scan to open is only ended here.

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

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::model::{SignalId, SignalSettingsPatch};

    const START: Timestamp = Timestamp::from_millis(1_795_370_400_000);
    const DEVICE: DeviceId = DeviceId::from_uuid(Uuid::from_u128(7));
    const EVENT: EventId = EventId::from_uuid(Uuid::from_u128(1));
    const GATE: GateId = GateId::from_uuid(Uuid::from_u128(2));
    /// The servers have listened for long.
    const LONG_AGO: Timestamp = Timestamp::from_millis(0);

    fn after(millis: i64) -> Timestamp {
        START.plus_millis(millis)
    }

    fn settings(json: serde_json::Value) -> SignalSettings {
        let patch: SignalSettingsPatch = serde_json::from_value(json).expect("a patch");
        SignalSettings::with(&patch)
    }

    fn changes_since(state: &OrganizationState, listening_since: Timestamp, now: Timestamp) -> StateChanges {
        let mut next_id = || SignalId::from_uuid(Uuid::from_u128(1));
        let mut opening = Opening {
            now,
            next_id: &mut next_id,
        };
        state.changes(listening_since, now, &mut opening)
    }

    fn changes(state: &OrganizationState, now: Timestamp) -> StateChanges {
        changes_since(state, LONG_AGO, now)
    }

    fn opened(state: &OrganizationState, now: Timestamp) -> Vec<SignalKind> {
        changes(state, now)
            .opened
            .iter()
            .map(|signal| signal.kind)
            .collect()
    }

    fn working(started_at: Timestamp, last_seen_at: Option<Timestamp>) -> OrganizationState {
        OrganizationState {
            working: vec![WorkingDevice {
                device_id: DEVICE,
                event_id: EVENT,
                gate_id: GATE,
                started_at,
                last_seen_at,
            }],
            ..OrganizationState::default()
        }
    }

    #[test]
    fn a_device_is_silent_after_300_seconds_since_its_last_call_or_the_begin_of_its_session() {
        let state = working(after(-90_000), Some(START));
        assert_eq!(opened(&state, after(300_000)), []);
        assert_eq!(opened(&state, after(300_001)), [SignalKind::DeviceSilent]);
        let earlier_session = working(START, Some(after(-900_000)));
        assert_eq!(opened(&earlier_session, after(300_000)), []);
        assert_eq!(
            opened(&earlier_session, after(300_001)),
            [SignalKind::DeviceSilent]
        );
        let never = working(START, None);
        assert_eq!(opened(&never, after(300_001)), [SignalKind::DeviceSilent]);
        let signals = changes(&state, after(300_001)).opened;
        assert_eq!(
            (signals[0].event_id, signals[0].gate_id),
            (Some(EVENT), Some(GATE))
        );
        assert_eq!(signals[0].details.last_seen_at, Some(START));
        let state = OrganizationState {
            settings: settings(serde_json::json!({ "device_silent": { "within_s": 60 } })),
            ..state
        };
        assert_eq!(opened(&state, after(60_001)), [SignalKind::DeviceSilent]);
    }

    #[test]
    fn a_device_is_not_silent_because_no_server_could_hear_it() {
        let state = working(after(-90_000), Some(START));
        let back = after(1_000_000);
        let at = |millis| changes_since(&state, back, back.plus_millis(millis)).opened.len();
        assert_eq!(at(0), 0);
        assert_eq!(at(300_000), 0);
        assert_eq!(at(300_001), 1);
    }

    #[test]
    fn a_call_that_may_not_be_on_record_yet_makes_no_silence() {
        let mut next_id = || SignalId::from_uuid(Uuid::from_u128(1));
        let mut opening = Opening {
            now: after(302_000),
            next_id: &mut next_id,
        };
        let state = working(after(-90_000), Some(START));
        assert_eq!(state.changes(LONG_AGO, after(300_000), &mut opening).opened, []);
    }

    #[test]
    fn silence_ends_with_a_call_or_with_the_session() {
        let silent = working(after(-90_000), Some(START));
        let open = changes(&silent, after(300_001)).opened;
        let with = |state: OrganizationState| OrganizationState {
            open: open.clone(),
            ..state
        };
        let closed = |state: OrganizationState, now| changes(&with(state), now).closed;
        assert_eq!(closed(silent.clone(), after(400_000)), []);
        assert_eq!(opened(&with(silent.clone()), after(400_000)), [], "one is open");
        let heard = closed(working(after(-90_000), Some(after(400_000))), after(400_001));
        assert_eq!(heard[0].closed_at, Some(after(400_001)));
        assert_eq!(closed(OrganizationState::default(), after(400_000)).len(), 1);
        let another_session = working(after(399_000), Some(START));
        assert_eq!(closed(another_session, after(400_000)).len(), 1);
        // A server that was down heard nothing, and does not end it either.
        let back = changes_since(&with(silent), after(400_000), after(400_001));
        assert_eq!(back, StateChanges::default());
    }

    fn place(inside: i64, capacity: u32) -> OrganizationState {
        OrganizationState {
            places: vec![Place {
                event_id: EVENT,
                gate_id: None,
                inside,
                capacity,
            }],
            ..OrganizationState::default()
        }
    }

    #[test]
    fn occupancy_opens_at_its_share_and_ends_five_points_below() {
        use SignalKind::{Occupancy90, Occupancy100};
        assert_eq!(opened(&place(899, 1000), START), []);
        assert_eq!(opened(&place(900, 1000), START), [Occupancy90]);
        assert_eq!(opened(&place(999, 1000), START), [Occupancy90]);
        assert_eq!(opened(&place(1000, 1000), START), [Occupancy90, Occupancy100]);
        assert_eq!(opened(&place(1001, 1000), START), [Occupancy90, Occupancy100]);
        assert_eq!(
            opened(&place(0, 0), START),
            [],
            "a place for nobody is never full"
        );
        let open = changes(&place(1000, 1000), START).opened;
        let closed = |inside| {
            let state = OrganizationState {
                open: open.clone(),
                ..place(inside, 1000)
            };
            let closed = changes(&state, START).closed;
            closed.iter().map(|signal| signal.kind).collect::<Vec<_>>()
        };
        assert_eq!(closed(951), []);
        assert_eq!(closed(950), [Occupancy100]);
        assert_eq!(closed(851), [Occupancy100]);
        assert_eq!(closed(850), [Occupancy90, Occupancy100]);
        let ended = OrganizationState {
            open: open.clone(),
            ..OrganizationState::default()
        };
        assert_eq!(
            changes(&ended, START).closed.len(),
            2,
            "the event is no longer live"
        );
    }

    #[test]
    fn an_event_and_its_gates_are_places_of_their_own() {
        let mut state = place(50, 1000);
        state.places.push(Place {
            event_id: EVENT,
            gate_id: Some(GATE),
            inside: 45,
            capacity: 50,
        });
        let signals = changes(&state, START).opened;
        assert_eq!(signals.len(), 1);
        assert_eq!(signals[0].gate_id, Some(GATE));
        assert_eq!(signals[0].details.inside, Some(45));
    }

    fn waiting(waiting: u32) -> OrganizationState {
        OrganizationState {
            waiting: vec![WaitingDevice {
                device_id: DEVICE,
                place: Some((EVENT, GATE)),
                waiting,
            }],
            ..OrganizationState::default()
        }
    }

    #[test]
    fn more_than_100_waiting_scans_open_and_fewer_than_ten_end() {
        assert_eq!(opened(&waiting(100), START), []);
        assert_eq!(opened(&waiting(101), START), [SignalKind::SyncWaiting]);
        let open = changes(&waiting(101), START).opened;
        let is_closed = |state: OrganizationState| {
            let state = OrganizationState {
                open: open.clone(),
                ..state
            };
            !changes(&state, START).closed.is_empty()
        };
        assert!(!is_closed(waiting(10)));
        assert!(is_closed(waiting(9)));
        assert!(is_closed(OrganizationState::default()), "it reported none");
        let low = OrganizationState {
            settings: settings(serde_json::json!({ "sync_waiting": { "limit": 5 } })),
            ..waiting(6)
        };
        assert_eq!(opened(&low, START), [SignalKind::SyncWaiting]);
        assert!(!is_closed(low), "what opens it does not end it");
    }

    #[test]
    fn what_scans_opened_ends_after_600_seconds_and_opens_by_none_of_these_states() {
        for kind in [
            SignalKind::ImpossibleTravel,
            SignalKind::DuplicateSpam,
            SignalKind::HighVelocity,
            SignalKind::DeviceErrors,
        ] {
            let state = |json| OrganizationState {
                settings: settings(json),
                open: vec![Signal {
                    id: SignalId::from_uuid(Uuid::from_u128(9)),
                    kind,
                    event_id: Some(EVENT),
                    gate_id: Some(GATE),
                    device_id: Some(DEVICE),
                    ticket_id: Some(crate::model::TicketId::from_uuid(Uuid::from_u128(8))),
                    opened_at: START,
                    closed_at: None,
                    details: SignalDetails::default(),
                }],
                ..OrganizationState::default()
            };
            let closed = |json, millis| changes(&state(json), after(millis)).closed.len();
            assert_eq!(closed(serde_json::json!({}), 599_999), 0, "{kind}");
            assert_eq!(closed(serde_json::json!({}), 600_000), 1, "{kind}");
            let shorter = serde_json::json!({ kind.as_str(): { "close_s": 5 } });
            assert_eq!(closed(shorter.clone(), 4_999), 0, "{kind}");
            assert_eq!(
                closed(shorter, 5_000),
                1,
                "an open one ends by the new figure: {kind}"
            );
            let off = serde_json::json!({ kind.as_str(): { "enabled": false } });
            assert_eq!(closed(off, 0), 1, "{kind}");
        }
    }
}
