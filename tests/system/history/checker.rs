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
    /// At most this many admissions on each day. A day begins at this time, in milliseconds since the Unix epoch, during the
    /// run.
    Daily(usize, i64),
    /// The policy of the event and the limit of the ticket change during the run, so that only the answers and the counts are
    /// checked.
    Changing,
}

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
    /// A denial that a device decided offline, uploaded.
    Upload,
}

/// The reason of an admission that a device forced. It may exceed the policy.
const OVERRIDDEN: &str = "overridden";

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
    /// 403 `out_of_scope`: the device may not work at its gate.
    OutOfScope,
    /// 200 to an undo.
    Undone,
    /// 404 or 409 to an undo.
    UndoRejected,
    /// A response that the API does not allow.
    Unexpected(String),
}

/// A call at a node. Its beginning and its end are microseconds of one clock.
#[derive(Debug, Clone)]
pub(super) struct ObservedCall {
    pub(super) began: u64,
    pub(super) ended: u64,
    pub(super) node: usize,
    /// The device that scanned.
    pub(super) device: usize,
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

/// A change of the scope of a device. Its times are those of the calls.
#[derive(Debug, Clone, Copy)]
pub(super) struct ScopeChange {
    pub(super) device: usize,
    pub(super) began: u64,
    /// When the change was acknowledged. `None` if it may or may not have taken effect, now or later.
    pub(super) ended: Option<u64>,
    /// Whether the new scope contains the gate of the device.
    pub(super) inside: bool,
}

/// The calls of a run, and the records at its end.
#[derive(Debug, Clone, Default)]
pub(super) struct RunHistory {
    pub(super) policies: BTreeMap<String, Policy>,
    pub(super) calls: Vec<ObservedCall>,
    pub(super) records: BTreeMap<String, RecordedScan>,
    /// The occupancy that the server reports.
    pub(super) occupancy: Occupancy,
    /// The index of the node that is killed. Denials that its caches served and that are not written yet are lost with it,
    /// and a retry decides the scan again.
    pub(super) killed_node: usize,
    /// When the doors of the event open and close, in epoch milliseconds.
    pub(super) doors: Option<(i64, i64)>,
    /// The changes of the devices' scopes, in order.
    pub(super) scopes: Vec<ScopeChange>,
    /// What each reader of a stream received, in order.
    pub(super) streams: Vec<Vec<StreamedScan>>,
}

/// A record that a reader of a stream received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StreamedScan {
    /// The position of its entry in the feed.
    pub(super) position: u64,
    pub(super) scan_id: String,
    pub(super) state: StreamedState,
}

/// What may change on a record. The record is sent again then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StreamedState {
    pub(super) valid: bool,
    pub(super) reason: String,
    pub(super) undone: bool,
}

/// All violations of the rules.
pub(super) fn check(history: &RunHistory) -> Vec<String> {
    let mut violations = Vec::new();
    check_answers(history, &mut violations);
    check_acknowledged(history, &mut violations);
    check_policies(history, &mut violations);
    check_records(history, &mut violations);
    check_occupancy(history, &mut violations);
    check_denials(history, &mut violations);
    check_uploads(history, &mut violations);
    check_streams(history, &mut violations);
    check_doors(history, &mut violations);
    check_scopes(history, &mut violations);
    violations
}

/// Whether two denials of one scan may have different reasons: two caches may deny it within the same second, before and after
/// a change of the rules or the moment at which the doors open or close.
fn may_change_reason(history: &RunHistory, ticket: &str) -> bool {
    history.doors.is_some() || history.policies.get(ticket) == Some(&Policy::Changing)
}

