//! Folds the histories of tickets again after some of their scans changed.
//!
//! Invariant: the changes are the difference between the fold before and the fold after, both by the rules that held at the
//! time of each scan. So the number of steps, the order in which scans arrive and later changes of the rules do not matter.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::model::{
    EventId, GateId, NamedGate, Outcome, Passage, ScanId, ScanRecord, ScanResult, TicketFacts, TicketId,
    Timestamp,
};
use crate::rules::{
    ConflictKind, CountChange, HistoryKind, HistoryOutcome, PastScan, TicketRules, fold, movement_difference,
};
use crate::sync::{Conflict, NamedDevice};

/// The state of a scan: its record and the facts that its ticket's history needs.
#[derive(Debug, Clone, PartialEq)]
pub struct ScanState {
    /// Its record.
    pub record: ScanRecord,
    /// What it means to its ticket's history. `None` for a scan that the server answered, and for a denial.
    pub history_kind: Option<HistoryKind>,
    /// The conflict that the scan lost.
    pub conflict: Option<ConflictKind>,
    /// The admission that won the conflict.
    pub winner: Option<ScanId>,
    /// The gate's name at that time.
    pub gate_name: String,
    /// The device's name.
    pub device_name: String,
    /// The ticket's entry limit at that time, if the answer had the ticket.
    pub entry_limit: Option<u8>,
}

impl ScanState {
    /// The scan as part of its ticket's history; `None` for a denial and an undone scan.
    #[must_use]
    pub fn past(&self) -> Option<PastScan> {
        let record = &self.record;
        let answered = (record.result == ScanResult::Valid).then_some(HistoryKind::Answered);
        let history_kind = self
            .history_kind
            .or(answered)
            .filter(|_| record.undone.is_none())?;
        Some(PastScan {
            passage: Passage {
                scan_id: record.scan_id,
                at: record.scanned_at,
                gate_id: record.gate_id,
                gate_name: self.gate_name.clone(),
                device_id: record.scanned_by(),
                device_name: self.device_name.clone(),
            },
            direction: record.direction,
            kind: history_kind,
            entry_limit: self.entry_limit,
            outcome: HistoryOutcome {
                reason: record.reason,
                would_have_been: record.would_have_been.map(|outcome| outcome.reason),
                conflict: self.conflict,
                winner: self.winner,
            },
        })
    }

    fn apply(&mut self, outcome: HistoryOutcome) {
        let Outcome { result, reason } = Outcome::from(outcome.reason);
        self.record.result = result;
        self.record.reason = reason;
        self.record.would_have_been = outcome.would_have_been.map(Outcome::from);
        self.conflict = outcome.conflict;
        self.winner = outcome.winner;
    }
}

/// A scan, now and in the database.
#[derive(Debug)]
struct TrackedScan {
    current: ScanState,
    /// `None` for a new scan.
    stored: Option<ScanState>,
}

/// The histories of several tickets.
#[derive(Debug, Default)]
pub struct TicketHistories {
    scans: HashMap<ScanId, TrackedScan>,
    of_ticket: HashMap<(TicketId, EventId), BTreeSet<ScanId>>,
    changed_tickets: BTreeSet<(TicketId, EventId)>,
    /// The first scan that lost against each winner, by the ticket and the winner.
    first_losers: HashMap<(TicketId, ScanId), ScanId>,
    /// The number of scans that were looked up.
    #[cfg(test)]
    pub(super) lookups: std::sync::atomic::AtomicUsize,
}

/// The changes of a refold.
#[derive(Debug, Default)]
pub struct RefoldResult {
    /// The changed tickets.
    pub tickets: Vec<TicketFacts>,
    /// The changes of counters, by event and gate.
    pub counts: BTreeMap<(EventId, GateId), CountChange>,
}

impl TicketHistories {
    /// Adds a recorded scan.
    pub fn add_stored(&mut self, scan: ScanState) {
        self.index(&scan.record);
        let stored = Some(scan.clone());
        self.scans.insert(
            scan.record.scan_id,
            TrackedScan {
                current: scan,
                stored,
            },
        );
    }

