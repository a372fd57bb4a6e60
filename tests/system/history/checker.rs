//! Checks a recorded history against the rules of admission.
//!
//! Invariants: no check assumes an order in which concurrent calls took effect. A call took effect after its beginning and
//! before the end of its answer.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use voelgoed_scan_core::model::Timestamp;

/// How many admissions a ticket allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Policy {
    /// At most this many admissions.
    Never(usize),
    /// At most this many holders inside at a time.
    AfterExit(usize),
    /// At most this many admissions within a window of this many milliseconds, both ends included.
    AfterWindow(usize, i64),
}

/// The index of the node that is killed. Denials that its caches served and that are not written yet are lost with it, and
/// a retry decides the scan again.
pub(super) const KILLED_NODE: usize = 2;

fn parse_millis(text: &str) -> i64 {
    let at: Timestamp = text.parse().expect("a time");
    at.as_millis()
}

/// The operation of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallKind {
    Entry,
    Exit,
    Undo,
}

/// The part of a scan's answer that a replay must not change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ObservedDecision {
    pub(super) valid: bool,
    pub(super) reason: String,
    pub(super) scanned_at: String,
    pub(super) replayed: bool,
    /// Whether a cache denied the scan. A cache may deny a scan that another node has denied shortly before.
    pub(super) from_cache: bool,
}

/// The outcome of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CallOutcome {
    /// No response, or 503. The call may or may not have taken effect.
    Unknown,
    Decided(ObservedDecision),
    /// 409 `scan_undone`: the scan was undone.
    ScanUndone,
    /// 200 to an undo.
    Undone,
    /// 404 or 409 to an undo.
    UndoRejected,
    /// A response that the contract does not allow.
    Unexpected(String),
}

/// A call at a node. Its beginning and its end are microseconds of one clock.
#[derive(Debug, Clone)]
pub(super) struct ObservedCall {
    pub(super) began: u64,
    pub(super) ended: u64,
    pub(super) node: usize,
    pub(super) kind: CallKind,
    pub(super) scan_id: String,
    pub(super) ticket: String,
    pub(super) outcome: CallOutcome,
}

/// A scan that is on record at the end of the run.
#[derive(Debug, Clone)]
pub(super) struct RecordedScan {
    pub(super) ticket: String,
    pub(super) exit: bool,
    pub(super) valid: bool,
    pub(super) reason: String,
    pub(super) undone: bool,
    pub(super) scanned_at: String,
}

/// Entries, exits and holders inside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Occupancy {
    pub(super) entries: i64,
    pub(super) exits: i64,
    pub(super) inside: i64,
}

/// The calls of a run, and the records at its end.
#[derive(Debug, Clone, Default)]
pub(super) struct RunHistory {
    pub(super) policies: BTreeMap<String, Policy>,
    pub(super) calls: Vec<ObservedCall>,
    pub(super) records: BTreeMap<String, RecordedScan>,
    /// The occupancy that the server reports.
    pub(super) occupancy: Occupancy,
}

/// All violations of the rules.
pub(super) fn check(history: &RunHistory) -> Vec<String> {
    let mut violations = Vec::new();
    check_answers(history, &mut violations);
    check_acknowledged(history, &mut violations);
    check_policies(history, &mut violations);
    check_records(history, &mut violations);
    check_occupancy(history, &mut violations);
    violations
}

fn decided(call: &ObservedCall) -> Option<&ObservedDecision> {
    match &call.outcome {
        CallOutcome::Decided(decision) => Some(decision),
        _ => None,
    }
}

