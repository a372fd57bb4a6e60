//! `gate`: where people come in.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use voelgoed_scan_core::model::{
    ClassName, EventId, Gate as CoreGate, GateCode, GateId, GatePut, GateStatus, Name,
};

use super::put::Fields;
use super::typed::{OrNew, OrNone, word};
use crate::desk::Desk;
use crate::failure::Failure;
use crate::output::Report;

/// Gates of an event.
#[derive(Debug, Subcommand)]
pub(crate) enum Gate {
    /// Create a gate, or change one
    ///
    /// With FILE the whole gate is replaced by the JSON object in it (flags override its fields). With flags
    /// alone, what they do not name stays as it is.
    #[command(after_help = "\
Examples:
  voelgoed-scan gate put new --event EVENT --name Main --status open --capacity 500
  voelgoed-scan gate put new --event EVENT --name 'VIP door' --status open --ticket-classes VIP
  voelgoed-scan gate put GATE --event EVENT --status closed
  voelgoed-scan gate put GATE gate.json --event EVENT")]
    Put(Box<Put>),
    /// List the gates of an event
    #[command(after_help = "Examples:\n  voelgoed-scan gate list --event EVENT")]
    List {
        /// Their event
        #[arg(long)]
        event: EventId,
    },
    /// Show a gate
    #[command(after_help = "Examples:\n  voelgoed-scan gate show GATE --event EVENT")]
    Show {
        /// The gate
        #[arg(value_name = "GATE")]
        id: GateId,
        /// Its event
        #[arg(long)]
        event: EventId,
    },
}

/// What `gate put` takes.
#[derive(Debug, Args)]
pub(crate) struct Put {
    /// The gate's UUID, or `new` to have one made
    #[arg(value_name = "GATE")]
    id: OrNew<GateId>,
    /// A file with the gate as JSON; `-` is standard input
    file: Option<PathBuf>,
    /// Its event
    #[arg(long)]
    event: EventId,
    /// What it is called
    #[arg(long)]
    name: Option<Name>,
    /// A short code for plans and signs, or `none`
    #[arg(long)]
    code: Option<OrNone<GateCode>>,
    /// Whether it lets people in
    #[arg(long, value_parser = word::<GateStatus>(GateStatus::STRINGS))]
    status: Option<GateStatus>,
    /// How many people that came in here may be inside, or `none` for no limit
    #[arg(long, value_name = "N")]
    capacity: Option<OrNone<u32>>,
    /// The ticket classes let in here, separated by commas, or `none` for all
    #[arg(long, value_name = "NAME,...")]
    ticket_classes: Option<OrNone<Classes>>,
}

/// Names of ticket classes, separated by commas.
#[derive(Debug, Clone, serde::Serialize)]
#[serde(transparent)]
struct Classes(Vec<ClassName>);

impl std::str::FromStr for Classes {
    type Err = <ClassName as std::str::FromStr>::Err;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.split(',')
            .map(|name| name.trim().parse())
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl Gate {
    pub(super) async fn run(self, desk: &Desk) -> Result<Report, Failure> {
        match self {
            Self::Put(put) => put.run(desk).await,
            Self::List { event } => {
                let path = format!("/api/v1/events/{event}/gates");
                Report::list(&desk.client()?.all::<CoreGate>(&path).await?)
            }
            Self::Show { id, event } => {
                let path = format!("/api/v1/events/{event}/gates/{id}");
                Report::card(&desk.client()?.get::<CoreGate>(&path).await?)
            }
        }
    }
}

impl Put {
    async fn run(self, desk: &Desk) -> Result<Report, Failure> {
        let client = desk.client()?;
        let id = self.id.or_generate(GateId::generate);
        let path = format!("/api/v1/events/{}/gates/{id}", self.event);
        let mut flags = Fields::default();
        flags.set("name", self.name)?;
        flags.set("code", self.code)?;
        flags.set("status", self.status)?;
        flags.set("capacity", self.capacity)?;
        flags.set("ticket_classes", self.ticket_classes)?;
        if self.file.is_none() && flags.is_empty() {
            return Err(Failure::Usage {
                reason: "there is nothing to put".to_owned(),
                hint: "give a FILE, or flags such as --name and --status",
            });
        }
        let there = match (&self.file, self.id) {
            (Some(file), _) => Fields::of_file(file)?,
            (None, OrNew::New) => Fields::default(),
            (None, OrNew::Id(_)) => match client.find::<CoreGate>(&path).await? {
                Some(gate) => Fields::of(&gate),
                None => Fields::default(),
            },
        };
        let gate: GatePut = there.with(flags).read("the gate")?;
        Report::card(&client.put::<CoreGate>(&path, &gate).await?)
    }
}
