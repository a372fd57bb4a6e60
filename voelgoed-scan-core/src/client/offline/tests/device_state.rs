//! The device's own state survives the replacement of its database: clock, session, permissions, and a refusal. So do conflicts,
//! and the clocks of waiting scans.

use std::fs;

use super::*;
use crate::client::DeviceRefusal;
use crate::client::offline::clock::Anchor;
use crate::client::offline::revocation::StoredRefusal;
use crate::rules::ConflictKind;

/// A phone with a session and a narrowed scope, that may not override, knows its clock, and was revoked.
async fn revoked_phone(test_event: &TestEvent) -> Phone {
    let phone = test_event.phone().await;
    let scanner = &phone.scanner;
    let session = PhoneSession {
        event_id: test_event.event.id,
        gate_id: entry(test_event.vg2(1), 1).gate_id,
        session_id: Some(uuid(50).into()),
    };
    let scope = DeviceScope {
        event_ids: Some(vec![test_event.event.id]),
        gate_ids: Some(vec![session.gate_id]),
    };
    scanner.set_session(Some(session)).await.expect("it is stored");
    scanner.set_scope(&scope).await.expect("it is stored");
    scanner.set_can_override(false).await.expect("it is stored");
    let measured = scanner.update_clock_offset(after(1), after(1), after(600));
    measured.await.expect("it is stored");
    let refused = scanner.refuse_device(DeviceRefusal::Inactive, after(2));
    assert!(refused.await.expect("it is stored"));
    phone
}

#[derive(Debug, PartialEq)]
struct DeviceState {
    session: Option<PhoneSession>,
    scope: DeviceScope,
    can_override: bool,
    offset: i64,
    anchor: Option<Anchor>,
    refusal: Option<StoredRefusal>,
}

async fn device_state(phone: &Phone) -> DeviceState {
    let state = phone.scanner.state.lock().await;
    assert!(state.refusal.is_some() && state.clock.anchor.is_some());
    DeviceState {
        session: state.session,
        scope: state.scope.clone(),
        can_override: state.can_override,
        offset: state.clock.offset,
        anchor: state.clock.anchor.clone(),
        refusal: state.refusal.clone(),
    }
}

#[tokio::test]
async fn the_state_of_the_device_is_taken_over_from_a_database_that_was_set_aside() {
    let test_event = TestEvent::new();
    let phone = revoked_phone(&test_event).await;
    let before = device_state(&phone).await;
    phone.scanner.state.lock().await.log.pretend_newer().await;
    let phone = phone.reopened(&test_event).await;
    assert_eq!(
        phone.scanner.state().await.expect("a state").replaced.len(),
        1,
        "it was replaced"
    );
    assert_eq!(device_state(&phone).await, before);
    // What the server says later stays, however often the old database is read.
    assert!(phone.scanner.accept_device().await.expect("it is stored"));
    phone.scanner.set_session(None).await.expect("it is stored");
    phone.scanner.rescued_scans().await.expect("it is read again");
    let phone = phone.reopened(&test_event).await;
    assert_eq!(phone.scanner.device_refusal().await, None);
    assert_eq!(phone.scanner.session().await, None);
}

#[tokio::test]
async fn the_state_of_the_device_outlives_a_database_that_is_lost_while_it_is_in_use() {
    let test_event = TestEvent::new();
    let phone = revoked_phone(&test_event).await;
    let before = device_state(&phone).await;
    phone.scanner.state.lock().await.log.disconnect().await;
    let file = phone.directory.path().join("device.db");
    fs::write(&file, b"overwritten".repeat(1000)).expect("it is written");
    let refused = phone.scanner.decide(entry(test_event.vg2(7), 60)).await;
    assert_eq!(refused.expect_err("it is revoked").code(), "device_inactive");
    let phone = phone.reopened(&test_event).await;
    assert_eq!(device_state(&phone).await, before);
}

#[tokio::test]
async fn a_scan_that_waits_keeps_its_clocks_and_its_event() {
    let test_event = TestEvent::new();
    let phone = test_event.phone().await;
    phone.scan(entry(test_event.vg2(1), 1)).await;
    let columns = "update scans set monotonic_ms = 5, boot_id = 'boot', verified_at = 7";
    let mut state = phone.scanner.state.lock().await;
    state.log.execute_text(columns).await;
    state.log.pretend_newer().await;
    drop(state);
    let phone = phone.reopened(&test_event).await;
    assert_eq!(phone.scanner.state().await.expect("a state").waiting, 1);
    let mut state = phone.scanner.state.lock().await;
    // Each row that is not as it was makes the statement fail.
    state
        .log
        .execute_text(
            "insert into scans (sequence, scan_id, payload_sha256, direction, link, verdict)
            select sequence, scan_id, payload_sha256, direction, link, verdict
            from scans
            where event_id is null or monotonic_ms is not 5 or boot_id is not 'boot' or verified_at is not 7",
        )
        .await;
}

#[tokio::test]
async fn conflicts_are_taken_over_and_replace_no_newer_report() {
    let test_event = TestEvent::new();
    let phone = test_event.phone().await;
    let conflict = |number: u128, winner: Option<u128>| Conflict {
        kind: ConflictKind::DoubleEntry,
        winner_scan_id: winner.map(|winner| ScanId::from_uuid(uuid(winner))),
        other_scan_id: ScanId::from_uuid(uuid(number)),
        ticket_code: None,
        gates: Vec::new(),
        devices: Vec::new(),
        times: vec![after(1)],
    };
    let mut state = phone.scanner.state.lock().await;
    let old = [conflict(1, None), conflict(2, None)];
    state.log.add_conflicts(&old, &[]).await.expect("they are stored");
    state.log.pretend_newer().await;
    drop(state);
    let phone = phone.reopened(&test_event).await;
    assert_eq!(phone.scanner.conflicts().await.expect("a list"), old);
    let mut state = phone.scanner.state.lock().await;
    state
        .log
        .execute_text("delete from conflicts where other_scan_id = x'00000000000000000000000000000001'")
        .await;
    let newer = conflict(1, Some(3));
    state
        .log
        .add_conflicts(std::slice::from_ref(&newer), &[])
        .await
        .expect("it is stored");
    drop(state);
    phone.scanner.rescued_scans().await.expect("it is read again");
    let listed = phone.scanner.conflicts().await.expect("a list");
    assert_eq!(listed, [newer, conflict(2, None)]);
}
