//! Ingests a chunk of an upload of scans that a device decided offline, in one transaction: lock, read the facts of all scans,
//! evaluate, write. The number of statements does not depend on the number of scans.
//!
//! Locks are taken in the order of every scan (counters, then tickets), after the row of the device, which keeps two
//! uploads of one device apart.

mod accept;
pub(super) mod conflicts;
mod facts;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;
mod writes;

use async_trait::async_trait;

use crate::audit::Audit;
use crate::model::{OrganizationId, RuleSettings, ScanId};
use crate::store::sql::long_folds::{is_long, run_fold};
use crate::store::sql::retry::retry_contended;
use crate::store::sql::{Dialect, Sql, query, statement};
use crate::store::{
    AcceptOutcome, Acceptance, ConflictFilter, Page, PageRequest, StoreError, SyncOutcome, SyncStore,
};
use crate::sync::{Conflict, SyncFacts, SyncResult, SyncWrites, UploadChunk, ingest};

/// The maximum number of scans of one device in quarantine.
const MAX_QUARANTINED: usize = 10_000;

/// The set-based statements of an upload. The statement files describe the parameters.
pub(crate) struct SyncStatements {
    /// Reads the events that have some gates, at most two of each gate.
    pub(crate) load_gate_events: &'static str,
    /// Reads gates with their events.
    pub(crate) load_gates: &'static str,
    /// Reads scans as a history and a retry need them.
    pub(crate) load_scans: &'static str,
    /// Reads the scans in the histories of tickets.
    pub(crate) load_histories: &'static str,
    /// Reads the changes of statuses of tickets.
    pub(crate) load_status_changes: &'static str,
    /// Reads entries of the device's log.
    pub(crate) load_log: &'static str,
    /// Reads which scans are in quarantine.
    pub(crate) load_quarantined: &'static str,
    /// Inserts scans, except those whose id exists.
    pub(crate) insert_scans: &'static str,
    /// Writes what an upload changes on existing scans.
    pub(crate) update_scans: &'static str,
    /// Writes the log entries of existing scans.
    pub(crate) update_log: &'static str,
    /// Puts scans into quarantine.
    pub(crate) insert_quarantine: &'static str,
    /// Takes scans out of quarantine.
    pub(crate) delete_quarantine: &'static str,
}

/// A database that ingests uploads.
pub(crate) trait SyncDialect: Dialect {
    /// The statements that differ.
    const SYNC: SyncStatements;
}

#[async_trait]
impl<D: SyncDialect> SyncStore for Sql<D> {
    async fn sync(
        &self,
        chunk: &UploadChunk<'_>,
        rules: &RuleSettings,
    ) -> Result<Option<SyncOutcome>, StoreError> {
        retry_contended("ingest an upload", || self.sync_once(chunk, rules)).await
    }

    async fn accept(
        &self,
        organization: OrganizationId,
        scan: ScanId,
        acceptance: &Acceptance,
        rules: &RuleSettings,
        audit: Audit<'_>,
    ) -> Result<Option<AcceptOutcome>, StoreError> {
        retry_contended("accept a quarantined scan", || {
            self.accept_once(organization, scan, acceptance, rules, audit)
        })
        .await
    }

    async fn is_quarantined(&self, organization: OrganizationId, scan: ScanId) -> Result<bool, StoreError> {
        let mut connection = self.read().await?;
        let row = query::<D>(statement!("sync/find_quarantined.sql"))
            .id(organization.as_uuid())
            .id(scan.as_uuid())
            .fetch_optional(&mut connection)
            .await?;
        Ok(row.is_some())
    }

    async fn conflicts(
        &self,
        organization: OrganizationId,
        filter: &ConflictFilter,
        page: &PageRequest,
    ) -> Result<Page<Conflict>, StoreError> {
        conflicts::list::<D>(organization, filter, page, self).await
    }
}

impl<D: SyncDialect> Sql<D> {
    async fn sync_once(
        &self,
        chunk: &UploadChunk<'_>,
        rules: &RuleSettings,
    ) -> Result<Option<SyncOutcome>, StoreError> {
        let mut transaction = self.write().await?;
        let Some(facts) = facts::load::<D>(chunk, facts::Devices::ActiveOrRevoked, &mut transaction).await?
        else {
            return Ok(None);
        };
        let (results, writes) = ingest_chunk(chunk, facts, rules).await?;
        writes::apply::<D>(chunk.batch, &writes, &mut transaction).await?;
        transaction.commit().await?;
        Ok(Some(SyncOutcome { results, writes }))
    }
}

/// Ingests a chunk, outside the async workers if a ticket of it has a long history.
async fn ingest_chunk(
    chunk: &UploadChunk<'_>,
    facts: SyncFacts,
    rules: &RuleSettings,
) -> Result<(Vec<SyncResult>, SyncWrites), StoreError> {
    let scans = facts.history.len();
    if !is_long(scans) {
        return Ok(ingest(chunk, facts, rules));
    }
    let (batch, positions, rules) = (chunk.batch.clone(), chunk.positions(), *rules);
    let fold = move || ingest(&batch.chunk_of(&positions), facts, &rules);
    run_fold(scans, fold).await
}
