//! What do a ticket's scans come to, once some of them have changed? Its ledger, its people, and what becomes of the
//! scans that were on record before.
//!
//! Invariant: what is written is the difference between the fold of what was and the fold of what is; so it does not
//! matter in how many steps, nor in which order, the scans came.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::model::{
    EventId, GateId, NamedGate, Outcome, Passage, ScanId, ScanRecord, ScanResult, TicketFacts, TicketId,
    Timestamp,
};
use crate::rules::{
    Allowance, ConflictKind, CountChange, HistoryKind, HistoryOutcome, PastScan, fold, movement_difference,
};
use crate::sync::{Conflict, NamedDevice};

/// A scan with what a ticket's history needs of it.
#[derive(Debug, Clone, PartialEq)]
pub struct ScanState {
    /// Its record.
    pub record: ScanRecord,
    /// What it brings into its ticket's history; `None` for a scan that was answered at the gate, and for a denial.
    pub part: Option<HistoryKind>,
    /// The conflict that it lost.
    pub conflict: Option<ConflictKind>,
    /// The admission that it lost against.
    pub winner: Option<ScanId>,
    /// The gate's name then.
    pub gate_name: String,
    /// The device's name.
    pub device_name: String,
    /// How many people the ticket was for then, where that was told.
    pub entry_limit: Option<u8>,
}

impl ScanState {
    /// The scan as a part of its ticket's history; `None` where it is none.
    #[must_use]
    pub fn past(&self, entry_limit: u8) -> Option<PastScan> {
        let record = &self.record;
        let answered = (record.result == ScanResult::Valid).then_some(HistoryKind::Answered);
        let part = self.part.or(answered).filter(|_| record.undone.is_none())?;
        Some(PastScan {
            seen: Passage {
                scan_id: record.scan_id,
                at: record.scanned_at,
                gate_id: record.gate_id,
                gate_name: self.gate_name.clone(),
                device_id: record.device_id,
                device_name: self.device_name.clone(),
            },
            direction: record.direction,
            part,
            entry_limit: self.entry_limit.unwrap_or(entry_limit),
            outcome: HistoryOutcome {
                reason: record.reason,
                would_have_been: record.would_have_been.map(|outcome| outcome.reason),
                conflict: self.conflict,
                winner: self.winner,
            },
        })
    }

    fn take(&mut self, outcome: HistoryOutcome) {
        let Outcome { result, reason } = Outcome::from(outcome.reason);
        self.record.result = result;
        self.record.reason = reason;
        self.record.would_have_been = outcome.would_have_been.map(Outcome::from);
        self.conflict = outcome.conflict;
        self.winner = outcome.winner;
    }
}

/// A scan as it stands, beside what the database has of it.
#[derive(Debug)]
struct Row {
    now: ScanState,
    /// `None` where it is new.
    stored: Option<ScanState>,
}

/// The scans of several tickets.
#[derive(Debug, Default)]
pub struct TicketHistories {
    rows: HashMap<ScanId, Row>,
    tickets: HashMap<TicketId, BTreeSet<ScanId>>,
    touched: BTreeSet<(TicketId, EventId)>,
}

/// What a refold comes to.
#[derive(Debug, Default)]
pub struct RefoldResult {
    /// Tickets that changed.
    pub tickets: Vec<TicketFacts>,
    /// Counters to be raised, by event and gate.
    pub counts: BTreeMap<(EventId, GateId), CountChange>,
}

impl TicketHistories {
    /// Adds a scan that is on record.
    pub fn add_stored(&mut self, scan: ScanState) {
        self.index(&scan.record);
        let stored = Some(scan.clone());
        self.rows.insert(scan.record.scan_id, Row { now: scan, stored });
    }

    /// Adds a scan that is new.
    pub fn add_new(&mut self, scan: ScanState) {
        self.index(&scan.record);
        self.touch(&scan);
        self.rows.insert(
            scan.record.scan_id,
            Row {
                now: scan,
                stored: None,
            },
        );
    }

    fn index(&mut self, record: &ScanRecord) {
        if let Some(ticket) = record.ticket_id {
            self.tickets.entry(ticket).or_default().insert(record.scan_id);
        }
    }

