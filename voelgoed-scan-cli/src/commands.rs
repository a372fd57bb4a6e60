//! What can be done? One file a command; each returns what it has to say.

mod apikey;
mod completions;
mod conflicts;
mod demo;
mod device;
mod doctor;
mod event;
mod gate;
mod init;
mod key;
mod latency;
mod man;
mod put;
mod rehearse;
mod replay;
mod rows;
mod scan;
mod scans;
mod session;
mod stats;
mod ticket;
mod typed;
mod verify;
mod watch;

use clap::Subcommand;

use crate::desk::Desk;
use crate::failure::Failure;
use crate::output::Report;

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// See all of it at work: one process with a server, sample tickets and a scan of every result
    Demo(demo::Demo),
    /// Make an organization and its owner key, straight in the database
    Init(init::Init),
    /// Events: create, change, list, show
    #[command(subcommand, visible_alias = "events")]
    Event(event::Event),
    /// Gates of an event: create, change, list, show
    #[command(subcommand, visible_alias = "gates")]
    Gate(gate::Gate),
    /// Tickets: import, issue, look up, void, refund, reactivate, draw
    #[command(subcommand, visible_alias = "tickets")]
    Ticket(ticket::Ticket),
    /// Scanner devices: register, list, show, pair a phone, rotate the token, revoke
    #[command(subcommand, visible_alias = "devices")]
    Device(device::Device),
    /// API keys of members and integrations: create, list, revoke
    #[command(subcommand, visible_alias = "apikeys")]
    Apikey(apikey::Apikey),
    /// Scan sessions: start, list, show, end
    #[command(subcommand, visible_alias = "sessions")]
    Session(session::Session),
    /// Scan tickets, as a device with an active session
    Scan(scan::Scan),
    /// The audit trail: list, export
    #[command(subcommand)]
    Scans(scans::Scans),
    /// How many people are inside, by gate and event
    Stats(stats::Stats),
    /// Scans and people inside, as they happen
    Watch(watch::Watch),
    /// Send scans of the past again, each exactly once
    Replay(replay::Replay),
    /// Where devices and rules, or two devices, disagreed
    Conflicts(conflicts::Conflicts),
    /// Load test before the doors open: simulated devices against a scratch copy of an event
    Rehearse(rehearse::Rehearse),
    /// Signing keys: list, create, rotate, revoke
    #[command(subcommand, visible_alias = "keys")]
    Key(key::Key),
    /// Check a VG2 payload, or this build against a vector file, with no server
    Verify(verify::Verify),
    /// Check the configuration and the connections
    Doctor(doctor::Doctor),
    /// Print the completion script of a shell
    Completions(completions::Completions),
    /// Print the manual page
    Man(man::Man),
}

impl Command {
    /// Does it.
    pub(crate) async fn run(self, desk: &Desk) -> Result<Report, Failure> {
        match self {
            Self::Demo(command) => command.run(desk).await,
            Self::Init(command) => command.run().await,
            Self::Event(command) => command.run(desk).await,
            Self::Gate(command) => command.run(desk).await,
            Self::Ticket(command) => command.run(desk).await,
            Self::Device(command) => command.run(desk).await,
            Self::Apikey(command) => command.run(desk).await,
            Self::Session(command) => command.run(desk).await,
            Self::Scan(command) => command.run(desk).await,
            Self::Scans(command) => command.run(desk).await,
            Self::Stats(command) => command.run(desk).await,
            Self::Watch(command) => command.run(desk).await,
            Self::Replay(command) => command.run(desk).await,
            Self::Conflicts(command) => command.run(desk).await,
            Self::Rehearse(command) => command.run(desk).await,
            Self::Key(command) => command.run(desk).await,
            Self::Verify(command) => command.run(),
            Self::Doctor(command) => command.run(desk).await,
            Self::Completions(command) => Ok(command.run()),
            Self::Man(command) => command.run(),
        }
    }
}
