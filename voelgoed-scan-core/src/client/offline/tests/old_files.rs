//! Databases that earlier versions wrote. Each is a file in `tests-data`; this version opens it and loses nothing.
//!
//! A file is written once, by the version whose schema it has, and never changes.

use super::*;

/// The database of schema 1. Ticket 1 was admitted, uploaded and lost a conflict; the scan of ticket 2 was rejected; the
/// scans of tickets 3 and 4 and of something else wait for upload; the server admitted ticket 6. There is a session, a
/// clock offset of 100 s, and a manifest.
const SCHEMA_1: &[u8] = include_bytes!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests-data/device-0001.sqlite"
));

fn scan_id(number: u128) -> ScanId {
    ScanId::from_uuid(uuid(100 + number))
}

#[tokio::test]
async fn a_database_of_schema_1_is_opened_with_nothing_lost() {
    let test_event = TestEvent::new();
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("device.db"), SCHEMA_1).expect("it is written");
    let mut phone = Phone {
        scanner: test_event.open(&directory).await,
        directory,
    };
    for _ in 0..2 {
        let state = phone.scanner.state().await.expect("a state");
        assert_eq!(
            (
                state.waiting,
                state.rejected,
                state.conflicts,
                state.clock_offset_ms
            ),
            (3, 1, 1, 100_000)
        );
        assert!(state.replaced.is_empty());
        let session = phone.scanner.session().await.expect("a session");
        assert_eq!(
            (session.event_id, session.gate_id, session.session_id),
            (test_event.event.id, gate_id(MAIN), Some(uuid(77).into()))
        );
        let batch = phone
            .scanner
            .next_batch(10, after(200))
            .await
            .expect("a batch")
            .expect("scans wait");
        assert_eq!(batch.scan_ids, [3, 4, 5].map(scan_id));
        let request = SyncRequest::read(&batch.body).expect("a batch");
        let readings: Vec<_> = request
            .scans
            .iter()
            .map(|received| received.scan.as_ref().expect("a scan"))
            .map(|scan| (scan.sequence, scan.reading.text().to_owned()))
            .collect();
        assert_eq!(
            readings,
            [
                (Some(3), test_event.vg2(3)),
                (Some(4), test_event.vg1(4)),
                (Some(5), "not a ticket".to_owned())
            ]
        );
        let rejected = phone.scanner.rejected().await.expect("a list");
        assert_eq!(rejected.len(), 1);
        assert_eq!(
            (
                rejected[0].verdict.scan_id,
                rejected[0].errors[0].message.as_str()
            ),
            (scan_id(2), "is not a gate")
        );
        let newest = PassagePlace {
            log_sequence: u64::MAX,
            at: Timestamp::MAX,
            scan_id: Uuid::max().into(),
        };
        let recorded = phone.scanner.recorded_scans(u64::MAX, newest, 10).await;
        let by_the_server = recorded.expect("a list").passages;
        let places: Vec<_> = by_the_server
            .iter()
            .map(|passage| (passage.place.scan_id, passage.place.log_sequence))
            .collect();
        assert_eq!(places, [(scan_id(6), 3)], "in order by the times");
        let conflicts = phone.scanner.conflicts().await.expect("a list");
        assert_eq!(conflicts[0].other_scan_id, scan_id(1));
        phone = phone.reopened(&test_event).await;
    }
    // A manifest of this version: the one in the file may have an earlier format.
    phone
        .scanner
        .install(test_event.event.id, test_event.manifest(), after(-100))
        .await
        .expect("it is installed");
    let scans = [1, 2, 3, 4, 6].map(|number| entry(test_event.vg2(number), 300));
    assert_eq!(phone.reasons(scans).await, [Reason::AlreadyScanned; 5]);
    assert_eq!(
        phone.reasons([entry(test_event.vg2(5), 301)]).await,
        [Reason::Admitted]
    );
    let batch = phone
        .scanner
        .next_batch(10, after(400))
        .await
        .expect("a batch")
        .expect("scans wait");
    let request = SyncRequest::read(&batch.body).expect("a batch");
    let chain: Vec<_> = request
        .scans
        .iter()
        .map(|received| (received.scan.as_ref().expect("a scan").prev_hash, received.link))
        .collect();
    assert_eq!(chain.len(), 9);
    assert!(
        chain.windows(2).all(|pair| pair[1].0 == Some(pair[0].1)),
        "the chain goes on"
    );
}
