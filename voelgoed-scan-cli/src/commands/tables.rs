//! The table rows of the core's types.

use comfy_table::Cell;
use voelgoed_scan_core::model::{
    ApiKey, ClassName, Event, Gate, ScanRecord, ScanSession, Seat, SeatPart, SigningKey, TicketListing,
    Webhook, WebhookDelivery, hex,
};

use crate::output::{TableRow, status_cell};

pub(super) fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// A seat as text: block, row, number.
pub(super) fn seat(seat: &Seat) -> String {
    let parts: Vec<_> = [&seat.block, &seat.row, &seat.number]
        .into_iter()
        .flatten()
        .map(SeatPart::as_str)
        .collect();
    parts.join(" ")
}

impl TableRow for Event {
    const COLUMNS: &'static [&'static str] = &["ID", "NAME", "STATUS", "CAPACITY", "RE-ENTRY", "STARTS"];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::new(self.id),
            Cell::new(&self.name),
            status_cell(self.status),
            Cell::new(or_dash(self.capacity)),
            Cell::new(self.reentry),
            Cell::new(or_dash(self.starts_at)),
        ]
    }
}

impl TableRow for Gate {
    const COLUMNS: &'static [&'static str] = &["ID", "NAME", "STATUS", "CAPACITY", "CODE", "TICKET CLASSES"];

    fn cells(&self) -> Vec<Cell> {
        let classes = self.ticket_classes.as_ref().map_or_else(
            || "all".to_owned(),
            |classes| {
                classes
                    .iter()
                    .map(ClassName::as_str)
                    .collect::<Vec<_>>()
                    .join(", ")
            },
        );
        vec![
            Cell::new(self.id),
            Cell::new(&self.name),
            status_cell(self.status),
            Cell::new(or_dash(self.capacity)),
            Cell::new(or_dash(self.code.as_ref())),
            Cell::new(classes),
        ]
    }
}

impl TableRow for TicketListing {
    const COLUMNS: &'static [&'static str] = &[
        "CODE", "STATUS", "CLASS", "SEAT", "SCANS", "LIMIT", "HOLDER", "ORDER",
    ];

    fn cells(&self) -> Vec<Cell> {
        let ticket = &self.ticket;
        vec![
            Cell::new(ticket.code),
            status_cell(ticket.status),
            Cell::new(or_dash(ticket.ticket_class.as_ref())),
            Cell::new(or_dash(ticket.seat.as_ref().map(seat))),
            Cell::new(ticket.scan_count),
            Cell::new(ticket.entry_limit),
            Cell::new(or_dash(self.holder_name.as_ref())),
            Cell::new(or_dash(self.order_ref.as_ref())),
        ]
    }
}

impl TableRow for ApiKey {
    const COLUMNS: &'static [&'static str] = &["ID", "NAME", "ROLE", "MADE"];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::new(self.id),
            Cell::new(&self.name),
            Cell::new(self.role),
            Cell::new(self.inserted_at),
        ]
    }
}

impl TableRow for Webhook {
    const COLUMNS: &'static [&'static str] = &["ID", "STATUS", "REASON", "TYPES", "EVENTS", "URL"];

    fn cells(&self) -> Vec<Cell> {
        let events = self
            .event_ids
            .as_ref()
            .map_or_else(|| "all".to_owned(), |events| events.len().to_string());
        vec![
            Cell::new(self.id),
            status_cell(self.status),
            Cell::new(or_dash(self.disabled_reason)),
            Cell::new(self.types.as_slice().join(", ")),
            Cell::new(events),
            Cell::new(&self.url),
        ]
    }
}

impl TableRow for WebhookDelivery {
    const COLUMNS: &'static [&'static str] = &[
        "ID",
        "TYPE",
        "STATUS",
        "TRIES",
        "ANSWER",
        "ERROR",
        "MADE",
        "NEXT TRY",
        "DELIVERED",
    ];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::new(self.id),
            Cell::new(self.kind),
            status_cell(self.status),
            Cell::new(self.attempts),
            Cell::new(or_dash(self.last_status)),
            Cell::new(or_dash(self.last_error.as_ref())),
            Cell::new(self.inserted_at),
            Cell::new(or_dash(self.next_attempt_at)),
            Cell::new(or_dash(self.delivered_at)),
        ]
    }
}

impl TableRow for ScanSession {
    const COLUMNS: &'static [&'static str] = &[
        "ID", "STATUS", "SCANS", "STARTED", "ENDED", "DEVICE", "EVENT", "GATE",
    ];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::new(self.id),
            status_cell(self.status),
            Cell::new(self.scan_count),
            Cell::new(self.started_at),
            Cell::new(or_dash(self.ended_at)),
            Cell::new(self.device_id),
            Cell::new(self.event_id),
            Cell::new(self.gate_id),
        ]
    }
}

impl TableRow for SigningKey {
    const COLUMNS: &'static [&'static str] = &["FORMAT", "KID", "STATUS", "MADE", "PUBLIC KEY"];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::new(self.format),
            Cell::new(self.kid),
            status_cell(self.status),
            Cell::new(self.inserted_at),
            Cell::new(or_dash(self.public_key.map(|key| hex::encode(&key)))),
        ]
    }
}

impl TableRow for ScanRecord {
    const COLUMNS: &'static [&'static str] = &[
        "SCANNED", "RESULT", "REASON", "WAY", "TICKET", "EVENT", "GATE", "BY", "SCAN",
    ];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::new(self.scanned_at),
            status_cell(self.result),
            Cell::new(self.reason),
            Cell::new(self.direction),
            Cell::new(or_dash(self.ticket_code)),
            Cell::new(self.event_id),
            Cell::new(self.gate_id),
            Cell::new(self.decided_by),
            Cell::new(self.scan_id),
        ]
    }
}
