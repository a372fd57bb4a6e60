//! May this person come in? The use case of the gate, step by step.
//!
//! 1 the device is known by its token · 2 the payload is parsed · 4 its signature checked · 3 the tiers asked (only
//! now: a forged copy learns nothing) · 5 to 7 the database fetches, decides, admits and records, many scans in one
//! write · 8 the tiers filled · 9 occupancy told · 10 the answer.

mod error;
mod post_commit;
mod reading;
mod sync;
mod tiers;

use std::sync::Arc;
use std::time::Duration;

use crate::bus::{Bus, Message};
use crate::model::{
    ActiveSession, Attempt, AuthenticatedDevice, DecidedBy, Denial, DeviceStatus, Direction, EventId,
    Occupancy, OrganizationId, ReasonText, Recorded, RuleSettings, ScanAnswer, ScanId, ScanRecord,
    ScanRequest, ScanSession, SessionId, SessionStart, Timestamp, TokenHash, Verification, Warning,
};
use crate::node::cache::identities::IdentityCache;
use crate::node::cache::invalidation::Invalidator;
use crate::node::cache::occupancy::OccupancyCache;
#[cfg(feature = "redis")]
use crate::node::cache::redis::TierHealth;
use crate::node::cache::tickets::TicketCache;
use crate::node::health::DatabaseLiveness;
use crate::node::setup::Keys;
use crate::node::write_queue::WriteQueue;
use crate::node::{Feed, NodeHealth};
use crate::rules::KnownScan;
use crate::store::{StartOutcome, Store, StoreError, UndoOutcome, UndoPermission};
use crate::token::{Keyring, payload_sha256};
pub use error::ScanError;
pub(crate) use post_commit::PostCommitEffects;

/// How long a reader waits for records that are being written.
const SETTLE: Duration = Duration::from_millis(250);

/// How far a device's clock may be off before the steward is warned.
const CLOCK_SKEW: Duration = Duration::from_mins(5);

/// For how long a device may undo its own scans.
const UNDO_LIMIT: Duration = Duration::from_mins(15);

/// Who asks for an undo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undoer {
    /// A device.
    Device(crate::model::DeviceId),
    /// An organization member, staff or above.
    Member,
}

/// The gate's use case; cheap to clone.
#[derive(Clone)]
pub struct Scanner(Arc<Parts>);

pub(crate) struct Parts {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) keys: Keys,
    pub(crate) rules: RuleSettings,
    pub(crate) memory: Arc<IdentityCache>,
    pub(crate) recent: Arc<TicketCache>,
    #[cfg(feature = "redis")]
    pub(crate) redis: Option<crate::node::cache::redis::RedisTier>,
    pub(crate) bus: Option<Arc<dyn Bus>>,
    pub(crate) changes: Invalidator,
    pub(crate) occupancy_cache: Arc<OccupancyCache>,
    pub(crate) feed: Arc<Feed>,
    pub(crate) write_queue: WriteQueue,
    pub(crate) pulse: Arc<DatabaseLiveness>,
}

impl Scanner {
    pub(crate) fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// The database, for reading.
    #[must_use]
    pub fn store(&self) -> &dyn Store {
        &*self.0.store
    }

    /// Scans and occupancy as they happen.
    #[must_use]
    pub fn feed(&self) -> &Feed {
        &self.0.feed
    }

    /// Waits, for a moment at most, until the denials that this node has answered are written: whoever reads the records
    /// where a scan was answered finds it there.
    pub async fn settle(&self) {
        // Where it takes longer, what is read is as old as at any other node.
        let _ = tokio::time::timeout(SETTLE, self.0.write_queue.flush()).await;
    }

    /// Writes what waits to be written; to be called before the process ends.
    pub async fn shutdown(&self) {
        self.0.write_queue.flush().await;
        self.0.feed.close();
    }

    /// How the second tier is doing; `None` where there is none.
    #[cfg(feature = "redis")]
    #[must_use]
    pub fn redis_tier(&self) -> Option<TierHealth> {
        self.0
            .redis
            .as_ref()
            .map(crate::node::cache::redis::RedisTier::health)
    }

    /// Whether the way to the other nodes is up; `None` where there is none.
    #[must_use]
    pub fn bus_is_up(&self) -> Option<bool> {
        self.0.bus.as_ref().map(|bus| bus.is_up())
    }

    /// How this node is doing.
    #[must_use]
    pub fn health(&self) -> NodeHealth {
        NodeHealth {
            database_up: self.0.pulse.is_up(),
            pools: self.0.store.pools(),
            #[cfg(feature = "redis")]
            redis: self.redis_tier(),
            bus_up: self.bus_is_up(),
            writes: self.0.write_queue.counts(),
            listeners: self.0.feed.listeners(),
        }
    }

    /// The device that a token belongs to, with its session, as far as memory knows; an inactive one too.
    #[must_use]
    pub fn remembered(&self, token: &TokenHash) -> Option<Arc<AuthenticatedDevice>> {
        self.0.memory.authenticated(token)
    }

