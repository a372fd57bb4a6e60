//! Undos that are still to come: an admission counts until the time at which it was undone. Then the ticket's passages since
//! before it are applied again without it.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use crate::model::{Ledger, Movement, Passage, Reason, ScanId, TicketCode, TicketFacts, Timestamp};
use crate::rules::Allowance;
use crate::rules::batch::apply_to_ticket;

/// A passage with its effect.
struct Step {
    reason: Reason,
    passage: Passage,
    allowance: Allowance,
    movements: Vec<Movement>,
}

/// The passages of a ticket since before its first admission that will be undone.
struct History {
    before: Ledger,
    steps: Vec<Step>,
    undos: usize,
}

/// The undos to come, by their times.
#[derive(Default)]
pub(super) struct PendingUndos {
    queue: BinaryHeap<Reverse<(Timestamp, ScanId, TicketCode)>>,
    histories: HashMap<TicketCode, History>,
}

impl PendingUndos {
    /// Expects the undo of an admission that is about to be applied to `ledger`.
    pub(super) fn expect(&mut self, at: Timestamp, scan: ScanId, code: TicketCode, ledger: &Ledger) {
        self.queue.push(Reverse((at, scan, code)));
        let history = self.histories.entry(code).or_insert_with(|| History {
            before: ledger.clone(),
            steps: Vec::new(),
            undos: 0,
        });
        history.undos += 1;
    }

    /// Notes a passage, if an undo of its ticket is to come.
    pub(super) fn note(
        &mut self,
        code: TicketCode,
        reason: Reason,
        passage: Passage,
        allowance: Allowance,
        movements: Vec<Movement>,
    ) {
        if let Some(history) = self.histories.get_mut(&code) {
            history.steps.push(Step {
                reason,
                passage,
                allowance,
                movements,
            });
        }
    }

    /// The next undo that was made up to a time.
    pub(super) fn next_until(&mut self, at: Timestamp) -> Option<(TicketCode, ScanId)> {
        let Reverse((undone_at, _, _)) = self.queue.peek()?;
        if *undone_at > at {
            return None;
        }
        self.queue.pop().map(|Reverse((_, scan, code))| (code, scan))
    }

    /// Takes an admission back. Returns the changes of occupancy. An admission that an exit ended stays.
    pub(super) fn undo(&mut self, code: TicketCode, scan: ScanId, ticket: &mut TicketFacts) -> Vec<Movement> {
        let Some(history) = self.histories.get_mut(&code) else {
            return Vec::new();
        };
        history.undos -= 1;
        let mut changes = Vec::new();
        if ticket.ledger.open_admission(scan).is_some() {
            ticket.ledger = history.before.clone();
            history.steps.retain_mut(|step| {
                changes.extend(step.movements.iter().map(reversed));
                if step.passage.scan_id == scan {
                    return false;
                }
                step.movements = apply_to_ticket(step.reason, step.passage.clone(), ticket, &step.allowance);
                changes.extend(step.movements.iter().copied());
                true
            });
            ticket.ticket.scan_count = ticket.ledger.admissions();
            ticket.ticket.status = ticket.ticket.status.after_admissions(ticket.ledger.admissions());
        }
        if history.undos == 0 {
            self.histories.remove(&code);
        }
        changes
    }
}

fn reversed(movement: &Movement) -> Movement {
    Movement {
        entries: -movement.entries,
        exits: -movement.exits,
        ..*movement
    }
}
