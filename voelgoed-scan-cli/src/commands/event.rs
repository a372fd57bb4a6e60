//! `event`: what people come to.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use voelgoed_scan_core::model::{
    ClassName, Event as CoreEvent, EventId, EventPut, EventStatus, Name, Reentry, StaleManifest, Timestamp,
};

use super::put::Fields;
use super::typed::{OrNew, OrNone, word};
use crate::desk::Desk;
use crate::failure::Failure;
use crate::output::Report;

/// Events.
#[derive(Debug, Subcommand)]
pub(crate) enum Event {
    /// Create an event, or change one
    ///
    /// With FILE the whole event is replaced by the JSON object in it (flags override its fields). With flags
    /// alone, what they do not name stays as it is.
    #[command(after_help = "\
Examples:
  voelgoed-scan event put new --name 'Summer Night' --status live --capacity 2000
  voelgoed-scan event put 0192f0c1-7a4e-7000-8000-000000000001 event.json
  voelgoed-scan event put 0192f0c1-7a4e-7000-8000-000000000001 --status ended")]
    Put(Box<Put>),
    /// List all events
    #[command(after_help = "Examples:\n  voelgoed-scan event list\n  voelgoed-scan event list --output json")]
    List,
    /// Show an event
    #[command(after_help = "Examples:\n  voelgoed-scan event show 0192f0c1-7a4e-7000-8000-000000000001")]
    Show {
        /// The event
        #[arg(value_name = "EVENT")]
        id: EventId,
    },
}

/// What `event put` takes.
#[derive(Debug, Args)]
pub(crate) struct Put {
    /// The event's UUID, or `new` to have one made
    #[arg(value_name = "EVENT")]
    id: OrNew<EventId>,
    /// A file with the event as JSON; `-` is standard input
    file: Option<PathBuf>,
    /// What it is called
    #[arg(long)]
    name: Option<Name>,
    /// Where it stands; only `live` lets people in
    #[arg(long, value_parser = word::<EventStatus>(EventStatus::STRINGS))]
    status: Option<EventStatus>,
    /// How many people may be inside, or `none` for no limit
    #[arg(long, value_name = "N")]
    capacity: Option<OrNone<u32>>,
    /// Whether somebody who went out may come in again
    #[arg(long, value_parser = word::<Reentry>(Reentry::STRINGS))]
    reentry: Option<Reentry>,
    /// Whether bare ticket codes, typed by staff, are accepted
    #[arg(long, value_name = "true|false", num_args = 0..=1, default_missing_value = "true")]
    allow_unsigned: Option<bool>,
    /// The ticket classes, separated by commas; a list can only grow
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    ticket_classes: Option<Vec<ClassName>>,
    /// When it starts (RFC 3339), or `none`
    #[arg(long, value_name = "TIME")]
    starts_at: Option<OrNone<Timestamp>>,
    /// When it ends (RFC 3339), or `none`
    #[arg(long, value_name = "TIME")]
    ends_at: Option<OrNone<Timestamp>>,
    /// What a phone does whose manifest is too old
    #[arg(long, value_parser = word::<StaleManifest>(StaleManifest::STRINGS))]
    stale_manifest: Option<StaleManifest>,
    /// When a manifest is too old, in seconds
    #[arg(long, value_name = "SECONDS")]
    manifest_max_age_s: Option<u32>,
}

impl Event {
    pub(super) async fn run(self, desk: &Desk) -> Result<Report, Failure> {
        let client = desk.client()?;
        match self {
            Self::Put(put) => put.run(desk).await,
            Self::List => Report::list(&client.all::<CoreEvent>("/api/v1/events").await?),
            Self::Show { id } => {
                Report::card(&client.get::<CoreEvent>(&format!("/api/v1/events/{id}")).await?)
            }
        }
    }
}

impl Put {
    async fn run(self, desk: &Desk) -> Result<Report, Failure> {
        let client = desk.client()?;
        let id = self.id.or_generate(EventId::generate);
        let path = format!("/api/v1/events/{id}");
        let mut flags = Fields::default();
        flags.set("name", self.name)?;
        flags.set("status", self.status)?;
        flags.set("capacity", self.capacity)?;
        flags.set("reentry", self.reentry)?;
        flags.set("allow_unsigned", self.allow_unsigned)?;
        flags.set("ticket_classes", self.ticket_classes)?;
        flags.set("starts_at", self.starts_at)?;
        flags.set("ends_at", self.ends_at)?;
        flags.set("stale_manifest", self.stale_manifest)?;
        flags.set("manifest_max_age_s", self.manifest_max_age_s)?;
        if self.file.is_none() && flags.is_empty() {
            return Err(Failure::Usage {
                reason: "there is nothing to put".to_owned(),
                hint: "give a FILE, or flags such as --name and --status",
            });
        }
        let there = match (&self.file, self.id) {
            (Some(file), _) => Fields::of_file(file)?,
            (None, OrNew::New) => Fields::default(),
            // Absent classes stay; sent back, they could undo what an import adds meanwhile.
            (None, OrNew::Id(_)) => match client.find::<CoreEvent>(&path).await? {
                Some(event) => Fields::of(&event).without("ticket_classes"),
                None => Fields::default(),
            },
        };
        let event: EventPut = there.with(flags).read("the event")?;
        Report::card(&client.put::<CoreEvent>(&path, &event).await?)
    }
}
