//! Claims scans for the database before it decides them, so that each scan id gets one decision on all nodes.
//!
//! A cache answers a denial before its record is written. The same scan may reach another node meanwhile, and the database may
//! admit it there: because of an override, because the re-entry window is over, because the admission before it was undone. The
//! node that asks the database therefore claims the scan first. Every other node marks the id as known, writes the record of
//! what its caches have answered, and confirms that. The database then finds the record, or decides with every node knowing the
//! id.
//!
//! Invariants:
//! - A node that is cut off says so in the database. While one does, no node answers a scan before its record is
//!   written, so that nothing has to be claimed.
//! - A node counts as present until it is silent for so long that it has noticed that it is cut off.
//! - A scan that may be a ticket's first admission need not be claimed: no cache denies a ticket without an admission, and an
//!   undo claims its ticket before it changes it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout, timeout_at};
use uuid::Uuid;

use crate::bus::{Bus, Message};
use crate::node::cache::scan_ids::{ScanClaim, ScanIds};
use crate::node::cache::tickets::TicketCache;
use crate::node::write_queue::WriteQueue;
use crate::store::Store;

/// How long the bus must have worked until this node knows the others, and they know it: some heartbeats of each.
const SETTLED_AFTER: Duration = Duration::from_millis(600);

/// How long a claim waits for the other nodes. A node that has stopped without a word is a peer for a shorter time.
const CLAIM_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a node tries to write what its caches have answered, when another node claims it.
const RECORD_TIMEOUT: Duration = Duration::from_secs(2);

/// How often a waiting claim looks at the nodes again, and how often it is sent again.
const CHECK_INTERVAL: Duration = Duration::from_millis(20);
const RESEND_INTERVAL: Duration = Duration::from_millis(250);

/// How many scan ids and tickets one message names. A notification of PostgreSQL holds 8,000 bytes.
const MAX_PER_MESSAGE: usize = 100;

/// How old the mark of a cut-off node must be until every other node has read it, and how recent its last renewal. The marks
/// are read as often as the change counters.
const MARK_EFFECTIVE_AFTER: Duration = Duration::from_millis(1200);
const MARK_RENEWED_WITHIN: Duration = Duration::from_millis(1500);

/// Another node did not confirm a claim in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unconfirmed;

/// What the database says about cut-off nodes.
#[derive(Default)]
struct CutOff {
    /// Since when, and when last, this node has said that it is cut off.
    marked: Option<(Instant, Instant)>,
    others: bool,
}

/// Claims scans; cheap to clone.
#[derive(Clone)]
pub(crate) struct Claims(Arc<ClaimsParts>);

struct ClaimsParts {
    /// `None` where there can be no other node.
    bus: Option<Arc<dyn Bus>>,
    scan_ids: Arc<ScanIds>,
    ticket_cache: Arc<TicketCache>,
    write_queue: WriteQueue,
    /// The nodes that confirmed each claim that waits.
    waiting: Mutex<Waiting>,
    confirmed: Notify,
    cut_off: Mutex<CutOff>,
}

#[derive(Default)]
struct Waiting {
    last: u64,
    confirmed_by: HashMap<u64, HashSet<Uuid>>,
}

/// A claim that waits. Dropped, it waits no more.
struct Registration<'a>(&'a ClaimsParts, u64);

impl Drop for Registration<'_> {
    fn drop(&mut self) {
        self.0.waiting.lock().confirmed_by.remove(&self.1);
    }
}

impl Claims {
    pub(crate) fn new(
        bus: Option<Arc<dyn Bus>>,
        scan_ids: Arc<ScanIds>,
        ticket_cache: Arc<TicketCache>,
        write_queue: WriteQueue,
    ) -> Self {
        Self(Arc::new(ClaimsParts {
            bus,
            scan_ids,
            ticket_cache,
            write_queue,
            waiting: Mutex::default(),
            confirmed: Notify::new(),
            cut_off: Mutex::default(),
        }))
    }

    /// For how long this node knows the ids of all scans on all nodes. `None` while it cannot know them, because it or another
    /// node is cut off.
    pub(crate) fn ids_complete_for(&self) -> Option<Duration> {
        let complete = self.0.scan_ids.complete_for();
        let Some(bus) = &self.0.bus else {
            return Some(complete);
        };
        let connected = bus
            .connected_for()
            .filter(|&connected| connected >= SETTLED_AFTER)?;
        (!self.0.cut_off.lock().others).then(|| connected.min(complete))
    }

    /// Whether no other node can have answered a scan.
    pub(crate) fn is_alone(&self) -> bool {
        self.0.bus.as_ref().is_none_or(|bus| {
            let is_settled = bus
                .connected_for()
                .is_some_and(|connected| connected >= SETTLED_AFTER);
            is_settled && bus.peers().is_empty()
        })
    }

    /// Claims scans on all nodes. Afterwards the database has the record of everything that a cache has answered for them, and
    /// no cache answers them any more.
    pub(crate) async fn claim(&self, claim: &ScanClaim) -> Result<(), Unconfirmed> {
        let Some(bus) = self.0.bus.as_ref().filter(|_| !self.is_alone()) else {
            // The write queue writes a pending denial before a scan with its id.
            self.0.scan_ids.claim(claim);
            return Ok(());
        };
        self.apply(claim);
        let deadline = Instant::now() + CLAIM_TIMEOUT;
        for part in parts(claim) {
            self.claim_part(&**bus, &part, deadline).await?;
        }
        Ok(())
    }