/// All answers to a scan id agree, whichever node gives them.
fn check_answers(history: &RunHistory, violations: &mut Vec<String>) {
    let mut by_scan: BTreeMap<&str, Vec<&ObservedCall>> = BTreeMap::new();
    for call in &history.calls {
        if let CallOutcome::Unexpected(what) = &call.outcome {
            violations.push(format!("unexpected answer: {what} to {call:?}"));
        }
        by_scan.entry(&call.scan_id).or_default().push(call);
    }
    for (scan, mut calls) in by_scan {
        calls.sort_by_key(|call| call.ended);
        let decisions: Vec<(&ObservedCall, &ObservedDecision)> = calls
            .iter()
            .filter_map(|call| Some((*call, decided(call)?)))
            .collect();
        let Some((first_call, first)) = decisions.first() else {
            continue;
        };
        for (call, again) in decisions.iter().skip(1) {
            let same = (first.valid, &first.reason) == (again.valid, &again.reason);
            let denied_by_cache = !first.valid && (first.from_cache || again.from_cache);
            let lost = first.from_cache && first_call.node == KILLED_NODE && !again.replayed;
            if lost {
                continue;
            }
            if !same || (!denied_by_cache && first.scanned_at != again.scanned_at) {
                violations.push(format!(
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
            violations.push(format!(
                "wrong replay: scan {scan} was decided more than once: {calls:?}"
            ));
        }
        let undone_from = calls
            .iter()
            .filter(|call| call.kind == CallKind::Undo)
            .map(|call| call.began)
            .min();
        for call in calls
            .iter()
            .filter(|call| call.outcome == CallOutcome::ScanUndone)
        {
            if undone_from.is_none_or(|began| began > call.ended) {
                violations.push(format!(
                    "wrong replay: scan {scan} was never undone, but {call:?}"
                ));
            }
        }
    }
}

/// Every acknowledged admission, exit and undo is on record.
fn check_acknowledged(history: &RunHistory, violations: &mut Vec<String>) {
    for call in &history.calls {
        let record = history.records.get(&call.scan_id);
        match &call.outcome {
            CallOutcome::Decided(decision) if decision.valid => match record {
                None => violations.push(format!("lost: {call:?} is not on record")),
                Some(record) if !record.valid || record.reason != decision.reason => {
                    violations.push(format!("lost: {call:?} is on record as {record:?}"));
                }
                Some(_) => {}
            },
            CallOutcome::Undone if record.is_none_or(|record| !record.undone) => {
                violations.push(format!("lost undo: {call:?} is on record as {record:?}"));
            }
            _ => {}
        }
    }
}

/// At each acknowledgement of an admission, the acknowledged admissions of the ticket do not exceed its policy, even if
/// every undo and every exit that had begun by then took effect.
fn check_policies(history: &RunHistory, violations: &mut Vec<String>) {
    for (ticket, policy) in &history.policies {
        let calls: Vec<&ObservedCall> = history
            .calls
            .iter()
            .filter(|call| &call.ticket == ticket)
            .collect();
        // The first acknowledgement of each admission.
        let mut admissions: BTreeMap<&str, u64> = BTreeMap::new();
        for call in &calls {
            if call.kind == CallKind::Entry && decided(call).is_some_and(|decision| decision.valid) {
                let first = admissions.entry(&call.scan_id).or_insert(call.ended);
                *first = call.ended.min(*first);
            }
        }
        if let Policy::AfterWindow(limit, window) = *policy {
            check_window(ticket, limit, window, &calls, violations);
            continue;
        }
        for &now in admissions.values() {
            let undone: BTreeSet<&str> = calls
                .iter()
                .filter(|call| call.kind == CallKind::Undo && call.began <= now)
                .map(|call| call.scan_id.as_str())
                .collect();
            let remaining = admissions
                .iter()
                .filter(|(scan, at)| **at <= now && !undone.contains(*scan))
                .count();
            let exits: BTreeSet<&str> = calls
                .iter()
                .filter(|call| call.kind == CallKind::Exit && call.began <= now)
                .map(|call| call.scan_id.as_str())
                .collect();
            let limit = match policy {
                Policy::Never(limit) => *limit,
                Policy::AfterExit(limit) => limit + exits.len(),
                Policy::AfterWindow(..) => continue,
            };
            if remaining > limit {
                violations.push(format!(
                    "too many admissions: {remaining} of ticket {ticket} at {now}, {policy:?} allows {limit}: {admissions:?}"
                ));
                break;
            }
        }
    }
}

/// The same rule for a re-entry window, by the times of the decisions: in the window before each acknowledged admission,
/// the admissions that were acknowledged by then do not exceed the policy, even if every undo that had begun by then took
/// effect.
fn check_window(
    ticket: &str,
    limit: usize,
    window: i64,
    calls: &[&ObservedCall],
    violations: &mut Vec<String>,
) {
    // By scan id: the time of the admission, and when it was first acknowledged.
    let mut admissions: BTreeMap<&str, (i64, u64)> = BTreeMap::new();
    for call in calls.iter().filter(|call| call.kind == CallKind::Entry) {
        if let Some(decision) = decided(call).filter(|decision| decision.valid) {
            let known = admissions
                .entry(&call.scan_id)
                .or_insert((parse_millis(&decision.scanned_at), call.ended));
            known.1 = known.1.min(call.ended);
        }
    }
    for (scan, (at, answered)) in &admissions {
        let undone = |other: &str| {
            calls
                .iter()
                .any(|call| call.kind == CallKind::Undo && call.scan_id == other && call.began <= *answered)
        };
        let count = admissions
            .iter()
            // A later decision may have the same time or, after an undo, an earlier one.
            .filter(|(_, (_, known))| known <= answered)
            .filter(|(other, (then, _))| (at - window..=*at).contains(then) && !undone(other))
            .count();
        if count > limit {
            violations.push(format!(
                "too many admissions: {count} of ticket {ticket} within the window before {scan}, {limit} are allowed: \
                 {admissions:?}"
            ));
            return;
        }
    }
}

/// The records, acknowledged or not, do not exceed the policy in the order of their times.
fn check_records(history: &RunHistory, violations: &mut Vec<String>) {
    for (ticket, policy) in &history.policies {
        let mut records: Vec<&RecordedScan> = history
            .records
            .values()
            .filter(|record| &record.ticket == ticket && record.valid && !record.undone)
            .collect();
        // An exit at the same time may have allowed the entry.
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
            let (count, limit) = match policy {
                Policy::Never(limit) => (ever, *limit),
                Policy::AfterExit(limit) => (inside, *limit),
                Policy::AfterWindow(limit, window) => {
                    let at = parse_millis(&record.scanned_at);
                    times.push(at);
                    let within = times.iter().filter(|then| **then >= at - window);
                    (within.count(), *limit)
                }
            };
            if count > limit {
                violations.push(format!(
                    "too many admissions on record: {count} of ticket {ticket} at {}, {policy:?}",
                    record.scanned_at
                ));
                break;
            }
        }
    }
}

/// The occupancy is the entries on record minus the exits. A readmission after the window implies an exit that was not
/// scanned, so a ticket counts at most its limit inside.
fn check_occupancy(history: &RunHistory, violations: &mut Vec<String>) {
    let count_valid = |ticket: Option<&str>, exit| {
        let records = history
            .records
            .values()
            .filter(|record| record.valid && !record.undone);
        let count = records
            .filter(|record| record.exit == exit && ticket.is_none_or(|ticket| record.ticket == ticket))
            .count();
        i64::try_from(count).unwrap_or(i64::MAX)
    };
    let unscanned_exits: i64 = history
        .policies
        .iter()
        .map(|(ticket, policy)| match policy {
            Policy::AfterWindow(limit, _) => {
                let limit = i64::try_from(*limit).unwrap_or(i64::MAX);
                (count_valid(Some(ticket), false) - limit).max(0)
            }
            Policy::Never(_) | Policy::AfterExit(_) => 0,
        })
        .sum();
    let (entries, exits) = (
        count_valid(None, false),
        count_valid(None, true) + unscanned_exits,
    );
    let expected = Occupancy {
        entries,
        exits,
        inside: entries - exits,
    };
    if history.occupancy != expected {
        violations.push(format!(
            "occupancy: {:?} is reported, but the records give {expected:?}",
            history.occupancy
        ));
    }
}
