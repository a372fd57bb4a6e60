//! Sends the batches of a replay, several concurrently, and adds each to the journal after the server's answer.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use indicatif::ProgressBar;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use voelgoed_scan_core::model::BatchId;
use voelgoed_scan_core::sync::{SyncAnswer, SyncRequest, SyncResult};

use super::ReplayState;
use super::batcher::{Batch, Batcher};
use super::journal::LineSet;
use super::past_scan::NotSent;
use super::reader::Reader;
use super::tokens::Tokens;
use crate::env;
use crate::failure::Failure;

const SYNC: &str = "/api/v1/scanning/sync";

/// The delay before each retry of a batch that got no answer. Further retries use the last one.
const RETRY_DELAYS: [Duration; 5] = [
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
];

/// The maximum number of attempts to send a batch.
const MAX_ATTEMPTS: usize = 25;

/// Sends a file of past scans.
pub(super) struct Sender {
    pub(super) tokens: Arc<Tokens>,
    pub(super) state: Arc<Mutex<ReplayState>>,
    pub(super) bar: ProgressBar,
    pub(super) rate: Option<NonZeroU32>,
    pub(super) concurrency: usize,
    pub(super) batch_size: usize,
    pub(super) stop: CancellationToken,
}

impl Sender {
    /// Sends all lines that are not `done`. Returns whether the end of the file was reached.
    pub(super) async fn send(&self, reader: Reader, done: LineSet) -> Result<bool, Failure> {
        let (sender, receiver) = mpsc::channel(self.concurrency);
        let batcher = Batcher {
            tokens: Arc::clone(&self.tokens),
            // At a low rate, batches are small enough to send about four a second.
            batch_size: self.rate.map_or(self.batch_size, |rate| {
                self.batch_size.min((rate.get() as usize / 4).max(1))
            }),
            rate: self.rate,
            stop: self.stop.clone(),
            bar: self.bar.clone(),
            batches: sender,
        };
        let batching = tokio::task::spawn_blocking(move || batcher.run(reader, &done));
        let stopped = self.stop.clone();
        stream::unfold(receiver, async |mut receiver: mpsc::Receiver<Batch>| {
            let batch = receiver.recv().await?;
            Some((Ok(batch), receiver))
        })
        .take_until(async move { stopped.cancelled().await })
        .try_for_each_concurrent(self.concurrency, |batch| self.send_batch(batch))
        .await?;
        if self.stop.is_cancelled() {
            // The batcher may be blocked in a read of standard input: do not wait for it.
            return Ok(false);
        }
        match batching.await {
            Ok(outcome) => outcome.map(|()| true),
            Err(error) => Err(Failure::invalid("the file", error)),
        }
    }

    /// Sends a batch until the server answers, then records it.
    async fn send_batch(&self, batch: Batch) -> Result<(), Failure> {
        let (results, latency) = if batch.scans.is_empty() {
            (Vec::new(), Duration::ZERO)
        } else {
            match self.request(&batch).await? {
                Some(answer) => answer,
                // Stopped before the answer. If the server has the batch, a later run finds out by its scan ids.
                None => return Ok(()),
            }
        };
        tokio::task::block_in_place(|| self.record(&batch, &results, latency))
    }

    /// Sends the request of a batch, with retries. Returns the results and the latency of the last attempt; `None`
    /// where the replay was stopped.
    async fn request(&self, batch: &Batch) -> Result<Option<(Vec<SyncResult>, Duration)>, Failure> {
        let client = self.tokens.client(batch.sender);
        let mut request = SyncRequest {
            batch_id: BatchId::generate(env::now()),
            sent_at: env::now(),
            scans: batch.scans.iter().map(|entry| entry.scan.clone()).collect(),
            signature: None,
        };
        let _turn = self.tokens.turn(batch.sender).await;
        for attempt in 0.. {
            // The server computes the offset of this machine's clock from it.
            request.sent_at = env::now();
            let started = env::monotonic_now();
            let failure = match client.post::<SyncAnswer>(SYNC, &request).await {
                Ok(answer) if answer.results.len() == batch.scans.len() => {
                    let latency = env::monotonic_now().saturating_duration_since(started);
                    return Ok(Some((answer.results, latency)));
                }
                Ok(answer) => {
                    return Err(Failure::invalid(
                        "the answer",
                        format!(
                            "has results for {} of {} scans",
                            answer.results.len(),
                            batch.scans.len()
                        ),
                    ));
                }
                Err(failure) => failure,
            };
            if !failure.is_transient() || attempt + 1 >= MAX_ATTEMPTS {
                return Err(failure);
            }
            let delay = RETRY_DELAYS
                .get(attempt)
                .or(RETRY_DELAYS.last())
                .copied()
                .unwrap_or_default();
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                () = self.stop.cancelled() => return Ok(None),
            }
        }
        Ok(None)
    }

    /// Counts the results of a batch and writes its rejected lines, then adds all its lines to the journal.
    fn record(&self, batch: &Batch, results: &[SyncResult], latency: Duration) -> Result<(), Failure> {
        let state = &mut *self.state.lock();
        for (entry, result) in batch.scans.iter().zip(results) {
            state.counts.record(
                &entry.scan,
                entry.recorded,
                entry.device.as_deref(),
                result,
                latency,
            );
            if let Some(reason) = rejection(result) {
                state.rejected.write(entry.number, &reason)?;
            }
        }
        for (number, not_sent) in &batch.not_sent {
            match not_sent {
                NotSent::Skipped(reason) => state.counts.skip(*reason),
                NotSent::Rejected(reason) => {
                    state.counts.reject();
                    state.rejected.write(*number, reason)?;
                }
            }
        }
        state.rejected.flush()?;
        let mut numbers: Vec<u64> = batch.scans.iter().map(|entry| entry.number).collect();
        numbers.extend(batch.not_sent.iter().map(|(number, _)| *number));
        numbers.sort_unstable();
        if let Some(journal) = &mut state.journal {
            journal.add(&numbers)?;
        }
        self.bar.inc(batch.bytes);
        self.bar.set_message(state.counts.progress_line());
        Ok(())
    }
}

/// Why the server rejected a scan; `None` where it accepted it.
fn rejection(result: &SyncResult) -> Option<String> {
    if result.errors.is_empty() {
        return result.result.is_none().then(|| result.status.to_string());
    }
    let errors: Vec<_> = result
        .errors
        .iter()
        .map(|error| format!("{} {}", error.pointer, error.message).trim().to_owned())
        .collect();
    Some(errors.join("; "))
}
