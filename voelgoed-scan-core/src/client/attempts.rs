//! The scan attempts of the last moments: which calls belong to one attempt, and what it led to.
//!
//! A camera reads one code many times, and an app may abandon a call and repeat it. All these calls get the verdict of one
//! attempt.
//!
//! Invariants:
//! - Calls with the same payload, event, gate and direction within 2.5 s share an attempt, and so do all calls while the
//!   attempt is under way. A scan in the other direction ends the reading. An override shares that of another override only.
//! - The attempts of one payload run one after the other, in the order of their calls.
//! - An error is shared by the calls that wait for it, and then forgotten. If the server may have decided the attempt, the
//!   next call of the reading repeats the same attempt.
//! - An admission or exit that no caller received is kept for the next call of the reading.
//! - Intervals are measured by the monotonic clock, so a clock that is set ends no reading.

mod call;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, Shared, WeakShared};
use parking_lot::Mutex;

use crate::client::offline::debounce::{DEBOUNCE_INTERVAL, ReadingKey};
use crate::client::{
    Attempt, ClientError, Clock, OfflineError, OfflineScan, PhoneSession, ScanInput, Verdict,
};
use crate::model::{EventId, Override, ScanId, ScanResult, Timestamp};
pub(super) use call::Call;

/// How long a verdict that nobody received, and an attempt without an answer, wait for the next call of the reading. A
/// steward repeats a scan within moments. Later the ticket may be read for another reason.
const UNSEEN_LIFETIME: Duration = Duration::from_mins(5);

/// What an attempt led to.
pub(super) type Outcome = Result<Verdict, ClientError>;

/// An attempt that is under way. All its callers run it together.
pub(super) type Work = Shared<BoxFuture<'static, Outcome>>;

/// The attempts that a client knows.
#[derive(Default)]
pub(super) struct Attempts(Mutex<Table>);

#[derive(Default)]
struct Table {
    /// In the order of their start.
    known: Vec<Known>,
    /// Attempts that were sent to the server and have no outcome.
    unfinished: Vec<Unfinished>,
    /// Unfinished attempts that nobody will continue. They are to be removed from the phone's database.
    abandoned: Vec<ScanId>,
}

/// An attempt that was sent to the server and has no outcome.
pub(super) struct Unfinished {
    pub(super) attempt: Attempt,
    /// By [`Clock::steady`].
    started_at: Timestamp,
}

/// An attempt that is under way, or that was decided a moment ago. Its times are those of [`Clock::steady`].
struct Known {
    event_id: EventId,
    key: ReadingKey,
    scan_id: ScanId,
    is_override: bool,
    started_at: Timestamp,
    /// The time of the scan by the wall clock.
    scanned_at: Timestamp,
    /// The beginning of the 2.5 s.
    window_from: Timestamp,
    /// Whether a later scan took the place of this one. Its outcome then stays accessible by its `scan_id` only.
    is_replaced: bool,
    progress: Progress,
    /// Whether the call that started the attempt still waits.
    first_call_waits: bool,
    /// Whether a caller received the verdict.
    is_seen: bool,
}

enum Progress {
    /// Weak, because the work holds the client and with it this table.
    UnderWay(WeakShared<BoxFuture<'static, Outcome>>),
    Decided(Box<Verdict>),
    /// There is an error, or the work was aborted.
    Failed,
}

/// What a call of `scan` waits for.
pub(super) enum Pending {
    Work(Work),
    Decided(Box<Verdict>),
}

/// An attempt to be started.
pub(super) struct Start {
    pub(super) attempt: Attempt,
    /// By [`Clock::steady`].
    started_at: Timestamp,
    /// Whether the attempt was sent to the server before.
    pub(super) is_resumed: bool,
    /// Whether the app chose the `scan_id`. It may then name an earlier scan.
    pub(super) has_callers_id: bool,
    /// For an override: the unfinished attempt without one. The server may have admitted the person by it, and the override
    /// must not admit a second time.
    pub(super) earlier: Option<Unfinished>,
    /// The attempt of the same payload that must end first.
    pub(super) predecessor: Option<Work>,
}

impl Known {
    fn pending(&self) -> Option<Pending> {
        match &self.progress {
            Progress::UnderWay(work) => work.upgrade().map(Pending::Work),
            Progress::Decided(verdict) => Some(Pending::Decided(verdict.clone())),
            Progress::Failed => None,
        }
    }

