//! Occupancy: entries minus exits, by gate and by event.

use serde::{Deserialize, Serialize};

use crate::model::{GateId, Name, ScanResult};

/// The people inside and the capacity. A capacity of null is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Headcount {
    /// People inside.
    pub inside: i64,
    /// The capacity.
    pub capacity: Option<u32>,
}

impl Headcount {
    /// Whether it has reached its capacity.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.capacity
            .is_some_and(|capacity| self.inside >= i64::from(capacity))
    }
}

/// The occupancy in a scan answer: at the gate and at the event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Occupancy {
    /// At the gate: the people inside who entered here.
    pub gate: Headcount,
    /// At the event: the sum of its gates.
    pub event: Headcount,
}

/// The counters of a gate or an event. If the event is `daily`, those of the present day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PlaceCount {
    /// People inside: entries minus exits.
    pub inside: i64,
    /// Admissions that were not undone.
    pub entries: i64,
    /// Exits by an exit scan or inferred from a readmission.
    pub exits: i64,
    /// The capacity; null is no limit.
    pub capacity: Option<u32>,
}

/// The counters of one gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GateCount {
    /// The gate.
    pub id: GateId,
    /// Its display name.
    pub name: Name,
    /// Its counters.
    #[serde(flatten)]
    pub count: PlaceCount,
}

/// The number of scans of each result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ResultCounts {
    /// Admissions and exits.
    pub valid: i64,
    /// Scans of used tickets.
    pub duplicate: i64,
    /// Payloads that are no valid ticket.
    pub invalid_token: i64,
    /// Tickets of other events.
    pub wrong_event: i64,
    /// Tickets that the gate does not admit.
    pub wrong_gate: i64,
    /// Scans that the event, the gate or the ticket refused.
    pub refused: i64,
}

impl ResultCounts {
    /// Adds one scan.
    pub fn count(&mut self, result: ScanResult) {
        *self.slot(result) += 1;
    }

    /// Subtracts one scan whose result has changed.
    pub fn uncount(&mut self, result: ScanResult) {
        *self.slot(result) -= 1;
    }

    fn slot(&mut self, result: ScanResult) -> &mut i64 {
        match result {
            ScanResult::Valid => &mut self.valid,
            ScanResult::Duplicate => &mut self.duplicate,
            ScanResult::InvalidToken => &mut self.invalid_token,
            ScanResult::WrongEvent => &mut self.wrong_event,
            ScanResult::WrongGate => &mut self.wrong_gate,
            ScanResult::Refused => &mut self.refused,
        }
    }

    /// Adds the counts of another.
    pub fn add(&mut self, other: &Self) {
        self.valid += other.valid;
        self.duplicate += other.duplicate;
        self.invalid_token += other.invalid_token;
        self.wrong_event += other.wrong_event;
        self.wrong_gate += other.wrong_gate;
        self.refused += other.refused;
    }
}

/// The answer of `GET /api/v1/scanning/events/{id}/occupancy`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EventOccupancy {
    /// The whole event.
    pub event: PlaceCount,
    /// The gates, ordered by name.
    pub gates: Vec<GateCount>,
    /// The number of recorded scans by result, of all days.
    pub results: ResultCounts,
    /// The number of scans decided in the last minute, accurate to five seconds.
    pub scans_per_minute: i64,
}
