//! Metrics of the sender of webhooks.

use metrics::{Counter, Gauge, Unit};
use voelgoed_scan_core::store::Settlement;

const DELIVERIES: &str = "voelgoed_scan_webhook_deliveries_total";
const PENDING: &str = "voelgoed_scan_webhook_pending";

/// The metrics of the sender of webhooks.
pub(crate) struct WebhookMetrics {
    delivered: Counter,
    retried: Counter,
    failed: Counter,
    pending: Gauge,
}

impl WebhookMetrics {
    pub(crate) fn new() -> Self {
        let counter = |outcome: &'static str| metrics::counter!(DELIVERIES, "outcome" => outcome);
        Self {
            delivered: counter("delivered"),
            retried: counter("retried"),
            failed: counter("failed"),
            pending: metrics::gauge!(PENDING),
        }
    }

    /// Counts an attempt by what follows from it.
    pub(crate) fn count_attempt(&self, settlement: Settlement) {
        match settlement {
            Settlement::Delivered => self.delivered.increment(1),
            Settlement::Retry(_) => self.retried.increment(1),
            Settlement::Failed | Settlement::Gone => self.failed.increment(1),
            Settlement::Released => {}
        }
    }

    /// Shows how many deliveries are pending.
    #[expect(clippy::cast_precision_loss, reason = "a count of rows is less than 2^53")]
    pub(crate) fn set_pending(&self, pending: u64) {
        self.pending.set(pending as f64);
    }
}

pub(super) fn describe() {
    metrics::describe_counter!(
        DELIVERIES,
        Unit::Count,
        "Attempts to send a webhook, by outcome: delivered, retried (it will be sent again) or failed (it will not)."
    );
    metrics::describe_gauge!(
        PENDING,
        Unit::Count,
        "Webhook deliveries of all organizations that are to be sent, now or later. All nodes show the same number."
    );
}
