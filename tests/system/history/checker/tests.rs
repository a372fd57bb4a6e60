//! Each test forges one violation in a valid history. The checker must report it, and nothing else.

use super::*;

const TICKET: &str = "ticket";

fn admitted(replayed: bool) -> CallOutcome {
    CallOutcome::Decided(ObservedDecision {
        valid: true,
        reason: "admitted".to_owned(),
        scanned_at: "10".to_owned(),
        replayed,
        from_cache: false,
    })
}

fn denied() -> CallOutcome {
    CallOutcome::Decided(ObservedDecision {
        valid: false,
        reason: "already_scanned".to_owned(),
        scanned_at: "20".to_owned(),
        replayed: false,
        from_cache: false,
    })
}

fn call(kind: CallKind, scan: &str, began: u64, outcome: CallOutcome) -> ObservedCall {
    ObservedCall {
        began,
        ended: began + 5,
        node: 0,
        device: 0,
        kind,
        scan_id: scan.to_owned(),
        ticket: TICKET.to_owned(),
        outcome,
    }
}

fn occupancy(entries: i64, exits: i64) -> Occupancy {
    Occupancy {
        entries,
        exits,
        inside: entries - exits,
    }
}

fn record(history: &mut RunHistory, scan: &str, valid: bool) {
    let record = RecordedScan {
        ticket: TICKET.to_owned(),
        exit: false,
        valid,
        reason: if valid { "admitted" } else { "already_scanned" }.to_owned(),
        undone: false,
        scanned_at: "10".to_owned(),
    };
    history.records.insert(scan.to_owned(), record);
}

/// Scan `a` is admitted and its retries replay the answer. Scan `b` of the same ticket is denied.
fn valid_history() -> RunHistory {
    let mut history = RunHistory {
        policies: BTreeMap::from([(TICKET.to_owned(), Policy::Never(1))]),
        calls: vec![
            call(CallKind::Entry, "a", 0, CallOutcome::Unknown),
            call(CallKind::Entry, "a", 10, admitted(false)),
            call(CallKind::Entry, "a", 20, admitted(true)),
            call(CallKind::Entry, "b", 30, denied()),
        ],
        occupancy: occupancy(1, 0),
        ..RunHistory::default()
    };
    record(&mut history, "a", true);
    record(&mut history, "b", false);
    history
}

fn scope_change(began: u64, ended: Option<u64>, inside: bool) -> ScopeChange {
    ScopeChange {
        device: 0,
        began,
        ended,
        inside,
    }
}

fn assert_only_violation(history: &RunHistory, what: &str) {
    let violations = check(history);
    assert!(!violations.is_empty(), "{what} was not reported");
    assert!(
        violations.iter().all(|violation| violation.starts_with(what)),
        "{what}: {violations:?}"
    );
}

#[test]
fn a_valid_history_has_no_violation() {
    assert_eq!(check(&valid_history()), Vec::<String>::new());
}

#[test]
fn a_ticket_may_admit_again_after_an_undo() {
    let mut history = valid_history();
    history
        .calls
        .push(call(CallKind::Undo, "a", 40, CallOutcome::Undone));
    history
        .calls
        .push(call(CallKind::Entry, "a", 50, CallOutcome::ScanUndone));
    history
        .calls
        .push(call(CallKind::Entry, "c", 60, admitted(false)));
    history.records.get_mut("a").expect("a record").undone = true;
    record(&mut history, "c", true);
    assert_eq!(check(&history), Vec::<String>::new());
}

#[test]
fn a_second_admission_is_reported_from_the_answers_and_from_the_records() {
    let mut history = valid_history();
    history
        .calls
        .push(call(CallKind::Entry, "c", 60, admitted(false)));
    record(&mut history, "c", true);
    history.occupancy = occupancy(2, 0);
    assert_only_violation(&history, "too many admissions");
    assert_eq!(check(&history).len(), 2);
    // The undo began after the second admission was acknowledged, so both were inside at that time.
    history
        .calls
        .push(call(CallKind::Undo, "a", 90, CallOutcome::Undone));
    history.records.get_mut("a").expect("a record").undone = true;
    history.occupancy = occupancy(1, 0);
    assert_only_violation(&history, "too many admissions");
    assert_eq!(check(&history).len(), 1);
}

#[test]
fn an_entry_without_an_earlier_exit_is_reported() {
    let mut history = valid_history();
    history.policies.insert(TICKET.to_owned(), Policy::AfterExit(1));
    history
        .calls
        .push(call(CallKind::Entry, "c", 60, admitted(false)));
    history
        .calls
        .push(call(CallKind::Exit, "d", 90, CallOutcome::Unknown));
    record(&mut history, "c", true);
    history.occupancy = occupancy(2, 0);
    assert_only_violation(&history, "too many admissions");
}

