//! A phone holds the manifests of several events.

use super::*;

/// The event of this number, with tickets of its own and the gates of the venue.
fn event_number(number: u128) -> TestEvent {
    let mut test_event = TestEvent::new();
    test_event.event.id = EventId::from_uuid(uuid(20 + number));
    for gate in &mut test_event.gates {
        gate.event_id = test_event.event.id;
    }
    test_event.tickets = (1..10).map(|number| test_event.ticket(number)).collect();
    test_event
}

async fn install(phone: &Phone, test_event: &TestEvent) {
    phone
        .install(test_event, test_event.manifest(), 0)
        .await
        .expect("it is installed");
}

async fn work_at(phone: &Phone, test_event: &TestEvent) {
    let session = PhoneSession {
        event_id: test_event.event.id,
        gate_id: gate_id(MAIN),
        session_id: None,
    };
    phone
        .scanner
        .set_session(Some(session))
        .await
        .expect("it is stored");
}

async fn held(phone: &Phone) -> Vec<EventId> {
    let heads = phone.scanner.held_manifests().await.expect("a list");
    heads.iter().map(|head| head.event.id).collect()
}

fn ids(events: &[&TestEvent]) -> Vec<EventId> {
    events.iter().map(|one| one.event.id).collect()
}

#[tokio::test]
async fn going_back_to_an_event_that_was_held_works_offline() {
    let (first, second) = (event_number(1), event_number(2));
    let mut phone = first.phone().await;
    work_at(&phone, &first).await;
    assert_eq!(phone.reasons([entry(first.vg2(1), 1)]).await, [Reason::Admitted]);
    work_at(&phone, &second).await;
    let error = phone
        .scanner
        .decide(entry(second.vg2(1), 2))
        .await
        .expect_err("its manifest is not held");
    assert_eq!(
        error.code(),
        "no_manifest",
        "although the other event has the same gate"
    );
    assert_eq!(phone.scanner.state().await.expect("a state").manifest, None);
    install(&phone, &second).await;
    let reasons = phone
        .reasons([entry(second.vg2(1), 3), entry(first.vg2(2), 4)])
        .await;
    assert_eq!(reasons, [Reason::Admitted, Reason::OtherEvent]);
    phone = phone.reopened(&first).await;
    assert_eq!(
        phone.reasons([entry(second.vg2(1), 10)]).await,
        [Reason::AlreadyScanned],
        "the session's event after a restart"
    );
    work_at(&phone, &first).await;
    let reasons = phone
        .reasons([entry(first.vg2(1), 20), entry(first.vg2(2), 21)])
        .await;
    assert_eq!(reasons, [Reason::AlreadyScanned, Reason::Admitted]);
    assert_eq!(held(&phone).await, ids(&[&first, &second]));
}

#[tokio::test]
async fn a_reading_at_another_event_of_the_same_gate_is_another_scan() {
    let (first, second) = (event_number(1), event_number(2));
    let phone = first.phone().await;
    install(&phone, &second).await;
    work_at(&phone, &first).await;
    let qr = first.vg2(1);
    let admitted = phone.scan(entry(qr.clone(), 1)).await;
    assert_eq!((admitted.reason, admitted.repeated), (Reason::Admitted, false));
    assert!(phone.scan(entry(qr.clone(), 2)).await.repeated, "one reading");
    work_at(&phone, &second).await;
    let elsewhere = phone.scan(entry(qr.clone(), 2)).await;
    assert_eq!(
        (elsewhere.reason, elsewhere.repeated),
        (Reason::OtherEvent, false)
    );
    // Both scans are uploaded, each with its event.
    let batch = phone
        .scanner
        .next_batch(10, after(5))
        .await
        .expect("the log is read");
    let request = SyncRequest::read(&batch.expect("scans wait").body).expect("a batch");
    let sent: Vec<_> = request
        .scans
        .iter()
        .map(|received| {
            let scan = received.scan.as_ref().expect("a scan");
            (scan.event_id, scan.gate_id)
        })
        .collect();
    assert_eq!(
        sent,
        [&first, &second].map(|one| (Some(one.event.id), gate_id(MAIN)))
    );
}

#[tokio::test]
async fn the_least_recently_used_manifest_is_dropped_and_never_one_that_is_needed() {
    let events: Vec<TestEvent> = (0..6).map(event_number).collect();
    let phone = events[0].phone().await;
    // Event 0 has the session, event 1 a scan that waits for upload, event 2 a scan under way.
    install(&phone, &events[1]).await;
    phone.scan(entry(events[1].vg2(1), 1)).await;
    install(&phone, &events[2]).await;
    let attempt = Attempt {
        event_id: events[2].event.id,
        scan: entry(events[2].vg2(1), 2),
    };
    phone.scanner.begin_attempt(&attempt).await.expect("it is stored");
    work_at(&phone, &events[0]).await;
    for later in &events[3..] {
        install(&phone, later).await;
    }
    assert_eq!(
        held(&phone).await,
        ids(&[
            &events[5], &events[4], &events[3], &events[0], &events[2], &events[1]
        ])
    );
    // Once they are uploaded and decided, they may go.
    let batch = phone
        .scanner
        .next_batch(10, after(5))
        .await
        .expect("a batch")
        .expect("one");
    phone
        .scanner
        .acknowledge(&upload::recorded(&batch, after(5)))
        .await
        .expect("it is stored");
    phone
        .scanner
        .finish_attempt(attempt.scan.scan_id, AttemptOutcome::Abandoned)
        .await
        .expect("it is stored");
    install(&phone, &events[4]).await;
    assert_eq!(
        held(&phone).await,
        ids(&[&events[4], &events[5], &events[3], &events[0]])
    );
}

#[tokio::test]
async fn the_number_of_held_manifests_can_be_set_and_is_at_least_one() {
    let events: Vec<TestEvent> = (0..3).map(event_number).collect();
    for (number, expected) in [(0, 1), (1, 1), (2, 2)] {
        let directory = tempfile::tempdir().expect("a directory");
        let options = OfflineScannerOptions {
            manifests_held: number,
            ..OfflineScannerOptions::default()
        };
        let setup = events[0].setup(&directory.path().join("device.db"));
        let scanner = OfflineScanner::open_with(setup, options)
            .await
            .expect("the database opens");
        let phone = Phone { scanner, directory };
        for one in &events {
            install(&phone, one).await;
        }
        assert_eq!(held(&phone).await.len(), expected);
    }
}

#[tokio::test]
async fn a_delta_belongs_to_the_manifest_of_its_event() {
    let (mut first, second) = (event_number(1), event_number(2));
    let mut phone = first.phone().await;
    install(&phone, &second).await;
    first.version = 2;
    first.made_at = after(5);
    first.tickets[0].status = TicketStatus::Voided;
    phone
        .install(&first, first.delta(1, &[1]), 5)
        .await
        .expect("its base is held");
    phone = phone.reopened(&first).await;
    work_at(&phone, &first).await;
    assert_eq!(
        phone.reasons([entry(first.vg2(1), 6)]).await,
        [Reason::TicketVoided]
    );
    work_at(&phone, &second).await;
    assert_eq!(phone.reasons([entry(second.vg2(1), 7)]).await, [Reason::Admitted]);
}
