//! Finds signals in the background: reads the new entries of all feeds, then looks at what holds now.
//!
//! Invariants:
//! - What follows from an entry is written with the cursor that passes it, so each entry counts exactly once, whichever
//!   nodes read. The last scans of a device are a row of the database, so another node goes on where one stopped.
//! - Writes take permits of the bulk writes and yield to waiting scans.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::{SignalCounts, SignalFeed};
use crate::model::{
    DeviceId, OrganizationId, ScanId, SignalId, SignalKind, SignalSettings, TicketId, Timestamp,
};
use crate::node::Feed;
use crate::node::background::OneNodeTask;
use crate::node::webhooks::Webhooks;
use crate::node::write_queue::{BulkKind, BulkWrites};
use crate::rules::signals::{DeviceScan, Opening, ticket_signals};
use crate::store::{FeedAhead, ReadEntries, SearchedScan, SignalWatch, SignalWrite, Store, StoreError};

/// The name of the task's lease and of its cursors.
const TASK: &str = "signals";

/// How often the task runs.
const INTERVAL: Duration = Duration::from_secs(1);

/// How many feeds are read in a run.
const FEEDS_PER_RUN: u16 = 64;

/// How many entries of a feed are read at once. Each page costs several statements and a commit.
const PAGE_SIZE: u16 = 4_000;

/// The pause before the next page of a feed that has more. A page costs several statements, so while scans arrive quickly,
/// they gather meanwhile.
const CATCH_UP_PAUSE: Duration = Duration::from_millis(50);

/// How many scans of a ticket are read beyond those that its rules count.
const OTHER_PRESENTATIONS: u32 = 200;

/// How long a pause of the servers may be without a device seeming silent for it.
const MAX_PAUSE: Duration = Duration::from_secs(15);

/// How often the time at which the servers listened is written.
const WATCH_INTERVAL: Duration = Duration::from_secs(5);

/// After what time the call of a device that had been quiet is on record.
const MARK_DELAY_MILLIS: i64 = 2_000;

/// The present time.
pub(crate) type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What this node knows of the time since which the servers listen.
#[derive(Clone, Copy)]
struct Listening {
    since: Timestamp,
    at: Instant,
    written: Instant,
}

/// The search for signals.
pub(crate) struct SignalSearch {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) bulk_writes: BulkWrites,
    pub(crate) counts: SignalCounts,
    pub(crate) subscribers: Arc<SignalFeed>,
    pub(crate) webhooks: Arc<Webhooks>,
    pub(crate) clock: Clock,
}

/// A search with its state.
struct Searcher {
    search: SignalSearch,
    listening: Mutex<Option<Listening>>,
    wake: Arc<Notify>,
}

impl SignalSearch {
    /// Starts the search. It runs on one node at a time, and ends when the feed is closed.
    pub(crate) fn start(self, feed: Arc<Feed>) {
        let wake = Arc::new(Notify::new());
        let task = OneNodeTask {
            name: TASK,
            interval: INTERVAL,
            wake: Arc::clone(&wake),
            node: *SignalId::generate((self.clock)()).as_uuid(),
            store: Arc::clone(&self.store),
            feed,
        };
        let searcher = Arc::new(Searcher {
            search: self,
            listening: Mutex::new(None),
            wake,
        });
        task.start(move || {
            let searcher = Arc::clone(&searcher);
            async move { searcher.run().await }
        });
    }
}

impl Searcher {
    async fn run(&self) -> Result<(), StoreError> {
        // From the end of one run to the start of the next: a run that takes long is no pause.
        let known = *self.listening.lock();
        let is_listening = known.is_some_and(|known| known.at.elapsed() <= MAX_PAUSE);
        let store = &self.search.store;
        let settings = store.changed_signal_settings().await?;
        let started = Instant::now();
        let mut has_more = true;
        let mut result = Ok(());
        while has_more && result.is_ok() && started.elapsed() < INTERVAL {
            (has_more, result) = self.read_feeds(&settings).await?;
            if has_more {
                sleep(CATCH_UP_PAUSE).await;
            }
        }
        self.look_at_states(&settings, is_listening).await?;
        if let Some(listening) = &mut *self.listening.lock() {
            listening.at = Instant::now();
        }
        if has_more {
            self.wake.notify_one();
        }
        result
    }

