//! `undo`: undoes an admission that was a mistake.

use clap::Args;
use voelgoed_scan_core::model::{ReasonText, ScanId, ScanRecord, UndoRequest};

use super::scan::retried;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::Report;

/// The arguments of `undo`.
#[derive(Debug, Args)]
#[command(after_help = "\
Undoes an open admission: nobody left on it. The record stays and is marked; the ticket admits again. Owner, admin and staff may \
undo any, a device its own within 15 minutes. A repetition changes nothing. `scans list` shows the ids of scans.

Examples:
  voelgoed-scan undo 0192f0c1-7a4e-7000-8000-000000000005 --reason 'the wrong person'")]
pub(crate) struct Undo {
    /// The scan
    #[arg(value_name = "SCAN")]
    scan: ScanId,
    /// Why it is undone
    #[arg(long)]
    reason: ReasonText,
}

impl Undo {
    pub(super) async fn run(self, context: &Context) -> Result<Report, Failure> {
        let client = context.client()?;
        let path = format!("/api/v1/scanning/scans/{}/undo", self.scan);
        let record: ScanRecord = retried(&client, &path, &UndoRequest { reason: self.reason }).await?;
        let mut shown =
            serde_json::to_value(&record).map_err(|error| Failure::invalid("the answer", error))?;
        if let (Some(code), Some(shown)) = (record.ticket_code, shown.get_mut("ticket_code")) {
            *shown = context.view.code(code).into();
        }
        Report::object_shown(&record, &shown)
    }
}
