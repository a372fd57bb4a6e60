//! `ticket`: what people hold.

pub(super) mod import;
mod issue;
mod qr;

use clap::{Args, Subcommand};
use voelgoed_scan_core::model::{
    EventId, SettableStatus, Ticket as CoreTicket, TicketCode, TicketListing, TicketPatch, TicketStatus,
};

use super::typed::{self, word};
use crate::client::Query;
use crate::desk::Desk;
use crate::failure::Failure;
use crate::output::Report;

/// Tickets of an event.
#[derive(Debug, Subcommand)]
pub(crate) enum Ticket {
    /// Import tickets from an NDJSON file: a ticket a line
    Import(import::Import),
    /// Issue new tickets; prints their codes, and draws their QR codes if wanted
    Issue(issue::Issue),
    /// List tickets, or search by the start of a code, a holder or an order
    #[command(visible_alias = "search")]
    #[command(after_help = "\
Examples:
  voelgoed-scan ticket list --event EVENT --status voided
  voelgoed-scan ticket search --event EVENT 'van der Merwe'")]
    List {
        /// The start of a code, a holder's name or an order: 3 characters or more
        search: Option<String>,
        /// Their event
        #[arg(long)]
        event: EventId,
        /// Those of this status
        #[arg(long, value_parser = word::<TicketStatus>(TicketStatus::STRINGS))]
        status: Option<TicketStatus>,
    },
    /// Show a ticket
    #[command(after_help = "Examples:\n  voelgoed-scan ticket show 3KQR-7F92-4M1X-aB0z --event EVENT")]
    Show(Which),
    /// Take a ticket back: it is `refused` from now on
    #[command(after_help = "Examples:\n  voelgoed-scan ticket void 3KQR-7F92-4M1X-aB0z --event EVENT")]
    Void(Which),
    /// Take a ticket back against money: it is `refused` from now on
    #[command(after_help = "Examples:\n  voelgoed-scan ticket refund 3KQR-7F92-4M1X-aB0z --event EVENT")]
    Refund(Which),
    /// Lift void, refund and use: the ticket admits again
    #[command(after_help = "Examples:\n  voelgoed-scan ticket reactivate 3KQR-7F92-4M1X-aB0z --event EVENT")]
    Reactivate(Which),
    /// Draw a ticket's QR code, in the terminal or as a file
    Qr(qr::Qr),
}

/// A ticket of an event.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// The ticket's code, in groups or not
    #[arg(value_parser = typed::code)]
    code: TicketCode,
    /// Its event
    #[arg(long)]
    event: EventId,
}

impl Ticket {
    pub(super) async fn run(self, desk: &Desk) -> Result<Report, Failure> {
        match self {
            Self::Import(import) => import.run(desk).await,
            Self::Issue(issue) => issue.run(desk).await,
            Self::Qr(qr) => qr.run(desk).await,
            Self::List {
                search,
                event,
                status,
            } => {
                let mut query = Query::new(&format!("/api/v1/events/{event}/tickets"));
                query.add("q", search);
                query.add("status", status);
                Report::list(&desk.client()?.all::<TicketListing>(&query.path()).await?)
            }
            Self::Show(which) => Report::card(&desk.client()?.get::<CoreTicket>(&which.path()).await?),
            Self::Void(which) => which.set(desk, SettableStatus::Voided).await,
            Self::Refund(which) => which.set(desk, SettableStatus::Refunded).await,
            Self::Reactivate(which) => which.set(desk, SettableStatus::Active).await,
        }
    }
}

impl Which {
    fn path(&self) -> String {
        format!("/api/v1/events/{}/tickets/{}", self.event, self.code)
    }

    async fn set(self, desk: &Desk, status: SettableStatus) -> Result<Report, Failure> {
        let ticket: CoreTicket = desk
            .client()?
            .patch(&self.path(), &TicketPatch { status })
            .await?;
        Report::card(&ticket)
    }
}
