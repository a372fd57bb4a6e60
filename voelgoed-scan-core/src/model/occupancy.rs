//! How many people are inside? Entries minus exits, by gate and by event.

use serde::{Deserialize, Serialize};

use crate::model::{GateId, Name, ScanResult};

/// People inside and how many fit; a capacity of null is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Headcount {
    /// People inside.
    pub inside: i64,
    /// How many fit.
    pub capacity: Option<u32>,
}

impl Headcount {
    /// Whether one more would be too many.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.capacity
            .is_some_and(|capacity| self.inside >= i64::from(capacity))
    }
}

/// What every scan answer tells of occupancy: at its gate and at the whole event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Occupancy {
    /// At the gate: people who came in by it and are still inside.
    pub gate: Headcount,
    /// At the event: the sum of its gates.
    pub event: Headcount,
}

/// The counters of one place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PlaceCount {
    /// People inside: entries minus exits.
    pub inside: i64,
    /// Admissions that were not undone.
    pub entries: i64,
    /// Exits, seen or inferred.
    pub exits: i64,
    /// How many fit; null is no limit.
    pub capacity: Option<u32>,
}

/// The counters of one gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GateCount {
    /// The gate.
    pub id: GateId,
    /// What it is called.
    pub name: Name,
    /// Its counters.
    #[serde(flatten)]
    pub count: PlaceCount,
}

/// How many scans had each result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ResultCounts {
    /// Admissions and exits.
    pub valid: i64,
    /// Tickets that had been used.
    pub duplicate: i64,
    /// Payloads that are not tickets.
    pub invalid_token: i64,
    /// Tickets of another event.
    pub wrong_event: i64,
    /// Tickets of another gate.
    pub wrong_gate: i64,
    /// Tickets and gates that admit nobody now.
    pub refused: i64,
}

impl ResultCounts {
    /// Adds one scan.
    pub fn count(&mut self, result: ScanResult) {
        *self.slot(result) += 1;
    }

    /// Takes one scan away, whose result has changed.
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

/// What `GET /api/v1/scanning/events/{id}/occupancy` answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EventOccupancy {
    /// The whole event.
    pub event: PlaceCount,
    /// Each gate, by name.
    pub gates: Vec<GateCount>,
    /// All recorded scans by result.
    pub results: ResultCounts,
    /// Scans decided in the last minute, give or take five seconds.
    pub scans_per_minute: i64,
}
