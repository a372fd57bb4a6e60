//! The rules of admission: pure functions from facts to decisions and writes.
//!
//! Invariants: nothing here reads a clock, a database or a random number; the server, every cache tier and the phone call
//! the same functions.

pub(crate) mod batch;
pub(crate) mod decision;
mod history;
mod ledger;

pub use batch::{CountChange, Facts, KnownScan, NewScan, SessionFacts, Writes, answer, judge};
pub use decision::{ScanContext, can_be_overridden, decide};
pub use history::{ConflictKind, Folded, HistoryKind, HistoryOutcome, PastScan, difference, fold};
pub use ledger::Allowance;
