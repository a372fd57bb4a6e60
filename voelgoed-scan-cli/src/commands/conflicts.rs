//! `conflicts`: where did devices and rules, or two devices, disagree?

use clap::Args;
use comfy_table::Cell;
use voelgoed_scan_core::model::EventId;
use voelgoed_scan_core::rules::ConflictKind;
use voelgoed_scan_core::sync::Conflict;

use super::typed::word;
use crate::client::Query;
use crate::desk::Desk;
use crate::failure::Failure;
use crate::output::{Listed, Report};

/// What `conflicts` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
Each line is a scan that lost: double_entry: two devices that could not talk let in one ticket; not_admissible: a \
device let somebody in against the rules; admitted_offline: a device let somebody in whom the server had denied; \
unverified: a scan in quarantine, which admits nobody.

Examples:
  voelgoed-scan conflicts EVENT
  voelgoed-scan conflicts EVENT --kind double_entry --output json | jq -r .ticket_code")]
pub(crate) struct Conflicts {
    /// The event
    event: EventId,
    /// Those of this kind
    #[arg(long, value_parser = word::<ConflictKind>(ConflictKind::STRINGS))]
    kind: Option<ConflictKind>,
}

impl Conflicts {
    pub(super) async fn run(self, desk: &Desk) -> Result<Report, Failure> {
        let mut query = Query::new("/api/v1/scanning/conflicts");
        query.add("event_id", Some(self.event));
        query.add("kind", self.kind);
        Report::list(&desk.client()?.all::<Conflict>(&query.path()).await?)
    }
}

impl Listed for Conflict {
    const HEAD: &'static [&'static str] = &["KIND", "TICKET", "TIMES", "GATES", "DEVICES", "SCAN", "LOST TO"];

    fn cells(&self) -> Vec<Cell> {
        let joined = |texts: Vec<String>| texts.join(" / ");
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        vec![
            Cell::new(self.kind),
            Cell::new(or_dash(self.ticket_code.map(|code| code.to_string()))),
            Cell::new(joined(self.times.iter().map(ToString::to_string).collect())),
            Cell::new(joined(self.gates.iter().map(|gate| gate.name.clone()).collect())),
            Cell::new(joined(
                self.devices.iter().map(|device| device.name.clone()).collect(),
            )),
            Cell::new(self.other_scan_id),
            Cell::new(or_dash(self.winner_scan_id.map(|id| id.to_string()))),
        ]
    }
}
