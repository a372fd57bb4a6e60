//! `conflicts`: lists the scans that lost against another scan or against the rules when they were synced.

use clap::Args;
use comfy_table::Cell;
use voelgoed_scan_core::model::EventId;
use voelgoed_scan_core::rules::ConflictKind;
use voelgoed_scan_core::sync::Conflict;

use super::value_parsers::variant;
use crate::client::Query;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{Report, TableRow};

/// The arguments of `conflicts`.
#[derive(Debug, Args)]
#[command(after_help = "\
Each line is a scan that lost. Its kind is one of:
  double_entry      two offline devices admitted the same ticket
  not_admissible    a device admitted against the rules
  admitted_offline  a device admitted a person whom the server had denied
  unverified        the scan is in quarantine and does not count as an admission

Examples:
  voelgoed-scan conflicts EVENT
  voelgoed-scan conflicts EVENT --kind double_entry --output json | jq -r .ticket_code")]
pub(crate) struct Conflicts {
    /// The event
    event: EventId,
    /// Only conflicts of this kind
    #[arg(long, value_parser = variant::<ConflictKind>(ConflictKind::STRINGS))]
    kind: Option<ConflictKind>,
}

impl Conflicts {
    pub(super) async fn run(self, context: &Context) -> Result<Report, Failure> {
        let mut query = Query::new("/api/v1/scanning/conflicts");
        query.add("event_id", Some(self.event));
        query.add("kind", self.kind);
        Report::list(&context.client()?.all::<Conflict>(&query.path()).await?)
    }
}

impl TableRow for Conflict {
    const COLUMNS: &'static [&'static str] =
        &["KIND", "TICKET", "TIMES", "GATES", "DEVICES", "SCAN", "LOST TO"];

    fn cells(&self) -> Vec<Cell> {
        let join = |texts: Vec<String>| texts.join(" / ");
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        vec![
            Cell::new(self.kind),
            Cell::new(or_dash(self.ticket_code.map(|code| code.to_string()))),
            Cell::new(join(self.times.iter().map(ToString::to_string).collect())),
            Cell::new(join(self.gates.iter().map(|gate| gate.name.clone()).collect())),
            Cell::new(join(
                self.devices.iter().map(|device| device.name.clone()).collect(),
            )),
            Cell::new(self.other_scan_id),
            Cell::new(or_dash(self.winner_scan_id.map(|id| id.to_string()))),
        ]
    }
}
