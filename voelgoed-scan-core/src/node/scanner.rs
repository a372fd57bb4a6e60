//! Decides at a gate whether a ticket may come in: the use case "process a scan".
//!
//! The ten steps of a scan, with the function and the file of each (files below `node/` unless stated otherwise):
//!
//! 1. **Authenticate the device** by its token: [`Scanner::authenticate`], here; from `cache/identities.rs`, otherwise from
//!    the database. [`Scanner::scan`], here, then runs all further steps.
//! 2. **Parse the payload**: `verify_at_event`, `scanner/verification.rs`. It also finds the ticket of a medium.
//! 3. **Verify the signature**, and the validity window that the payload claims: `verify_reading`, and `attempt`
//!    in `scanner/attempt.rs`.
//! 4. **Ask the cache tiers** for a denial: `cached_denial`, `scanner/cached_denials.rs`; first the tickets in this process
//!    (`cache/tickets.rs`), then those in Redis (`cache/redis.rs`). It runs after step 3, so that a forged copy of a ticket
//!    learns nothing. A denial found here is answered by `answer_cached_denial` in the same file, and its record is written
//!    after the answer.
//! 5. **Fetch the facts** of ticket, session, event and gate;
//! 6. **decide**, by `rules/decision.rs`; and
//! 7. **admit and record** in one transaction. `WriteQueue::record` (`write_queue.rs`) batches many scans into one call of
//!    `ScanStore::record`, which does steps 5 to 7 (`store/sql/`).
//! 8. **Fill the caches**: `PostCommitEffects::after_write`, `scanner/post_commit.rs`.
//! 9. **Publish** the scan and the occupancy: started in step 8; subscribers through `feed.rs`, other nodes through
//!    `cluster.rs` and the bus.
//! 10. **Answer** the device: `into_answer`, `scanner/attempt.rs`.
//!
//! Invariants: only the database admits. A scan that was decided before gets its first answer again, also if the server
//! made its id, and also if it was uploaded or accepted.

mod attempt;
mod cached_denials;
mod check_in;
mod error;
mod messages;
mod post_commit;
mod replay;
mod sessions;
mod sync;
mod undo;
mod verification;

use std::sync::Arc;
use std::time::Duration;

use tracing::Instrument as _;
use tracing::field::Empty;

use crate::audit::{Audit, AuditSigner};
use crate::bus::{Bus, Message};
use crate::model::{
    Attempt, AuditContext, AuthenticatedDevice, DeviceStatus, OrganizationId, Recorded, RuleSettings,
    ScanAnswer, ScanRecord, ScanRequest, Timestamp, TokenHash,
};
use crate::node::cache::identities::IdentityCache;
use crate::node::cache::invalidation::Invalidator;
use crate::node::cache::occupancy::OccupancyCache;
#[cfg(feature = "redis")]
use crate::node::cache::redis::{PlatformKeys, RedisHealth, RedisTicketCache};
use crate::node::cache::scan_ids::{Mark, ScanClaim, ScanIds};
use crate::node::cache::tickets::TicketCache;
use crate::node::cluster::claims::Claims;
use crate::node::deliveries::Deliveries;
use crate::node::feed::Feed;
use crate::node::health::{ConflictStats, DatabaseLiveness, NodeHealth};
use crate::node::keyrings::Keyrings;
use crate::node::signals::{SignalCounts, SignalFeed, SignalSearch};
use crate::node::webhooks::Webhooks;
use crate::node::write_queue::WriteQueue;
use crate::spans::span;
use crate::store::{Store, StoreError};
use attempt::{attempt, into_answer};
pub use error::ScanError;
pub(crate) use post_commit::PostCommitEffects;
pub use undo::UndoActor;

/// How long a reader waits for denials that are being written.
const PENDING_DENIALS_TIMEOUT: Duration = Duration::from_millis(250);

/// How long a node that ends tries to write its pending denials.
const SHUTDOWN_FLUSH_TIMEOUT: Duration = Duration::from_millis(1500);

/// How long a node that ends tries to tell the others.
const LEAVE_TIMEOUT: Duration = Duration::from_millis(250);

