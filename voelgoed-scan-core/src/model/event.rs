//! Events: status, times, capacity and re-entry policy.

use serde::{Deserialize, Serialize};

use crate::model::text::string_enum;
use crate::model::{ClassName, EventId, Name, OrganizationId, Timestamp};

string_enum! {
    /// The status of an event. Gates admit people only while it is [`EventStatus::Live`].
    pub enum EventStatus {
        /// It is in preparation.
        Draft = "draft" @ 0,
        /// Its tickets are on sale.
        Published = "published" @ 1,
        /// Its gates admit people.
        Live = "live" @ 2,
        /// It is over.
        Ended = "ended" @ 3,
        /// It is archived.
        Archived = "archived" @ 4,
    }

    /// The re-entry policy: whether a ticket that has used its entry limit may admit again.
    pub enum Reentry {
        /// A ticket admits as often as its entry limit, in total.
        Never = "never" @ 0,
        /// A ticket admits as often as its entry limit within the deduplication window.
        AfterWindow = "after_window" @ 1,
        /// A ticket has at most as many people inside as its entry limit; an exit scan allows another entry.
        AfterExit = "after_exit" @ 2,
    }

    /// What a phone does when its manifest is stale.
    pub enum StaleManifest {
        /// It decides with a warning.
        Warn = "warn" @ 0,
        /// It does not decide.
        Refuse = "refuse" @ 1,
    }
}

/// An event of an organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Event {
    /// The event.
    pub id: EventId,
    /// Its organization.
    pub organization_id: OrganizationId,
    /// Its display name.
    pub name: Name,
    /// Its status. This field alone decides whether its gates admit people; the times do not.
    pub status: EventStatus,
    /// Its start, for information only.
    pub starts_at: Option<Timestamp>,
    /// Its end, for information only.
    pub ends_at: Option<Timestamp>,
    /// The maximum number of people inside. Null is no limit; 0 admits nobody.
    pub capacity: Option<u32>,
    /// The re-entry policy.
    pub reentry: Reentry,
    /// Whether it accepts a bare ticket code that staff type.
    pub allow_unsigned: bool,
    /// The names of the ticket classes. The list is append-only: the n-th, from 1, is class n in VG2 claims.
    pub ticket_classes: Vec<ClassName>,
    /// What a phone does when its manifest is stale.
    pub stale_manifest: StaleManifest,
    /// The age at which a manifest is stale, in seconds.
    pub manifest_max_age_s: u32,
    /// When it was created.
    pub inserted_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// The rules of an event that are kept over time: a change holds for the scans from then on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventRules {
    /// The re-entry policy.
    pub reentry: Reentry,
}

impl Event {
    /// The rules that hold now.
    #[must_use]
    pub const fn rules(&self) -> EventRules {
        EventRules {
            reentry: self.reentry,
        }
    }
}

/// The request of `PUT /api/v1/events/{id}`: the whole event. An absent field takes its default, except
/// `ticket_classes`, which stay unchanged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EventPut {
    /// Its display name.
    pub name: Name,
    /// Its status.
    pub status: EventStatus,
    /// Its start, for information only.
    #[serde(default)]
    pub starts_at: Option<Timestamp>,
    /// Its end, for information only.
    #[serde(default)]
    pub ends_at: Option<Timestamp>,
    /// The maximum number of people inside. Null is no limit; 0 admits nobody.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 2_000_000_000)))]
    pub capacity: Option<u32>,
    /// The re-entry policy.
    #[serde(default = "never")]
    pub reentry: Reentry,
    /// Whether it accepts a bare ticket code that staff type.
    #[serde(default)]
    pub allow_unsigned: bool,
    /// The names of the ticket classes, at most 65,535. The list must start with the present one.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(length(max = 65_535)))]
    pub ticket_classes: Option<Vec<ClassName>>,
    /// What a phone does when its manifest is stale.
    #[serde(default = "warn")]
    pub stale_manifest: StaleManifest,
    /// The age at which a manifest is stale, in seconds.
    #[serde(default = "twelve_hours")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 31_536_000)))]
    pub manifest_max_age_s: u32,
}

const fn never() -> Reentry {
    Reentry::Never
}

const fn warn() -> StaleManifest {
    StaleManifest::Warn
}

const fn twelve_hours() -> u32 {
    43_200
}
