//! Compares events under other settings with a small model, which knows neither ledgers nor `decide`.

use std::collections::HashMap;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::rules::decision::tests::{NOW, WINDOW, event, gate, ticket};

const DAY: i64 = 86_400;

/// The settings of an event.
#[derive(Debug, Clone, Copy)]
struct Rules {
    reentry: Reentry,
    capacity: Option<u32>,
    limit: usize,
}

/// A scan of a generated event. Times are seconds after [`NOW`].
#[derive(Debug, Clone, Copy)]
struct Step {
    ticket: usize,
    gate: u128,
    direction: Direction,
    at: i64,
    has_override: bool,
    undone_after: Option<i64>,
}

/// A person inside: the gate, the time of the entry, its number.
type Person = (u128, i64, usize);

/// What a ticket did.
#[derive(Debug, Default)]
struct Past {
    admissions: Vec<(i64, usize)>,
    inside: Vec<Person>,
}

/// The model: lists of admissions and of people inside.
struct Model {
    rules: Rules,
    tickets: HashMap<usize, Past>,
}

/// The start of the day in UTC, in seconds after [`NOW`].
fn day_of(at: i64) -> i64 {
    let offset = NOW.as_millis() / 1000;
    (at + offset).div_euclid(DAY) * DAY - offset
}

impl Model {
    fn decide(&mut self, step: &Step, number: usize) -> Reason {
        if self.rules.reentry == Reentry::Daily {
            for past in self.tickets.values_mut() {
                past.inside.retain(|(_, entered, _)| *entered >= day_of(step.at));
            }
        }
        let everybody: usize = self.tickets.values().map(|past| past.inside.len()).sum();
        let Rules {
            reentry,
            capacity,
            limit,
        } = self.rules;
        let past = self.tickets.entry(step.ticket).or_default();
        if step.direction == Direction::Exit {
            let own_gate = past.inside.iter().rposition(|(gate, ..)| *gate == step.gate);
            let Some(index) = own_gate.or(past.inside.len().checked_sub(1)) else {
                return Reason::NotInside;
            };
            past.inside.remove(index);
            return Reason::Exited;
        }
        let window = i64::try_from(WINDOW.as_secs()).expect("a small number");
        let since = |from: i64| past.admissions.iter().filter(|(at, _)| *at >= from).count();
        let counted = match reentry {
            Reentry::Never => past.admissions.len(),
            Reentry::AfterExit => past.inside.len(),
            Reentry::AfterWindow => since(step.at - window),
            Reentry::Daily => since(day_of(step.at)),
        };
        let is_readmission = past.admissions.len() >= limit;
        let adds_person = !(is_readmission && reentry == Reentry::AfterWindow && past.inside.len() >= limit);
        let is_full = capacity.is_some_and(|capacity| everybody >= capacity as usize);
        let denial = if counted >= limit {
            Some(match (limit, reentry) {
                (1, Reentry::AfterExit) => Reason::AlreadyInside,
                (1, _) => Reason::AlreadyScanned,
                _ => Reason::EntryLimitReached,
            })
        } else if adds_person && is_full {
            Some(Reason::EventFull)
        } else {
            None
        };
        let reason = match denial {
            Some(_) if step.has_override => Reason::Overridden,
            Some(denial) => return denial,
            None if is_readmission => Reason::Readmitted,
            None => Reason::Admitted,
        };
        if reason == Reason::Readmitted && !adds_person {
            past.inside.remove(0);
        }
        past.admissions.push((step.at, number));
        past.inside.push((step.gate, step.at, number));
        reason
    }
}

/// The reasons of an event by the model. An event with undos has no exits and no window, so that taking a person out is all that an
/// undo does.
fn model(steps: &[Step], rules: Rules) -> Vec<(Reason, Option<Reason>)> {
    let mut model = Model {
        rules,
        tickets: HashMap::new(),
    };
    let mut undos: Vec<(i64, usize, usize)> = Vec::new();
    let mut reasons = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        undos.retain(|&(at, ticket, scan)| {
            let is_due = at <= step.at;
            if is_due && let Some(past) = model.tickets.get_mut(&ticket) {
                past.admissions.retain(|(_, number)| *number != scan);
                past.inside.retain(|(_, _, number)| *number != scan);
            }
            !is_due
        });
        let denied_as = |model: &mut Model| {
            let plain = Step {
                has_override: false,
                ..*step
            };
            // A denial changes nothing.
            model.decide(&plain, number)
        };
        let reason = model.decide(step, number);
        let would_have_been = (reason == Reason::Overridden).then(|| {
            let past = model.tickets.get_mut(&step.ticket).expect("it was admitted");
            let (admission, person) = (past.admissions.pop(), past.inside.pop());
            let denial = denied_as(&mut model);
            let past = model.tickets.get_mut(&step.ticket).expect("it was admitted");
            past.admissions.extend(admission);
            past.inside.extend(person);
            denial
        });
        if let Some(after) = step.undone_after
            && reason.result() == ScanResult::Valid
            && step.direction == Direction::Entry
        {
            undos.push((step.at + after, step.ticket, number));
        }
        reasons.push((reason, would_have_been));
    }
    reasons
}

