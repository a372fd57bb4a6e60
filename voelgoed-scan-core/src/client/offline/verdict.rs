//! The verdict that the app shows. It has the same form whether the server or the phone decided.

use serde::{Deserialize, Serialize};

use crate::model::text::string_enum;
use crate::model::{
    ClassName, DeviceId, Direction, EventId, NamedGate, Note, Occupancy, Passage, Reason, ScanAnswer, ScanId,
    ScanResult, Seat, TicketCode, TicketId, TicketStatus, Timestamp, Warning,
};

string_enum! {
    /// Where a verdict was decided.
    pub enum VerdictSource {
        /// On the server.
        Server = "server",
        /// On the phone, without the server.
        Device = "device",
    }
}

/// The outcome of a scan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The scan attempt.
    pub scan_id: ScanId,
    /// The result, which decides the colour.
    pub result: ScanResult,
    /// The reason for the result.
    pub reason: Reason,
    /// Entry or exit.
    pub direction: Direction,
    /// The time of the decision, by the server's clock as far as the phone knows it.
    pub scanned_at: Timestamp,
    /// The event.
    pub event_id: EventId,
    /// The gate.
    pub gate: NamedGate,
    /// The ticket. `None` unless it belongs to this event.
    pub ticket: Option<VerdictTicket>,
    /// The previous scan of the ticket, for `duplicate` and `not_inside`.
    pub previous_scan: Option<VerdictPreviousScan>,
    /// The number of people inside. Only the server knows it.
    pub occupancy: Option<Occupancy>,
    /// Where the verdict was decided.
    pub decided_by: VerdictSource,
    /// Whether this is the earlier verdict of the same attempt or the same reading. It is then not a second scan.
    pub repeated: bool,
    /// What the steward should know in addition.
    pub warnings: Vec<Warning>,
    /// A short English sentence for the reason.
    pub message: String,
}

/// The ticket in a verdict, as far as the decider knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerdictTicket {
    /// The ticket's id. Only the server knows it.
    pub id: Option<TicketId>,
    /// The ticket code. `None` where the phone alone decided by a medium: the manifest has no codes.
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerdictPreviousScan {
    /// The scan's id. `None` if it is known only from the manifest.
    pub scan_id: Option<ScanId>,
    /// The time of the scan.
    pub scanned_at: Timestamp,
    /// The whole seconds between that scan and this one.
    pub seconds_ago: i64,
    /// The gate. `None` if the scan is known only from the manifest.
    pub gate: Option<NamedGate>,
    /// The device. `None` if the scan is known only from the manifest.
    pub device_name: Option<String>,
    /// Whether it was this device. The camera may then have read the same code twice.
    pub same_device: bool,
}

impl VerdictPreviousScan {
    /// Converts a passage of the phone's ledger. A passage that only the manifest counts has nil ids.
    pub(super) fn of(passage: &Passage, now: Timestamp, this_device: DeviceId) -> Self {
        let is_known = !passage.scan_id.as_uuid().is_nil();
        let has_gate = !passage.gate_id.as_uuid().is_nil();
        Self {
            scan_id: is_known.then_some(passage.scan_id),
            scanned_at: passage.at,
            seconds_ago: (now.millis_since(passage.at) / 1000).max(0),
            gate: has_gate.then(|| NamedGate {
                id: passage.gate_id,
                name: passage.gate_name.clone(),
            }),
            device_name: is_known.then(|| passage.device_name.clone()),
            same_device: is_known && passage.device_id == this_device,
        }
    }
}

impl Verdict {
    /// Converts the server's answer to the attempt `scan_id`.
    #[must_use]
    pub fn of_server(scan_id: ScanId, answer: ScanAnswer) -> Self {
        let ticket = answer.ticket.map(|ticket| VerdictTicket {
            id: Some(ticket.id),
            code: Some(ticket.code),
            status: ticket.status,
            ticket_class: ticket.ticket_class,
            seat: ticket.seat,
            entry_limit: ticket.entry_limit,
            scan_count: ticket.scan_count,
            note: ticket.note,
        });
        let previous_scan = answer.previous_scan.map(|previous| VerdictPreviousScan {
            scan_id: Some(previous.scan_id),
            scanned_at: previous.scanned_at,
            seconds_ago: previous.seconds_ago,
            gate: Some(previous.gate),
            device_name: Some(previous.device_name),
            same_device: previous.same_device,
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
            decided_by: VerdictSource::Server,
            repeated: false,
            warnings: answer.warnings,
            message: answer.message,
        }
    }
}
