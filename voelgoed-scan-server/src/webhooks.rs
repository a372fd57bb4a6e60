//! Sends webhooks. A worker serves one webhook; this file starts a worker for each webhook that has something to send.
//!
//! Invariants:
//! - A receiver that hangs or fails occupies its own worker, and places that its worker does not need ([`places`]). No other
//!   webhook waits for it, and no scan does.
//! - The database says what may be sent: a delivery is leased by one node, and those of one ticket keep their order.
//! - A stop finishes the attempts under way, or gives their leases up.

mod attempt;
mod concurrency;
mod connector;
mod places;
mod tls;
mod worker;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use voelgoed_scan_core::node::Scanner;
use voelgoed_scan_core::store::WebhookKey;

use crate::clock::Clock;
use crate::metrics::WebhookMetrics;
use attempt::Sender;
use places::Places;
pub use tls::WebhookTlsError;
use worker::Worker;

/// How often due deliveries are looked for. Those that this node enqueues are sent at once.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The pause after a look. Deliveries that are enqueued meanwhile are found together.
const MIN_INTERVAL: Duration = Duration::from_millis(20);

/// How often the pending deliveries are counted.
const COUNT_INTERVAL: Duration = Duration::from_secs(10);

/// How long a stop waits for the attempts under way.
const STOP_TIMEOUT: Duration = Duration::from_secs(4);

/// How long it then waits until their leases are given up.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(2);

/// How webhooks are sent.
pub(crate) struct WebhookSettings {
    /// Whether they may go to addresses that are not those of the public Internet, and without TLS.
    pub(crate) allow_private: bool,
    /// A PEM file with certificate authorities that are trusted besides the public ones.
    pub(crate) tls_ca: Option<std::path::PathBuf>,
}

/// What the workers share.
struct Shared {
    scanner: Scanner,
    clock: Clock,
    metrics: WebhookMetrics,
    sender: Sender,
    places: Places,
    /// Cancelled when the server stops.
    stopping: CancellationToken,
}

/// Tells a worker that its webhook has deliveries.
#[derive(Default)]
struct Signal {
    is_due: AtomicBool,
    changed: Notify,
}

impl Signal {
    fn set(&self) {
        self.is_due.store(true, Ordering::Release);
        self.changed.notify_one();
    }

    /// Waits until it is set, and resets it.
    async fn wait(&self) {
        while !self.is_due.swap(false, Ordering::AcqRel) {
            self.changed.notified().await;
        }
    }
}

/// The workers that run.
type Workers = Mutex<HashMap<WebhookKey, (Arc<Signal>, AbortHandle)>>;

/// Sends the webhooks of all organizations.
pub(crate) struct WebhookSender {
    shared: Arc<Shared>,
    workers: Arc<Workers>,
    tasks: TaskTracker,
}

impl WebhookSender {
    /// Fails if the certificate authorities cannot be read.
    pub(crate) fn new(
        settings: &WebhookSettings,
        scanner: Scanner,
        clock: Clock,
        stopping: CancellationToken,
    ) -> Result<Self, WebhookTlsError> {
        let shared = Shared {
            scanner,
            clock,
            metrics: WebhookMetrics::new(),
            sender: Sender::new(settings)?,
            places: Places::new(),
            stopping,
        };
        Ok(Self {
            shared: Arc::new(shared),
            workers: Arc::default(),
            tasks: TaskTracker::new(),
        })
    }

    /// Sends until the server stops, and then ends the workers.
    pub(crate) async fn run(self) {
        tokio::select! {
            () = self.look_for_due_webhooks() => {}
            () = self.shared.stopping.cancelled() => {}
        }
        self.tasks.close();
        if timeout(STOP_TIMEOUT + RELEASE_TIMEOUT, self.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!("some webhook deliveries were not given up; another node sends them later");
        }
    }

    /// Starts workers, for ever.
    async fn look_for_due_webhooks(&self) {
        let deliveries = self.shared.scanner.deliveries();
        let webhooks = self.shared.scanner.webhooks();
        let mut polls = interval(POLL_INTERVAL);
        polls.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut next_count = Instant::now();
        loop {
            tokio::select! {
                () = webhooks.enqueued() => {}
                _ = polls.tick() => {}
            }
            match deliveries.due_webhooks().await {
                Ok(due) => due.into_iter().for_each(|webhook| self.start_worker(webhook)),
                Err(error) => tracing::debug!(%error, "due webhooks could not be looked for"),
            }
            if next_count <= Instant::now() {
                next_count = Instant::now() + COUNT_INTERVAL;
                match deliveries.pending().await {
                    Ok(pending) => self.shared.metrics.set_pending(pending),
                    Err(error) => tracing::debug!(%error, "pending deliveries could not be counted"),
                }
            }
            sleep(MIN_INTERVAL).await;
        }
    }

    /// Starts the worker of a webhook, or tells it that it has deliveries.
    fn start_worker(&self, webhook: WebhookKey) {
        let mut workers = self.workers.lock();
        if let Some((signal, task)) = workers.get(&webhook)
            && !task.is_finished()
        {
            signal.set();
            return;
        }
        let signal = Arc::new(Signal::default());
        let worker = Worker::new(webhook, Arc::clone(&self.shared), Arc::clone(&signal));
        let all = Arc::clone(&self.workers);
        let task = self.tasks.spawn(async move {
            let mut worker = worker;
            loop {
                worker.run().await;
                let mut workers = all.lock();
                // What was enqueued after the worker found nothing more.
                if worker.has_signal() {
                    continue;
                }
                workers.remove(&webhook);
                return;
            }
        });
        workers.insert(webhook, (signal, task.abort_handle()));
    }
}
