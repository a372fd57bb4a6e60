//! Checking tickets in by hand.

use std::sync::Arc;

use serde_json::json;
use uuid::Uuid;
use voelgoed_scan_core::model::{
    ApiKeyId, Attempt, AuditAction, AuditActor, AuditContext, AuditSubject, AuditSubjectKind, DecidedBy,
    DevicePatch, DeviceStatus, Direction, Format, GateId, GateStatus, Metadata, Reason, Recorded, Reentry,
    ScanResult, ScannedBy, SettableStatus, Source, TicketCode, Timestamp,
};
use voelgoed_scan_core::store::UndoPermission;
use voelgoed_scan_core::sync::SyncStatus;

use crate::attempts::{entry, exit};
use crate::fixture::{Fixture, after, audit, reason_text};
use crate::sync::{item, outcome_of, scan, sync_batch};

/// An API key of a member, by a number.
fn key(number: u128) -> ApiKeyId {
    ApiKeyId::from_uuid(Uuid::from_u128(number))
}

/// A check-in by hand at a gate, by the key with a number.
fn check_in(fixture: &Fixture, gate: GateId, code: TicketCode, number: u128, seconds: i64) -> Attempt {
    let mut attempt = entry(&fixture.main_session, code, seconds);
    attempt.scanned_by = ScannedBy::Desk {
        api_key_id: key(number),
        name: format!("Desk {number}"),
    };
    attempt.gate_id = gate;
    attempt.fingerprint.format = Some(Format::Bare);
    attempt.fingerprint.kid = None;
    attempt.metadata = Some(Metadata::of_check_in(&reason_text("the phone is broken")));
    attempt
}

pub(crate) async fn a_check_in_by_hand_is_decided_and_counted_as_a_scan_at_the_gate(fixture: Fixture) {
    let code = fixture.ticket("{}").await;
    let decided = fixture
        .decided(check_in(&fixture, fixture.side_gate, code, 7, 5))
        .await;
    let (answer, record) = (&decided.answer, &decided.record);
    assert_eq!(
        (answer.result, answer.reason, answer.decided_by, answer.session_id),
        (ScanResult::Valid, Reason::Admitted, DecidedBy::Database, None)
    );
    assert_eq!(
        (answer.occupancy.gate.inside, answer.occupancy.event.inside),
        (1, 1)
    );
    assert_eq!(
        (
            record.source,
            record.device_id,
            record.scan_session_id,
            record.api_key_id
        ),
        (Source::Desk, None, None, Some(key(7)))
    );
    assert_eq!(
        (record.event_id, record.gate_id),
        (fixture.event, fixture.side_gate)
    );
    assert_eq!(json!(record.metadata), json!({ "reason": "the phone is broken" }));
    assert_eq!(fixture.inside().await, (0, 1, 1));
    assert_eq!(fixture.audit_trail().await, std::slice::from_ref(record));
    let facts = fixture.ticket_facts(code).await;
    assert_eq!(facts.ticket.scan_count, 1);

    let again = fixture
        .decided(check_in(&fixture, fixture.main_gate, code, 8, 9))
        .await;
    assert_eq!(again.answer.reason, Reason::AlreadyScanned);
    let previous = again.answer.previous_scan.expect("the admission");
    assert_eq!(
        (
            previous.scan_id,
            previous.device_name.as_str(),
            previous.same_device,
            previous.seconds_ago
        ),
        (record.scan_id, "Desk 7", false, 4)
    );
    let scanned = fixture.decided(entry(&fixture.main_session, code, 10)).await;
    let previous = scanned.answer.previous_scan.expect("the admission");
    assert_eq!(
        (previous.device_name.as_str(), previous.same_device),
        ("Desk 7", false)
    );
    assert_eq!(fixture.inside().await, (0, 1, 1));
    let mut out = check_in(&fixture, fixture.main_gate, code, 8, 11);
    out.direction = Direction::Exit;
    assert_eq!(fixture.reason(out).await, Reason::Exited);
    assert_eq!(
        fixture.inside().await,
        (0, 0, 0),
        "it leaves the gate where it came in"
    );
}

pub(crate) async fn a_check_in_needs_neither_a_session_nor_unsigned_codes(fixture: Fixture) {
    fixture.change_event(|event| event.allow_unsigned = false).await;
    let code = fixture.ticket("{}").await;
    let mut typed = entry(&fixture.main_session, code, 1);
    typed.fingerprint.format = Some(Format::Bare);
    assert_eq!(fixture.reason(typed).await, Reason::UnsignedNotAllowed);
    let revoked = fixture
        .store
        .revoke_device(
            fixture.organization,
            fixture.main_session.device,
            after(2),
            audit(),
        )
        .await;
    revoked.expect("the device is revoked");
    let attempt = check_in(&fixture, fixture.main_gate, code, 7, 3);
    assert_eq!(fixture.reason(attempt).await, Reason::Admitted);
    let unknown = check_in(&fixture, GateId::from_uuid(Uuid::new_v4()), code, 7, 4);
    assert_eq!(fixture.record_one(unknown).await, Recorded::NoActiveSession);
}