    fn touch(&mut self, scan: &ScanState) {
        if let Some(ticket) = scan.record.ticket_id {
            self.touched.insert((ticket, scan.record.event_id));
        }
    }

    /// A scan as it stands.
    #[must_use]
    pub fn get(&self, scan: ScanId) -> Option<&ScanState> {
        self.rows.get(&scan).map(|row| &row.now)
    }

    /// Changes a scan.
    pub fn change(&mut self, scan: ScanId, change: impl FnOnce(&mut ScanState)) {
        if let Some(row) = self.rows.get_mut(&scan) {
            change(&mut row.now);
            let now = row.now.clone();
            self.touch(&now);
        }
    }

    /// Folds every ticket that was touched. `allowance` is by the ticket and the event.
    pub fn refold(
        &mut self,
        tickets: &HashMap<TicketId, TicketFacts>,
        allowance: impl Fn(&TicketFacts, EventId) -> Option<Allowance>,
        now: Timestamp,
    ) -> RefoldResult {
        let mut refolded = RefoldResult::default();
        for (ticket, event) in std::mem::take(&mut self.touched) {
            let Some(facts) = tickets.get(&ticket) else {
                continue;
            };
            let Some(allowance) = allowance(facts, event) else {
                continue;
            };
            let ids = self.tickets.get(&ticket).cloned().unwrap_or_default();
            let at_event = |id: &&ScanId| {
                self.rows
                    .get(id)
                    .is_some_and(|row| row.now.record.event_id == event)
            };
            let ids: Vec<ScanId> = ids.iter().filter(at_event).copied().collect();
            let rows = || ids.iter().filter_map(|id| self.rows.get(id));
            let limit = allowance.entry_limit;
            let before: Vec<_> = rows()
                .filter_map(|row| row.stored.as_ref()?.past(limit))
                .collect();
            let after: Vec<_> = rows().filter_map(|row| row.now.past(limit)).collect();
            let before = fold(&before, &allowance);
            let after = fold(&after, &allowance);
            for movement in movement_difference(&before.movements, &after.movements) {
                let count = refolded.counts.entry((event, movement.gate_id)).or_default();
                count.entries += movement.entries;
                count.exits += movement.exits;
            }
            for id in &ids {
                if let Some(row) = self
                    .rows
                    .get_mut(id)
                    .filter(|row| row.now.record.undone.is_some())
                {
                    // Who was not there came in twice with nobody.
                    row.now.conflict = None;
                    row.now.winner = None;
                }
            }
            for (id, outcome) in after.outcomes {
                if let Some(row) = self.rows.get_mut(&id) {
                    row.now.take(outcome);
                }
            }
            // Somebody let in at another event with this ticket is inside there, and nothing to this ticket's history.
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
        for row in self.rows.values() {
            let is = row.now.record.result;
            let was = row.stored.as_ref().map(|stored| stored.record.result);
            if was == Some(is) {
                continue;
            }
            let place = (row.now.record.event_id, row.now.record.gate_id);
            let results = &mut refolded.counts.entry(place).or_default().results;
            results.count(is);
            if let Some(was) = was {
                results.uncount(was);
            }
        }
        refolded
    }

    /// The scans on record that have changed.
    pub fn changed(&self) -> impl Iterator<Item = &ScanState> {
        self.rows
            .values()
            .filter(|row| row.stored.as_ref().is_some_and(|stored| *stored != row.now))
            .map(|row| &row.now)
    }

    /// The conflict that a scan lost, or else the first that it won.
    #[must_use]
    pub fn conflict(&self, scan: ScanId) -> Option<Conflict> {
        let own = self.get(scan)?;
        if own.conflict.is_some() {
            return self.conflict_lost_by(own);
        }
        let rivals = self.tickets.get(&own.record.ticket_id?)?;
        let lost = rivals
            .iter()
            .filter_map(|id| self.get(*id))
            .filter(|rival| rival.winner == Some(scan))
            .min_by_key(|rival| (rival.record.scanned_at, rival.record.scan_id))?;
        self.conflict_lost_by(lost)
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
                    id: scan.record.device_id,
                    name: scan.device_name.clone(),
                })
                .collect(),
            times: both().map(|scan| scan.record.scanned_at).collect(),
        })
    }
}