    /// The device that a token belongs to, with its session; an inactive one too.
    pub async fn authenticate(
        &self,
        token: &TokenHash,
    ) -> Result<Option<Arc<AuthenticatedDevice>>, StoreError> {
        if let Some(authenticated) = self.remembered(token) {
            return Ok(Some(authenticated));
        }
        let Parts { memory, store, .. } = &*self.0;
        let since = memory.epoch();
        let Some(authenticated) = store.find_device_by_token(token).await?.map(Arc::new) else {
            return Ok(None);
        };
        memory.keep_standing(*token, since, &authenticated);
        Ok(Some(authenticated))
    }

    /// Decides a scan of a device at `now`, the server's clock. What memory can answer is answered without waiting for
    /// anything; what waits for more is boxed on its way, so that the others do not carry its weight about.
    pub async fn scan(
        &self,
        authenticated: &Arc<AuthenticatedDevice>,
        request: ScanRequest,
        now: Timestamp,
    ) -> Result<ScanAnswer, ScanError> {
        if authenticated.device.status != DeviceStatus::Active {
            return Err(ScanError::DeviceInactive);
        }
        let forbidden = request.override_.is_some() && !authenticated.device.settings.can_override;
        let active_session = match &authenticated.active_session {
            Some(active_session) if !forbidden => active_session,
            active_session => {
                // A scan that is known already is answered as before, whatever stands against a new one.
                let refusal = match active_session {
                    Some(_) => ScanError::OverrideNotAllowed,
                    None if forbidden => ScanError::OverrideNotAllowed,
                    None => ScanError::NoActiveSession,
                };
                return Box::pin(self.replay(authenticated, &request))
                    .await?
                    .ok_or(refusal);
            }
        };
        let keyring = self
            .0
            .keys
            .keyring(authenticated.device.organization_id, &self.0.memory, self.store())
            .await?;
        let (named, dry_run) = (request.scan_id, request.dry_run);
        let mut attempt = self.attempt(authenticated, active_session, request, &keyring, now);
        if dry_run {
            return Box::pin(self.preview(&attempt)).await;
        }
        let seen_before = named.is_some_and(|id| self.0.recent.note_scan(attempt.organization_id, id));
        if !seen_before
            && let Some(denial) = self.ask_tiers(active_session, &attempt).await
            && self.is_new(named, &attempt).await?
        {
            if self.may_precede_record(active_session, named) {
                return self.deny(active_session, attempt, denial).await;
            }
            attempt.verification = Verification::Denied(denial);
        }
        Box::pin(self.record(attempt)).await
    }

    /// Steps 2 and 4: what was read, checked; nothing of the ticket is known yet.
    fn attempt(
        &self,
        authenticated: &Arc<AuthenticatedDevice>,
        active_session: &ActiveSession,
        request: ScanRequest,
        keyring: &Keyring,
        now: Timestamp,
    ) -> Box<Attempt> {
        let (fingerprint, verdict) = reading::read(
            &request.reading,
            keyring,
            self.0.keys.phoenix(),
            active_session.event.allow_unsigned,
        );
        let verdict = verdict.and_then(|claims| match request.direction {
            Direction::Entry => claims.window.check(now).map(|()| claims),
            Direction::Exit => Ok(claims),
        });
        let stage = match verdict {
            Ok(claims) => Verification::Verified(claims),
            Err(reason) => Verification::Denied(Box::new(Denial {
                reason,
                decided_by: DecidedBy::Token,
                claims: None,
                ticket: None,
                previous_scan: None,
            })),
        };
        let skewed = request
            .scanned_at
            .is_some_and(|at| u128::from(at.millis_since(now).unsigned_abs()) > CLOCK_SKEW.as_millis());
        Box::new(Attempt {
            scan_id: request.scan_id.unwrap_or_else(|| ScanId::generate(now)),
            organization_id: authenticated.device.organization_id,
            device_id: authenticated.device.id,
            session_id: active_session.session.id,
            event_id: active_session.event.id,
            gate_id: active_session.gate.id,
            gate_name: active_session.gate.name.as_str().to_owned(),
            authenticated: Some(Arc::clone(authenticated)),
            fingerprint,
            verification: stage,
            direction: request.direction,
            now,
            device_scanned_at: request.scanned_at,
            override_: request.override_,
            metadata: request.metadata,
            warnings: if skewed {
                vec![Warning::ClockSkew]
            } else {
                Vec::new()
            },
        })
    }

    /// Steps 5 to 10.
    async fn record(&self, attempt: Box<Attempt>) -> Result<ScanAnswer, ScanError> {
        let recorded = self.0.write_queue.record(attempt).await?;
        answered(recorded)
    }

    async fn preview(&self, attempt: &Attempt) -> Result<ScanAnswer, ScanError> {
        let recorded = self.store().dry_run(attempt, &self.0.rules).await?;
        let answer = answered(recorded)?;
        Ok(ScanAnswer {
            scan_id: None,
            ..answer
        })
    }

