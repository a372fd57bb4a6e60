use super::*;

#[tokio::test]
async fn a_ticket_that_this_phone_admitted_stays_admitted() {
    let mut test_event = TestEvent::new();
    let mut phone = test_event.phone().await;
    let vg2 = test_event.vg2(1);
    assert_eq!(phone.reasons([entry(&vg2, 0)]).await, [Reason::Admitted]);
    phone = phone.reopened(&test_event).await;
    assert_eq!(
        phone.reasons([entry(&vg2, 10)]).await,
        [Reason::AlreadyScanned],
        "after a restart"
    );
    // A newer manifest without the scan.
    let bytes = test_event.later(20);
    phone
        .install(&test_event, bytes, 20)
        .await
        .expect("it is installed");
    assert_eq!(
        phone.reasons([entry(&vg2, 30)]).await,
        [Reason::AlreadyScanned],
        "under a newer manifest"
    );
    upload_all(&phone, after(40)).await;
    assert_eq!(
        phone.reasons([entry(&vg2, 50)]).await,
        [Reason::AlreadyScanned],
        "after the upload"
    );
    // A manifest made after the upload, but without the scan: it was undone or lost.
    let bytes = test_event.later(60);
    phone
        .install(&test_event, bytes, 60)
        .await
        .expect("it is installed");
    phone = phone.reopened(&test_event).await;
    assert_eq!(
        phone.reasons([entry(&vg2, 70)]).await,
        [Reason::AlreadyScanned],
        "whatever the manifest says"
    );
    test_event.tickets[0].admissions = 1;
    let bytes = test_event.later(80);
    phone
        .install(&test_event, bytes, 80)
        .await
        .expect("it is installed");
    assert_eq!(phone.reasons([entry(&vg2, 90)]).await, [Reason::AlreadyScanned]);
}

async fn upload_all(phone: &Phone, server_time: Timestamp) {
    while let Some(batch) = phone
        .scanner
        .next_batch(1000, server_time)
        .await
        .expect("a batch")
    {
        let answer = upload::recorded(&batch, server_time);
        phone.scanner.acknowledge(&answer).await.expect("it is stored");
    }
}

#[tokio::test]
async fn an_admission_counts_once_before_and_after_its_upload() {
    let mut test_event = TestEvent::new();
    test_event.tickets[0].entry_limit = 3;
    let phone = test_event.phone().await;
    let vg2 = test_event.vg2(1);
    assert_eq!(phone.reasons([entry(&vg2, 0)]).await, [Reason::Admitted]);
    upload_all(&phone, after(10)).await;
    // This admission and one of another phone.
    test_event.tickets[0].admissions = 2;
    let bytes = test_event.later(60);
    phone
        .install(&test_event, bytes, 60)
        .await
        .expect("it is installed");
    let reasons = phone.reasons([entry(&vg2, 70), entry(&vg2, 80)]).await;
    assert_eq!(reasons, [Reason::Admitted, Reason::EntryLimitReached]);
}

#[tokio::test]
async fn an_online_admission_is_known_to_the_phone_when_it_is_offline() {
    let test_event = TestEvent::new();
    let phone = test_event.phone().await;
    let online = Verdict {
        decided_by: VerdictSource::Server,
        ..phone.scan(entry(test_event.vg2(2), 0)).await
    };
    let ticket = online.ticket.clone().map(|ticket| VerdictTicket {
        code: Some(code(1)),
        ..ticket
    });
    let scan_id = ScanId::from_uuid(uuid(500));
    let online = Verdict {
        scan_id,
        ticket,
        ..online
    };
    phone
        .scanner
        .record_online_verdict(&online)
        .await
        .expect("it is stored");
    phone
        .scanner
        .record_online_verdict(&online)
        .await
        .expect("a second record changes nothing");
    let verdict = phone.scan(entry(test_event.vg2(1), 60)).await;
    assert_eq!(verdict.reason, Reason::AlreadyScanned);
    assert_eq!(verdict.previous_scan.and_then(|seen| seen.scan_id), Some(scan_id));
}

