//! What does a ticket's whole history come to? Its scans, in the order of time, folded into a ledger; pure.
//!
//! Invariants: the same scans give the same ledger, the same placings and the same people at the gates, in whatever
//! order they became known. A scan that was answered at the gate keeps its answer; one that a device decided alone
//! takes the result that its place in time gives it. Whoever was let in is inside, right or not.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::model::text::string_enum;
use crate::model::{Direction, Ledger, Movement, Passage, Reason, ScanId};
use crate::rules::Allowance;

string_enum! {
    /// What is at odds between what a device did and what the rules say.
    pub enum ConflictKind {
        /// One ticket let in more people than it may: two devices that could not talk.
        DoubleEntry = "double_entry",
        /// A device let somebody in against the rules.
        NotAdmissible = "not_admissible",
        /// The server had denied the scan, and the device, which did not hear of it, let the person in.
        AdmittedOffline = "admitted_offline",
        /// A scan in quarantine.
        Unverified = "unverified",
    }

    /// What a scan brings into its ticket's history. A denial brings nothing, and is not part of it.
    pub enum HistoryKind {
        /// The server answered it at the gate: valid it stays.
        Answered = "answered",
        /// A device let the person through, and the checks that can be made again hold.
        Admitted = "admitted",
        /// Likewise, with an override in reserve.
        Backed = "backed",
        /// An override let the person in.
        Forced = "forced",
        /// Nobody decided it: its place in time does.
        Asked = "asked",
        /// Likewise, with an override in reserve.
        AskedBacked = "asked_backed",
        /// A device let the person through against the rules: a person, but no right.
        LetIn = "let_in",
    }
}

/// What becomes of a scan by its place in its ticket's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryOutcome {
    /// Why it is what it is.
    pub reason: Reason,
    /// For an override: the reason that it overrode.
    pub would_have_been: Option<Reason>,
    /// The conflict that it lost.
    pub conflict: Option<ConflictKind>,
    /// The admission that it lost against.
    pub winner: Option<ScanId>,
}

/// A scan of a ticket's history: not undone, and not a denial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastScan {
    /// Where and when.
    pub seen: Passage,
    /// Which way.
    pub direction: Direction,
    /// What it brings.
    pub part: HistoryKind,
    /// How many people the ticket was for then: a later change of that, or of the event's policy, moves nobody who was
    /// answered at the gate.
    pub entry_limit: u8,
    /// What became of it so far.
    pub outcome: HistoryOutcome,
}

impl PastScan {
    /// A valid scan that the server answered at the gate.
    #[must_use]
    pub const fn answered(seen: Passage, direction: Direction, reason: Reason, entry_limit: u8) -> Self {
        Self {
            seen,
            direction,
            part: HistoryKind::Answered,
            entry_limit,
            outcome: HistoryOutcome::plain(reason),
        }
    }
}

/// What a history comes to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FoldedHistory {
    /// The ledger.
    pub ledger: Ledger,
    /// The people it moved, in order.
    pub movements: Vec<Movement>,
    /// What becomes of each scan, in the order of time.
    pub outcomes: Vec<(ScanId, HistoryOutcome)>,
}

/// Folds the scans of one ticket at one event, under the allowance of today.
#[must_use]
pub fn fold<'a>(scans: impl IntoIterator<Item = &'a PastScan>, allowance: &Allowance) -> FoldedHistory {
    let mut scans: Vec<_> = scans.into_iter().collect();
    scans.sort_by_key(|scan| (scan.seen.at, scan.seen.scan_id));
    let mut folding = HistoryFold {
        allowance,
        folded: FoldedHistory::default(),
        surprised: false,
    };
    for scan in scans {
        let outcome = match scan.direction {
            Direction::Entry => folding.enter(scan),
            Direction::Exit => folding.leave(scan),
        };
        folding.folded.outcomes.push((scan.seen.scan_id, outcome));
    }
    folding.folded
}

/// How an entry comes in.
enum Way {
    /// By right; whether it adds a person, or is one who came back without having been seen to leave.
    ByRight(bool),
    /// A device let it in, and the ticket gives no right to it.
    WithoutRight,
    /// Not at all.
    Denied,
}

struct HistoryFold<'a> {
    allowance: &'a Allowance,
    folded: FoldedHistory,
    /// Whether somebody came in so far whom the server heard of only later.
    surprised: bool,
}

