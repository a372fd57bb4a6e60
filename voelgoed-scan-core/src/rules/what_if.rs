//! Decides the scans of a past event under other settings, scan by scan, by the same [`decide`] as every gate.
//!
//! Every scan is decided as if its gate had been online. What the other settings do not touch stays as it was recorded: a
//! payload that was not valid, a closed gate, a voided ticket. So an event under its own settings has no differences, whatever
//! happened to tickets and gates afterwards.
//!
//! Invariants: pure; the scans come in the order of their times; the memory depends on the tickets and gates and on the undos
//! still to come, not on the number of scans.

#[cfg(test)]
mod tests;
mod undo;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use self::undo::PendingUndos;
use crate::model::{
    Claims, DeviceId, Direction, Event, EventStatus, Gate, GateId, GateStatus, Headcount, LocalTime,
    Movement, Occupancy, Passage, Reason, Reentry, ScanId, ScanResult, Ticket, TicketCode, TicketFacts,
    TicketStatus, TimeZoneName, Timestamp,
};
use crate::rules::batch::{PeopleCount, apply_to_ticket};
use crate::rules::{Allowance, ScanContext, ScanDay, can_be_overridden, decide};

/// The settings that differ. `None` keeps that of the event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OtherSettings {
    /// The re-entry policy.
    pub reentry: Option<Reentry>,
    /// The capacity of the event; `Some(None)` is no limit.
    pub capacity: Option<Option<u32>>,
    /// The capacity of every gate; `Some(None)` is no limit.
    pub gate_capacity: Option<Option<u32>>,
    /// The entry limit of every ticket.
    pub entry_limit: Option<u8>,
    /// The time zone of the days.
    pub time_zone: Option<TimeZoneName>,
    /// When a day begins.
    pub day_starts_at: Option<LocalTime>,
    /// When the doors open; `Some(None)` is no bound.
    pub doors_open_at: Option<Option<Timestamp>>,
    /// When the doors close; `Some(None)` is no bound.
    pub doors_close_at: Option<Option<Timestamp>>,
}

/// A scan as it was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedScan {
    /// The scan.
    pub scan_id: ScanId,
    /// The ticket; `None` where the payload was not valid.
    pub ticket_code: Option<TicketCode>,
    /// The gate.
    pub gate_id: GateId,
    /// The direction.
    pub direction: Direction,
    /// The time.
    pub at: Timestamp,
    /// The reason on record.
    pub reason: Reason,
    /// For an override: the denial that it replaced.
    pub would_have_been: Option<Reason>,
    /// Whether a steward forced the entry, should it be denied.
    pub has_override: bool,
    /// When it was undone.
    pub undone_at: Option<Timestamp>,
}

/// What the record tells of the checks before re-entry and capacity.
enum Recorded {
    /// They passed, so they pass now.
    Passed,
    /// The doors were shut. With other doors, the later checks have to be made by what is known now.
    DoorsShut,
    /// A check failed that the settings do not touch.
    Failed,
}

impl Recorded {
    const fn of(reason: Reason) -> Self {
        match reason {
            Reason::Admitted
            | Reason::Readmitted
            | Reason::Exited
            | Reason::Overridden
            | Reason::AlreadyScanned
            | Reason::EntryLimitReached
            | Reason::AlreadyInside
            | Reason::GateFull
            | Reason::EventFull
            | Reason::NotInside => Self::Passed,
            Reason::DoorsNotOpen | Reason::DoorsClosed => Self::DoorsShut,
            Reason::Malformed
            | Reason::UnknownKey
            | Reason::KeyRevoked
            | Reason::UnsignedNotAllowed
            | Reason::BadSignature
            | Reason::TokenExpired
            | Reason::TokenNotYetValid
            | Reason::TicketNotFound
            | Reason::OtherEvent
            | Reason::GateNotAllowed
            | Reason::TicketUsed
            | Reason::TicketVoided
            | Reason::TicketRefunded
            | Reason::TicketNotYetValid
            | Reason::TicketExpired
            | Reason::EventNotLive
            | Reason::EventCancelled
            | Reason::EventPostponed
            | Reason::GateClosed => Self::Failed,
        }
    }
}

