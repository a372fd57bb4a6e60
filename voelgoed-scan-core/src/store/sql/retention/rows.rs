//! The rows that the statements of retention read, and the bodies of webhook deliveries.

use serde::Serialize;
use serde_json::Value;
use uuid::fmt::Simple;

use crate::model::{AnswerSnapshot, Medium, ScanId, TicketId};
use crate::store::StoreError;
use crate::store::sql::bulk::{BulkRow, Column, column};
use crate::store::sql::lookup::json_text;

/// A ticket with the media that it keeps.
#[derive(Serialize)]
pub(super) struct ClearedTicketRow {
    i: Simple,
    media: Option<String>,
}

impl ClearedTicketRow {
    pub(super) fn new(ticket: TicketId, kept: &[Medium]) -> Result<Self, StoreError> {
        let media = (!kept.is_empty()).then(|| json_text(kept)).transpose()?;
        Ok(Self {
            i: ticket.as_uuid().simple(),
            media,
        })
    }
}

impl BulkRow for ClearedTicketRow {
    fn columns(rows: &[Self]) -> Vec<Column<'_>> {
        vec![
            column!(Id, rows, row => row.i.into_uuid()),
            column!(OptText, rows, row => row.media.as_deref()),
        ]
    }
}

/// A scan with what its retry is answered from.
#[derive(Serialize)]
pub(super) struct ClearedScanRow {
    k: Simple,
    shown: String,
}

impl ClearedScanRow {
    pub(super) fn new(scan: ScanId, shown: &AnswerSnapshot) -> Self {
        Self {
            k: scan.as_uuid().simple(),
            shown: shown.to_json(),
        }
    }
}

impl BulkRow for ClearedScanRow {
    fn columns(rows: &[Self]) -> Vec<Column<'_>> {
        vec![
            column!(Id, rows, row => row.k.into_uuid()),
            column!(Text, rows, row => row.shown.as_str()),
        ]
    }
}

/// The body of a delivery without what people wrote into the scan. `None` if there is nothing to clear.
pub(super) fn without_personal_data(body: &str) -> Option<String> {
    let mut body: Value = serde_json::from_str(body).ok()?;
    let record = body.get_mut("data")?.as_object_mut()?;
    let mut is_changed = false;
    let mut clear = |value: Option<&mut Value>| {
        if let Some(value) = value.filter(|value| !value.is_null()) {
            *value = Value::Null;
            is_changed = true;
        }
    };
    clear(record.get_mut("metadata"));
    for part in ["override", "undone"] {
        clear(record.get_mut(part).and_then(|part| part.get_mut("reason")));
    }
    is_changed.then(|| body.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_loses_what_people_wrote_and_nothing_else() {
        let body = r#"{"type":"scan.undone","data":{"scan_id":"s","metadata":{"a":1},"override":{"reason":"x"},"undone":{"at":"t","reason":"denied"},"reason":"admitted"}}"#;
        let cleared = without_personal_data(body).expect("something to clear");
        let value: Value = serde_json::from_str(&cleared).expect("JSON");
        assert_eq!(
            value,
            serde_json::json!({"type": "scan.undone", "data": {"scan_id": "s", "metadata": null,
                "override": {"reason": null}, "undone": {"at": "t", "reason": null}, "reason": "admitted"}})
        );
        assert_eq!(without_personal_data(&cleared), None);
        assert_eq!(without_personal_data(r#"{"data":{"override":null}}"#), None);
    }
}
