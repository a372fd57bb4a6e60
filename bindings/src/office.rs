//! What a steward asks the server for: events and gates to choose from, guests without their ticket, undo, the device's own
//! scans, occupancy.

use voelgoed_scan_core as core;

pub use voelgoed_scan_core::client::{ListedEvent, ListedGate, UndoneScan};
pub use voelgoed_scan_core::model::{EventStatus, GateStatus};

use crate::text::shown_as_debug;
use crate::{
    ClassName, Direction, EventId, GateCode, GateId, HolderName, Name, Note, OrderRef, Reason, ReasonText,
    ScanId, ScanResult, Seat, TicketCode, TicketStatus, Timestamp,
};

/// The status of an event.
#[uniffi::remote(Enum)]
pub enum EventStatus {
    /// It is in preparation.
    Draft,
    /// Its tickets are on sale.
    Published,
    /// Its gates admit people.
    Live,
    /// It is over.
    Ended,
    /// It does not take place.
    Cancelled,
    /// It takes place later.
    Postponed,
    /// It is archived.
    Archived,
}

/// The status of a gate.
#[uniffi::remote(Enum)]
pub enum GateStatus {
    /// It admits people.
    Open,
    /// It admits nobody.
    Closed,
}

/// An event to choose from.
#[uniffi::remote(Record)]
pub struct ListedEvent {
    /// The event.
    pub id: EventId,
    /// Its display name.
    pub name: Name,
    /// Its status. Absent if the server has a status that this version does not know.
    pub status: Option<EventStatus>,
    /// Its start, for information only.
    pub starts_at: Option<Timestamp>,
    /// Its end, for information only.
    pub ends_at: Option<Timestamp>,
    /// When its doors open. Absent if there is no bound.
    pub doors_open_at: Option<Timestamp>,
    /// When its doors close. Absent if there is no bound.
    pub doors_close_at: Option<Timestamp>,
    /// The new start of a postponed event. Absent while it is not known.
    pub rescheduled_at: Option<Timestamp>,
    /// Whether this phone has the event's manifest, so that it can scan there without a network.
    pub has_manifest: bool,
}

/// A gate to choose from.
#[uniffi::remote(Record)]
pub struct ListedGate {
    /// The gate.
    pub id: GateId,
    /// Its display name.
    pub name: Name,
    /// A short code for plans and signs.
    pub code: Option<GateCode>,
    /// Whether it admits people. Absent if the server has a status that this version does not know.
    pub status: Option<GateStatus>,
    /// The maximum number of people inside who entered here. Absent if there is no limit.
    pub capacity: Option<u32>,
    /// The ticket classes that it admits. Absent if it admits all.
    pub ticket_classes: Option<Vec<ClassName>>,
}

/// An admission that was taken back.
#[uniffi::remote(Record)]
pub struct UndoneScan {
    /// The scan.
    pub scan_id: ScanId,
    /// When it was undone, by the server's clock.
    pub at: Timestamp,
    /// The reason. If the scan had been undone before, the first reason.
    pub reason: ReasonText,
}

/// A ticket that a search found. Scan it with its code as a typed ticket code. Its text shows no personal data.
#[derive(Clone, PartialEq, Eq, uniffi::Record)]
#[uniffi::export(Debug, Display)]
pub struct FoundTicket {
    /// The ticket code.
    pub code: TicketCode,
    /// The status. Absent if the server has a status that this version does not know.
    pub status: Option<TicketStatus>,
    /// The ticket class.
    pub ticket_class: Option<ClassName>,
    /// The gates that admit the ticket. Absent if all do.
    pub gate_ids: Option<Vec<GateId>>,
    /// The seat.
    pub seat: Option<Seat>,
    /// The first moment at which the ticket admits.
    pub valid_from: Option<Timestamp>,
    /// The last moment at which the ticket admits.
    pub valid_until: Option<Timestamp>,
    /// How many people the ticket admits.
    pub entry_limit: u8,
    /// The number of admissions.
    pub scan_count: u32,
    /// A note for the steward.
    pub note: Option<Note>,
    /// The holder's name. Personal data: do not store or log it.
    pub holder_name: Option<HolderName>,
    /// The reference of the order.
    pub order_ref: Option<OrderRef>,
}

impl std::fmt::Debug for FoundTicket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FoundTicket")
            .field("code", &self.code)
            .field("status", &self.status)
            .field("ticket_class", &self.ticket_class)
            .finish_non_exhaustive()
    }
}

/// A page of a search.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
#[uniffi::export(Debug, Display)]
pub struct TicketSearch {
    /// The tickets.
    pub tickets: Vec<FoundTicket>,
    /// What to pass for the next page. Absent on the last one.
    pub next_cursor: Option<String>,
}

shown_as_debug!(FoundTicket, TicketSearch);

impl From<core::client::FoundTicket> for FoundTicket {
    fn from(ticket: core::client::FoundTicket) -> Self {
        let core::client::FoundTicket {
            code,
            status,
            ticket_class,
            gate_ids,
            seat,
            valid_from,
            valid_until,
            entry_limit,
            scan_count,
            note,
            holder_name,
            order_ref,
        } = ticket;
        Self {
            code,
            status,
            ticket_class,
            gate_ids,
            seat,
            valid_from,
            valid_until,
            entry_limit,
            scan_count,
            note,
            holder_name,
            order_ref,
        }
    }
}

