//! A scan that is sent to the server is on disk first, and has exactly one outcome.

use super::*;
use crate::client::{Attempt, AttemptOutcome};
use crate::model::ReasonText;

fn attempt(test_event: &TestEvent, number: u8) -> Attempt {
    Attempt {
        event_id: test_event.event.id,
        scan: OfflineScan {
            override_: Some(Override {
                reason: ReasonText::new("the artist's mother").expect("a reason"),
            }),
            metadata: serde_json::from_str(r#"{"light":0.1}"#).expect("metadata"),
            ..entry(test_event.vg2(number), number.into())
        },
    }
}

async fn unfinished(phone: &Phone) -> Vec<Attempt> {
    phone.scanner.unfinished_attempts().await.expect("a list")
}

#[tokio::test]
async fn an_attempt_survives_a_kill_with_everything_that_was_sent() {
    let test_event = TestEvent::new();
    let mut phone = test_event.phone().await;
    let attempts = [attempt(&test_event, 1), attempt(&test_event, 2)];
    for one in &attempts {
        phone.scanner.begin_attempt(one).await.expect("it is stored");
    }
    phone
        .scanner
        .begin_attempt(&attempts[0])
        .await
        .expect("a second record changes nothing");
    phone = phone.reopened(&test_event).await;
    let mut stored = unfinished(&phone).await;
    stored.sort_by_key(|one| one.scan.scanned_at);
    assert_eq!(stored, attempts);
    assert_eq!(
        phone.scanner.state().await.expect("a state").waiting,
        0,
        "nothing was decided"
    );
}

#[tokio::test]
async fn the_phones_decision_ends_an_attempt_in_one_transaction() {
    let test_event = TestEvent::new();
    let mut phone = test_event.phone().await;
    let one = attempt(&test_event, 1);
    phone.scanner.begin_attempt(&one).await.expect("it is stored");
    phone = phone.reopened(&test_event).await;
    let verdict = phone.scanner.decide_attempt(&one).await.expect("a verdict");
    assert_eq!(
        (verdict.scan_id, verdict.reason),
        (one.scan.scan_id, Reason::Admitted)
    );
    assert!(unfinished(&phone).await.is_empty());
    let batch = phone
        .scanner
        .next_batch(10, after(60))
        .await
        .expect("a batch")
        .expect("one");
    assert_eq!(
        batch.scan_ids,
        [one.scan.scan_id],
        "under the id that the server may know"
    );
}

#[tokio::test]
async fn the_servers_decision_and_an_abandonment_end_an_attempt() {
    let test_event = TestEvent::new();
    let mut phone = test_event.phone().await;
    let decided = attempt(&test_event, 1);
    let abandoned = attempt(&test_event, 2);
    for one in [&decided, &abandoned] {
        phone.scanner.begin_attempt(one).await.expect("it is stored");
    }
    let verdict = phone.scan(entry(test_event.vg2(3), 0)).await;
    let verdict = Verdict {
        scan_id: decided.scan.scan_id,
        decided_by: VerdictSource::Server,
        ticket: verdict.ticket.clone().map(|ticket| VerdictTicket {
            code: Some(code(1)),
            ..ticket
        }),
        ..verdict
    };
    phone
        .scanner
        .finish_attempt(verdict.scan_id, AttemptOutcome::Decided(&verdict))
        .await
        .expect("it is stored");
    phone
        .scanner
        .finish_attempt(abandoned.scan.scan_id, AttemptOutcome::Abandoned)
        .await
        .expect("it is stored");
    phone = phone.reopened(&test_event).await;
    assert!(unfinished(&phone).await.is_empty());
    let reasons = phone
        .reasons([entry(test_event.vg2(1), 60), entry(test_event.vg2(2), 61)])
        .await;
    assert_eq!(reasons, [Reason::AlreadyScanned, Reason::Admitted]);
    phone
        .scanner
        .finish_attempt(ScanId::from_uuid(uuid(999)), AttemptOutcome::Abandoned)
        .await
        .expect("an unknown attempt changes nothing");
}

#[tokio::test]
async fn no_payload_stays_behind_after_the_outcome() {
    let test_event = TestEvent::new();
    let phone = test_event.phone().await;
    let one = attempt(&test_event, 1);
    phone.scanner.begin_attempt(&one).await.expect("it is stored");
    assert!(!format!("{one:?}").contains(one.scan.reading.text()));
    phone
        .scanner
        .finish_attempt(one.scan.scan_id, AttemptOutcome::Abandoned)
        .await
        .expect("it is stored");
    assert!(unfinished(&phone).await.is_empty());
}
