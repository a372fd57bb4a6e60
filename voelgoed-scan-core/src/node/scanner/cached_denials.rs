//! Step 3: asks the cache tiers for a denial of a new scan, and answers it.
//!
//! Invariants:
//! - A tier never admits.
//! - A scan that was decided before gets its first answer, on every node. Where this node may have missed the first
//!   decision, it asks the database whether the scan is known before a tier may deny it.
//! - A tier answers before its record is written. A node that lets the database decide otherwise claims the scan first
//!   (`node/cluster/claims.rs`), so that the answer already given is the one on record.

use std::time::Duration;

use tokio::time::Instant;

use super::{ScanError, Scanner};
use crate::bus::Message;
use crate::model::{
    ActiveSession, Attempt, Claims, DecidedBy, Denial, Direction, Event, Headcount, Occupancy,
    OrganizationId, PreviousScan, Reason, Reentry, ScanAnswer, ScanId, ScanResult, ScannedTicket,
    TicketFacts, Timestamp, Verification,
};
#[cfg(feature = "redis")]
use crate::node::cache::redis::StoredTicket;
use crate::node::cache::scan_ids::Mark;
use crate::rules::batch::{shows_previous_scan, shows_ticket};
use crate::rules::{NewScan, ScanContext, build_answer, decide};

/// How long before its end a day is left to the database.
const DAY_END_MARGIN: Duration = Duration::from_secs(5);

/// How far the clock of a device may be ahead of this node's, where the time in a scan id counts.
const MAX_CLOCK_LEAD: Duration = Duration::from_secs(1);

/// For how long a client may repeat a scan whose id has no time.
const RETRIED_WITHIN: Duration = Duration::from_hours(24);

impl Scanner {
    /// Whether a scan was certainly not decided before.
    ///
    /// The cached scan ids are enough if the client created the scan after this node began to know all ids, or, where the id has
    /// no time, if this node has known them for longer than a retry is possible. Otherwise the database is asked. A node that is
    /// cut off from the others cannot know, and the others may not receive its scans either; the same holds while another node is
    /// cut off. The scan then counts as known, and its record is written before it is answered, so that a retry finds it at any
    /// node. That holds for an id that this node has made, too: the client may retry with it elsewhere as soon as it has the
    /// answer.
    pub(super) async fn is_new(
        &self,
        client_scan_id: Option<ScanId>,
        attempt: &Attempt,
    ) -> Result<bool, ScanError> {
        let Some(complete_for) = self.0.claims.ids_complete_for() else {
            return Ok(false);
        };
        let Some(id) = client_scan_id else {
            return Ok(true);
        };
        let is_new = match id.timestamp() {
            Some(created_at) => {
                let latest = attempt.now.plus(MAX_CLOCK_LEAD);
                (attempt.now.minus(complete_for)..=latest).contains(&created_at)
            }
            None => complete_for >= RETRIED_WITHIN,
        };
        if is_new {
            return Ok(true);
        }
        let known = Box::pin(self.store().find_scan_for_retry(attempt.organization_id, id)).await?;
        Ok(known.is_none())
    }

