//! How often a ticket admits: entry limits, re-entry policies, exits and overrides.

use voelgoed_scan_core::model::{Reason, TicketStatus};

use crate::attempts::{entry, exit, overriding_entry, reasons};
use crate::fixture::{Fixture, name};

pub(crate) async fn a_ticket_admits_once(fixture: Fixture) {
    let code = fixture.ticket("{}").await;
    let first = fixture.decided(entry(&fixture.main_session, code, 0)).await;
    assert_eq!(first.answer.reason, Reason::Admitted);
    assert_eq!(first.answer.previous_scan, None);
    let second = fixture.decided(entry(&fixture.side_session, code, 7)).await;
    assert_eq!(second.answer.reason, Reason::AlreadyScanned);
    let previous = second.answer.previous_scan.expect("a previous scan");
    assert_eq!(Some(previous.scan_id), first.answer.scan_id);
    assert_eq!((previous.seconds_ago, previous.same_device), (7, false));
    assert_eq!(
        (previous.gate.id, &*previous.gate.name, &*previous.device_name),
        (fixture.main_gate, "Main", "scanner-1")
    );
    let facts = fixture.ticket_facts(code).await;
    assert_eq!(
        (facts.ticket.status, facts.ticket.scan_count),
        (TicketStatus::Scanned, 1)
    );
    assert_eq!(fixture.inside().await, (1, 0, 1));
}

pub(crate) async fn gate_names_with_quotes_and_braces_round_trip(fixture: Fixture) {
    let gate_name = r#"Süd \ "A" {1},"n":0"#;
    fixture
        .change_gate(fixture.main_gate, |gate| gate.name = name(gate_name))
        .await;
    let code = fixture.ticket("{}").await;
    let first = fixture.decided(entry(&fixture.main_session, code, 0)).await;
    assert_eq!(
        (first.answer.reason, &*first.answer.gate.name),
        (Reason::Admitted, gate_name)
    );
    let second = fixture.decided(entry(&fixture.side_session, code, 7)).await;
    let previous = second.answer.previous_scan.expect("a previous scan");
    assert_eq!(&*previous.gate.name, gate_name);
}

pub(crate) async fn of_24_concurrent_scans_of_one_ticket_one_is_admitted(fixture: Fixture) {
    let code = fixture.ticket("{}").await;
    let reasons = fixture
        .record_concurrently(24, |_| entry(&fixture.main_session, code, 0))
        .await;
    let admitted = reasons
        .iter()
        .filter(|reason| **reason == Reason::Admitted)
        .count();
    let denied = reasons
        .iter()
        .filter(|reason| **reason == Reason::AlreadyScanned)
        .count();
    assert_eq!((admitted, denied), (1, 23));
    assert_eq!(fixture.inside().await, (1, 0, 1));
    assert_eq!(fixture.occupancy().await.results.duplicate, 23);
}