/// A gate as it is, and as one that passes the checks that passed.
struct WhatIfGate {
    known: Gate,
    passing: Gate,
}

/// The same of a ticket. `passing` has the ledger.
struct WhatIfTicket {
    known: Option<Box<Ticket>>,
    passing: TicketFacts,
}

/// An event whose scans are decided under other settings.
pub struct WhatIfEvent {
    settings: OtherSettings,
    dedup_window: Duration,
    event: Event,
    gates: HashMap<GateId, WhatIfGate>,
    tickets: HashMap<TicketCode, WhatIfTicket>,
    inside: BTreeMap<GateId, PeopleCount>,
    undos: PendingUndos,
}

impl WhatIfEvent {
    /// The event before its first scan.
    #[must_use]
    pub fn new(
        mut event: Event,
        gates: impl IntoIterator<Item = Gate>,
        settings: OtherSettings,
        dedup_window: Duration,
    ) -> Self {
        // The status at that time is known from the record alone.
        event.status = EventStatus::Live;
        if settings.doors_open_at.is_none() && settings.doors_close_at.is_none() {
            (event.doors_open_at, event.doors_close_at) = (None, None);
        }
        event.doors_open_at = settings.doors_open_at.unwrap_or(event.doors_open_at);
        event.doors_close_at = settings.doors_close_at.unwrap_or(event.doors_close_at);
        event.reentry = settings.reentry.unwrap_or(event.reentry);
        event.capacity = settings.capacity.unwrap_or(event.capacity);
        event.day_starts_at = settings.day_starts_at.unwrap_or(event.day_starts_at);
        if let Some(zone) = &settings.time_zone {
            event.time_zone = zone.clone();
        }
        let gates = gates.into_iter().map(|mut gate| {
            gate.capacity = settings.gate_capacity.unwrap_or(gate.capacity);
            let passing = Gate {
                status: GateStatus::Open,
                ticket_classes: None,
                ..gate.clone()
            };
            (gate.id, WhatIfGate { known: gate, passing })
        });
        Self {
            gates: gates.collect(),
            settings,
            dedup_window,
            event,
            tickets: HashMap::new(),
            inside: BTreeMap::new(),
            undos: PendingUndos::default(),
        }
    }

    /// Adds a ticket of the event. Its history begins empty.
    pub fn add_ticket(&mut self, mut ticket: Ticket) {
        ticket.entry_limit = self.settings.entry_limit.unwrap_or(ticket.entry_limit);
        ticket.scan_count = 0;
        ticket.status = ticket.status.after_admissions(0);
        (ticket.seat, ticket.note) = (None, None);
        let has_doors = self.settings.doors_open_at.is_some() || self.settings.doors_close_at.is_some();
        let known = has_doors.then(|| Box::new(ticket.clone()));
        let passing = Ticket {
            status: TicketStatus::Active,
            gate_ids: None,
            valid_from: None,
            valid_until: None,
            ..ticket
        };
        self.tickets.insert(
            passing.code,
            WhatIfTicket {
                known,
                passing: TicketFacts {
                    ticket: passing,
                    ledger: crate::model::Ledger::default(),
                    version: 0,
                },
            },
        );
    }

