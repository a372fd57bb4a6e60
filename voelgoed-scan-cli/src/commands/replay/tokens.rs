//! Chooses the device that sends a scan: the original device where its token is known, else the device of the command
//! line's own token.

use std::collections::HashMap;
use std::path::Path;

use tokio::sync::{Mutex, MutexGuard};

use crate::client::Client;
use crate::env::BYTE_ORDER_MARK;
use crate::failure::Failure;

/// The clients of all devices with known tokens.
pub(super) struct Tokens {
    fallback: Client,
    devices: HashMap<String, usize>,
    clients: Vec<Client>,
    /// Held while a sender has a request under way: of the fallback first, then of `clients`.
    turns: Vec<Mutex<()>>,
}

/// The client that sends a scan: an index into the clients of `--tokens`, or `None` for the fallback.
pub(super) type SenderId = Option<usize>;

impl Tokens {
    /// The clients for the tokens of `file`, with `client` as the fallback for all other devices.
    pub(super) fn new(client: Client, file: Option<&Path>) -> Result<Self, Failure> {
        let mut tokens = Self {
            fallback: client,
            devices: HashMap::new(),
            clients: Vec::new(),
            turns: vec![Mutex::default()],
        };
        if let Some(path) = file {
            let text = std::fs::read_to_string(path).map_err(|error| Failure::file(path, error))?;
            for (device, token) in parse_tokens(text.trim_start_matches(BYTE_ORDER_MARK))
                .map_err(|reason| Failure::invalid(path.display().to_string(), reason))?
            {
                tokens.devices.insert(device, tokens.clients.len());
                tokens.clients.push(tokens.fallback.with_token(&token)?);
                tokens.turns.push(Mutex::default());
            }
        }
        Ok(tokens)
    }

    /// The sender of the scans of this device.
    pub(super) fn sender(&self, device: Option<&str>) -> SenderId {
        self.devices.get(device?).copied()
    }

    /// The client of a sender.
    pub(super) fn client(&self, sender: SenderId) -> &Client {
        sender
            .and_then(|index| self.clients.get(index))
            .unwrap_or(&self.fallback)
    }

    /// Waits until the sender has no request under way: the server takes one upload of a device at a time.
    pub(super) async fn turn(&self, sender: SenderId) -> Option<MutexGuard<'_, ()>> {
        let turn = self.turns.get(sender.map_or(0, |index| index + 1))?;
        Some(turn.lock().await)
    }

    /// Whether the fallback has a token.
    pub(super) fn has_fallback(&self) -> bool {
        self.fallback.token_prefix().is_some()
    }
}

fn parse_tokens(text: &str) -> Result<Vec<(String, String)>, String> {
    if text.trim_start().starts_with('{') {
        let map: std::collections::BTreeMap<String, String> = serde_json::from_str(text)
            .map_err(|_| "is not a JSON object of device ids and tokens".to_owned())?;
        return Ok(map.into_iter().collect());
    }
    let mut rows = Vec::new();
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    for record in reader.records() {
        let record = record.map_err(|_| "is neither CSV nor a JSON object".to_owned())?;
        match (record.get(0), record.get(1)) {
            (Some("device_id"), _) => {}
            (Some(device), Some(token)) if token.starts_with("vgd_") => {
                rows.push((device.to_owned(), token.to_owned()));
            }
            _ => {
                let line = record.position().map_or(0, csv::Position::line);
                return Err(format!("line {line} is not device_id,vgd_..."));
            }
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_from_csv_and_from_json() {
        let expected = vec![
            ("a".to_owned(), "vgd_1".to_owned()),
            ("b".to_owned(), "vgd_2".to_owned()),
        ];
        for text in [
            "device_id,token\na,vgd_1\nb, vgd_2\n",
            "a,vgd_1\nb,vgd_2",
            r#"{"a":"vgd_1","b":"vgd_2"}"#,
        ] {
            assert_eq!(parse_tokens(text), Ok(expected.clone()), "{text}");
        }
        for text in ["a,b", "a", "{}x", r#"{"a":1}"#] {
            let error = parse_tokens(text).expect_err("an error");
            assert!(!error.contains("vgd_1"), "{error}");
        }
    }
}
