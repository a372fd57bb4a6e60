use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::model::{
    Headcount, Ledger, NamedGate, Occupancy, Outcome, Passage, PreviousScan, ReasonText, ScannedTicket,
    Ticket, TicketFacts,
};

/// Texts with and without characters that JSON escapes.
fn texts() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "[ -~]{0,40}", "[a-zA-Z ]{1,40}"]
}

fn id<T: From<Uuid> + std::fmt::Debug>() -> impl Strategy<Value = T> {
    any::<u128>().prop_map(|id| T::from(Uuid::from_u128(id)))
}

fn times() -> impl Strategy<Value = Timestamp> {
    any::<i64>().prop_map(Timestamp::from_millis)
}

fn variant<T: Copy + std::fmt::Debug + 'static>(all: &'static [T]) -> impl Strategy<Value = T> {
    prop::sample::select(all)
}

fn gates() -> impl Strategy<Value = NamedGate> {
    (id(), texts()).prop_map(|(id, name)| NamedGate { id, name })
}

fn counts() -> impl Strategy<Value = Headcount> {
    (any::<i64>(), any::<Option<u32>>()).prop_map(|(inside, capacity)| Headcount { inside, capacity })
}

fn codes() -> impl Strategy<Value = TicketCode> {
    "[0-9A-Za-z]{16}".prop_map(|text| text.parse().expect("a code"))
}

fn seats() -> impl Strategy<Value = Seat> {
    prop::option::of(texts()).prop_map(|row| Seat {
        row: row.and_then(|row| crate::model::SeatPart::new(row).ok()),
        ..Seat::default()
    })
}

prop_compose! {
    fn tickets()(
        id in id(),
        code in codes(),
        status in variant(TicketStatus::ALL),
        ticket_class in prop::option::of(texts()),
        seat in prop::option::of(seats()),
        entry_limit: u8,
        scan_count: u32,
        note in prop::option::of(texts()),
    ) -> ScannedTicket {
        ScannedTicket {
            id,
            code,
            status,
            ticket_class: ticket_class.and_then(|name| ClassName::new(name).ok()),
            seat,
            entry_limit,
            scan_count,
            note: note.and_then(|note| Note::new(note).ok()),
        }
    }
}

prop_compose! {
    fn full_tickets()(
        scanned in tickets(),
        (organization_id, event_id) in (id(), id()),
        gate_ids in prop::option::of(prop::collection::vec(id(), 0..3)),
        (valid_from, valid_until) in (prop::option::of(times()), prop::option::of(times())),
        (inserted_at, updated_at) in (times(), times()),
    ) -> Ticket {
        Ticket {
            id: scanned.id,
            organization_id,
            event_id,
            code: scanned.code,
            status: scanned.status,
            ticket_class: scanned.ticket_class,
            gate_ids,
            seat: scanned.seat,
            valid_from,
            valid_until,
            entry_limit: scanned.entry_limit,
            scan_count: scanned.scan_count,
            note: scanned.note,
            inserted_at,
            updated_at,
        }
    }
}

prop_compose! {
    fn passages()(
        (scan_id, gate_id, device_id) in (id(), id(), id()),
        at in times(),
        (gate_name, device_name) in (texts(), texts()),
    ) -> Passage {
        Passage { scan_id, at, gate_id, gate_name, device_id, device_name }
    }
}

/// Ledgers of a random sequence of entries and exits.
fn ledgers() -> impl Strategy<Value = Ledger> {
    prop::collection::vec((passages(), 0..4), 0..6).prop_map(|steps| {
        let mut ledger = Ledger::default();
        for (passage, step) in steps {
            match step {
                0 => drop(ledger.leave(passage, Timestamp::MIN)),
                1 => drop(ledger.admit_without_right(passage, Timestamp::MIN)),
                step => drop(ledger.enter(passage, step == 2, Timestamp::MIN)),
            }
        }
        ledger
    })
}

prop_compose! {
    fn previous_scans()(
        scan_id in id(),
        scanned_at in times(),
        seconds_ago: i64,
        gate in gates(),
        device_name in texts(),
        same_device: bool,
    ) -> PreviousScan {
        PreviousScan { scan_id, scanned_at, seconds_ago, gate, device_name, same_device }
    }
}

