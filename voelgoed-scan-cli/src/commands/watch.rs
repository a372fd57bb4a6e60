//! `watch`: what happens at the gates, as it happens.

use std::time::Duration;

use clap::Args;
use futures_util::{StreamExt, stream};
use serde::Serialize;
use serde_json::value::RawValue;
use voelgoed_scan_core::model::{EventId, EventOccupancy, ScanRecord, ScanResult};

use crate::client::{self, Client};
use crate::desk::Desk;
use crate::failure::Failure;
use crate::output::{Coming, Report, Shown, Tone, paint};

/// How long to wait before the stream is taken up again.
const PAUSE: Duration = Duration::from_secs(1);

/// What `watch` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
Shows every scan and the number of people inside until Ctrl-C; a lost connection is taken up where it broke.

Examples:
  voelgoed-scan watch EVENT
  voelgoed-scan watch EVENT --output json | jq -c 'select(.event==\"scan\").data'")]
pub(crate) struct Watch {
    /// The event
    event: EventId,
}

/// One of the server's messages.
#[derive(Debug, Default, PartialEq, Eq)]
struct Message {
    event: String,
    id: Option<String>,
    data: String,
}

impl Message {
    /// Takes in a line; `true` at the empty line that ends a message.
    fn take(&mut self, line: &str) -> bool {
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
            // A comment, or a field that later versions send.
            _ => {}
        }
        false
    }
}

/// A message as programs see it.
#[derive(Serialize)]
struct Told<'a> {
    event: &'a str,
    data: &'a RawValue,
}

/// A stream that is taken up again where it broke.
struct Listener {
    client: Client,
    path: String,
    lines: Coming<String>,
    last: Option<String>,
}

impl Watch {
    pub(super) async fn run(self, desk: &Desk) -> Result<Report, Failure> {
        let client = desk.client()?;
        let path = format!("/api/v1/scanning/events/{}/stream", self.event);
        let lines = client::lines(client.events(&path, None).await?);
        let listener = Listener {
            client,
            path,
            lines,
            last: None,
        };
        let messages = stream::unfold(listener, async |mut listener| {
            let message = listener.next().await;
            Some((message, listener))
        });
        let shown = messages.filter_map(async |message| match message {
            Ok(message) => shown(&message).transpose(),
            Err(failure) => Some(Err(failure)),
        });
        Ok(Report::Live(Box::pin(shown)))
    }
}

impl Listener {
    /// The next message; waits through lost connections.
    async fn next(&mut self) -> Result<Message, Failure> {
        let mut message = Message::default();
        loop {
            match self.lines.next().await {
                Some(Ok(line)) => {
                    if !message.take(&line) {
                        continue;
                    }
                    if message.id.is_some() {
                        self.last.clone_from(&message.id);
                    }
                    if message.data.is_empty() {
                        message = Message::default();
                    } else {
                        return Ok(message);
                    }
                }
                Some(Err(failure)) if !failure.is_passing() => return Err(failure),
                Some(Err(_)) | None => {
                    message = Message::default();
                    tokio::time::sleep(PAUSE).await;
                    match self.client.events(&self.path, self.last.as_deref()).await {
                        Ok(pieces) => self.lines = client::lines(pieces),
                        Err(failure) if failure.is_passing() => {}
                        Err(failure) => return Err(failure),
                    }
                }
            }
        }
    }
}

fn shown(message: &Message) -> Result<Option<Shown>, Failure> {
    let unfit = |error: serde_json::Error| Failure::unfit("a message of the stream", error);
    let text = match message.event.as_str() {
        "scan" => scan(&serde_json::from_str(&message.data).map_err(unfit)?),
        "occupancy" => occupancy(&serde_json::from_str(&message.data).map_err(unfit)?),
        "reset" => paint(Tone::Odd, "scans were missed: more than 5 minutes passed"),
        _ => return Ok(None),
    };
    let data: &RawValue = serde_json::from_str(&message.data).map_err(unfit)?;
    Shown::new(
        &Told {
            event: &message.event,
            data,
        },
        text,
    )
    .map(Some)
}

fn scan(record: &ScanRecord) -> String {
    let (tone, mark) = if record.result == ScanResult::Valid {
        (Tone::Good, "✔")
    } else {
        (Tone::Bad, "✘")
    };
    let verdict = format!("{mark} {:<14}", record.result);
    let code = record
        .ticket_code
        .map_or_else(|| "-".to_owned(), voelgoed_scan_core::model::TicketCode::grouped);
    format!(
        "{}  {} {:<22} {:<5}  {code}",
        paint(Tone::Faint, &record.scanned_at.to_string()),
        paint(tone, &verdict),
        record.reason,
        record.direction,
    )
}

fn occupancy(occupancy: &EventOccupancy) -> String {
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
    paint(Tone::Note, &text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_ends_at_an_empty_line_and_comments_are_skipped() {
        let mut message = Message::default();
        for line in [": alive", "id: 7", "event: scan\r", "data: {\"a\":", "data:1}"] {
            assert!(!message.take(line), "{line}");
        }
        assert!(message.take("\r"));
        let expected = Message {
            event: "scan".to_owned(),
            id: Some("7".to_owned()),
            data: "{\"a\":\n1}".to_owned(),
        };
        assert_eq!(message, expected);
    }
}
