//! `session`: starts, lists, shows and ends the sessions of devices at gates.

use clap::Subcommand;
use voelgoed_scan_core::model::{
    DeviceId, EventId, GateId, ScanSession, SessionId, SessionStart, SessionStatus,
};

use super::value_parsers::variant;
use crate::client::{Client, Query};
use crate::context::Context;
use crate::failure::Failure;
use crate::output::Report;

const SESSIONS: &str = "/api/v1/scanning/sessions";

/// The subcommands of `session`.
#[derive(Debug, Subcommand)]
pub(crate) enum Session {
    /// Start a session, as a device
    #[command(after_help = "\
Examples:
  VOELGOED_SCAN_TOKEN=$(cat device.token) voelgoed-scan session start --event EVENT --gate GATE
  voelgoed-scan session start --event EVENT --gate GATE --replace --token-file device.token")]
    Start {
        /// The event to scan for
        #[arg(long)]
        event: EventId,
        /// The gate to scan at
        #[arg(long)]
        gate: GateId,
        /// End the device's active session first
        #[arg(long)]
        replace: bool,
    },
    /// List sessions, newest first (API key)
    #[command(after_help = "Examples:\n  voelgoed-scan session list --event EVENT --status active")]
    List {
        /// Only sessions of this event
        #[arg(long)]
        event: Option<EventId>,
        /// Only sessions of this device (its UUID)
        #[arg(long)]
        device: Option<DeviceId>,
        /// Only sessions of this status
        #[arg(long, value_parser = variant::<SessionStatus>(SessionStatus::STRINGS))]
        status: Option<SessionStatus>,
    },
    /// Show a session
    #[command(after_help = "Examples:\n  voelgoed-scan session show SESSION")]
    Show {
        /// The session
        #[arg(value_name = "SESSION")]
        id: SessionId,
    },
    /// End a session
    #[command(after_help = "Examples:\n  voelgoed-scan session end SESSION")]
    End {
        /// The session
        #[arg(value_name = "SESSION")]
        id: SessionId,
    },
}

/// Starts a session of the calling device. With `replace`, its active session ends first.
pub(super) async fn start(
    client: &Client,
    event_id: EventId,
    gate_id: GateId,
    replace: bool,
) -> Result<ScanSession, Failure> {
    let start = SessionStart {
        event_id,
        gate_id,
        replace,
    };
    client.post(SESSIONS, &start).await
}

impl Session {
    pub(super) async fn run(self, context: &Context) -> Result<Report, Failure> {
        let client = context.client()?;
        let session: ScanSession = match self {
            Self::Start { event, gate, replace } => start(&client, event, gate, replace).await?,
            Self::List {
                event,
                device,
                status,
            } => {
                let mut query = Query::new(SESSIONS);
                query.add("event_id", event);
                query.add("device_id", device);
                query.add("status", status);
                return Report::list(&client.all::<ScanSession>(&query.path()).await?);
            }
            Self::Show { id } => client.get(&format!("{SESSIONS}/{id}")).await?,
            Self::End { id } => client.put_empty(&format!("{SESSIONS}/{id}/end")).await?,
        };
        Report::object(&session)
    }
}
