//! The verdict of a scan and its parts, and conflicts.

use std::fmt;

use voelgoed_scan_core as core;

pub use voelgoed_scan_core::client::VerdictPreviousScan;
pub use voelgoed_scan_core::model::{Headcount, NamedGate, Occupancy, Seat};
pub use voelgoed_scan_core::sync::NamedDevice;

use crate::text::shown_as_debug;
use crate::{
    ClassName, ConflictKind, DeviceId, Direction, EventId, GateId, Note, Reason, ScanId, ScanResult,
    ScanWarning, SeatPart, TicketCode, TicketId, TicketStatus, Timestamp, VerdictSource,
};

/// The outcome of a scan.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
#[uniffi::export(Debug, Display)]
pub struct Verdict {
    /// The scan attempt.
    pub scan_id: ScanId,
    /// The result, which decides the colour.
    pub result: ScanResult,
    /// The reason.
    pub reason: Reason,
    /// Entry or exit.
    pub direction: Direction,
    /// The time of the decision, by the server's clock as far as the phone knows it.
    pub scanned_at: Timestamp,
    /// The event.
    pub event_id: EventId,
    /// The gate.
    pub gate: NamedGate,
    /// The ticket. Absent unless it belongs to this event.
    pub ticket: Option<VerdictTicket>,
    /// The previous scan of the ticket, for `duplicate` and `not_inside`.
    pub previous_scan: Option<VerdictPreviousScan>,
    /// The number of people inside. Only the server knows it.
    pub occupancy: Option<Occupancy>,
    /// Where the verdict was decided.
    pub decided_by: VerdictSource,
    /// Whether this is the earlier verdict of the same attempt or the same reading. It is then not a second scan.
    pub repeated: bool,
    /// What the steward should know in addition to the verdict.
    pub warnings: Vec<ScanWarning>,
    /// A short text for the steward, in the language of the client.
    pub message: String,
}

/// The ticket in a verdict, as far as the decider knows it.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
#[uniffi::export(Debug, Display)]
pub struct VerdictTicket {
    /// The ticket's id. Only the server knows it.
    pub id: Option<TicketId>,
    /// The ticket code. Absent where the phone alone decided by a medium: the manifest has no codes.
    pub code: Option<TicketCode>,
    /// The status.
    pub status: TicketStatus,
    /// The ticket class.
    pub ticket_class: Option<ClassName>,
    /// The seat. Only the server knows it.
    pub seat: Option<Seat>,
    /// How many people the ticket admits.
    pub entry_limit: u8,
    /// The number of admissions, including this scan.
    pub scan_count: u32,
    /// A note for the steward. Only the server knows it.
    pub note: Option<Note>,
}

/// The previous scan of the ticket, as far as the decider knows it.
#[uniffi::remote(Record)]
pub struct VerdictPreviousScan {
    /// The scan's id. Absent if it is known only from the manifest.
    pub scan_id: Option<ScanId>,
    /// The time of the scan.
    pub scanned_at: Timestamp,
    /// The whole seconds between that scan and this one.
    pub seconds_ago: i64,
    /// The gate. Absent if the scan is known only from the manifest.
    pub gate: Option<NamedGate>,
    /// The device. Absent if the scan is known only from the manifest.
    pub device_name: Option<String>,
    /// Whether it was this device. The camera may then have read the same code twice.
    pub same_device: bool,
}

/// A seat.
#[uniffi::remote(Record)]
pub struct Seat {
    /// The block.
    pub block: Option<SeatPart>,
    /// The row.
    pub row: Option<SeatPart>,
    /// The number.
    pub number: Option<SeatPart>,
}

/// A gate by id and name.
#[uniffi::remote(Record)]
pub struct NamedGate {
    /// The gate.
    pub id: GateId,
    /// The display name.
    pub name: String,
}

/// The number of people inside, for the gate and for the event.
#[uniffi::remote(Record)]
pub struct Occupancy {
    /// People who entered through this gate and are still inside.
    pub gate: Headcount,
    /// People inside the event: the sum of all gates.
    pub event: Headcount,
}

/// The number of people inside and the capacity.
#[uniffi::remote(Record)]
pub struct Headcount {
    /// People inside.
    pub inside: i64,
    /// The capacity. Absent if there is no limit.
    pub capacity: Option<u32>,
}

/// A device by id and name.
#[uniffi::remote(Record)]
pub struct NamedDevice {
    /// The device.
    pub id: DeviceId,
    /// The display name.
    pub name: String,
}

/// A conflict: a scan that contradicts the rules or another scan.
///
/// The lists contain first what belongs to the winner, if there is one, and then what belongs to the other scan.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
#[uniffi::export(Debug, Display)]
pub struct Conflict {
    /// The kind of conflict.
    pub kind: ConflictKind,
    /// The admission that came first. Only a `double_entry` has one.
    pub winner_scan_id: Option<ScanId>,
    /// The scan that lost.
    pub other_scan_id: ScanId,
    /// The ticket. Absent if no valid signature identifies it.
    pub ticket_code: Option<TicketCode>,
    /// The gates.
    pub gates: Vec<NamedGate>,
    /// The devices.
    pub devices: Vec<NamedDevice>,
    /// The corrected times.
    pub times: Vec<Timestamp>,
}

// Each conversion names every field: a new field of the core does not compile until it is added here.
impl From<core::client::Verdict> for Verdict {
    fn from(verdict: core::client::Verdict) -> Self {
        let core::client::Verdict {
            scan_id,
            result,
            reason,
            direction,
            scanned_at,
            event_id,
            gate,
            ticket,
            previous_scan,
            occupancy,
            decided_by,
            repeated,
            warnings,
            message,
        } = verdict;
        Self {
            scan_id,
            result,
            reason,
            direction,
            scanned_at,
            event_id,
            gate,
            ticket: ticket.map(Into::into),
            previous_scan,
            occupancy,
            decided_by,
            repeated,
            warnings,
            message,
        }
    }
}

impl From<core::client::VerdictTicket> for VerdictTicket {
    fn from(ticket: core::client::VerdictTicket) -> Self {
        let core::client::VerdictTicket {
            id,
            code,
            status,
            ticket_class,
            seat,
            entry_limit,
            scan_count,
            note,
        } = ticket;
        Self {
            id,
            code,
            status,
            ticket_class,
            seat,
            entry_limit,
            scan_count,
            note,
        }
    }
}

impl From<core::sync::Conflict> for Conflict {
    fn from(conflict: core::sync::Conflict) -> Self {
        let core::sync::Conflict {
            kind,
            winner_scan_id,
            other_scan_id,
            ticket_code,
            gates,
            devices,
            times,
        } = conflict;
        Self {
            kind,
            winner_scan_id,
            other_scan_id,
            ticket_code,
            gates,
            devices,
            times,
        }
    }
}

/// Shows the verdict in one line, such as `valid: admitted, entry at Main, decided by device`.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {}, {} at {}, decided by {}",
            self.result, self.reason, self.direction, self.gate.name, self.decided_by
        )?;
        for warning in &self.warnings {
            write!(f, ", {warning}")?;
        }
        if self.repeated {
            f.write_str(", repeated")?;
        }
        Ok(())
    }
}

shown_as_debug!(VerdictTicket, Conflict);