pub(crate) async fn of_24_concurrent_scans_an_entry_limit_of_three_admits_three(fixture: Fixture) {
    let code = fixture.ticket(r#"{"entry_limit":3}"#).await;
    let reasons = fixture
        .record_concurrently(24, |_| entry(&fixture.main_session, code, 0))
        .await;
    let admitted = reasons
        .iter()
        .filter(|reason| **reason == Reason::Admitted)
        .count();
    let denied = reasons
        .iter()
        .filter(|reason| **reason == Reason::EntryLimitReached)
        .count();
    assert_eq!((admitted, denied), (3, 21));
    assert_eq!(fixture.ticket_facts(code).await.ticket.scan_count, 3);
}

pub(crate) async fn scans_of_one_ticket_in_a_batch_are_decided_in_batch_order(fixture: Fixture) {
    fixture
        .change_event(|event| event.reentry = voelgoed_scan_core::model::Reentry::AfterExit)
        .await;
    let code = fixture.ticket("{}").await;
    let other = fixture.ticket("{}").await;
    let batch = [
        exit(&fixture.main_session, code, 0),
        entry(&fixture.main_session, code, 1),
        entry(&fixture.main_session, other, 1),
        entry(&fixture.side_session, code, 2),
        exit(&fixture.side_session, code, 3),
        entry(&fixture.side_session, code, 4),
    ];
    assert_eq!(
        reasons(&fixture.record(&batch).await),
        [
            Reason::NotInside,
            Reason::Admitted,
            Reason::Admitted,
            Reason::AlreadyInside,
            Reason::Exited,
            Reason::Readmitted,
        ]
    );
    assert_eq!(fixture.inside().await, (1, 1, 2));
}

pub(crate) async fn reentry_never_counts_admissions_even_after_an_exit(fixture: Fixture) {
    let code = fixture.ticket("{}").await;
    assert_eq!(fixture.enter(code, 0).await, Reason::Admitted);
    assert_eq!(fixture.leave(code, 1).await, Reason::Exited);
    assert_eq!(fixture.enter(code, 1_000_000).await, Reason::AlreadyScanned);
    assert_eq!(fixture.inside().await, (0, 0, 0));
}

pub(crate) async fn reentry_after_exit_readmits_after_an_exit(fixture: Fixture) {
    fixture
        .change_event(|event| event.reentry = voelgoed_scan_core::model::Reentry::AfterExit)
        .await;
    let code = fixture.ticket(r#"{"entry_limit":2}"#).await;
    let steps = [
        ("in", Reason::Admitted),
        ("in", Reason::Admitted),
        ("in", Reason::EntryLimitReached),
        ("out", Reason::Exited),
        ("in", Reason::Readmitted),
        ("in", Reason::EntryLimitReached),
        ("out", Reason::Exited),
        ("out", Reason::Exited),
        ("out", Reason::NotInside),
    ];
    for (seconds, (direction, expected)) in (0..).zip(steps) {
        let reason = match direction {
            "in" => fixture.enter(code, seconds).await,
            _ => fixture.leave(code, seconds).await,
        };
        assert_eq!(reason, expected, "step {seconds}");
    }
    assert_eq!(fixture.ticket_facts(code).await.ticket.scan_count, 3);
}

pub(crate) async fn reentry_after_window_readmits_only_after_the_window(fixture: Fixture) {
    fixture
        .change_event(|event| event.reentry = voelgoed_scan_core::model::Reentry::AfterWindow)
        .await;
    let code = fixture.ticket("{}").await;
    assert_eq!(fixture.enter(code, 0).await, Reason::Admitted);
    assert_eq!(fixture.enter(code, 200).await, Reason::AlreadyScanned);
    assert_eq!(
        fixture.enter(code, 300).await,
        Reason::AlreadyScanned,
        "the window includes its end"
    );
    let again = fixture.decided(entry(&fixture.side_session, code, 301)).await;
    assert_eq!(
        again.answer.reason,
        Reason::Readmitted,
        "denials do not extend the window"
    );
    assert_eq!(
        fixture.inside().await,
        (0, 1, 1),
        "the earlier admission is closed at its own gate"
    );
    assert_eq!(again.answer.occupancy.event.inside, 1);
}

pub(crate) async fn an_exit_closes_the_latest_entry_at_its_own_gate_first(fixture: Fixture) {
    let code = fixture.ticket(r#"{"entry_limit":3}"#).await;
    for (session, seconds) in [
        (&fixture.main_session, 0),
        (&fixture.side_session, 1),
        (&fixture.main_session, 2),
    ] {
        assert_eq!(
            fixture.reason(entry(session, code, seconds)).await,
            Reason::Admitted
        );
    }
    assert_eq!(fixture.inside().await, (2, 1, 3));
    for (seconds, inside) in [(3, (2, 0, 2)), (4, (1, 0, 1)), (5, (0, 0, 0))] {
        assert_eq!(
            fixture.reason(exit(&fixture.side_session, code, seconds)).await,
            Reason::Exited
        );
        assert_eq!(fixture.inside().await, inside);
    }
}

pub(crate) async fn an_exit_is_denied_only_when_the_holder_is_not_inside(fixture: Fixture) {
    let code = fixture.ticket("{}").await;
    let before_entry = fixture.decided(exit(&fixture.main_session, code, 0)).await;
    assert_eq!(
        (before_entry.answer.reason, before_entry.answer.previous_scan),
        (Reason::NotInside, None)
    );
    assert_eq!(fixture.enter(code, 1).await, Reason::Admitted);
    fixture
        .set_status(code, voelgoed_scan_core::model::SettableStatus::Voided)
        .await;
    fixture
        .change_gate(fixture.main_gate, |gate| {
            gate.status = voelgoed_scan_core::model::GateStatus::Closed;
        })
        .await;
    fixture
        .change_event(|event| event.status = voelgoed_scan_core::model::EventStatus::Ended)
        .await;
    assert_eq!(fixture.leave(code, 2).await, Reason::Exited);
    let second_exit = fixture.decided(exit(&fixture.main_session, code, 9)).await;
    assert_eq!(second_exit.answer.reason, Reason::NotInside);
    assert_eq!(
        second_exit.answer.previous_scan.map(|seen| seen.seconds_ago),
        Some(7),
        "seconds since the exit"
    );
}

pub(crate) async fn an_override_admits_only_duplicates_and_refusals(fixture: Fixture) {
    let code = fixture.ticket("{}").await;
    let admissible = fixture
        .decided(overriding_entry(&fixture.main_session, code, 0))
        .await;
    assert_eq!(
        admissible.answer.reason,
        Reason::Admitted,
        "an admissible entry does not use the override"
    );
    assert_eq!(admissible.record.would_have_been, None);
    let duplicate = fixture
        .decided(overriding_entry(&fixture.main_session, code, 1))
        .await;
    assert_eq!(duplicate.answer.reason, Reason::Overridden);
    let would_have_been = duplicate
        .record
        .would_have_been
        .expect("the reason without the override");
    assert_eq!(would_have_been.reason, Reason::AlreadyScanned);
    assert_eq!(duplicate.answer.ticket.map(|ticket| ticket.scan_count), Some(2));
    fixture.change_event(|event| event.capacity = Some(0)).await;
    let full = fixture.ticket("{}").await;
    assert_eq!(fixture.enter(full, 2).await, Reason::EventFull);
    assert_eq!(
        fixture
            .reason(overriding_entry(&fixture.main_session, full, 3))
            .await,
        Reason::Overridden
    );
    assert_eq!(
        fixture.inside().await,
        (3, 0, 3),
        "an override exceeds the capacity"
    );
    let side_only = fixture
        .ticket(&format!(r#"{{"gate_ids":["{}"]}}"#, fixture.side_gate))
        .await;
    assert_eq!(
        fixture
            .reason(overriding_entry(&fixture.main_session, side_only, 4))
            .await,
        Reason::GateNotAllowed
    );
    let exit = voelgoed_scan_core::model::Attempt {
        direction: voelgoed_scan_core::model::Direction::Exit,
        ..overriding_entry(&fixture.main_session, side_only, 5)
    };
    assert_eq!(
        fixture.reason(exit).await,
        Reason::NotInside,
        "an exit cannot be overridden"
    );
    let record = fixture
        .audit_trail()
        .await
        .into_iter()
        .find(|scan| scan.scan_id == duplicate.record.scan_id);
    assert_eq!(record, Some(duplicate.record), "the audit trail contains it");
}

pub(crate) async fn every_change_raises_the_version_of_a_ticket(fixture: Fixture) {
    let code = fixture.ticket("{}").await;
    let mut last = fixture.ticket_facts(code).await.version;
    let mut assert_raised = async |what: &str| {
        let version = fixture.ticket_facts(code).await.version;
        assert!(version > last, "{what}: {last} -> {version}");
        last = version;
    };
    let admitted = fixture.decided(entry(&fixture.main_session, code, 0)).await;
    assert_raised("admission").await;
    fixture
        .undo(
            admitted.record.scan_id,
            voelgoed_scan_core::store::UndoPermission::Member,
            1,
        )
        .await;
    assert_raised("undo").await;
    fixture.enter(code, 2).await;
    assert_raised("another admission").await;
    fixture.leave(code, 3).await;
    assert_raised("exit").await;
    fixture
        .set_status(code, voelgoed_scan_core::model::SettableStatus::Voided)
        .await;
    assert_raised("status").await;
    fixture
        .import(&[&format!(r#"{{"code":"{code}","note":"wheelchair"}}"#)])
        .await;
    assert_raised("import").await;
    let version = fixture.ticket_facts(code).await.version;
    fixture.enter(code, 4).await;
    fixture
        .import(&[&format!(r#"{{"code":"{code}","note":"wheelchair"}}"#)])
        .await;
    fixture
        .set_status(code, voelgoed_scan_core::model::SettableStatus::Voided)
        .await;
    assert_eq!(
        fixture.ticket_facts(code).await.version,
        version,
        "denials and writes without a change do not raise it"
    );
}
