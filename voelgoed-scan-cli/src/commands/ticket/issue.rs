//! `ticket issue`: creates new tickets, draws their QR codes and prints them on sheets.

use std::io::Write as _;
use std::num::{NonZeroU8, NonZeroU32};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use comfy_table::Cell;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use voelgoed_scan_core::model::{
    ClassName, Event, EventId, GateId, KeyFormat, Seat, SeatPart, TicketCode, TicketId,
};

use super::super::value_parsers::variant;
use super::import::import_tickets;
use super::sheet::{self, PerPage, SheetFont, SheetTicket};
use crate::client::Client;
use crate::context::Context;
use crate::env;
use crate::failure::Failure;
use crate::names::{NamedEvent, NamedGate};
use crate::output::{Report, TableRow};
use crate::private_file;
use crate::progress;

/// The number of QR codes that are fetched concurrently.
const MAX_CONCURRENT: usize = 8;

/// The arguments of `ticket issue`.
#[derive(Debug, Args)]
#[command(after_help = "\
With --qr-dir, each ticket's QR code is written to a file named after its code. With --sheet, the tickets are printed on \
A4 pages to be cut. A code or its QR code is as good as the ticket: keep them secret. Only their owner may read the files.

Examples:
  voelgoed-scan ticket issue --event EVENT --count 50
  voelgoed-scan ticket issue --event EVENT --count 10 --class VIP --qr-dir vip --as png
  voelgoed-scan ticket issue --event EVENT --count 1 --entry-limit 4 --format vg2 --qr-dir family
  voelgoed-scan ticket issue --event EVENT --count 40 --class Press --sheet press.pdf --per-page 8
  voelgoed-scan ticket issue --event EVENT --count 20 --seat-block A --seat-row 10 --first-seat 1 --sheet row10.pdf")]
#[command(group = clap::ArgGroup::new("drawing").multiple(true))]
pub(crate) struct Issue {
    /// The event that the tickets are for
    #[arg(long, env = env::EVENT)]
    event: NamedEvent,
    /// The number of tickets
    #[arg(long, value_name = "N")]
    count: NonZeroU32,
    /// Their ticket class
    #[arg(long, value_name = "NAME")]
    class: Option<ClassName>,
    /// How many people each ticket admits [default: 1]
    #[arg(long, value_name = "N")]
    entry_limit: Option<NonZeroU8>,
    /// A gate that admits them; can be given several times [default: all gates]
    #[arg(long = "gate", value_name = "GATE")]
    gates: Vec<NamedGate>,
    /// Write each ticket's QR code into this folder
    #[arg(long, value_name = "DIR", group = "drawing")]
    qr_dir: Option<PathBuf>,
    /// Format of the files
    #[arg(long = "as", value_enum, default_value_t = FileFormat::Svg, requires = "qr_dir")]
    file_format: FileFormat,
    /// Format of the payloads: vg1 is small, vg2 can be verified with a public key
    #[arg(long, default_value = "vg1", value_parser = variant::<KeyFormat>(KeyFormat::STRINGS), requires = "drawing")]
    format: KeyFormat,
    /// Print the tickets on the pages of this PDF file
    #[arg(long, value_name = "FILE.pdf", group = "drawing")]
    sheet: Option<PathBuf>,
    /// The number of tickets on a page
    #[arg(long, value_enum, default_value_t = PerPage::Four, requires = "sheet")]
    per_page: PerPage,
    /// The font of the sheet, a TrueType or OpenType file [default: one with Latin, Greek, Cyrillic, Hebrew and Arabic]
    #[arg(long, value_name = "FILE", requires = "sheet")]
    font: Option<PathBuf>,
    /// The block of their seats
    #[arg(long, value_name = "TEXT")]
    seat_block: Option<SeatPart>,
    /// The row of their seats
    #[arg(long, value_name = "TEXT")]
    seat_row: Option<SeatPart>,
    /// The number of the first ticket's seat; the others follow it
    #[arg(long, value_name = "N")]
    first_seat: Option<u32>,
}

