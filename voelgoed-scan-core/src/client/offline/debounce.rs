//! Was this payload read a moment ago? A camera sees one QR code many times: within 2.5 s it is one reading.
//!
//! The time counts from the scan, not from the last look: whoever holds the same code up again and again is scanned
//! again after 2.5 s.

use std::time::Duration;

use crate::client::Verdict;
use crate::model::{Direction, GateId, Reading, Timestamp};
use crate::token::{MAX_PAYLOAD, payload_sha256};

/// For how long the same payload is the same reading.
const ONE_READING: Duration = Duration::from_millis(2500);

/// What makes two readings the same.
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

/// The readings of the last moments.
#[derive(Debug, Default)]
pub(crate) struct Readings(Vec<(ReadingKey, Timestamp, Verdict)>);

impl Readings {
    /// The verdict of the reading that this one repeats, by the device's clock.
    pub(crate) fn repeat(&mut self, key: &ReadingKey, at: Timestamp) -> Option<Verdict> {
        // A clock that was set back ends every reading: better one scan too many than a verdict that stays for hours.
        self.0
            .retain(|(_, since, _)| *since <= at && at.minus(ONE_READING) <= *since);
        let (.., verdict) = self.0.iter().find(|(known, ..)| known == key)?;
        Some(Verdict {
            repeated: true,
            ..verdict.clone()
        })
    }

    /// Keeps a verdict.
    pub(crate) fn keep(&mut self, key: ReadingKey, at: Timestamp, verdict: &Verdict) {
        self.0.retain(|(known, ..)| *known != key);
        self.0.push((key, at, verdict.clone()));
    }
}

/// Cuts what is longer than any payload: it stays malformed, and the log stays small.
pub(crate) fn bound(reading: &mut Reading) {
    let (Reading::Qr(text) | Reading::TicketCode(text)) = reading;
    if text.trim_ascii().len() > MAX_PAYLOAD {
        let trimmed = text.trim_ascii();
        let end = trimmed.floor_char_boundary(MAX_PAYLOAD + 4);
        *text = trimmed.get(..end).unwrap_or_default().to_owned();
    }
}
