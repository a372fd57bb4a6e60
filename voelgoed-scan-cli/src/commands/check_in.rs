//! `check-in`: checks a ticket in by hand, without a device.

use clap::Args;
use voelgoed_scan_core::model::{
    CheckInRequest, Direction, Event, EventId, EventStatus, ReasonText, ScanAnswer, ScanId, TicketCode,
};

use super::scan::{retried, to_item};
use super::value_parsers::{self, variant};
use crate::client::Client;
use crate::context::Context;
use crate::env;
use crate::failure::Failure;
use crate::names::{NamedEvent, NamedGate};
use crate::output::Report;

/// The arguments of `check-in`.
#[derive(Debug, Args)]
#[command(after_help = "\
Needs an API key of an owner, admin or staff. The ticket is decided as a scan at that gate is; a code without a signature is \
enough. Exits 3 if it was denied. A call that gets no answer is sent again with the same scan id, so that it counts once.

Examples:
  voelgoed-scan check-in 3KQR-7F92-4M1X-aB0z --event 'Summer Night' --gate Main --reason 'the phone is broken'
  voelgoed-scan check-in 3KQR7F924M1XaB0z --gate Main --direction exit --reason 'left through the office'")]
pub(crate) struct CheckIn {
    /// The ticket's code, with or without dashes
    #[arg(value_parser = value_parsers::ticket_code)]
    code: TicketCode,
    /// The gate at which the person passes
    #[arg(long)]
    gate: NamedGate,
    /// Why nobody scans the ticket
    #[arg(long)]
    reason: ReasonText,
    /// The event [default: the only live one]
    #[arg(long, env = env::EVENT)]
    event: Option<NamedEvent>,
    /// The direction in which the person passes
    #[arg(long, default_value = "entry", value_parser = variant::<Direction>(Direction::STRINGS))]
    direction: Direction,
}

impl CheckIn {
    pub(super) async fn run(self, context: &Context) -> Result<Report, Failure> {
        let client = context.client()?;
        let event = match &self.event {
            Some(event) => event.id(&client).await?,
            None => only_live_event(&client).await?,
        };
        let request = CheckInRequest {
            gate_id: self.gate.id(&client, Some(event)).await?,
            reason: self.reason,
            scan_id: Some(ScanId::generate(env::now())),
            direction: self.direction,
        };
        let path = format!("/api/v1/scanning/events/{event}/tickets/{}/check-in", self.code);
        let answer: ScanAnswer = retried(&client, &path, &request).await?;
        Ok(Report::One(to_item(&answer)?))
    }
}

/// The event that is live, if it is the only one.
async fn only_live_event(client: &Client) -> Result<EventId, Failure> {
    let events: Vec<Event> = client.all("/api/v1/events").await?;
    let live = events.iter().filter(|event| event.status == EventStatus::Live);
    match live.collect::<Vec<_>>().as_slice() {
        [event] => Ok(event.id),
        live => Err(Failure::Usage {
            reason: format!("{} events are live, so the event must be named", live.len()),
            hint: "add --event EVENT, or set VOELGOED_SCAN_EVENT",
        }),
    }
}
