//! What is put? A file's whole object, or what is there already with the fields changed that are given as flags.

use std::io::Read;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::failure::Failure;

/// The fields of what is to be put.
#[derive(Debug, Default)]
pub(super) struct Fields(Map<String, Value>);

impl Fields {
    /// The object that a file holds, or standard input for `-`.
    pub(super) fn of_file(path: &Path) -> Result<Self, Failure> {
        let unreadable = |error| Failure::File {
            path: path.to_owned(),
            error,
        };
        let mut text = String::new();
        if path == Path::new("-") {
            std::io::stdin().read_to_string(&mut text).map_err(unreadable)?;
        } else {
            text = std::fs::read_to_string(path).map_err(unreadable)?;
        }
        serde_json::from_str(&text).map(Self).map_err(|error| {
            Failure::unfit(
                path.display().to_string(),
                format!("is not a JSON object: {error}"),
            )
        })
    }

    /// The fields of something that is there.
    pub(super) fn of(value: &impl Serialize) -> Self {
        match serde_json::to_value(value) {
            Ok(Value::Object(fields)) => Self(fields),
            _ => Self::default(),
        }
    }

    /// Forgets a field.
    pub(super) fn without(mut self, name: &str) -> Self {
        self.0.remove(name);
        self
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// With other fields over its own.
    pub(super) fn with(mut self, over: Self) -> Self {
        self.0.extend(over.0);
        self
    }

    /// Sets a field where a flag gives it; a flag may give null.
    pub(super) fn set(&mut self, name: &str, value: Option<impl Serialize>) -> Result<(), Failure> {
        if let Some(value) = value {
            let value = serde_json::to_value(value).map_err(|error| Failure::unfit(name, error))?;
            self.0.insert(name.to_owned(), value);
        }
        Ok(())
    }

    /// The thing that the fields spell.
    pub(super) fn read<T: DeserializeOwned>(self, what: &'static str) -> Result<T, Failure> {
        serde_json::from_value(Value::Object(self.0)).map_err(|error| Failure::Unfit {
            what: what.to_owned(),
            reason: format!("is not complete: {error}"),
            hint: Some("a new one needs --name and --status at least"),
        })
    }
}
