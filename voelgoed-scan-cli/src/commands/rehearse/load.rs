//! How do the simulated devices scan? At a fixed rate, or each as fast as it is answered.
//!
//! Invariants: a device asks one thing at a time. At a fixed rate the moments at which scans are due are laid down
//! before the run, nothing that the server does moves them, and latency counts from them: waiting is never left out.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use indicatif::ProgressBar;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use voelgoed_scan_core::model::{ScanId, Timestamp};

use super::share::Share;
use super::stage::Made;
use super::tally::{Live, Score};
use super::wire::{Address, Line};
use crate::failure::Failure;
use crate::world;

/// How long answers that are overdue at the end are waited for.
const GRACE: Duration = Duration::from_secs(10);

/// How late the operating system wakes a sleeper, by experience: it is asked for that much earlier.
const SLACK: Duration = Duration::from_micros(50);

/// How fast.
#[derive(Debug, Clone, Copy)]
pub(super) enum Pace {
    /// So many scans a second, whatever happens.
    Open(NonZeroU32),
    /// The next once the last is answered.
    Closed,
}

/// What is to be done.
pub(super) struct Plan {
    pub(super) address: Arc<Address>,
    pub(super) made: Arc<Made>,
    pub(super) pace: Pace,
    pub(super) duplicates: Share,
    pub(super) warm_up: Duration,
    pub(super) duration: Duration,
}

/// What is sent.
#[derive(Serialize)]
struct Ask<'a> {
    qr: &'a str,
    scan_id: ScanId,
    scanned_at: Timestamp,
}

/// The tickets, dealt out: each fresh one once, the others over and over.
struct Deck {
    made: Arc<Made>,
    duplicates: Share,
    asked: AtomicU64,
    fresh: AtomicU64,
}

impl Deck {
    /// The payload of the next scan; `None` where the fresh tickets have run out.
    fn next(&self) -> Option<&str> {
        let n = self.asked.fetch_add(1, Ordering::Relaxed);
        let pile = &self.made.seen;
        if self.duplicates.has(n) && !pile.is_empty() {
            let at = usize::try_from(n).unwrap_or(usize::MAX) % pile.len();
            return pile.get(at).map(String::as_str);
        }
        let at = self.fresh.fetch_add(1, Ordering::Relaxed);
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        self.made.fresh.get(at).map(String::as_str)
    }
}

/// One simulated device.
struct Device {
    line: Line,
    address: Arc<Address>,
    score: Score,
    live: Arc<Live>,
}

impl Device {
    /// Scans once; its latency counts from `from`.
    async fn scan(&mut self, payload: &str, from: Instant, counts: bool) {
        let now = world::now();
        let ask = Ask {
            qr: payload,
            scan_id: ScanId::generate(now),
            scanned_at: now,
        };
        let Ok(body) = serde_json::to_vec(&ask).map(Bytes::from) else {
            return;
        };
        let mut answer = self.line.ask(&self.address, body.clone()).await;
        if answer.is_err() {
            // A connection that lay idle may be gone; the scan's id makes asking again harmless.
            answer = self.line.ask(&self.address, body).await;
        }
        let latency = world::stopwatch().saturating_duration_since(from);
        let good = self.score.take(answer.as_ref(), latency, counts);
        self.live.add(good);
    }
}

/// Plays a plan to its end, or until `stop`.
pub(super) async fn run(plan: Plan, bar: &ProgressBar, stop: CancellationToken) -> Result<Score, Failure> {
    let live = Arc::new(Live::default());
    let mut devices = Vec::with_capacity(plan.made.tokens.len());
    for token in &plan.made.tokens {
        let mut line = Line::new(token)?;
        // A server that cannot be reached shows in the first scans.
        let _ = line.warm(&plan.address).await;
        devices.push(Device {
            line,
            address: Arc::clone(&plan.address),
            score: Score::new(),
            live: Arc::clone(&live),
        });
    }
    let deck = Arc::new(Deck {
        made: Arc::clone(&plan.made),
        duplicates: plan.duplicates,
        asked: AtomicU64::new(0),
        fresh: AtomicU64::new(0),
    });
    let start = world::stopwatch();
    let count_from = start + plan.warm_up;
    let end = count_from + plan.duration;
    let showing = tokio::spawn(live.show(bar.clone(), plan.warm_up + plan.duration));
    let mut playing = match plan.pace {
        Pace::Closed => closed(devices, &deck, count_from, end, &stop),
        Pace::Open(rate) => {
            let (playing, lines) = open(devices, &deck, count_from, end, &stop);
            let stop = stop.clone();
            tokio::task::spawn_blocking(move || pace(rate, start, end, &lines, &stop));
            playing
        }
    };
    let mut score = Score::new();
    while let Some(one) = playing.join_next().await {
        if let Ok(one) = one {
            score.add(&one);
        }
    }
    showing.abort();
    // To the last answer: what came late took that long.
    score.seconds = world::stopwatch()
        .saturating_duration_since(count_from)
        .as_secs_f64();
    Ok(score)
}

fn closed(
    devices: Vec<Device>,
    deck: &Arc<Deck>,
    count_from: Instant,
    end: Instant,
    stop: &CancellationToken,
) -> JoinSet<Score> {
    let mut playing = JoinSet::new();
    for mut device in devices {
        let (deck, stop) = (Arc::clone(deck), stop.clone());
        playing.spawn(async move {
            loop {
                let from = world::stopwatch();
                if from >= end || stop.is_cancelled() {
                    break;
                }
                let Some(payload) = deck.next() else {
                    device.score.ran_out = true;
                    break;
                };
                device.scan(payload, from, from >= count_from).await;
            }
            device.score
        });
    }
    playing
}

type Calls = Vec<mpsc::UnboundedSender<Instant>>;

fn open(
    devices: Vec<Device>,
    deck: &Arc<Deck>,
    count_from: Instant,
    end: Instant,
    stop: &CancellationToken,
) -> (JoinSet<Score>, Calls) {
    let mut playing = JoinSet::new();
    let mut lines = Vec::with_capacity(devices.len());
    for mut device in devices {
        let (line, mut calls) = mpsc::unbounded_channel::<Instant>();
        lines.push(line);
        let (deck, stop) = (Arc::clone(deck), stop.clone());
        playing.spawn(async move {
            while let Some(due) = calls.recv().await {
                let now = world::stopwatch();
                if stop.is_cancelled() {
                    break;
                }
                if now > end + GRACE {
                    device.score.miss();
                    continue;
                }
                let Some(payload) = deck.next() else {
                    device.score.ran_out = true;
                    break;
                };
                // Woken a hair early: then it counts from there.
                device.scan(payload, due.min(now), due >= count_from).await;
            }
            device.score
        });
    }
    (playing, lines)
}

/// Tells the devices in turn that a scan is due.
///
/// A thread of its own: the runtime's timers are a millisecond wide.
fn pace(rate: NonZeroU32, start: Instant, end: Instant, lines: &Calls, stop: &CancellationToken) {
    for (n, line) in (0_u32..).zip(lines.iter().cycle()) {
        let due =
            start + Duration::from_secs(1) * (n / rate) + Duration::from_secs(1) * (n % rate) / rate.get();
        loop {
            let wait = due.saturating_duration_since(world::stopwatch());
            if wait <= SLACK || stop.is_cancelled() {
                break;
            }
            std::thread::sleep(wait.saturating_sub(SLACK).min(Duration::from_millis(100)));
        }
        if due >= end || stop.is_cancelled() {
            break;
        }
        // A device whose tickets ran out does not listen any more.
        let _ = line.send(due);
    }
}
