//! `ticket`: imports, issues, lists, shows and changes the tickets of an event.

mod export;
pub(super) mod import;
mod issue;
mod qr;
mod sheet;

use clap::{Args, Subcommand};
use serde::Deserialize as _;
use serde_json::Value;
use voelgoed_scan_core::model::{
    SettableStatus, TicketCode, TicketListing, TicketPatch, TicketStatus, TicketWithMedia,
};

use super::named_rows;
use super::value_parsers::{self, variant};
use crate::client::{Client, Query};
use crate::context::Context;
use crate::env;
use crate::failure::Failure;
use crate::names::NamedEvent;
use crate::output::Report;

/// The subcommands of `ticket`.
#[derive(Debug, Subcommand)]
pub(crate) enum Ticket {
    /// Import tickets from NDJSON, JSON or CSV, or from the list of another system
    Import(import::Import),
    /// Export all tickets of an event, as the import takes them back
    Export(export::Export),
    /// Issue new tickets; prints their codes and, with --qr-dir or --sheet, draws their QR codes
    Issue(issue::Issue),
    /// List tickets, or search them by the start of a code, a holder or an order
    #[command(visible_alias = "search")]
    #[command(after_help = "\
Examples:
  voelgoed-scan ticket list --event EVENT --status voided
  voelgoed-scan ticket search --event EVENT 'van der Merwe'")]
    List {
        /// The start of a code, of a word of a holder's name or of an order: two characters, or one that is not Latin
        search: Option<String>,
        /// Their event
        #[arg(long, env = env::EVENT)]
        event: NamedEvent,
        /// Only tickets of this status
        #[arg(long, value_parser = variant::<TicketStatus>(TicketStatus::STRINGS))]
        status: Option<TicketStatus>,
    },
    /// Show a ticket
    #[command(after_help = "Examples:\n  voelgoed-scan ticket show 3KQR-7F92-4M1X-aB0z --event EVENT")]
    Show(TicketArgs),
    /// Void a ticket: its scans are `refused` from now on
    #[command(after_help = "Examples:\n  voelgoed-scan ticket void 3KQR-7F92-4M1X-aB0z --event EVENT")]
    Void(TicketArgs),
    /// Mark a ticket as refunded: its scans are `refused` from now on
    #[command(after_help = "Examples:\n  voelgoed-scan ticket refund 3KQR-7F92-4M1X-aB0z --event EVENT")]
    Refund(TicketArgs),
    /// Undo void, refund and use: the ticket admits again
    #[command(after_help = "Examples:\n  voelgoed-scan ticket reactivate 3KQR-7F92-4M1X-aB0z --event EVENT")]
    Reactivate(TicketArgs),
    /// Draw a ticket's QR code, in the terminal or as a file
    Qr(qr::Qr),
}

/// The arguments that name a ticket.
#[derive(Debug, Args)]
pub(crate) struct TicketArgs {
    /// The ticket's code, with or without dashes
    #[arg(value_parser = value_parsers::ticket_code)]
    code: TicketCode,
    /// Its event
    #[arg(long, env = env::EVENT)]
    event: NamedEvent,
}

impl Ticket {
    pub(super) async fn run(self, context: &Context) -> Result<Report, Failure> {
        match self {
            Self::Import(import) => import.run(context).await,
            Self::Export(export) => export.run(context).await,
            Self::Issue(issue) => issue.run(context).await,
            Self::Qr(qr) => qr.run(context).await,
            Self::List {
                search,
                event,
                status,
            } => {
                let client = context.client()?;
                context.view.check_codes(&client).await?;
                let event = event.id(&client).await?;
                let mut query = Query::new(&format!("/api/v1/events/{event}/tickets"));
                query.add("q", search);
                query.add("status", status);
                named_rows::tickets(&client.all::<TicketListing>(&query.path()).await?, context.view)
            }
            Self::Show(ticket) => {
                let client = context.client()?;
                context.view.check_codes(&client).await?;
                let shown: Value = client.get(&ticket.path(&client).await?).await?;
                match TicketWithMedia::deserialize(&shown) {
                    Ok(ticket) => named_rows::ticket(&ticket, context.view),
                    // Readers do not see the code.
                    Err(_) => Report::object(&shown),
                }
            }
            Self::Void(ticket) => ticket.set_status(context, SettableStatus::Voided).await,
            Self::Refund(ticket) => ticket.set_status(context, SettableStatus::Refunded).await,
            Self::Reactivate(ticket) => ticket.set_status(context, SettableStatus::Active).await,
        }
    }
}

impl TicketArgs {
    async fn path(&self, client: &Client) -> Result<String, Failure> {
        let event = self.event.id(client).await?;
        Ok(format!("/api/v1/events/{event}/tickets/{}", self.code))
    }

    async fn set_status(self, context: &Context, status: SettableStatus) -> Result<Report, Failure> {
        let client = context.client()?;
        let path = self.path(&client).await?;
        let ticket: TicketWithMedia = client.patch(&path, &TicketPatch { status }).await?;
        named_rows::ticket(&ticket, context.view)
    }
}