fn warnings() -> impl Strategy<Value = Vec<Warning>> {
    prop::collection::vec(variant(Warning::ALL), 0..3)
}

prop_compose! {
    fn answers()(
        scan_id in prop::option::of(id()),
        reason in variant(Reason::ALL),
        replayed: bool,
        direction in variant(Direction::ALL),
        scanned_at in times(),
        session_id in prop::option::of(id()),
        event_id in id(),
        gate in gates(),
        ticket in prop::option::of(tickets()),
        previous_scan in prop::option::of(previous_scans()),
        occupancy in (counts(), counts()),
        (decided_by, warnings, message) in (variant(DecidedBy::ALL), warnings(), texts()),
    ) -> ScanAnswer {
        ScanAnswer {
            scan_id,
            result: reason.result(),
            reason,
            replayed,
            direction,
            scanned_at,
            session_id,
            event_id,
            gate,
            ticket,
            previous_scan,
            occupancy: Occupancy { gate: occupancy.0, event: occupancy.1 },
            decided_by,
            warnings,
            message,
        }
    }
}

fn reason_texts() -> impl Strategy<Value = Option<ReasonText>> {
    prop::option::of(texts()).prop_map(|text| ReasonText::new(text?).ok())
}

prop_compose! {
    fn records()(
        (scan_id, organization_id, event_id, gate_id) in (id(), id(), id(), id()),
        (device_id, api_key_id) in (prop::option::of(id()), prop::option::of(id())),
        ticket_id in prop::option::of(id()),
        ticket_code in prop::option::of(codes()),
        scan_session_id in prop::option::of(id()),
        reason in variant(Reason::ALL),
        would_have_been in prop::option::of(variant(Reason::ALL)),
        (direction, source, decided_by) in
            (variant(Direction::ALL), variant(Source::ALL), variant(DecidedBy::ALL)),
        (scanned_at, device_scanned_at, received_at) in (times(), prop::option::of(times()), times()),
        (forced, undone, undone_by) in (reason_texts(), reason_texts(), prop::option::of(id())),
        local_result in prop::option::of(variant(ScanResult::ALL)),
        metadata in prop::option::of((texts(), texts())),
    ) -> ScanRecord {
        ScanRecord {
            scan_id,
            organization_id,
            ticket_id,
            ticket_code,
            event_id,
            gate_id,
            device_id,
            api_key_id,
            scan_session_id,
            result: reason.result(),
            reason,
            would_have_been: would_have_been.map(Outcome::from),
            direction,
            scanned_at,
            device_scanned_at,
            received_at,
            source,
            decided_by,
            override_: forced.map(|reason| RecordedOverride { reason: Some(reason) }),
            undone: undone.map(|reason| Undone { at: received_at, reason: Some(reason), device_id: undone_by }),
            local_result,
            metadata: metadata.map(|(key, value)| {
                serde_json::from_value(serde_json::json!({ key: value })).expect("small enough")
            }),
        }
    }
}

proptest! {
    #[test]
    fn an_answer_equals_the_text_of_serde(answer in answers()) {
        prop_assert_eq!(answer.to_json(), serde_json::to_string(&answer).expect("JSON"));
    }

    #[test]
    fn a_record_equals_the_text_of_serde(record in records()) {
        prop_assert_eq!(record.to_json(), serde_json::to_string(&record).expect("JSON"));
    }

    #[test]
    fn a_ticket_and_its_history_equal_the_text_of_serde(
        ticket in full_tickets(),
        ledger in ledgers(),
        version: i64,
    ) {
        let facts = TicketFacts { ticket, ledger, version };
        prop_assert_eq!(to_json(&facts), serde_json::to_string(&facts).expect("JSON"));
    }

    #[test]
    fn an_answer_snapshot_equals_the_text_of_serde(
        gate_name in texts(),
        ticket in prop::option::of(tickets()),
        previous_scan in prop::option::of(previous_scans()),
        warnings in warnings(),
        desk_name in prop::option::of(texts()),
    ) {
        let snapshot = AnswerSnapshot { gate_name, ticket, previous_scan, warnings, desk_name };
        prop_assert_eq!(snapshot.to_json(), serde_json::to_string(&snapshot).expect("JSON"));
    }
}