    /// Adds a new scan.
    pub fn add_new(&mut self, scan: ScanState) {
        self.index(&scan.record);
        self.mark_changed(&scan);
        self.scans.insert(
            scan.record.scan_id,
            TrackedScan {
                current: scan,
                stored: None,
            },
        );
    }

    fn index(&mut self, record: &ScanRecord) {
        if let Some(ticket) = record.ticket_id {
            let ids = self.of_ticket.entry((ticket, record.event_id));
            ids.or_default().insert(record.scan_id);
        }
    }

    fn mark_changed(&mut self, scan: &ScanState) {
        if let Some(ticket) = scan.record.ticket_id {
            self.changed_tickets.insert((ticket, scan.record.event_id));
        }
    }

    /// The present state of a scan.
    #[must_use]
    pub fn get(&self, scan: ScanId) -> Option<&ScanState> {
        #[cfg(test)]
        self.lookups.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.scans.get(&scan).map(|tracked| &tracked.current)
    }

    /// Changes a scan and marks its ticket for the refold.
    pub fn change(&mut self, scan: ScanId, change: impl FnOnce(&mut ScanState)) {
        if let Some(tracked) = self.scans.get_mut(&scan) {
            change(&mut tracked.current);
            let current = tracked.current.clone();
            self.mark_changed(&current);
        }
    }

    /// Folds every ticket with a new or changed scan. `rules` gives the rules of a ticket at an event.
    pub fn refold(
        &mut self,
        tickets: &HashMap<TicketId, TicketFacts>,
        rules: impl Fn(&TicketFacts, EventId) -> Option<TicketRules>,
        now: Timestamp,
    ) -> RefoldResult {
        let mut refolded = RefoldResult::default();
        for (ticket, event) in std::mem::take(&mut self.changed_tickets) {
            let Some(facts) = tickets.get(&ticket) else {
                continue;
            };
            let Some(rules) = rules(facts, event) else {
                continue;
            };
            let ids = self.of_ticket.get(&(ticket, event)).into_iter().flatten();
            let ids: Vec<ScanId> = ids.copied().collect();
            let scans = || ids.iter().filter_map(|id| self.scans.get(id));
            let before: Vec<_> = scans()
                .filter_map(|tracked| tracked.stored.as_ref()?.past())
                .collect();
            let after: Vec<_> = scans().filter_map(|tracked| tracked.current.past()).collect();
            let before = fold(&before, &rules);
            let after = fold(&after, &rules);
            for movement in movement_difference(&before.movements, &after.movements) {
                let count = refolded.counts.entry((event, movement.gate_id)).or_default();
                count.add_movement(&movement);
            }
            for id in &ids {
                if let Some(tracked) = self
                    .scans
                    .get_mut(id)
                    .filter(|tracked| tracked.current.record.undone.is_some())
                {
                    // An undone scan takes part in no conflict.
                    tracked.current.conflict = None;
                    tracked.current.winner = None;
                }
            }
            for (id, outcome) in after.outcomes {
                if let Some(tracked) = self.scans.get_mut(&id) {
                    tracked.current.apply(outcome);
                }
            }
            // A person whom another event's gate admitted is inside there. The ticket's ledger belongs to its own event.
            if facts.ticket.event_id == event && facts.ledger != after.ledger {
                let mut facts = facts.clone();
                facts.ledger = after.ledger;
                facts.version += 1;
                facts.ticket.scan_count = facts.ledger.admissions();
                facts.ticket.status = facts.ticket.status.after_admissions(facts.ledger.admissions());
                facts.ticket.updated_at = now;
                refolded.tickets.push(facts);
            }
        }
        self.first_losers = self.find_first_losers();
        for tracked in self.scans.values() {
            let current = tracked.current.record.result;
            let stored = tracked.stored.as_ref().map(|stored| stored.record.result);
            if stored == Some(current) {
                continue;
            }
            let gate = (tracked.current.record.event_id, tracked.current.record.gate_id);
            let results = &mut refolded.counts.entry(gate).or_default().results;
            results.count(current);
            if let Some(stored) = stored {
                results.uncount(stored);
            }
        }
        refolded
    }

