//! The chain of the audit log: how entries are hashed and signed, and how a copy of the log is verified.
//!
//! Each entry has the hash of the one before, so that no entry can be changed, left out or put in without a break. The
//! organization's manifest key signs each hash, so that nobody without the master secret can make another chain.

mod chain;
mod verify;

pub use chain::{Audit, AuditHead, AuditSigner, AuditedChange, ChainedEntry, InvalidAuditHead, next_entry};
pub use verify::{AuditFault, verify_lines};
