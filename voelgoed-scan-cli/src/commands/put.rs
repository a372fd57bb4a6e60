//! The generic `put` of `event` and `gate`: creates a resource, replaces it with a file, or changes single fields.

use std::io::Read;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::client::Client;
use crate::env::BYTE_ORDER_MARK;
use crate::failure::Failure;

/// A resource that `put` creates or changes.
pub(super) trait PutResource: Serialize + DeserializeOwned {
    /// The body of the `PUT` request.
    type Body: Serialize + DeserializeOwned;
    /// The name of the resource in messages.
    const NAME: &'static str;
    /// Fields that are not sent back unchanged. The server keeps them where they are absent.
    const OMITTED: &'static [&'static str];
}

/// Puts the resource at `path` and returns it.
///
/// With a file, the body is the file's object. Without one, it is the existing resource, or nothing where there is
/// none yet. In both cases `flags` override its fields.
pub(super) async fn put<T: PutResource>(
    client: &Client,
    path: &str,
    is_new: bool,
    file: Option<&Path>,
    flags: Fields,
) -> Result<T, Failure> {
    let mut fields = match (file, is_new) {
        (Some(file), _) => Fields::from_file(file)?,
        (None, _) if flags.is_empty() => {
            return Err(Failure::Usage {
                reason: "there is nothing to put".to_owned(),
                hint: "give a FILE, or flags such as --name and --status",
            });
        }
        (None, true) => Fields::default(),
        (None, false) => match client.find::<T>(path).await? {
            Some(existing) => Fields::of(&existing, T::OMITTED),
            None => Fields::default(),
        },
    };
    fields.0.extend(flags.0);
    let body: T::Body = fields.parse(T::NAME)?;
    client.put(path, &body).await
}

/// Fields of a resource as JSON.
#[derive(Debug, Default)]
pub(super) struct Fields(Map<String, Value>);

impl Fields {
    /// Sets a field where its flag is given. A flag may stand for null.
    pub(super) fn set(&mut self, name: &str, value: Option<impl Serialize>) -> Result<(), Failure> {
        if let Some(value) = value {
            let value = serde_json::to_value(value).map_err(|error| Failure::invalid(name, error))?;
            self.0.insert(name.to_owned(), value);
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The object in a file, or in standard input for `-`.
    fn from_file(path: &Path) -> Result<Self, Failure> {
        let unreadable = |error| Failure::file(path, error);
        let mut text = String::new();
        if path == Path::new("-") {
            std::io::stdin().read_to_string(&mut text).map_err(unreadable)?;
        } else {
            text = std::fs::read_to_string(path).map_err(unreadable)?;
        }
        serde_json::from_str(text.trim_start_matches(BYTE_ORDER_MARK))
            .map(Self)
            .map_err(|error| {
                Failure::invalid(
                    path.display().to_string(),
                    format!("is not a JSON object: {error}"),
                )
            })
    }

    /// The fields of an existing resource, without `omitted`.
    fn of(resource: &impl Serialize, omitted: &[&str]) -> Self {
        let Ok(Value::Object(mut fields)) = serde_json::to_value(resource) else {
            return Self::default();
        };
        for name in omitted {
            fields.remove(*name);
        }
        Self(fields)
    }

    fn parse<T: DeserializeOwned>(self, what: &'static str) -> Result<T, Failure> {
        serde_json::from_value(Value::Object(self.0)).map_err(|error| Failure::Invalid {
            what: what.to_owned(),
            reason: format!("is not complete: {error}"),
            hint: Some("a new one needs --name and --status at least"),
        })
    }
}
