//! The admissions and exits of a ticket. They are stored in the ticket's row, so that one row decides races.

use serde::{Deserialize, Serialize};

use crate::model::{DeviceId, GateId, ScanId, Timestamp};

/// One entry or exit of a ticket. `previous_scan` reports it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passage {
    /// The scan.
    #[serde(rename = "s")]
    pub scan_id: ScanId,
    /// The time.
    #[serde(rename = "t", with = "millis")]
    pub at: Timestamp,
    /// The gate.
    #[serde(rename = "g")]
    pub gate_id: GateId,
    /// The gate's name at that time.
    #[serde(rename = "n")]
    pub gate_name: String,
    /// The device.
    #[serde(rename = "d")]
    pub device_id: DeviceId,
    /// The device's name at that time.
    #[serde(rename = "m")]
    pub device_name: String,
}

mod millis {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::model::Timestamp;

    /// The same for a list of times.
    pub(super) mod list {
        use serde::{Deserialize, Deserializer, Serializer};

        use crate::model::Timestamp;

        pub(in crate::model::ledger) fn serialize<S: Serializer>(
            times: &[Timestamp],
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            serializer.collect_seq(times.iter().map(|time| time.as_millis()))
        }

        pub(in crate::model::ledger) fn deserialize<'de, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Vec<Timestamp>, D::Error> {
            let times = Vec::<i64>::deserialize(deserializer)?;
            Ok(times.into_iter().map(Timestamp::from_millis).collect())
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
    pub(super) fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(time.as_millis())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        i64::deserialize(deserializer).map(Timestamp::from_millis)
    }
}

/// An admission that was not undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admission {
    /// The entry.
    #[serde(rename = "e")]
    pub entry: Passage,
    /// The exit that ended it. For a holder who came back without an exit scan: the entry that replaced it.
    #[serde(rename = "x", default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Passage>,
    /// Whether a device admitted the person although the rules did not allow it.
    #[serde(rename = "w", default, skip_serializing_if = "std::ops::Not::not")]
    pub without_right: bool,
}

impl Admission {
    /// Whether its person is inside. `since` is the start of the period in which people are counted: a person who entered
    /// before it has left.
    #[must_use]
    pub fn is_open(&self, since: Timestamp) -> bool {
        self.ended.is_none() && self.entry.at >= since
    }
}

/// A change of the occupancy of a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Movement {
    /// The gate at which the people are counted: the gate of their entry.
    pub gate_id: GateId,
    /// The start of the period in which they are counted: the last start of a day of a `daily` event.
    pub since: Timestamp,
    /// Entries, minus undone ones.
    pub entries: i64,
    /// Exits.
    pub exits: i64,
}

/// The admissions and exits of a ticket.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// The number of all admissions by right that were not undone.
    #[serde(rename = "n")]
    pub(crate) admissions: u32,
    /// Every admission whose person may be inside, the latest one, and the latest one by right, in the order of their times.
    /// People who entered before the start of a day have left, see `rules::ScanDay`.
    #[serde(rename = "a")]
    pub(crate) recent: Vec<Admission>,
    /// The times of the other admissions by right, in ascending order: the latest ones, at most as many as a rule can count.
    #[serde(
        rename = "t",
        with = "millis::list",
        default,
        skip_serializing_if = "Vec::is_empty"
    )]
    pub(crate) earlier: Vec<Timestamp>,
}

impl Ledger {
    /// A ledger of the counts and the last admission, which is all that a manifest holds. `counted` is the number of admissions
    /// that a rule can count: they get the time of the last one. A phone then denies one entry too many rather than too few.
    #[must_use]
    pub fn from_counts(admissions: u32, inside: usize, last: &Passage, counted: usize) -> Self {
        let counted = counted.min(admissions as usize);
        // The last admission is listed even if its person has left.
        let listed = inside.max(usize::from(admissions > 0));
        let ended = listed - inside;
        let admission = |index| Admission {
            entry: last.clone(),
            ended: (index < ended).then(|| last.clone()),
            without_right: index >= counted,
        };
        Self {
            admissions,
            recent: (0..listed).map(admission).collect(),
            earlier: vec![last.at; counted.saturating_sub(listed)],
        }
    }

    /// The ledger of a ticket with this admission alone.
    #[must_use]
    pub fn with_first_admission(entry: Passage) -> Self {
        Self {
            admissions: 1,
            recent: vec![Admission {
                entry,
                ended: None,
                without_right: false,
            }],
            earlier: Vec::new(),
        }
    }

    /// Its fields.
    pub(crate) fn parts(&self) -> (u32, &[Admission], &[Timestamp]) {
        let Self {
            admissions,
            recent,
            earlier,
        } = self;
        (*admissions, recent, earlier)
    }

    /// The number of admissions by right that were not undone.
    #[must_use]
    pub const fn admissions(&self) -> u32 {
        self.admissions
    }

    /// The number of people inside on this ticket. `since` is the start of the period in which people are counted: people who
    /// entered before it have left.
    #[must_use]
    pub fn inside(&self, since: Timestamp) -> usize {
        let recent = self.recent.iter();
        recent.filter(|admission| admission.is_open(since)).count()
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

    /// The admission of a scan, if no exit ended it. Such an admission can be undone.
    #[must_use]
    pub fn open_admission(&self, scan_id: ScanId) -> Option<&Admission> {
        self.recent
            .iter()
            .find(|admission| admission.entry.scan_id == scan_id && admission.ended.is_none())
    }
}
