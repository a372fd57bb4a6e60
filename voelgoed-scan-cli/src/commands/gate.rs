//! `gate`: creates, changes, lists and shows the gates of an event.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use voelgoed_scan_core::model::{ClassName, Gate as CoreGate, GateCode, GateId, GatePut, GateStatus, Name};

use super::named_rows;
use super::put::{Fields, PutResource, put};
use super::value_parsers::{OrNew, OrNone, variant};
use crate::client::Client;
use crate::context::Context;
use crate::env;
use crate::failure::Failure;
use crate::names::{NamedEvent, NamedGate};
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
  voelgoed-scan gate put Main --event 'Summer Night' --status closed
  voelgoed-scan gate put GATE --event OTHER-EVENT --name Main --status open
  voelgoed-scan gate put GATE gate.json --event EVENT")]
    Put(Box<Put>),
    /// List the gates of an event
    #[command(after_help = "Examples:\n  voelgoed-scan gate list --event EVENT")]
    List {
        /// Their event
        #[arg(long, env = env::EVENT)]
        event: NamedEvent,
    },
    /// Show a gate
    #[command(after_help = "Examples:\n  voelgoed-scan gate show GATE --event EVENT")]
    Show {
        /// The gate
        #[arg(value_name = "GATE")]
        gate: NamedGate,
        /// Its event
        #[arg(long, env = env::EVENT)]
        event: NamedEvent,
    },
}

/// The arguments of `gate put`.
#[derive(Debug, Args)]
pub(crate) struct Put {
    /// The gate, a new UUID, or `new` to generate one
    #[arg(value_name = "GATE")]
    id: OrNew<NamedGate>,
    /// A file with the gate as JSON; `-` is standard input
    file: Option<PathBuf>,
    /// Its event
    #[arg(long, env = env::EVENT)]
    event: NamedEvent,
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
                let event = event.id(&client).await?;
                let path = format!("/api/v1/events/{event}/gates");
                named_rows::gates(&client.all::<CoreGate>(&path).await?, context.view)
            }
            Self::Show { gate, event } => {
                let event = event.id(&client).await?;
                let id = gate.id(&client, Some(event)).await?;
                let path = format!("/api/v1/events/{event}/gates/{id}");
                Report::object(&client.get::<CoreGate>(&path).await?)
            }
        }
    }
}

impl Put {
    async fn run(self, client: &Client) -> Result<CoreGate, Failure> {
        let event = self.event.id(client).await?;
        let id = match &self.id {
            OrNew::New => GateId::generate(env::now()),
            OrNew::Id(gate) => gate.id(client, Some(event)).await?,
        };
        let path = format!("/api/v1/events/{event}/gates/{id}");
        let mut flags = Fields::default();
        flags.set("name", self.name)?;
        flags.set("code", self.code)?;
        flags.set("status", self.status)?;
        flags.set("capacity", self.capacity)?;
        flags.set("ticket_classes", self.ticket_classes)?;
        let is_new = self.id == OrNew::New;
        put(client, &path, is_new, self.file.as_deref(), flags).await
    }
}

impl PutResource for CoreGate {
    type Body = GatePut;
    const NAME: &'static str = "the gate";
    const OMITTED: &'static [&'static str] = &[];
}
