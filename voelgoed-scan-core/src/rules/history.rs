//! Folds the scans of a ticket, in the order of their times, into a ledger. The functions are pure.
//!
//! Invariants: each scan is judged by the rules of its own time; the same scans give the same ledger, outcomes and
//! occupancy, in whatever order they became known; a scan that the server answered keeps its answer; a scan that a device
//! decided alone gets the result of its position in time; every admitted person is inside, by right or not.

mod ledger;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::model::text::string_enum;
use crate::model::{Direction, Ledger, Movement, Passage, Reason, ScanId};
use crate::rules::history::ledger::FoldedLedger;
use crate::rules::policy::CountedAdmissions;
use crate::rules::{Allowance, TicketRules};

string_enum! {
    /// The kind of a conflict between a scan of a device and the rules.
    pub enum ConflictKind {
        /// One ticket admitted more people than its entry limit, at devices without a connection.
        DoubleEntry = "double_entry",
        /// A device admitted a person against the rules.
        NotAdmissible = "not_admissible",
        /// The server denied the scan. The device did not receive the answer and admitted the person.
        AdmittedOffline = "admitted_offline",
        /// A device admitted a ticket that had been voided, refunded or marked as used before.
        LetInDespiteStatus = "let_in_despite_status",
        /// The scan is in quarantine, or has a number in its device's log that belongs to another scan.
        Unverified = "unverified",
    }

    /// What a scan means to its ticket's history. A denial is not part of the history.
    pub enum HistoryKind {
        /// The server answered it at the gate. It stays valid.
        Answered = "answered",
        /// A device admitted the person, and the repeated checks pass.
        Admitted = "admitted",
        /// The same, with an override that applies if the entry is past the allowance.
        Backed = "backed",
        /// An override admitted the person.
        Forced = "forced",
        /// The device did not decide. The position in time decides.
        Asked = "asked",
        /// The same, with an override that applies if the entry is past the allowance.
        AskedBacked = "asked_backed",
        /// A device admitted the person against the rules. The person is counted, the right is not.
        LetIn = "let_in",
    }
}

/// The outcome of a scan by its position in its ticket's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryOutcome {
    /// The reason.
    pub reason: Reason,
    /// For an override: the denial that it replaced.
    pub would_have_been: Option<Reason>,
    /// The conflict that the scan lost.
    pub conflict: Option<ConflictKind>,
    /// The admission that won the conflict.
    pub winner: Option<ScanId>,
}

/// A scan in a ticket's history. It is neither a denial nor undone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastScan {
    /// Time, gate and device.
    pub passage: Passage,
    /// The direction.
    pub direction: Direction,
    /// What it means to the history.
    pub kind: HistoryKind,
    /// For a scan that the server answered: the entry limit by which it answered.
    pub entry_limit: Option<u8>,
    /// Its present outcome.
    pub outcome: HistoryOutcome,
}

impl PastScan {
    /// A valid scan that the server answered at the gate.
    #[must_use]
    pub const fn answered(passage: Passage, direction: Direction, reason: Reason, entry_limit: u8) -> Self {
        Self {
            passage,
            direction,
            kind: HistoryKind::Answered,
            entry_limit: Some(entry_limit),
            outcome: HistoryOutcome::with_reason(reason),
        }
    }
}

/// The result of folding a history.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FoldedHistory {
    /// The ledger.
    pub ledger: Ledger,
    /// The changes of occupancy, in order.
    pub movements: Vec<Movement>,
    /// The outcome of each scan, in the order of their times.
    pub outcomes: Vec<(ScanId, HistoryOutcome)>,
}

/// Folds the scans of one ticket at one event, each under the rules of its own time. It takes n log n for n scans.
#[must_use]
pub fn fold<'a>(scans: impl IntoIterator<Item = &'a PastScan>, rules: &TicketRules) -> FoldedHistory {
    let fold = HistoryFold::of(scans, rules);
    FoldedHistory {
        ledger: fold.ledger.into_ledger(),
        movements: fold.movements,
        outcomes: fold.outcomes,
    }
}

