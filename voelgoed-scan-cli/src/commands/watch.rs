//! `watch`: shows the scans, the number of people inside and the signals as they happen.

use std::time::Duration;

use clap::Args;
use futures_util::{StreamExt, stream};
use serde::Serialize;
use serde_json::value::RawValue;
use voelgoed_scan_core::model::{EventOccupancy, ScanRecord, ScanResult, Signal, SignalKind};

use super::signals::summary;
use crate::client::{self, Client};
use crate::context::Context;
use crate::env;
use crate::failure::Failure;
use crate::names::NamedEvent;
use crate::output::{Item, Report, ResultStream, TextStyle, styled};

/// The delay before each attempt to reconnect.
const RECONNECT_DELAY: Duration = Duration::from_secs(1);

/// The arguments of `watch`.
#[derive(Debug, Args)]
#[command(after_help = "\
Shows every scan, the number of people inside and, to owner, admin and staff, every signal until Ctrl-C. After a lost connection it continues where it \
stopped.

Examples:
  voelgoed-scan watch EVENT
  voelgoed-scan watch EVENT --output json | jq -c 'select(.event==\"scan\").data'")]
pub(crate) struct Watch {
    /// The event
    #[arg(env = env::EVENT)]
    event: NamedEvent,
}

/// A server-sent event (WHATWG HTML, section 9.2).
#[derive(Debug, Default, PartialEq, Eq)]
struct Message {
    event: String,
    id: Option<String>,
    data: String,
}

impl Message {
    /// Adds a line. Returns `true` at the empty line that ends the message.
    fn add_line(&mut self, line: &str) -> bool {
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.is_empty() {
            return true;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event),
            "id" => self.id = Some(value.to_owned()),
            "data" if self.data.is_empty() => value.clone_into(&mut self.data),
            "data" => {
                self.data.push('\n');
                self.data.push_str(value);
            }
            // A comment, or a field that this version does not know.
            _ => {}
        }
        false
    }
}

/// A message in JSON output.
#[derive(Serialize)]
struct MessageJson<'a> {
    event: &'a str,
    data: &'a RawValue,
}

/// A subscription to the stream, which reconnects and continues after the last message.
struct Subscription {
    client: Client,
    path: String,
    lines: ResultStream<String>,
    last_event_id: Option<String>,
}

impl Watch {
    pub(super) async fn run(self, context: &Context) -> Result<Report, Failure> {
        let client = context.client()?;
        let event = self.event.id(&client).await?;
        let path = format!("/api/v1/scanning/events/{event}/stream");
        let lines = client::lines(client.events(&path, None).await?);
        let subscription = Subscription {
            client,
            path,
            lines,
            last_event_id: None,
        };
        let messages = stream::unfold(subscription, async |mut subscription| {
            let message = subscription.next().await;
            Some((message, subscription))
        });
        let items = messages.filter_map(async |message| match message {
            Ok(message) => to_item(&message).transpose(),
            Err(failure) => Some(Err(failure)),
        });
        Ok(Report::Stream(Box::pin(items)))
    }
}

impl Subscription {
    /// The next message. Reconnects until it succeeds or fails for good.
    async fn next(&mut self) -> Result<Message, Failure> {
        let mut message = Message::default();
        loop {
            match self.lines.next().await {
                Some(Ok(line)) => {
                    if !message.add_line(&line) {
                        continue;
                    }
                    if message.id.is_some() {
                        self.last_event_id.clone_from(&message.id);
                    }
                    if message.data.is_empty() {
                        message = Message::default();
                    } else {
                        return Ok(message);
                    }
                }
                Some(Err(failure)) if !failure.is_transient() => return Err(failure),
                Some(Err(_)) | None => {
                    message = Message::default();
                    tokio::time::sleep(RECONNECT_DELAY).await;
                    match self
                        .client
                        .events(&self.path, self.last_event_id.as_deref())
                        .await
                    {
                        Ok(chunks) => self.lines = client::lines(chunks),
                        Err(failure) if failure.is_transient() => {}
                        Err(failure) => return Err(failure),
                    }
                }
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_line_ends_a_message_and_comments_are_ignored() {
        let mut message = Message::default();
        for line in [": alive", "id: 7", "event: scan\r", "data: {\"a\":", "data:1}"] {
            assert!(!message.add_line(line), "{line}");
        }
        assert!(message.add_line("\r"));
        let expected = Message {
            event: "scan".to_owned(),
            id: Some("7".to_owned()),
            data: "{\"a\":\n1}".to_owned(),
        };
        assert_eq!(message, expected);
    }
}
