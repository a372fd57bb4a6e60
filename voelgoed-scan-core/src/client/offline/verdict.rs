//! What does the steward see? The same verdict, whether the server or the phone reached it.

use serde::{Deserialize, Serialize};

use crate::model::text::string_enum;
use crate::model::{
    ClassName, Direction, EventId, NamedGate, Note, Occupancy, Passage, Reason, ScanAnswer, ScanId,
    ScanResult, Seat, TicketCode, TicketId, TicketStatus, Timestamp, Warning,
};

string_enum! {
    /// Who reached a verdict.
    pub enum VerdictBy {
        /// The server.
        Server = "server",
        /// The phone, alone.
        Device = "device",
    }
}

/// What a scan comes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    /// The ticket; `None` unless it is this event's.
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenBefore {
    /// The scan; `None` where only the manifest tells of it.
    pub scan_id: Option<ScanId>,
    /// When it was.
    pub scanned_at: Timestamp,
    /// How many whole seconds before this one.
    pub seconds_ago: i64,
    /// At which gate; `None` where only the manifest tells of it.
    pub gate: Option<NamedGate>,
    /// By which device; `None` where only the manifest tells of it.
    pub device_name: Option<String>,
    /// Whether that was this device: then a camera may have read twice.
    pub same_device: bool,
}

impl SeenBefore {
    /// A sighting as a phone knows it. A scan that only the manifest tells of has no id.
    pub(super) fn of(seen: &Passage, now: Timestamp) -> Self {
        let here = !seen.scan_id.as_uuid().is_nil();
        Self {
            scan_id: here.then_some(seen.scan_id),
            scanned_at: seen.at,
            seconds_ago: (now.millis_since(seen.at) / 1000).max(0),
            gate: here.then(|| NamedGate {
                id: seen.gate_id,
                name: seen.gate_name.clone(),
            }),
            device_name: here.then(|| seen.device_name.clone()),
            same_device: here,
        }
    }
}

impl Verdict {
    /// A server's answer to the attempt `scan_id`.
    #[must_use]
    pub fn of_server(scan_id: ScanId, answer: ScanAnswer) -> Self {
        let ticket = answer.ticket.map(|ticket| SeenTicket {
            id: Some(ticket.id),
            code: ticket.code,
            status: ticket.status,
            ticket_class: ticket.ticket_class,
            seat: ticket.seat,
            entry_limit: ticket.entry_limit,
            scan_count: ticket.scan_count,
            note: ticket.note,
        });
        let previous_scan = answer.previous_scan.map(|seen| SeenBefore {
            scan_id: Some(seen.scan_id),
            scanned_at: seen.scanned_at,
            seconds_ago: seen.seconds_ago,
            gate: Some(seen.gate),
            device_name: Some(seen.device_name),
            same_device: seen.same_device,
        });
        Self {
            scan_id,
            result: answer.result,
            reason: answer.reason,
            direction: answer.direction,
            scanned_at: answer.scanned_at,
            event_id: answer.event_id,
            gate: answer.gate,
            ticket,
            previous_scan,
            occupancy: Some(answer.occupancy),
            decided_by: VerdictBy::Server,
            repeated: false,
            warnings: answer.warnings,
            message: answer.message,
        }
    }
}
