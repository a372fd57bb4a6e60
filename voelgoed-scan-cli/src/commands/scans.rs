//! `scans`: what happened at the gates?

use clap::{Args, Subcommand};
use voelgoed_scan_core::model::{DeviceId, EventId, GateId, ScanRecord, ScanResult, TicketCode, Timestamp};

use super::typed::{self, word};
use crate::client::Query;
use crate::desk::Desk;
use crate::failure::Failure;
use crate::output::Report;

const SCANS: &str = "/api/v1/scanning/scans";

/// The audit trail.
#[derive(Debug, Subcommand)]
pub(crate) enum Scans {
    /// List scans, newest first
    #[command(after_help = "\
Examples:
  voelgoed-scan scans list --event EVENT
  voelgoed-scan scans list --ticket-code 3KQR-7F92-4M1X-aB0z --limit 500")]
    List {
        /// Which ones
        #[command(flatten)]
        filter: Filter,
        /// The most that are listed
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: usize,
    },
    /// Write all scans out, oldest first, as NDJSON that `replay` reads
    #[command(after_help = "\
Owner and admin get each payload signed afresh (qr) and can replay the file; for others qr is null.

Examples:
  voelgoed-scan scans export --event EVENT > scans.ndjson
  voelgoed-scan scans export --result duplicate --from 2026-11-22T18:00:00Z | jq -r .ticket_code")]
    Export {
        /// Which ones
        #[command(flatten)]
        filter: Filter,
    },
}

/// Which scans.
#[derive(Debug, Args)]
pub(crate) struct Filter {
    /// Those of this event
    #[arg(long)]
    event: Option<EventId>,
    /// Those at this gate
    #[arg(long)]
    gate: Option<GateId>,
    /// Those by this device (its UUID)
    #[arg(long)]
    device: Option<DeviceId>,
    /// Those of this ticket
    #[arg(long, value_name = "CODE", value_parser = typed::code)]
    ticket_code: Option<TicketCode>,
    /// Those with this result
    #[arg(long, value_parser = word::<ScanResult>(ScanResult::STRINGS))]
    result: Option<ScanResult>,
    /// Those from this time on (RFC 3339)
    #[arg(long, value_name = "TIME")]
    from: Option<Timestamp>,
    /// Those up to this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    to: Option<Timestamp>,
}

impl Scans {
    pub(super) async fn run(self, desk: &Desk) -> Result<Report, Failure> {
        let client = desk.client()?;
        match self {
            Self::List { filter, limit } => {
                Report::list(&client.some::<ScanRecord>(&filter.path(), limit).await?)
            }
            Self::Export { filter } => Ok(Report::Bytes(
                client.stream(&filter.path(), "application/x-ndjson").await?,
            )),
        }
    }
}

impl Filter {
    fn path(&self) -> String {
        let mut query = Query::new(SCANS);
        query.add("event_id", self.event);
        query.add("gate_id", self.gate);
        query.add("device_id", self.device);
        query.add("ticket_code", self.ticket_code);
        query.add("result", self.result);
        query.add("from", self.from);
        query.add("to", self.to);
        query.path()
    }
}
