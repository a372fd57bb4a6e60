//! What does a ticket's whole history come to? Its scans, in the order of time, folded into a ledger; pure.
//!
//! The same scans give the same ledger and the same people at the gates, in whatever order they became known.

#[cfg(test)]
mod tests;

use crate::{Allowance, Direction, Ledger, Movement, Reason, Sighting};

/// A valid scan that was not undone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastScan {
    /// Where and when.
    pub seen: Sighting,
    /// Which way.
    pub direction: Direction,
    /// Why it was valid.
    pub reason: Reason,
    /// How many people the ticket was for then: a later change of that, or of the event's policy, moves nobody.
    pub entry_limit: u8,
}

/// Folds scans into a ledger and the people they moved. The allowance of today says only how much of the past the
/// ledger must keep.
#[must_use]
pub fn fold(mut scans: Vec<PastScan>, allowance: &Allowance) -> (Ledger, Vec<Movement>) {
    scans.sort_by_key(|scan| (scan.seen.at, scan.seen.scan_id));
    let mut ledger = Ledger::default();
    let mut movements = Vec::new();
    for scan in scans {
        match scan.direction {
            Direction::Exit => movements.extend(ledger.leave(scan.seen)),
            Direction::Entry => {
                let person_added =
                    scan.reason != Reason::Readmitted || ledger.readmission_adds_person(scan.entry_limit);
                movements.extend(ledger.enter(scan.seen, person_added, allowance));
            }
        }
    }
    (ledger, movements)
}

/// The movements that turn what `before` counted into what `after` counts.
#[must_use]
pub fn difference(before: &[Movement], after: &[Movement]) -> Vec<Movement> {
    let mut by_gate = std::collections::BTreeMap::new();
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
