//! `session`: starts, lists, shows and ends the sessions of devices at gates.

use clap::Subcommand;
use voelgoed_scan_core::model::{EventId, GateId, ScanSession, SessionStart, SessionStatus};

use super::named_rows;
use super::value_parsers::variant;
use crate::client::{Client, Query};
use crate::context::Context;
use crate::env;
use crate::failure::Failure;
use crate::names::{self, NamedDevice, NamedEvent, NamedGate, NamedSession};
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
        #[arg(long, env = env::EVENT)]
        event: NamedEvent,
        /// The gate to scan at
        #[arg(long)]
        gate: NamedGate,
        /// End the device's active session first
        #[arg(long)]
        replace: bool,
    },
    /// List sessions, newest first (API key)
    #[command(after_help = "Examples:\n  voelgoed-scan session list --event EVENT --status active")]
    List {
        /// Only sessions of this event
        #[arg(long, env = env::EVENT)]
        event: Option<NamedEvent>,
        /// Only sessions of this device
        #[arg(long)]
        device: Option<NamedDevice>,
        /// Only sessions of this status
        #[arg(long, value_parser = variant::<SessionStatus>(SessionStatus::STRINGS))]
        status: Option<SessionStatus>,
    },
    /// Show a session
    #[command(after_help = "Examples:\n  voelgoed-scan session show SESSION")]
    Show {
        /// The session
        #[arg(value_name = "SESSION")]
        session: NamedSession,
    },
    /// End a session
    #[command(after_help = "Examples:\n  voelgoed-scan session end SESSION")]
    End {
        /// The session
        #[arg(value_name = "SESSION")]
        session: NamedSession,
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
            Self::Start { event, gate, replace } => {
                let event = event.id(&client).await?;
                let gate = gate.id(&client, Some(event)).await?;
                start(&client, event, gate, replace).await?
            }
            Self::List {
                event,
                device,
                status,
            } => {
                let mut query = Query::new(SESSIONS);
                query.add("event_id", names::event_id(&client, event.as_ref()).await?);
                let device = match device {
                    Some(device) => Some(device.id(&client).await?),
                    None => None,
                };
                query.add("device_id", device);
                query.add("status", status);
                let sessions: Vec<ScanSession> = client.all(&query.path()).await?;
                return named_rows::sessions(&client, &sessions, context.view).await;
            }
            Self::Show { session } => {
                let id = session.id(&client).await?;
                client.get(&format!("{SESSIONS}/{id}")).await?
            }
            Self::End { session } => {
                let id = session.id(&client).await?;
                client.put_empty(&format!("{SESSIONS}/{id}/end")).await?
            }
        };
        named_rows::session(&client, &session).await
    }
}
