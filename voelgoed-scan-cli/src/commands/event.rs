//! `event`: creates, changes, lists, shows and deletes events.

mod retention;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use jiff::tz::TimeZone;
use voelgoed_scan_core::model::{
    ClassName, Event as CoreEvent, EventId, EventPut, EventStatus, LocalTime, Name, Reentry, StaleManifest,
    TimeZoneName,
};

use super::confirm::Confirmation;
use super::named_rows;
use super::put::{Fields, PutResource, put};
use super::value_parsers::{OrNew, OrNone, TypedTime, variant};
use crate::client::Client;
use crate::context::Context;
use crate::env;
use crate::failure::Failure;
use crate::names::NamedEvent;
use crate::output::Report;

/// How the name of the copy begins that a rehearsal works on.
const REHEARSAL: &str = "Rehearsal: ";

/// The subcommands of `event`.
#[derive(Debug, Subcommand)]
pub(crate) enum Event {
    /// Create an event, or change one
    ///
    /// With FILE, the JSON object in it replaces the whole event; flags override its fields. With flags alone, all
    /// other fields keep their values.
    #[command(after_help = "\
Examples:
  voelgoed-scan event put new --name 'Summer Night' --status live --capacity 2000
  voelgoed-scan event put 0192f0c1-7a4e-7000-8000-000000000001 event.json
  voelgoed-scan event put 'Summer Night' --doors-open-at '2026-11-22 19:00'
  voelgoed-scan event put 'Summer Night' --status ended")]
    Put(Box<Put>),
    /// List the events
    #[command(after_help = "Examples:\n  voelgoed-scan event list\n  voelgoed-scan event list --output json")]
    List {
        /// Also the copies that rehearsals work on
        #[arg(long)]
        all: bool,
    },
    /// Show an event
    #[command(after_help = "Examples:\n  voelgoed-scan event show 'Summer Night'")]
    Show {
        /// The event
        #[arg(value_name = "EVENT", env = env::EVENT)]
        event: NamedEvent,
    },
    /// Delete the personal data of an event; decisions and counts stay
    #[command(
        after_help = "Examples:\n  voelgoed-scan event delete-personal-data 0192f0c1-7a4e-7000-8000-000000000001"
    )]
    DeletePersonalData {
        /// The event
        #[arg(value_name = "EVENT")]
        event: NamedEvent,
        /// The flag
        #[command(flatten)]
        confirmation: Confirmation,
    },
    /// Delete an archived event with its tickets and scans; its id cannot be used again
    #[command(
        after_help = "Examples:\n  voelgoed-scan event delete 0192f0c1-7a4e-7000-8000-000000000001 --yes"
    )]
    Delete {
        /// The event
        #[arg(value_name = "EVENT")]
        event: NamedEvent,
        /// The flag
        #[command(flatten)]
        confirmation: Confirmation,
    },
}

/// The arguments of `event put`.
#[derive(Debug, Args)]
pub(crate) struct Put {
    /// The event, a new UUID, or `new` to generate one
    #[arg(value_name = "EVENT")]
    id: OrNew<NamedEvent>,
    /// A file with the event as JSON; `-` is standard input
    file: Option<PathBuf>,
    /// Its name
    #[arg(long)]
    name: Option<Name>,
    /// Its status; `live` admits while the doors are open, `postponed` from the new start
    #[arg(long, value_parser = variant::<EventStatus>(EventStatus::STRINGS))]
    status: Option<EventStatus>,
    /// How many people may be inside, or `none` for no limit
    #[arg(long, value_name = "N")]
    capacity: Option<OrNone<u32>>,
    /// Whether people who left may come in again
    #[arg(long, value_parser = variant::<Reentry>(Reentry::STRINGS))]
    reentry: Option<Reentry>,
    /// Whether ticket codes without a signature, as staff type them, are accepted
    #[arg(long, value_name = "true|false", num_args = 0..=1, default_missing_value = "true")]
    allow_unsigned: Option<bool>,
    /// Whether the media of tickets are accepted: barcodes of other systems, wristbands, cards
    #[arg(long, value_name = "true|false", num_args = 0..=1, default_missing_value = "true")]
    allow_media: Option<bool>,
    /// The ticket classes, separated by commas; classes can only be added
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    ticket_classes: Option<Vec<ClassName>>,
    /// When it starts (RFC 3339, or local to the event), or `none`
    #[arg(long, value_name = "TIME")]
    starts_at: Option<OrNone<TypedTime>>,
    /// When it ends (RFC 3339, or local to the event), or `none`
    #[arg(long, value_name = "TIME")]
    ends_at: Option<OrNone<TypedTime>>,
    /// The first moment at which it admits (RFC 3339, or local to the event), or `none` for no bound
    #[arg(long, value_name = "TIME")]
    doors_open_at: Option<OrNone<TypedTime>>,
    /// The last moment at which it admits (RFC 3339, or local to the event), or `none` for no bound
    #[arg(long, value_name = "TIME")]
    doors_close_at: Option<OrNone<TypedTime>>,
    /// The new start of a postponed event (RFC 3339, or local to the event), or `none` while it is not known
    #[arg(long, value_name = "TIME")]
    rescheduled_at: Option<OrNone<TypedTime>>,
    /// The time zone in which its days begin, such as `Europe/Berlin`
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<TimeZoneName>,
    /// When a day begins, in the event's time zone
    #[arg(long, value_name = "HH:MM")]
    day_starts_at: Option<LocalTime>,
    /// What a phone does when its manifest is too old
    #[arg(long, value_parser = variant::<StaleManifest>(StaleManifest::STRINGS))]
    stale_manifest: Option<StaleManifest>,
    /// The age after which a manifest is too old, in seconds
    #[arg(long, value_name = "SECONDS")]
    manifest_max_age_s: Option<u32>,
}

