//! What webhooks are told, and how a webhook chooses.

use serde::{Deserialize, Deserializer, Serialize};

use crate::model::text::string_enum;

string_enum! {
    /// What a delivery tells.
    pub enum WebhookType {
        /// An entry was admitted.
        ScanAdmitted = "scan.admitted",
        /// A person left.
        ScanExited = "scan.exited",
        /// A scan was denied.
        ScanDenied = "scan.denied",
        /// An admission was undone.
        ScanUndone = "scan.undone",
        /// An offline scan contradicts the rules or another scan.
        ConflictOpened = "conflict.opened",
        /// A device began to scan at a gate.
        SessionStarted = "session.started",
        /// A device stopped.
        SessionEnded = "session.ended",
        /// A device with a session was not heard of for a while.
        DeviceSilent = "device.silent",
        /// It was heard of again, or its session ended.
        DeviceBack = "device.back",
        /// An event or a gate reached a share of its capacity, or left it again.
        OccupancyThreshold = "occupancy.threshold",
        /// Another signal opened or closed.
        FraudSignal = "fraud.signal",
        /// A test of one webhook. No webhook chooses it.
        WebhookTest = "webhook.test",
    }
}

impl WebhookType {
    /// The part before the dot.
    fn group(self) -> &'static str {
        let text = self.as_str();
        text.split_once('.').map_or(text, |(group, _)| group)
    }

    /// Whether it tells of a scan.
    #[must_use]
    pub const fn is_scan(self) -> bool {
        matches!(
            self,
            Self::ScanAdmitted | Self::ScanExited | Self::ScanDenied | Self::ScanUndone
        )
    }

    fn selectable() -> impl Iterator<Item = Self> {
        let all = Self::ALL.iter().copied();
        all.filter(|kind| *kind != Self::WebhookTest)
    }

    /// Whether a text is a type that a webhook may choose, or a group of such types.
    fn is_selector(text: &str) -> bool {
        Self::selectable().any(|kind| kind.as_str() == text || text.strip_suffix(".*") == Some(kind.group()))
    }
}

/// The error of a list that is no choice of types.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidWebhookTypes {
    /// The list is empty.
    #[error("must name at least one type")]
    Empty,
    /// The list is too long.
    #[error("must have at most {} entries", WebhookTypes::MAX)]
    TooMany,
    /// An entry is no type that a webhook may choose, and no group of types.
    #[error("has an unknown type")]
    Unknown,
}

/// The types that a webhook is told: whole names, or groups such as `scan.*`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct WebhookTypes(Vec<String>);

impl WebhookTypes {
    /// The maximum number of entries.
    pub const MAX: usize = 32;

    /// Checks a list.
    pub fn new(types: Vec<String>) -> Result<Self, InvalidWebhookTypes> {
        if types.is_empty() {
            return Err(InvalidWebhookTypes::Empty);
        }
        if types.len() > Self::MAX {
            return Err(InvalidWebhookTypes::TooMany);
        }
        if !types.iter().all(|text| WebhookType::is_selector(text)) {
            return Err(InvalidWebhookTypes::Unknown);
        }
        Ok(Self(types))
    }

    /// The entries, as they were given.
    #[must_use]
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }

    /// Whether a type is one of them.
    #[must_use]
    pub fn include(&self, kind: WebhookType) -> bool {
        kind != WebhookType::WebhookTest
            && self
                .0
                .iter()
                .any(|text| text == kind.as_str() || text.strip_suffix(".*") == Some(kind.group()))
    }

    /// Whether a type of scans is one of them.
    #[must_use]
    pub fn include_scans(&self) -> bool {
        WebhookType::ALL
            .iter()
            .any(|kind| kind.is_scan() && self.include(*kind))
    }

    /// Every entry that a list may have.
    #[cfg(any(feature = "schema", test))]
    pub(crate) fn selectors() -> Vec<String> {
        let mut selectors = Vec::new();
        for kind in WebhookType::selectable() {
            let group = format!("{}.*", kind.group());
            if !selectors.contains(&group) {
                selectors.push(group);
            }
            selectors.push(kind.as_str().to_owned());
        }
        selectors
    }
}

impl<'de> Deserialize<'de> for WebhookTypes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The whole list is read first, so that an error names the list and not an entry.
        Self::new(Vec::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for WebhookTypes {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "WebhookTypes".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "array", "minItems": 1, "maxItems": Self::MAX,
            "items": { "type": "string", "enum": Self::selectors() }
        })
    }
}