    /// Reads a page of each feed that has new entries. Returns whether more follow, and an error of one of them.
    async fn read_feeds(
        &self,
        settings: &HashMap<OrganizationId, SignalSettings>,
    ) -> Result<(bool, Result<(), StoreError>), StoreError> {
        let feeds = self.search.store.feeds_ahead(TASK, FEEDS_PER_RUN).await?;
        let mut has_more = feeds.len() == usize::from(FEEDS_PER_RUN);
        let mut result = Ok(());
        for feed in &feeds {
            let settings = settings.get(&feed.organization_id).cloned().unwrap_or_default();
            match self.read_feed(feed, &settings).await {
                Ok(is_full) => has_more |= is_full,
                // One feed that cannot be read does not stop the others.
                Err(error) => result = Err(error),
            }
        }
        Ok((has_more, result))
    }

    fn now(&self) -> Timestamp {
        (self.search.clock)()
    }

    /// Reads a page of a feed. Returns whether more follow.
    async fn read_feed(&self, feed: &FeedAhead, settings: &SignalSettings) -> Result<bool, StoreError> {
        let (organization, event) = (feed.organization_id, feed.event_id);
        let page = self
            .search
            .store
            .searched_page(organization, event, feed.position, PAGE_SIZE)
            .await?;
        let last = page.last.unwrap_or(feed.last);
        let mut write = SignalWrite {
            organization_id: organization,
            read: Some(ReadEntries {
                event_id: event,
                from: feed.position,
                // A page that is not full reaches the end of the feed.
                to: if page.is_full { last } else { last.max(feed.last) },
            }),
            windows: Vec::new(),
            opened: Vec::new(),
            closed: Vec::new(),
            grown: Vec::new(),
        };
        let rehearsing = self.search_devices(&page.scans, settings, &mut write).await?;
        self.search_tickets(&page.scans, &rehearsing, settings, &mut write)
            .await?;
        self.write(&write).await?;
        Ok(page.is_full)
    }

    /// What the last scans of the devices show. Returns the devices of rehearsals, whose scans need nobody's attention.
    async fn search_devices(
        &self,
        searched: &[SearchedScan],
        settings: &SignalSettings,
        write: &mut SignalWrite,
    ) -> Result<HashSet<DeviceId>, StoreError> {
        let mut scans: BTreeMap<DeviceId, Vec<DeviceScan>> = BTreeMap::new();
        // A check-in by hand shows nothing of a device.
        for searched in searched {
            if let Some(device) = searched.device_id {
                scans.entry(device).or_default().push(searched.scan);
            }
        }
        if scans.is_empty() {
            return Ok(HashSet::new());
        }
        let devices: Vec<DeviceId> = scans.keys().copied().collect();
        let windows = self
            .search
            .store
            .device_windows(write.organization_id, &devices)
            .await?;
        let now = self.now();
        let mut next_id = || SignalId::generate(now);
        let mut rehearsing = HashSet::new();
        for mut loaded in windows {
            let device = loaded.device_id;
            if loaded.is_rehearsal {
                rehearsing.insert(device);
                continue;
            }
            let scans = scans.get(&device).map(Vec::as_slice).unwrap_or_default();
            let mut opening = Opening {
                now,
                next_id: &mut next_id,
            };
            let found = loaded.window.observe(device, scans, settings, &mut opening);
            write.opened.extend(found.opened);
            write
                .grown
                .extend(found.grown.map(|late| (late.signal, late.details)));
            write.windows.push((device, loaded.window));
        }
        Ok(rehearsing)
    }

