//! The rules of admission: pure functions from facts to decisions and changes.
//!
//! Invariants: this module reads no clock, no database and no random numbers; the server, every cache and the phone call
//! the same functions.

pub(crate) mod batch;
pub(crate) mod days;
pub(crate) mod decision;
mod event_state;
mod history;
mod in_time;
mod ledger;
mod policy;
pub mod signals;
pub mod vectors;
#[cfg(feature = "node")]
mod what_if;

pub use batch::{
    BatchFacts, BatchWrites, CountChange, DeskFacts, KnownScan, NewScan, PeopleCount, SessionFacts,
    build_answer, decide_batch, decide_dry_run,
};
pub use days::{Day, ScanDay};
pub use decision::{ScanContext, can_be_overridden, decide};
pub use event_state::check_event;
pub use history::{
    ConflictKind, FoldedHistory, HistoryKind, HistoryOutcome, PastScan, fold, movement_difference,
};
pub use in_time::{FormerRules, FormerValues, TicketRules};
pub use ledger::Allowance;
#[cfg(feature = "node")]
pub use what_if::{OtherSettings, RecordedScan, WhatIfEvent};