    /// Whether a call that was made at `called_at` and enters at `now` finds the attempt.
    fn is_kept(&self, called_at: Timestamp, now: Timestamp) -> bool {
        match &self.progress {
            Progress::UnderWay(work) => work.upgrade().is_some(),
            Progress::Failed => false,
            Progress::Decided(verdict) => {
                let is_unseen = !self.is_seen && !self.is_replaced && verdict.result == ScanResult::Valid;
                // Another call may have started the attempt while this one waited.
                let time = called_at.max(self.window_from.min(now));
                is_within(self.window_from, DEBOUNCE_INTERVAL, time)
                    || is_unseen && is_within(self.started_at, UNSEEN_LIFETIME, now)
            }
        }
    }
}

/// Returns whether `now` is at most `interval` after `from`. If the clock was set back, the interval is over: one scan too
/// many is better than a verdict that stays for hours.
fn is_within(from: Timestamp, interval: Duration, now: Timestamp) -> bool {
    from <= now && now.minus(interval) <= from
}

fn key_of(attempt: &Attempt) -> ReadingKey {
    let scan = &attempt.scan;
    ReadingKey::of(&scan.reading, scan.gate_id, scan.direction)
}

impl Table {
    fn expire(&mut self, called_at: Timestamp, now: Timestamp) {
        self.known.retain(|known| known.is_kept(called_at, now));
        let expired = self
            .unfinished
            .extract_if(.., |one| !is_within(one.started_at, UNSEEN_LIFETIME, now));
        self.abandoned.extend(expired.map(|one| one.attempt.scan.scan_id));
    }

    /// Returns the attempt that a call with this `scan_id` or of this reading joins.
    fn find(
        &self,
        event: EventId,
        key: &ReadingKey,
        input: &ScanInput,
    ) -> Result<Option<&Known>, ClientError> {
        if let Some(known) = self
            .known
            .iter()
            .find(|known| Some(known.scan_id) == input.scan_id)
        {
            return if known.key.payload_sha256 == key.payload_sha256 && known.key.direction == key.direction {
                Ok(Some(known))
            } else {
                Err(OfflineError::ScanIdReused.into())
            };
        }
        let is_same = |known: &&Known| known.event_id == event && known.key == *key && !known.is_replaced;
        let last = self.known.iter().rev().find(is_same);
        // An override joins another one only: what it overrides may have been the same reading.
        Ok(last.filter(|known| input.override_reason.is_none() || known.is_override))
    }

    /// Returns the unfinished attempt that a call repeats. Attempts of the same payload in the other direction are
    /// abandoned.
    fn take_unfinished(&mut self, event: EventId, key: &ReadingKey, input: &ScanInput) -> Option<Unfinished> {
        let ended = self.unfinished.extract_if(.., |one| {
            let other = key_of(&one.attempt);
            other.payload_sha256 == key.payload_sha256 && other.direction != key.direction
        });
        self.abandoned.extend(ended.map(|one| one.attempt.scan.scan_id));
        let is_same = |one: &Unfinished| one.attempt.event_id == event && key_of(&one.attempt) == *key;
        let has_id = |one: &Unfinished| Some(one.attempt.scan.scan_id) == input.scan_id;
        let by_id = self.unfinished.iter().position(|one| is_same(one) && has_id(one));
        let index = by_id.or_else(|| self.unfinished.iter().position(is_same))?;
        Some(self.unfinished.remove(index))
    }

    /// Returns the last attempt of the payload that is under way.
    fn under_way(&self, key: &ReadingKey) -> Option<Work> {
        let mut of_payload = self
            .known
            .iter()
            .rev()
            .filter(|known| known.key.payload_sha256 == key.payload_sha256);
        of_payload.find_map(|known| match &known.progress {
            Progress::UnderWay(work) => work.upgrade(),
            Progress::Decided(_) | Progress::Failed => None,
        })
    }

    /// Returns the time of a new scan. A ticket's history is ordered by time, here and on the server, so scans of one moment
    /// get the order of their calls. A wall clock that was set back says nothing about the order.
    fn time_of_scan(&self, key: &ReadingKey, wall: Timestamp) -> Timestamp {
        let of_payload = self
            .known
            .iter()
            .filter(|known| known.key.payload_sha256 == key.payload_sha256);
        let last = of_payload.map(|known| known.scanned_at).max();
        match last {
            Some(last) if wall <= last && last.millis_since(wall) < 1000 => last.plus_millis(1),
            _ => wall,
        }
    }

    /// Ends the readings that a new scan replaces: those of the same gate, and those in the other direction at any gate.
    fn replace(&mut self, event: EventId, key: &ReadingKey) {
        for known in &mut self.known {
            let is_same_payload = known.key.payload_sha256 == key.payload_sha256;
            if is_same_payload
                && (known.key.direction != key.direction || known.event_id == event && known.key == *key)
            {
                known.is_replaced = true;
            }
        }
    }
}

impl Attempts {
    /// Takes the attempts that the phone's database has without an outcome: the app ended before their answers arrived.
    pub(super) fn resume(&self, unfinished: Vec<Attempt>, clock: &dyn Clock) {
        let unfinished = unfinished.into_iter().map(|attempt| {
            // The monotonic clock may have started anew since. A scan of the future is of now.
            let age = clock.now().millis_since(attempt.scan.scanned_at).max(0);
            Unfinished {
                started_at: clock.steady().plus_millis(-age),
                attempt,
            }
        });
        self.0.lock().unfinished.extend(unfinished);
    }