/// The effect of an entry on the ledger.
enum EntryEffect {
    /// An admission by right. `adds_person` is false if the holder came back without an exit scan.
    ByRight { adds_person: bool },
    /// A device admitted the person without a right.
    WithoutRight,
    /// No admission.
    Denied,
}

struct HistoryFold<'a, 'r> {
    rules: &'r TicketRules,
    ledger: FoldedLedger<'a>,
    movements: Vec<Movement>,
    outcomes: Vec<(ScanId, HistoryOutcome)>,
    /// Whether an earlier entry became known to the server only later.
    has_late_entry: bool,
}

impl<'a, 'r> HistoryFold<'a, 'r> {
    fn of(scans: impl IntoIterator<Item = &'a PastScan>, rules: &'r TicketRules) -> Self {
        let mut scans: Vec<_> = scans.into_iter().collect();
        scans.sort_by_key(|scan| (scan.passage.at, scan.passage.scan_id));
        let mut fold = Self {
            rules,
            ledger: FoldedLedger::new(),
            movements: Vec::new(),
            outcomes: Vec::new(),
            has_late_entry: false,
        };
        for scan in scans {
            let outcome = match scan.direction {
                Direction::Entry => fold.enter(scan),
                Direction::Exit => fold.leave(scan),
            };
            fold.outcomes.push((scan.passage.scan_id, outcome));
        }
        fold
    }

    /// The allowance by which an entry is judged: that of its time. The server answered with the limit that it knew.
    fn allowance(&self, scan: &PastScan) -> Allowance {
        let allowance = self.rules.at(scan.passage.at);
        let answered = scan.entry_limit.filter(|_| scan.kind == HistoryKind::Answered);
        Allowance {
            entry_limit: answered.unwrap_or(allowance.entry_limit),
            ..allowance
        }
    }

    fn enter(&mut self, scan: &'a PastScan) -> HistoryOutcome {
        let allowance = self.allowance(scan);
        let ledger = &self.ledger;
        let allowed = allowance.allows_entry(ledger, scan.passage.at);
        let (effect, outcome) = match scan.kind {
            HistoryKind::Answered => self.answered(scan, &allowance, allowed),
            HistoryKind::LetIn => (EntryEffect::WithoutRight, scan.outcome),
            HistoryKind::Forced => (
                EntryEffect::ByRight { adds_person: true },
                Self::forced(scan, &allowance, allowed),
            ),
            _ if allowed => {
                let readmission = ledger.by_right() >= u32::from(allowance.entry_limit);
                let reason = if readmission {
                    Reason::Readmitted
                } else {
                    Reason::Admitted
                };
                let adds_person = !readmission || allowance.readmission_adds_person(ledger);
                (
                    EntryEffect::ByRight { adds_person },
                    HistoryOutcome::with_reason(reason),
                )
            }
            HistoryKind::Backed | HistoryKind::AskedBacked => (
                EntryEffect::ByRight { adds_person: true },
                Self::forced(scan, &allowance, false),
            ),
            HistoryKind::Asked => (
                EntryEffect::Denied,
                HistoryOutcome::with_reason(allowance.denial()),
            ),
            HistoryKind::Admitted => (
                EntryEffect::WithoutRight,
                self.lose(HistoryOutcome::with_reason(allowance.denial()), &allowance),
            ),
        };
        let outcome = scan.outcome.kept_conflict(outcome);
        let (ledger, movements) = (&mut self.ledger, &mut self.movements);
        let (entry, since) = (&scan.passage, allowance.day.counted_since);
        match effect {
            EntryEffect::ByRight { adds_person } => {
                movements.extend(ledger.enter(entry, adds_person, since));
            }
            EntryEffect::WithoutRight => movements.push(ledger.admit_without_right(entry, since)),
            EntryEffect::Denied => return outcome,
        }
        self.has_late_entry |= scan.kind != HistoryKind::Answered;
        outcome
    }

