//! `ticket import`: brings the tickets of a file in, whatever its form, and reports what became of each.
//!
//! Every record of the file becomes one line of the upload with the record's number, so that the server's line numbers are
//! those of the file. Memory does not grow with the file, save for pretix's JSON, which is one object.

mod columns;
mod csv_records;
mod fields;
mod json_array;
mod presets;
mod pretix_orders;
mod records;
mod rejected_file;
mod source;
mod summary;
mod ticket_line;
mod upload;

use std::path::PathBuf;

use clap::Args;
use futures_util::{StreamExt, TryStreamExt};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use voelgoed_scan_core::model::{Event, EventId, TicketCode, TicketId};

use self::columns::{ColumnNames, Mapping, parse_mappings};
use self::presets::Preset;
use self::records::{Records, Settings};
use self::rejected_file::RejectedFile;
use self::source::{Form, Source};
use self::summary::{ImportCounts, LineError, RejectedLines, Summary};
use self::upload::RecordUpload;
use crate::client::{self, Client, Query, Upload};
use crate::context::Context;
use crate::env;
use crate::failure::{Exit, Failure};
use crate::names::NamedEvent;
use crate::output::{Item, Report, ResultStream};

/// The arguments of `ticket import`.
#[derive(Debug, Args)]
#[command(after_help = "\
The file is NDJSON (a JSON object a line), a JSON array, or CSV; its content tells which. CSV may be UTF-8, or UTF-16 with a \
byte-order mark, with commas, semicolons or tabs. All fields are optional: code, id, status, ticket_class, gate_ids, seat \
(in CSV also seat_block, seat_row, seat_number), valid_from, valid_until, entry_limit, note, holder_name, order_ref, media \
(in CSV also barcode, nfc). A line with the code of an existing ticket changes it: an absent field and an empty cell keep the \
value, and null clears it. A line without a code is the ticket that has one of its media, or else a new one. Importing a file \
twice changes nothing more if all lines have codes or media. Invalid lines are rejected and reported, the other lines are \
imported; the command then exits 1. docs/import.md has the whole guide.

Examples:
  voelgoed-scan ticket import tickets.ndjson --event EVENT
  voelgoed-scan ticket import orders_pretixdata.json --event EVENT --preset pretix --dry-run
  voelgoed-scan ticket import guests.csv --event EVENT --preset attendees --errors rejected.csv
  voelgoed-scan ticket import list.csv --event EVENT --map 'barcode=EAN,holder_name=\"First name\"+\"Last name\"'
  jq -c '.tickets[]' shop.json | voelgoed-scan ticket import - --event EVENT --strict
  echo '{\"ticket_class\":\"VIP\",\"entry_limit\":2}' | voelgoed-scan ticket import - --event EVENT --return-codes")]
pub(crate) struct Import {
    /// The file; `-` is standard input
    file: PathBuf,
    /// The event that the tickets are for
    #[arg(long, env = env::EVENT)]
    event: NamedEvent,
    /// Also print the code and id of each line's ticket, before the counts
    #[arg(long)]
    return_codes: bool,
    /// Name the columns or keys that hold fields: FIELD=COLUMN,FIELD=COLUMN+COLUMN
    #[arg(long = "map", value_name = "FIELD=COLUMN", value_parser = Mappings::parse)]
    mappings: Vec<Mappings>,
    /// Read a list of another system; what it printed becomes media
    #[arg(long, value_enum)]
    preset: Option<Preset>,
    /// Change nothing, and report what the import would do
    #[arg(long)]
    dry_run: bool,
    /// Reject unknown columns, fields and ticket classes
    #[arg(long)]
    strict: bool,
    /// Write every rejected line, with its reason, to this file
    #[arg(long, value_name = "FILE", conflicts_with = "return_codes")]
    errors: Option<PathBuf>,
}

/// What one `--map` says.
#[derive(Debug, Clone)]
struct Mappings(Vec<Mapping>);