fn code(number: usize) -> TicketCode {
    format!("{number:016}").parse().expect("a code")
}

/// The event by [`WhatIfEvent`]: recorded as `recorded` says, decided under `settings`.
fn what_if(
    steps: &[Step],
    recorded: &[(Reason, Option<Reason>)],
    own: Rules,
    settings: OtherSettings,
) -> Vec<Reason> {
    let mut event = event();
    (event.reentry, event.capacity) = (own.reentry, own.capacity);
    let mut what_if_event = WhatIfEvent::new(event, [gate(3), gate(4)], settings, WINDOW);
    for number in 0..TICKETS {
        let mut ticket = ticket().ticket;
        ticket.id = crate::model::TicketId::from_uuid(Uuid::from_u128(1000 + number as u128));
        ticket.code = code(number);
        ticket.entry_limit = u8::try_from(own.limit).expect("a small limit");
        // What happened to the ticket afterwards does not matter.
        ticket.status = TicketStatus::Voided;
        what_if_event.add_ticket(ticket);
    }
    let decide =
        |(number, (step, (reason, would_have_been))): (usize, (&Step, &(Reason, Option<Reason>)))| {
            let at = NOW.plus_millis(step.at * 1000);
            let is_admission = reason.result() == ScanResult::Valid && step.direction == Direction::Entry;
            let scan = RecordedScan {
                scan_id: ScanId::from_uuid(Uuid::from_u128(number as u128)),
                ticket_code: Some(code(step.ticket)),
                gate_id: gate(step.gate).id,
                direction: step.direction,
                at,
                reason: *reason,
                would_have_been: *would_have_been,
                has_override: step.has_override,
                undone_at: step
                    .undone_after
                    .filter(|_| is_admission)
                    .map(|after| at.plus_millis(after * 1000)),
            };
            what_if_event.decide(&scan).expect("it can be decided")
        };
    steps.iter().zip(recorded).enumerate().map(decide).collect()
}

const TICKETS: usize = 6;

fn rules() -> impl Strategy<Value = Rules> {
    let reentry = prop::sample::select(Reentry::ALL);
    (reentry, prop::option::of(0..6_u32), 1..3_usize).prop_map(|(reentry, capacity, limit)| Rules {
        reentry,
        capacity,
        limit,
    })
}

/// The scans of up to two days. The scans are some seconds to some hours apart.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0..TICKETS, 3..5_u128, any::<bool>(), 1..4_000_i64, 0..10_u8);
    prop::collection::vec(step, 1..60).prop_map(|steps| {
        let mut at = 0;
        let step = |(ticket, gate, is_exit, pause, forced): (usize, u128, bool, i64, u8)| {
            at += pause;
            Step {
                ticket,
                gate,
                direction: if is_exit {
                    Direction::Exit
                } else {
                    Direction::Entry
                },
                at,
                has_override: forced == 0 && !is_exit,
                undone_after: None,
            }
        };
        steps.into_iter().map(step).collect()
    })
}

