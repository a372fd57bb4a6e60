//! The feed: the scans of an event in the order of their recording.

use std::collections::BTreeMap;
use std::sync::Arc;

use voelgoed_scan_core::model::{Reason, ScanId};
use voelgoed_scan_core::store::{FeedEntry, Store, UndoPermission};

use crate::attempts::{entry, record_until_answered};
use crate::fixture::{Fixture, with_identities};
use crate::sync::{item, scan, sync_batch};

impl Fixture {
    /// The entries after a position, read in pages of two.
    pub(crate) async fn feed_after(&self, mut position: i64) -> Vec<FeedEntry> {
        let mut entries = Vec::new();
        loop {
            let page = self
                .store
                .feed_entries(self.organization, self.event, position, 2)
                .await
                .expect("the feed is read");
            let Some(last) = page.last() else { return entries };
            position = last.position;
            entries.extend(page);
        }
    }

    async fn feed_position(&self) -> i64 {
        let positions = self
            .store
            .feed_positions(&[(self.organization, self.event)])
            .await
            .expect("the position is read");
        positions.first().map_or(0, |(_, position)| *position)
    }
}

fn ids(entries: &[FeedEntry]) -> Vec<(ScanId, bool)> {
    entries
        .iter()
        .map(|entry| (entry.record.scan_id, entry.record.undone.is_some()))
        .collect()
}

pub(crate) async fn the_feed_has_scans_in_the_order_of_their_recording(fixture: Fixture) {
    assert_eq!(fixture.feed_position().await, 0);
    let (one, two) = (fixture.ticket("{}").await, fixture.ticket("{}").await);
    let offline = fixture.ticket("{}").await;
    let batch = [
        entry(&fixture.main_session, one, 100),
        entry(&fixture.side_session, two, 100),
        entry(&fixture.main_session, two, 101),
    ];
    fixture.record(&batch).await;
    let before = fixture.feed_position().await;
    // Decided before the others, and recorded after them.
    let uploaded = scan(&fixture.main_session, offline, 10);
    let items = vec![item(uploaded.clone(), Some(offline))];
    let upload = sync_batch(&fixture.main_session, items, 3600);
    fixture.ingest(&upload).await;
    fixture.ingest(&upload).await;
    let first = batch[0].scan_id;
    fixture.undo(first, UndoPermission::Member, 200).await;
    fixture.undo(first, UndoPermission::Member, 201).await;
    fixture.record(&batch).await;
    let entries = fixture.feed_after(0).await;
    let recorded: BTreeMap<_, _> = ids(&entries[..3]).into_iter().collect();
    let expected: BTreeMap<_, _> = batch.iter().map(|attempt| (attempt.scan_id, false)).collect();
    assert_eq!(recorded, expected, "each is in the feed as it was recorded");
    let later = [(uploaded.scan_id, false), (first, true)];
    assert_eq!(ids(&entries[3..]), later);
    assert_eq!(ids(&fixture.feed_after(before).await), later);
    assert_eq!(
        fixture.feed_position().await,
        entries.last().map_or(0, |entry| entry.position)
    );
    // Another organization and another event have feeds of their own.
    let other = fixture.another().await;
    assert_eq!(other.feed_position().await, 0);
    let elsewhere = fixture
        .store
        .feed_entries(other.organization, fixture.event, 0, 500);
    assert_eq!(elsewhere.await.expect("the feed is read"), []);
}

pub(crate) async fn a_scan_that_an_undo_decides_differently_is_in_the_feed_again(fixture: Fixture) {
    let code = fixture.ticket("{}").await;
    let (winner, loser) = (
        scan(&fixture.main_session, code, 10),
        scan(&fixture.side_session, code, 20),
    );
    for (session, scan) in [(&fixture.main_session, &winner), (&fixture.side_session, &loser)] {
        let items = vec![item(scan.clone(), Some(code))];
        fixture.ingest(&sync_batch(session, items, 3600)).await;
    }
    let before = fixture.feed_position().await;
    fixture.undo(winner.scan_id, UndoPermission::Member, 4000).await;
    let changed: BTreeMap<_, _> = fixture
        .feed_after(before)
        .await
        .into_iter()
        .map(|entry| (entry.record.scan_id, entry.record.reason))
        .collect();
    let expected = [
        (winner.scan_id, Reason::Admitted),
        (loser.scan_id, Reason::Admitted),
    ];
    assert_eq!(changed, expected.into_iter().collect());
}

/// Readers that read while scans are recorded must not pass a position whose transaction has not committed yet.
pub(crate) async fn a_reader_passes_no_entry_while_nodes_record(fixture: Fixture) {
    const SCANS: usize = 40;
    let nodes = fixture.open_nodes().await;
    let mut writers = Vec::new();
    for (number, node) in nodes.iter().enumerate() {
        let session = if number % 2 == 0 {
            fixture.main_session
        } else {
            fixture.side_session
        };
        let mut attempts = Vec::new();
        for second in 0..SCANS {
            let seconds = i64::try_from((number * 7 + second) % 5).expect("a small number");
            attempts.push(entry(&session, fixture.ticket("{}").await, seconds));
        }
        let attempts = with_identities(&*fixture.store, &attempts).await;
        let node = Arc::clone(node);
        writers.push(tokio::spawn(async move {
            for batch in attempts.chunks(3) {
                record_until_answered(&*node, batch).await;
            }
        }));
    }
    let expected = SCANS * nodes.len();
    let reader = |store: Arc<dyn Store>| {
        let (organization, event) = (fixture.organization, fixture.event);
        tokio::spawn(async move {
            let (mut read, mut position) = (Vec::new(), 0);
            while read.len() < expected {
                let entries = store.feed_entries(organization, event, position, 7).await;
                for entry in entries.expect("the feed is read") {
                    assert!(entry.position > position);
                    position = entry.position;
                    read.push(entry.record.scan_id);
                }
            }
            read
        })
    };
    let readers: Vec<_> = nodes.iter().map(|node| reader(Arc::clone(node))).collect();
    for writer in writers {
        writer.await.expect("the writer completes");
    }
    let recorded: Vec<_> = ids(&fixture.feed_after(0).await)
        .into_iter()
        .map(|(scan, _)| scan)
        .collect();
    for reader in readers {
        assert_eq!(reader.await.expect("the reader completes"), recorded);
    }
}
