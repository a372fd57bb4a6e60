//! How does a batch that a device decided alone meet the database? One transaction: lock, read the facts of all, judge,
//! write all; a handful of statements however many scans there are.
//!
//! Locks are taken in the order of every scan (occupancy, then tickets), after the device's own row, which keeps two
//! batches of one device apart.

mod conflicts;
mod facts;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;
mod writes;

use async_trait::async_trait;

use crate::model::{OrganizationId, RuleSettings};
use crate::store::sql::{Dialect, Sql};
use crate::store::{ConflictFilter, Page, PageRequest, StoreError, SyncStore, Synced};
use crate::sync::{Conflict, UploadBatch, ingest};

/// How often a batch is taken again that others were in the way of.
const MOST_TRIES: usize = 8;

/// The most scans of one device in quarantine.
const QUARANTINE: usize = 10_000;

/// The set-based statements of a batch, which each database has in its own words. Each takes `$1`, a JSON array.
pub(crate) struct SyncStatements {
    /// Gates of `$1` (organization, gate) with their events.
    pub(crate) places: &'static str,
    /// Scans of `$1` (organization, scan) as a history needs them, and as a retry does.
    pub(crate) known: &'static str,
    /// Scans in the histories of the tickets of `$1` (organization, ticket).
    pub(crate) past: &'static str,
    /// Scans of organization `$2` and device `$3` at the places of its log that `$1` names.
    pub(crate) log: &'static str,
    /// The scans of `$1` that are in the quarantine of organization `$2`, device `$3`.
    pub(crate) quarantined: &'static str,
    /// Writes the scans of `$1`; does nothing for one whose id is taken.
    pub(crate) insert: &'static str,
    /// Writes what has changed on the scans of `$1`.
    pub(crate) update: &'static str,
    /// Writes the places in the log of the scans of `$1`.
    pub(crate) update_log: &'static str,
    /// Puts the scans of `$1` into quarantine.
    pub(crate) quarantine: &'static str,
    /// Takes the scans of `$1` out of the quarantine of organization `$2`, device `$3`.
    pub(crate) release: &'static str,
}

/// A database that takes batches.
pub(crate) trait SyncDialect: Dialect {
    /// The statements that differ.
    const SYNC: SyncStatements;
}

#[async_trait]
impl<D: SyncDialect> SyncStore for Sql<D> {
    async fn sync(&self, intake: &UploadBatch, rules: &RuleSettings) -> Result<Option<Synced>, StoreError> {
        let mut tries = 1;
        loop {
            match self.sync_once(intake, rules).await {
                Ok(Attempted::Done(synced)) => return Ok(synced.map(|synced| *synced)),
                // A scan of the batch came in by another way meanwhile: it is known now.
                Ok(Attempted::Overtaken) => {}
                Err(StoreError::Contended { reason }) if tries < MOST_TRIES => {
                    tracing::debug!(reason, tries, "taking a batch again");
                }
                Err(error) => return Err(error),
            }
            tries += 1;
        }
    }

    async fn conflicts(
        &self,
        organization: OrganizationId,
        filter: &ConflictFilter,
        page: &PageRequest,
    ) -> Result<Page<Conflict>, StoreError> {
        let mut connection = self.read().await?;
        conflicts::list::<D>(organization, filter, page, &mut connection).await
    }
}

enum Attempted {
    /// Written; or the device may not hand anything in.
    Done(Option<Box<Synced>>),
    /// Nothing was written: what had been read no longer held.
    Overtaken,
}

impl<D: SyncDialect> Sql<D> {
    async fn sync_once(&self, intake: &UploadBatch, rules: &RuleSettings) -> Result<Attempted, StoreError> {
        let mut transaction = self.write().await?;
        let facts = match facts::load::<D>(intake, &mut transaction).await? {
            None => return Ok(Attempted::Done(None)),
            Some(facts::Loaded::Overtaken) => return Ok(Attempted::Overtaken),
            Some(facts::Loaded::Whole(facts)) => *facts,
        };
        let (results, writes) = ingest(intake, facts, rules);
        if !writes::apply::<D>(intake, &writes, &mut transaction).await? {
            return Ok(Attempted::Overtaken);
        }
        transaction.commit().await?;
        Ok(Attempted::Done(Some(Box::new(Synced { results, writes }))))
    }
}