impl Event {
    pub(super) async fn run(self, context: &Context) -> Result<Report, Failure> {
        let client = context.client()?;
        match self {
            Self::Put(put) => Report::object(&put.run(&client).await?),
            Self::List { all } => {
                let mut events: Vec<CoreEvent> = client.all("/api/v1/events").await?;
                events.retain(|event| all || !event.name.as_str().starts_with(REHEARSAL));
                named_rows::events(&events, context.view)
            }
            Self::Show { event } => {
                let id = event.id(&client).await?;
                Report::object(&client.get::<CoreEvent>(&format!("/api/v1/events/{id}")).await?)
            }
            Self::DeletePersonalData { event, confirmation } => {
                let id = event.id(&client).await?;
                retention::delete_personal_data(&client, id, confirmation).await
            }
            Self::Delete { event, confirmation } => {
                let id = event.id(&client).await?;
                retention::delete(&client, id, confirmation).await
            }
        }
    }
}

impl Put {
    async fn run(self, client: &Client) -> Result<CoreEvent, Failure> {
        let id = match &self.id {
            OrNew::New => EventId::generate(env::now()),
            OrNew::Id(event) => event.id(client).await?,
        };
        let path = format!("/api/v1/events/{id}");
        let zone = self.zone(client, &path).await?;
        let at = |time: Option<OrNone<TypedTime>>| match time {
            Some(OrNone::Some(time)) => time.at(&zone).map(|at| Some(OrNone::Some(at))),
            Some(OrNone::None) => Ok(Some(OrNone::None)),
            None => Ok(None),
        };
        let mut flags = Fields::default();
        flags.set("name", self.name)?;
        flags.set("status", self.status)?;
        flags.set("capacity", self.capacity)?;
        flags.set("reentry", self.reentry)?;
        flags.set("allow_unsigned", self.allow_unsigned)?;
        flags.set("allow_media", self.allow_media)?;
        flags.set("ticket_classes", self.ticket_classes)?;
        flags.set("starts_at", at(self.starts_at)?)?;
        flags.set("ends_at", at(self.ends_at)?)?;
        flags.set("doors_open_at", at(self.doors_open_at)?)?;
        flags.set("doors_close_at", at(self.doors_close_at)?)?;
        flags.set("rescheduled_at", at(self.rescheduled_at)?)?;
        flags.set("time_zone", self.time_zone)?;
        flags.set("day_starts_at", self.day_starts_at)?;
        flags.set("stale_manifest", self.stale_manifest)?;
        flags.set("manifest_max_age_s", self.manifest_max_age_s)?;
        let is_new = self.id == OrNew::New;
        put(client, &path, is_new, self.file.as_deref(), flags).await
    }
}

impl Put {
    /// The time zone of local times: that of the flag, or else that of the event so far.
    async fn zone(&self, client: &Client, path: &str) -> Result<TimeZone, Failure> {
        let times = [
            self.starts_at,
            self.ends_at,
            self.doors_open_at,
            self.doors_close_at,
            self.rescheduled_at,
        ];
        let is_local = |time: OrNone<TypedTime>| matches!(time, OrNone::Some(time) if time.is_local());
        if !times.into_iter().flatten().any(is_local) {
            return Ok(TimeZone::UTC);
        }
        let name = match (&self.time_zone, &self.file) {
            (Some(name), _) => name.clone(),
            (None, Some(_)) => {
                return Err(Failure::Usage {
                    reason: "a local time beside a FILE needs its time zone".to_owned(),
                    hint: "add --time-zone, or give the time as 2026-11-22T17:00:00Z",
                });
            }
            (None, None) => match client.find::<CoreEvent>(path).await? {
                Some(event) => event.time_zone,
                None => TimeZoneName::default(),
            },
        };
        name.zone()
            .ok_or_else(|| Failure::invalid(name.to_string(), "is not a time zone that this program knows"))
    }
}

impl PutResource for CoreEvent {
    type Body = EventPut;
    const NAME: &'static str = "the event";
    // Sent back, the classes could undo what an import adds at the same time.
    const OMITTED: &'static [&'static str] = &["ticket_classes"];
}
