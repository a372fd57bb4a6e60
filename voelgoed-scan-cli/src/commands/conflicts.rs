//! `conflicts`: lists the scans that lost against another scan or against the rules when they were synced.

use clap::Args;
use voelgoed_scan_core::rules::ConflictKind;
use voelgoed_scan_core::sync::Conflict;

use super::named_rows;
use super::value_parsers::variant;
use crate::client::Query;
use crate::context::Context;
use crate::env;
use crate::failure::Failure;
use crate::names::NamedEvent;
use crate::output::Report;

/// The arguments of `conflicts`.
#[derive(Debug, Args)]
#[command(after_help = "\
Each line is a scan that lost. Its kind is one of:
  double_entry           the entry is past what its ticket allows: another scan admitted, too
  not_admissible         a device admitted a person against the rules
  admitted_offline       the server denied the scan, but its answer did not reach the device, which
                         admitted the person
  let_in_despite_status  a device admitted a ticket that was voided, refunded or marked as used
  unverified             the scan is in quarantine and admits nobody, or its number in its log
                         belongs to another scan

Examples:
  voelgoed-scan conflicts EVENT
  voelgoed-scan conflicts EVENT --kind double_entry --output json | jq -r .ticket_code")]
pub(crate) struct Conflicts {
    /// The event
    #[arg(env = env::EVENT)]
    event: NamedEvent,
    /// Only conflicts of this kind
    #[arg(long, value_parser = variant::<ConflictKind>(ConflictKind::STRINGS))]
    kind: Option<ConflictKind>,
}

impl Conflicts {
    pub(super) async fn run(self, context: &Context) -> Result<Report, Failure> {
        let client = context.client()?;
        let event = self.event.id(&client).await?;
        let mut query = Query::new("/api/v1/scanning/conflicts");
        query.add("event_id", Some(event));
        query.add("kind", self.kind);
        let conflicts: Vec<Conflict> = client.all(&query.path()).await?;
        named_rows::conflicts(&client, event, &conflicts, context.view).await
    }
}
