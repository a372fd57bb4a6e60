//! `gate`: creates, changes, lists and shows the gates of an event.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use voelgoed_scan_core::model::{
    ClassName, EventId, Gate as CoreGate, GateCode, GateId, GatePut, GateStatus, Name,
};

use super::put::{Fields, PutResource, put};
use super::value_parsers::{OrNew, OrNone, variant};
use crate::client::Client;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::Report;

/// The subcommands of `gate`.
#[derive(Debug, Subcommand)]
pub(crate) enum Gate {
    /// Create a gate, or change one
    ///
    /// With FILE, the JSON object in it replaces the whole gate; flags override its fields. With flags alone, all
    /// other fields keep their values. The same gate, a venue's door, may serve several events: each has its own name,
    /// status, capacity, classes and counts of it.
    #[command(after_help = "\
Examples:
  voelgoed-scan gate put new --event EVENT --name Main --status open --capacity 500
  voelgoed-scan gate put new --event EVENT --name 'VIP door' --status open --ticket-classes VIP
  voelgoed-scan gate put GATE --event EVENT --status closed
  voelgoed-scan gate put GATE --event OTHER-EVENT --name Main --status open
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

/// The arguments of `gate put`.
#[derive(Debug, Args)]
pub(crate) struct Put {
    /// The gate's UUID, or `new` to generate one
    #[arg(value_name = "GATE")]
    id: OrNew<GateId>,
    /// A file with the gate as JSON; `-` is standard input
    file: Option<PathBuf>,
    /// Its event
    #[arg(long)]
    event: EventId,
    /// Its name
    #[arg(long)]
    name: Option<Name>,
    /// A short code for plans and signs, unique in the event, or `none`
    #[arg(long)]
    code: Option<OrNone<GateCode>>,
    /// Its status; only `open` admits
    #[arg(long, value_parser = variant::<GateStatus>(GateStatus::STRINGS))]
    status: Option<GateStatus>,
    /// How many people who came in here may be inside, or `none` for no limit
    #[arg(long, value_name = "N")]
    capacity: Option<OrNone<u32>>,
    /// The ticket classes admitted here, separated by commas, or `none` for all
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
    pub(super) async fn run(self, context: &Context) -> Result<Report, Failure> {
        let client = context.client()?;
        match self {
            Self::Put(put) => Report::object(&put.run(&client).await?),
            Self::List { event } => {
                let path = format!("/api/v1/events/{event}/gates");
                Report::list(&client.all::<CoreGate>(&path).await?)
            }
            Self::Show { id, event } => {
                let path = format!("/api/v1/events/{event}/gates/{id}");
                Report::object(&client.get::<CoreGate>(&path).await?)
            }
        }
    }
}

impl Put {
    async fn run(self, client: &Client) -> Result<CoreGate, Failure> {
        let id = self.id.or_generate(GateId::generate);
        let path = format!("/api/v1/events/{}/gates/{id}", self.event);
        let mut flags = Fields::default();
        flags.set("name", self.name)?;
        flags.set("code", self.code)?;
        flags.set("status", self.status)?;
        flags.set("capacity", self.capacity)?;
        flags.set("ticket_classes", self.ticket_classes)?;
        put(client, &path, self.id, self.file.as_deref(), flags).await
    }
}

impl PutResource for CoreGate {
    type Body = GatePut;
    const NAME: &'static str = "the gate";
    const OMITTED: &'static [&'static str] = &[];
}