    /// The answer that a known scan had, for a device that could not make a new one.
    async fn replay(
        &self,
        authenticated: &AuthenticatedDevice,
        request: &ScanRequest,
    ) -> Result<Option<ScanAnswer>, ScanError> {
        let organization = authenticated.device.organization_id;
        let Some(id) = request.scan_id.filter(|_| !request.dry_run) else {
            return Ok(None);
        };
        let Some(known) = self.known(organization, id).await? else {
            return Ok(None);
        };
        let sha256 = payload_sha256(request.reading.text());
        let mut answer = answered(known.answer_to(authenticated.device.id, &sha256, request.direction))?;
        answer.occupancy = self
            .occupancy_at(organization, answer.event_id, answer.gate.id, answer.scanned_at)
            .await?;
        Ok(Some(answer))
    }

    /// A known scan; a denial that waits to be written is written first.
    async fn known(
        &self,
        organization: OrganizationId,
        scan: ScanId,
    ) -> Result<Option<KnownScan>, ScanError> {
        let known = self.store().find_scan_for_retry(organization, scan).await?;
        if known.is_some() || !self.0.recent.note_scan(organization, scan) {
            return Ok(known);
        }
        self.0.write_queue.flush().await;
        Ok(self.store().find_scan_for_retry(organization, scan).await?)
    }

    async fn occupancy_at(
        &self,
        organization: OrganizationId,
        event: EventId,
        gate: crate::model::GateId,
        now: Timestamp,
    ) -> Result<Occupancy, StoreError> {
        let Some(counts) = self.store().occupancy(organization, event, now).await? else {
            return Ok(Occupancy::default());
        };
        self.0.occupancy_cache.note_event(organization, event, &counts);
        let at_gate = counts
            .gates
            .iter()
            .find(|one| one.id == gate)
            .map(|one| one.count)
            .unwrap_or_default();
        let headcount = |count: crate::model::PlaceCount| crate::model::Headcount {
            inside: count.inside,
            capacity: count.capacity,
        };
        Ok(Occupancy {
            gate: headcount(at_gate),
            event: headcount(counts.event),
        })
    }

    /// Takes an open admission back. Twice is the same answer.
    pub async fn undo(
        &self,
        organization: OrganizationId,
        scan: ScanId,
        by: Undoer,
        reason: &ReasonText,
        now: Timestamp,
    ) -> Result<ScanRecord, ScanError> {
        let by = match by {
            Undoer::Device(device) => UndoPermission::Device(device, UNDO_LIMIT),
            Undoer::Member => UndoPermission::Member,
        };
        let (store, rules) = (self.store(), &self.0.rules);
        let mut outcome = store.undo(organization, scan, by, reason, now, rules).await?;
        if outcome.is_none() {
            // A tier's denial may wait to be written: it is there as soon as it was answered.
            self.0.write_queue.flush().await;
            outcome = store.undo(organization, scan, by, reason, now, rules).await?;
        }
        match outcome.ok_or(ScanError::NotFound)? {
            UndoOutcome::Undone {
                record,
                ticket,
                again,
            } => {
                if let Some(ticket) = ticket {
                    // Again too: whoever asked first may have been cut off before anybody was told.
                    let buried = [(ticket.ticket.code, ticket.version)];
                    self.0.changes.tickets(organization, &buried, now).await;
                }
                if !again {
                    self.0.occupancy_cache.forget(organization, record.event_id);
                    self.0.feed.tell_scan(&record);
                    self.0.changes.outbox.tell(Message::Scan(record.clone()));
                }
                Ok(*record)
            }
            UndoOutcome::NotOpen => Err(ScanError::NotOpen),
            UndoOutcome::NotAllowed => Err(ScanError::NotAllowed),
        }
    }

    /// Starts a session of the device.
    pub async fn start_session(
        &self,
        authenticated: &AuthenticatedDevice,
        start: &SessionStart,
        now: Timestamp,
    ) -> Result<StartOutcome, StoreError> {
        let device = &authenticated.device;
        let id = SessionId::generate(now);
        let outcome = self
            .store()
            .start_session(device.organization_id, device.id, id, start, now)
            .await?;
        self.0.changes.facts(device.organization_id);
        Ok(outcome)
    }

    /// Ends a session; an ended one is returned unchanged.
    pub async fn end_session(
        &self,
        organization: OrganizationId,
        id: SessionId,
        now: Timestamp,
    ) -> Result<Option<ScanSession>, StoreError> {
        let session = self.store().end_session(organization, id, now).await?;
        self.0.changes.facts(organization);
        Ok(session)
    }
}

/// What became of an attempt, as its caller is told.
fn answered(recorded: Recorded) -> Result<ScanAnswer, ScanError> {
    match recorded {
        Recorded::Decided(decided) => Ok(decided.answer),
        Recorded::Replayed(answer) => Ok(*answer),
        Recorded::ScanIdReused => Err(ScanError::ScanIdReused),
        Recorded::ScanUndone => Err(ScanError::ScanUndone),
        Recorded::NoActiveSession => Err(ScanError::NoActiveSession),
        Recorded::DeviceInactive => Err(ScanError::DeviceInactive),
        Recorded::NotRecorded { reason } => Err(StoreError::unavailable(reason).into()),
    }
}
