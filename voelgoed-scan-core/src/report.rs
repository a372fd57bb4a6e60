//! The report of an event: what was sold, who came, when and where they came in, whom the gates turned away, and what staff
//! changed by hand.
//!
//! Invariants: the sum of the arrivals is the entries of the occupancy, over all days; a figure never depends on the order in
//! which scans became known; lists are bounded, and `left_out` says how much of each is missing.

mod builder;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::{
    AuditActorKind, ClassName, DeviceId, EventId, EventStatus, GateId, Name, PlaceCount, Reason, ScanId,
    TicketCode, TimeZoneName, Timestamp,
};
use crate::sync::Conflict;

pub use builder::{ReportBuilder, ScanGroup, TicketGroup};

/// How many overrides, undos and conflicts a report lists at most, of each.
pub const MAX_LISTED: usize = 1_000;

/// The length of an interval of arrivals, in milliseconds.
pub const INTERVAL_MILLIS: i64 = 15 * 60_000;

/// The report of an event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EventReport {
    /// The event.
    pub event_id: EventId,
    /// Its display name.
    pub event_name: Name,
    /// Its status.
    pub event_status: EventStatus,
    /// The time zone in which people read its times.
    pub time_zone: TimeZoneName,
    /// When the report was made.
    pub generated_at: Timestamp,
    /// The tickets of all classes.
    pub tickets: TicketCounts,
    /// The tickets by class, in the order of the event's classes; those without a class are the last.
    pub classes: Vec<ClassAttendance>,
    /// The people inside. If the event is `daily`, those of the present day.
    pub occupancy: PlaceCount,
    /// The recorded scans.
    pub scans: ScanCounts,
    /// The entries by gate and quarter of an hour.
    pub arrivals: Arrivals,
    /// The denied scans by reason, the most frequent first.
    pub denials: Vec<ReasonCount>,
    /// The entries that staff forced, oldest first.
    pub overrides: Vec<ReportedOverride>,
    /// The admissions that were undone, oldest first.
    pub undos: Vec<ReportedUndo>,
    /// The conflicts of offline devices, newest first.
    pub conflicts: Vec<Conflict>,
    /// How many rows the lists leave out.
    pub left_out: LeftOut,
    /// The devices that scanned, in the order of their names.
    pub devices: Vec<DeviceActivity>,
}

/// Numbers of tickets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TicketCounts {
    /// The tickets, voided and refunded ones left out.
    pub sold: i64,
    /// The sold tickets that let at least one person in who was not undone.
    pub came: i64,
    /// The sold tickets that let nobody in.
    pub no_shows: i64,
    /// The voided tickets.
    pub voided: i64,
    /// The refunded tickets.
    pub refunded: i64,
}

/// The tickets of one class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ClassAttendance {
    /// The class; null for tickets without one.
    pub class: Option<ClassName>,
    /// The tickets, voided and refunded ones left out.
    pub sold: i64,
    /// The sold tickets that let at least one person in.
    pub came: i64,
    /// The sold tickets that let nobody in.
    pub no_shows: i64,
}

/// The recorded scans of an event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ScanCounts {
    /// All scans.
    pub recorded: i64,
    /// The people let in, undone ones left out.
    pub entries: i64,
    /// The valid exit scans.
    pub exits: i64,
    /// The denied scans.
    pub denials: i64,
    /// The forced entries, undone ones included.
    pub overrides: i64,
    /// The undone admissions.
    pub undos: i64,
    /// The scans that lost a conflict, and the scans in quarantine.
    pub conflicts: i64,
    /// The scans that devices decided offline and uploaded.
    pub uploaded: i64,
    /// The earliest scan.
    pub first_at: Option<Timestamp>,
    /// The latest scan.
    pub last_at: Option<Timestamp>,
}

/// The number of scans with one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReasonCount {
    /// The reason.
    pub reason: Reason,
    /// The number of scans.
    pub count: i64,
}

/// The entries of an event over time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Arrivals {
    /// The length of an interval.
    pub interval_minutes: i64,
    /// The entries at all gates.
    pub entries: i64,
    /// The interval with the most entries, the first of several; null before the first entry.
    pub peak: Option<Interval>,
    /// The gates, in the order of their names.
    pub gates: Vec<GateArrivals>,
}

/// The entries at one gate over time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GateArrivals {
    /// The gate.
    pub gate_id: GateId,
    /// Its display name.
    pub gate_name: Name,
    /// All entries.
    pub entries: i64,
    /// The interval with the most entries, the first of several; null before the first entry.
    pub peak: Option<Interval>,
    /// The intervals with entries, oldest first.
    pub intervals: Vec<Interval>,
}

/// The entries of one quarter of an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Interval {
    /// Its begin.
    pub from: Timestamp,
    /// The entries.
    pub entries: i64,
}

/// An entry that staff forced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReportedOverride {
    /// The scan.
    pub scan_id: ScanId,
    /// When.
    pub at: Timestamp,
    /// The gate.
    pub gate_id: GateId,
    /// The gate's name.
    pub gate_name: Option<String>,
    /// The ticket; null for the role viewer.
    pub ticket_code: Option<TicketCode>,
    /// The denial that it replaced.
    pub would_have_been: Option<Reason>,
    /// Why; null after the personal data of the event were deleted.
    pub reason: Option<String>,
    /// Who.
    pub by: ReportedActor,
    /// Whether the entry was undone.
    pub undone: bool,
}

/// An admission that was undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReportedUndo {
    /// The scan that was undone.
    pub scan_id: ScanId,
    /// When it was undone.
    pub at: Timestamp,
    /// When the person was admitted.
    pub scanned_at: Timestamp,
    /// The gate.
    pub gate_id: GateId,
    /// The gate's name.
    pub gate_name: Option<String>,
    /// The ticket; null for the role viewer.
    pub ticket_code: Option<TicketCode>,
    /// Why; null after the personal data of the event were deleted.
    pub reason: Option<String>,
    /// Who.
    pub by: ReportedActor,
}

/// Who forced an entry or undid an admission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReportedActor {
    /// A device or an API key.
    pub kind: AuditActorKind,
    /// Its id; null where it is not on record.
    pub id: Option<Uuid>,
    /// Its name; null where it is not on record.
    pub name: Option<String>,
}

/// How many rows the lists of a report leave out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LeftOut {
    /// Of `overrides`.
    pub overrides: i64,
    /// Of `undos`.
    pub undos: i64,
    /// Of `conflicts`.
    pub conflicts: i64,
}

/// What one device did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeviceActivity {
    /// The device; null for what staff checked in by hand without a device.
    pub device_id: Option<DeviceId>,
    /// Its display name.
    pub name: Option<String>,
    /// All scans.
    pub scans: i64,
    /// The people let in, undone ones left out.
    pub entries: i64,
    /// The valid exit scans.
    pub exits: i64,
    /// The denied scans.
    pub denials: i64,
    /// The forced entries.
    pub overrides: i64,
    /// The scans that it decided offline and uploaded.
    pub uploaded: i64,
    /// The earliest scan.
    pub first_at: Timestamp,
    /// The latest scan.
    pub last_at: Timestamp,
}
