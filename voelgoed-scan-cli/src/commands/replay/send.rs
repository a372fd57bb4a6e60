//! How do the scans get there? In batches, several under way at once, each noted once the server has taken it.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, TryStreamExt, stream};
use indicatif::ProgressBar;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use voelgoed_scan_core::model::{BatchId, GateId};
use voelgoed_scan_core::sync::{RawSyncScan, SyncAnswer, SyncRequest, SyncResult};

use super::Ledger;
use super::journal::Lines;
use super::line::Unfit;
use super::read::{Reader, Said};
use super::tokens::{Tokens, Who};
use crate::failure::Failure;
use crate::world;

const SYNC: &str = "/api/v1/scanning/sync";

/// How long a batch that gets no answer rests before each further try; the last of them again and again.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
];

/// How often it is tried.
const TRIES: usize = 25;

/// How many full batches' worth of scans is held back for batches that are not full.
const HELD: usize = 16;

/// Who sends.
pub(super) struct Sender {
    pub(super) tokens: Arc<Tokens>,
    pub(super) ledger: Ledger,
    pub(super) bar: ProgressBar,
    pub(super) rate: Option<NonZeroU32>,
    pub(super) concurrency: usize,
    pub(super) batch: usize,
    pub(super) stop: CancellationToken,
}

/// A scan on its way.
struct Handed {
    number: u64,
    gate: GateId,
    device: Option<String>,
    scan: RawSyncScan,
}

/// What goes together: one request, and lines that need none.
#[derive(Default)]
struct Batch {
    who: Who,
    handed: Vec<Handed>,
    aside: Vec<(u64, Unfit)>,
    bytes: u64,
}

impl Sender {
    /// Sends all lines but those that are done; whether the end of the file was reached.
    pub(super) async fn send(&self, reader: Reader, done: Lines) -> Result<bool, Failure> {
        let (batches, taken) = mpsc::channel(self.concurrency);
        let packer = Packer {
            tokens: Arc::clone(&self.tokens),
            // Small enough that a slow rate moves a few times a second.
            batch: self.rate.map_or(self.batch, |rate| {
                self.batch.min((rate.get() as usize / 4).max(1))
            }),
            rate: self.rate,
            stop: self.stop.clone(),
            bar: self.bar.clone(),
            batches,
        };
        let packing = tokio::task::spawn_blocking(move || packer.pack(reader, &done));
        let stopped = self.stop.clone();
        let sent = stream::unfold(taken, async |mut taken: mpsc::Receiver<Batch>| {
            let batch = taken.recv().await?;
            Some((Ok(batch), taken))
        })
        .take_until(async move { stopped.cancelled().await })
        .try_for_each_concurrent(self.concurrency, |batch| self.one(batch))
        .await;
        sent?;
        if self.stop.is_cancelled() {
            // The reader may still wait for standard input.
            return Ok(false);
        }
        match packing.await {
            Ok(packed) => packed.map(|()| true),
            Err(error) => Err(Failure::unfit("the file", error)),
        }
    }

    /// Sends a batch until the server has taken it, and notes it.
    async fn one(&self, batch: Batch) -> Result<(), Failure> {
        let (results, latency) = if batch.handed.is_empty() {
            (Vec::new(), Duration::ZERO)
        } else {
            match self.ask(&batch).await? {
                Some(answered) => answered,
                // Told to end meanwhile: whatever became of it, the same ids will say.
                None => return Ok(()),
            }
        };
        tokio::task::block_in_place(|| self.note(&batch, &results, latency))
    }

