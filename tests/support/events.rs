//! A stream of Server-Sent Events, read.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value;
use tokio::time::timeout;

use crate::Client;

/// How long an event may take before the test counts as hanging.
const LONG: Duration = Duration::from_secs(20);

/// A stream of Server-Sent Events.
pub struct Events {
    body: Incoming,
    text: String,
}

/// One of them.
#[derive(Debug)]
pub struct Event {
    /// Its kind.
    pub name: String,
    /// Its id.
    pub id: Option<String>,
    /// What it tells.
    pub data: Value,
}

impl Events {
    /// Listens to an event.
    pub async fn open(caller: &Client, event: &str) -> Self {
        let path = format!("/api/v1/scanning/events/{event}/stream");
        let response = caller.open("GET", &path, None, Bytes::new()).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store");
        Self {
            body: response.into_body(),
            text: String::new(),
        }
    }

    /// The next event; `None` at the end of the stream.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((block, rest)) = self.text.clone().split_once("\n\n") {
                let event = read(block);
                rest.clone_into(&mut self.text);
                match event {
                    Some(event) => return Some(event),
                    None => continue,
                }
            }
            let frame = timeout(LONG, self.body.frame())
                .await
                .expect("something")?
                .expect("a whole stream");
            let data = frame.into_data().expect("data");
            self.text.push_str(std::str::from_utf8(&data).expect("text"));
        }
    }

    /// The next event of a kind.
    pub async fn next_named(&mut self, name: &str) -> Event {
        loop {
            let event = self.next().await.expect("an event");
            if event.name == name {
                return event;
            }
        }
    }
}

fn read(block: &str) -> Option<Event> {
    let field = |name: &str| {
        block
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .map(str::to_owned)
    };
    Some(Event {
        name: field("event: ")?,
        id: field("id: "),
        data: serde_json::from_str(&field("data: ")?).expect("JSON"),
    })
}