pub(crate) async fn every_check_denies_a_check_in_as_it_denies_a_scan(fixture: Fixture) {
    let ticket = async |line: &str| fixture.ticket(line).await;
    let elsewhere = format!(r#"{{"gate_ids":["{}"]}}"#, fixture.side_gate);
    let late = r#"{"valid_from":"2026-11-22T19:00:00Z"}"#;
    let (plain, other_gate, early) = (ticket("{}").await, ticket(&elsewhere).await, ticket(late).await);
    let voided = ticket("{}").await;
    fixture.set_status(voided, SettableStatus::Voided).await;
    for (code, reason) in [
        (other_gate, Reason::GateNotAllowed),
        (early, Reason::TicketNotYetValid),
        (voided, Reason::TicketVoided),
    ] {
        let attempt = check_in(&fixture, fixture.main_gate, code, 7, 5);
        assert_eq!(fixture.reason(attempt).await, reason);
        assert_eq!(
            fixture.reason(entry(&fixture.main_session, code, 6)).await,
            reason
        );
    }
    let at_main = async |seconds: i64| {
        let attempt = check_in(&fixture, fixture.main_gate, plain, 7, seconds);
        fixture.reason(attempt).await
    };
    fixture
        .change_gate(fixture.main_gate, |gate| gate.status = GateStatus::Closed)
        .await;
    assert_eq!(at_main(7).await, Reason::GateClosed);
    fixture
        .change_gate(fixture.main_gate, |gate| gate.capacity = Some(0))
        .await;
    assert_eq!(at_main(8).await, Reason::GateFull);
    fixture.change_gate(fixture.main_gate, |_| {}).await;
    fixture.change_event(|event| event.capacity = Some(0)).await;
    assert_eq!(at_main(9).await, Reason::EventFull);
    fixture
        .change_event(|event| event.doors_open_at = Some(after(3600)))
        .await;
    assert_eq!(at_main(10).await, Reason::DoorsNotOpen);
    assert_eq!(fixture.inside().await, (0, 0, 0));
}

pub(crate) async fn only_the_same_key_repeats_a_check_in(fixture: Fixture) {
    let (code, other) = (fixture.ticket("{}").await, fixture.ticket("{}").await);
    let first = check_in(&fixture, fixture.main_gate, code, 7, 5);
    let mut answer = fixture.decided(first.clone()).await.answer;
    answer.replayed = true;
    let repeated = |number: u128, seconds: i64| Attempt {
        scan_id: first.scan_id,
        ..check_in(&fixture, fixture.main_gate, code, number, seconds)
    };
    assert_eq!(
        fixture.record_one(repeated(7, 30)).await,
        Recorded::Replayed(Box::new(answer.clone()))
    );
    let another_ticket = Attempt {
        scan_id: first.scan_id,
        ..check_in(&fixture, fixture.main_gate, other, 7, 30)
    };
    let exit_instead = Attempt {
        direction: Direction::Exit,
        ..repeated(7, 30)
    };
    let by_device = Attempt {
        scan_id: first.scan_id,
        ..entry(&fixture.main_session, code, 30)
    };
    for attempt in [repeated(8, 30), another_ticket, exit_instead, by_device] {
        assert_eq!(fixture.record_one(attempt).await, Recorded::ScanIdReused);
    }
    fixture.undo(first.scan_id, UndoPermission::Member, 40).await;
    assert_eq!(fixture.record_one(repeated(7, 50)).await, Recorded::ScanUndone);
    assert_eq!(fixture.inside().await, (0, 0, 0));
}

pub(crate) async fn of_24_concurrent_desks_and_devices_one_admits(fixture: Fixture) {
    let code = fixture.ticket("{}").await;
    let reasons = fixture
        .record_concurrently(24, |call| match call % 3 {
            0 => check_in(&fixture, fixture.main_gate, code, call as u128, 5),
            1 => check_in(&fixture, fixture.side_gate, code, call as u128, 5),
            _ => entry(&fixture.main_session, code, 5),
        })
        .await;
    let admitted = reasons.iter().filter(|reason| **reason == Reason::Admitted);
    assert_eq!(admitted.count(), 1, "{reasons:?}");
    let denied = reasons.iter().filter(|reason| **reason == Reason::AlreadyScanned);
    assert_eq!(denied.count(), 23, "{reasons:?}");
    assert_eq!(fixture.inside().await.2, 1);
}

pub(crate) async fn an_undone_check_in_leaves_the_names_of_the_others(fixture: Fixture) {
    fixture
        .change_event(|event| event.reentry = Reentry::AfterExit)
        .await;
    let code = fixture.ticket(r#"{"entry_limit":2}"#).await;
    let first = fixture
        .decided(check_in(&fixture, fixture.main_gate, code, 7, 5))
        .await;
    let second = fixture
        .decided(check_in(&fixture, fixture.side_gate, code, 8, 6))
        .await;
    fixture
        .undo(second.record.scan_id, UndoPermission::Member, 10)
        .await;
    assert_eq!(fixture.inside().await, (1, 0, 1));
    let device = UndoPermission::Device(fixture.main_session.device, std::time::Duration::from_mins(15));
    let outcome = fixture.undo(first.record.scan_id, device, 11).await;
    assert_eq!(outcome, Some(voelgoed_scan_core::store::UndoOutcome::NotAllowed));
    let facts = fixture.ticket_facts(code).await;
    let last = facts.ledger.last_admission().expect("the first check-in");
    assert_eq!(
        (last.scan_id, last.device_name.as_str()),
        (first.record.scan_id, "Desk 7")
    );
    assert_eq!(
        fixture.reason(exit(&fixture.side_session, code, 12)).await,
        Reason::Exited
    );
    assert_eq!(fixture.inside().await, (0, 0, 0));
}

pub(crate) async fn an_upload_loses_against_a_check_in_and_names_its_desk(fixture: Fixture) {
    let code = fixture.ticket("{}").await;
    let winner = fixture
        .decided(check_in(&fixture, fixture.main_gate, code, 7, 5))
        .await;
    let late = scan(&fixture.side_session, code, 20);
    let results = fixture
        .sync(&fixture.side_session, code, std::slice::from_ref(&late))
        .await;
    let (status, _, kind) = outcome_of(&results[0]);
    assert_eq!(status, SyncStatus::Recorded);
    assert!(kind.is_some(), "{results:?}");
    let conflict = results[0].conflict.as_ref().expect("a conflict");
    assert_eq!(conflict.winner_scan_id, Some(winner.record.scan_id));
    assert_eq!(conflict.devices[0].name, "Desk 7");
    assert_eq!(fixture.inside().await, (1, 1, 2), "both people are inside");
}

pub(crate) async fn a_check_in_is_entered_in_the_audit_log_once_with_its_call(fixture: Fixture) {
    let mut known = fixture.audit_log().await.len();
    let code = fixture.ticket("{}").await;
    let actor = AuditActor::api_key(key(7), "Desk 7");
    let call = AuditContext {
        actor: actor.clone(),
        address: Some([192, 0, 2, 9].into()),
        request_id: Some("desk-1".to_owned()),
    };
    let by_call = |attempt: Attempt| Attempt {
        origin: Some(Arc::new(call.clone())),
        ..attempt
    };
    let first = by_call(check_in(&fixture, fixture.main_gate, code, 7, 5));
    let denied = by_call(check_in(&fixture, fixture.main_gate, code, 7, 6));
    for attempt in [&first, &first, &denied] {
        fixture.record_one(attempt.clone()).await;
    }
    assert_eq!(
        fixture.audit_log().await.len(),
        known,
        "no check-in waits for the log"
    );
    assert_eq!(fixture.enter_acts().await, 2);
    let entries = fixture.new_entries(&mut known).await;
    for (entry, attempt, reason) in [
        (&entries[0], &first, "admitted"),
        (&entries[1], &denied, "already_scanned"),
    ] {
        assert_eq!(
            (
                entry.action,
                &entry.actor,
                entry.address,
                entry.request_id.as_deref()
            ),
            (AuditAction::ScanCheckIn, &actor, call.address, Some("desk-1"))
        );
        assert_eq!(
            entry.subject,
            AuditSubject::new(AuditSubjectKind::Scan, attempt.scan_id)
        );
        assert_eq!(json!(entry.changes), json!({ "reason": [null, reason] }));
    }
}

pub(crate) async fn a_device_that_may_search_scans_codes_without_a_signature(fixture: Fixture) {
    let code = fixture.ticket("{}").await;
    let typed = |seconds: i64| {
        let mut attempt = entry(&fixture.main_session, code, seconds);
        attempt.fingerprint.format = Some(Format::Bare);
        attempt
    };
    let set = async |settings: &str, at: Timestamp| {
        let patch = DevicePatch {
            status: Some(DeviceStatus::Active),
            settings: Some(serde_json::from_str(settings).expect("settings")),
            ..DevicePatch::default()
        };
        let device = fixture.main_session.device;
        let patched = fixture
            .store
            .patch_device(fixture.organization, device, &patch, at, audit())
            .await;
        patched.expect("the device is changed");
    };
    assert_eq!(fixture.reason(typed(1)).await, Reason::UnsignedNotAllowed);
    set(r#"{"can_search":true}"#, after(2)).await;
    assert_eq!(fixture.reason(typed(3)).await, Reason::Admitted);
    set("{}", after(4)).await;
    assert_eq!(fixture.reason(typed(5)).await, Reason::UnsignedNotAllowed);
    // What was uploaded later is judged by the settings of its own time.
    for (seconds, reason) in [
        (1, Reason::UnsignedNotAllowed),
        (3, Reason::Admitted),
        (5, Reason::UnsignedNotAllowed),
    ] {
        let code = fixture.ticket("{}").await;
        let mut undecided = scan(&fixture.main_session, code, seconds);
        undecided.local_result = None;
        let mut item = item(undecided, Some(code));
        let upload = item.upload.as_mut().expect("an upload");
        upload.fingerprint.format = Some(Format::Bare);
        let synced = fixture
            .ingest(&sync_batch(&fixture.main_session, vec![item], 3600))
            .await;
        assert_eq!(synced.results[0].reason, Some(reason), "{seconds} s");
    }
}