/// The formats of a QR file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FileFormat {
    /// Scalable Vector Graphics.
    Svg,
    /// Portable Network Graphics.
    Png,
}

impl FileFormat {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Svg => "svg",
            Self::Png => "png",
        }
    }
}

/// A line of the import.
#[derive(Clone, Serialize)]
struct NewTicket {
    #[serde(skip_serializing_if = "Option::is_none")]
    ticket_class: Option<ClassName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entry_limit: Option<NonZeroU8>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    gate_ids: Vec<GateId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seat: Option<Seat>,
}

/// An issued ticket.
#[derive(Serialize)]
struct IssuedTicket {
    code: TicketCode,
    id: TicketId,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sheet: Option<PathBuf>,
}

impl TableRow for IssuedTicket {
    const COLUMNS: &'static [&'static str] = &["CODE", "ID", "FILE"];

    fn cells(&self) -> Vec<Cell> {
        let file = self
            .file
            .as_ref()
            .or(self.sheet.as_ref())
            .map_or_else(|| "-".to_owned(), |file| file.display().to_string());
        vec![Cell::new(self.code), Cell::new(self.id), Cell::new(file)]
    }
}

/// A sheet that is to be written once the tickets exist.
struct Sheet<'a> {
    id: EventId,
    path: &'a Path,
    file: std::fs::File,
    font: SheetFont,
    /// The event's name, and when it starts.
    event: Vec<String>,
}

impl Issue {
    pub(super) async fn run(self, context: &Context) -> Result<Report, Failure> {
        let client = context.client()?;
        // Create the folder and the sheet first: an error must come before the tickets exist.
        if let Some(dir) = &self.qr_dir {
            std::fs::create_dir_all(dir).map_err(|error| Failure::file(dir, error))?;
        }
        let event = self.event.id(&client).await?;
        let sheet = match &self.sheet {
            Some(path) => Some(self.begin_sheet(&client, event, path).await?),
            None => None,
        };
        let mut issued = self.issue(&client, event).await?;
        if let Some(dir) = &self.qr_dir {
            let bar = progress::items(u64::from(self.count.get()), context.quiet);
            issued = stream::iter(issued)
                .map(|ticket| self.draw(&client, event, dir, ticket))
                .buffered(MAX_CONCURRENT)
                .inspect(|_| bar.inc(1))
                .try_collect()
                .await?;
            bar.finish_and_clear();
        }
        if let Some(sheet) = sheet {
            self.write_sheet(&client, sheet, &mut issued, context.quiet)
                .await?;
        }
        Report::list(&issued)
    }

    async fn issue(&self, client: &Client, event: EventId) -> Result<Vec<IssuedTicket>, Failure> {
        let mut gate_ids = Vec::with_capacity(self.gates.len());
        for gate in &self.gates {
            gate_ids.push(gate.id(client, Some(event)).await?);
        }
        let mut lines = Vec::new();
        for at in 0..self.count.get() {
            lines.push(crate::output::json(&NewTicket {
                ticket_class: self.class.clone(),
                entry_limit: self.entry_limit,
                gate_ids: gate_ids.clone(),
                seat: self.seat(at)?,
            })?);
        }
        let tickets = import_tickets(client, event, lines.into_iter()).await?;
        let issued = tickets.into_iter().map(|ticket| IssuedTicket {
            code: ticket.code,
            id: ticket.id,
            file: None,
            sheet: None,
        });
        Ok(issued.collect())
    }

    /// The seat of the ticket at this place, from 0.
    fn seat(&self, at: u32) -> Result<Option<Seat>, Failure> {
        let number = self.first_seat.map(|first| u64::from(first) + u64::from(at));
        let number = number
            .map(|number| number.to_string().parse::<SeatPart>())
            .transpose();
        let number = number.map_err(|error| Failure::invalid("the number of a seat", error))?;
        let (block, row) = (self.seat_block.clone(), self.seat_row.clone());
        let is_given = block.is_some() || row.is_some() || number.is_some();
        Ok(is_given.then_some(Seat { block, row, number }))
    }

