//! A phone learns of admissions that lost a conflict after their upload.

use serde_json::json;

use super::server::Network;
use super::*;
use crate::client::offline::tests::uuid;
use crate::client::{Verdict, VerdictSource};
use crate::model::{Reason, ScanResult};

async fn admit_offline(fixture: &Fixture, phone: &ScannerClient, number: u8) -> Verdict {
    fixture.later();
    let verdict = phone.scan(ScanInput::entry(fixture.server.vg2(number))).await;
    let verdict = verdict.expect("a verdict");
    assert_eq!(
        (verdict.result, verdict.decided_by),
        (ScanResult::Valid, VerdictSource::Device)
    );
    verdict
}

#[tokio::test]
async fn the_loser_of_a_later_conflict_is_listed_and_its_ticket_is_used_up() {
    let mut test_event = TestEvent::new();
    test_event.tickets[0].entry_limit = 2;
    let fixture = Fixture::new(test_event);
    let phone = fixture.phone().await;
    phone.maintain(true).await;
    assert!(
        !fixture.server.calls().contains(&"GET scans".to_owned()),
        "the phone has admitted nobody offline"
    );
    fixture.server.set(Network::Down);
    let lost = admit_offline(&fixture, &phone, 1).await;
    let kept = admit_offline(&fixture, &phone, 2).await;
    fixture.server.set(Network::Up);
    fixture.later();
    assert!(phone.maintain(true).await);
    assert_eq!(
        phone.state().await.expect("a state").conflicts,
        0,
        "nobody has uploaded another"
    );
    // Another phone has uploaded two earlier admissions of the ticket.
    let record = |scan_id, result: &str, reason: &str| json!({ "scan_id": scan_id, "result": result, "reason": reason, "local_result": "valid", "new": 1 });
    fixture.server.list_scans(vec![
        record(json!(lost.scan_id), "duplicate", "entry_limit_reached"),
        json!({ "scan_id": "of a newer server" }),
        record(json!(uuid(999)), "duplicate", "already_scanned"),
        record(json!(kept.scan_id), "valid", "admitted"),
    ]);
    fixture.later();
    let revision = phone.changed_since(0).await;
    assert!(phone.maintain(true).await);
    phone.changed_since(revision).await;
    for _ in 0..2 {
        let conflicts = phone.conflicts().await.expect("a list");
        let [conflict] = conflicts.as_slice() else {
            panic!("one conflict: {conflicts:?}")
        };
        assert_eq!(conflict.other_scan_id, lost.scan_id);
        assert_eq!(
            conflict.ticket_code,
            lost.ticket.as_ref().and_then(|ticket| ticket.code)
        );
        assert!(phone.maintain(true).await, "it is found once");
    }
    fixture.server.set(Network::Down);
    fixture.later();
    let again = phone.scan(ScanInput::entry(fixture.server.vg2(1))).await;
    assert_eq!(again.expect("a verdict").reason, Reason::EntryLimitReached);
}

#[tokio::test]
async fn a_known_conflict_is_not_learned_again_after_a_manifest_that_contains_it() {
    let mut test_event = TestEvent::new();
    test_event.tickets[0].entry_limit = 2;
    let fixture = Fixture::new(test_event);
    let phone = fixture.phone().await;
    fixture.server.set(Network::Down);
    let lost = admit_offline(&fixture, &phone, 1).await;
    // Has no conflict, so that the phone lists its duplicates in each round.
    admit_offline(&fixture, &phone, 2).await;
    fixture.server.set(Network::Up);
    fixture.server.list_scans(vec![
        json!({ "scan_id": lost.scan_id, "result": "duplicate", "reason": "entry_limit_reached" }),
    ]);
    fixture.later();
    assert!(phone.maintain(true).await);
    assert_eq!(phone.state().await.expect("a state").conflicts, 1);
    // The office undoes the admissions of the other phone.
    fixture.later();
    let made_at = fixture.server.now();
    fixture.server.change(|test_event| {
        test_event.tickets[0].admissions = 1;
        test_event.version += 1;
        test_event.made_at = made_at;
    });
    fixture.server.calls();
    for _ in 0..2 {
        fixture.later();
        assert!(phone.maintain(true).await);
    }
    let calls = fixture.server.calls();
    let lists = calls.iter().filter(|call| *call == "GET scans").count();
    assert_eq!(lists, 2, "{calls:?}");
    fixture.server.set(Network::Down);
    fixture.later();
    let again = phone.scan(ScanInput::entry(fixture.server.vg2(1))).await;
    assert_eq!(again.expect("a verdict").reason, Reason::Admitted);
}
