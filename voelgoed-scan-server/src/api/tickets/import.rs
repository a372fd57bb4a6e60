//! The import of tickets: a stream of lines, committed in chunks.
//!
//! Invariants: an invalid line does not stop the import; memory holds at most two chunks of lines and [`MAX_ERRORS`]
//! errors, whatever the length of the stream; an import that breaks off leaves complete chunks and may be repeated.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use hyper::body::Frame;
use schemars::{JsonSchema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use voelgoed_scan_core::model::{
    ClassName, Event, EventId, GateId, HolderName, ImportStatus, Note, OrderRef, OrganizationId, Seat,
    TicketCode, TicketId, TicketLine, Timestamp,
};
use voelgoed_scan_core::store::{ImportOutcome, NumberedLine};

use super::TICKETS_PATH;
use crate::api::NDJSON;
use crate::auth::Permission;
use crate::body::{Line, Lines};
use crate::json::SchemaValidator;
use crate::problem::Code;
use crate::query::Query;
use crate::request::Request;
use crate::resource::Resource;
use crate::response::{self, StreamAborted};
use crate::route::{HandlerResult, RequestError, Route};
use crate::state::ServerState;

/// The maximum number of lines that are committed at once.
const MAX_CHUNK_LINES: usize = 3000;

/// The number of bytes after which a chunk is committed, if it has fewer lines.
const MAX_CHUNK_BYTES: usize = 1024 * 1024;

/// The maximum number of unknown fields in the response, and the maximum number of characters of each.
const MAX_UNKNOWN_FIELDS: usize = 100;
const MAX_FIELD_NAME: usize = 64;

/// The fields of a line, and those that an exported ticket has besides.
const KNOWN_FIELDS: [&str; 18] = [
    "code",
    "id",
    "status",
    "ticket_class",
    "gate_ids",
    "seat",
    "valid_from",
    "valid_until",
    "entry_limit",
    "note",
    "holder_name",
    "order_ref",
    "organization_id",
    "event_id",
    "scan_count",
    "inserted_at",
    "updated_at",
    "media",
];

/// The number of bytes of lines that are parsed before other tasks get their turn.
const BYTES_PER_TURN: usize = 64 * 1024;

/// What a text file may start with; it is not part of the first line.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The maximum number of rejected lines in the response.
const MAX_ERRORS: usize = 1000;

/// A ticket, one line of an import. An absent field keeps the current value, null clears it.
#[derive(Debug, Deserialize, JsonSchema)]
#[expect(dead_code, reason = "describes the fields of TicketLine in JSON Schema")]
#[schemars(rename = "TicketLine")]
struct LineSchema {
    /// The code; generated if absent.
    #[serde(default)]
    code: Option<TicketCode>,
    /// The id of the ticket; generated if absent.
    #[serde(default)]
    id: Option<TicketId>,
    /// The status; a new ticket is `active`. `scanned`, as exported lists have it, keeps the status of the ticket.
    #[serde(default)]
    status: Option<ImportStatus>,
    /// The ticket class; an unknown one is added to the event's list.
    #[serde(default)]
    ticket_class: Option<ClassName>,
    /// The gates at which the ticket is valid; null for all.
    #[serde(default)]
    gate_ids: Option<Vec<GateId>>,
    /// The seat of the holder.
    #[serde(default)]
    seat: Option<Seat>,
    /// The ticket admits from this time on.
    #[serde(default)]
    valid_from: Option<Timestamp>,
    /// The ticket admits until this time.
    #[serde(default)]
    valid_until: Option<Timestamp>,
    /// How many people the ticket admits; a new ticket admits one.
    #[serde(default)]
    #[schemars(range(min = 1, max = 255))]
    entry_limit: Option<u8>,
    /// A note for the steward.
    #[serde(default)]
    note: Option<Note>,
    /// The name of the holder. Personal data: only the ticket search shows it.
    #[serde(default)]
    holder_name: Option<HolderName>,
    /// The order of the ticket.
    #[serde(default)]
    order_ref: Option<OrderRef>,
}

/// The options of an import.
#[derive(Debug, Deserialize, JsonSchema)]
struct ImportParams {
    /// `codes` streams the code and the id of every ticket, and the counts last.
    #[serde(default, rename = "return")]
    detail: Option<ImportDetail>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum ImportDetail {
    Codes,
}

impl Query for ImportParams {}

/// A line that was rejected.
#[derive(Debug, Clone, Serialize, JsonSchema)]
struct RejectedLine {
    /// The number of the line, from 1.
    line: u64,
    /// The reason.
    message: Cow<'static, str>,
}

/// The result of an import.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
struct ImportCounts {
    /// The number of new tickets.
    inserted: u64,
    /// The number of changed tickets.
    updated: u64,
    /// The number of unchanged tickets.
    unchanged: u64,
    /// The number of rejected lines.
    rejected: u64,
    /// The first 1,000 rejected lines.
    errors: Vec<RejectedLine>,
    /// The ticket classes that this import added to the event, of which one may be misspelt.
    new_ticket_classes: Vec<ClassName>,
    /// The first 100 names of fields that the server does not know and has ignored.
    unknown_fields: Vec<String>,
}

/// A ticket that was imported.
#[derive(Debug, Serialize, JsonSchema)]
struct ImportedTicket {
    /// The number of the line.
    line: u64,
    /// The code of the ticket.
    code: TicketCode,
    /// The id of the ticket.
    id: TicketId,
}

/// `POST /api/v1/events/{id}/tickets`
pub(crate) fn import() -> Route {
    Route::post(
        TICKETS_PATH,
        "importTickets",
        "Imports tickets, one per line: new codes are inserted, known codes are updated. A line has at most 16 KiB. An \
         invalid line is rejected and does not stop the import. An import may be repeated safely.",
    )
    .ndjson_body::<LineSchema, ImportParams>()
    .responds_with(
        "The counts; with return=codes preceded by one line per ticket.",
        vec![
            ("application/json", Some(SchemaGenerator::subschema_for::<ImportCounts>)),
            (NDJSON, Some(SchemaGenerator::subschema_for::<ImportedTicket>)),
        ],
    )
    .resource(|request| Ok(Resource::Event(request.event_id()?)))
    .authenticated(Permission::Admin, run_import)
}

async fn run_import(request: Request<Lines<LineSchema>, ImportParams>) -> HandlerResult {
    let detail = request.query.detail;
    let event = match existing_event(&request).await {
        Ok(event) => event,
        Err(error) => {
            request.body.discard_rest().await;
            return Err(error);
        }
    };
    let organization = request.organization();
    let Request { state, body, .. } = request;
    let mut import = Import {
        state,
        organization,
        event: event.id,
        classes: event.ticket_classes,
        reader: LineReader {
            body,
            validator: SchemaValidator::default(),
            line: 0,
            ended: false,
        },
        next_chunk: Chunk::default(),
        ended: false,
        counts: ImportCounts::default(),
    };
    match detail {
        None => {
            while import.import_chunk(&mut |_| {}).await? {}
            Ok(response::ok(&import.counts))
        }
        Some(ImportDetail::Codes) => Ok(response::stream(
            NDJSON,
            stream::try_unfold(import, |mut import| async move {
                if import.ended {
                    return Ok(None);
                }
                // A client that stops reading must not interrupt a chunk between its commit and its publication.
                let state = Arc::clone(&import.state);
                let chunk = async move {
                    let lines = import.import_chunk_as_lines().await;
                    lines.map(|lines| Some((Frame::data(lines), import)))
                };
                let chunk = state.changes.complete("importTickets", "", chunk).await;
                chunk.map_err(|_| StreamAborted)
            }),
        )),
    }
}

async fn existing_event(request: &Request<Lines<LineSchema>, ImportParams>) -> Result<Event, RequestError> {
    let event = request.event_id()?;
    match request.store().event(request.organization(), event).await? {
        Some(event) => Ok(event),
        None => Err(Code::NotFound.into()),
    }
}

/// Lines that are committed together, and the rejected lines between them.
#[derive(Default)]
struct Chunk {
    lines: Vec<NumberedLine>,
    rejected: Vec<RejectedLine>,
    /// The unknown fields of the lines, each once.
    unknown_fields: Vec<String>,
}

impl Chunk {
    fn note_unknown_fields(&mut self, line: &[u8]) {
        let Ok(FieldNames(names)) = serde_json::from_slice(line) else {
            return;
        };
        for name in names {
            let name: String = name.chars().take(MAX_FIELD_NAME).collect();
            if self.unknown_fields.len() < MAX_UNKNOWN_FIELDS && !self.unknown_fields.contains(&name) {
                self.unknown_fields.push(name);
            }
        }
    }

    fn reject(&mut self, line: u64, message: impl Into<Cow<'static, str>>) {
        let message = message.into();
        self.rejected.push(RejectedLine { line, message });
    }
}

/// Reads the lines of an import.
struct LineReader {
    body: Lines<LineSchema>,
    validator: SchemaValidator,
    /// The number of the last line read.
    line: u64,
    ended: bool,
}

impl LineReader {
    async fn read_chunk(&mut self) -> Result<Chunk, RequestError> {
        let mut chunk = Chunk::default();
        let mut bytes = 0;
        let mut turn = 0;
        while chunk.lines.len() + chunk.rejected.len() < MAX_CHUNK_LINES
            && bytes < MAX_CHUNK_BYTES
            && !self.ended
        {
            let Some(line) = self.body.next().await? else {
                self.ended = true;
                break;
            };
            self.line += 1;
            if let Line::Text(text) = &line {
                turn += text.len();
            }
            if turn > BYTES_PER_TURN {
                turn = 0;
                tokio::task::yield_now().await;
            }
            let is_first = self.line == 1;
            match line {
                Line::TooLong => chunk.reject(self.line, "is longer than 16 KiB"),
                Line::Text(text) if line_text(&text, is_first).is_empty() => {}
                Line::Text(text) => match parse_line(&self.validator, line_text(&text, is_first)) {
                    Ok(line) => {
                        bytes += text.len();
                        chunk.note_unknown_fields(line_text(&text, is_first));
                        chunk.lines.push(NumberedLine {
                            number: self.line,
                            line,
                        });
                    }
                    Err(message) => chunk.reject(self.line, message),
                },
            }
        }
        Ok(chunk)
    }
}

/// An import in progress. The next chunk is read while the database commits the current one.
struct Import {
    state: Arc<ServerState>,
    organization: OrganizationId,
    event: EventId,
    reader: LineReader,
    /// The ticket classes of the event before the import.
    classes: Vec<ClassName>,
    /// The chunk to commit next.
    next_chunk: Chunk,
    counts: ImportCounts,
    ended: bool,
}

impl Import {
    /// Commits a chunk and reads the next one. Returns whether the import continues.
    async fn import_chunk(
        &mut self,
        on_imported: &mut (dyn FnMut(ImportedTicket) + Send),
    ) -> Result<bool, RequestError> {
        let chunk = std::mem::take(&mut self.next_chunk);
        let (outcomes, next) = tokio::join!(
            commit(&self.state, self.organization, self.event, &chunk.lines),
            self.reader.read_chunk()
        );
        self.count(chunk, outcomes?, on_imported);
        self.next_chunk = next?;
        self.ended =
            self.reader.ended && self.next_chunk.lines.is_empty() && self.next_chunk.rejected.is_empty();
        if self.ended && self.counts.inserted + self.counts.updated > 0 {
            let store = self.state.scanner.store();
            let event = store.event(self.organization, self.event).await?;
            self.counts.new_ticket_classes = event
                .map(|event| event.ticket_classes)
                .unwrap_or_default()
                .into_iter()
                .filter(|class| !self.classes.contains(class))
                .collect();
        }
        Ok(!self.ended)
    }

    fn count(
        &mut self,
        chunk: Chunk,
        outcomes: Vec<ImportOutcome>,
        on_imported: &mut (dyn FnMut(ImportedTicket) + Send),
    ) {
        let Chunk {
            lines,
            mut rejected,
            unknown_fields,
        } = chunk;
        for name in unknown_fields {
            if self.counts.unknown_fields.len() < MAX_UNKNOWN_FIELDS
                && !self.counts.unknown_fields.contains(&name)
            {
                self.counts.unknown_fields.push(name);
            }
        }
        for (NumberedLine { number: line, .. }, outcome) in lines.into_iter().zip(outcomes) {
            let (count, code, id) = match outcome {
                ImportOutcome::Inserted(code, id) => (&mut self.counts.inserted, code, id),
                ImportOutcome::Updated(code, id) => (&mut self.counts.updated, code, id),
                ImportOutcome::Unchanged(code, id) => (&mut self.counts.unchanged, code, id),
                ImportOutcome::Rejected(message) => {
                    let message = message.into();
                    rejected.push(RejectedLine { line, message });
                    continue;
                }
            };
            *count += 1;
            on_imported(ImportedTicket { line, code, id });
        }
        self.counts.rejected += rejected.len() as u64;
        rejected.sort_by_key(|rejected| rejected.line);
        let capacity = MAX_ERRORS.saturating_sub(self.counts.errors.len());
        self.counts.errors.extend(rejected.into_iter().take(capacity));
    }

    /// Commits a chunk and returns its tickets as lines. The counts follow the last chunk.
    async fn import_chunk_as_lines(&mut self) -> Result<Bytes, RequestError> {
        let mut tickets = Vec::new();
        let more = self.import_chunk(&mut |ticket| tickets.push(ticket)).await?;
        let mut lines = Vec::new();
        for ticket in &tickets {
            write_line(&mut lines, ticket)?;
        }
        if !more {
            write_line(&mut lines, &self.counts)?;
        }
        Ok(lines.into())
    }
}

async fn commit(
    state: &ServerState,
    organization: OrganizationId,
    event: EventId,
    lines: &[NumberedLine],
) -> Result<Vec<ImportOutcome>, RequestError> {
    if lines.is_empty() {
        return Ok(Vec::new());
    }
    let outcomes = state
        .admin
        .import(organization, event, lines, state.clock.now())
        .await?;
    Ok(outcomes.ok_or(Code::NotFound)?)
}

fn write_line(lines: &mut Vec<u8>, value: &impl Serialize) -> Result<(), serde_json::Error> {
    serde_json::to_writer(&mut *lines, value)?;
    lines.push(b'\n');
    Ok(())
}

/// The names of the fields of an object that the import does not know.
struct FieldNames(Vec<String>);

impl<'de> Deserialize<'de> for FieldNames {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;
        impl<'de> serde::de::Visitor<'de> for Names {
            type Value = FieldNames;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<FieldNames, A::Error> {
                let mut names = Vec::new();
                while let Some(Name(name)) = map.next_key()? {
                    map.next_value::<serde::de::IgnoredAny>()?;
                    if !KNOWN_FIELDS.contains(&name.as_ref()) {
                        names.push(name.into_owned());
                    }
                }
                Ok(FieldNames(names))
            }
        }
        deserializer.deserialize_map(Names)
    }
}

/// A name that is borrowed from the line unless it contains an escape.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// A line without white space around it; the first line also without a byte-order mark.
fn line_text(line: &[u8], is_first: bool) -> &[u8] {
    let line = line.trim_ascii();
    if is_first {
        line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line).trim_ascii()
    } else {
        line
    }
}

/// Parses a line. The error message repeats nothing of the line.
fn parse_line(validator: &SchemaValidator, text: &[u8]) -> Result<TicketLine, String> {
    if text.trim_ascii_start().first() == Some(&b'{')
        && let Ok(line) = serde_json::from_slice(text)
    {
        return Ok(line);
    }
    let value = serde_json::from_slice(text).map_err(|_| "is not JSON".to_owned())?;
    validator
        .check::<TicketLine, LineSchema>(value)
        .map_err(|errors| {
            let messages: Vec<_> = errors
                .iter()
                .map(|error| {
                    format!("{} {}", error.pointer, error.message)
                        .trim_start()
                        .to_owned()
                })
                .collect();
            messages.join("; ")
        })
}