impl From<core::client::TicketSearch> for TicketSearch {
    fn from(search: core::client::TicketSearch) -> Self {
        let core::client::TicketSearch { tickets, next_cursor } = search;
        Self {
            tickets: tickets.into_iter().map(Into::into).collect(),
            next_cursor,
        }
    }
}

/// A scan of this device. Its text shows of the code the first four characters.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
#[uniffi::export(Debug, Display)]
pub struct ListedScan {
    /// The scan.
    pub scan_id: ScanId,
    /// Its event.
    pub event_id: EventId,
    /// Its gate.
    pub gate_id: GateId,
    /// The gate's display name. Absent if this phone does not have the event's manifest.
    pub gate_name: Option<String>,
    /// The ticket's code. Absent without a valid signature. The phone's own records have it only for scans that the phone
    /// decided.
    pub ticket_code: Option<TicketCode>,
    /// The direction.
    pub direction: Direction,
    /// The present result. Absent if the server has a word that this version does not know.
    pub result: Option<ScanResult>,
    /// The present reason. Absent if the server has a word that this version does not know.
    pub reason: Option<Reason>,
    /// When it was decided, by the server's clock.
    pub scanned_at: Timestamp,
    /// Whether the admission was undone.
    pub undone: bool,
    /// Whether the scan waits for upload.
    pub is_waiting: bool,
}

/// A page of the scans of this device.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
#[uniffi::export(Debug, Display)]
pub struct OwnScans {
    /// The scans, newest first.
    pub scans: Vec<ListedScan>,
    /// What to pass for the next page. Absent on the last one.
    pub next_cursor: Option<String>,
    /// Whether the server listed them. Otherwise they are what this phone has recorded itself.
    pub from_server: bool,
}

shown_as_debug!(ListedScan, OwnScans);

impl From<core::client::ListedScan> for ListedScan {
    fn from(scan: core::client::ListedScan) -> Self {
        let core::client::ListedScan {
            scan_id,
            event_id,
            gate_id,
            gate_name,
            ticket_code,
            direction,
            result,
            reason,
            scanned_at,
            undone,
            is_waiting,
        } = scan;
        Self {
            scan_id,
            event_id,
            gate_id,
            gate_name,
            ticket_code,
            direction,
            result,
            reason,
            scanned_at,
            undone,
            is_waiting,
        }
    }
}

impl From<core::client::OwnScans> for OwnScans {
    fn from(page: core::client::OwnScans) -> Self {
        let core::client::OwnScans {
            scans,
            next_cursor,
            from_server,
        } = page;
        Self {
            scans: scans.into_iter().map(Into::into).collect(),
            next_cursor,
            from_server,
        }
    }
}

/// The counters of an event or a gate.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct PlaceCount {
    /// People inside: entries minus exits.
    pub inside: i64,
    /// Admissions that were not undone.
    pub entries: i64,
    /// Exits by an exit scan or inferred from a readmission.
    pub exits: i64,
    /// The capacity. Absent if there is no limit.
    pub capacity: Option<u32>,
}

/// The counters of one gate.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct GateCount {
    /// The gate.
    pub id: GateId,
    /// Its display name.
    pub name: Name,
    /// Its counters.
    pub count: PlaceCount,
}

/// The number of recorded scans by result.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct ResultCounts {
    /// Admissions and exits.
    pub valid: i64,
    /// Scans of used tickets.
    pub duplicate: i64,
    /// Payloads that are no valid ticket.
    pub invalid_token: i64,
    /// Tickets of other events.
    pub wrong_event: i64,
    /// Tickets that the gate does not admit.
    pub wrong_gate: i64,
    /// Scans that the event, the gate or the ticket refused.
    pub refused: i64,
}

/// The counters of the session's event and of its gates.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct EventOccupancy {
    /// The whole event.
    pub event: PlaceCount,
    /// The gates, ordered by name.
    pub gates: Vec<GateCount>,
    /// The number of recorded scans by result.
    pub results: ResultCounts,
    /// The number of scans decided in the last minute.
    pub scans_per_minute: i64,
}

impl From<core::model::PlaceCount> for PlaceCount {
    fn from(count: core::model::PlaceCount) -> Self {
        let core::model::PlaceCount {
            inside,
            entries,
            exits,
            capacity,
        } = count;
        Self {
            inside,
            entries,
            exits,
            capacity,
        }
    }
}

impl From<core::model::EventOccupancy> for EventOccupancy {
    fn from(occupancy: core::model::EventOccupancy) -> Self {
        let core::model::EventOccupancy {
            event,
            gates,
            results,
            scans_per_minute,
        } = occupancy;
        let core::model::ResultCounts {
            valid,
            duplicate,
            invalid_token,
            wrong_event,
            wrong_gate,
            refused,
        } = results;
        let gates = gates
            .into_iter()
            .map(|core::model::GateCount { id, name, count }| GateCount {
                id,
                name,
                count: count.into(),
            });
        Self {
            event: event.into(),
            gates: gates.collect(),
            results: ResultCounts {
                valid,
                duplicate,
                invalid_token,
                wrong_event,
                wrong_gate,
                refused,
            },
            scans_per_minute,
        }
    }
}
