//! How is the audit trail read?

use voelgoed_scan_core::model::{DecidedBy, Direction, Reason, ScanRecord, ScanResult, Source};
use voelgoed_scan_core::store::{Order, PageRequest, ScanFilter};

use crate::attempts::{entry, exit};
use crate::world::{ALL, World, after};

pub(crate) async fn a_record_keeps_what_was_asked_and_answered(world: World) {
    let code = world.ticket("{}").await;
    let mut scan = entry(&world.post, code, 3);
    scan.device_scanned_at = Some(after(2));
    scan.metadata = Some(serde_json::from_str(r#"{"lane":4,"note":"größe"}"#).expect("metadata"));
    let id = scan.scan_id;
    let metadata = scan.metadata.clone();
    let decided = world.decided(scan).await;
    let ticket = world.facts(code).await.ticket;
    let expected = ScanRecord {
        scan_id: id,
        organization_id: world.organization,
        ticket_id: Some(ticket.id),
        ticket_code: Some(code),
        event_id: world.event,
        gate_id: world.main,
        device_id: world.post.device,
        scan_session_id: Some(world.post.session),
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
    assert_eq!(world.trail().await, [expected]);
}

pub(crate) async fn the_trail_is_filtered_by_all_that_is_asked(world: World) {
    let (one, two) = (world.ticket("{}").await, world.ticket("{}").await);
    let batch = [
        entry(&world.post, one, 0),
        entry(&world.post, one, 10),
        entry(&world.other_post, two, 20),
        exit(&world.other_post, one, 30),
    ];
    world.record(&batch).await;
    let seconds = async |filter: ScanFilter| {
        let page = world
            .store
            .scans(world.organization, &filter, Order::Oldest, &ALL)
            .await
            .expect("scans");
        let at = |scan: &ScanRecord| scan.scanned_at.millis_since(after(0)) / 1000;
        page.data.iter().map(at).collect::<Vec<_>>()
    };
    let any = ScanFilter::default;
    let nowhere = voelgoed_scan_core::model::EventId::from_uuid(uuid::Uuid::new_v4());
    assert_eq!(seconds(any()).await, [0, 10, 20, 30]);
    assert_eq!(
        seconds(ScanFilter {
            event_id: Some(world.event),
            ..any()
        })
        .await,
        [0, 10, 20, 30]
    );
    assert_eq!(
        seconds(ScanFilter {
            event_id: Some(nowhere),
            ..any()
        })
        .await,
        [] as [i64; 0]
    );
    assert_eq!(
        seconds(ScanFilter {
            gate_id: Some(world.main),
            ..any()
        })
        .await,
        [0, 10]
    );
    assert_eq!(
        seconds(ScanFilter {
            device_id: Some(world.other_post.device),
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
    assert_eq!(seconds(between.clone()).await, [10, 20], "both ends are in it");
    let all = ScanFilter {
        ticket_code: Some(one),
        gate_id: Some(world.main),
        ..between
    };
    assert_eq!(seconds(all).await, [10]);
}

pub(crate) async fn the_trail_comes_in_pages_either_way(world: World) {
    let code = world.ticket("{}").await;
    // Five at one moment: then their ids say which comes first.
    let batch: Vec<_> = [0, 1, 1, 1, 1, 1, 2]
        .map(|seconds| entry(&world.post, code, seconds))
        .into();
    world.record(&batch).await;
    let walk = async |order| {
        let mut all = Vec::new();
        let mut start = None;
        loop {
            let page = PageRequest {
                limit: 2,
                after: start,
            };
            let page = world
                .store
                .scans(world.organization, &ScanFilter::default(), order, &page)
                .await
                .expect("a page");
            all.extend(page.data.iter().map(|scan| (scan.scanned_at, scan.scan_id)));
            start = page.next;
            if start.is_none() {
                break all;
            }
        }
    };
    let mut newest = walk(Order::Newest).await;
    let oldest = walk(Order::Oldest).await;
    assert!(oldest.is_sorted());
    newest.reverse();
    assert_eq!(newest, oldest);
    assert_eq!(oldest.len(), 7);
}

pub(crate) async fn occupancy_tells_each_gate_and_the_last_minute(world: World) {
    let code = world.ticket(r#"{"entry_limit":2}"#).await;
    world.change_event(|event| event.capacity = Some(50)).await;
    world
        .change_gate(world.main, |gate| gate.capacity = Some(20))
        .await;
    world
        .record(&[
            entry(&world.post, code, 0),
            entry(&world.other_post, code, 30),
            exit(&world.other_post, code, 61),
            entry(&world.post, code, 62),
        ])
        .await;
    let occupancy = world
        .store
        .occupancy(world.organization, world.event, after(61))
        .await
        .expect("read")
        .expect("there");
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
    assert_eq!(occupancy.scans_per_minute, 3, "the first is 61 seconds old");
    let nowhere = voelgoed_scan_core::model::EventId::from_uuid(uuid::Uuid::new_v4());
    assert_eq!(
        world
            .store
            .occupancy(world.organization, nowhere, after(0))
            .await
            .expect("read"),
        None
    );
}
