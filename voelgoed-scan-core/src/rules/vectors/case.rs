//! A case of a file of decisions, as it is written.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::model::{Direction, Medium, Reason, ScanResult, Timestamp};

/// A case of a file of decisions.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecisionCase {
    /// The name.
    pub name: String,
    /// Members of the event that differ from the default.
    #[serde(default)]
    pub event: Map<String, Value>,
    /// Members of the gate that differ from the default.
    #[serde(default)]
    pub gate: Map<String, Value>,
    /// Members of the ticket that differ from the default; `None` for no ticket.
    #[serde(default = "default_ticket")]
    pub ticket: Option<Map<String, Value>>,
    /// The scans.
    pub steps: Vec<DecisionStep>,
}

/// A scan of a case.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecisionStep {
    /// The time.
    pub at: Timestamp,
    /// Entry or exit.
    #[serde(default = "entry")]
    pub direction: Direction,
    /// What is read.
    #[serde(default)]
    pub reading: StepReading,
    /// The reason of an override.
    #[serde(default, rename = "override")]
    pub override_: Option<String>,
    /// The expected result.
    pub result: ScanResult,
    /// The expected reason.
    pub reason: Reason,
    /// The verdict of a phone, if it differs.
    #[serde(default)]
    pub offline: Option<OfflineVerdict>,
}

/// The verdict of a phone.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct OfflineVerdict {
    /// The result.
    pub result: ScanResult,
    /// The reason.
    pub reason: Reason,
}

/// What a scan reads.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepReading {
    /// The ticket's VG2 payload.
    #[default]
    Vg2,
    /// The ticket's VG1 payload.
    Vg1,
    /// The ticket's code, typed.
    Code,
    /// This text.
    Qr(String),
    /// This medium.
    Medium(Medium),
}

#[expect(clippy::unnecessary_wraps, reason = "the default of an optional member")]
fn default_ticket() -> Option<Map<String, Value>> {
    Some(Map::new())
}

const fn entry() -> Direction {
    Direction::Entry
}
