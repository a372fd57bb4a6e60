//! Counts the scans in uploads to this node.

use std::sync::atomic::{AtomicU64, Ordering};

use voelgoed_scan_core::sync::{SyncAnswer, SyncStatus};

use super::health::Exposition;

const SCANS: &str = "voelgoed_scan_sync_scans_total";

/// The scans in uploads by their status, in the order of [`SyncStatus::ALL`].
#[derive(Debug, Default)]
pub(super) struct UploadCounts([AtomicU64; SyncStatus::ALL.len()]);

impl UploadCounts {
    /// Counts the scans of an upload.
    pub(super) fn record(&self, answer: &SyncAnswer) {
        for (status, count) in SyncStatus::ALL.iter().zip(&self.0) {
            let scans = answer.results.iter().filter(|result| result.status == *status);
            count.fetch_add(scans.count() as u64, Ordering::Relaxed);
        }
    }

    /// Appends the counts to a text.
    pub(super) fn render(&self, text: &mut String) {
        let output = &mut Exposition(text);
        output.family(
            SCANS,
            "counter",
            "Scans in uploads to this node, by status: recorded, replayed (known before), rejected or quarantined.",
        );
        for (status, count) in SyncStatus::ALL.iter().zip(&self.0) {
            output.line(format_args!(
                "{SCANS}{{status=\"{}\"}} {}",
                status.as_str(),
                count.load(Ordering::Relaxed)
            ));
        }
    }
}