    async fn ask(&self, batch: &Batch) -> Result<Option<(Vec<SyncResult>, Duration)>, Failure> {
        let client = self.tokens.client(batch.who);
        let mut request = SyncRequest {
            batch_id: BatchId::generate(world::now()),
            sent_at: world::now(),
            scans: batch.handed.iter().map(|handed| handed.scan.clone()).collect(),
            signature: None,
        };
        for attempt in 0.. {
            // The server reckons the clock's offset from it.
            request.sent_at = world::now();
            let began = world::stopwatch();
            let failure = match client.post::<SyncAnswer>(SYNC, &request).await {
                Ok(answer) if answer.results.len() == batch.handed.len() => {
                    let latency = world::stopwatch().saturating_duration_since(began);
                    return Ok(Some((answer.results, latency)));
                }
                Ok(answer) => {
                    return Err(Failure::unfit(
                        "the answer",
                        format!("names {} of {} scans", answer.results.len(), batch.handed.len()),
                    ));
                }
                Err(failure) => failure,
            };
            if !failure.is_passing() || attempt + 1 >= TRIES {
                return Err(failure);
            }
            let pause = PAUSES.get(attempt).or(PAUSES.last()).copied().unwrap_or_default();
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.stop.cancelled() => return Ok(None),
            }
        }
        Ok(None)
    }

    /// Counts what became of a batch, writes down what was not taken, and then notes that it is done.
    fn note(&self, batch: &Batch, results: &[SyncResult], latency: Duration) -> Result<(), Failure> {
        self.ledger.with(|open| {
            for (handed, result) in batch.handed.iter().zip(results) {
                open.count
                    .take(handed.gate, handed.device.as_deref(), result, latency);
                if !result.errors.is_empty() || result.result.is_none() {
                    let reasons: Vec<_> = result
                        .errors
                        .iter()
                        .map(|fault| format!("{} {}", fault.pointer, fault.message).trim().to_owned())
                        .collect();
                    let reason = if reasons.is_empty() {
                        result.status.to_string()
                    } else {
                        reasons.join("; ")
                    };
                    open.refused.write(handed.number, &reason)?;
                }
            }
            for (number, unfit) in &batch.aside {
                match unfit {
                    Unfit::Skipped(why) => open.count.skip(*why),
                    Unfit::Rejected(reason) => {
                        open.count.reject();
                        open.refused.write(*number, reason)?;
                    }
                }
            }
            open.refused.flush()?;
            let mut numbers: Vec<u64> = batch.handed.iter().map(|handed| handed.number).collect();
            numbers.extend(batch.aside.iter().map(|(number, _)| *number));
            numbers.sort_unstable();
            if let Some(journal) = &mut open.journal {
                journal.note(&numbers)?;
            }
            self.bar.inc(batch.bytes);
            self.bar.set_message(open.count.line());
            Ok(())
        })
    }
}

/// Reads lines and packs them into batches, on a thread of its own.
struct Packer {
    tokens: Arc<Tokens>,
    batch: usize,
    rate: Option<NonZeroU32>,
    stop: CancellationToken,
    bar: ProgressBar,
    batches: mpsc::Sender<Batch>,
}

impl Packer {
    fn pack(&self, reader: Reader, done: &Lines) -> Result<(), Failure> {
        let began = world::stopwatch();
        let (mut open, mut held, mut sent) = (HashMap::<Who, Batch>::new(), 0_usize, 0_u64);
        for said in reader {
            let said = said?;
            if self.stop.is_cancelled() {
                return Ok(());
            }
            if done.contains(said.number) {
                self.bar.inc(said.bytes);
                continue;
            }
            let (who, full) = self.add(said, &mut open);
            held += 1;
            let due: Vec<Who> = if held >= HELD * self.batch {
                open.keys().copied().collect()
            } else {
                full.then_some(who).into_iter().collect()
            };
            for batch in due.iter().filter_map(|who| open.remove(who)) {
                held -= batch.handed.len() + batch.aside.len();
                if !self.hand_over(batch, began, &mut sent) {
                    return Ok(());
                }
            }
        }
        for batch in open.into_values() {
            if !self.hand_over(batch, began, &mut sent) {
                break;
            }
        }
        Ok(())
    }

    /// Puts a line into the batch of its sender; whether that is full.
    fn add(&self, said: Said, open: &mut HashMap<Who, Batch>) -> (Who, bool) {
        let device = said.past.as_ref().ok().and_then(|past| past.device_id.clone());
        let who = self.tokens.who(device.as_deref());
        let batch = open.entry(who).or_default();
        batch.who = who;
        batch.bytes += said.bytes;
        let scan = said
            .past
            .map_err(Unfit::Rejected)
            .and_then(|past| past.handed_in(said.number, &said.text, who.is_none()))
            .and_then(|scan| {
                if who.is_some() || self.tokens.has_fallback() {
                    Ok(scan)
                } else {
                    Err(Unfit::Rejected("its device has no token".to_owned()))
                }
            });
        match scan {
            Ok(scan) => batch.handed.push(Handed {
                number: said.number,
                gate: scan.gate_id,
                device,
                scan,
            }),
            Err(unfit) => batch.aside.push((said.number, unfit)),
        }
        (who, batch.handed.len() + batch.aside.len() >= self.batch)
    }

    /// Hands a batch to those who send, when it is due; false where nobody takes it any more.
    fn hand_over(&self, batch: Batch, began: Instant, sent: &mut u64) -> bool {
        if let Some(rate) = self.rate {
            let due = began + Duration::from_secs_f64(to_seconds(*sent) / f64::from(rate.get()));
            *sent += batch.handed.len() as u64;
            while let Some(wait) = due
                .checked_duration_since(world::stopwatch())
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

#[expect(clippy::cast_precision_loss, reason = "a number of scans, far below 2^52")]
const fn to_seconds(scans: u64) -> f64 {
    scans as f64
}
