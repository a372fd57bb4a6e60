//! A client of a Server-Sent Events stream.

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value;
use tokio::time::timeout;

use crate::Client;
use crate::wait::READ_TIMEOUT;

/// An open stream of Server-Sent Events.
pub struct EventStream {
    body: Incoming,
    buffer: String,
    /// How much of the buffer is parsed.
    parsed: usize,
}

/// One event of a stream.
#[derive(Debug)]
pub struct StreamEvent {
    /// The `event` field.
    pub name: String,
    /// The `id` field.
    pub id: Option<String>,
    /// The `data` field, parsed.
    pub data: Value,
}

impl EventStream {
    /// Opens the stream of an event.
    pub async fn open(client: &Client, event_id: &str) -> Self {
        let path = format!("/api/v1/scanning/events/{event_id}/stream");
        let response = client.open("GET", &path, None, Bytes::new()).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store");
        Self {
            body: response.into_body(),
            buffer: String::new(),
            parsed: 0,
        }
    }

    /// Opens the stream of an event at a server that may fail meanwhile. `None` without a stream.
    pub async fn try_open(client: &Client, event_id: &str) -> Option<Self> {
        let path = format!("/api/v1/scanning/events/{event_id}/stream");
        let response = client.try_open("GET", &path, None, Bytes::new()).await?;
        (response.status() == 200).then(|| Self {
            body: response.into_body(),
            buffer: String::new(),
            parsed: 0,
        })
    }

    /// The next event that has arrived as a whole.
    fn next_arrived(&mut self) -> Option<StreamEvent> {
        loop {
            let unparsed = self.buffer.get(self.parsed..).unwrap_or_default();
            let Some((block, _)) = unparsed.split_once("\n\n") else {
                self.buffer.drain(..self.parsed);
                self.parsed = 0;
                return None;
            };
            let event = parse(block);
            self.parsed += block.len() + 2;
            if event.is_some() {
                return event;
            }
        }
    }

    /// The next event, or `None` when the stream ends or breaks off.
    pub async fn try_next(&mut self) -> Option<StreamEvent> {
        loop {
            if let Some(event) = self.next_arrived() {
                return Some(event);
            }
            let data = self.body.frame().await?.ok()?.into_data().ok()?;
            self.buffer.push_str(std::str::from_utf8(&data).ok()?);
        }
    }

    /// The next event, or `None` at the end of the stream. Panics after [`READ_TIMEOUT`] without bytes.
    pub async fn next(&mut self) -> Option<StreamEvent> {
        loop {
            if let Some(event) = self.next_arrived() {
                return Some(event);
            }
            let frame = timeout(READ_TIMEOUT, self.body.frame())
                .await
                .expect("the stream sends something")?
                .expect("the stream does not break off");
            let data = frame.into_data().expect("data");
            self.buffer.push_str(std::str::from_utf8(&data).expect("text"));
        }
    }

    /// The next event of this name. Events of other names are skipped.
    pub async fn next_named(&mut self, name: &str) -> StreamEvent {
        loop {
            let event = self.next().await.expect("an event");
            if event.name == name {
                return event;
            }
        }
    }
}

/// Parses a block of fields. Returns `None` for a block without a name or without data, such as a comment.
fn parse(block: &str) -> Option<StreamEvent> {
    let field = |name: &str| {
        block
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .map(str::to_owned)
    };
    Some(StreamEvent {
        name: field("event: ")?,
        id: field("id: "),
        data: serde_json::from_str(&field("data: ")?).expect("JSON"),
    })
}
