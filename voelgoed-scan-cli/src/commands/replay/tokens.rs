//! Who hands a scan in? The device that scanned it where its token is known, else the one device that sends all.

use std::collections::HashMap;
use std::path::Path;

use crate::client::Client;
use crate::failure::Failure;

/// Clients by device.
pub(super) struct Tokens {
    fallback: Client,
    devices: HashMap<String, usize>,
    clients: Vec<Client>,
}

/// Which client sends.
pub(super) type Who = Option<usize>;

impl Tokens {
    /// The tokens of a file; without one, only that of `client`.
    pub(super) fn new(client: Client, file: Option<&Path>) -> Result<Self, Failure> {
        let mut tokens = Self {
            fallback: client,
            devices: HashMap::new(),
            clients: Vec::new(),
        };
        if let Some(path) = file {
            let text = std::fs::read_to_string(path).map_err(|error| Failure::File {
                path: path.to_owned(),
                error,
            })?;
            for (device, token) in
                read(&text).map_err(|reason| Failure::unfit(path.display().to_string(), reason))?
            {
                tokens.devices.insert(device, tokens.clients.len());
                tokens.clients.push(tokens.fallback.with_token(&token)?);
            }
        }
        Ok(tokens)
    }

    /// Who hands in what this device scanned.
    pub(super) fn who(&self, device: Option<&str>) -> Who {
        self.devices.get(device?).copied()
    }

    /// The client that sends.
    pub(super) fn client(&self, who: Who) -> &Client {
        who.and_then(|at| self.clients.get(at)).unwrap_or(&self.fallback)
    }

    /// Whether there is anybody to send what no device of the file scanned.
    pub(super) fn has_fallback(&self) -> bool {
        self.fallback.kind().is_some()
    }
}

fn read(text: &str) -> Result<Vec<(String, String)>, String> {
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
        let due = vec![
            ("a".to_owned(), "vgd_1".to_owned()),
            ("b".to_owned(), "vgd_2".to_owned()),
        ];
        for text in [
            "device_id,token\na,vgd_1\nb, vgd_2\n",
            "a,vgd_1\nb,vgd_2",
            r#"{"a":"vgd_1","b":"vgd_2"}"#,
        ] {
            assert_eq!(read(text), Ok(due.clone()), "{text}");
        }
        for text in ["a,b", "a", "{}x", r#"{"a":1}"#] {
            let fault = read(text).expect_err("a fault");
            assert!(!fault.contains("vgd_1"), "{fault}");
        }
    }
}
