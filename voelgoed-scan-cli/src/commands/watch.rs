//! `watch`: shows the scans, the number of people inside and the signals as they happen: as a dashboard on a terminal, else as
//! lines.

mod dashboard;
mod subscription;
mod terminal;
mod view;

use std::io::IsTerminal as _;

use clap::Args;
use futures_util::{StreamExt, stream};
use serde::Serialize;
use serde_json::value::RawValue;
use voelgoed_scan_core::model::{EventOccupancy, ScanRecord, ScanResult, Signal, SignalKind};

use self::subscription::{Message, Subscription};
use super::signals::summary;
use crate::args::OutputFormat;
use crate::context::Context;
use crate::env;
use crate::failure::Failure;
use crate::names::NamedEvent;
use crate::output::{Item, Report, TextStyle, styled};

/// The arguments of `watch`.
#[derive(Debug, Args)]
#[command(after_help = "\
On a terminal it is a dashboard: gates, rate, denials, devices and the last scans. q ends it, the arrow keys and page keys scroll \
the scans. Figures are dimmed while there is no connection. Elsewhere, and with --lines, it prints every scan, the number of \
people inside and, to owner, admin and staff, every signal until Ctrl-C. After a lost connection it continues where it stopped.

Examples:
  voelgoed-scan watch EVENT
  voelgoed-scan watch EVENT --lines
  voelgoed-scan watch EVENT --output json | jq -c 'select(.event==\"scan\").data'")]
pub(crate) struct Watch {
    /// The event
    #[arg(env = env::EVENT)]
    event: NamedEvent,
    /// Print lines on a terminal, too
    #[arg(long)]
    lines: bool,
}

/// A message in JSON output.
#[derive(Serialize)]
struct MessageJson<'a> {
    event: &'a str,
    data: &'a RawValue,
}

impl Watch {
    pub(super) async fn run(self, context: &Context) -> Result<Report, Failure> {
        let client = context.client()?;
        let event = self.event.id(&client).await?;
        let path = format!("/api/v1/scanning/events/{event}/stream");
        let subscription = Subscription::open(client.clone(), path).await?;
        let is_dashboard = !self.lines
            && context.output == OutputFormat::Table
            && std::io::stdout().is_terminal()
            && std::io::stdin().is_terminal();
        if is_dashboard {
            return terminal::run(&client, event, subscription).await;
        }
        let messages = stream::unfold(subscription, async |mut subscription| {
            let message = subscription.next_message().await;
            Some((message, subscription))
        });
        let items = messages.filter_map(async |message| match message {
            Ok(message) => to_item(&message).transpose(),
            Err(failure) => Some(Err(failure)),
        });
        Ok(Report::Stream(Box::pin(items)))
    }
}

/// The message for the output; `None` for events that this version does not know.
fn to_item(message: &Message) -> Result<Option<Item>, Failure> {
    let invalid = |error: serde_json::Error| Failure::invalid("a message of the stream", error);
    let text = match message.event.as_str() {
        "scan" => scan_text(&serde_json::from_str(&message.data).map_err(invalid)?),
        "occupancy" => occupancy_text(&serde_json::from_str(&message.data).map_err(invalid)?),
        "signal" => signal_text(&serde_json::from_str(&message.data).map_err(invalid)?),
        "reset" => styled(
            TextStyle::Warning,
            "scans were missed: more than 5 minutes passed",
        ),
        _ => return Ok(None),
    };
    let data: &RawValue = serde_json::from_str(&message.data).map_err(invalid)?;
    Item::new(
        &MessageJson {
            event: &message.event,
            data,
        },
        text,
    )
    .map(Some)
}

fn scan_text(record: &ScanRecord) -> String {
    let (style, mark) = if record.result == ScanResult::Valid {
        (TextStyle::Success, "✔")
    } else {
        (TextStyle::Error, "✘")
    };
    let verdict = format!("{mark} {:<14}", record.result);
    let code = record
        .ticket_code
        .map_or_else(|| "-".to_owned(), voelgoed_scan_core::model::TicketCode::grouped);
    format!(
        "{}  {} {:<22} {:<5}  {code}",
        styled(TextStyle::Dim, &record.scanned_at.to_string()),
        styled(style, &verdict),
        record.reason,
        record.direction,
    )
}

fn signal_text(signal: &Signal) -> String {
    let (style, at, what) = match signal.closed_at {
        // A late batch ends as it opens.
        Some(at) if signal.kind != SignalKind::LateBatch => (TextStyle::Info, at, "ended".to_owned()),
        _ => (TextStyle::Warning, signal.opened_at, summary(signal)),
    };
    let subject = [
        signal.gate_id.map(|id| format!("gate {id}")),
        signal.device_id.map(|id| format!("device {id}")),
        signal.ticket_id.map(|id| format!("ticket {id}")),
    ];
    let subject: Vec<_> = subject.into_iter().flatten().collect();
    format!(
        "{}  {} {what}  {}",
        styled(TextStyle::Dim, &at.to_string()),
        styled(style, &format!("! {:<17}", signal.kind)),
        subject.join(", "),
    )
}

fn occupancy_text(occupancy: &EventOccupancy) -> String {
    let gates: Vec<_> = occupancy
        .gates
        .iter()
        .map(|gate| format!("{} {}", gate.name, gate.count.inside))
        .collect();
    let text = format!(
        "{} inside ({}), {} scans in the last minute",
        occupancy.event.inside,
        gates.join(", "),
        occupancy.scans_per_minute
    );
    styled(TextStyle::Info, &text)
}
