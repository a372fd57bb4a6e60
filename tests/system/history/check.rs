//! Is a recorded history one that an honest gate could have?
//!
//! Everything here holds whatever order the calls took effect in: what was answered before a moment happened, what was
//! not yet begun did not.

use std::collections::{BTreeMap, BTreeSet};

use voelgoed_scan_core::model::Timestamp;

/// What a ticket allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Policy {
    /// So many admissions ever.
    Never(usize),
    /// So many inside.
    AfterExit(usize),
    /// So many within the milliseconds before each, both ends included.
    AfterWindow(usize, i64),
}

/// The node that is killed: denials that its tiers gave a moment before are lost with it, and decided anew.
pub(super) const KILLED: usize = 2;

fn millis(text: &str) -> i64 {
    let at: Timestamp = text.parse().expect("a time");
    at.as_millis()
}

/// What a client asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Entry,
    Exit,
    Undo,
}

/// What a decision says, as far as it must never change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decision {
    pub(super) valid: bool,
    pub(super) reason: String,
    pub(super) scanned_at: String,
    pub(super) replayed: bool,
    /// Of a tier, which may give its denial to a scan that another node denied a moment before.
    pub(super) by_tier: bool,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Nothing, or that the gate cannot say: nobody knows whether it happened.
    Unknown,
    Decided(Decision),
    /// 409: this scan was undone.
    ScanUndone,
    /// 200 to an undo.
    Undone,
    /// An undo that was refused.
    Refused,
    /// What no honest gate says.
    Unexpected(String),
}

/// A call at a node, from its beginning to its end, in microseconds of one clock.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) began: u64,
    pub(super) ended: u64,
    pub(super) node: usize,
    pub(super) kind: Kind,
    pub(super) scan_id: String,
    pub(super) ticket: String,
    pub(super) outcome: Outcome,
}

/// A scan on record when all was over.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) ticket: String,
    pub(super) exit: bool,
    pub(super) valid: bool,
    pub(super) reason: String,
    pub(super) undone: bool,
    pub(super) scanned_at: String,
}

/// What happened, and what is on record.
#[derive(Debug, Clone, Default)]
pub(super) struct History {
    pub(super) policies: BTreeMap<String, Policy>,
    pub(super) calls: Vec<Call>,
    pub(super) records: BTreeMap<String, Record>,
    /// Entries, exits and people inside, as the gate counts them.
    pub(super) counted: (i64, i64, i64),
}

/// Everything that an honest gate would not have done.
pub(super) fn check(history: &History) -> Vec<String> {
    let mut faults = Vec::new();
    answers(history, &mut faults);
    acknowledged(history, &mut faults);
    policies(history, &mut faults);
    on_record(history, &mut faults);
    occupancy(history, &mut faults);
    faults
}

fn decided(call: &Call) -> Option<&Decision> {
    match &call.outcome {
        Outcome::Decided(decision) => Some(decision),
        _ => None,
    }
}

/// A scan id has one answer, on whichever node.
fn answers(history: &History, faults: &mut Vec<String>) {
    let mut by_scan: BTreeMap<&str, Vec<&Call>> = BTreeMap::new();
    for call in &history.calls {
        if let Outcome::Unexpected(what) = &call.outcome {
            faults.push(format!("unexpected answer: {what} to {call:?}"));
        }
        by_scan.entry(&call.scan_id).or_default().push(call);
    }
    for (scan, mut calls) in by_scan {
        calls.sort_by_key(|call| call.ended);
        let decisions: Vec<(&Call, &Decision)> = calls
            .iter()
            .filter_map(|call| Some((*call, decided(call)?)))
            .collect();
        let Some((first_call, first)) = decisions.first() else {
            continue;
        };
        for (call, again) in decisions.iter().skip(1) {
            let same = (first.valid, &first.reason) == (again.valid, &again.reason);
            let by_tier = !first.valid && (first.by_tier || again.by_tier);
            let lost = first.by_tier && first_call.node == KILLED && !again.replayed;
            if lost {
                continue;
            }
            if !same || (!by_tier && first.scanned_at != again.scanned_at) {
                faults.push(format!(
                    "wrong replay: scan {scan} was {first_call:?}, then {call:?}"
                ));
            }
        }
        if first.valid
            && decisions
                .iter()
                .filter(|(_, decision)| !decision.replayed)
                .count()
                > 1
        {
            faults.push(format!(
                "wrong replay: scan {scan} was decided more than once: {calls:?}"
            ));
        }
        let undone_from = calls
            .iter()
            .filter(|call| call.kind == Kind::Undo)
            .map(|call| call.began)
            .min();
        for call in calls.iter().filter(|call| call.outcome == Outcome::ScanUndone) {
            if undone_from.is_none_or(|began| began > call.ended) {
                faults.push(format!(
                    "wrong replay: scan {scan} was never undone, but {call:?}"
                ));
            }
        }
    }
}

