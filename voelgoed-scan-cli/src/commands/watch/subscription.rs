//! A subscription to the live stream of an event, which reconnects and continues after the last message.

use std::time::Duration;

use futures_util::StreamExt as _;

use crate::client::{self, Client};
use crate::failure::Failure;
use crate::output::ResultStream;

/// The delay before each attempt to reconnect.
const RECONNECT_DELAY: Duration = Duration::from_secs(1);

/// How long the server may be silent. It sends a comment every 15 s.
const SILENCE: Duration = Duration::from_secs(40);

/// A server-sent event (WHATWG HTML, section 9.2).
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) event: String,
    id: Option<String>,
    pub(super) data: String,
}

/// What comes of a subscription.
#[derive(Debug)]
pub(super) enum Update {
    /// A message.
    Message(Message),
    /// The server is there, and has nothing to say.
    Alive,
    /// The connection is lost, or an attempt to connect failed.
    Lost,
}

/// A subscription to the stream.
pub(super) struct Subscription {
    client: Client,
    path: String,
    /// `None` without a connection.
    lines: Option<ResultStream<String>>,
    last_event_id: Option<String>,
    message: Message,
}

impl Message {
    /// A message without an id.
    #[cfg(test)]
    pub(super) fn new(event: &str, data: String) -> Self {
        Self {
            event: event.to_owned(),
            id: None,
            data,
        }
    }

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

impl Subscription {
    /// Connects. Fails where the first attempt fails.
    pub(super) async fn open(client: Client, path: String) -> Result<Self, Failure> {
        let lines = client::lines(client.events(&path, None).await?);
        Ok(Self {
            client,
            path,
            lines: Some(lines),
            last_event_id: None,
            message: Message::default(),
        })
    }

    /// The next message. Reconnects until it succeeds or fails for good.
    pub(super) async fn next_message(&mut self) -> Result<Message, Failure> {
        loop {
            if let Update::Message(message) = self.next().await? {
                return Ok(message);
            }
        }
    }

    /// The next update.
    pub(super) async fn next(&mut self) -> Result<Update, Failure> {
        let Some(lines) = &mut self.lines else {
            return self.reconnect().await;
        };
        let Ok(line) = tokio::time::timeout(SILENCE, lines.next()).await else {
            return Ok(self.lose());
        };
        match line {
            Some(Ok(line)) if line.starts_with(':') => Ok(Update::Alive),
            Some(Ok(line)) => {
                if !self.message.add_line(&line) {
                    return Ok(Update::Alive);
                }
                let message = std::mem::take(&mut self.message);
                if message.id.is_some() {
                    self.last_event_id.clone_from(&message.id);
                }
                Ok(if message.data.is_empty() {
                    Update::Alive
                } else {
                    Update::Message(message)
                })
            }
            Some(Err(failure)) if !failure.is_transient() => Err(failure),
            Some(Err(_)) | None => Ok(self.lose()),
        }
    }

    fn lose(&mut self) -> Update {
        self.lines = None;
        self.message = Message::default();
        Update::Lost
    }

    async fn reconnect(&mut self) -> Result<Update, Failure> {
        tokio::time::sleep(RECONNECT_DELAY).await;
        match self
            .client
            .events(&self.path, self.last_event_id.as_deref())
            .await
        {
            Ok(chunks) => {
                self.lines = Some(client::lines(chunks));
                Ok(Update::Alive)
            }
            Err(failure) if failure.is_transient() => Ok(Update::Lost),
            Err(failure) => Err(failure),
        }
    }
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
