//! The import of tickets: a stream of lines, committed in chunks.
//!
//! Invariants: a bad line never stops the rest; what is held are two chunks of lines and at most [`MAX_ERRORS`] errors,
//! however long the stream is; a stream that breaks off leaves whole chunks behind and may be sent again.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use hyper::body::Frame;
use schemars::{JsonSchema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use voelgoed_scan_core::model::{
    ClassName, EventId, GateId, HolderName, Note, OrderRef, OrganizationId, Seat, SettableStatus, TicketCode,
    TicketId, TicketLine, Timestamp,
};
use voelgoed_scan_core::store::{ImportOutcome, NumberedLine};

use crate::auth::Permission;
use crate::call::Call;
use crate::intake::{Line, Lines};
use crate::json::Form;
use crate::node::Node;
use crate::problem::Code;
use crate::query::Query;
use crate::reply::{self, BrokenOff};
use crate::route::{Answer, Route, Stop};
use crate::thing::Thing;

const NDJSON: &str = "application/x-ndjson";

/// How many lines are committed at once.
const CHUNK: usize = 3000;

/// How many bytes of lines are committed at once, if that is less.
const CHUNK_BYTES: usize = 1024 * 1024;

/// The most rejected lines that are named.
const MAX_ERRORS: usize = 1000;

/// A line of an import: a ticket. An absent field keeps what is there, null clears it.
#[derive(Debug, Deserialize, JsonSchema)]
#[expect(dead_code, reason = "says in JSON Schema what TicketLine reads")]
#[schemars(rename = "TicketLine")]
struct LineShape {
    /// The code; made where it is missing.
    #[serde(default)]
    code: Option<TicketCode>,
    /// The ticket; made where it is missing.
    #[serde(default)]
    id: Option<TicketId>,
    /// What becomes of it; a new ticket is `active`.
    #[serde(default)]
    status: Option<SettableStatus>,
    /// Its class; an unknown one joins the event's list.
    #[serde(default)]
    ticket_class: Option<ClassName>,
    /// The gates that let it in; null for all.
    #[serde(default)]
    gate_ids: Option<Vec<GateId>>,
    /// Where its holder sits.
    #[serde(default)]
    seat: Option<Seat>,
    /// It admits from here on.
    #[serde(default)]
    valid_from: Option<Timestamp>,
    /// It admits until here.
    #[serde(default)]
    valid_until: Option<Timestamp>,
    /// How many people it admits; a new ticket admits one.
    #[serde(default)]
    #[schemars(range(min = 1, max = 255))]
    entry_limit: Option<u8>,
    /// A note for the steward.
    #[serde(default)]
    note: Option<Note>,
    /// Who holds it. Personal data: only the ticket search shows it.
    #[serde(default)]
    holder_name: Option<HolderName>,
    /// The order it was sold in.
    #[serde(default)]
    order_ref: Option<OrderRef>,
}

/// What is to be answered.
#[derive(Debug, Deserialize, JsonSchema)]
struct Wanted {
    /// `codes`: stream code and id of every ticket, the counts last.
    #[serde(default, rename = "return")]
    returns: Option<Returns>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Returns {
    Codes,
}

impl Query for Wanted {}

/// A line that was not taken.
#[derive(Debug, Clone, Serialize, JsonSchema)]
struct RejectedLine {
    /// Its number, from 1.
    line: u64,
    /// Why.
    message: Cow<'static, str>,
}

/// What became of an import.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
struct ImportCounts {
    /// New tickets.
    inserted: u64,
    /// Changed ones.
    updated: u64,
    /// Those that were so already.
    unchanged: u64,
    /// Lines that were not taken.
    rejected: u64,
    /// Why they were not, for the first 1,000.
    errors: Vec<RejectedLine>,
}

/// A ticket that an import took.
#[derive(Debug, Serialize, JsonSchema)]
struct ImportedTicket {
    /// The number of its line.
    line: u64,
    /// Its code.
    code: TicketCode,
    /// Its id.
    id: TicketId,
}

/// `POST /api/v1/events/{id}/tickets`
pub(crate) fn import() -> Route {
    Route::post(
        "/api/v1/events/{id}/tickets",
        "importTickets",
        "Imports tickets, a line each: by code, new ones are inserted, known ones updated. A line has at most 16 KiB; a \
         bad one is rejected and never stops the rest. Safe to be sent again.",
    )
    .takes_lines::<LineShape, Wanted>()
    .answers_as(
        "What became of the lines; with return=codes a line for each ticket before it.",
        vec![
            ("application/json", Some(SchemaGenerator::subschema_for::<ImportCounts>)),
            (NDJSON, Some(SchemaGenerator::subschema_for::<ImportedTicket>)),
        ],
    )
    .names(|call| Ok(Thing::Event(call.event_id()?)))
    .by(Permission::Admin, run)
}

async fn run(call: Call<Lines<LineShape>, Wanted>) -> Answer {
    let returns = call.query.returns;
    let event = match known_event(&call).await {
        Ok(event) => event,
        Err(stop) => {
            call.body.into_rest().await;
            return Err(stop);
        }
    };
    let organization = call.organization();
    let Call { node, body, .. } = call;
    let mut import = Import {
        node,
        organization,
        event,
        reader: Reader {
            body,
            form: Form::default(),
            line: 0,
            ended: false,
        },
        next: Chunk::default(),
        ended: false,
        counts: ImportCounts::default(),
    };
    match returns {
        None => {
            while import.chunk(&mut |_| {}).await? {}
            Ok(reply::ok(&import.counts))
        }
        Some(Returns::Codes) => Ok(reply::stream(
            NDJSON,
            stream::try_unfold(import, |mut import| async move {
                if import.ended {
                    return Ok(None);
                }
                import
                    .lines_of_chunk()
                    .await
                    .map(|lines| Some((Frame::data(lines), import)))
                    .map_err(|_| BrokenOff)
            }),
        )),
    }
}

async fn known_event(call: &Call<Lines<LineShape>, Wanted>) -> Result<EventId, Stop> {
    let event = call.event_id()?;
    match call.store().event(call.organization(), event).await? {
        Some(_) => Ok(event),
        None => Err(Code::NotFound.into()),
    }
}

/// Lines that are committed together, and those among them that were rejected.
#[derive(Default)]
struct Chunk {
    lines: Vec<NumberedLine>,
    rejected: Vec<RejectedLine>,
}

impl Chunk {
    fn reject(&mut self, line: u64, message: impl Into<Cow<'static, str>>) {
        let message = message.into();
        self.rejected.push(RejectedLine { line, message });
    }
}

/// What of an import is still to be read.
struct Reader {
    body: Lines<LineShape>,
    form: Form,
    /// The number of the last line that was read.
    line: u64,
    ended: bool,
}

impl Reader {
    async fn chunk(&mut self) -> Result<Chunk, Stop> {
        let mut chunk = Chunk::default();
        let mut bytes = 0;
        while chunk.lines.len() + chunk.rejected.len() < CHUNK && bytes < CHUNK_BYTES && !self.ended {
            let Some(line) = self.body.next().await? else {
                self.ended = true;
                break;
            };
            self.line += 1;
            match line {
                Line::TooLong => chunk.reject(self.line, "is longer than 16 KiB"),
                Line::Text(text) if text.trim_ascii().is_empty() => {}
                Line::Text(text) => match read_line(&self.form, &text) {
                    Ok(line) => {
                        bytes += text.len();
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

/// An import under way: while the database takes a chunk the next one is read.
struct Import {
    node: Arc<Node>,
    organization: OrganizationId,
    event: EventId,
    reader: Reader,
    next: Chunk,
    counts: ImportCounts,
    ended: bool,
}

impl Import {
    /// Commits a chunk and reads the next; whether there may be another.
    async fn chunk(&mut self, taken: &mut (dyn FnMut(ImportedTicket) + Send)) -> Result<bool, Stop> {
        let chunk = std::mem::take(&mut self.next);
        let (outcomes, next) = tokio::join!(
            commit(&self.node, self.organization, self.event, &chunk.lines),
            self.reader.chunk()
        );
        self.count(chunk, outcomes?, taken);
        self.next = next?;
        self.ended = self.reader.ended && self.next.lines.is_empty() && self.next.rejected.is_empty();
        Ok(!self.ended)
    }

    fn count(
        &mut self,
        chunk: Chunk,
        outcomes: Vec<ImportOutcome>,
        taken: &mut (dyn FnMut(ImportedTicket) + Send),
    ) {
        let Chunk { lines, mut rejected } = chunk;
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
            taken(ImportedTicket { line, code, id });
        }
        self.counts.rejected += rejected.len() as u64;
        rejected.sort_by_key(|rejected| rejected.line);
        let room = MAX_ERRORS.saturating_sub(self.counts.errors.len());
        self.counts.errors.extend(rejected.into_iter().take(room));
    }

    /// A chunk as lines; after the last chunk the counts.
    async fn lines_of_chunk(&mut self) -> Result<Bytes, Stop> {
        let mut tickets = Vec::new();
        let more = self.chunk(&mut |ticket| tickets.push(ticket)).await?;
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
    node: &Node,
    organization: OrganizationId,
    event: EventId,
    lines: &[NumberedLine],
) -> Result<Vec<ImportOutcome>, Stop> {
    if lines.is_empty() {
        return Ok(Vec::new());
    }
    let outcomes = node
        .admin
        .import(organization, event, lines, node.clock.now())
        .await?;
    Ok(outcomes.ok_or(Code::NotFound)?)
}

fn write_line(lines: &mut Vec<u8>, value: &impl Serialize) -> Result<(), serde_json::Error> {
    serde_json::to_writer(&mut *lines, value)?;
    lines.push(b'\n');
    Ok(())
}

/// Reads a line, or says what is wrong with it without repeating what it says.
fn read_line(form: &Form, text: &[u8]) -> Result<TicketLine, String> {
    if text.trim_ascii_start().first() == Some(&b'{')
        && let Ok(line) = serde_json::from_slice(text)
    {
        return Ok(line);
    }
    let value = serde_json::from_slice(text).map_err(|_| "is not JSON".to_owned())?;
    form.check::<TicketLine, LineShape>(value).map_err(|faults| {
        let faults: Vec<_> = faults
            .iter()
            .map(|fault| {
                format!("{} {}", fault.pointer, fault.message)
                    .trim_start()
                    .to_owned()
            })
            .collect();
        faults.join("; ")
    })
}
