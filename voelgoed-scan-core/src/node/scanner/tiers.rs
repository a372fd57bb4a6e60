//! What do the tiers say? A denial, or nothing; and only of a scan that is new.
//!
//! Invariants: only the database admits. A scan that was decided before gets its first answer, on whichever node: where
//! this node may not have heard of it, the database is asked whether it knows the scan before a tier may deny it.

use std::time::Duration;

use crate::model::{
    ActiveSession, Attempt, Claims, DecidedBy, Denial, Direction, PreviousScan, Reason, Reentry, ScanAnswer,
    ScanId, ScanResult, ScannedTicket, TicketFacts, Verification,
};
use crate::node::{ScanError, Scanner};
use crate::rules::batch::{shows_previous_scan, shows_ticket};
use crate::rules::{NewScan, ScanContext, build_answer, decide};

impl Scanner {
    /// Whether nobody has decided a scan before. Memory tells, if the scan was named after this node began to listen,
    /// or if it has listened for so long that a retry would have come; else the database does. Where this node does not
    /// hear the others now, neither may they hear it, and it is not known to be new: it is on record before it is
    /// answered, so that its retry finds it at any node.
    pub(super) async fn is_new(&self, named: Option<ScanId>, attempt: &Attempt) -> Result<bool, ScanError> {
        let Some(id) = named else { return Ok(true) };
        let Some(listened) = self.listened() else {
            return Ok(false);
        };
        let began = attempt.now.minus(listened);
        if listened >= self.0.rules.dedup_window || id.timestamp().is_some_and(|named| named >= began) {
            return Ok(true);
        }
        let known = Box::pin(self.store().known_scan(attempt.organization_id, id)).await?;
        Ok(known.is_none())
    }

    /// For how long this node has kept what it and the others decided; `None` while it does not hear them.
    fn listened(&self) -> Option<Duration> {
        let kept = self.0.recent.age();
        match &self.0.bus {
            Some(bus) => bus.heard_for().map(|heard| heard.min(kept)),
            None => Some(kept),
        }
    }

    /// Whether a tier's denial may be answered before it is on record. A window ends by itself, and not at every node at
    /// once: the same scan, asked about at another node whose answer never came, may be admitted there meanwhile. So a
    /// denial by the window is recorded first where there are others, and whichever is recorded first is the answer.
    pub(super) fn may_precede_record(&self, active_session: &ActiveSession, named: Option<ScanId>) -> bool {
        let ends_by_itself = match active_session.event.reentry {
            Reentry::Never | Reentry::AfterExit => false,
            Reentry::AfterWindow => true,
        };
        !ends_by_itself || named.is_none() || self.0.bus.is_none()
    }

    /// Step 3: a denial that a tier knows, fastest first.
    pub(super) async fn ask_tiers(
        &self,
        active_session: &ActiveSession,
        attempt: &Attempt,
    ) -> Option<Box<Denial>> {
        let claims = tier_may_answer(active_session, attempt)?;
        let code = claims.ticket_code?;
        let organization = attempt.organization_id;
        if let Some(facts) = self.0.recent.get(organization, code, attempt.now) {
            return self.denial(active_session, attempt, claims, &facts, DecidedBy::Memory);
        }
        #[cfg(feature = "redis")]
        if let Some(redis) = &self.0.redis {
            let since = self.0.recent.moment();
            let facts = Box::pin(redis.get(organization, code)).await?;
            let denial = self.denial(active_session, attempt, claims, &facts, DecidedBy::Redis);
            if denial.is_some() {
                self.0.recent.put(facts, since, attempt.now);
            }
            return denial;
        }
        None
    }

    /// What a tier's ticket says against an attempt.
    fn denial(
        &self,
        active_session: &ActiveSession,
        attempt: &Attempt,
        claims: &Claims,
        facts: &TicketFacts,
        decided_by: DecidedBy,
    ) -> Option<Box<Denial>> {
        let own_entry = facts
            .ledger
            .last_admission()
            .is_some_and(|seen| seen.scan_id == attempt.scan_id);
        if facts.ticket.entry_limit != 1 || own_entry {
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
                    .map(|seen| PreviousScan::of(seen, attempt.device_id, attempt.now)),
            })
        })
    }

    /// Answers a tier's denial; its record follows.
    pub(super) async fn deny(
        &self,
        active_session: &ActiveSession,
        attempt: Box<Attempt>,
        denial: Box<Denial>,
    ) -> Result<ScanAnswer, ScanError> {
        let room = self.0.write_queue.room().await?;
        let occupancy = if let Some(occupancy) = self
            .0
            .occupancy_cache
            .occupancy(&active_session.event, &active_session.gate)
        {
            occupancy
        } else {
            // Nobody has told this node yet: asked once, kept from then on.
            let Attempt {
                organization_id,
                event_id,
                gate_id,
                now,
                ..
            } = *attempt;
            Box::pin(self.occupancy_at(organization_id, event_id, gate_id, now)).await?
        };
        let scan = NewScan::denied(*attempt, *denial);
        let answer = build_answer(&scan.record, &scan.snapshot, occupancy);
        self.0.write_queue.note(room, scan)?;
        Ok(answer)
    }
}

/// The claims of a scan that a tier may answer: an entry without override, under a policy that a moment cannot turn.
fn tier_may_answer<'a>(active_session: &ActiveSession, attempt: &'a Attempt) -> Option<&'a Claims> {
    let policy = match active_session.event.reentry {
        Reentry::Never | Reentry::AfterWindow => true,
        Reentry::AfterExit => false,
    };
    match &attempt.verification {
        Verification::Verified(claims)
            if policy && attempt.direction == Direction::Entry && attempt.override_.is_none() =>
        {
            Some(claims)
        }
        Verification::Verified(_) | Verification::Denied(_) => None,
    }
}
