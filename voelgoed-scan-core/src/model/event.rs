//! Events: status, times, doors, capacity and re-entry policy.

use serde::{Deserialize, Serialize};

use crate::model::text::string_enum;
use crate::model::{ClassName, EventId, LocalTime, Name, OrganizationId, TimeZoneName, Timestamp};

string_enum! {
    /// The status of an event. Gates admit people while it is [`EventStatus::Live`], or [`EventStatus::Postponed`] and its
    /// new date has come.
    pub enum EventStatus {
        /// It is in preparation.
        Draft = "draft" @ 0,
        /// Its tickets are on sale.
        Published = "published" @ 1,
        /// Its gates admit people.
        Live = "live" @ 2,
        /// It is over.
        Ended = "ended" @ 3,
        /// It does not take place.
        Cancelled = "cancelled" @ 5,
        /// It takes place later: from `rescheduled_at`, once that is set.
        Postponed = "postponed" @ 6,
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
        /// A ticket admits as often as its entry limit on each day of the event. At the start of a day everybody is taken to
        /// have left.
        Daily = "daily" @ 3,
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
    /// Its status.
    pub status: EventStatus,
    /// Its start. With `ends_at` it gives the length of an event that is postponed; else it is for information only.
    pub starts_at: Option<Timestamp>,
    /// Its end, see `starts_at`.
    pub ends_at: Option<Timestamp>,
    /// The first moment at which a live event admits people. Null is no bound.
    pub doors_open_at: Option<Timestamp>,
    /// The last moment at which a live event admits people. Null is no bound.
    pub doors_close_at: Option<Timestamp>,
    /// The new start of a postponed event. Null while it is not known.
    pub rescheduled_at: Option<Timestamp>,
    /// The time zone in which its days begin.
    pub time_zone: TimeZoneName,
    /// When a day begins, in `time_zone`.
    pub day_starts_at: LocalTime,
    /// The maximum number of people inside. Null is no limit; 0 admits nobody.
    pub capacity: Option<u32>,
    /// The re-entry policy.
    pub reentry: Reentry,
    /// Whether it accepts a bare ticket code that staff type.
    pub allow_unsigned: bool,
    /// Whether it accepts the media of tickets: barcodes of other systems, wristbands, cards.
    pub allow_media: bool,
    /// Whether a rehearsal made it: the copy of an event, which an admin may delete. Fixed at its creation.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rehearsal: bool,
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRules {
    /// The re-entry policy.
    pub reentry: Reentry,
    /// The time zone in which days begin.
    pub time_zone: TimeZoneName,
    /// When a day begins, in this zone.
    pub day_starts_at: LocalTime,
}

impl EventRules {
    /// Rules with a policy. Days begin at midnight UTC.
    #[must_use]
    pub fn constant(reentry: Reentry) -> Self {
        Self {
            reentry,
            time_zone: TimeZoneName::default(),
            day_starts_at: LocalTime::default(),
        }
    }
}

impl Event {
    /// The rules that hold now.
    #[must_use]
    pub fn rules(&self) -> EventRules {
        EventRules {
            reentry: self.reentry,
            time_zone: self.time_zone.clone(),
            day_starts_at: self.day_starts_at,
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
    /// Its start. With `ends_at` it gives the length of an event that is postponed; else it is for information only.
    #[serde(default)]
    pub starts_at: Option<Timestamp>,
    /// Its end, not before `starts_at`.
    #[serde(default)]
    pub ends_at: Option<Timestamp>,
    /// The first moment at which a live event admits people. Null is no bound.
    #[serde(default)]
    pub doors_open_at: Option<Timestamp>,
    /// The last moment at which a live event admits people, not before `doors_open_at`. Null is no bound.
    #[serde(default)]
    pub doors_close_at: Option<Timestamp>,
    /// The new start of a postponed event. Null while it is not known: the event then admits nobody.
    #[serde(default)]
    pub rescheduled_at: Option<Timestamp>,
    /// The time zone in which its days begin: a name of the IANA time zone database.
    #[serde(default)]
    pub time_zone: TimeZoneName,
    /// When a day begins, in `time_zone`.
    #[serde(default)]
    pub day_starts_at: LocalTime,
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
    /// Whether it accepts the media of tickets: barcodes of other systems, wristbands, cards.
    #[serde(default)]
    pub allow_media: bool,
    /// Whether a rehearsal makes it: the copy of an event, which an admin may delete. It holds at the creation alone; later it
    /// changes nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rehearsal: bool,
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

impl EventPut {
    /// An event with the defaults of every field that has one.
    #[must_use]
    pub fn new(name: Name, status: EventStatus) -> Self {
        Self {
            name,
            status,
            starts_at: None,
            ends_at: None,
            doors_open_at: None,
            doors_close_at: None,
            rescheduled_at: None,
            time_zone: TimeZoneName::default(),
            day_starts_at: LocalTime::default(),
            capacity: None,
            reentry: never(),
            allow_unsigned: false,
            allow_media: false,
            rehearsal: false,
            ticket_classes: None,
            stale_manifest: warn(),
            manifest_max_age_s: twelve_hours(),
        }
    }

    /// The new event that the request makes.
    #[must_use]
    pub fn event(&self, organization: OrganizationId, id: EventId, now: Timestamp) -> Event {
        Event {
            id,
            organization_id: organization,
            name: self.name.clone(),
            status: self.status,
            starts_at: self.starts_at,
            ends_at: self.ends_at,
            doors_open_at: self.doors_open_at,
            doors_close_at: self.doors_close_at,
            rescheduled_at: self.rescheduled_at,
            time_zone: self.time_zone.clone(),
            day_starts_at: self.day_starts_at,
            capacity: self.capacity,
            reentry: self.reentry,
            allow_unsigned: self.allow_unsigned,
            allow_media: self.allow_media,
            rehearsal: self.rehearsal,
            ticket_classes: self.ticket_classes.clone().unwrap_or_default(),
            stale_manifest: self.stale_manifest,
            manifest_max_age_s: self.manifest_max_age_s,
            inserted_at: now,
            updated_at: now,
        }
    }
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