#[test]
fn a_second_admission_within_the_window_is_reported() {
    let history = |second: &str| {
        let mut history = RunHistory {
            policies: BTreeMap::from([(TICKET.to_owned(), Policy::AfterWindow(1, 3000))]),
            occupancy: occupancy(2, 1),
            ..RunHistory::default()
        };
        for (scan, began, at) in [("a", 0, "2026-11-20T18:00:00.000Z"), ("b", 10, second)] {
            let mut outcome = admitted(false);
            if let CallOutcome::Decided(decision) = &mut outcome {
                at.clone_into(&mut decision.scanned_at);
            }
            history.calls.push(call(CallKind::Entry, scan, began, outcome));
            record(&mut history, scan, true);
            let record = history.records.get_mut(scan).expect("a record");
            at.clone_into(&mut record.scanned_at);
        }
        history
    };
    assert_eq!(check(&history("2026-11-20T18:00:03.001Z")), Vec::<String>::new());
    let sooner = history("2026-11-20T18:00:03.000Z");
    assert_only_violation(&sooner, "too many admissions");
    assert_eq!(check(&sooner).len(), 2);
}

#[test]
fn an_admission_that_is_not_on_record_is_reported() {
    let mut history = valid_history();
    history.records.remove("a");
    history.occupancy = occupancy(0, 0);
    assert_only_violation(&history, "lost");
    record(&mut history, "a", false);
    assert_only_violation(&history, "lost");
}

#[test]
fn an_undo_that_is_not_on_record_is_reported() {
    let mut history = valid_history();
    history
        .calls
        .push(call(CallKind::Undo, "a", 40, CallOutcome::Undone));
    assert_only_violation(&history, "lost undo");
}

#[test]
fn a_different_answer_to_the_same_scan_is_reported() {
    let mut denied_later = valid_history();
    denied_later.calls.push(call(CallKind::Entry, "a", 40, denied()));
    assert_only_violation(&denied_later, "wrong replay");
    let mut decided_twice = valid_history();
    decided_twice
        .calls
        .push(call(CallKind::Entry, "a", 40, admitted(false)));
    assert_only_violation(&decided_twice, "wrong replay");
    let mut undone = valid_history();
    undone
        .calls
        .push(call(CallKind::Entry, "a", 40, CallOutcome::ScanUndone));
    assert_only_violation(&undone, "wrong replay");
}

#[test]
fn an_occupancy_without_records_is_reported() {
    let mut history = valid_history();
    history.occupancy = occupancy(2, 0);
    assert_only_violation(&history, "occupancy");
}

#[test]
fn an_unexpected_response_is_reported() {
    let mut history = valid_history();
    let unexpected = CallOutcome::Unexpected("500".to_owned());
    history.calls.push(call(CallKind::Entry, "e", 40, unexpected));
    assert_only_violation(&history, "unexpected answer");
}

#[test]
fn an_override_may_exceed_the_policy_and_nothing_else_may() {
    let mut history = valid_history();
    let mut overridden = admitted(false);
    if let CallOutcome::Decided(decision) = &mut overridden {
        OVERRIDDEN.clone_into(&mut decision.reason);
    }
    history.calls.push(call(CallKind::Entry, "c", 60, overridden));
    record(&mut history, "c", true);
    let c = history.records.get_mut("c").expect("a record");
    OVERRIDDEN.clone_into(&mut c.reason);
    history.occupancy = occupancy(2, 0);
    assert_eq!(check(&history), Vec::<String>::new());
}

#[test]
fn a_denial_and_an_override_of_one_id_are_reported() {
    let mut history = valid_history();
    let mut overridden = admitted(false);
    if let CallOutcome::Decided(decision) = &mut overridden {
        OVERRIDDEN.clone_into(&mut decision.reason);
    }
    history.calls.push(call(CallKind::Entry, "b", 60, overridden));
    let b = history.records.get_mut("b").expect("a record");
    b.valid = true;
    OVERRIDDEN.clone_into(&mut b.reason);
    history.occupancy = occupancy(2, 0);
    assert_only_violation(&history, "wrong replay");
}

