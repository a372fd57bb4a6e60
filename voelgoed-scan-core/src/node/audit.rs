//! Enters overrides, undos and check-ins in the audit log, and clears old addresses.
//!
//! Scans never write the log: their records are in the feeds, from which one node makes the entries. What a transaction of the
//! log writes follows from a part of a feed, whose cursor it moves. So each record is entered once, whichever node reads it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::audit::AuditSigner;
use crate::node::Feed;
use crate::node::background::OneNodeTask;
use crate::node::keyrings::Keyrings;
use crate::node::write_queue::{BulkKind, BulkWrites};
use crate::store::{AUDIT_CONSUMER, AuditedScans, FeedAhead, FeedEntry, Store, StoreError};

/// The pause between two rounds. An override is entered within 5 s.
const INTERVAL: Duration = Duration::from_secs(1);

/// How many feeds a round reads at once.
const FEEDS_PER_ROUND: u16 = 64;

/// How many entries of a feed are read at once.
const PAGE_SIZE: u16 = 500;

/// How many records one transaction enters. It holds the head of the log meanwhile.
const RECORDS_PER_WRITE: usize = 50;

/// How long addresses are kept.
const ADDRESS_LIFETIME: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// After how many rounds old addresses are cleared: once an hour.
const ROUNDS_PER_CLEARING: u32 = 3600;

/// Enters what the feeds tell.
#[derive(Clone)]
pub(crate) struct AuditReader {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) keyrings: Keyrings,
    pub(crate) bulk_writes: BulkWrites,
}

impl AuditReader {
    /// Starts the task, which ends with the feed.
    pub(crate) fn start(self, node: Uuid, feed: Arc<Feed>) {
        let task = OneNodeTask {
            name: AUDIT_CONSUMER,
            interval: INTERVAL,
            wake: Arc::new(Notify::new()),
            node,
            store: Arc::clone(&self.store),
            feed,
        };
        let rounds = Arc::new(Mutex::new(0_u32));
        task.start(move || {
            let (reader, rounds) = (self.clone(), Arc::clone(&rounds));
            async move {
                reader.enter_new_scans().await?;
                let is_due = {
                    let mut rounds = rounds.lock();
                    let is_due = rounds.is_multiple_of(ROUNDS_PER_CLEARING);
                    *rounds = rounds.wrapping_add(1);
                    is_due
                };
                if is_due {
                    reader.clear_addresses().await?;
                }
                Ok(())
            }
        });
    }

    /// Reads the feeds to the ends that they have now.
    async fn enter_new_scans(&self) -> Result<(), StoreError> {
        let mut read = HashSet::new();
        loop {
            let ahead = self.store.feeds_ahead(AUDIT_CONSUMER, FEEDS_PER_ROUND).await?;
            let is_all = ahead.len() < usize::from(FEEDS_PER_ROUND);
            let mut is_new = false;
            for feed in ahead {
                if read.insert((feed.organization_id, feed.event_id)) {
                    is_new = true;
                    self.read_feed(feed).await?;
                }
            }
            if is_all || !is_new {
                return Ok(());
            }
        }
    }

    async fn read_feed(&self, feed: FeedAhead) -> Result<(), StoreError> {
        let mut from = feed.position;
        while from < feed.last {
            let (organization, event) = (feed.organization_id, feed.event_id);
            let mut entries = self
                .store
                .feed_entries(organization, event, from, PAGE_SIZE)
                .await?;
            truncate(&mut entries);
            // The scans of a deleted event are gone, and its feed says nothing of them.
            let to = entries.last().map_or(feed.last, |entry| entry.position);
            let scans = AuditedScans {
                organization_id: organization,
                event_id: event,
                from,
                to,
                records: entries
                    .into_iter()
                    .map(|entry| entry.record)
                    .filter(AuditedScans::is_audited)
                    .collect(),
            };
            let permit = self
                .bulk_writes
                .start_chunk(organization, BulkKind::Background)
                .await;
            let signer = AuditSigner::new(self.keyrings.master());
            if !self.store.audit_scans(&scans, signer).await? {
                // Another node reads this feed.
                return Ok(());
            }
            permit.complete(scans.records.len().max(1));
            from = to;
        }
        Ok(())
    }

    async fn clear_addresses(&self) -> Result<(), StoreError> {
        for organization in self.store.organizations().await? {
            loop {
                let permit = self
                    .bulk_writes
                    .start_chunk(organization, BulkKind::Background)
                    .await;
                let cleared = self
                    .store
                    .clear_audit_addresses(organization, ADDRESS_LIFETIME)
                    .await?;
                drop(permit);
                if cleared == 0 {
                    break;
                }
            }
        }
        Ok(())
    }
}

/// Keeps the entries up to the last record that one transaction may enter.
fn truncate(entries: &mut Vec<FeedEntry>) {
    let audited = entries
        .iter()
        .enumerate()
        .filter(|(_, entry)| AuditedScans::is_audited(&entry.record));
    let last = audited.map(|(at, _)| at).nth(RECORDS_PER_WRITE - 1);
    if let Some(last) = last {
        entries.truncate(last + 1);
    }
}
