//! The rules of admission: pure functions from facts to decisions and writes.
//!
//! Invariants: nothing here reads a clock, a database or a random number; the server, every cache tier and the phone call
//! the same functions.

pub(crate) mod batch;
pub(crate) mod decision;
mod history;
mod ledger;

pub use batch::{
    BatchFacts, BatchWrites, CountChange, KnownScan, NewScan, SessionFacts, answer, decide_batch,
};
pub use decision::{ScanContext, can_be_overridden, decide};
pub use history::{
    ConflictKind, FoldedHistory, HistoryKind, HistoryOutcome, PastScan, fold, movement_difference,
};
pub use ledger::Allowance;
