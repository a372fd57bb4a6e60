//! `session`: a device's stay at one gate.

use clap::Subcommand;
use voelgoed_scan_core::model::{
    DeviceId, EventId, GateId, ScanSession, SessionId, SessionStart, SessionStatus,
};

use super::typed::word;
use crate::client::Query;
use crate::desk::Desk;
use crate::failure::Failure;
use crate::output::Report;

const SESSIONS: &str = "/api/v1/scanning/sessions";

/// Scan sessions.
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
        /// The gate to stand at
        #[arg(long)]
        gate: GateId,
        /// End the device's active session first
        #[arg(long)]
        replace: bool,
    },
    /// List sessions, newest first (API key)
    #[command(after_help = "Examples:\n  voelgoed-scan session list --event EVENT --status active")]
    List {
        /// Those of this event
        #[arg(long)]
        event: Option<EventId>,
        /// Those of this device (its UUID)
        #[arg(long)]
        device: Option<DeviceId>,
        /// Those of this status
        #[arg(long, value_parser = word::<SessionStatus>(SessionStatus::STRINGS))]
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

impl Session {
    pub(super) async fn run(self, desk: &Desk) -> Result<Report, Failure> {
        let client = desk.client()?;
        let session: ScanSession = match self {
            Self::Start { event, gate, replace } => {
                client
                    .post(
                        SESSIONS,
                        &SessionStart {
                            event_id: event,
                            gate_id: gate,
                            replace,
                        },
                    )
                    .await?
            }
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
            Self::End { id } => client.end(&format!("{SESSIONS}/{id}/end")).await?,
        };
        Report::card(&session)
    }
}
