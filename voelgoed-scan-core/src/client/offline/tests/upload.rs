use super::*;
use crate::rules::ConflictKind;
use crate::sync::{ReceivedScan, SyncResult, SyncStatus};

/// A server's answer that takes all of a batch.
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
    SyncAnswer::of(batch.batch_id, results, Vec::new(), server_time)
}

async fn next(phone: &Phone, limit: usize) -> Option<WaitingBatch> {
    phone
        .gate
        .next_batch(limit, after(100))
        .await
        .expect("the log is read")
}

#[tokio::test]
async fn a_batch_is_a_signed_chain_with_every_scan_in_its_place() {
    let world = World::new();
    let phone = world.phone().await;
    for number in 1..6 {
        phone.scan(entry(world.vg2(number), number.into())).await;
    }
    let mut links = Vec::new();
    let mut last: Option<LinkHash> = None;
    for (first, length) in [(1, 3), (4, 2)] {
        let batch = next(&phone, 3).await.expect("scans wait");
        let request: SyncRequest<ReceivedScan> = serde_json::from_slice(&batch.body).expect("JSON");
        assert_eq!((request.scans.len(), request.batch_id), (length, batch.batch_id));
        links.clear();
        for (at, handed) in (first..).zip(&request.scans) {
            let scan = handed.scan.as_ref().expect("a scan");
            assert_eq!((scan.sequence, scan.prev_hash), (Some(at), last));
            assert_eq!(scan.local_reason, Some(Reason::Admitted));
            last = Some(LinkHash::of(&handed.sent));
            links.extend(last);
        }
        let setup = world.setup(Path::new(""));
        let bytes = signed_bytes(
            setup.organization_id,
            setup.device_id,
            request.batch_id,
            request.sent_at,
            &links,
        );
        let key = setup.device_secret.expect("a key").public();
        assert!(key.verifies(&bytes, request.signature.expect("it is signed").as_bytes()));
        phone
            .gate
            .acknowledge(&recorded(&batch, after(101)))
            .await
            .expect("it is kept");
    }
    assert!(next(&phone, 3).await.is_none());
}

#[tokio::test]
async fn a_batch_whose_answer_was_lost_is_handed_in_again_word_for_word() {
    let world = World::new();
    let mut phone = world.phone().await;
    let metadata = serde_json::from_str(r#"{"light":0.1,"note":"é"}"#).expect("metadata");
    let scan = OfflineScan {
        metadata: Some(metadata),
        ..entry(world.vg2(1), 0)
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
    phone = phone.reopened(&world).await;
    assert_eq!(scans(next(&phone, 10).await.expect("it still waits")), first);
}

#[tokio::test]
async fn one_bad_scan_never_blocks_the_rest_and_nothing_is_dropped() {
    let world = World::new();
    let phone = world.phone().await;
    for number in 1..6 {
        phone.scan(entry(world.vg2(number), number.into())).await;
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
    phone.gate.acknowledge(&answer).await.expect("it is kept");
    let rest = next(&phone, 1000).await.expect("the one without an answer");
    assert_eq!(rest.scan_ids, [batch.scan_ids[3]]);
    let conflicts = phone.gate.conflicts().await.expect("they are kept");
    assert_eq!(conflicts.len(), 1);
    assert_eq!(conflicts[0].other_scan_id, batch.scan_ids[2]);
    let phone = phone.reopened(&world).await;
    assert_eq!(phone.gate.conflicts().await.expect("they are kept").len(), 1);
}

#[tokio::test]
async fn the_same_scan_id_is_the_same_scan() {
    let world = World::new();
    let phone = world.phone().await;
    let scan = entry(world.vg2(1), 0);
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
        reading: Reading::Qr(world.vg2(2)),
        ..scan
    };
    let error = phone.gate.decide(other).await.expect_err("another payload");
    assert_eq!(error.code(), "scan_id_reused");
}