    /// Decides the next scan. `None` if the gate or the ticket is not known, so that it cannot be decided.
    pub fn decide(&mut self, scan: &RecordedScan) -> Option<Reason> {
        self.undo_until(scan.at);
        let recorded = scan.would_have_been.unwrap_or(scan.reason);
        let has_other_doors = self.settings.doors_open_at.is_some() || self.settings.doors_close_at.is_some();
        let evidence = Recorded::of(recorded);
        let is_decided_anew = match evidence {
            Recorded::Passed => true,
            Recorded::DoorsShut => has_other_doors,
            Recorded::Failed => false,
        };
        if !is_decided_anew && scan.reason.result() != ScanResult::Valid {
            return Some(scan.reason);
        }
        let code = scan.ticket_code?;
        let gate = self.gates.get(&scan.gate_id)?;
        let ticket = self.tickets.get(&code)?;
        let ledger = &ticket.passing.ledger;
        let at = ledger
            .last_passage()
            .map_or(scan.at, |last| last.at.plus_millis(1).max(scan.at));
        let day = ScanDay::new(self.event.day(at), Timestamp::MIN, Timestamp::MIN);
        let gate = match evidence {
            Recorded::DoorsShut => &gate.known,
            Recorded::Passed | Recorded::Failed => &gate.passing,
        };
        let context = ScanContext {
            now: scan.at,
            direction: scan.direction,
            event: &self.event,
            gate,
            occupancy: Some(self.occupancy(gate, day)),
            dedup_window: self.dedup_window,
            day,
        };
        let claims = Claims {
            ticket_code: Some(code),
            ..Claims::default()
        };
        let first = if is_decided_anew {
            match (&evidence, &ticket.known) {
                (Recorded::DoorsShut, Some(known)) => {
                    let facts = TicketFacts {
                        ticket: (**known).clone(),
                        ..ticket.passing.clone()
                    };
                    decide(&context, &claims, Some(&facts))
                }
                _ => decide(&context, &claims, Some(&ticket.passing)),
            }
        } else {
            recorded
        };
        let is_forced = scan.has_override && can_be_overridden(first, scan.direction);
        let reason = if is_forced { Reason::Overridden } else { first };
        if reason.result() == ScanResult::Valid {
            let allowance = context.allowance(&ticket.passing);
            self.pass(scan, code, reason, at, allowance);
        }
        Some(reason)
    }

    fn occupancy(&self, gate: &Gate, day: ScanDay) -> Occupancy {
        let inside = |count: &PeopleCount| count.inside(day.counted_since);
        Occupancy {
            gate: Headcount {
                inside: self.inside.get(&gate.id).map_or(0, inside),
                capacity: gate.capacity,
            },
            event: Headcount {
                inside: self.inside.values().map(inside).sum(),
                capacity: self.event.capacity,
            },
        }
    }

    fn pass(
        &mut self,
        scan: &RecordedScan,
        code: TicketCode,
        reason: Reason,
        at: Timestamp,
        allowance: Allowance,
    ) {
        let Some(ticket) = self.tickets.get_mut(&code) else {
            return;
        };
        let passage = Passage {
            scan_id: scan.scan_id,
            at,
            gate_id: scan.gate_id,
            gate_name: String::new(),
            device_id: DeviceId::from_uuid(uuid::Uuid::nil()),
            device_name: String::new(),
        };
        let undone_at = scan.undone_at.filter(|_| scan.direction == Direction::Entry);
        if let Some(undone_at) = undone_at {
            self.undos
                .expect(undone_at, scan.scan_id, code, &ticket.passing.ledger);
        }
        let movements = apply_to_ticket(reason, passage.clone(), &mut ticket.passing, &allowance);
        for movement in &movements {
            move_people(&mut self.inside, movement);
        }
        self.undos.note(code, reason, passage, allowance, movements);
    }

    /// Undoes what had been undone before this time.
    fn undo_until(&mut self, at: Timestamp) {
        while let Some((code, scan)) = self.undos.next_until(at) {
            let Some(ticket) = self.tickets.get_mut(&code) else {
                continue;
            };
            for movement in self.undos.undo(code, scan, &mut ticket.passing) {
                move_people(&mut self.inside, &movement);
            }
        }
    }
}

fn move_people(inside: &mut BTreeMap<GateId, PeopleCount>, movement: &Movement) {
    inside
        .entry(movement.gate_id)
        .or_insert(PeopleCount {
            since: Timestamp::MIN,
            inside: 0,
        })
        .add_movement(movement);
}