    fn apply(&self, claim: &ScanClaim) {
        // Suspended first: a scan that arrives after the claim was counted finds the ticket suspended.
        self.0
            .ticket_cache
            .suspend(claim.organization, &claim.ticket_codes);
        self.0.scan_ids.claim(claim);
    }

    async fn claim_part(
        &self,
        bus: &dyn Bus,
        part: &ScanClaim,
        deadline: Instant,
    ) -> Result<(), Unconfirmed> {
        let registration = self.register();
        let message = Message::ScansClaimed {
            claimant: bus.node(),
            claim: registration.1,
            organization_id: part.organization,
            scan_ids: part.scan_ids.clone(),
            ticket_codes: part.ticket_codes.clone(),
        };
        let mut sent: Option<Instant> = None;
        loop {
            // Created before the check, so that no confirmation in between is missed.
            let confirmed = self.0.confirmed.notified();
            match bus.connected_for() {
                Some(connected) if connected >= SETTLED_AFTER => {
                    if self.is_confirmed(registration.1, &bus.peers()) {
                        return Ok(());
                    }
                    if sent.is_none_or(|at| at.elapsed() >= RESEND_INTERVAL) {
                        bus.publish(std::slice::from_ref(&message)).await;
                        sent = Some(Instant::now());
                    }
                }
                Some(_) | None => {
                    if self.others_know_that_this_node_is_cut_off() {
                        return Ok(());
                    }
                }
            }
            if Instant::now() >= deadline {
                return Err(Unconfirmed);
            }
            let _ = timeout_at(deadline.min(Instant::now() + CHECK_INTERVAL), confirmed).await;
        }
    }

    fn register(&self) -> Registration<'_> {
        let mut waiting = self.0.waiting.lock();
        waiting.last += 1;
        let number = waiting.last;
        waiting.confirmed_by.insert(number, HashSet::new());
        Registration(&self.0, number)
    }

    fn is_confirmed(&self, claim: u64, peers: &[Uuid]) -> bool {
        let waiting = self.0.waiting.lock();
        let confirmed_by = waiting.confirmed_by.get(&claim);
        confirmed_by.is_some_and(|confirmed_by| peers.iter().all(|peer| confirmed_by.contains(peer)))
    }

    fn others_know_that_this_node_is_cut_off(&self) -> bool {
        self.0.cut_off.lock().marked.is_some_and(|(since, last)| {
            since.elapsed() >= MARK_EFFECTIVE_AFTER && last.elapsed() < MARK_RENEWED_WITHIN
        })
    }

    /// Another node confirmed a claim of a node.
    pub(crate) fn confirmed(&self, confirmer: Uuid, claimant: Uuid, claim: u64) {
        if self.0.bus.as_ref().is_none_or(|bus| bus.node() != claimant) {
            return;
        }
        if let Some(confirmed_by) = self.0.waiting.lock().confirmed_by.get_mut(&claim) {
            confirmed_by.insert(confirmer);
        }
        self.0.confirmed.notify_waiters();
    }

    /// Does what another node's claim asks for, and confirms it. A node that cannot write its records confirms nothing.
    pub(crate) async fn serve(&self, claimant: Uuid, number: u64, claim: ScanClaim) {
        self.apply(&claim);
        let Some(bus) = &self.0.bus else { return };
        let recorded = async {
            if self.0.scan_ids.has_unrecorded(&claim) {
                self.0.write_queue.flush(claim.organization).await;
            }
            self.0.scan_ids.until_recorded(&claim).await;
        };
        if timeout(RECORD_TIMEOUT, recorded).await.is_err() {
            tracing::warn!("a claim of another node is not confirmed, because a record could not be written");
            return;
        }
        let confirmation = Message::ClaimConfirmed {
            confirmer: bus.node(),
            claimant,
            claim: number,
        };
        bus.publish(&[confirmation]).await;
    }

    /// Says in the database whether this node is cut off, and reads whether another one is.
    pub(crate) async fn exchange_cut_off(&self, store: &dyn Store) {
        let Some(bus) = &self.0.bus else { return };
        if bus.connected_for().is_none() {
            if store.mark_cut_off(bus.node()).await.is_ok() {
                let now = Instant::now();
                let mut cut_off = self.0.cut_off.lock();
                let since = cut_off
                    .marked
                    .filter(|(_, last)| last.elapsed() < MARK_RENEWED_WITHIN)
                    .map_or(now, |(since, _)| since);
                cut_off.marked = Some((since, now));
            }
        } else {
            self.0.cut_off.lock().marked = None;
        }
        if let Ok(others) = store.others_cut_off(bus.node()).await {
            self.0.cut_off.lock().others = others;
            if others {
                self.0.scan_ids.restart_completeness();
            }
        }
    }
}

/// A claim in parts that fit into one message each.
fn parts(claim: &ScanClaim) -> Vec<ScanClaim> {
    let part = |scan_ids: &[_], ticket_codes: &[_]| ScanClaim {
        organization: claim.organization,
        scan_ids: scan_ids.to_vec(),
        ticket_codes: ticket_codes.to_vec(),
    };
    let ids = claim.scan_ids.chunks(MAX_PER_MESSAGE);
    let codes = claim.ticket_codes.chunks(MAX_PER_MESSAGE);
    ids.map(|ids| part(ids, &[]))
        .chain(codes.map(|codes| part(&[], codes)))
        .collect()
}
