//! Keys by which set-based statements find rows of an organization. They are bound as JSON, with ids as 32 hexadecimal
//! digits. The organization is a parameter of its own.

use serde::Serialize;
use uuid::Uuid;
use uuid::fmt::Simple;

use crate::model::{EventId, GateId, TicketCode, TicketId};
use crate::store::StoreError;
use crate::store::sql::bulk::{BulkRow, Column, column};

/// A row of an organization, by its id.
#[derive(Serialize, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct IdLookup {
    /// The id.
    k: Simple,
}

impl IdLookup {
    pub(crate) fn new(id: &Uuid) -> Self {
        Self { k: id.simple() }
    }
}

/// A gate of an organization, by its event and its id.
#[derive(Serialize, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct GateLookup {
    /// The event.
    e: Simple,
    /// The gate.
    g: Simple,
}

impl GateLookup {
    pub(crate) fn new(event: EventId, gate: GateId) -> Self {
        Self {
            e: event.as_uuid().simple(),
            g: gate.as_uuid().simple(),
        }
    }
}

/// A ticket of an organization, by its code, by its id, or by both. Without either it finds nothing.
#[derive(Serialize, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TicketLookup {
    /// The code.
    #[serde(skip_serializing_if = "Option::is_none")]
    c: Option<String>,
    /// The id.
    #[serde(skip_serializing_if = "Option::is_none")]
    i: Option<Simple>,
}

impl TicketLookup {
    /// Finds the ticket with this code and the ticket with this id, which may be two.
    pub(crate) fn by_code_and_id(code: Option<TicketCode>, id: Option<TicketId>) -> Self {
        Self {
            c: code.map(|code| code.to_string()),
            i: id.map(|id| id.as_uuid().simple()),
        }
    }

    /// Finds the ticket with this code, or, without a code, the ticket with this id.
    pub(crate) fn by_code_or_id(code: Option<TicketCode>, id: Option<TicketId>) -> Self {
        Self::by_code_and_id(code, id.filter(|_| code.is_none()))
    }

    pub(crate) fn by_code(code: TicketCode) -> Self {
        Self::by_code_and_id(Some(code), None)
    }

    pub(crate) fn by_id(id: TicketId) -> Self {
        Self::by_code_and_id(None, Some(id))
    }
}

impl BulkRow for TicketLookup {
    fn columns(rows: &[Self]) -> Vec<Column<'_>> {
        vec![
            column!(OptText, rows, row => row.c.as_deref()),
            column!(OptId, rows, row => row.i.map(Simple::into_uuid)),
        ]
    }
}

/// A value as JSON text.
pub(crate) fn json_text<T: Serialize + ?Sized>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Failed {
        reason: error.to_string(),
        source: Some(error.into()),
    })
}