impl Mappings {
    fn parse(text: &str) -> Result<Self, String> {
        parse_mappings(text).map(Self)
    }
}

/// A line of the server's answer to an import.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum ImportLine {
    /// The counts: the last line.
    Counts(ImportCounts),
    /// A rejected line of the upload.
    Rejected(LineError),
    /// The ticket of a line of the upload.
    Ticket(ImportedTicket),
}

/// The code and id of an imported ticket.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::commands) struct ImportedTicket {
    line: u64,
    /// In a dry run it may be null.
    code: Option<TicketCode>,
    id: Option<TicketId>,
}

/// A ticket that was imported.
pub(in crate::commands) struct NewTicket {
    pub(in crate::commands) code: TicketCode,
    pub(in crate::commands) id: TicketId,
}

impl Import {
    pub(super) async fn run(self, context: &Context) -> Result<Report, Failure> {
        let client = context.client()?;
        let source = Source::open(&self.file)?;
        let event = self.event.id(&client).await?;
        let path = format!("/api/v1/events/{event}/tickets");
        self.check_server(&client, &path).await?;
        let settings = Settings {
            zone: self.zone(&client, event, &source).await?,
            names: ColumnNames {
                preset: self.preset,
                mappings: self
                    .mappings
                    .iter()
                    .flat_map(|Mappings(all)| all.clone())
                    .collect(),
            },
            strict: self.strict,
        };
        let errors = self.errors.as_deref().map(RejectedFile::create).transpose()?;
        // A progress bar and output lines would overwrite each other on the terminal.
        let bar = source.bar(context.quiet || self.return_codes);
        source.check_end()?;
        let records = Records::open(&source, &settings, &bar)?;
        let (body, progress) = RecordUpload::new(records, self.preset.is_some());
        let mut query = Query::new(&path);
        query.add("return", Some(if self.return_codes { "codes" } else { "errors" }));
        query.add("dry_run", self.dry_run.then_some(true));
        query.add("strict", self.strict.then_some(true));
        let answer = client.upload(&query.path(), Upload::of_parts(body)).await;
        let answer = import_lines(answer.map_err(|failure| progress.failure(&source).unwrap_or(failure))?);
        let import = ImportInProgress {
            answer,
            source,
            settings,
            progress,
            errors,
            rejected: RejectedLines::default(),
            is_ended: false,
        };
        let items = futures_util::stream::try_unfold(import, ImportInProgress::next_item);
        Ok(Report::Stream(items.boxed()))
    }

    /// Sends an empty dry run. A server that rejects a request closes the connection while the body is still being sent, and its
    /// answer can get lost; the answer to this request arrives. A server that does not know dry runs would import.
    async fn check_server(&self, client: &Client, path: &str) -> Result<(), Failure> {
        let path = format!("{path}?dry_run=true");
        let empty = Upload::of_lines(std::iter::empty());
        let mut answer = import_lines(client.upload(&path, empty).await?);
        let is_dry_run = match answer.try_next().await? {
            Some(ImportLine::Counts(counts)) => counts.dry_run,
            _ => false,
        };
        if self.dry_run && !is_dry_run {
            return Err(Failure::invalid(
                "the server",
                "is too old: it knows no dry run of an import",
            ));
        }
        Ok(())
    }

    /// The time zone of the event, in which a table may have times.
    async fn zone(&self, client: &Client, event: EventId, source: &Source) -> Result<TimeZone, Failure> {
        if source.form != Form::Csv && self.preset.is_none() && self.mappings.is_empty() {
            return Ok(TimeZone::UTC);
        }
        let event: Event = client.get(&format!("/api/v1/events/{event}")).await?;
        event.time_zone.zone().ok_or_else(|| {
            let zone = event.time_zone.to_string();
            Failure::invalid("the time zone of the event", format!("is not known here: {zone}"))
        })
    }
}