    async fn payload(
        &self,
        client: &Client,
        event: EventId,
        code: TicketCode,
        rendering: &str,
    ) -> Result<bytes::Bytes, Failure> {
        let format = self.format;
        let path = format!("/api/v1/events/{event}/tickets/{code}/qr?format={format}&as={rendering}");
        client.get_bytes(&path).await
    }

    async fn draw(
        &self,
        client: &Client,
        event: EventId,
        dir: &Path,
        ticket: IssuedTicket,
    ) -> Result<IssuedTicket, Failure> {
        let extension = self.file_format.as_str();
        let bytes = self.payload(client, event, ticket.code, extension).await?;
        let file = dir.join(format!("{}.{extension}", ticket.code));
        private_file::create(&file)
            .and_then(|mut created| created.write_all(&bytes))
            .map_err(|error| Failure::file(&file, error))?;
        Ok(IssuedTicket {
            file: Some(file),
            ..ticket
        })
    }

    /// Checks that the sheet can be printed and written.
    async fn begin_sheet<'a>(
        &self,
        client: &Client,
        id: EventId,
        path: &'a Path,
    ) -> Result<Sheet<'a>, Failure> {
        let font = SheetFont::open(self.font.as_deref())?;
        let event: Event = client.get(&format!("/api/v1/events/{id}")).await?;
        let starts_at = event.starts_at.and_then(|time| {
            let time = jiff::Timestamp::from_millisecond(time.as_millis()).ok()?;
            Some(
                time.to_zoned(event.time_zone.zone()?)
                    .strftime("%Y-%m-%d %H:%M")
                    .to_string(),
            )
        });
        let event: Vec<_> = std::iter::once(event.name.to_string()).chain(starts_at).collect();
        for text in &event {
            font.check("the event's name", text)?;
        }
        for text in self.lines(0)? {
            font.check("the ticket", &text)?;
        }
        let file = private_file::create(path).map_err(|error| Failure::file(path, error))?;
        Ok(Sheet {
            id,
            path,
            file,
            font,
            event,
        })
    }

    /// What a ticket says besides its event and its code.
    fn lines(&self, at: u32) -> Result<Vec<String>, Failure> {
        let class = self.class.as_ref().map(ToString::to_string);
        let seat = self.seat(at)?.map(|Seat { block, row, number }| {
            let parts = [("Block", block), ("Row", row), ("Seat", number)];
            let parts = parts
                .into_iter()
                .filter_map(|(name, part)| Some(format!("{name} {}", part?)));
            parts.collect::<Vec<_>>().join(" · ")
        });
        let persons = self.entry_limit.filter(|limit| limit.get() > 1);
        let persons = persons.map(|limit| format!("Admits {limit}"));
        Ok([class, seat, persons].into_iter().flatten().collect())
    }

    async fn write_sheet(
        &self,
        client: &Client,
        sheet: Sheet<'_>,
        issued: &mut [IssuedTicket],
        quiet: bool,
    ) -> Result<(), Failure> {
        let Sheet {
            id,
            path,
            mut file,
            font,
            event,
        } = sheet;
        let bar = progress::items(u64::from(self.count.get()), quiet);
        let codes: Vec<_> = issued.iter().map(|ticket| ticket.code).collect();
        let payloads: Vec<_> = stream::iter(codes.iter().copied())
            .map(|code| self.payload(client, id, code, "text"))
            .buffered(MAX_CONCURRENT)
            .inspect(|_| bar.inc(1))
            .try_collect()
            .await?;
        bar.finish_and_clear();
        let mut tickets = Vec::new();
        for ((at, code), payload) in (0..).zip(codes).zip(payloads) {
            tickets.push(SheetTicket {
                payload: String::from_utf8_lossy(&payload).trim().to_owned(),
                code: code.grouped(),
                lines: self.lines(at)?,
            });
        }
        let pdf = sheet::to_pdf(&event, &tickets, self.per_page, &font)?;
        file.write_all(&pdf).map_err(|error| Failure::file(path, error))?;
        for ticket in issued {
            ticket.sheet = Some(path.to_owned());
        }
        Ok(())
    }
}