/// Processes scans; cheap to clone.
#[derive(Clone)]
pub struct Scanner(Arc<ScannerParts>);

pub(crate) struct ScannerParts {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) keyrings: Keyrings,
    pub(crate) rules: RuleSettings,
    pub(crate) identity_cache: Arc<IdentityCache>,
    pub(crate) ticket_cache: Arc<TicketCache>,
    pub(crate) scan_ids: Arc<ScanIds>,
    pub(crate) claims: Claims,
    #[cfg(feature = "redis")]
    pub(crate) redis_cache: Option<RedisTicketCache>,
    #[cfg(feature = "redis")]
    pub(crate) platform_keys: Option<PlatformKeys>,
    pub(crate) bus: Option<Arc<dyn Bus>>,
    pub(crate) invalidator: Invalidator,
    pub(crate) occupancy_cache: Arc<OccupancyCache>,
    pub(crate) feed: Arc<Feed>,
    pub(crate) write_queue: WriteQueue,
    pub(crate) database_liveness: Arc<DatabaseLiveness>,
    pub(crate) signals: Arc<SignalFeed>,
    pub(crate) signal_counts: SignalCounts,
    pub(crate) webhooks: Arc<Webhooks>,
    pub(crate) deliveries: Deliveries,
    pub(crate) conflict_stats: ConflictStats,
}

impl Scanner {
    pub(crate) fn new(parts: ScannerParts) -> Self {
        Self(Arc::new(parts))
    }

    /// Scans were recorded or changed otherwise than by a write of the queue.
    fn scans_changed(&self, records: &[&ScanRecord], now: Timestamp) {
        self.0.feed.scans_recorded(records.iter().copied(), now);
        #[cfg(feature = "redis")]
        if let Some(platform_keys) = &self.0.platform_keys {
            platform_keys.scans_recorded(records.iter().copied(), now);
        }
    }

    /// The database, for reading.
    #[must_use]
    pub fn store(&self) -> &dyn Store {
        &*self.0.store
    }

    /// The feed of scans and occupancy.
    #[must_use]
    pub fn feed(&self) -> &Arc<Feed> {
        &self.0.feed
    }

    /// The signals that open and end.
    #[must_use]
    pub fn signals(&self) -> &Arc<SignalFeed> {
        &self.0.signals
    }

    /// Starts the search for signals, which runs on one node at a time until this one ends. `clock` tells the present time.
    /// Must be called within a tokio runtime.
    pub fn search_signals(&self, clock: impl Fn() -> Timestamp + Send + Sync + 'static) {
        let search = SignalSearch {
            store: Arc::clone(&self.0.store),
            bulk_writes: self.0.write_queue.bulk_writes().clone(),
            counts: self.0.signal_counts.clone(),
            subscribers: Arc::clone(&self.0.signals),
            webhooks: Arc::clone(&self.0.webhooks),
            clock: Arc::new(clock),
        };
        search.start(Arc::clone(&self.0.feed));
    }

    /// The deliveries of webhooks.
    #[must_use]
    pub fn deliveries(&self) -> &Deliveries {
        &self.0.deliveries
    }

    /// The webhooks.
    #[must_use]
    pub fn webhooks(&self) -> &Arc<Webhooks> {
        &self.0.webhooks
    }

    /// Waits until the denials that this node has answered to an organization are written, at most 250 ms. A client that reads the records at
    /// the node that answered its scan therefore finds the scan.
    pub async fn wait_for_pending_denials(&self, organization: OrganizationId) {
        // After the timeout, the reader sees what it would see at any other node.
        let _ = tokio::time::timeout(PENDING_DENIALS_TIMEOUT, self.0.write_queue.flush(organization)).await;
    }

    /// Writes all pending denials, which takes at most 1.5 s, and ends the tasks of the node. Must be called before the
    /// process ends.
    pub async fn shutdown(&self) {
        let lost = self.0.write_queue.flush_within(SHUTDOWN_FLUSH_TIMEOUT).await;
        if lost > 0 {
            tracing::error!(lost, "denials could not be written before the node stopped");
        }
        self.0.feed.close();
        if let Some(bus) = &self.0.bus {
            // Otherwise the others would wait for this node until they miss it.
            let _ = tokio::time::timeout(LEAVE_TIMEOUT, bus.publish(&[Message::Leaving])).await;
        }
        self.0.store.release();
    }

