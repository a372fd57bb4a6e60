//! The table rows of the core's types.

use comfy_table::Cell;
use voelgoed_scan_core::model::{ApiKey, Seat, SeatPart, SigningKey, Webhook, WebhookDelivery, hex};

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
