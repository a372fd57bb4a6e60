//! The fold on a plain [`Ledger`], which reads all its admissions for every scan. The fold must equal it.

use super::super::*;

/// Folds as [`super::super::fold`] does.
pub(super) fn plain_fold<'a>(
    scans: impl IntoIterator<Item = &'a PastScan>,
    rules: &TicketRules,
) -> FoldedHistory {
    let mut scans: Vec<_> = scans.into_iter().collect();
    scans.sort_by_key(|scan| (scan.passage.at, scan.passage.scan_id));
    let mut fold = PlainFold {
        rules,
        folded: FoldedHistory::default(),
        has_late_entry: false,
    };
    for scan in scans {
        let outcome = match scan.direction {
            Direction::Entry => fold.enter(scan),
            Direction::Exit => fold.leave(scan),
        };
        fold.folded.outcomes.push((scan.passage.scan_id, outcome));
    }
    fold.folded
}

struct PlainFold<'a> {
    rules: &'a TicketRules,
    folded: FoldedHistory,
    /// Whether an earlier entry became known to the server only later.
    has_late_entry: bool,
}

impl PlainFold<'_> {
    /// The allowance by which an entry is judged: that of its time. The server answered with the limit that it knew.
    fn allowance(&self, scan: &PastScan) -> Allowance {
        let allowance = self.rules.at(scan.passage.at);
        let answered = scan.entry_limit.filter(|_| scan.kind == HistoryKind::Answered);
        Allowance {
            entry_limit: answered.unwrap_or(allowance.entry_limit),
            ..allowance
        }
    }

    fn enter(&mut self, scan: &PastScan) -> HistoryOutcome {
        let allowance = self.allowance(scan);
        let ledger = &self.folded.ledger;
        let allowed = ledger.allows_entry(&allowance, scan.passage.at);
        let (effect, outcome) = match scan.kind {
            HistoryKind::Answered => self.answered(scan, &allowance, allowed),
            HistoryKind::LetIn => (EntryEffect::WithoutRight, scan.outcome),
            HistoryKind::Forced => (
                EntryEffect::ByRight { adds_person: true },
                HistoryFold::forced(scan, &allowance, allowed),
            ),
            _ if allowed => {
                let readmission = ledger.admissions() >= u32::from(allowance.entry_limit);
                let reason = if readmission {
                    Reason::Readmitted
                } else {
                    Reason::Admitted
                };
                let adds_person = !readmission || ledger.readmission_adds_person(&allowance);
                (
                    EntryEffect::ByRight { adds_person },
                    HistoryOutcome::with_reason(reason),
                )
            }
            HistoryKind::Backed | HistoryKind::AskedBacked => (
                EntryEffect::ByRight { adds_person: true },
                HistoryFold::forced(scan, &allowance, false),
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
        let (ledger, movements) = (&mut self.folded.ledger, &mut self.folded.movements);
        match effect {
            EntryEffect::ByRight { adds_person } => {
                movements.extend(ledger.enter(
                    scan.passage.clone(),
                    adds_person,
                    allowance.day.counted_since,
                ));
            }
            EntryEffect::WithoutRight => {
                movements.push(ledger.admit_without_right(scan.passage.clone(), allowance.day.counted_since));
            }
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
                let adds_person = self.folded.ledger.readmission_adds_person(allowance);
                (EntryEffect::ByRight { adds_person }, before)
            }
            _ => (EntryEffect::ByRight { adds_person: true }, before),
        }
    }

    fn lose(&self, outcome: HistoryOutcome, allowance: &Allowance) -> HistoryOutcome {
        let winner = self.folded.ledger.blocking_admission(allowance);
        HistoryOutcome {
            conflict: winner.map(|_| ConflictKind::DoubleEntry),
            winner: winner.map(|passage| passage.scan_id),
            ..outcome
        }
    }

    fn leave(&mut self, scan: &PastScan) -> HistoryOutcome {
        let since = self.rules.counted_since(scan.passage.at);
        let movement = self.folded.ledger.leave(scan.passage.clone(), since);
        let reason = if movement.is_some() {
            Reason::Exited
        } else {
            Reason::NotInside
        };
        self.folded.movements.extend(movement);
        match scan.kind {
            HistoryKind::Asked | HistoryKind::AskedBacked => HistoryOutcome::with_reason(reason),
            _ => scan.outcome,
        }
    }
}