impl HistoryFold<'_> {
    fn enter(&mut self, scan: &PastScan) -> HistoryOutcome {
        let ledger = &self.folded.ledger;
        let allowed = ledger.allows_entry(self.allowance, scan.seen.at);
        let (way, outcome) = match scan.part {
            HistoryKind::Answered => self.answered(scan, allowed),
            HistoryKind::LetIn => (Way::WithoutRight, scan.outcome),
            HistoryKind::Forced => (Way::ByRight(true), self.forced(scan, allowed)),
            _ if allowed => {
                let readmission = ledger.admissions() >= u32::from(self.allowance.entry_limit);
                let reason = if readmission {
                    Reason::Readmitted
                } else {
                    Reason::Admitted
                };
                let adds = !readmission || ledger.readmission_adds_person(self.allowance.entry_limit);
                (Way::ByRight(adds), HistoryOutcome::plain(reason))
            }
            HistoryKind::Backed | HistoryKind::AskedBacked => (Way::ByRight(true), self.forced(scan, false)),
            HistoryKind::Asked => (Way::Denied, HistoryOutcome::plain(self.allowance.denial())),
            HistoryKind::Admitted => (
                Way::WithoutRight,
                self.lost(HistoryOutcome::plain(self.allowance.denial())),
            ),
        };
        let (ledger, movements) = (&mut self.folded.ledger, &mut self.folded.movements);
        match way {
            Way::ByRight(adds) => movements.extend(ledger.enter(scan.seen.clone(), adds, self.allowance)),
            Way::WithoutRight => {
                movements.push(ledger.admit_without_right(scan.seen.clone(), self.allowance))
            }
            Way::Denied => return outcome,
        }
        self.surprised |= scan.part != HistoryKind::Answered;
        outcome
    }

    /// What was answered at the gate stands as it was answered. It loses only against people of whom the server did
    /// not know: a change of the rules since makes nobody lose.
    fn answered(&self, scan: &PastScan, allowed: bool) -> (Way, HistoryOutcome) {
        let before = HistoryOutcome {
            conflict: None,
            winner: None,
            ..scan.outcome
        };
        match before.reason {
            Reason::Overridden => (Way::ByRight(true), before),
            _ if !allowed && self.surprised => (Way::WithoutRight, self.lost(before)),
            Reason::Readmitted => {
                let adds = self.folded.ledger.readmission_adds_person(scan.entry_limit);
                (Way::ByRight(adds), before)
            }
            _ => (Way::ByRight(true), before),
        }
    }

    /// An override; what a ticket's history gives as the reason that it overrode changes with the history.
    fn forced(&self, scan: &PastScan, allowed: bool) -> HistoryOutcome {
        let by_history = self.allowance.denial();
        let authenticated = scan
            .outcome
            .would_have_been
            .filter(|reason| reason.result() != by_history.result());
        HistoryOutcome {
            would_have_been: authenticated.or((!allowed).then_some(by_history)),
            ..HistoryOutcome::plain(Reason::Overridden)
        }
    }

    fn lost(&self, outcome: HistoryOutcome) -> HistoryOutcome {
        let winner = self.folded.ledger.blocking_admission(self.allowance);
        HistoryOutcome {
            conflict: winner.map(|_| ConflictKind::DoubleEntry),
            winner: winner.map(|seen| seen.scan_id),
            ..outcome
        }
    }

    fn leave(&mut self, scan: &PastScan) -> HistoryOutcome {
        let left = self.folded.ledger.leave(scan.seen.clone());
        let reason = if left.is_some() {
            Reason::Exited
        } else {
            Reason::NotInside
        };
        self.folded.movements.extend(left);
        match scan.part {
            HistoryKind::Asked | HistoryKind::AskedBacked => HistoryOutcome::plain(reason),
            _ => scan.outcome,
        }
    }
}

impl HistoryOutcome {
    /// A reason, and nothing else to say.
    const fn plain(reason: Reason) -> Self {
        Self {
            reason,
            would_have_been: None,
            conflict: None,
            winner: None,
        }
    }
}

/// The movements that turn what `before` counted into what `after` counts.
#[must_use]
pub fn movement_difference(before: &[Movement], after: &[Movement]) -> Vec<Movement> {
    let mut by_gate = BTreeMap::new();
    let signed = before
        .iter()
        .map(|movement| (movement, -1))
        .chain(after.iter().map(|movement| (movement, 1)));
    for (movement, sign) in signed {
        let (entries, exits): &mut (i64, i64) = by_gate.entry(movement.gate_id).or_default();
        *entries += sign * movement.entries;
        *exits += sign * movement.exits;
    }
    by_gate
        .into_iter()
        .filter(|(_, (entries, exits))| (*entries, *exits) != (0, 0))
        .map(|(gate_id, (entries, exits))| Movement {
            gate_id,
            entries,
            exits,
        })
        .collect()
}
