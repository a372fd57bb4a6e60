//! Signals: what somebody should look at, and the settings by which an organization finds them.
//!
//! Invariant: [`SignalKind::figures`] is the one table of defaults and ranges. The schema, the settings and the command line
//! read it.

#[cfg(feature = "schema")]
mod schema;

use std::collections::BTreeMap;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::model::text::string_enum;
use crate::model::{DeviceId, EventId, GateId, ScanId, SignalId, TicketId, Timestamp};

string_enum! {
    /// The kind of a signal.
    pub enum SignalKind {
        /// A device with an active session at a live event was not heard of for a while.
        DeviceSilent = "device_silent",
        /// Many people are inside an event or a gate, measured by its capacity.
        Occupancy90 = "occupancy_90",
        /// An event or a gate is full.
        Occupancy100 = "occupancy_100",
        /// A ticket was presented at two gates in a short time, and was denied as a duplicate at the second.
        ImpossibleTravel = "impossible_travel",
        /// One ticket was denied as a duplicate many times.
        DuplicateSpam = "duplicate_spam",
        /// One device made many scans in a short time.
        HighVelocity = "high_velocity",
        /// Many of a device's last scans are no tickets.
        DeviceErrors = "device_errors",
        /// A device uploaded scans that are old.
        LateBatch = "late_batch",
        /// A device has many scans that it has not uploaded.
        SyncWaiting = "sync_waiting",
    }
}

/// A figure of a kind: its default and its range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figure {
    /// The default.
    pub default: u32,
    /// The least value.
    pub min: u32,
    /// The greatest value.
    pub max: u32,
}

/// The figures of a kind. A kind without a figure does not depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// A number, or a percentage.
    pub limit: Option<Figure>,
    /// A time in seconds.
    pub within_s: Option<Figure>,
    /// Seconds from the opening of a signal to its end.
    pub close_s: Option<Figure>,
}

/// The greatest number of seconds of most figures: a day.
const DAY_S: u32 = 86_400;

const fn figure(default: u32, min: u32, max: u32) -> Figure {
    Figure { default, min, max }
}

impl SignalKind {
    /// The figures of this kind.
    #[must_use]
    pub const fn figures(self) -> Figures {
        let (limit, within_s, close_s) = match self {
            Self::DeviceSilent => (None, Some(figure(300, 60, DAY_S)), None),
            Self::Occupancy90 => (Some(figure(90, 1, 200)), None, None),
            Self::Occupancy100 => (Some(figure(100, 1, 200)), None, None),
            Self::ImpossibleTravel => (None, Some(figure(300, 1, DAY_S)), Some(figure(600, 1, DAY_S))),
            Self::DuplicateSpam => (
                Some(figure(5, 0, 500)),
                Some(figure(3600, 1, DAY_S)),
                Some(figure(600, 1, DAY_S)),
            ),
            Self::HighVelocity => (
                Some(figure(60, 0, 10_000)),
                Some(figure(60, 1, DAY_S)),
                Some(figure(600, 1, DAY_S)),
            ),
            Self::DeviceErrors => (
                Some(figure(10, 0, 100)),
                Some(figure(3600, 1, DAY_S)),
                Some(figure(600, 1, DAY_S)),
            ),
            Self::LateBatch => (None, Some(figure(28_800, 1, 366 * DAY_S)), None),
            Self::SyncWaiting => (Some(figure(100, 0, 2_000_000_000)), None, None),
        };
        Figures {
            limit,
            within_s,
            close_s,
        }
    }

    /// The rule of this kind where the organization has changed nothing.
    #[must_use]
    pub fn default_rule(self) -> SignalRule {
        let figures = self.figures();
        let default = |figure: Option<Figure>| figure.map(|figure| figure.default);
        SignalRule {
            enabled: true,
            limit: default(figures.limit),
            within_s: default(figures.within_s),
            close_s: default(figures.close_s),
        }
    }
}

/// What a signal was found by. The fields depend on its kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct SignalDetails {
    /// The number or percentage that was exceeded or reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// The time of the rule, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within_s: Option<u32>,
    /// How many scans were counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scans: Option<u32>,
    /// How many of them were no tickets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invalid: Option<u32>,
    /// People inside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inside: Option<i64>,
    /// The capacity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<u32>,
    /// How many scans the device has not uploaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<u32>,
    /// When the device was last heard of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seen_at: Option<Timestamp>,
    /// The time of the first scan that was counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_at: Option<Timestamp>,
    /// The time of the last scan that was counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_at: Option<Timestamp>,
    /// When the scans were uploaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub received_at: Option<Timestamp>,
    /// The two gates, in the order of their scans.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gate_ids: Vec<GateId>,
    /// The two scans, in the same order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scan_ids: Vec<ScanId>,
}

/// A signal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Signal {
    /// The signal.
    pub id: SignalId,
    /// Its kind.
    pub kind: SignalKind,
    /// The event; null for a device that works at none.
    pub event_id: Option<EventId>,
    /// The gate.
    pub gate_id: Option<GateId>,
    /// The device.
    pub device_id: Option<DeviceId>,
    /// The ticket.
    pub ticket_id: Option<TicketId>,
    /// When it was found.
    pub opened_at: Timestamp,
    /// When it ended; null while it is open.
    pub closed_at: Option<Timestamp>,
    /// What it was found by.
    pub details: SignalDetails,
}

