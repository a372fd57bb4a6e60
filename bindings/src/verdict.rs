//! What does the steward see? The verdict of a scan, whoever reached it.

pub use voelgoed_scan_core::client::{SeenBefore, SeenTicket, Verdict};
pub use voelgoed_scan_core::model::{Headcount, NamedGate, Occupancy, Seat};
pub use voelgoed_scan_core::sync::{Conflict, NamedDevice};

use crate::{
    ClassName, ConflictKind, DeviceId, Direction, EventId, GateId, Note, Reason, ScanId, ScanResult,
    SeatPart, TicketCode, TicketId, TicketStatus, Timestamp, VerdictBy, Warning,
};

/// What a scan comes to.
#[uniffi::remote(Record)]
pub struct Verdict {
    /// The attempt.
    pub scan_id: ScanId,
    /// What the gate does.
    pub result: ScanResult,
    /// Why.
    pub reason: Reason,
    /// Which way the person goes.
    pub direction: Direction,
    /// When it was decided, by the server's clock as far as the phone knows it.
    pub scanned_at: Timestamp,
    /// The event.
    pub event_id: EventId,
    /// The gate.
    pub gate: NamedGate,
    /// The ticket; nothing unless it is this event's.
    pub ticket: Option<SeenTicket>,
    /// The scan before, on `duplicate` and `not_inside`.
    pub previous_scan: Option<SeenBefore>,
    /// People inside; known to the server alone.
    pub occupancy: Option<Occupancy>,
    /// Who reached it.
    pub decided_by: VerdictBy,
    /// Whether this repeats the verdict of the same attempt or of the same reading, and is no second scan.
    pub repeated: bool,
    /// What the steward should know beside the verdict.
    pub warnings: Vec<Warning>,
    /// The reason in words.
    pub message: String,
}

/// A ticket as far as the one who decided knows it.
#[uniffi::remote(Record)]
pub struct SeenTicket {
    /// The ticket; known to the server alone.
    pub id: Option<TicketId>,
    /// Its code.
    pub code: TicketCode,
    /// What became of it.
    pub status: TicketStatus,
    /// Its class.
    pub ticket_class: Option<ClassName>,
    /// Where its holder sits; known to the server alone.
    pub seat: Option<Seat>,
    /// How many people it admits.
    pub entry_limit: u8,
    /// How many admissions it has had.
    pub scan_count: u32,
    /// A note for the steward; known to the server alone.
    pub note: Option<Note>,
}

/// The scan that was there before, as far as the one who decided knows it.
#[uniffi::remote(Record)]
pub struct SeenBefore {
    /// The scan; nothing where only the manifest tells of it.
    pub scan_id: Option<ScanId>,
    /// When it was.
    pub scanned_at: Timestamp,
    /// How many whole seconds before this one.
    pub seconds_ago: i64,
    /// At which gate; nothing where only the manifest tells of it.
    pub gate: Option<NamedGate>,
    /// By which device; nothing where only the manifest tells of it.
    pub device_name: Option<String>,
    /// Whether that was this device: then a camera may have read twice.
    pub same_device: bool,
}

/// Where a holder sits.
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
    /// What it is called.
    pub name: String,
}

/// People inside: at the gate and at the whole event.
#[uniffi::remote(Record)]
pub struct Occupancy {
    /// At the gate: people who came in by it and are still inside.
    pub gate: Headcount,
    /// At the event: the sum of its gates.
    pub event: Headcount,
}

/// People inside and how many fit.
#[uniffi::remote(Record)]
pub struct Headcount {
    /// People inside.
    pub inside: i64,
    /// How many fit; nothing is no limit.
    pub capacity: Option<u32>,
}

/// A device by id and name.
#[uniffi::remote(Record)]
pub struct NamedDevice {
    /// The device.
    pub id: DeviceId,
    /// What it is called.
    pub name: String,
}

/// A scan that is at odds with the rules or with another scan.
///
/// The lists hold what belongs to the winner, where there is one, and then what belongs to the other.
#[uniffi::remote(Record)]
pub struct Conflict {
    /// What is at odds.
    pub kind: ConflictKind,
    /// The admission that came first; only a `double_entry` has one.
    pub winner_scan_id: Option<ScanId>,
    /// The scan that lost.
    pub other_scan_id: ScanId,
    /// The ticket; nothing where no signature says which.
    pub ticket_code: Option<TicketCode>,
    /// The gates.
    pub gates: Vec<NamedGate>,
    /// The devices.
    pub devices: Vec<NamedDevice>,
    /// The corrected times.
    pub times: Vec<Timestamp>,
}
