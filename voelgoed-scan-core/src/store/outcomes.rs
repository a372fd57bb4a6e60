//! Inputs and results of writes, besides the types of the model. A write that a rule forbids returns a value, not an
//! error.

use std::time::Duration;

use crate::audit::Audit;
use crate::model::{
    ApiKeyId, DeviceId, ReasonText, ScanRecord, ScanSession, SessionId, TicketCode, TicketFacts, TicketId,
    TicketLine, Timestamp,
};
use crate::sync::{SyncResult, SyncWrites};

/// The result of creating, replacing or changing a row.
#[derive(Debug, Clone, PartialEq)]
pub enum PutOutcome<T> {
    /// The row is new.
    Created(T),
    /// The row existed and was replaced.
    Replaced(T),
    /// A rule forbids the write. The text says which one.
    Conflict(&'static str),
    /// The row, or the one that it belongs to, does not exist.
    Missing,
}

impl<T> PutOutcome<T> {
    /// The written row, if there is one.
    pub fn row(self) -> Option<T> {
        match self {
            Self::Created(row) | Self::Replaced(row) => Some(row),
            Self::Conflict(_) | Self::Missing => None,
        }
    }

    /// Maps the written row.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> PutOutcome<U> {
        match self {
            Self::Created(row) => PutOutcome::Created(change(row)),
            Self::Replaced(row) => PutOutcome::Replaced(change(row)),
            Self::Conflict(rule) => PutOutcome::Conflict(rule),
            Self::Missing => PutOutcome::Missing,
        }
    }
}

/// The result of deleting a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeleteOutcome {
    /// The row existed and is deleted.
    Deleted,
    /// A rule forbids it. The text says which one.
    Conflict(&'static str),
    /// The row does not exist.
    Missing,
}

/// The result of starting a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartOutcome {
    /// The session has started.
    Started(ScanSession),
    /// The device has this active session already.
    AlreadyActive(SessionId),
    /// The event or the gate does not exist.
    Missing,
    /// The device is not active.
    DeviceInactive,
    /// The gate is outside the device's scope.
    OutOfScope,
}

/// Which scans a caller may undo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UndoPermission {
    /// A device may undo its own scans, for a limited time after they were recorded.
    Device(DeviceId, Duration),
    /// An organization member with the role `staff` or above may undo every scan.
    Member,
}

/// The result of an undo.
#[derive(Debug, Clone, PartialEq)]
pub enum UndoOutcome {
    /// The scan is undone.
    Undone {
        /// The record, marked as undone.
        record: Box<ScanRecord>,
        /// The ticket after the undo.
        ticket: Option<Box<TicketFacts>>,
        /// Whether the scan had been undone before.
        again: bool,
    },
    /// The scan is not an open admission: it is a denial or an exit, or the person has left since.
    NotOpen,
    /// The caller may not undo this scan, or no longer.
    NotAllowed,
}

/// A line of an import with its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberedLine {
    /// The number of the line, from 1.
    pub number: u64,
    /// The content of the line.
    pub line: TicketLine,
}

/// The result of importing one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImportOutcome {
    /// The line created a ticket.
    Inserted(TicketCode, TicketId),
    /// The line changed a ticket.
    Updated(TicketCode, TicketId),
    /// The ticket was like the line already.
    Unchanged(TicketCode, TicketId),
    /// The line was not imported. The text says why.
    Rejected(String),
}

/// How many lines of an import had each outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ImportCounts {
    /// Lines that created a ticket.
    pub inserted: u64,
    /// Lines that changed a ticket.
    pub updated: u64,
    /// Lines that were like their ticket.
    pub unchanged: u64,
    /// Lines that were not imported.
    pub rejected: u64,
}

impl ImportCounts {
    /// Counts the outcomes of a chunk.
    pub fn add(&mut self, outcomes: &[ImportOutcome]) {
        for outcome in outcomes {
            *match outcome {
                ImportOutcome::Inserted(..) => &mut self.inserted,
                ImportOutcome::Updated(..) => &mut self.updated,
                ImportOutcome::Unchanged(..) => &mut self.unchanged,
                ImportOutcome::Rejected(_) => &mut self.rejected,
            } += 1;
        }
    }
}

/// The end of an import, which its last chunk writes to the audit log.
#[derive(Debug, Clone, Copy)]
pub struct ImportEnd<'a> {
    /// The counts of the chunks before.
    pub counts: ImportCounts,
    /// Who imports.
    pub audit: Audit<'a>,
}

/// The result of uploading offline scans.
#[derive(Debug)]
pub struct SyncOutcome {
    /// The result of each scan, in the order of the upload.
    pub results: Vec<SyncResult>,
    /// What was written.
    pub writes: SyncWrites,
}

/// Why and by whom a quarantined scan is accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acceptance {
    /// The reason.
    pub reason: ReasonText,
    /// The API key of the member.
    pub api_key_id: ApiKeyId,
    /// The time.
    pub at: Timestamp,
}

/// The result of accepting a quarantined scan.
#[derive(Debug)]
pub enum AcceptOutcome {
    /// The scan is on record.
    Accepted {
        /// Its record.
        record: Box<ScanRecord>,
        /// What was written; `None` if the scan had been accepted before.
        writes: Option<Box<SyncWrites>>,
    },
    /// The scan is on record and was never in quarantine.
    NotQuarantined,
    /// Its id is that of another recorded scan.
    IdOfAnotherScan,
    /// An earlier version stored it without what it holds.
    Unreadable,
}
