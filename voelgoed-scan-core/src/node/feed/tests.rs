use super::channel::Channel;
use super::*;
use crate::model::{PlaceCount, ResultCounts};

fn entry(position: i64) -> FeedEntry {
    let id = |number: i64| uuid::Uuid::from_u128(number.unsigned_abs().into());
    let record = serde_json::json!({
        "scan_id": id(position), "organization_id": id(1), "ticket_id": null, "ticket_code": null, "event_id": id(1),
        "gate_id": id(1), "device_id": id(1), "scan_session_id": null, "result": "invalid_token",
        "reason": "malformed", "would_have_been": null, "direction": "entry",
        "scanned_at": "2026-11-22T18:00:00Z", "device_scanned_at": null, "received_at": "2026-11-22T18:00:00Z",
        "source": "online", "decided_by": "token", "override": null, "undone": null, "local_result": null,
        "metadata": null,
    });
    FeedEntry {
        position,
        record: serde_json::from_value(record).expect("a record"),
    }
}

fn scans(positions: impl Iterator<Item = i64>) -> Arc<ScansItem> {
    Arc::new(ScansItem::new(positions.map(entry).collect()))
}

fn positions(scans: &ScansItem) -> Vec<i64> {
    scans.entries().iter().map(|entry| entry.position).collect()
}

#[test]
fn subscribers_share_an_item_and_its_text_is_made_once() {
    let mut channel = Channel::new(0);
    let mut queues: Vec<_> = (0..3).map(|_| channel.subscribe(Arc::default())).collect();
    channel.publish(&FeedItem::Scans(scans(1..=2)));
    let mut made = 0;
    let mut texts = Vec::new();
    for queue in &mut queues {
        let Ok(FeedItem::Scans(scans)) = queue.try_recv() else {
            panic!("every subscriber gets the item")
        };
        texts.push(scans.with_codes.get(|| {
            made += 1;
            b"text".to_vec()
        }));
    }
    assert_eq!(made, 1);
    assert!(texts.iter().all(|text| Arc::ptr_eq(text, &texts[0])));
    assert_eq!(channel.position(), 2);
}

#[test]
fn a_subscriber_that_is_too_far_behind_is_cut_off_alone() {
    let mut channel = Channel::new(0);
    let (slow, fast) = (Arc::<Backlog>::default(), Arc::<Backlog>::default());
    let mut unread = channel.subscribe(Arc::clone(&slow));
    let mut read = channel.subscribe(Arc::clone(&fast));
    let mut published = 0;
    while !slow.is_cut_off() {
        assert!(published < 10_000, "the queue has no bound");
        channel.publish(&FeedItem::Scans(scans(published + 1..=published + 100)));
        published += 100;
        let item = read.try_recv().expect("an item");
        fast.remove(item.weight());
    }
    assert!(!fast.is_cut_off());
    assert_eq!(channel.subscribers(), 1);
    let mut queued = 0;
    while let Ok(item) = unread.try_recv() {
        queued += item.weight();
    }
    assert!((1..=2048).contains(&queued), "{queued}");
    assert!(channel.has_subscribers());
    drop(read);
    assert!(!channel.has_subscribers());
}

#[test]
fn a_subscriber_gets_the_entries_after_its_position() {
    let item = scans(4..=6);
    let after = |position| Arc::clone(&item).after(position).map(|item| positions(&item));
    assert_eq!(after(2), Some(vec![4, 5, 6]));
    assert_eq!(after(3), Some(vec![4, 5, 6]));
    assert_eq!(after(4), Some(vec![5, 6]));
    assert_eq!(after(6), None);
    assert_eq!(after(7), None);
    let whole = Arc::clone(&item).after(3).expect("the entries");
    assert!(Arc::ptr_eq(&whole, &item), "a whole item stays shared");
}

#[test]
fn an_occupancy_never_takes_a_subscriber_back() {
    let occupancy = EventOccupancy {
        event: PlaceCount::default(),
        gates: Vec::new(),
        results: ResultCounts::default(),
        scans_per_minute: 0,
    };
    let item = Arc::new(OccupancyItem::new(5, occupancy));
    for (position, expected) in [(4, 5), (5, 5), (7, 7)] {
        let placed = Arc::clone(&item).at_least(position);
        assert_eq!(placed.position, expected);
        assert_eq!(
            Arc::ptr_eq(&placed, &item),
            position <= 5,
            "an item at its place stays shared"
        );
    }
}
