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