/// An import whose answer is being read.
struct ImportInProgress {
    answer: ResultStream<ImportLine>,
    source: Source,
    settings: Settings,
    progress: upload::UploadProgress,
    errors: Option<RejectedFile>,
    /// What the server rejected.
    rejected: RejectedLines,
    is_ended: bool,
}

impl ImportInProgress {
    /// The next ticket or, at the end, the summary.
    async fn next_item(mut self) -> Result<Option<(Item, Self)>, Failure> {
        while !self.is_ended {
            let line = self.answer.try_next().await;
            let line = line.map_err(|failure| self.progress.failure(&self.source).unwrap_or(failure))?;
            match line {
                Some(ImportLine::Ticket(ticket)) => return Ok(Some((ticket.item()?, self))),
                Some(ImportLine::Rejected(error)) => {
                    if let Some(errors) = &mut self.errors {
                        errors.add(&error)?;
                    }
                    self.rejected.add(error);
                }
                Some(ImportLine::Counts(counts)) => {
                    self.is_ended = true;
                    return Ok(Some((self.summary(counts)?, self)));
                }
                None => {
                    let broken = "ends before the counts: what was imported until then stays, and the file can be imported again";
                    return Err(Failure::invalid("the answer to the import", broken));
                }
            }
        }
        Ok(None)
    }

    fn summary(&mut self, mut counts: ImportCounts) -> Result<Item, Failure> {
        if let Some(errors) = self.errors.take() {
            errors.write(&self.source, &self.settings)?;
        }
        let mut rejected = std::mem::take(&mut self.rejected);
        if rejected.total == 0 {
            // The codes were streamed, and not the errors.
            for error in std::mem::take(&mut counts.errors) {
                rejected.add(error);
            }
        }
        let (local, left_out, ignored) = self.progress.outcome();
        let summary = Summary::new(counts, rejected, local, &ignored, left_out);
        let exit = match summary.counts.rejected {
            0 => Exit::Done,
            _ => Exit::Failed,
        };
        Ok(Item::new(&summary, summary.to_string())?.with_exit(exit))
    }
}

impl ImportedTicket {
    fn item(&self) -> Result<Item, Failure> {
        let code = self.code.map_or_else(|| "-".to_owned(), |code| code.to_string());
        Item::new(self, format!("{:>8}  {code}", self.line))
    }
}

/// Imports `lines` and returns their tickets, in the order of the answer. Fails where a line is rejected.
pub(in crate::commands) async fn import_tickets(
    client: &Client,
    event: EventId,
    lines: impl Iterator<Item = String> + Send + 'static,
) -> Result<Vec<NewTicket>, Failure> {
    let path = format!("/api/v1/events/{event}/tickets?return=codes");
    let mut answer = import_lines(client.upload(&path, Upload::of_lines(lines)).await?);
    let mut tickets = Vec::new();
    while let Some(line) = answer.try_next().await? {
        match line {
            ImportLine::Ticket(ImportedTicket { code, id, .. }) => {
                let (Some(code), Some(id)) = (code, id) else {
                    continue;
                };
                tickets.push(NewTicket { code, id });
            }
            ImportLine::Counts(counts) => {
                if let Some(error) = counts.errors.into_iter().next() {
                    return Err(Failure::invalid("the ticket", error.message));
                }
            }
            ImportLine::Rejected(error) => return Err(Failure::invalid("the ticket", error.message)),
        }
    }
    Ok(tickets)
}

fn import_lines(answer: ResultStream<bytes::Bytes>) -> ResultStream<ImportLine> {
    client::lines(answer)
        .try_filter(|line| std::future::ready(!line.trim().is_empty()))
        .map(|line| {
            serde_json::from_str(&line?).map_err(|error| {
                Failure::invalid("the answer to the import", format!("cannot be read: {error}"))
            })
        })
        .boxed()
}