    /// The first scan that lost against each winner.
    fn find_first_losers(&self) -> HashMap<(TicketId, ScanId), ScanId> {
        let mut first = HashMap::new();
        for ScanState { record, winner, .. } in self.scans.values().map(|tracked| &tracked.current) {
            if let (Some(ticket), Some(winner)) = (record.ticket_id, winner) {
                let lost = (record.scanned_at, record.scan_id);
                let earliest = first.entry((ticket, *winner)).or_insert(lost);
                *earliest = lost.min(*earliest);
            }
        }
        first.into_iter().map(|(won, (_, scan))| (won, scan)).collect()
    }

    /// Whether an admission can be undone: no exit ended it. People whom the start of a day made leave had no exit.
    #[must_use]
    pub fn is_open(&self, scan: ScanId, rules: &TicketRules) -> bool {
        let Some(record) = self.get(scan).map(|state| &state.record) else {
            return false;
        };
        // The ledger forgets admissions of earlier days. No exit of a later day ends them.
        let since = rules.counted_since(record.scanned_at);
        let is_of_period = |past: &PastScan| rules.counted_since(past.passage.at) == since;
        let key = record.ticket_id.map(|ticket| (ticket, record.event_id));
        let of_ticket = key.and_then(|key| self.of_ticket.get(&key));
        let states = of_ticket.into_iter().flatten().filter_map(|id| self.get(*id));
        let past: Vec<_> = states.filter_map(ScanState::past).filter(is_of_period).collect();
        fold(&past, rules).ledger.open_admission(scan).is_some()
    }

    /// The recorded scans that changed.
    pub fn changed(&self) -> impl Iterator<Item = &ScanState> {
        self.scans
            .values()
            .filter(|tracked| {
                tracked
                    .stored
                    .as_ref()
                    .is_some_and(|stored| *stored != tracked.current)
            })
            .map(|tracked| &tracked.current)
    }

    /// The recorded scans that are decided differently now, or were undone.
    pub fn changed_decisions(&self) -> impl Iterator<Item = &ScanRecord> {
        let decision = |record: &ScanRecord| {
            (
                record.result,
                record.reason,
                record.would_have_been,
                record.undone.is_some(),
            )
        };
        self.scans
            .values()
            .filter(move |tracked| {
                tracked
                    .stored
                    .as_ref()
                    .is_some_and(|stored| decision(&stored.record) != decision(&tracked.current.record))
            })
            .map(|tracked| &tracked.current.record)
    }

    /// The conflicts that scans lose now and did not lose before.
    pub fn opened_conflicts(&self) -> impl Iterator<Item = ConflictKind> {
        self.scans.values().filter_map(|tracked| {
            let before = tracked.stored.as_ref().and_then(|stored| stored.conflict);
            tracked.current.conflict.filter(|now| before != Some(*now))
        })
    }

    /// The conflict that a scan lost, or else the first conflict that it won, after the last refold.
    #[must_use]
    pub fn conflict(&self, scan: ScanId) -> Option<Conflict> {
        let own = self.get(scan)?;
        if own.conflict.is_some() {
            return self.conflict_lost_by(own);
        }
        let lost = self.first_losers.get(&(own.record.ticket_id?, scan))?;
        self.conflict_lost_by(self.get(*lost)?)
    }

    fn conflict_lost_by(&self, loser: &ScanState) -> Option<Conflict> {
        let kind = loser.conflict?;
        let winner = loser.winner.and_then(|id| self.get(id));
        let both = || winner.into_iter().chain([loser]);
        Some(Conflict {
            kind,
            winner_scan_id: loser.winner,
            other_scan_id: loser.record.scan_id,
            ticket_code: loser.record.ticket_code,
            gates: both()
                .map(|scan| NamedGate {
                    id: scan.record.gate_id,
                    name: scan.gate_name.clone(),
                })
                .collect(),
            devices: both()
                .map(|scan| NamedDevice {
                    id: scan.record.scanned_by(),
                    name: scan.device_name.clone(),
                })
                .collect(),
            times: both().map(|scan| scan.record.scanned_at).collect(),
        })
    }
}