#[test]
fn a_denial_that_is_not_on_record_is_reported_unless_it_died_with_its_node() {
    let mut history = valid_history();
    history.killed_node = 7;
    history.records.remove("b");
    assert_only_violation(&history, "lost denial");
    let b = history.calls.last_mut().expect("a call");
    if let CallOutcome::Decided(decision) = &mut b.outcome {
        decision.from_cache = true;
    }
    assert_only_violation(&history, "lost denial");
    assert!(expected_records(&history).contains("b"));
    history.killed_node = 0;
    assert_eq!(check(&history), Vec::<String>::new());
    assert!(!expected_records(&history).contains("b"));
}

#[test]
fn an_uploaded_scan_that_is_decided_again_is_reported() {
    let mut history = valid_history();
    history.calls.push(call(CallKind::Upload, "d", 60, denied()));
    record(&mut history, "d", false);
    let mut retry = denied();
    if let CallOutcome::Decided(decision) = &mut retry {
        decision.replayed = true;
    }
    history.calls.push(call(CallKind::Entry, "d", 70, retry));
    assert_eq!(check(&history), Vec::<String>::new());
    history.calls.push(call(CallKind::Entry, "d", 80, denied()));
    assert_only_violation(&history, "wrong replay");
}

#[test]
fn a_stream_that_lacks_or_repeats_a_record_is_reported() {
    let streamed = |position, scan_id: &str, undone| {
        let valid = scan_id == "a";
        let reason = if valid { "admitted" } else { "already_scanned" };
        StreamedScan {
            position,
            scan_id: scan_id.to_owned(),
            state: StreamedState {
                valid,
                reason: reason.to_owned(),
                undone,
            },
        }
    };
    let mut history = valid_history();
    history
        .calls
        .push(call(CallKind::Undo, "a", 40, CallOutcome::Undone));
    history.records.get_mut("a").expect("a record").undone = true;
    history.occupancy = occupancy(0, 0);
    let complete = vec![
        streamed(1, "a", false),
        streamed(2, "b", false),
        streamed(3, "a", true),
    ];
    history.streams = vec![complete.clone()];
    assert_eq!(check(&history), Vec::<String>::new());
    for missing in [1, 2] {
        let mut received = complete.clone();
        received.remove(missing);
        history.streams = vec![received];
        assert_only_violation(&history, "stream");
    }
    // The same state under a new position, and an entry that was sent before.
    for again in [streamed(4, "b", false), streamed(3, "a", true)] {
        history.streams = vec![[complete.clone(), vec![again]].concat()];
        assert_only_violation(&history, "stream");
    }
}

#[test]
fn an_uploaded_record_may_return_to_an_earlier_state_and_ends_in_its_last() {
    let streamed = |position, reason: &str| StreamedScan {
        position,
        scan_id: "d".to_owned(),
        state: StreamedState {
            valid: false,
            reason: reason.to_owned(),
            undone: false,
        },
    };
    let mut history = valid_history();
    let upload = denied();
    history.calls.push(call(CallKind::Upload, "d", 60, upload));
    record(&mut history, "d", false);
    let received = [
        streamed(1, "already_scanned"),
        streamed(2, "entry_limit_reached"),
        streamed(3, "already_scanned"),
    ];
    for (last, is_current) in [(0, true), (1, false), (2, true)] {
        history.records.retain(|scan, _| scan == "d");
        history.streams = vec![received[..=last].to_vec()];
        let violations = check(&history);
        let stream: Vec<_> = violations
            .iter()
            .filter(|one| one.starts_with("stream"))
            .collect();
        assert_eq!(stream.is_empty(), is_current, "{violations:?}");
    }
}

#[test]
fn under_changing_rules_the_counts_are_checked_and_the_limit_is_not() {
    let mut history = valid_history();
    history.policies.insert(TICKET.to_owned(), Policy::Changing);
    history
        .calls
        .push(call(CallKind::Entry, "c", 60, admitted(false)));
    record(&mut history, "c", true);
    history.occupancy = occupancy(2, 1);
    assert_eq!(check(&history), Vec::<String>::new());
    for wrong in [occupancy(3, 1), occupancy(2, 3)] {
        history.occupancy = wrong;
        assert_only_violation(&history, "occupancy");
    }
}

/// The node that was killed had denied the scan from a cache, and no other node knows of it.
#[test]
fn a_denial_that_died_with_its_node_may_be_decided_again() {
    for answer_lost in [false, true] {
        let mut history = valid_history();
        let b = history.calls.last_mut().expect("a call");
        if let CallOutcome::Decided(decision) = &mut b.outcome {
            decision.from_cache = true;
        }
        let mut overridden = admitted(answer_lost);
        if let CallOutcome::Decided(decision) = &mut overridden {
            OVERRIDDEN.clone_into(&mut decision.reason);
        }
        if answer_lost {
            history
                .calls
                .push(call(CallKind::Entry, "b", 50, CallOutcome::Unknown));
        }
        history.calls.push(call(CallKind::Entry, "b", 60, overridden));
        let b = history.records.get_mut("b").expect("a record");
        b.valid = true;
        OVERRIDDEN.clone_into(&mut b.reason);
        history.occupancy = occupancy(2, 0);
        assert_eq!(check(&history), Vec::<String>::new());
        history.killed_node = 7;
        assert_only_violation(&history, "wrong replay");
    }
}