/// What was acknowledged is on record.
fn acknowledged(history: &History, faults: &mut Vec<String>) {
    for call in &history.calls {
        let record = history.records.get(&call.scan_id);
        match &call.outcome {
            Outcome::Decided(decision) if decision.valid => match record {
                None => faults.push(format!("lost: {call:?} is not on record")),
                Some(record) if !record.valid || record.reason != decision.reason => {
                    faults.push(format!("lost: {call:?} is on record as {record:?}"));
                }
                Some(_) => {}
            },
            Outcome::Undone if record.is_none_or(|record| !record.undone) => {
                faults.push(format!("lost undo: {call:?} is on record as {record:?}"));
            }
            _ => {}
        }
    }
}

/// At the moment of each acknowledged admission: of those that had been acknowledged by then, no more than the ticket
/// allows can have been left, even if every undo and exit begun by then had taken effect.
fn policies(history: &History, faults: &mut Vec<String>) {
    for (ticket, policy) in &history.policies {
        let calls: Vec<&Call> = history
            .calls
            .iter()
            .filter(|call| &call.ticket == ticket)
            .collect();
        // The first acknowledgement of each admission.
        let mut admissions: BTreeMap<&str, u64> = BTreeMap::new();
        for call in &calls {
            if call.kind == Kind::Entry && decided(call).is_some_and(|decision| decision.valid) {
                let first = admissions.entry(&call.scan_id).or_insert(call.ended);
                *first = call.ended.min(*first);
            }
        }
        if let Policy::AfterWindow(most, window) = *policy {
            within_window(ticket, most, window, &calls, faults);
            continue;
        }
        for &now in admissions.values() {
            let undone: BTreeSet<&str> = calls
                .iter()
                .filter(|call| call.kind == Kind::Undo && call.began <= now)
                .map(|call| call.scan_id.as_str())
                .collect();
            let authenticated = admissions
                .iter()
                .filter(|(scan, at)| **at <= now && !undone.contains(*scan))
                .count();
            let exits: BTreeSet<&str> = calls
                .iter()
                .filter(|call| call.kind == Kind::Exit && call.began <= now)
                .map(|call| call.scan_id.as_str())
                .collect();
            let most = match policy {
                Policy::Never(most) => *most,
                Policy::AfterExit(most) => most + exits.len(),
                Policy::AfterWindow(..) => continue,
            };
            if authenticated > most {
                faults.push(format!(
                    "too many admissions: {authenticated} of ticket {ticket} active_session at {now}, {policy:?} allows {most}: \
                     {admissions:?}"
                ));
                break;
            }
        }
    }
}

/// The same by the times of the decisions: within the window before each acknowledged admission, no more of those that
/// were acknowledged by then than the ticket allows, even if every undo begun by its answer had taken effect.
fn within_window(ticket: &str, most: usize, window: i64, calls: &[&Call], faults: &mut Vec<String>) {
    // When each was admitted, and when that was first known.
    let mut admissions: BTreeMap<&str, (i64, u64)> = BTreeMap::new();
    for call in calls.iter().filter(|call| call.kind == Kind::Entry) {
        if let Some(decision) = decided(call).filter(|decision| decision.valid) {
            let known = admissions
                .entry(&call.scan_id)
                .or_insert((millis(&decision.scanned_at), call.ended));
            known.1 = known.1.min(call.ended);
        }
    }
    for (scan, (at, answered)) in &admissions {
        let undone = |other: &str| {
            calls
                .iter()
                .any(|call| call.kind == Kind::Undo && call.scan_id == other && call.began <= *answered)
        };
        let count = admissions
            .iter()
            // One that was decided later may have the same time, or, after an undo, an earlier one.
            .filter(|(_, (_, known))| known <= answered)
            .filter(|(other, (then, _))| (at - window..=*at).contains(then) && !undone(other))
            .count();
        if count > most {
            faults.push(format!(
                "too many admissions: {count} of ticket {ticket} within the window before {scan}, {most} are allowed: \
                 {admissions:?}"
            ));
            return;
        }
    }
}