/// Nobody was admitted before the doors opened or after they closed, and nobody was sent away because of them while they were
/// open.
fn check_doors(history: &RunHistory, violations: &mut Vec<String>) {
    /// An admission is dated after the others of its ticket, whose nodes may be ahead. A ticket admits three people.
    const DATED_LATER_MS: i64 = 3;
    let Some((open, close)) = history.doors else {
        return;
    };
    for (scan, record) in &history.records {
        let is_wrong = |at| match record.reason.as_str() {
            "admitted" => !(open..=close + DATED_LATER_MS).contains(&at),
            "doors_not_open" => at >= open,
            "doors_closed" => at <= close,
            _ => false,
        };
        if is_wrong(parse_millis(&record.scanned_at)) {
            violations.push(format!(
                "doors: open from {open} to {close}, and {scan} is {record:?}"
            ));
        }
    }
}

/// The times during which a device was outside its scope for certain: from the acknowledgement of a narrower scope to the
/// beginning of the next change. A change before it whose answer was lost may have taken effect later.
fn times_outside(history: &RunHistory, device: usize) -> Vec<(u64, u64)> {
    let changes: Vec<&ScopeChange> = history
        .scopes
        .iter()
        .filter(|change| change.device == device)
        .collect();
    let mut times = Vec::new();
    for (index, change) in changes.iter().enumerate() {
        let before = index.checked_sub(1).map(|before| changes[before]);
        let is_certain = before.is_none_or(|before| before.ended.is_some());
        if let Some(from) = change.ended.filter(|_| !change.inside && is_certain) {
            let until = changes.get(index + 1).map_or(u64::MAX, |next| next.began);
            times.push((from, until));
        }
    }
    times
}

/// No device admits anybody outside its scope, on any node, once the change is acknowledged. No device is refused before its
/// scope was ever narrowed, or for a scan that was answered before. A scan that was only refused is not on record.
fn check_scopes(history: &RunHistory, violations: &mut Vec<String>) {
    let outside: BTreeMap<usize, Vec<(u64, u64)>> = history
        .scopes
        .iter()
        .map(|change| (change.device, times_outside(history, change.device)))
        .collect();
    let by_scan = calls_by_scan(history);
    for call in &history.calls {
        let is_outside = outside.get(&call.device).is_some_and(|times| {
            times
                .iter()
                .any(|(from, until)| *from < call.began && call.ended < *until)
        });
        if is_outside && decided(call).is_some_and(|decision| decision.valid && !decision.replayed) {
            violations.push(format!(
                "scope: {call:?} was decided outside the scope of its device"
            ));
        }
        if call.outcome != CallOutcome::OutOfScope {
            continue;
        }
        let is_narrowed = |change: &ScopeChange| {
            change.device == call.device && !change.inside && change.began < call.ended
        };
        if !history.scopes.iter().any(is_narrowed) {
            violations.push(format!(
                "scope: {call:?} was refused inside the scope of its device"
            ));
        }
        let of_scan = &by_scan[call.scan_id.as_str()];
        let is_known = |other: &&ObservedCall| {
            decided(other).is_some() && !may_be_lost(history, other) && other.ended < call.began
        };
        if of_scan.iter().any(is_known) {
            violations.push(format!("scope: {call:?} was answered before and is not replayed"));
        }
        let is_only_refused = of_scan
            .iter()
            .all(|other| other.outcome == CallOutcome::OutOfScope);
        if is_only_refused && history.records.contains_key(&call.scan_id) {
            violations.push(format!("scope: {call:?} was refused and is on record"));
        }
    }
}

/// The denials that were answered and may be lost: a cache of the killed node answered them.
fn may_be_lost(history: &RunHistory, call: &ObservedCall) -> bool {
    decided(call).is_some_and(|decision| decision.from_cache) && call.node == history.killed_node
}

/// The scans that must be on record: all that were answered, but those that may be lost.
pub(super) fn expected_records(history: &RunHistory) -> BTreeSet<&str> {
    let calls = history.calls.iter();
    calls
        .filter(|call| decided(call).is_some() && !may_be_lost(history, call))
        .map(|call| call.scan_id.as_str())
        .collect()
}

