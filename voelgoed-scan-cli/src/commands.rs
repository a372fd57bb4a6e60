//! The commands. Each has a file of its own and returns a [`Report`].

mod apikey;
mod audit;
mod check_in;
mod completions;
mod confirm;
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
mod messages;
mod named_rows;
mod prune;
mod put;
mod rehearse;
mod replay;
mod report;
mod scan;
mod scans;
mod session;
mod signals;
mod stats;
mod tables;
mod ticket;
mod undo;
pub(crate) mod value_parsers;
mod verify;
mod watch;
mod webhook;

use clap::Subcommand;

use crate::context::Context;
use crate::failure::Failure;
use crate::output::Report;

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a demo: a server with sample tickets in one process, and a scan of every result
    Demo(demo::Demo),
    /// Create an organization and its owner key, directly in the database
    Init(init::Init),
    /// Events: create, change, list, show, delete
    #[command(
        subcommand,
        visible_alias = "events",
        after_help = "\
Examples:
  voelgoed-scan event list
  voelgoed-scan event put new --name 'Summer Night' --status live --capacity 2000
  voelgoed-scan event put 'Summer Night' --status ended"
    )]
    Event(event::Event),
    /// Gates of an event: create, change, list, show
    #[command(
        subcommand,
        visible_alias = "gates",
        after_help = "\
Examples:
  voelgoed-scan gate list --event 'Summer Night'
  voelgoed-scan gate put new --event 'Summer Night' --name Main --status open"
    )]
    Gate(gate::Gate),
    /// Tickets: import, issue, look up, void, refund, reactivate, draw
    #[command(
        subcommand,
        visible_alias = "tickets",
        after_help = "\
Examples:
  voelgoed-scan ticket import tickets.csv --event 'Summer Night' --dry-run
  voelgoed-scan ticket issue --event 'Summer Night' --count 40 --sheet tickets.pdf
  voelgoed-scan ticket search --event 'Summer Night' 'van der Merwe'"
    )]
    Ticket(ticket::Ticket),
    /// Scanner devices: register, list, show, enrol a phone, rotate the token, revoke
    #[command(
        subcommand,
        visible_alias = "devices",
        after_help = "\
Examples:
  voelgoed-scan device enroll phone-7
  voelgoed-scan device list --status active
  voelgoed-scan device revoke phone-7"
    )]
    Device(device::Device),
    /// API keys of members and integrations: create, list, revoke
    #[command(
        subcommand,
        visible_alias = "apikeys",
        after_help = "\
Examples:
  voelgoed-scan apikey create --name 'Ticket shop' --role admin
  voelgoed-scan apikey list"
    )]
    Apikey(apikey::Apikey),
    /// The audit log: list it, verify a copy
    #[command(
        subcommand,
        after_help = "\
Examples:
  voelgoed-scan audit list --actor api_key --from 2026-11-22T18:00:00Z
  voelgoed-scan audit list --output json > audit.ndjson"
    )]
    Audit(audit::Audit),
    /// Scan sessions: start, list, show, end
    #[command(
        subcommand,
        visible_alias = "sessions",
        after_help = "\
Examples:
  voelgoed-scan session start --event EVENT --gate GATE --token-file device.token
  voelgoed-scan session list --event EVENT --status active"
    )]
    Session(session::Session),
    /// Scan tickets, as a device with an active session
    Scan(scan::Scan),
    /// Check a ticket in by hand, at a gate
    CheckIn(check_in::CheckIn),
    /// Undo an admission
    Undo(undo::Undo),
    /// Recorded scans: list, export
    #[command(
        subcommand,
        after_help = "\
Examples:
  voelgoed-scan scans list --event 'Summer Night' --from '2026-11-22 19:00'
  voelgoed-scan scans export --event EVENT > scans.ndjson"
    )]
    Scans(scans::Scans),
    /// Show how many people are inside, by gate and event
    Stats(stats::Stats),
    /// Show who came, when and where, whom the gates turned away, and what staff changed
    Report(report::Report),
    /// Show scans and the number of people inside as they happen
    Watch(watch::Watch),
    /// Delete events that were archived long ago, and keep their tickets and scans in files
    Prune(prune::Prune),
    /// Send past scans again, each exactly once
    Replay(replay::Replay),
    /// List conflicts: scans of offline devices that lost against other scans or the rules
    Conflicts(conflicts::Conflicts),
    /// List signals: what somebody should look at; show and change the rules by which they are found
    Signals(signals::Signals),
    /// List the texts that stewards see, in seven languages; replace them by the organization's own
    Messages(messages::Messages),
    /// Run a load test: simulated devices scan on a temporary copy of an event
    Rehearse(rehearse::Rehearse),
    /// Webhooks: create, list, show, change, rotate, test, list and repeat deliveries, delete
    #[command(
        subcommand,
        visible_alias = "webhooks",
        after_help = "\
Examples:
  voelgoed-scan webhook create --url https://shop.example.org/hooks/gate --types 'scan.*'
  voelgoed-scan webhook deliveries WEBHOOK --status failed"
    )]
    Webhook(webhook::WebhookCommand),
    /// Signing keys: list, create, rotate, revoke
    #[command(
        subcommand,
        visible_alias = "keys",
        after_help = "\
Examples:
  voelgoed-scan key list
  voelgoed-scan key rotate --format vg1"
    )]
    Key(key::Key),
    /// Check a VG2 payload, or this build against a vector file, without a server
    Verify(verify::Verify),
    /// Check the configuration and the connections
    Doctor(doctor::Doctor),
    /// Print the completion script of a shell
    Completions(completions::Completions),
    /// Print the manual page
    Man(man::Man),
}

impl Command {
    /// Runs the command.
    pub(crate) async fn run(self, context: &Context) -> Result<Report, Failure> {
        match self {
            Self::Demo(command) => command.run(context).await,
            Self::Init(command) => command.run().await,
            Self::Event(command) => command.run(context).await,
            Self::Gate(command) => command.run(context).await,
            Self::Ticket(command) => command.run(context).await,
            Self::Device(command) => command.run(context).await,
            Self::Apikey(command) => command.run(context).await,
            Self::Audit(command) => command.run(context).await,
            Self::Session(command) => command.run(context).await,
            Self::Scan(command) => command.run(context).await,
            Self::CheckIn(command) => command.run(context).await,
            Self::Undo(command) => command.run(context).await,
            Self::Scans(command) => command.run(context).await,
            Self::Stats(command) => command.run(context).await,
            Self::Report(command) => command.run(context).await,
            Self::Watch(command) => command.run(context).await,
            Self::Prune(command) => command.run(context).await,
            Self::Replay(command) => command.run(context).await,
            Self::Conflicts(command) => command.run(context).await,
            Self::Signals(command) => command.run(context).await,
            Self::Messages(command) => command.run(context).await,
            Self::Rehearse(command) => command.run(context).await,
            Self::Webhook(command) => command.run(context).await,
            Self::Key(command) => command.run(context).await,
            Self::Verify(command) => command.run(),
            Self::Doctor(command) => command.run(context).await,
            Self::Completions(command) => command.run(),
            Self::Man(command) => command.run(),
        }
    }
}
