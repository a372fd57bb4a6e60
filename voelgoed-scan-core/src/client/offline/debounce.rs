//! Debounces camera readings: a camera reads one QR code many times, and within 2.5 s that is one scan.
//!
//! The interval starts at the scan, not at the last reading. A code that stays in front of the camera is therefore
//! scanned again after 2.5 s. A scan in the other direction, at any gate, ends the reading.

use std::time::Duration;

use crate::client::offline::State;
use crate::client::{OfflineError, OfflineScan, OfflineScanner, Verdict};
use crate::model::{Direction, EventId, GateId, Reading, ScanId, Timestamp};
use crate::token::{MAX_PAYLOAD, payload_sha256, trim_reading};

/// How long the same payload counts as the same reading.
pub(crate) const DEBOUNCE_INTERVAL: Duration = Duration::from_millis(2500);

/// Identifies a reading: two readings with equal keys are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReadingKey {
    pub(crate) payload_sha256: [u8; 32],
    pub(crate) gate_id: GateId,
    pub(crate) direction: Direction,
}

impl ReadingKey {
    pub(crate) fn of(reading: &Reading, gate_id: GateId, direction: Direction) -> Self {
        Self {
            payload_sha256: payload_sha256(reading.text()),
            gate_id,
            direction,
        }
    }
}

/// The verdicts of the last 2.5 s.
#[derive(Debug, Default)]
pub(crate) struct Debouncer(Vec<(ReadingKey, Timestamp, Verdict)>);

impl Debouncer {
    /// Returns the verdict of the same reading within the interval, marked as repeated. `now` is the device's clock. A gate
    /// may serve several events: with `event`, a verdict of another one is not that of this reading.
    pub(crate) fn find(
        &mut self,
        key: &ReadingKey,
        event: Option<EventId>,
        now: Timestamp,
    ) -> Option<Verdict> {
        // If the clock was set back, all entries expire: one scan too many is better than a verdict that stays for hours.
        self.0
            .retain(|(_, since, _)| *since <= now && now.minus(DEBOUNCE_INTERVAL) <= *since);
        let is_same = |(known, _, verdict): &&(ReadingKey, Timestamp, Verdict)| {
            known == key && event.is_none_or(|event| verdict.event_id == event)
        };
        let (.., verdict) = self.0.iter().find(is_same)?;
        Some(Verdict {
            repeated: true,
            ..verdict.clone()
        })
    }

    /// Forgets the verdict of a scan, so that the next reading is a new scan.
    pub(crate) fn forget(&mut self, scan: ScanId) {
        self.0.retain(|(.., verdict)| verdict.scan_id != scan);
    }

    /// Adds a verdict. It ends the readings of the same payload in the other direction.
    pub(crate) fn insert(&mut self, key: ReadingKey, now: Timestamp, verdict: &Verdict) {
        self.0.retain(|(known, ..)| {
            let is_same_payload = known.payload_sha256 == key.payload_sha256;
            *known != key && (!is_same_payload || known.direction == key.direction)
        });
        self.0.push((key, now, verdict.clone()));
    }
}

impl OfflineScanner {
    /// Ends all readings of a payload: the next scan of it is decided anew.
    pub(crate) async fn end_reading(&self, reading: &Reading) {
        let payload_sha256 = payload_sha256(reading.text());
        let mut state = self.state.lock().await;
        state
            .debouncer
            .0
            .retain(|(known, ..)| known.payload_sha256 != payload_sha256);
    }

    /// Returns the verdict that the phone gave an earlier scan with this `scan_id`. Fails if that was a scan of another
    /// payload or direction.
    pub(crate) async fn earlier_verdict(&self, scan: &OfflineScan) -> Result<Option<Verdict>, OfflineError> {
        let state = &mut *self.state.lock().await;
        let verdict = match find_earlier(state, scan).await {
            Err(error) if error.is_damage() => {
                self.replace_database(state, error).await?;
                find_earlier(state, scan).await?
            }
            found => found?,
        };
        Ok(verdict.map(|verdict| self.with_message(state, verdict)))
    }
}

impl OfflineScanner {
    /// Keeps the verdict of a scan for repetitions of a call that joined it under an id of its own.
    pub(crate) async fn keep_joined_verdict(
        &self,
        scan_id: ScanId,
        payload_sha256: &[u8; 32],
        verdict: &Verdict,
    ) -> Result<(), OfflineError> {
        let state = &mut *self.state.lock().await;
        let mut transaction = state.log.begin().await?;
        transaction
            .insert_server_verdict(scan_id, payload_sha256, verdict)
            .await?;
        state.log.commit(transaction).await
    }
}

/// Returns the verdict of an earlier scan with this `scan_id`, marked as repeated. Fails if that was a scan of another payload
/// or direction.
pub(super) async fn find_earlier(
    state: &mut State,
    scan: &OfflineScan,
) -> Result<Option<Verdict>, OfflineError> {
    let Some((sha256, verdict)) = state.log.find_verdict(scan.scan_id).await? else {
        return Ok(None);
    };
    if sha256 != payload_sha256(scan.reading.text()) || verdict.direction != scan.direction {
        return Err(OfflineError::ScanIdReused);
    }
    Ok(Some(Verdict {
        repeated: true,
        ..verdict
    }))
}

/// Truncates a reading that is longer than any payload. It stays malformed, and the log stays small.
pub(crate) fn truncate(reading: &mut Reading) {
    let (Reading::Qr(text) | Reading::TicketCode(text)) = reading else {
        // A medium is short.
        return;
    };
    if trim_reading(text).len() > MAX_PAYLOAD {
        let trimmed = trim_reading(text);
        let end = trimmed.floor_char_boundary(MAX_PAYLOAD + 4);
        *text = trimmed.get(..end).unwrap_or_default().to_owned();
    }
}