/// A denial that was answered is on record as it was answered.
fn check_denials(history: &RunHistory, violations: &mut Vec<String>) {
    let admitted: BTreeSet<&str> = history
        .calls
        .iter()
        .filter(|call| decided(call).is_some_and(|decision| decision.valid))
        .map(|call| call.scan_id.as_str())
        .collect();
    for call in &history.calls {
        let Some(decision) = decided(call).filter(|decision| !decision.valid) else {
            continue;
        };
        // Two decisions about one id are reported as such.
        if may_be_lost(history, call) || admitted.contains(call.scan_id.as_str()) {
            continue;
        }
        let record = history.records.get(&call.scan_id);
        let changing = may_change_reason(history, &call.ticket);
        let matches = |record: &RecordedScan| !record.valid && (changing || record.reason == decision.reason);
        if !record.is_some_and(matches) {
            violations.push(format!("lost denial: {call:?} is on record as {record:?}"));
        }
    }
}

/// A scan that was uploaded is known to every node once the upload is answered.
fn check_uploads(history: &RunHistory, violations: &mut Vec<String>) {
    let by_scan = calls_by_scan(history);
    let uploads = history.calls.iter().filter(|call| call.kind == CallKind::Upload);
    for upload in uploads.filter(|upload| decided(upload).is_some()) {
        for call in &by_scan[upload.scan_id.as_str()] {
            if call.kind == CallKind::Entry
                && call.began > upload.ended
                && decided(call).is_some_and(|decision| !decision.replayed)
            {
                violations.push(format!("wrong replay: {call:?} was uploaded before: {upload:?}"));
            }
        }
    }
}

/// Every reader of a stream received every entry of the feed at most once and in order, every record, and its last state last.
/// It received a state once, unless the record has left it and returned to it.
fn check_streams(history: &RunHistory, violations: &mut Vec<String>) {
    let uploads = history.calls.iter().filter(|call| call.kind == CallKind::Upload);
    let uploaded: BTreeSet<&str> = uploads.map(|call| call.scan_id.as_str()).collect();
    for received in &history.streams {
        for pair in received.windows(2) {
            if pair[0].position >= pair[1].position {
                violations.push(format!("stream: {:?} was received after {:?}", pair[1], pair[0]));
            }
        }
        let mut states: BTreeMap<&str, Vec<&StreamedScan>> = BTreeMap::new();
        for scan in received {
            states.entry(&scan.scan_id).or_default().push(scan);
        }
        for (scan_id, states) in &states {
            // The decision of an uploaded scan follows the undos of its ticket. A change that the next one takes back before
            // it is read is left out.
            let may_return = uploaded.contains(scan_id);
            for (index, state) in states.iter().enumerate() {
                let is_repeated = states[..index].iter().any(|earlier| earlier.state == state.state);
                if is_repeated && !may_return {
                    violations.push(format!("stream: {state:?} was received before: {states:?}"));
                }
            }
        }
        for (scan_id, record) in &history.records {
            let last = states.get(scan_id.as_str()).and_then(|states| states.last());
            let is_current = |last: &&StreamedScan| {
                let state = &last.state;
                (state.valid, &state.reason, state.undone) == (record.valid, &record.reason, record.undone)
            };
            if !last.is_some_and(is_current) {
                violations.push(format!(
                    "stream: {scan_id} is {record:?}, and the last that was received is {last:?}"
                ));
            }
        }
    }
}

fn decided(call: &ObservedCall) -> Option<&ObservedDecision> {
    match &call.outcome {
        CallOutcome::Decided(decision) => Some(decision),
        _ => None,
    }
}

/// The calls of each scan, in the order of the history.
fn calls_by_scan(history: &RunHistory) -> BTreeMap<&str, Vec<&ObservedCall>> {
    let mut by_scan: BTreeMap<&str, Vec<&ObservedCall>> = BTreeMap::new();
    for call in &history.calls {
        by_scan.entry(&call.scan_id).or_default().push(call);
    }
    by_scan
}

