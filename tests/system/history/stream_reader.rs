//! Readers of an event's stream that reconnect at random, each time from the last event that they have received.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::timeout;
use voelgoed_scan_suite::Client;
use voelgoed_scan_suite::event_stream::EventStream;

use super::checker::{StreamedScan, StreamedState};
use super::rng::Rng;

/// For how long a reader keeps reading after the run, so that what is under way arrives.
const LAST_READ: Duration = Duration::from_secs(5);

/// A reader of the stream of an event.
pub(super) struct StreamReader<'a> {
    client: Client,
    event: String,
    nodes: &'a [SocketAddr],
    rng: Rng,
    /// The stream of the first connection, until it is read.
    first: Option<EventStream>,
    last_id: Option<String>,
    pub(super) received: Vec<StreamedScan>,
}

impl<'a> StreamReader<'a> {
    pub(super) fn new(client: Client, event: String, nodes: &'a [SocketAddr], rng: Rng) -> Self {
        Self {
            client,
            event,
            nodes,
            rng,
            first: None,
            last_id: None,
            received: Vec::new(),
        }
    }

    /// Connects before the run begins. A stream sends every scan that follows its first event.
    pub(super) async fn connect(&mut self) {
        let mut stream = EventStream::open(&self.client.at(self.nodes[0]), &self.event).await;
        let first = stream.next().await.expect("an event");
        self.last_id = first.id;
        self.first = Some(stream);
    }

    /// Reads until the run has stopped and nothing more arrives.
    pub(super) async fn run(&mut self, stopped: &AtomicBool) {
        while !stopped.load(Ordering::Relaxed) {
            let length = Duration::from_millis(100 + self.rng.below(900) as u64);
            self.read_for(length).await;
        }
        self.read_for(LAST_READ).await;
    }

    /// Connects to a random node and reads for this long, or until the connection breaks off.
    async fn read_for(&mut self, length: Duration) {
        let mut stream = if let Some(first) = self.first.take() {
            first
        } else {
            let node = self.nodes[self.rng.below(self.nodes.len())];
            let mut client = self.client.at(node);
            if let Some(id) = &self.last_id {
                client = client.with_header("last-event-id", id);
            }
            let Some(stream) = EventStream::try_open(&client, &self.event).await else {
                // A client backs off before it connects again.
                tokio::time::sleep(Duration::from_millis(50)).await;
                return;
            };
            stream
        };
        let read = async {
            while let Some(item) = stream.try_next().await {
                assert_ne!(item.name, "reset", "the stream lost its place");
                if item.name == "scan" {
                    let scan = &item.data;
                    let id = item.id.as_deref().unwrap_or_default();
                    let position = id.split('-').next().expect("a part");
                    self.received.push(StreamedScan {
                        position: position.parse().expect("the id begins with the position"),
                        scan_id: scan["scan_id"].as_str().unwrap_or_default().to_owned(),
                        state: StreamedState {
                            valid: scan["result"] == "valid",
                            reason: scan["reason"].as_str().unwrap_or_default().to_owned(),
                            undone: !scan["undone"].is_null(),
                        },
                    });
                }
                if item.id.is_some() {
                    self.last_id = item.id;
                }
            }
        };
        // The time is part of the schedule. An event is taken as a whole or not at all.
        let _ = timeout(length, read).await;
        if self.last_id.is_none() {
            // Nothing tells the server yet where to go on.
            self.first = Some(stream);
        }
    }
}