proptest! {
    #[test]
    fn an_event_under_its_own_settings_has_no_differences(steps in steps(), own in rules()) {
        let recorded = model(&steps, own);
        let now = what_if(&steps, &recorded, own, OtherSettings::default());
        let before: Vec<_> = recorded.iter().map(|(reason, _)| *reason).collect();
        prop_assert_eq!(now, before);
    }

    #[test]
    fn an_event_under_other_settings_is_what_the_model_decides(steps in steps(), own in rules(), other in rules()) {
        let recorded = model(&steps, own);
        let settings = OtherSettings {
            reentry: Some(other.reentry),
            capacity: Some(other.capacity),
            entry_limit: Some(u8::try_from(other.limit).expect("a small limit")),
            ..OtherSettings::default()
        };
        let now = what_if(&steps, &recorded, own, settings);
        let expected: Vec<_> = model(&steps, other).into_iter().map(|(reason, _)| reason).collect();
        prop_assert_eq!(now, expected);
    }

    #[test]
    fn an_undone_admission_counts_until_its_undo(
        steps in steps(),
        undos in prop::collection::vec(prop::option::of(1..9_000_i64), 60),
        capacity in prop::option::of(0..6_u32),
        limit in 1..3_usize,
        other_capacity in prop::option::of(0..6_u32),
    ) {
        let steps: Vec<_> = steps
            .into_iter()
            .zip(undos)
            .map(|(step, undone_after)| Step {
                direction: Direction::Entry,
                has_override: false,
                undone_after,
                ..step
            })
            .collect();
        let own = Rules { reentry: Reentry::Never, capacity, limit };
        let recorded = model(&steps, own);
        let before: Vec<_> = recorded.iter().map(|(reason, _)| *reason).collect();
        prop_assert_eq!(what_if(&steps, &recorded, own, OtherSettings::default()), before);
        // Under another capacity, only what was admitted on record has an undo.
        let undone: Vec<_> = steps
            .iter()
            .zip(&recorded)
            .map(|(step, (reason, _))| Step {
                undone_after: step.undone_after.filter(|_| *reason == Reason::Admitted),
                ..*step
            })
            .collect();
        let settings = OtherSettings { capacity: Some(other_capacity), ..OtherSettings::default() };
        let expected: Vec<_> = model(&undone, Rules { capacity: other_capacity, ..own })
            .into_iter()
            .map(|(reason, _)| reason)
            .collect();
        prop_assert_eq!(what_if(&steps, &recorded, own, settings), expected);
    }
}

/// An event with one ticket and one scan that was denied for `reason`, under settings.
fn one_denial(reason: Reason, change: impl FnOnce(&mut Ticket), settings: OtherSettings) -> Option<Reason> {
    let mut what_if_event = WhatIfEvent::new(event(), [gate(3)], settings, WINDOW);
    let mut only = ticket().ticket;
    change(&mut only);
    what_if_event.add_ticket(only);
    what_if_event.decide(&RecordedScan {
        scan_id: ScanId::from_uuid(Uuid::from_u128(1)),
        ticket_code: Some(ticket().ticket.code),
        gate_id: gate(3).id,
        direction: Direction::Entry,
        at: NOW,
        reason,
        would_have_been: None,
        has_override: false,
        undone_at: None,
    })
}

#[test]
fn a_denial_that_the_settings_do_not_touch_stays() {
    let none = OtherSettings::default;
    for &reason in Reason::ALL {
        let stays = match Recorded::of(reason) {
            Recorded::Failed | Recorded::DoorsShut => true,
            Recorded::Passed => false,
        };
        let now = one_denial(reason, |_| {}, none());
        assert_eq!(
            now,
            Some(if stays { reason } else { Reason::Admitted }),
            "{reason}"
        );
    }
}

#[test]
fn other_doors_let_in_whom_the_later_checks_let_in() {
    let open = |from: i64| OtherSettings {
        doors_open_at: Some(Some(NOW.plus_millis(from))),
        ..OtherSettings::default()
    };
    let shut = Reason::DoorsNotOpen;
    assert_eq!(one_denial(shut, |_| {}, open(0)), Some(Reason::Admitted));
    assert_eq!(one_denial(shut, |_| {}, open(1)), Some(shut));
    assert_eq!(one_denial(Reason::Admitted, |_| {}, open(1)), Some(shut));
    let voided = |ticket: &mut Ticket| ticket.status = TicketStatus::Voided;
    assert_eq!(one_denial(shut, voided, open(0)), Some(Reason::TicketVoided));
    assert_eq!(
        one_denial(Reason::Admitted, voided, open(0)),
        Some(Reason::Admitted)
    );
}

#[test]
fn a_scan_of_an_unknown_ticket_or_gate_cannot_be_decided() {
    let other = |ticket: &mut Ticket| ticket.code = code(7);
    assert_eq!(
        one_denial(Reason::AlreadyScanned, other, OtherSettings::default()),
        None
    );
    assert_eq!(
        one_denial(Reason::TicketVoided, other, OtherSettings::default()),
        Some(Reason::TicketVoided)
    );
}