    /// An entry that the server answered keeps its answer. It loses a conflict only against entries that the server did not
    /// know, or that got their right by an undo. A later change of the rules makes no entry lose.
    fn answered(
        &self,
        scan: &PastScan,
        allowance: &Allowance,
        allowed: bool,
    ) -> (EntryEffect, HistoryOutcome) {
        let before = HistoryOutcome {
            conflict: None,
            winner: None,
            ..scan.outcome
        };
        match before.reason {
            Reason::Overridden => (EntryEffect::ByRight { adds_person: true }, before),
            _ if !allowed && self.has_late_entry => (EntryEffect::WithoutRight, self.lose(before, allowance)),
            Reason::Readmitted => {
                let adds_person = allowance.readmission_adds_person(&self.ledger);
                (EntryEffect::ByRight { adds_person }, before)
            }
            _ => (EntryEffect::ByRight { adds_person: true }, before),
        }
    }

    /// An override. If the overridden denial came from the history, it changes with the history.
    fn forced(scan: &PastScan, allowance: &Allowance, allowed: bool) -> HistoryOutcome {
        let history_denial = allowance.denial();
        let other_denial = scan
            .outcome
            .would_have_been
            .filter(|reason| reason.result() != history_denial.result());
        HistoryOutcome {
            would_have_been: other_denial.or((!allowed).then_some(history_denial)),
            ..HistoryOutcome::with_reason(Reason::Overridden)
        }
    }

    fn lose(&self, outcome: HistoryOutcome, allowance: &Allowance) -> HistoryOutcome {
        let winner = allowance.blocking_admission(&self.ledger);
        HistoryOutcome {
            conflict: winner.map(|_| ConflictKind::DoubleEntry),
            winner: winner.map(|passage| passage.scan_id),
            ..outcome
        }
    }

    fn leave(&mut self, scan: &'a PastScan) -> HistoryOutcome {
        let since = self.rules.counted_since(scan.passage.at);
        let movement = self.ledger.leave(&scan.passage, since);
        let reason = if movement.is_some() {
            Reason::Exited
        } else {
            Reason::NotInside
        };
        self.movements.extend(movement);
        match scan.kind {
            HistoryKind::Asked | HistoryKind::AskedBacked => HistoryOutcome::with_reason(reason),
            _ => scan.outcome,
        }
    }
}

impl HistoryOutcome {
    /// `next` with the conflict that this outcome has by itself, whatever other scans there are.
    fn kept_conflict(self, next: Self) -> Self {
        let (conflict, winner) = match (self.conflict, next.conflict) {
            (kept @ Some(ConflictKind::LetInDespiteStatus), _)
            | (kept @ Some(ConflictKind::Unverified), None) => (kept, None),
            _ => (next.conflict, next.winner),
        };
        Self {
            conflict,
            winner,
            ..next
        }
    }

    /// An outcome with a reason only.
    const fn with_reason(reason: Reason) -> Self {
        Self {
            reason,
            would_have_been: None,
            conflict: None,
            winner: None,
        }
    }
}

/// The movements that turn the counts of `before` into those of `after`, by gate and by the period in which people are counted.
#[must_use]
pub fn movement_difference(before: &[Movement], after: &[Movement]) -> Vec<Movement> {
    let mut by_place = BTreeMap::new();
    let signed = before
        .iter()
        .map(|movement| (movement, -1))
        .chain(after.iter().map(|movement| (movement, 1)));
    for (movement, sign) in signed {
        let (entries, exits): &mut (i64, i64) =
            by_place.entry((movement.gate_id, movement.since)).or_default();
        *entries += sign * movement.entries;
        *exits += sign * movement.exits;
    }
    by_place
        .into_iter()
        .filter(|(_, (entries, exits))| (*entries, *exits) != (0, 0))
        .map(|((gate_id, since), (entries, exits))| Movement {
            gate_id,
            since,
            entries,
            exits,
        })
        .collect()
}