/// What a signal is about. One signal of a kind is open for a subject at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SignalSubject {
    /// A device.
    Device(DeviceId),
    /// A ticket.
    Ticket(TicketId),
    /// An event.
    Event(EventId),
    /// A gate of an event.
    Gate(EventId, GateId),
}

impl std::fmt::Display for SignalSubject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Device(id) => write!(f, "device:{id}"),
            Self::Ticket(id) => write!(f, "ticket:{id}"),
            Self::Event(id) => write!(f, "event:{id}"),
            Self::Gate(event, gate) => write!(f, "gate:{event}:{gate}"),
        }
    }
}

impl Signal {
    /// What it is about.
    #[must_use]
    pub fn subject(&self) -> Option<SignalSubject> {
        match self.kind {
            SignalKind::ImpossibleTravel | SignalKind::DuplicateSpam => {
                self.ticket_id.map(SignalSubject::Ticket)
            }
            SignalKind::Occupancy90 | SignalKind::Occupancy100 => match (self.event_id, self.gate_id) {
                (Some(event), Some(gate)) => Some(SignalSubject::Gate(event, gate)),
                (event, _) => event.map(SignalSubject::Event),
            },
            SignalKind::DeviceSilent
            | SignalKind::HighVelocity
            | SignalKind::DeviceErrors
            | SignalKind::LateBatch
            | SignalKind::SyncWaiting => self.device_id.map(SignalSubject::Device),
        }
    }
}

/// The rule by which signals of a kind are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SignalRule {
    /// Whether signals of this kind are found. Open ones end when it becomes false.
    pub enabled: bool,
    /// A number, or a percentage; null if the kind has none.
    pub limit: Option<u32>,
    /// A time in seconds; null if the kind has none.
    pub within_s: Option<u32>,
    /// Seconds from the opening of a signal to its end; null if the kind ends by something else.
    pub close_s: Option<u32>,
}

/// A change of a [`SignalRule`]. Absent fields stay, and a field that the kind does not have changes nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SignalRulePatch {
    /// Whether signals of this kind are found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// A number, or a percentage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// A time in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within_s: Option<u32>,
    /// Seconds from the opening of a signal to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub close_s: Option<u32>,
}

impl SignalRulePatch {
    /// Adds a later change.
    fn merge(&mut self, later: Self) {
        self.enabled = later.enabled.or(self.enabled);
        self.limit = later.limit.or(self.limit);
        self.within_s = later.within_s.or(self.within_s);
        self.close_s = later.close_s.or(self.close_s);
    }

    fn apply(self, rule: SignalRule) -> SignalRule {
        let change = |figure: Option<u32>, new: Option<u32>| figure.map(|figure| new.unwrap_or(figure));
        SignalRule {
            enabled: self.enabled.unwrap_or(rule.enabled),
            limit: change(rule.limit, self.limit),
            within_s: change(rule.within_s, self.within_s),
            close_s: change(rule.close_s, self.close_s),
        }
    }
}

/// The request of `PUT /api/v1/organization/signals`: by kind, what changes. Absent kinds and fields stay.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct SignalSettingsPatch(pub BTreeMap<SignalKind, SignalRulePatch>);

impl SignalSettingsPatch {
    /// Adds a later change.
    pub fn merge(&mut self, later: &Self) {
        for (kind, patch) in &later.0 {
            self.0.entry(*kind).or_default().merge(*patch);
        }
    }
}

/// An unknown kind is ignored, as every unknown field is.
impl<'de> Deserialize<'de> for SignalSettingsPatch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PatchVisitor)
    }
}

/// Reads the members one by one, so that an error names its member.
struct PatchVisitor;

impl<'de> Visitor<'de> for PatchVisitor {
    type Value = SignalSettingsPatch;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("an object of rules by kind")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut patch = BTreeMap::new();
        while let Some(name) = members.next_key::<String>()? {
            if let Ok(kind) = name.parse::<SignalKind>() {
                patch.insert(kind, members.next_value()?);
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(SignalSettingsPatch(patch))
    }
}

/// The rules by which an organization finds signals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SignalSettings(BTreeMap<SignalKind, SignalRule>);

impl Default for SignalSettings {
    fn default() -> Self {
        let rules = SignalKind::ALL.iter().map(|kind| (*kind, kind.default_rule()));
        Self(rules.collect())
    }
}

impl SignalSettings {
    /// The defaults with some changes.
    #[must_use]
    pub fn with(patch: &SignalSettingsPatch) -> Self {
        let mut settings = Self::default();
        for (kind, change) in &patch.0 {
            let rule = change.apply(kind.default_rule());
            settings.0.insert(*kind, rule);
        }
        settings
    }

    /// The rule of a kind.
    #[must_use]
    pub fn rule(&self, kind: SignalKind) -> SignalRule {
        self.0.get(&kind).copied().unwrap_or_else(|| kind.default_rule())
    }

    /// The rules of all kinds.
    pub fn rules(&self) -> impl Iterator<Item = (SignalKind, SignalRule)> + '_ {
        SignalKind::ALL.iter().map(|kind| (*kind, self.rule(*kind)))
    }
}

#[cfg(test)]
mod tests;