    /// The health of the ticket cache in Redis; `None` without Redis.
    #[cfg(feature = "redis")]
    #[must_use]
    pub fn redis_health(&self) -> Option<RedisHealth> {
        self.0.redis_cache.as_ref().map(RedisTicketCache::health)
    }

    /// Whether the bus to the other nodes is up; `None` without a bus.
    #[must_use]
    pub fn bus_is_up(&self) -> Option<bool> {
        self.0.bus.as_ref().map(|bus| bus.is_up())
    }

    /// The health of this node.
    #[must_use]
    pub fn health(&self) -> NodeHealth {
        NodeHealth {
            database_up: self.0.database_liveness.is_up(),
            pools: self.0.store.pools(),
            #[cfg(feature = "redis")]
            redis: self.redis_health(),
            bus_up: self.bus_is_up(),
            writes: self.0.write_queue.counts(),
            subscriptions: self.0.feed.subscriptions(),
            signals: self.0.signal_counts.by_kind(),
            conflicts: self.0.conflict_stats.counts(),
        }
    }

    /// The device that a token belongs to, with its session, if it is cached. Inactive devices are returned too.
    #[must_use]
    pub fn cached_device(&self, token: &TokenHash) -> Option<Arc<AuthenticatedDevice>> {
        self.0.identity_cache.device(token)
    }

    /// The device that a token belongs to, with its session. Inactive devices are returned too.
    pub async fn authenticate(
        &self,
        token: &TokenHash,
    ) -> Result<Option<Arc<AuthenticatedDevice>>, StoreError> {
        if let Some(authenticated) = self.cached_device(token) {
            return Ok(Some(authenticated));
        }
        let ScannerParts {
            identity_cache,
            store,
            ..
        } = &*self.0;
        let epoch = identity_cache.epoch();
        let found = store
            .find_device_by_token(token)
            .instrument(span!("db.find_device"));
        let Some(authenticated) = found.await?.map(Arc::new) else {
            return Ok(None);
        };
        identity_cache.put_device(*token, epoch, &authenticated);
        Ok(Some(authenticated))
    }

    /// What a transaction needs to write the entry about a change that somebody makes now.
    fn audit<'a>(&'a self, by: &'a AuditContext, now: Timestamp) -> Audit<'a> {
        Audit {
            context: by,
            at: now,
            signer: AuditSigner::new(self.0.keyrings.master()),
        }
    }

    /// Processes a scan of a device at `now`, the server's clock. A denial from this node's caches is answered without
    /// waiting for anything. Slow paths are boxed, so that the future of every scan stays small.
    pub async fn scan(
        &self,
        authenticated: &Arc<AuthenticatedDevice>,
        request: ScanRequest,
        now: Timestamp,
    ) -> Result<ScanAnswer, ScanError> {
        self.scan_from(authenticated, request, None, now).await
    }

    /// Processes a scan as [`Self::scan`] does. The audit log names `origin` if the scan forces an admission.
    pub async fn scan_from(
        &self,
        authenticated: &Arc<AuthenticatedDevice>,
        request: ScanRequest,
        origin: Option<Arc<AuditContext>>,
        now: Timestamp,
    ) -> Result<ScanAnswer, ScanError> {
        let span = span!("scan", result = Empty, reason = Empty, decided_by = Empty);
        let answer = self.process(authenticated, request, origin, now);
        let answer = answer.instrument(span.clone()).await;
        if !span.is_disabled()
            && let Ok(answer) = &answer
        {
            span.record("result", answer.result.as_str());
            span.record("reason", answer.reason.as_str());
            span.record("decided_by", answer.decided_by.as_str());
        }
        answer
    }