/// All answers to a scan id agree, whichever node gives them.
fn check_answers(history: &RunHistory, violations: &mut Vec<String>) {
    for call in &history.calls {
        if let CallOutcome::Unexpected(what) = &call.outcome {
            violations.push(format!("unexpected answer: {what} to {call:?}"));
        }
    }
    for (scan, mut calls) in calls_by_scan(history) {
        calls.sort_by_key(|call| call.ended);
        let decisions: Vec<(&ObservedCall, &ObservedDecision)> = calls
            .iter()
            .filter_map(|call| Some((*call, decided(call)?)))
            .collect();
        let Some(&(mut first_call, mut first)) = decisions.first() else {
            continue;
        };
        for &(call, again) in decisions.iter().skip(1) {
            // Where rules change, two caches may deny with different reasons within the same second.
            let changing = may_change_reason(history, &call.ticket);
            let same_reason = first.reason == again.reason || (changing && !first.valid);
            let same = first.valid == again.valid && same_reason;
            let denied_by_cache = !first.valid && (first.from_cache || again.from_cache);
            let decided_unseen = || {
                let between = first_call.ended..=call.began;
                calls
                    .iter()
                    .any(|call| call.outcome == CallOutcome::Unknown && between.contains(&call.began))
            };
            if may_be_lost(history, first_call) && (!again.replayed || decided_unseen()) {
                // The first decision was lost. This one stands, or the one that it repeats, whose answer was lost.
                (first_call, first) = (call, again);
                continue;
            }
            let is_upload = first_call.kind == CallKind::Upload;
            if !same || (!denied_by_cache && !is_upload && first.scanned_at != again.scanned_at) {
                violations.push(format!(
                    "wrong replay: scan {scan} was {first_call:?}, then {call:?}, of {calls:?}"
                ));
            }
            if is_upload {
                // The answer to an upload has no time. The first replay has it.
                (first_call, first) = (call, again);
            }
        }
        if first.valid
            && decisions
                .iter()
                .filter(|(call, decision)| !decision.replayed && !may_be_lost(history, call))
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

/// When the first call of a kind began, by scan id.
fn first_begins<'a>(calls: &[&'a ObservedCall], kind: CallKind) -> BTreeMap<&'a str, u64> {
    let mut begins = BTreeMap::new();
    for call in calls.iter().filter(|call| call.kind == kind) {
        let began = begins.entry(call.scan_id.as_str()).or_insert(call.began);
        *began = call.began.min(*began);
    }
    begins
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
        let admits = |decision: &ObservedDecision| decision.valid && decision.reason != OVERRIDDEN;
        for call in &calls {
            if call.kind == CallKind::Entry && decided(call).is_some_and(admits) {
                let first = admissions.entry(&call.scan_id).or_insert(call.ended);
                *first = call.ended.min(*first);
            }
        }
        if let Some((limit, counts)) = counted_admissions(*policy) {
            check_times(ticket, limit, &*counts, &calls, violations);
            continue;
        }
        let undone = first_begins(&calls, CallKind::Undo);
        let exits = first_begins(&calls, CallKind::Exit);
        for &now in admissions.values() {
            let is_undone = |scan: &str| undone.get(scan).is_some_and(|began| *began <= now);
            let remaining = admissions
                .iter()
                .filter(|(scan, at)| **at <= now && !is_undone(scan))
                .count();
            let exits = exits.values().filter(|began| **began <= now).count();
            let limit = match policy {
                Policy::Never(limit) => *limit,
                Policy::AfterExit(limit) => limit + exits,
                Policy::AfterWindow(..) | Policy::Daily(..) | Policy::Changing => continue,
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

/// Whether an admission at the first time counts an earlier one at the second.
type Counts = Box<dyn Fn(i64, i64) -> bool>;

/// The limit of a policy that counts by time, and whether an admission at one time counts an earlier one at another.
fn counted_admissions(policy: Policy) -> Option<(usize, Counts)> {
    match policy {
        Policy::AfterWindow(limit, window) => Some((
            limit,
            Box::new(move |at, then| (at - window..=at).contains(&then)),
        )),
        Policy::Daily(limit, begin) => Some((
            limit,
            Box::new(move |at, then| then <= at && (then >= begin) == (at >= begin)),
        )),
        Policy::Never(_) | Policy::AfterExit(_) | Policy::Changing => None,
    }
}

/// The same rule for a re-entry window or a day, by the times of the decisions: of the admissions that each acknowledged
/// admission counts, those that were acknowledged by then do not exceed the policy, even if every undo that had begun by then
/// took effect.
fn check_times(
    ticket: &str,
    limit: usize,
    counts: &dyn Fn(i64, i64) -> bool,
    calls: &[&ObservedCall],
    violations: &mut Vec<String>,
) {
    // By scan id: the time of the admission, and when it was first acknowledged.
    let mut admissions: BTreeMap<&str, (i64, u64)> = BTreeMap::new();
    for call in calls.iter().filter(|call| call.kind == CallKind::Entry) {
        let by_right = |decision: &&ObservedDecision| decision.valid && decision.reason != OVERRIDDEN;
        if let Some(decision) = decided(call).filter(by_right) {
            let known = admissions
                .entry(&call.scan_id)
                .or_insert((parse_millis(&decision.scanned_at), call.ended));
            known.1 = known.1.min(call.ended);
        }
    }
    let undone = first_begins(calls, CallKind::Undo);
    for (scan, (at, answered)) in &admissions {
        let is_undone = |other: &str| undone.get(other).is_some_and(|began| began <= answered);
        let count = admissions
            .iter()
            // A later decision may have the same time or, after an undo, an earlier one.
            .filter(|(_, (_, known))| known <= answered)
            .filter(|(other, (then, _))| counts(*at, *then) && !is_undone(other))
            .count();
        if count > limit {
            violations.push(format!(
                "too many admissions: {count} of ticket {ticket} within the window or the day of {scan}, {limit} are allowed: \
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
            .filter(|record| record.reason != OVERRIDDEN)
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
                Policy::AfterWindow(..) | Policy::Daily(..) => {
                    let at = parse_millis(&record.scanned_at);
                    if !record.exit {
                        times.push(at);
                    }
                    let (limit, counts) = counted_admissions(*policy).expect("it counts by time");
                    (times.iter().filter(|then| counts(at, **then)).count(), limit)
                }
                Policy::Changing => break,
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
/// scanned, so a ticket counts at most its limit inside. Under `daily` only the scans of the last day count.
fn check_occupancy(history: &RunHistory, violations: &mut Vec<String>) {
    let day_begin = history.policies.values().find_map(|policy| match policy {
        Policy::Daily(_, begin) => Some(*begin),
        _ => None,
    });
    let count_valid = |ticket: Option<&str>, exit| {
        let records = history.records.values().filter(|record| {
            let is_of_day = day_begin.is_none_or(|begin| parse_millis(&record.scanned_at) >= begin);
            record.valid && !record.undone && is_of_day
        });
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
            Policy::Never(_) | Policy::AfterExit(_) | Policy::Daily(..) | Policy::Changing => 0,
        })
        .sum();
    let changing = history
        .policies
        .values()
        .any(|policy| *policy == Policy::Changing);
    if changing {
        // The exits that readmissions imply depend on the policies at their times.
        let Occupancy {
            entries,
            exits,
            inside,
        } = history.occupancy;
        if entries != count_valid(None, false) || inside != entries - exits || inside < 0 {
            violations.push(format!(
                "occupancy: {:?} is reported, but {} entries are on record",
                history.occupancy,
                count_valid(None, false)
            ));
        }
        return;
    }
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
