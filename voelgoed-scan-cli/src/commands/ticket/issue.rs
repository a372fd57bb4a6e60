//! `ticket issue`: creates new tickets and draws their QR codes.

use std::num::{NonZeroU8, NonZeroU32};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use comfy_table::Cell;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use voelgoed_scan_core::model::{ClassName, EventId, GateId, KeyFormat, TicketCode, TicketId};

use super::super::value_parsers::variant;
use super::import::import_tickets;
use crate::client::Client;
use crate::context::Context;
use crate::env;
use crate::failure::Failure;
use crate::names::{NamedEvent, NamedGate};
use crate::output::{Report, TableRow};
use crate::progress;

/// The number of QR codes that are fetched concurrently.
const MAX_CONCURRENT: usize = 8;

/// The arguments of `ticket issue`.
#[derive(Debug, Args)]
#[command(after_help = "\
With --qr-dir, each ticket's QR code is written to a file named after its code. A code or its QR code is as good as \
the ticket: keep them secret.

Examples:
  voelgoed-scan ticket issue --event EVENT --count 50
  voelgoed-scan ticket issue --event EVENT --count 10 --class VIP --qr-dir vip --as png
  voelgoed-scan ticket issue --event EVENT --count 1 --entry-limit 4 --format vg2 --qr-dir family")]
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
    #[arg(long, value_name = "DIR")]
    qr_dir: Option<PathBuf>,
    /// Format of the files
    #[arg(long = "as", value_enum, default_value_t = FileFormat::Svg, requires = "qr_dir")]
    file_format: FileFormat,
    /// Format of the payloads: vg1 is small, vg2 can be verified with a public key
    #[arg(long, default_value = "vg1", value_parser = variant::<KeyFormat>(KeyFormat::STRINGS), requires = "qr_dir")]
    format: KeyFormat,
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
}

/// An issued ticket.
#[derive(Serialize)]
struct IssuedTicket {
    code: TicketCode,
    id: TicketId,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
}

impl TableRow for IssuedTicket {
    const COLUMNS: &'static [&'static str] = &["CODE", "ID", "FILE"];

    fn cells(&self) -> Vec<Cell> {
        let file = self
            .file
            .as_ref()
            .map_or_else(|| "-".to_owned(), |file| file.display().to_string());
        vec![Cell::new(self.code), Cell::new(self.id), Cell::new(file)]
    }
}

impl Issue {
    pub(super) async fn run(self, context: &Context) -> Result<Report, Failure> {
        let client = context.client()?;
        // Create the folder first: an error must come before the tickets exist.
        if let Some(dir) = &self.qr_dir {
            std::fs::create_dir_all(dir).map_err(|error| Failure::file(dir, error))?;
        }
        let event = self.event.id(&client).await?;
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
        Report::list(&issued)
    }

    async fn issue(&self, client: &Client, event: EventId) -> Result<Vec<IssuedTicket>, Failure> {
        let mut gate_ids = Vec::with_capacity(self.gates.len());
        for gate in &self.gates {
            gate_ids.push(gate.id(client, Some(event)).await?);
        }
        let ticket = NewTicket {
            ticket_class: self.class.clone(),
            entry_limit: self.entry_limit,
            gate_ids,
        };
        let json = crate::output::json(&ticket)?;
        let count = usize::try_from(self.count.get()).unwrap_or(usize::MAX);
        let tickets = import_tickets(client, event, std::iter::repeat_n(json, count)).await?;
        let issued = tickets.into_iter().map(|ticket| IssuedTicket {
            code: ticket.code,
            id: ticket.id,
            file: None,
        });
        Ok(issued.collect())
    }

    async fn draw(
        &self,
        client: &Client,
        event: EventId,
        dir: &Path,
        ticket: IssuedTicket,
    ) -> Result<IssuedTicket, Failure> {
        let (format, extension) = (self.format, self.file_format.as_str());
        let path = format!(
            "/api/v1/events/{event}/tickets/{}/qr?format={format}&as={extension}",
            ticket.code
        );
        let bytes = client.get_bytes(&path).await?;
        let file = dir.join(format!("{}.{extension}", ticket.code));
        tokio::fs::write(&file, &bytes)
            .await
            .map_err(|error| Failure::file(&file, error))?;
        Ok(IssuedTicket {
            file: Some(file),
            ..ticket
        })
    }
}
