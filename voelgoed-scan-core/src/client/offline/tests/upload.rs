use super::*;
use crate::rules::ConflictKind;
use crate::sync::{LinkHash, ReceivedSequences, SyncResult, SyncStatus};

/// The answer of a server that records the whole batch.
pub(super) fn recorded(batch: &WaitingBatch, server_time: Timestamp) -> SyncAnswer {
    let result = |&scan_id: &ScanId| SyncResult {
        scan_id: Some(scan_id),
        status: SyncStatus::Recorded,
        result: Some(ScanResult::Valid),
        reason: Some(Reason::Admitted),
        conflict: None,
        errors: Vec::new(),
    };
    let results = batch.scan_ids.iter().map(result).collect();
    SyncAnswer::of(
        batch.batch_id,
        results,
        &ReceivedSequences::default(),
        server_time,
    )
}

async fn next(phone: &Phone, limit: usize) -> Option<WaitingBatch> {
    phone
        .scanner
        .next_batch(limit, after(100))
        .await
        .expect("the log is read")
}

#[tokio::test]
async fn a_batch_is_signed_and_continues_the_hash_chain() {
    let test_event = TestEvent::new();
    let phone = test_event.phone().await;
    for number in 1..6 {
        phone.scan(entry(test_event.vg2(number), number.into())).await;
    }
    let mut links = Vec::new();
    let mut last: Option<LinkHash> = None;
    for (first, length) in [(1, 3), (4, 2)] {
        let batch = next(&phone, 3).await.expect("scans wait");
        let request = SyncRequest::read(&batch.body).expect("a batch");
        assert_eq!((request.scans.len(), request.batch_id), (length, batch.batch_id));
        links.clear();
        for (at, handed) in (first..).zip(&request.scans) {
            let scan = handed.scan.as_ref().expect("a scan");
            assert_eq!((scan.sequence, scan.prev_hash), (Some(at), last));
            assert_eq!(scan.local_reason, Some(Reason::Admitted));
            last = Some(handed.link);
            links.extend(last);
        }
        let setup = test_event.setup(Path::new(""));
        let bytes = signed_bytes(
            setup.organization_id,
            setup.device_id,
            request.batch_id,
            request.sent_at,
            &links,
            &[],
        );
        let key = setup.device_secret.expect("a key").public();
        assert!(key.verifies(&bytes, request.signature.expect("it is signed").as_bytes()));
        phone
            .scanner
            .acknowledge(&recorded(&batch, after(101)))
            .await
            .expect("it is stored");
    }
    assert!(next(&phone, 3).await.is_none());
}

#[tokio::test]
async fn a_batch_whose_answer_was_lost_is_uploaded_again_byte_for_byte() {
    let test_event = TestEvent::new();
    let mut phone = test_event.phone().await;
    let metadata = serde_json::from_str(r#"{"light":0.1,"note":"é"}"#).expect("metadata");
    let scan = OfflineScan {
        metadata: Some(metadata),
        ..entry(test_event.vg2(1), 0)
    };
    phone.scan(scan).await;
    let scans = |batch: WaitingBatch| {
        let request: SyncRequest<Box<RawValue>> = serde_json::from_slice(&batch.body).expect("JSON");
        request
            .scans
            .iter()
            .map(|scan| scan.get().to_owned())
            .collect::<Vec<_>>()
    };
    let first = scans(next(&phone, 10).await.expect("one waits"));
    phone = phone.reopened(&test_event).await;
    assert_eq!(scans(next(&phone, 10).await.expect("it waits again")), first);
}

#[tokio::test]
async fn one_rejected_scan_blocks_no_other_and_no_scan_is_dropped() {
    let test_event = TestEvent::new();
    let phone = test_event.phone().await;
    for number in 1..6 {
        phone.scan(entry(test_event.vg2(number), number.into())).await;
    }
    let batch = next(&phone, 1000).await.expect("scans wait");
    let mut answer = recorded(&batch, after(101));
    answer.results[0].status = SyncStatus::Rejected;
    answer.results[1].status = SyncStatus::Quarantined;
    answer.results[2].conflict = Some(Conflict {
        kind: ConflictKind::DoubleEntry,
        winner_scan_id: Some(ScanId::from_uuid(uuid(900))),
        other_scan_id: batch.scan_ids[2],
        ticket_code: Some(code(3)),
        gates: Vec::new(),
        devices: Vec::new(),
        times: Vec::new(),
    });
    answer.results.remove(3);
    phone.scanner.acknowledge(&answer).await.expect("it is stored");
    let rest = next(&phone, 1000).await.expect("the scan without a result");
    assert_eq!(rest.scan_ids, [batch.scan_ids[3]]);
    let conflicts = phone.scanner.conflicts().await.expect("they are stored");
    assert_eq!(conflicts.len(), 1);
    assert_eq!(conflicts[0].other_scan_id, batch.scan_ids[2]);
    let phone = phone.reopened(&test_event).await;
    assert_eq!(phone.scanner.conflicts().await.expect("they are stored").len(), 1);
}

#[tokio::test]
async fn the_same_scan_id_returns_the_same_verdict() {
    let test_event = TestEvent::new();
    let phone = test_event.phone().await;
    let scan = entry(test_event.vg2(1), 0);
    let first = phone.scan(scan.clone()).await;
    let later = OfflineScan {
        scanned_at: after(60),
        ..scan.clone()
    };
    let again = phone.scan(later).await;
    assert_eq!(
        (again.reason, again.repeated, again.scanned_at),
        (Reason::Admitted, true, first.scanned_at)
    );
    let other = OfflineScan {
        reading: Reading::Qr(test_event.vg2(2)),
        ..scan
    };
    let error = phone.scanner.decide(other).await.expect_err("another payload");
    assert_eq!(error.code(), "scan_id_reused");
}
