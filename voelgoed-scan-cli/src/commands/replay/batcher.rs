//! Reads the lines of a replay and groups them into batches, one sender a batch. Runs on a thread of its own.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use voelgoed_scan_core::model::ScanResult;
use voelgoed_scan_core::sync::RawSyncScan;

use super::journal::LineSet;
use super::past_scan::{NotSent, PastScan};
use super::reader::{InputLine, Reader};
use super::tokens::{SenderId, Tokens};
use crate::env;
use crate::failure::Failure;

/// The maximum number of lines in incomplete batches, as a multiple of the batch size. Beyond it, all incomplete batches
/// are sent.
const MAX_PENDING_BATCHES: usize = 16;

/// A scan of a batch.
pub(super) struct BatchEntry {
    /// The line number.
    pub(super) number: u64,
    /// The original device.
    pub(super) device: Option<String>,
    /// Its result in the file.
    pub(super) recorded: Option<ScanResult>,
    pub(super) scan: RawSyncScan,
}

/// Lines that are sent and recorded together.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) sender: SenderId,
    /// The scans of the request.
    pub(super) scans: Vec<BatchEntry>,
    /// Lines that need no request, with their numbers.
    pub(super) not_sent: Vec<(u64, NotSent)>,
    /// The length of all lines in the file.
    pub(super) bytes: u64,
}

impl Batch {
    fn len(&self) -> usize {
        self.scans.len() + self.not_sent.len()
    }
}

/// Groups lines into batches.
pub(super) struct Batcher {
    pub(super) tokens: Arc<Tokens>,
    pub(super) batch_size: usize,
    pub(super) rate: Option<NonZeroU32>,
    pub(super) stop: CancellationToken,
    pub(super) bar: ProgressBar,
    pub(super) batches: mpsc::Sender<Batch>,
}

impl Batcher {
    /// Reads to the end of the file, or until the replay is stopped, and sends the batches to the channel.
    pub(super) fn run(&self, reader: Reader, done: &LineSet) -> Result<(), Failure> {
        let started = env::monotonic_now();
        let mut incomplete = HashMap::<SenderId, Batch>::new();
        let (mut pending, mut sent) = (0_usize, 0_u64);
        for line in reader {
            let line = line?;
            if self.stop.is_cancelled() {
                return Ok(());
            }
            if done.contains(line.number) {
                self.bar.inc(line.bytes);
                continue;
            }
            let (sender, is_full) = self.add(line, &mut incomplete);
            pending += 1;
            let ready: Vec<SenderId> = if pending >= MAX_PENDING_BATCHES * self.batch_size {
                incomplete.keys().copied().collect()
            } else {
                is_full.then_some(sender).into_iter().collect()
            };
            for batch in ready.iter().filter_map(|sender| incomplete.remove(sender)) {
                pending -= batch.len();
                if !self.pass_on(batch, started, &mut sent) {
                    return Ok(());
                }
            }
        }
        for batch in incomplete.into_values() {
            if !self.pass_on(batch, started, &mut sent) {
                break;
            }
        }
        Ok(())
    }

    /// Adds a line to the batch of its sender. Returns the sender and whether its batch is full.
    fn add(&self, line: InputLine, incomplete: &mut HashMap<SenderId, Batch>) -> (SenderId, bool) {
        let device = line.scan.as_ref().ok().and_then(|scan| scan.device_id.clone());
        let sender = self.tokens.sender(device.as_deref());
        let batch = incomplete.entry(sender).or_default();
        batch.sender = sender;
        batch.bytes += line.bytes;
        let recorded = line.scan.as_ref().ok().and_then(PastScan::recorded_result);
        let scan = line
            .scan
            .map_err(NotSent::Rejected)
            .and_then(|scan| scan.into_sync_scan(line.number, &line.text, sender.is_none()))
            .and_then(|scan| {
                if sender.is_some() || self.tokens.has_fallback() {
                    Ok(scan)
                } else {
                    Err(NotSent::Rejected("its device has no token".to_owned()))
                }
            });
        match scan {
            Ok(scan) => batch.scans.push(BatchEntry {
                number: line.number,
                device,
                recorded,
                scan,
            }),
            Err(not_sent) => batch.not_sent.push((line.number, not_sent)),
        }
        (sender, batch.len() >= self.batch_size)
    }

    /// Waits until the batch is due at this rate, then sends it to the channel. Returns `false` where the replay was
    /// stopped.
    fn pass_on(&self, batch: Batch, started: Instant, sent: &mut u64) -> bool {
        if let Some(rate) = self.rate {
            let due = started + duration_at(rate, *sent);
            *sent += batch.scans.len() as u64;
            while let Some(wait) = due
                .checked_duration_since(env::monotonic_now())
                .filter(|wait| !wait.is_zero())
            {
                if self.stop.is_cancelled() {
                    return false;
                }
                std::thread::sleep(wait.min(Duration::from_millis(100)));
            }
        }
        self.batches.blocking_send(batch).is_ok()
    }
}

/// The time that this number of scans takes at this rate.
#[expect(clippy::cast_precision_loss, reason = "a number of scans is far below 2^52")]
fn duration_at(rate: NonZeroU32, scans: u64) -> Duration {
    Duration::from_secs_f64(scans as f64 / f64::from(rate.get()))
}