#[tokio::test]
async fn deltas_are_stored_with_their_base() {
    let mut test_event = TestEvent::new();
    let mut phone = test_event.phone().await;
    test_event.version = 2;
    test_event.made_at = after(5);
    test_event.tickets[0].status = TicketStatus::Voided;
    let state = phone
        .install(&test_event, test_event.delta(1, &[1]), 5)
        .await
        .expect("it is installed");
    assert_eq!((state.version, state.made_at, state.tickets), (2, after(5), 9));
    phone = phone.reopened(&test_event).await;
    let held = phone
        .scanner
        .state()
        .await
        .expect("a state")
        .manifest
        .expect("one");
    assert_eq!((held.version, held.tickets), (2, 9));
    assert!(
        held.needs_full,
        "the delta is half as large as the small manifest"
    );
    let reasons = phone
        .reasons([entry(test_event.vg2(1), 6), entry(test_event.vg2(2), 7)])
        .await;
    assert_eq!(reasons, [Reason::TicketVoided, Reason::Admitted]);
    let error = phone
        .install(&test_event, test_event.delta(1, &[1]), 8)
        .await
        .expect_err("it has another base");
    assert_eq!(error.code(), "manifest_other_base");
}

#[tokio::test]
async fn a_refused_manifest_leaves_the_previous_one_in_use() {
    let mut test_event = TestEvent::new();
    let phone = test_event.phone().await;
    let mut bytes = test_event.later(5);
    bytes[200] ^= 1;
    let error = phone
        .install(&test_event, bytes, 5)
        .await
        .expect_err("a byte was changed");
    assert_eq!(error.code(), "manifest_bad_signature");
    let error = phone
        .install(&test_event, test_event.manifest(), 5 + 3601)
        .await
        .expect_err("it is expired");
    assert_eq!(error.code(), "manifest_expired");
    let held = phone
        .scanner
        .state()
        .await
        .expect("a state")
        .manifest
        .expect("one");
    assert_eq!(held.version, 1);
    let other = EventId::from_uuid(uuid(99));
    let error = phone
        .scanner
        .install(other, test_event.manifest(), after(5))
        .await
        .expect_err("another event");
    assert_eq!(error.code(), "manifest_other_event");
}

#[tokio::test]
async fn a_stored_manifest_with_an_unpinned_key_is_ignored_and_the_log_stays() {
    let test_event = TestEvent::new();
    let phone = test_event.phone().await;
    phone.scan(entry(test_event.vg2(1), 0)).await;
    let Phone { scanner, directory } = phone;
    scanner.close().await.expect("it closes");
    let mut setup = test_event.setup(&directory.path().join("device.db"));
    setup.manifest_key = [3; 32];
    let scanner = OfflineScanner::open(setup.clone())
        .await
        .expect("the database opens");
    let state = scanner.state().await.expect("a state");
    assert_eq!((state.manifest, state.waiting), (None, 1));
    let error = scanner
        .decide(entry(test_event.vg2(2), 1))
        .await
        .expect_err("no manifest");
    assert_eq!(error.code(), "no_manifest");
    drop(scanner);
    setup.device_id = DeviceId::from_uuid(uuid(8));
    let error = OfflineScanner::open(setup)
        .await
        .expect_err("another device's database");
    assert_eq!(error.code(), "other_device");
}

#[tokio::test]
async fn the_clock_offset_is_measured_with_the_servers_time() {
    let test_event = TestEvent::new();
    let mut phone = test_event.phone().await;
    let offset = async |phone: &Phone| phone.scanner.state().await.expect("a state").clock_offset_ms;
    let learn = async |phone: &Phone, server: i64| {
        phone
            .scanner
            .update_clock_offset(after(0), after(2), after(1).plus_millis(server))
            .await
            .expect("it is stored");
    };
    learn(&phone, 2000).await;
    assert_eq!(offset(&phone).await, 0, "at most 2 s");
    learn(&phone, -3_600_000).await;
    assert_eq!(offset(&phone).await, -3_600_000);
    phone = phone.reopened(&test_event).await;
    let verdict = phone.scan(entry(test_event.vg2(1), 3600)).await;
    assert_eq!(verdict.scanned_at, MADE_AT);
}
