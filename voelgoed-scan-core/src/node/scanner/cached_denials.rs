//! Step 3: asks the cache tiers for a denial of a new scan, and answers it.
//!
//! Invariants:
//! - A tier never admits.
//! - A scan that was decided before gets its first answer, on every node. Where this node may have missed the first
//!   decision, it asks the database whether the scan is known before a tier may deny it.

use std::time::Duration;

use super::{ScanError, Scanner};
use crate::model::{
    ActiveSession, Attempt, Claims, DecidedBy, Denial, Direction, PreviousScan, Reason, Reentry, ScanAnswer,
    ScanId, ScanResult, ScannedTicket, TicketFacts, Verification,
};
use crate::rules::batch::{shows_previous_scan, shows_ticket};
use crate::rules::{NewScan, ScanContext, build_answer, decide};

impl Scanner {
    /// Whether a scan was certainly not decided before.
    ///
    /// The cached scan ids are enough if the client created the scan after this node began to collect ids, or if this node
    /// has collected them for longer than a retry is possible. Otherwise the database is asked. A node that is cut off from
    /// the others cannot know, and the others may not receive its scans either: the scan then counts as known, and its
    /// record is written before it is answered, so that a retry finds it at any node.
    pub(super) async fn is_new(
        &self,
        client_scan_id: Option<ScanId>,
        attempt: &Attempt,
    ) -> Result<bool, ScanError> {
        let Some(id) = client_scan_id else {
            return Ok(true);
        };
        let Some(collected_for) = self.scan_ids_collected_for() else {
            return Ok(false);
        };
        let began = attempt.now.minus(collected_for);
        if collected_for >= self.0.rules.dedup_window
            || id.timestamp().is_some_and(|created_at| created_at >= began)
        {
            return Ok(true);
        }
        let known = Box::pin(self.store().find_scan_for_retry(attempt.organization_id, id)).await?;
        Ok(known.is_none())
    }

    /// For how long this node has collected the ids of its own scans and those of the other nodes. `None` while it is cut
    /// off from them.
    fn scan_ids_collected_for(&self) -> Option<Duration> {
        let cache_age = self.0.ticket_cache.age();
        match &self.0.bus {
            Some(bus) => bus.connected_for().map(|connected| connected.min(cache_age)),
            None => Some(cache_age),
        }
    }

    /// Whether a denial may be answered before its record is written.
    ///
    /// A re-entry window ends by time alone, and not on all nodes at the same moment. If the answer is lost, the same scan
    /// may reach another node and be admitted there. With several nodes a denial by the window is therefore recorded first,
    /// and the first record is the answer.
    pub(super) fn may_answer_before_record(
        &self,
        active_session: &ActiveSession,
        client_scan_id: Option<ScanId>,
    ) -> bool {
        let ends_by_time = match active_session.event.reentry {
            Reentry::Never | Reentry::AfterExit => false,
            Reentry::AfterWindow => true,
        };
        !ends_by_time || client_scan_id.is_none() || self.0.bus.is_none()
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
            let facts = Box::pin(redis_cache.get(organization, code)).await?;
            let denial = self.denial_by_ticket(active_session, attempt, claims, &facts, DecidedBy::Redis);
            if denial.is_some() {
                self.0.ticket_cache.put(facts, epoch, attempt.now);
            }
            return denial;
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
        let context = ScanContext {
            now: attempt.now,
            direction: attempt.direction,
            event: &active_session.event,
            gate: &active_session.gate,
            occupancy: None,
            dedup_window: self.0.rules.dedup_window,
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
                    .map(|admission| PreviousScan::of(admission, attempt.device_id, attempt.now)),
            })
        })
    }

    /// Answers a denial of a cache tier. Its record is written behind.
    pub(super) async fn answer_cached_denial(
        &self,
        active_session: &ActiveSession,
        attempt: Box<Attempt>,
        denial: Box<Denial>,
    ) -> Result<ScanAnswer, ScanError> {
        let permit = self.0.write_queue.reserve_denial().await?;
        let occupancy = if let Some(occupancy) = self
            .0
            .occupancy_cache
            .get(&active_session.event, &active_session.gate)
        {
            occupancy
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
        let scan = NewScan::denied(*attempt, *denial);
        let answer = build_answer(&scan.record, &scan.snapshot, occupancy);
        self.0.write_queue.enqueue_denial(permit, scan)?;
        Ok(answer)
    }
}

/// The claims of a scan that a tier may deny: an entry without override, under a re-entry policy whose denials only a
/// ticket change or the end of the window revokes.
fn claims_for_tiers<'a>(active_session: &ActiveSession, attempt: &'a Attempt) -> Option<&'a Claims> {
    let is_stable_policy = match active_session.event.reentry {
        Reentry::Never | Reentry::AfterWindow => true,
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
