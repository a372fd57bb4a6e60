//! The audit trail and the occupancy report.

use voelgoed_scan_core::model::{DecidedBy, Direction, Reason, ScanRecord, ScanResult, Source};
use voelgoed_scan_core::store::{Order, PageRequest, ScanFilter};

use crate::attempts::{entry, exit};
use crate::fixture::{ALL, Fixture, after};

pub(crate) async fn a_record_holds_the_request_and_the_answer(fixture: Fixture) {
    let code = fixture.ticket("{}").await;
    let mut scan = entry(&fixture.main_session, code, 3);
    scan.device_scanned_at = Some(after(2));
    scan.metadata = Some(serde_json::from_str(r#"{"lane":4,"note":"größe"}"#).expect("metadata"));
    let id = scan.scan_id;
    let metadata = scan.metadata.clone();
    let decided = fixture.decided(scan).await;
    let ticket = fixture.ticket_facts(code).await.ticket;
    let expected = ScanRecord {
        scan_id: id,
        organization_id: fixture.organization,
        ticket_id: Some(ticket.id),
        ticket_code: Some(code),
        event_id: fixture.event,
        gate_id: fixture.main_gate,
        device_id: Some(fixture.main_session.device),
        api_key_id: None,
        scan_session_id: Some(fixture.main_session.id),
        result: ScanResult::Valid,
        reason: Reason::Admitted,
        would_have_been: None,
        direction: Direction::Entry,
        scanned_at: after(3),
        device_scanned_at: Some(after(2)),
        received_at: after(3),
        source: Source::Online,
        decided_by: DecidedBy::Database,
        override_: None,
        undone: None,
        local_result: None,
        metadata,
    };
    assert_eq!(decided.record, expected);
    assert_eq!(fixture.audit_trail().await, [expected]);
}

pub(crate) async fn the_audit_trail_applies_every_filter(fixture: Fixture) {
    let (one, two) = (fixture.ticket("{}").await, fixture.ticket("{}").await);
    let batch = [
        entry(&fixture.main_session, one, 0),
        entry(&fixture.main_session, one, 10),
        entry(&fixture.side_session, two, 20),
        exit(&fixture.side_session, one, 30),
    ];
    fixture.record(&batch).await;
    let seconds = async |filter: ScanFilter| {
        let page = fixture
            .store
            .scans(fixture.organization, &filter, Order::Oldest, &ALL)
            .await
            .expect("scans");
        let at = |scan: &ScanRecord| scan.scanned_at.millis_since(after(0)) / 1000;
        page.data.iter().map(at).collect::<Vec<_>>()
    };
    let any = ScanFilter::default;
    let unknown_event = voelgoed_scan_core::model::EventId::from_uuid(uuid::Uuid::new_v4());
    assert_eq!(seconds(any()).await, [0, 10, 20, 30]);
    assert_eq!(
        seconds(ScanFilter {
            event_id: Some(fixture.event),
            ..any()
        })
        .await,
        [0, 10, 20, 30]
    );
    assert_eq!(
        seconds(ScanFilter {
            event_id: Some(unknown_event),
            ..any()
        })
        .await,
        [] as [i64; 0]
    );
    assert_eq!(
        seconds(ScanFilter {
            gate_id: Some(fixture.main_gate),
            ..any()
        })
        .await,
        [0, 10]
    );
    assert_eq!(
        seconds(ScanFilter {
            device_id: Some(fixture.side_session.device),
            ..any()
        })
        .await,
        [20, 30]
    );
    assert_eq!(
        seconds(ScanFilter {
            ticket_code: Some(one),
            ..any()
        })
        .await,
        [0, 10, 30]
    );
    assert_eq!(
        seconds(ScanFilter {
            result: Some(ScanResult::Duplicate),
            ..any()
        })
        .await,
        [10]
    );
    let between = ScanFilter {
        from: Some(after(10)),
        to: Some(after(20)),
        ..any()
    };
    assert_eq!(
        seconds(between.clone()).await,
        [10, 20],
        "the range includes both ends"
    );
    let all = ScanFilter {
        ticket_code: Some(one),
        gate_id: Some(fixture.main_gate),
        ..between
    };
    assert_eq!(seconds(all).await, [10]);
}

pub(crate) async fn the_audit_trail_is_paged_in_both_orders(fixture: Fixture) {
    let code = fixture.ticket("{}").await;
    // Five scans have the same time: their ids decide the order.
    let batch: Vec<_> = [0, 1, 1, 1, 1, 1, 2]
        .map(|seconds| entry(&fixture.main_session, code, seconds))
        .into();
    fixture.record(&batch).await;
    let read_pages = async |order| {
        let mut all = Vec::new();
        let mut start = None;
        loop {
            let page = PageRequest {
                limit: 2,
                after: start,
            };
            let page = fixture
                .store
                .scans(fixture.organization, &ScanFilter::default(), order, &page)
                .await
                .expect("a page");
            all.extend(page.data.iter().map(|scan| (scan.scanned_at, scan.scan_id)));
            start = page.next;
            if start.is_none() {
                break all;
            }
        }
    };
    let mut newest = read_pages(Order::Newest).await;
    let oldest = read_pages(Order::Oldest).await;
    assert!(oldest.is_sorted());
    newest.reverse();
    assert_eq!(newest, oldest);
    assert_eq!(oldest.len(), 7);
}

pub(crate) async fn occupancy_reports_each_gate_and_the_last_minute(fixture: Fixture) {
    let code = fixture.ticket(r#"{"entry_limit":2}"#).await;
    fixture.change_event(|event| event.capacity = Some(50)).await;
    fixture
        .change_gate(fixture.main_gate, |gate| gate.capacity = Some(20))
        .await;
    fixture
        .record(&[
            entry(&fixture.main_session, code, 0),
            entry(&fixture.side_session, code, 30),
            exit(&fixture.side_session, code, 61),
            entry(&fixture.main_session, code, 62),
        ])
        .await;
    let occupancy = fixture
        .store
        .occupancy(fixture.organization, fixture.event, after(61))
        .await
        .expect("the read succeeds")
        .expect("it exists");
    let count = occupancy.event;
    assert_eq!(
        (count.inside, count.entries, count.exits, count.capacity),
        (1, 2, 1, Some(50))
    );
    let names: Vec<_> = occupancy.gates.iter().map(|gate| gate.name.as_str()).collect();
    assert_eq!(names, ["Main", "Side"]);
    let main = occupancy.gates[0].count;
    assert_eq!(
        (main.inside, main.entries, main.exits, main.capacity),
        (1, 1, 0, Some(20))
    );
    assert_eq!((occupancy.results.valid, occupancy.results.duplicate), (3, 1));
    assert_eq!(occupancy.scans_per_minute, 3, "the first scan is 61 seconds old");
    let unknown_event = voelgoed_scan_core::model::EventId::from_uuid(uuid::Uuid::new_v4());
    assert_eq!(
        fixture
            .store
            .occupancy(fixture.organization, unknown_event, after(0))
            .await
            .expect("the read succeeds"),
        None
    );
}