/// The records by themselves, acknowledged or not, in the order of their times.
fn on_record(history: &History, faults: &mut Vec<String>) {
    for (ticket, policy) in &history.policies {
        let mut records: Vec<&Record> = history
            .records
            .values()
            .filter(|record| &record.ticket == ticket && record.valid && !record.undone)
            .collect();
        // At one time an exit may have made room for the entry.
        records.sort_by_key(|record| (&record.scanned_at, !record.exit));
        let (mut ever, mut inside) = (0, 0_usize);
        let mut times = Vec::new();
        for record in records {
            if record.exit {
                inside = inside.saturating_sub(1);
            } else {
                ever += 1;
                inside += 1;
            }
            let (count, most) = match policy {
                Policy::Never(most) => (ever, *most),
                Policy::AfterExit(most) => (inside, *most),
                Policy::AfterWindow(most, window) => {
                    let at = millis(&record.scanned_at);
                    times.push(at);
                    let within = times.iter().filter(|then| **then >= at - window);
                    (within.count(), *most)
                }
            };
            if count > most {
                faults.push(format!(
                    "too many admissions on record: {count} of ticket {ticket} at {}, {policy:?}",
                    record.scanned_at
                ));
                break;
            }
        }
    }
}

/// Occupancy is entries minus exits. Whoever comes back after the window and was not seen to leave has left: nobody of a
/// ticket's holders stands inside twice.
fn occupancy(history: &History, faults: &mut Vec<String>) {
    let authenticated = |ticket: Option<&str>, exit| {
        let records = history
            .records
            .values()
            .filter(|record| record.valid && !record.undone);
        let count = records
            .filter(|record| record.exit == exit && ticket.is_none_or(|ticket| record.ticket == ticket))
            .count();
        i64::try_from(count).unwrap_or(i64::MAX)
    };
    let unseen: i64 = history
        .policies
        .iter()
        .map(|(ticket, policy)| match policy {
            Policy::AfterWindow(most, _) => {
                let most = i64::try_from(*most).unwrap_or(i64::MAX);
                (authenticated(Some(ticket), false) - most).max(0)
            }
            Policy::Never(_) | Policy::AfterExit(_) => 0,
        })
        .sum();
    let (entries, exits) = (authenticated(None, false), authenticated(None, true) + unseen);
    if history.counted != (entries, exits, entries - exits) {
        faults.push(format!(
            "occupancy: counted {:?}, but {entries} entries and {exits} exits are on record",
            history.counted
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICKET: &str = "ticket";

    fn admitted(replayed: bool) -> Outcome {
        Outcome::Decided(Decision {
            valid: true,
            reason: "admitted".to_owned(),
            scanned_at: "10".to_owned(),
            replayed,
            by_tier: false,
        })
    }

    fn denied() -> Outcome {
        Outcome::Decided(Decision {
            valid: false,
            reason: "already_scanned".to_owned(),
            scanned_at: "20".to_owned(),
            replayed: false,
            by_tier: false,
        })
    }

    fn call(kind: Kind, scan: &str, began: u64, outcome: Outcome) -> Call {
        Call {
            began,
            ended: began + 5,
            node: 0,
            kind,
            scan_id: scan.to_owned(),
            ticket: TICKET.to_owned(),
            outcome,
        }
    }

    fn record(history: &mut History, scan: &str, valid: bool) {
        let record = Record {
            ticket: TICKET.to_owned(),
            exit: false,
            valid,
            reason: if valid { "admitted" } else { "already_scanned" }.to_owned(),
            undone: false,
            scanned_at: "10".to_owned(),
        };
        history.records.insert(scan.to_owned(), record);
    }

    /// One is let in, asks again elsewhere and is told the same; another is not.
    fn honest() -> History {
        let mut history = History {
            policies: BTreeMap::from([(TICKET.to_owned(), Policy::Never(1))]),
            calls: vec![
                call(Kind::Entry, "a", 0, Outcome::Unknown),
                call(Kind::Entry, "a", 10, admitted(false)),
                call(Kind::Entry, "a", 20, admitted(true)),
                call(Kind::Entry, "b", 30, denied()),
            ],
            counted: (1, 0, 1),
            ..History::default()
        };
        record(&mut history, "a", true);
        record(&mut history, "b", false);
        history
    }

    fn only_fault(history: &History, what: &str) {
        let faults = check(history);
        assert!(!faults.is_empty(), "{what} was not found");
        assert!(
            faults.iter().all(|fault| fault.starts_with(what)),
            "{what}: {faults:?}"
        );
    }

    #[test]
    fn an_honest_history_has_no_fault() {
        assert_eq!(check(&honest()), Vec::<String>::new());
    }

    #[test]
    fn a_ticket_that_was_undone_may_admit_again() {
        let mut history = honest();
        history.calls.push(call(Kind::Undo, "a", 40, Outcome::Undone));
        history
            .calls
            .push(call(Kind::Entry, "a", 50, Outcome::ScanUndone));
        history.calls.push(call(Kind::Entry, "c", 60, admitted(false)));
        history.records.get_mut("a").expect("a record").undone = true;
        record(&mut history, "c", true);
        assert_eq!(check(&history), Vec::<String>::new());
    }

    #[test]
    fn a_second_admission_is_found_by_the_answers_and_by_the_records() {
        let mut history = honest();
        history.calls.push(call(Kind::Entry, "c", 60, admitted(false)));
        record(&mut history, "c", true);
        history.counted = (2, 0, 2);
        only_fault(&history, "too many admissions");
        assert_eq!(check(&history).len(), 2);
        // Undone too late: when it was answered, both were inside.
        history.calls.push(call(Kind::Undo, "a", 90, Outcome::Undone));
        history.records.get_mut("a").expect("a record").undone = true;
        history.counted = (1, 0, 1);
        only_fault(&history, "too many admissions");
        assert_eq!(check(&history).len(), 1);
    }

    #[test]
    fn an_entry_without_an_exit_before_it_is_found() {
        let mut history = honest();
        history.policies.insert(TICKET.to_owned(), Policy::AfterExit(1));
        history.calls.push(call(Kind::Entry, "c", 60, admitted(false)));
        history.calls.push(call(Kind::Exit, "d", 90, Outcome::Unknown));
        record(&mut history, "c", true);
        history.counted = (2, 0, 2);
        only_fault(&history, "too many admissions");
    }

    #[test]
    fn an_admission_within_the_window_of_another_is_found() {
        let history = |second: &str| {
            let mut history = History {
                policies: BTreeMap::from([(TICKET.to_owned(), Policy::AfterWindow(1, 3000))]),
                counted: (2, 1, 1),
                ..History::default()
            };
            for (scan, began, at) in [("a", 0, "2026-11-20T18:00:00.000Z"), ("b", 10, second)] {
                let mut outcome = admitted(false);
                if let Outcome::Decided(decision) = &mut outcome {
                    at.clone_into(&mut decision.scanned_at);
                }
                history.calls.push(call(Kind::Entry, scan, began, outcome));
                record(&mut history, scan, true);
                let kept = history.records.get_mut(scan).expect("a record");
                at.clone_into(&mut kept.scanned_at);
            }
            history
        };
        assert_eq!(check(&history("2026-11-20T18:00:03.001Z")), Vec::<String>::new());
        let sooner = history("2026-11-20T18:00:03.000Z");
        only_fault(&sooner, "too many admissions");
        assert_eq!(check(&sooner).len(), 2);
    }

    #[test]
    fn an_admission_that_is_not_on_record_is_found() {
        let mut history = honest();
        history.records.remove("a");
        history.counted = (0, 0, 0);
        only_fault(&history, "lost");
        record(&mut history, "a", false);
        only_fault(&history, "lost");
    }

    #[test]
    fn an_undo_that_is_not_on_record_is_found() {
        let mut history = honest();
        history.calls.push(call(Kind::Undo, "a", 40, Outcome::Undone));
        only_fault(&history, "lost undo");
    }

    #[test]
    fn another_answer_to_the_same_scan_is_found() {
        let mut turned = honest();
        turned.calls.push(call(Kind::Entry, "a", 40, denied()));
        only_fault(&turned, "wrong replay");
        let mut decided_twice = honest();
        decided_twice
            .calls
            .push(call(Kind::Entry, "a", 40, admitted(false)));
        only_fault(&decided_twice, "wrong replay");
        let mut undone = honest();
        undone.calls.push(call(Kind::Entry, "a", 40, Outcome::ScanUndone));
        only_fault(&undone, "wrong replay");
    }

    #[test]
    fn people_who_are_counted_and_not_there_are_found() {
        let mut history = honest();
        history.counted = (2, 0, 2);
        only_fault(&history, "occupancy");
    }

    #[test]
    fn an_answer_that_no_honest_gate_gives_is_found() {
        let mut history = honest();
        let strange = Outcome::Unexpected("500".to_owned());
        history.calls.push(call(Kind::Entry, "e", 40, strange));
        only_fault(&history, "unexpected answer");
    }
}
