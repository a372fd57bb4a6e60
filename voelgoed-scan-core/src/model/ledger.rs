//! What has a ticket done so far? Its admissions and exits, kept on the ticket itself, so that one row settles races.

use serde::{Deserialize, Serialize};

use crate::model::{DeviceId, GateId, ScanId, Timestamp};

/// Where and when a ticket was seen: the facts that `previous_scan` tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passage {
    /// The scan.
    #[serde(rename = "s")]
    pub scan_id: ScanId,
    /// When.
    #[serde(rename = "t", with = "millis")]
    pub at: Timestamp,
    /// At which gate.
    #[serde(rename = "g")]
    pub gate_id: GateId,
    /// The gate's name then.
    #[serde(rename = "n")]
    pub gate_name: String,
    /// By which device.
    #[serde(rename = "d")]
    pub device_id: DeviceId,
    /// The device's name then.
    #[serde(rename = "m")]
    pub device_name: String,
}

mod millis {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::model::Timestamp;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
    pub(super) fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(time.as_millis())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        i64::deserialize(deserializer).map(Timestamp::from_millis)
    }
}

/// One admission that was not undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admission {
    /// The entry.
    #[serde(rename = "e")]
    pub entry: Passage,
    /// The exit that ended it; for a holder not seen leaving, the entry that replaced it.
    #[serde(rename = "x", default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Passage>,
    /// Whether a device let the person in though the ticket gave no right to it.
    #[serde(rename = "w", default, skip_serializing_if = "std::ops::Not::not")]
    pub without_right: bool,
}

/// A change of occupancy: people counted at a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Movement {
    /// The gate they are counted at: the one they came in by.
    pub gate_id: GateId,
    /// Entries, less those undone.
    pub entries: i64,
    /// Exits.
    pub exits: i64,
}

/// A ticket's admissions and exits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// How many admissions by right there were, ever, that were not undone.
    #[serde(rename = "n")]
    pub(crate) admissions: u32,
    /// The latest of them and every open one, in the order of their times.
    #[serde(rename = "a")]
    pub(crate) recent: Vec<Admission>,
}

impl Ledger {
    /// A ledger of which only the counts and the last admission are known, as a manifest tells them. Every admission
    /// that a rule can ask for is taken to be as late as the last one: sooner one too few is let in than one too many.
    #[must_use]
    pub fn from_counts(admissions: u32, inside: usize, last: &Passage, entry_limit: u8) -> Self {
        let asked_for = usize::from(entry_limit).min(admissions as usize);
        let kept = inside.max(asked_for);
        let ended = kept - inside;
        let admission = |at| Admission {
            entry: last.clone(),
            ended: (at < ended).then(|| last.clone()),
            without_right: false,
        };
        Self {
            admissions,
            recent: (0..kept).map(admission).collect(),
        }
    }

    /// The ledger of a ticket that admitted once, a moment ago.
    #[must_use]
    pub fn with_first_admission(entry: Passage) -> Self {
        Self {
            admissions: 1,
            recent: vec![Admission {
                entry,
                ended: None,
                without_right: false,
            }],
        }
    }

    /// All that it holds.
    pub(crate) fn parts(&self) -> (u32, &[Admission]) {
        let Self { admissions, recent } = self;
        (*admissions, recent)
    }

    /// How many admissions by right there were that were not undone.
    #[must_use]
    pub const fn admissions(&self) -> u32 {
        self.admissions
    }

    /// How many people the ticket has inside.
    #[must_use]
    pub fn inside(&self) -> usize {
        self.recent
            .iter()
            .filter(|admission| admission.ended.is_none())
            .count()
    }

    /// The latest admission.
    #[must_use]
    pub fn last_admission(&self) -> Option<&Passage> {
        self.recent.last().map(|admission| &admission.entry)
    }

    /// The latest admission or exit.
    #[must_use]
    pub fn last_passage(&self) -> Option<&Passage> {
        let exits = self
            .recent
            .iter()
            .filter_map(|admission| admission.ended.as_ref());
        self.last_admission()
            .into_iter()
            .chain(exits)
            .max_by_key(|passage| (passage.at, passage.scan_id))
    }

    /// The admission that a scan was, if it is still kept and nobody went out by it: the one that can be undone.
    #[must_use]
    pub fn open_admission(&self, scan_id: ScanId) -> Option<&Admission> {
        self.recent
            .iter()
            .find(|admission| admission.entry.scan_id == scan_id && admission.ended.is_none())
    }
}
