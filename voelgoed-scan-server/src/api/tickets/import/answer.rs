//! What an import answers: the counts, and with `return` a line for each ticket or each rejected line.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use voelgoed_scan_core::model::{ClassName, TicketCode, TicketId};

/// The maximum number of unknown fields in the response.
pub(super) const MAX_IGNORED_FIELDS: usize = 100;

/// The maximum number of rejected lines in the response.
pub(super) const MAX_ERRORS: usize = 1000;

/// A line that was rejected.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(super) struct RejectedLine {
    /// The number of the line, from 1.
    pub(super) line: u64,
    /// The reason.
    pub(super) message: Cow<'static, str>,
}

/// The result of an import.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub(super) struct ImportCounts {
    /// Whether this was a dry run, which changed nothing: the counts are what the import would have done.
    pub(super) dry_run: bool,
    /// The number of new tickets.
    pub(super) inserted: u64,
    /// The number of changed tickets.
    pub(super) updated: u64,
    /// The number of unchanged tickets.
    pub(super) unchanged: u64,
    /// The number of rejected lines.
    pub(super) rejected: u64,
    /// The first 1,000 rejected lines.
    pub(super) errors: Vec<RejectedLine>,
    /// The ticket classes that this import adds to the event, of which one may be misspelt.
    pub(super) new_classes: Vec<ClassName>,
    /// The first 100 names of fields that the server does not know and has ignored.
    pub(super) ignored_fields: Vec<String>,
    /// Only in a dry run: how many lines would change each field of an existing ticket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) updated_fields: Option<BTreeMap<String, u64>>,
}

/// A ticket that was imported.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ImportedTicket {
    /// The number of the line.
    pub(super) line: u64,
    /// The code of the ticket. In a dry run the code that the line names, else null.
    pub(super) code: Option<TicketCode>,
    /// The id of the ticket. In a dry run the id that the line names, else null.
    pub(super) id: Option<TicketId>,
}

/// A line of the response with `return`: a ticket, a rejected line, or the counts, which come last.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "describes the lines in JSON Schema")]
pub(super) enum AnswerLine {
    Ticket(ImportedTicket),
    Rejected(RejectedLine),
    Counts(ImportCounts),
}