    async fn process(
        &self,
        authenticated: &Arc<AuthenticatedDevice>,
        request: ScanRequest,
        origin: Option<Arc<AuditContext>>,
        now: Timestamp,
    ) -> Result<ScanAnswer, ScanError> {
        if authenticated.device.status != DeviceStatus::Active {
            return Err(ScanError::DeviceInactive);
        }
        let override_forbidden = request.override_.is_some() && !authenticated.device.settings.can_override;
        let active_session = match &authenticated.active_session {
            Some(active_session) if !override_forbidden && authenticated.is_in_scope(active_session) => {
                active_session
            }
            active_session => {
                // A known scan gets its first answer, even if the device could not make a new scan.
                let error = match active_session {
                    Some(active_session) if !authenticated.is_in_scope(active_session) => {
                        ScanError::OutOfScope
                    }
                    Some(_) => ScanError::OverrideNotAllowed,
                    None if override_forbidden => ScanError::OverrideNotAllowed,
                    None => ScanError::NoActiveSession,
                };
                return Box::pin(self.replay(authenticated, &request)).await?.ok_or(error);
            }
        };
        let keyring = self.0.keyrings.get(authenticated.device.organization_id).await?;
        let (client_scan_id, dry_run) = (request.scan_id, request.dry_run);
        let reading = self
            .verify_at_event(authenticated, &active_session.event, &request.reading, &keyring)
            .instrument(span!("scan.verify"))
            .await?;
        let mut attempt = attempt(authenticated, active_session, request, reading, now);
        attempt.origin = origin.filter(|_| attempt.override_.is_some());
        if dry_run {
            return Box::pin(self.preview(attempt)).await;
        }
        let mark = self.0.scan_ids.mark(attempt.organization_id, attempt.scan_id);
        if !mark.seen_before
            && let Some(denial) = self
                .cached_denial(active_session, &attempt)
                .instrument(span!("scan.cache"))
                .await
            && self.is_new(client_scan_id, &attempt).await?
            && let Some(answer) = self
                .answer_cached_denial(active_session, &attempt, denial, mark)
                .await?
        {
            return Ok(answer);
        }
        Box::pin(async move {
            let decided = self.decide(attempt, mark).instrument(span!("scan.decide"));
            let answer = decided.await?;
            let place = (active_session.event.id, active_session.gate.id);
            self.with_occupancy_of_its_gate(authenticated.device.organization_id, place, answer)
                .await
        })
        .await
    }

    /// Lets the database decide and record a scan. A scan that a cache of another node may have denied meanwhile is claimed
    /// first, so that there is one decision.
    async fn decide(&self, mut attempt: Box<Attempt>, mark: Mark) -> Result<ScanAnswer, ScanError> {
        attempt.claimed |= self.0.claims.is_alone();
        if !attempt.claimed && mark.seen_before {
            // The scan of another node, whose record may follow.
            let known = self
                .store()
                .find_scan_for_retry(attempt.organization_id, attempt.scan_id);
            attempt.claimed = known.await?.is_some();
        }
        if !attempt.claimed && (mark.seen_before || attempt.override_.is_some()) {
            self.claim(&mut attempt).await?;
        }
        let again = (!attempt.claimed).then(|| attempt.clone());
        let mut recorded = self.0.write_queue.record(attempt).await?;
        if let (Recorded::NotClaimed, Some(mut attempt)) = (&recorded, again) {
            self.claim(&mut attempt).await?;
            recorded = self.0.write_queue.record(attempt).await?;
        }
        into_answer(recorded)
    }

    async fn claim(&self, attempt: &mut Attempt) -> Result<(), ScanError> {
        let claim = ScanClaim::of_scan(attempt.organization_id, attempt.scan_id);
        self.0.claims.claim(&claim).await?;
        attempt.claimed = true;
        Ok(())
    }

    /// The answer that a scan would get. Nothing is recorded.
    async fn preview(&self, mut attempt: Box<Attempt>) -> Result<ScanAnswer, ScanError> {
        // Nothing is decided, so that nothing has to be claimed.
        attempt.claimed = true;
        let recorded = self.store().dry_run(&attempt, &self.0.rules).await?;
        let answer = into_answer(recorded)?;
        Ok(ScanAnswer {
            scan_id: None,
            ..answer
        })
    }
}
