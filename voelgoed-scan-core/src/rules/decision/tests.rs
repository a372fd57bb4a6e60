use std::collections::HashSet;

use uuid::Uuid;

use super::*;
use crate::model::{
    ClassName, EventId, EventStatus, GateId, Headcount, Ledger, LocalTime, Passage, Reentry, ScanId,
    ScanResult, Ticket, TicketCode, TicketId, TicketStatus, TimeZoneName, Window,
};

pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_795_370_400_000);
pub(crate) const WINDOW: Duration = Duration::from_mins(5);

fn uuid(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn class(name: &str) -> ClassName {
    name.parse().expect("a class")
}

/// A live event without limits.
pub(crate) fn event() -> Event {
    Event {
        id: EventId::from_uuid(uuid(2)),
        organization_id: OrganizationId::from_uuid(uuid(1)),
        name: "Concert".parse().expect("a name"),
        status: EventStatus::Live,
        starts_at: None,
        ends_at: None,
        doors_open_at: None,
        doors_close_at: None,
        rescheduled_at: None,
        time_zone: TimeZoneName::default(),
        day_starts_at: LocalTime::default(),
        capacity: None,
        reentry: Reentry::Never,
        allow_unsigned: false,
        allow_media: false,
        rehearsal: false,
        ticket_classes: Vec::new(),
        stale_manifest: crate::model::StaleManifest::Warn,
        manifest_max_age_s: 43_200,
        inserted_at: NOW,
        updated_at: NOW,
    }
}

/// An open gate of the event.
pub(crate) fn gate(number: u128) -> Gate {
    Gate {
        id: GateId::from_uuid(uuid(number)),
        organization_id: event().organization_id,
        event_id: event().id,
        name: "Main".parse().expect("a name"),
        code: None,
        status: GateStatus::Open,
        capacity: None,
        ticket_classes: None,
        inserted_at: NOW,
        updated_at: NOW,
    }
}

/// An unused ticket of the event.
pub(crate) fn ticket() -> TicketFacts {
    TicketFacts {
        ticket: Ticket {
            id: TicketId::from_uuid(uuid(4)),
            organization_id: event().organization_id,
            event_id: event().id,
            code: "3KQR7F924M1XaB0z".parse().expect("a code"),
            status: TicketStatus::Active,
            ticket_class: None,
            gate_ids: None,
            seat: None,
            valid_from: None,
            valid_until: None,
            entry_limit: 1,
            scan_count: 0,
            note: None,
            inserted_at: NOW,
            updated_at: NOW,
        },
        ledger: Ledger::default(),
        version: 1,
    }
}

pub(crate) fn passage(number: u128, seconds: i64) -> Passage {
    Passage {
        scan_id: ScanId::from_uuid(uuid(number)),
        at: NOW.plus_millis(seconds * 1000),
        gate_id: gate(3).id,
        gate_name: "Main".to_owned(),
        device_id: crate::model::DeviceId::from_uuid(uuid(5)),
        device_name: "Scanner".to_owned(),
    }
}

/// The input of a decision. The default ticket is admitted.
struct Case {
    direction: Direction,
    event: Event,
    gate: Gate,
    inside: (i64, i64),
    claims: Claims,
    facts: Option<TicketFacts>,
    occupancy_known: bool,
}

impl Case {
    fn entry() -> Self {
        Self {
            direction: Direction::Entry,
            event: event(),
            gate: gate(3),
            inside: (10, 20),
            claims: Claims {
                ticket_code: Some(ticket().ticket.code),
                ..Claims::default()
            },
            facts: Some(ticket()),
            occupancy_known: true,
        }
    }

    fn ticket(&mut self) -> &mut Ticket {
        &mut self.facts.as_mut().expect("a ticket").ticket
    }

    /// Adds an entry at this many seconds from now.
    fn entered(&mut self, seconds: i64) {
        let ledger = &mut self.facts.as_mut().expect("a ticket").ledger;
        ledger.enter(passage(100, seconds), true, Timestamp::MIN);
    }

    fn left(&mut self, seconds: i64) {
        let ledger = &mut self.facts.as_mut().expect("a ticket").ledger;
        ledger
            .leave(passage(101, seconds), Timestamp::MIN)
            .expect("somebody inside");
    }

    fn reason(&self) -> Reason {
        let headcount = |inside, capacity| Headcount { inside, capacity };
        let occupancy = Occupancy {
            gate: headcount(self.inside.0, self.gate.capacity),
            event: headcount(self.inside.1, self.event.capacity),
        };
        let context = ScanContext {
            now: NOW,
            direction: self.direction,
            event: &self.event,
            gate: &self.gate,
            occupancy: self.occupancy_known.then_some(occupancy),
            dedup_window: WINDOW,
            day: ScanDay::new(self.event.day(NOW), Timestamp::MIN, Timestamp::MIN),
        };
        decide(&context, &self.claims, self.facts.as_ref())
    }
}

type Change = fn(&mut Case);

/// A change that makes each check fail, in the order of the checks. The changes are independent of each other.
const FAILURES: &[(Reason, Change)] = &[
    (Reason::TokenNotYetValid, |case| {
        case.claims.window = Window::new(Some(NOW.plus_millis(1)), None);
    }),
    (Reason::TicketNotFound, |case| {
        case.claims.ticket_id = Some(TicketId::from_uuid(uuid(99)));
    }),
    (Reason::OtherEvent, |case| {
        case.claims.event_id = Some(EventId::from_uuid(uuid(99)));
    }),
    (Reason::EventNotLive, |case| {
        case.event.status = EventStatus::Ended;
    }),
    (Reason::GateClosed, |case| case.gate.status = GateStatus::Closed),
    (Reason::GateNotAllowed, |case| {
        case.ticket().gate_ids = Some(vec![gate(99).id]);
    }),
    (Reason::TicketVoided, |case| {
        case.ticket().status = TicketStatus::Voided;
    }),
    (Reason::TicketNotYetValid, |case| {
        case.ticket().valid_from = Some(NOW.plus_millis(1));
    }),
    (Reason::AlreadyScanned, |case| case.entered(-1)),
    (Reason::GateFull, |case| case.gate.capacity = Some(10)),
    (Reason::EventFull, |case| case.event.capacity = Some(20)),
];

#[test]
fn the_first_check_that_fails_decides() {
    assert_eq!(Case::entry().reason(), Reason::Admitted);
    for (from, (expected, change)) in FAILURES.iter().enumerate() {
        let mut alone = Case::entry();
        change(&mut alone);
        assert_eq!(alone.reason(), *expected, "alone");
        let mut with_later_failures = Case::entry();
        for (_, change) in &FAILURES[from..] {
            change(&mut with_later_failures);
        }
        assert_eq!(with_later_failures.reason(), *expected, "with all later failures");
    }
}

/// Further changes and their reasons, including admissions at the limits.
const OTHERS: &[(Reason, Change)] = &[
    (Reason::TokenExpired, |case| {
        case.claims.window = Window::new(None, Some(NOW.plus_millis(-1)));
    }),
    (Reason::Admitted, |case| {
        case.claims.window = Window::new(Some(NOW), Some(NOW));
    }),
    (Reason::TicketNotFound, |case| case.facts = None),
    (Reason::TicketNotFound, |case| {
        case.claims.ticket_code = Some(TicketCode::generate());
    }),
    (Reason::TicketNotFound, |case| {
        case.claims.organization_id = Some(OrganizationId::from_uuid(uuid(99)));
    }),
    (Reason::TicketNotFound, |case| {
        case.ticket().organization_id = OrganizationId::from_uuid(uuid(99));
    }),
    (Reason::OtherEvent, |case| {
        case.ticket().event_id = EventId::from_uuid(uuid(99));
    }),
    (Reason::OtherEvent, |case| {
        // The claim matches the ticket but not the session.
        case.ticket().event_id = EventId::from_uuid(uuid(99));
        case.claims.event_id = Some(EventId::from_uuid(uuid(99)));
    }),
    (Reason::EventNotLive, |case| {
        case.event.status = EventStatus::Draft;
    }),
    (Reason::EventNotLive, |case| {
        case.event.status = EventStatus::Published;
    }),
    (Reason::EventNotLive, |case| {
        case.event.status = EventStatus::Archived;
    }),
    (Reason::EventCancelled, |case| {
        case.event.status = EventStatus::Cancelled;
    }),
    (Reason::EventPostponed, |case| {
        case.event.status = EventStatus::Postponed;
    }),
    (Reason::Admitted, |case| {
        case.event.status = EventStatus::Postponed;
        case.event.rescheduled_at = Some(NOW);
    }),
    (Reason::DoorsNotOpen, |case| {
        // Check 6 comes before check 7.
        case.event.doors_open_at = Some(NOW.plus_millis(1));
        case.gate.status = GateStatus::Closed;
    }),
    (Reason::DoorsClosed, |case| {
        case.event.doors_close_at = Some(NOW.plus_millis(-1));
    }),
    (Reason::Admitted, |case| {
        case.event.doors_open_at = Some(NOW);
        case.event.doors_close_at = Some(NOW);
    }),
    (Reason::GateNotAllowed, |case| {
        case.ticket().gate_ids = Some(Vec::new());
    }),
    (Reason::GateNotAllowed, |case| {
        case.gate.ticket_classes = Some(vec![class("VIP")]);
    }),
    (Reason::GateNotAllowed, |case| {
        case.gate.ticket_classes = Some(vec![class("VIP")]);
        case.ticket().ticket_class = Some(class("Plain"));
    }),
    (Reason::Admitted, |case| {
        case.gate.ticket_classes = Some(vec![class("Plain"), class("VIP")]);
        case.ticket().ticket_class = Some(class("VIP"));
        case.ticket().gate_ids = Some(vec![gate(99).id, gate(3).id]);
    }),
    (Reason::TicketUsed, |case| {
        case.ticket().status = TicketStatus::Used;
    }),
    (Reason::TicketRefunded, |case| {
        case.ticket().status = TicketStatus::Refunded;
    }),
    (Reason::Admitted, |case| {
        case.ticket().status = TicketStatus::Scanned;
    }),
    (Reason::TicketExpired, |case| {
        case.ticket().valid_until = Some(NOW.plus_millis(-1));
    }),
    (Reason::Admitted, |case| {
        case.ticket().valid_from = Some(NOW);
        case.ticket().valid_until = Some(NOW);
    }),
    (Reason::Admitted, |case| case.gate.capacity = Some(11)),
    (Reason::GateFull, |case| case.gate.capacity = Some(0)),
    (Reason::EventFull, |case| case.event.capacity = Some(0)),
    (Reason::Admitted, |case| {
        case.occupancy_known = false;
        case.gate.capacity = Some(0);
        case.event.capacity = Some(0);
    }),
    // Duplicates and re-entry, by policy and entry limit.
    (Reason::EntryLimitReached, |case| {
        case.ticket().entry_limit = 2;
        case.entered(-2);
        case.entered(-1);
    }),
    (Reason::Admitted, |case| {
        case.ticket().entry_limit = 2;
        case.entered(-1);
    }),
    (Reason::AlreadyScanned, |case| {
        case.entered(-1_000_000);
        case.left(-900_000);
    }),
    (Reason::AlreadyScanned, |case| {
        case.event.reentry = Reentry::AfterWindow;
        case.entered(-300);
        case.left(-1);
    }),
    (Reason::Readmitted, |case| {
        case.event.reentry = Reentry::AfterWindow;
        case.entered(-301);
    }),
    (Reason::EntryLimitReached, |case| {
        case.event.reentry = Reentry::AfterWindow;
        case.ticket().entry_limit = 2;
        case.entered(-300);
        case.entered(-1);
    }),
    (Reason::AlreadyInside, |case| {
        case.event.reentry = Reentry::AfterExit;
        case.entered(-1_000_000);
    }),
    (Reason::Readmitted, |case| {
        case.event.reentry = Reentry::AfterExit;
        case.entered(-2);
        case.left(-1);
    }),
    (Reason::EntryLimitReached, |case| {
        case.event.reentry = Reentry::AfterExit;
        case.ticket().entry_limit = 2;
        case.entered(-2);
        case.entered(-1);
    }),
    (Reason::GateFull, |case| {
        case.event.reentry = Reentry::AfterExit;
        case.gate.capacity = Some(10);
        case.entered(-2);
        case.left(-1);
    }),
    (Reason::Readmitted, |case| {
        // The holder left without an exit scan. The readmission adds no person, so that the capacity does not matter.
        case.event.reentry = Reentry::AfterWindow;
        case.gate.capacity = Some(10);
        case.entered(-301);
    }),
    // Exits.
    (Reason::NotInside, |case| case.direction = Direction::Exit),
    (Reason::NotInside, |case| {
        case.direction = Direction::Exit;
        case.entered(-2);
        case.left(-1);
    }),
    (Reason::Exited, |case| {
        // No other check denies an exit.
        case.direction = Direction::Exit;
        case.entered(-1);
        case.claims.window = Window::new(None, Some(NOW.plus_millis(-1)));
        case.event.status = EventStatus::Cancelled;
        case.event.doors_close_at = Some(NOW.plus_millis(-1));
        case.gate.status = GateStatus::Closed;
        case.gate.capacity = Some(0);
        case.ticket().gate_ids = Some(Vec::new());
        case.ticket().status = TicketStatus::Voided;
        case.ticket().valid_until = Some(NOW.plus_millis(-1));
    }),
    (Reason::TicketNotFound, |case| {
        case.direction = Direction::Exit;
        case.facts = None;
    }),
    (Reason::OtherEvent, |case| {
        case.direction = Direction::Exit;
        case.entered(-1);
        case.ticket().event_id = EventId::from_uuid(uuid(99));
    }),
];

#[test]
fn every_reason_of_a_decision_has_a_case() {
    for (row, (expected, change)) in OTHERS.iter().enumerate() {
        let mut case = Case::entry();
        change(&mut case);
        assert_eq!(case.reason(), *expected, "row {row}");
    }
    let decided: HashSet<_> = FAILURES.iter().chain(OTHERS).map(|(reason, _)| *reason).collect();
    let elsewhere = [
        Reason::Overridden,
        Reason::Malformed,
        Reason::UnknownKey,
        Reason::KeyRevoked,
        Reason::UnsignedNotAllowed,
        Reason::BadSignature,
    ];
    for &reason in Reason::ALL {
        assert_ne!(decided.contains(&reason), elsewhere.contains(&reason), "{reason}");
    }
}

#[test]
fn an_override_forces_entries_that_are_duplicates_or_refused() {
    for &reason in Reason::ALL {
        let forced = matches!(reason.result(), ScanResult::Duplicate | ScanResult::Refused);
        assert_eq!(can_be_overridden(reason, Direction::Entry), forced, "{reason}");
        assert!(!can_be_overridden(reason, Direction::Exit), "{reason}");
    }
}