    /// A denial from the cache tiers, the fastest first.
    #[cfg_attr(
        not(feature = "redis"),
        expect(clippy::unused_async, reason = "the look-up in Redis waits")
    )]
    pub(super) async fn cached_denial(
        &self,
        active_session: &ActiveSession,
        attempt: &Attempt,
    ) -> Option<Box<Denial>> {
        let claims = claims_for_tiers(active_session, attempt)?;
        let code = claims.ticket_code?;
        let organization = attempt.organization_id;
        if let Some(facts) = self.0.ticket_cache.get(organization, code, attempt.now) {
            return self.denial_by_ticket(active_session, attempt, claims, &facts, DecidedBy::Memory);
        }
        #[cfg(feature = "redis")]
        if let Some(redis_cache) = &self.0.redis_cache {
            let epoch = self.0.ticket_cache.epoch();
            let StoredTicket { facts, counter } = Box::pin(redis_cache.get(organization, code)).await?;
            let facts = self.0.ticket_cache.accept(facts, counter, epoch, attempt.now)?;
            return self.denial_by_ticket(active_session, attempt, claims, &facts, DecidedBy::Redis);
        }
        None
    }

    /// The denial of an attempt by a cached ticket, if the rules deny it.
    fn denial_by_ticket(
        &self,
        active_session: &ActiveSession,
        attempt: &Attempt,
        claims: &Claims,
        facts: &TicketFacts,
        decided_by: DecidedBy,
    ) -> Option<Box<Denial>> {
        let is_own_admission = facts
            .ledger
            .last_admission()
            .is_some_and(|admission| admission.scan_id == attempt.scan_id);
        if facts.ticket.entry_limit != 1 || is_own_admission {
            return None;
        }
        if active_session.event.reentry == Reentry::Daily
            && !is_denial_of_today(&active_session.event, facts, attempt.now)
        {
            return None;
        }
        let context = ScanContext {
            now: attempt.now,
            direction: attempt.direction,
            event: &active_session.event,
            gate: &active_session.gate,
            occupancy: None,
            dedup_window: self.0.rules.dedup_window,
            day: active_session.day(attempt.now),
        };
        let reason = decide(&context, claims, Some(facts));
        (reason.result() != ScanResult::Valid && reason != Reason::TicketNotFound).then(|| {
            Box::new(Denial {
                reason,
                decided_by,
                claims: Some(*claims),
                ticket: shows_ticket(reason).then(|| ScannedTicket::from(&facts.ticket)),
                previous_scan: facts
                    .ledger
                    .last_admission()
                    .filter(|_| shows_previous_scan(reason))
                    .map(|admission| PreviousScan::of(admission, attempt.scanned_by.id(), attempt.now)),
            })
        })
    }

    /// Answers a denial of a cache tier. Its record is written behind. `None` if something was claimed since the scan was marked:
    /// the database must decide it.
    pub(super) async fn answer_cached_denial(
        &self,
        active_session: &ActiveSession,
        attempt: &Attempt,
        denial: Box<Denial>,
        mark: Mark,
    ) -> Result<Option<ScanAnswer>, ScanError> {
        let Some(code) = denial.claims.and_then(|claims| claims.ticket_code) else {
            return Ok(None);
        };
        let permit = self.0.write_queue.reserve_denial(attempt.organization_id).await?;
        let ActiveSession { event, gate, .. } = active_session;
        let recent_at = (self.bus_is_up() == Some(false)).then(Instant::now);
        let key = (event.organization_id, event.id);
        let since = active_session.day(attempt.now).counted_since;
        let cached = self.0.occupancy_cache.get(key, gate.id, since, recent_at);
        let occupancy = if let Some((at_gate, at_event)) = cached {
            let headcount = |inside, capacity| Headcount { inside, capacity };
            Occupancy {
                gate: headcount(at_gate, gate.capacity),
                event: headcount(at_event, event.capacity),
            }
        } else {
            // The first denial of a gate on this node reads the occupancy; the cache has it from then on.
            let Attempt {
                organization_id,
                event_id,
                gate_id,
                now,
                ..
            } = *attempt;
            Box::pin(self.load_occupancy(organization_id, event_id, gate_id, now)).await?
        };
        let key = (attempt.organization_id, attempt.scan_id, code);
        let scan = NewScan::denied(attempt.clone(), *denial);
        let answer = build_answer(&scan.record, &scan.snapshot, occupancy);
        let enqueue = || self.0.write_queue.enqueue_denial(permit, scan);
        match self.0.scan_ids.answer(mark, key, enqueue) {
            None => Ok(None),
            Some(queued) => {
                queued?;
                self.publish_scan_id(key.0, key.1);
                Ok(Some(answer))
            }
        }
    }
}

impl Scanner {
    /// Tells the other nodes at once that a scan was answered, so that its retry finds its record. The record itself, which is
    /// published when it is written, would come later.
    fn publish_scan_id(&self, organization_id: OrganizationId, scan: ScanId) {
        if !self.0.claims.is_alone() {
            self.0.invalidator.publisher.publish(Message::ScanIdsSeen {
                organization_id,
                scan_ids: vec![scan],
            });
        }
    }
}

/// Whether a tier may deny the ticket under `daily`: on the day of its last admission, and not just before that day ends,
/// because the clocks of nodes differ.
fn is_denial_of_today(event: &Event, facts: &TicketFacts, now: Timestamp) -> bool {
    let last = facts.ledger.last_admission();
    let day = last.and_then(|admission| event.day(admission.at));
    day.is_some_and(|day| (day.from..day.until.minus(DAY_END_MARGIN)).contains(&now))
}

/// The claims of a scan that a tier may deny: an entry without override, under a re-entry policy whose denials only a
/// ticket change or the end of the window or of the day revokes.
fn claims_for_tiers<'a>(active_session: &ActiveSession, attempt: &'a Attempt) -> Option<&'a Claims> {
    let is_stable_policy = match active_session.event.reentry {
        Reentry::Never | Reentry::AfterWindow | Reentry::Daily => true,
        Reentry::AfterExit => false,
    };
    match &attempt.verification {
        Verification::Verified(claims)
            if is_stable_policy && attempt.direction == Direction::Entry && attempt.override_.is_none() =>
        {
            Some(claims)
        }
        Verification::Verified(_) | Verification::Denied(_) => None,
    }
}
