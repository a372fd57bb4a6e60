//! `scans`: lists and exports the recorded scans.

mod export_csv;

use clap::{Args, Subcommand, ValueEnum};
use voelgoed_scan_core::model::{ScanRecord, ScanResult, TicketCode};

use super::named_rows;
use super::value_parsers::{self, TypedTime, variant};
use crate::client::{Client, Query, lines};
use crate::context::Context;
use crate::env;
use crate::failure::Failure;
use crate::names::{self, NamedDevice, NamedEvent, NamedGate};
use crate::output::Report;

const SCANS: &str = "/api/v1/scanning/scans";

/// The subcommands of `scans`.
#[derive(Debug, Subcommand)]
pub(crate) enum Scans {
    /// List scans, newest first
    #[command(after_help = "\
Examples:
  voelgoed-scan scans list --event 'Summer Night' --gate Main --from '2026-11-22 19:00'
  voelgoed-scan scans list --ticket-code 3KQR-7F92-4M1X-aB0z --limit 500")]
    List {
        /// The filter
        #[command(flatten)]
        filter: Filter,
        /// The maximum number of scans
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: usize,
    },
    /// Export scans as NDJSON or CSV, oldest first, for `replay`
    #[command(after_help = "\
With an owner's or admin's key, each line has a newly signed payload (qr) and can be replayed. With other keys, qr is \
null.

Examples:
  voelgoed-scan scans export --event EVENT > scans.ndjson
  voelgoed-scan scans export --event EVENT --format csv > scans.csv
  voelgoed-scan scans export --result duplicate --from 2026-11-22T18:00:00Z | jq -r .ticket_code")]
    Export {
        /// The filter
        #[command(flatten)]
        filter: Filter,
        /// Format of the lines
        #[arg(long, value_enum, default_value_t = ExportFormat::Ndjson)]
        format: ExportFormat,
    },
}

/// The formats of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// One JSON object a line.
    Ndjson,
    /// Comma-separated values; the first line has the names of the columns.
    Csv,
}

/// The filter of both subcommands.
#[derive(Debug, Args)]
pub(crate) struct Filter {
    /// Only scans of this event
    #[arg(long, env = env::EVENT)]
    event: Option<NamedEvent>,
    /// Only scans at this gate, of all events that have it or of the one given with --event
    #[arg(long)]
    gate: Option<NamedGate>,
    /// Only scans by this device
    #[arg(long)]
    device: Option<NamedDevice>,
    /// Only scans of this ticket
    #[arg(long, value_name = "CODE", value_parser = value_parsers::ticket_code)]
    ticket_code: Option<TicketCode>,
    /// Only scans with this result
    #[arg(long, value_parser = variant::<ScanResult>(ScanResult::STRINGS))]
    result: Option<ScanResult>,
    /// Only scans at or after this time (RFC 3339, or local to the event)
    #[arg(long, value_name = "TIME")]
    from: Option<TypedTime>,
    /// Only scans up to this time (RFC 3339, or local to the event)
    #[arg(long, value_name = "TIME")]
    to: Option<TypedTime>,
}

impl Scans {
    pub(super) async fn run(self, context: &Context) -> Result<Report, Failure> {
        let client = context.client()?;
        match self {
            Self::List { filter, limit } => {
                let scans: Vec<ScanRecord> = client.first(&filter.path(&client).await?, limit).await?;
                named_rows::scans(&client, &scans, context.view).await
            }
            Self::Export { filter, format } => {
                let exported = client
                    .stream(&filter.path(&client).await?, "application/x-ndjson")
                    .await?;
                Ok(Report::Bytes(match format {
                    ExportFormat::Ndjson => exported,
                    ExportFormat::Csv => export_csv::rows(lines(exported)),
                }))
            }
        }
    }
}

impl Filter {
    async fn path(&self, client: &Client) -> Result<String, Failure> {
        let event = names::event_id(client, self.event.as_ref()).await?;
        let mut query = Query::new(SCANS);
        query.add("event_id", event);
        if let Some(gate) = &self.gate {
            query.add("gate_id", Some(gate.id(client, event).await?));
        }
        if let Some(device) = &self.device {
            query.add("device_id", Some(device.id(client).await?));
        }
        query.add("ticket_code", self.ticket_code);
        query.add("result", self.result);
        for (name, time) in [("from", self.from), ("to", self.to)] {
            if let Some(time) = time {
                query.add(name, Some(named_rows::moment(client, time, event).await?));
            }
        }
        Ok(query.path())
    }
}
