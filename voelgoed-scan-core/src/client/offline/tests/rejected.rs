//! Scans that the server rejected never vanish.

use super::*;
use crate::sync::{ScanFault, SyncStatus};

#[tokio::test]
async fn rejected_scans_are_listed_with_their_reasons_and_counted_until_they_are_seen() {
    let test_event = TestEvent::new();
    let mut phone = test_event.phone().await;
    for number in 1..5 {
        phone.scan(entry(test_event.vg2(number), number.into())).await;
    }
    let batch = phone
        .scanner
        .next_batch(10, after(10))
        .await
        .expect("a batch")
        .expect("scans wait");
    let mut answer = upload::recorded(&batch, after(10));
    for index in [1, 3] {
        answer.results[index].status = SyncStatus::Rejected;
        answer.results[index].errors = vec![ScanFault::new("/gate_id", "is not a gate")];
    }
    phone.scanner.acknowledge(&answer).await.expect("it is stored");
    assert_eq!(batch.scan_ids.len(), 4);
    // The server refuses the whole batch because of one scan.
    let poison = phone.scan(entry("poison", 20)).await;
    phone
        .scanner
        .mark_rejected(poison.scan_id, "validation_failed")
        .await
        .expect("it is stored");
    phone = phone.reopened(&test_event).await;
    let state = async |phone: &Phone| {
        let state = phone.scanner.state().await.expect("a state");
        (state.waiting, state.rejected)
    };
    assert_eq!(state(&phone).await, (0, 3));
    let rejected = phone.scanner.rejected().await.expect("a list");
    let listed: Vec<_> = rejected
        .iter()
        .map(|one| {
            (
                one.sequence,
                one.verdict.scan_id,
                one.errors[0].message.as_str(),
                one.seen,
            )
        })
        .collect();
    assert_eq!(
        listed,
        [
            (2, batch.scan_ids[1], "is not a gate", false),
            (4, batch.scan_ids[3], "is not a gate", false),
            (5, poison.scan_id, "validation_failed", false),
        ]
    );
    phone
        .scanner
        .mark_rejected_seen(&[batch.scan_ids[1], batch.scan_ids[0]])
        .await
        .expect("it is stored");
    assert_eq!(state(&phone).await, (0, 2));
    let rejected = phone.scanner.rejected().await.expect("a list");
    let seen: Vec<_> = rejected.iter().map(|one| one.seen).collect();
    assert_eq!(seen, [true, false, false], "they stay");
}

#[tokio::test]
async fn quarantined_scans_are_listed_too() {
    let test_event = TestEvent::new();
    let phone = test_event.phone().await;
    phone.scan(entry(test_event.vg2(1), 1)).await;
    let batch = phone
        .scanner
        .next_batch(10, after(10))
        .await
        .expect("a batch")
        .expect("one waits");
    let mut answer = upload::recorded(&batch, after(10));
    answer.results[0].status = SyncStatus::Quarantined;
    phone.scanner.acknowledge(&answer).await.expect("it is stored");
    let state = phone.scanner.state().await.expect("a state");
    assert_eq!((state.waiting, state.rejected), (0, 1));
    let rejected = phone.scanner.rejected().await.expect("a list");
    let listed: Vec<_> = rejected
        .iter()
        .map(|one| (one.verdict.scan_id, one.status))
        .collect();
    assert_eq!(listed, [(batch.scan_ids[0], SyncStatus::Quarantined)]);
}