    /// What the scans of the tickets show that were denied as duplicates.
    async fn search_tickets(
        &self,
        searched: &[SearchedScan],
        rehearsing: &HashSet<DeviceId>,
        settings: &SignalSettings,
        write: &mut SignalWrite,
    ) -> Result<(), StoreError> {
        let mut denials: BTreeMap<TicketId, BTreeSet<(Timestamp, ScanId)>> = BTreeMap::new();
        let duplicates = searched
            .iter()
            .filter(|searched| searched.is_duplicate)
            .filter(|searched| {
                !searched
                    .device_id
                    .is_some_and(|device| rehearsing.contains(&device))
            });
        for searched in duplicates {
            if let Some(ticket) = searched.ticket_id {
                let scan = (searched.scan.at, searched.scan.scan_id);
                denials.entry(ticket).or_default().insert(scan);
            }
        }
        let spam = settings.rule(SignalKind::DuplicateSpam);
        let travel = settings.rule(SignalKind::ImpossibleTravel);
        let within_s = spam.within_s.max(travel.within_s).unwrap_or(0);
        let limit = spam.limit.unwrap_or(0).saturating_add(OTHER_PRESENTATIONS);
        let limit = u16::try_from(limit).unwrap_or(u16::MAX);
        for (ticket, scans) in denials {
            let (Some((first, _)), Some((last, _))) = (scans.first(), scans.last()) else {
                continue;
            };
            let from = first.plus_millis(-i64::from(within_s) * 1000);
            let presentations = self
                .search
                .store
                .presentations(write.organization_id, ticket, from, *last, limit)
                .await?;
            let new: BTreeSet<ScanId> = scans.iter().map(|(_, scan)| *scan).collect();
            let now = self.now();
            let mut next_id = || SignalId::generate(now);
            let mut opening = Opening {
                now,
                next_id: &mut next_id,
            };
            let found = ticket_signals(ticket, &presentations, &new, settings, &mut opening);
            write.opened.extend(found);
        }
        Ok(())
    }

    /// Opens and ends what follows from the present states.
    async fn look_at_states(
        &self,
        settings: &HashMap<OrganizationId, SignalSettings>,
        is_listening: bool,
    ) -> Result<(), StoreError> {
        let now = self.now();
        let listening_since = self.listening_since(now, is_listening).await?;
        let states = self.search.store.signal_states(settings, now).await?;
        let heard_until = now.plus_millis(-MARK_DELAY_MILLIS);
        for (organization, state) in states {
            let changes = {
                let mut next_id = || SignalId::generate(now);
                let mut opening = Opening {
                    now,
                    next_id: &mut next_id,
                };
                state.changes(listening_since, heard_until, &mut opening)
            };
            if changes.opened.is_empty() && changes.closed.is_empty() {
                continue;
            }
            let write = SignalWrite {
                organization_id: organization,
                read: None,
                windows: Vec::new(),
                opened: changes.opened,
                closed: changes.closed,
                grown: Vec::new(),
            };
            self.write(&write).await?;
        }
        Ok(())
    }

    async fn write(&self, write: &SignalWrite) -> Result<(), StoreError> {
        let permit = self
            .search
            .bulk_writes
            .start_chunk(write.organization_id, BulkKind::Background)
            .await;
        let changed = self.search.store.record_signals(write).await?;
        permit.complete(1);
        // Without one, another node was faster.
        if let Some(changed) = changed.filter(|changed| !changed.is_empty()) {
            self.search.counts.count(&changed);
            self.search.subscribers.changed();
            self.search.webhooks.notify_enqueued();
            for signal in &changed {
                tracing::info!(
                    organization = %write.organization_id, kind = %signal.kind, signal = %signal.id,
                    ended = signal.closed_at.is_some(), "signal"
                );
            }
        }
        Ok(())
    }

    /// Since when the servers have listened to devices without a pause. `is_listening` says that this node knows of none.
    async fn listening_since(&self, now: Timestamp, is_listening: bool) -> Result<Timestamp, StoreError> {
        let at = Instant::now();
        let known = *self.listening.lock();
        let (since, is_written) = match known {
            Some(known) if is_listening => (known.since, known.written.elapsed() < WATCH_INTERVAL),
            _ => {
                // This node has just started, or it takes over, or the database was out of reach.
                let written = self.search.store.signal_watch().await?;
                let since = written.and_then(|watch| {
                    let pause = now.millis_since(watch.seen_at).unsigned_abs();
                    (u128::from(pause) <= MAX_PAUSE.as_millis()).then_some(watch.listening_since)
                });
                (since.unwrap_or(now), false)
            }
        };
        if !is_written {
            self.search
                .store
                .put_signal_watch(SignalWatch {
                    listening_since: since,
                    seen_at: now,
                })
                .await?;
        }
        let written = known.filter(|_| is_written).map_or(at, |known| known.written);
        *self.listening.lock() = Some(Listening { since, at, written });
        Ok(since)
    }
}
