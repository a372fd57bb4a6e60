//! `ticket export`: writes all tickets of an event, as `ticket import --strict` takes them back unchanged.

use std::io::Write;
use std::path::PathBuf;

use bytes::Bytes;
use clap::{Args, ValueEnum};
use futures_util::{StreamExt, TryStreamExt};
use serde::Serialize;
use voelgoed_scan_core::model::{Seat, SeatPart, TicketListing, TicketStatus};

use super::super::value_parsers::variant;
use crate::client::{self, Query};
use crate::context::Context;
use crate::env;
use crate::failure::Failure;
use crate::names::NamedEvent;
use crate::output::{Report, ResultStream};
use crate::private_file;

/// The arguments of `ticket export`.
#[derive(Debug, Args)]
#[command(after_help = "\
The export has codes, holders and media: it admits its bearer. Only an owner's or an admin's key may read it. \
`ticket import --strict` takes it back unchanged.

Examples:
  voelgoed-scan ticket export EVENT > tickets.ndjson
  voelgoed-scan ticket export EVENT --format csv --file tickets.csv
  voelgoed-scan ticket export EVENT --status voided | jq -r .code")]
pub(crate) struct Export {
    /// The event
    #[arg(env = env::EVENT)]
    event: NamedEvent,
    /// The form of the export
    #[arg(long, value_enum, default_value_t = ExportFormat::Ndjson)]
    format: ExportFormat,
    /// Only tickets of this status
    #[arg(long, value_parser = variant::<TicketStatus>(TicketStatus::STRINGS))]
    status: Option<TicketStatus>,
    /// Write a file that only its owner can read, instead of standard output
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// The forms of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ExportFormat {
    /// A JSON object a line
    Ndjson,
    /// A table, with commas
    Csv,
}

/// The columns of the table.
const COLUMNS: [&str; 15] = [
    "code",
    "id",
    "status",
    "ticket_class",
    "gate_ids",
    "seat_block",
    "seat_row",
    "seat_number",
    "valid_from",
    "valid_until",
    "entry_limit",
    "note",
    "holder_name",
    "order_ref",
    "media",
];

/// What was written to a file.
#[derive(Serialize)]
struct WrittenExport {
    file: PathBuf,
    tickets: u64,
}

impl Export {
    pub(super) async fn run(self, context: &Context) -> Result<Report, Failure> {
        let client = context.client()?;
        let event = self.event.id(&client).await?;
        let mut query = Query::new(&format!("/api/v1/events/{event}/tickets"));
        query.add("status", self.status);
        let exported = client.stream(&query.path(), "application/x-ndjson").await?;
        let lines = client::lines(exported).try_filter(|line| std::future::ready(!line.is_empty()));
        let lines: ResultStream<Bytes> = match self.format {
            ExportFormat::Ndjson => lines.map(|line| Ok(Bytes::from(line? + "\n"))).boxed(),
            ExportFormat::Csv => {
                let header = futures_util::stream::once(async { record(&COLUMNS.map(Some)) });
                header.chain(lines.map(|line| to_record(&line?))).boxed()
            }
        };
        match self.file {
            Some(file) => write_file(file, self.format, lines).await,
            None => Ok(Report::Bytes(lines)),
        }
    }
}

async fn write_file(
    path: PathBuf,
    format: ExportFormat,
    mut lines: ResultStream<Bytes>,
) -> Result<Report, Failure> {
    let failed = |error| Failure::file(&path, error);
    let mut out = std::io::BufWriter::new(private_file::create(&path).map_err(failed)?);
    let mut written = 0;
    while let Some(line) = lines.try_next().await? {
        out.write_all(&line).map_err(failed)?;
        written += 1;
    }
    out.flush().map_err(failed)?;
    let headers = u64::from(format == ExportFormat::Csv);
    let (file, tickets) = (path.clone(), written - headers);
    Report::object(&WrittenExport { file, tickets })
}

/// A line of NDJSON as a record of the table.
fn to_record(line: &str) -> Result<Bytes, Failure> {
    let invalid =
        |error: serde_json::Error| Failure::invalid("the export", format!("cannot be read: {error}"));
    let TicketListing {
        ticket,
        holder_name,
        order_ref,
        media,
    } = serde_json::from_str(line).map_err(invalid)?;
    let Seat { block, row, number } = ticket.seat.unwrap_or_default();
    let part = |part: Option<SeatPart>| part.map(|part| part.to_string());
    let media = media.filter(|media| !media.is_empty());
    record(&[
        Some(ticket.code.to_string()),
        Some(ticket.id.to_string()),
        Some(ticket.status.as_str().to_owned()),
        ticket.ticket_class.map(|class| class.to_string()),
        ticket.gate_ids.as_ref().map(crate::output::json).transpose()?,
        part(block),
        part(row),
        part(number),
        ticket.valid_from.map(|time| time.to_string()),
        ticket.valid_until.map(|time| time.to_string()),
        Some(ticket.entry_limit.to_string()),
        ticket.note.map(|note| note.to_string()),
        holder_name.map(|name| name.to_string()),
        order_ref.map(|order| order.to_string()),
        media.as_ref().map(crate::output::json).transpose()?,
    ])
}

fn record(cells: &[Option<impl AsRef<str>>; COLUMNS.len()]) -> Result<Bytes, Failure> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let cells = cells.iter().map(|cell| cell.as_ref().map_or("", AsRef::as_ref));
    writer.write_record(cells).map_err(std::io::Error::from)?;
    let bytes = writer.into_inner().map_err(csv::IntoInnerError::into_error)?;
    Ok(bytes.into())
}
