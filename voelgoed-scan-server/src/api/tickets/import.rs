//! The import of tickets: a stream of lines, committed in chunks. A dry run reads them alike, and writes nothing.
//!
//! Invariants: an invalid line does not stop the import; memory holds at most two chunks of lines and [`MAX_ERRORS`]
//! errors, whatever the length of the stream; an import that breaks off leaves complete chunks and may be repeated.

mod answer;
mod lines;

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use hyper::body::Frame;
use schemars::{JsonSchema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use voelgoed_scan_core::model::{ClassName, Event, EventId, OrganizationId};
use voelgoed_scan_core::node::TicketImport;
use voelgoed_scan_core::store::{ImportDryRun, ImportOutcome, StoreError};

use self::answer::{AnswerLine, ImportCounts, ImportedTicket, MAX_ERRORS, MAX_IGNORED_FIELDS, RejectedLine};
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

/// The options of an import.
#[derive(Debug, Deserialize, JsonSchema)]
struct ImportParams {
    /// `codes` streams the code and the id of every ticket, `errors` the reason of every rejected line. The counts are last.
    #[serde(default, rename = "return")]
    detail: Option<ImportDetail>,
    /// Changes nothing and answers what the import would do.
    #[serde(default)]
    dry_run: bool,
    /// Rejects lines with unknown fields, and lines with a ticket class that the event does not have.
    #[serde(default)]
    strict: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum ImportDetail {
    // No doc comments: with them the schema would be a oneOf of constants, not an enum.
    Codes,
    Errors,
}

impl Query for ImportParams {}

/// `POST /api/v1/events/{id}/tickets`
pub(crate) fn import() -> Route {
    Route::post(
        TICKETS_PATH,
        "importTickets",
        "Imports tickets, one per line: new codes are inserted, known codes are updated. A line has at most 16 KiB. An \
         invalid line is rejected and does not stop the import. An import may be repeated safely. With dry_run=true it \
         changes nothing and answers what it would do; with strict=true unknown fields and ticket classes reject a line.",
    )
    .ndjson_body::<LineSchema, ImportParams>()
    .responds_with(
        "The counts; with return=codes preceded by one line per ticket, with return=errors by one line per rejected line.",
        vec![
            ("application/json", Some(SchemaGenerator::subschema_for::<ImportCounts>)),
            (NDJSON, Some(SchemaGenerator::subschema_for::<AnswerLine>)),
        ],
    )
    .resource(|request| Ok(Resource::Event(request.event_id()?)))
    .authenticated(Permission::Admin, run_import)
}

async fn run_import(request: Request<Lines<LineSchema>, ImportParams>) -> HandlerResult {
    let ImportParams { detail, strict, .. } = request.query;
    let (event, target) = match begin(&request).await {
        Ok(begun) => begun,
        Err(error) => {
            request.body.discard_rest().await;
            return Err(error);
        }
    };
    let organization = request.organization();
    let Request { state, body, .. } = request;
    let known_classes: HashSet<_> = event.ticket_classes.iter().cloned().collect();
    let mut import = Import {
        state,
        counts: ImportCounts {
            dry_run: matches!(target, Target::DryRun(_)),
            ..ImportCounts::default()
        },
        target,
        organization,
        event: event.id,
        classes: event.ticket_classes,
        reader: LineReader::new(body, strict.then_some(known_classes)),
        next_chunk: Chunk::default(),
        ended: false,
    };
    let Some(detail) = detail else {
        while import.import_chunk(&mut |_| {}).await? {}
        return Ok(response::ok(&import.counts));
    };
    Ok(response::stream(
        NDJSON,
        stream::try_unfold(import, move |mut import| async move {
            if import.ended {
                return Ok(None);
            }
            // A client that stops reading must not interrupt a chunk between its commit and its publication.
            let state = Arc::clone(&import.state);
            let chunk = async move {
                let lines = import.import_chunk_as_lines(detail).await;
                lines.map(|lines| Some((Frame::data(lines), import)))
            };
            let chunk = state.changes.complete("importTickets", "", chunk).await;
            chunk.map_err(|_| StreamAborted)
        }),
    ))
}

/// Finds the event and begins the import, or its dry run.
async fn begin(request: &Request<Lines<LineSchema>, ImportParams>) -> Result<(Event, Target), RequestError> {
    let (organization, event) = (request.organization(), request.event_id()?);
    let Some(event) = request.store().event(organization, event).await? else {
        return Err(Code::NotFound.into());
    };
    if request.query.dry_run {
        return Ok((event, Target::DryRun(ImportDryRun::default())));
    }
    let by = request.audit_context();
    let import = request
        .admin()
        .begin_import(organization, event.id, &by, request.now)
        .await?;
    Ok((event, Target::Tickets(Box::new(import))))
}

/// Where the lines go.
enum Target {
    Tickets(Box<TicketImport>),
    DryRun(ImportDryRun),
}

/// An import in progress. The next chunk is read while the database commits the current one.
struct Import {
    state: Arc<ServerState>,
    target: Target,
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

/// What the response has a line for.
enum Detail {
    Ticket(ImportedTicket),
    Rejected(RejectedLine),
}

impl Import {
    /// Commits a chunk and reads the next one. Returns whether the import continues.
    async fn import_chunk(&mut self, on_line: &mut (dyn FnMut(Detail) + Send)) -> Result<bool, RequestError> {
        let chunk = std::mem::take(&mut self.next_chunk);
        // The entry of the audit log about the end is written with the last lines.
        let is_last = self.reader.ended();
        let now = self.state.clock.now();
        let added = match &mut self.target {
            Target::Tickets(import) => {
                import.reject(chunk.rejected.len());
                tokio::join!(import.add(&chunk.lines, is_last, now), self.reader.read_chunk())
            }
            Target::DryRun(dry_run) => {
                let (organization, event) = (self.organization, self.event);
                let admin = &self.state.admin;
                tokio::join!(
                    admin.import_dry_run(organization, event, &chunk.lines, now, dry_run),
                    self.reader.read_chunk()
                )
            }
        };
        let (outcomes, next) = added;
        self.count(chunk, outcomes?.ok_or(Code::NotFound)?, on_line);
        self.next_chunk = next?;
        self.ended =
            self.reader.ended() && self.next_chunk.lines.is_empty() && self.next_chunk.rejected.is_empty();
        if self.ended {
            self.finish(is_last).await?;
        }
        Ok(!self.ended)
    }

    /// Ends the import: the entry of the audit log, unless the last chunk wrote it, and what only the end shows.
    async fn finish(&mut self, is_entered: bool) -> Result<(), StoreError> {
        match &mut self.target {
            Target::Tickets(import) => {
                if !is_entered {
                    import.add(&[], true, self.state.clock.now()).await?;
                }
                if self.counts.inserted + self.counts.updated > 0 {
                    let store = self.state.scanner.store();
                    let event = store.event(self.organization, self.event).await?;
                    let classes = event.map(|event| event.ticket_classes).unwrap_or_default();
                    let new = classes.into_iter().filter(|class| !self.classes.contains(class));
                    self.counts.new_classes = new.collect();
                }
            }
            Target::DryRun(dry_run) => {
                self.counts.new_classes = dry_run.new_classes().to_vec();
                let fields = dry_run.updated_fields().iter();
                let fields = fields.map(|(name, count)| ((*name).to_owned(), *count));
                self.counts.updated_fields = Some(fields.collect());
            }
        }
        Ok(())
    }

    fn count(
        &mut self,
        chunk: Chunk,
        outcomes: Vec<ImportOutcome>,
        on_line: &mut (dyn FnMut(Detail) + Send),
    ) {
        let Chunk {
            lines,
            mut rejected,
            unknown_fields,
        } = chunk;
        for name in unknown_fields {
            if self.counts.ignored_fields.len() < MAX_IGNORED_FIELDS
                && !self.counts.ignored_fields.contains(&name)
            {
                self.counts.ignored_fields.push(name);
            }
        }
        for (numbered, outcome) in lines.into_iter().zip(outcomes) {
            let line = numbered.number;
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
            // A code that a dry run made is no ticket's.
            let (code, id) = match self.target {
                Target::Tickets(_) => (Some(code), Some(id)),
                Target::DryRun(_) => (numbered.line.code, numbered.line.id),
            };
            on_line(Detail::Ticket(ImportedTicket { line, code, id }));
        }
        self.counts.rejected += rejected.len() as u64;
        rejected.sort_by_key(|rejected| rejected.line);
        for rejected in rejected {
            if self.counts.errors.len() < MAX_ERRORS {
                self.counts.errors.push(rejected.clone());
            }
            on_line(Detail::Rejected(rejected));
        }
    }

    /// Commits a chunk and returns its tickets or its rejected lines as lines. The counts follow the last chunk.
    async fn import_chunk_as_lines(&mut self, detail: ImportDetail) -> Result<Bytes, RequestError> {
        let mut shown = Vec::new();
        let more = self.import_chunk(&mut |line| shown.push(line)).await?;
        let mut lines = Vec::new();
        for line in &shown {
            match (detail, line) {
                (ImportDetail::Codes, Detail::Ticket(ticket)) => write_line(&mut lines, ticket)?,
                (ImportDetail::Errors, Detail::Rejected(rejected)) => write_line(&mut lines, rejected)?,
                (ImportDetail::Codes, Detail::Rejected(_)) | (ImportDetail::Errors, Detail::Ticket(_)) => {}
            }
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
