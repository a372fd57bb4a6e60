//! The import of tickets: a stream of lines, committed in chunks.
//!
//! Invariants: an invalid line does not stop the import; memory holds at most two chunks of lines and [`MAX_ERRORS`]
//! errors, whatever the length of the stream; an import that breaks off leaves complete chunks and may be repeated.

mod lines;

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use hyper::body::Frame;
use schemars::{JsonSchema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use voelgoed_scan_core::model::{ClassName, Event, EventId, OrganizationId, TicketCode, TicketId};
use voelgoed_scan_core::node::TicketImport;
use voelgoed_scan_core::store::{ImportOutcome, NumberedLine};

use self::lines::{Chunk, LineReader, LineSchema};
use super::TICKETS_PATH;
use crate::api::NDJSON;
use crate::auth::Permission;
use crate::body::Lines;
use crate::problem::Code;
use crate::query::Query;
use crate::request::Request;
use crate::resource::Resource;
use crate::response::{self, StreamAborted};
use crate::route::{HandlerResult, RequestError, Route};
use crate::state::ServerState;

/// The maximum number of unknown fields in the response.
const MAX_UNKNOWN_FIELDS: usize = 100;

/// The maximum number of rejected lines in the response.
const MAX_ERRORS: usize = 1000;

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

/// A line of the response with `return=codes`: a ticket, or the counts, which come last.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "describes the lines in JSON Schema")]
enum ImportedLine {
    Ticket(ImportedTicket),
    Counts(ImportCounts),
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
            (NDJSON, Some(SchemaGenerator::subschema_for::<ImportedLine>)),
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
    let begun = request
        .admin()
        .begin_import(organization, event.id, &request.audit_context(), request.now)
        .await;
    let begun = match begun {
        Ok(begun) => begun,
        Err(error) => {
            request.body.discard_rest().await;
            return Err(error.into());
        }
    };
    let Request { state, body, .. } = request;
    let mut import = Import {
        state,
        begun,
        organization,
        event: event.id,
        classes: event.ticket_classes,
        reader: LineReader::new(body),
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

/// An import in progress. The next chunk is read while the database commits the current one.
struct Import {
    state: Arc<ServerState>,
    begun: TicketImport,
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
        // The entry of the audit log about the end is written with the last lines.
        let is_last = self.reader.ended();
        self.begun.reject(chunk.rejected.len());
        let (outcomes, next) = tokio::join!(
            self.begun.add(&chunk.lines, is_last, self.state.clock.now()),
            self.reader.read_chunk()
        );
        self.count(chunk, outcomes?.ok_or(Code::NotFound)?, on_imported);
        self.next_chunk = next?;
        self.ended =
            self.reader.ended() && self.next_chunk.lines.is_empty() && self.next_chunk.rejected.is_empty();
        if self.ended && !is_last {
            self.begun.add(&[], true, self.state.clock.now()).await?;
        }
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

fn write_line(lines: &mut Vec<u8>, value: &impl Serialize) -> Result<(), serde_json::Error> {
    serde_json::to_writer(&mut *lines, value)?;
    lines.push(b'\n');
    Ok(())
}
