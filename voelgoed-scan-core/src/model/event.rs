//! Events: status, times, capacity and re-entry policy.

use serde::{Deserialize, Serialize};

use crate::model::text::string_enum;
use crate::model::{ClassName, EventId, Name, OrganizationId, Timestamp};

string_enum! {
    /// Where an event stands. Only [`EventStatus::Live`] lets people in.
    pub enum EventStatus {
        /// Being prepared.
        Draft = "draft" @ 0,
        /// On sale.
        Published = "published" @ 1,
        /// The doors are open.
        Live = "live" @ 2,
        /// Over.
        Ended = "ended" @ 3,
        /// Kept for the records.
        Archived = "archived" @ 4,
    }

    /// Whether a holder who went out may come in again.
    pub enum Reentry {
        /// A ticket admits as often as its entry limit says, ever.
        Never = "never" @ 0,
        /// ... within the deduplication window; after it the ticket admits again.
        AfterWindow = "after_window" @ 1,
        /// ... at a time: whoever left by an exit scan may come back.
        AfterExit = "after_exit" @ 2,
    }

    /// What a phone does whose manifest has grown too old.
    pub enum StaleManifest {
        /// Decides, with a warning.
        Warn = "warn" @ 0,
        /// Decides nothing.
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
    /// What it is called.
    pub name: Name,
    /// Where it stands; the only field that decides whether its gates let anybody in.
    pub status: EventStatus,
    /// When it starts. Informs only.
    pub starts_at: Option<Timestamp>,
    /// When it ends. Informs only.
    pub ends_at: Option<Timestamp>,
    /// How many people may be inside; null is no limit, 0 is nobody.
    pub capacity: Option<u32>,
    /// Whether a holder may come in again.
    pub reentry: Reentry,
    /// Whether a bare ticket code, typed by staff, is accepted.
    pub allow_unsigned: bool,
    /// The names of the ticket classes. Append-only: the n-th, from 1, is class n in VG2 claims.
    pub ticket_classes: Vec<ClassName>,
    /// What a phone does whose manifest has grown too old.
    pub stale_manifest: StaleManifest,
    /// When a manifest is too old, in seconds after it was made.
    pub manifest_max_age_s: u32,
    /// When it was first put here.
    pub inserted_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// What `PUT /api/v1/events/{id}` takes: the whole event; what is absent takes its default, save for
/// `ticket_classes`, which stay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EventPut {
    /// What it is called.
    pub name: Name,
    /// Where it stands.
    pub status: EventStatus,
    /// When it starts.
    #[serde(default)]
    pub starts_at: Option<Timestamp>,
    /// When it ends.
    #[serde(default)]
    pub ends_at: Option<Timestamp>,
    /// How many people may be inside; null is no limit, 0 is nobody.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 2_000_000_000)))]
    pub capacity: Option<u32>,
    /// Whether a holder may come in again.
    #[serde(default = "never")]
    pub reentry: Reentry,
    /// Whether a bare ticket code is accepted.
    #[serde(default)]
    pub allow_unsigned: bool,
    /// The names of the ticket classes, at most 65,535; a list that is there can only be added to.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(length(max = 65_535)))]
    pub ticket_classes: Option<Vec<ClassName>>,
    /// What a phone does whose manifest has grown too old.
    #[serde(default = "warn")]
    pub stale_manifest: StaleManifest,
    /// When a manifest is too old, in seconds after it was made.
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