    /// Keeps an attempt for the next call of its reading.
    pub(super) fn keep(&self, unfinished: Unfinished) {
        self.0.lock().unfinished.push(unfinished);
    }

    /// Joins the attempt that the call belongs to, or starts a new one. `called_at`, by [`Clock::steady`], is when the app
    /// called. `run` makes the work of a new attempt.
    pub(super) fn enter(
        self: &Arc<Self>,
        session: &PhoneSession,
        input: ScanInput,
        called_at: Timestamp,
        clock: &dyn Clock,
        run: impl FnOnce(Start) -> Work,
    ) -> Result<(Call, Pending), ClientError> {
        let (now, wall) = (clock.steady(), clock.now());
        let event = session.event_id;
        let key = ReadingKey::of(&input.reading, session.gate_id, input.direction);
        let mut table = self.0.lock();
        table.expire(called_at, now);
        if let Some(known) = table.find(event, &key, &input)?
            && let Some(pending) = known.pending()
        {
            return Ok((Call::new(self, known.scan_id, false), pending));
        }
        let unfinished = table.take_unfinished(event, &key, &input);
        table.replace(event, &key);
        let has_callers_id = input.scan_id.is_some();
        let scanned_at = table.time_of_scan(&key, wall);
        let is_override = input.override_reason.is_some();
        let new_attempt = || Attempt {
            event_id: event,
            scan: OfflineScan {
                scan_id: input.scan_id.unwrap_or_else(|| ScanId::generate(wall)),
                reading: input.reading,
                gate_id: session.gate_id,
                direction: input.direction,
                scanned_at,
                override_: input.override_reason.map(|reason| Override { reason }),
                metadata: input.metadata,
            },
        };
        let (attempt, resumed_at, earlier) = match unfinished {
            Some(one) if is_override && one.attempt.scan.override_.is_none() => {
                (new_attempt(), None, Some(one))
            }
            Some(one) => (one.attempt, Some(one.started_at), None),
            None => (new_attempt(), None, None),
        };
        let scan_id = attempt.scan.scan_id;
        let attempt_overrides = attempt.scan.override_.is_some();
        let work = run(Start {
            attempt,
            started_at: resumed_at.unwrap_or(now),
            is_resumed: resumed_at.is_some(),
            has_callers_id,
            earlier,
            predecessor: table.under_way(&key),
        });
        table.known.push(Known {
            event_id: event,
            key,
            scan_id,
            is_override: attempt_overrides,
            started_at: now,
            scanned_at,
            window_from: now,
            is_replaced: false,
            progress: work.downgrade().map_or(Progress::Failed, Progress::UnderWay),
            first_call_waits: true,
            is_seen: false,
        });
        Ok((Call::new(self, scan_id, true), Pending::Work(work)))
    }

    /// Forgets a scan that was undone, so that the next call of its reading is a new scan.
    pub(super) fn forget(&self, scan_id: ScanId) {
        self.0.lock().known.retain(|known| known.scan_id != scan_id);
    }

    /// Records the outcome of an attempt. `is_unfinished`: the server may have decided it, so the next call of the reading
    /// repeats it.
    pub(super) fn finish(&self, start: Start, outcome: &Outcome, is_unfinished: bool, now: Timestamp) {
        let mut table = self.0.lock();
        let scan_id = start.attempt.scan.scan_id;
        if let Some(known) = table.known.iter_mut().find(|known| known.scan_id == scan_id) {
            if !is_within(known.window_from, DEBOUNCE_INTERVAL, now) {
                // The decision took longer than the interval. The code may still be in front of the camera.
                known.window_from = now;
            }
            known.progress = match outcome {
                Ok(verdict) => Progress::Decided(Box::new(verdict.clone())),
                Err(_) => Progress::Failed,
            };
        }
        if is_unfinished {
            let Start {
                attempt, started_at, ..
            } = start;
            table.unfinished.push(Unfinished { attempt, started_at });
        }
    }

    /// Returns the unfinished attempts that nobody will continue, once.
    pub(super) fn take_abandoned(&self) -> Vec<ScanId> {
        std::mem::take(&mut self.0.lock().abandoned)
    }

    /// Records that a caller received the verdict. Returns whether another caller has it already, or will have it.
    fn see(&self, scan_id: ScanId, is_first: bool, now: Timestamp) -> bool {
        let mut table = self.0.lock();
        let Some(known) = table.known.iter_mut().find(|known| known.scan_id == scan_id) else {
            return !is_first;
        };
        let is_repeated = !is_first && (known.is_seen || known.first_call_waits);
        if !known.is_seen && !is_within(known.window_from, DEBOUNCE_INTERVAL, now) {
            known.window_from = now;
        }
        known.is_seen = true;
        is_repeated
    }
}