/// A valid history at an event whose doors are open from 0:00:01 to 0:00:02 of 2026-11-22.
fn with_doors(scan: &str, reason: &str, millis: u32) -> RunHistory {
    let mut history = valid_history();
    let time = |millis: u32| format!("2026-11-22T00:00:0{}.{:03}Z", millis / 1000, millis % 1000);
    history.doors = Some((parse_millis(&time(1000)), parse_millis(&time(2000))));
    for record in history.records.values_mut() {
        record.scanned_at = time(1500);
    }
    let record = history.records.get_mut(scan).expect("a record");
    (record.reason, record.scanned_at) = (reason.to_owned(), time(millis));
    history
}

#[test]
fn admissions_outside_the_doors_and_denials_within_them_are_violations() {
    let found = |scan, reason, millis| {
        let mut violations = Vec::new();
        check_doors(&with_doors(scan, reason, millis), &mut violations);
        violations.len()
    };
    for (scan, reason, millis, expected) in [
        ("a", "admitted", 999, 1),
        ("a", "admitted", 1000, 0),
        ("a", "admitted", 2000, 0),
        ("a", "admitted", 2004, 1),
        ("b", "doors_not_open", 999, 0),
        ("b", "doors_not_open", 1000, 1),
        ("b", "doors_closed", 2000, 1),
        ("b", "doors_closed", 2001, 0),
        ("b", "already_scanned", 2500, 0),
    ] {
        assert_eq!(found(scan, reason, millis), expected, "{reason} at {millis}");
    }
}

/// Scan `d` of another ticket is refused outside the scope, and its retry is admitted after the scope is wider again.
fn history_with_scopes() -> RunHistory {
    let mut history = valid_history();
    history.policies.insert("other".to_owned(), Policy::Never(1));
    history.scopes = vec![
        scope_change(100, Some(110), false),
        scope_change(200, Some(210), true),
    ];
    let mut refused = call(CallKind::Entry, "d", 120, CallOutcome::OutOfScope);
    let mut admission = call(CallKind::Entry, "d", 220, admitted(false));
    (refused.ticket, admission.ticket) = ("other".to_owned(), "other".to_owned());
    history.calls.extend([refused, admission]);
    record(&mut history, "d", true);
    history.records.get_mut("d").expect("a record").ticket = "other".to_owned();
    history.occupancy = occupancy(2, 0);
    history
}

#[test]
fn a_scan_may_be_refused_outside_the_scope_and_admitted_inside() {
    assert_eq!(check(&history_with_scopes()), Vec::<String>::new());
}

#[test]
fn an_admission_outside_the_scope_is_reported_unless_its_time_is_uncertain() {
    let mut history = history_with_scopes();
    let last = history.calls.len() - 1;
    history.calls[last].began = 130;
    history.calls[last].ended = 135;
    assert_only_violation(&history, "scope");
    // The call may have been decided before the narrower scope, or after the wider one.
    for (began, ended) in [(105, 135), (130, 205)] {
        (history.calls[last].began, history.calls[last].ended) = (began, ended);
        assert_eq!(check(&history), Vec::<String>::new(), "{began} to {ended}");
    }
    (history.calls[last].began, history.calls[last].ended) = (130, 135);
    // A wider scope whose answer was lost may take effect at any time later.
    history.scopes.insert(0, scope_change(90, None, true));
    assert_eq!(check(&history), Vec::<String>::new());
    history.scopes[0].ended = Some(95);
    assert_only_violation(&history, "scope");
}

#[test]
fn a_refusal_inside_the_scope_of_a_known_scan_or_of_one_on_record_is_reported() {
    let mut history = history_with_scopes();
    history.scopes[0].began = 150;
    assert_only_violation(&history, "scope");

    let mut history = history_with_scopes();
    history
        .calls
        .push(call(CallKind::Entry, "a", 140, CallOutcome::OutOfScope));
    assert_only_violation(&history, "scope");

    let mut history = history_with_scopes();
    history.calls.pop();
    assert_only_violation(&history, "scope");
}
