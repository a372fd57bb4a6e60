//! `key`: lists, creates, rotates and revokes signing keys.

use clap::Subcommand;
use serde::Serialize;
use voelgoed_scan_core::model::{KeyFormat, KeyId, KeyStatus, SigningKey};

use super::value_parsers::variant;
use crate::client::Client;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{Report, TextStyle, styled};

const KEYS: &str = "/api/v1/signing-keys";

/// The subcommands of `key`.
#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// List the signing keys
    #[command(after_help = "Examples:\n  voelgoed-scan key list")]
    List,
    /// Create an active key, which signs from now on
    #[command(after_help = "Examples:\n  voelgoed-scan key create --format vg2 --kid 2")]
    Create {
        /// Format of the payloads that it signs
        #[arg(long, value_parser = variant::<KeyFormat>(KeyFormat::STRINGS))]
        format: KeyFormat,
        /// Its key id: 1 to 8 characters of 0-9 A-Z a-z
        #[arg(long)]
        kid: KeyId,
    },
    /// Create a new active key; the keys that were active only verify from now on
    #[command(after_help = "\
Examples:
  voelgoed-scan key rotate --format vg1
  voelgoed-scan key rotate --format vg2 --kid 2027a")]
    Rotate {
        /// Format of the payloads that it signs
        #[arg(long, value_parser = variant::<KeyFormat>(KeyFormat::STRINGS))]
        format: KeyFormat,
        /// Its key id [default: the next free number]
        #[arg(long)]
        kid: Option<KeyId>,
    },
    /// Revoke a key permanently; payloads that it signed become invalid
    #[command(after_help = "Examples:\n  voelgoed-scan key revoke --format vg1 --kid 1")]
    Revoke {
        /// Format of the payloads that it signed
        #[arg(long, value_parser = variant::<KeyFormat>(KeyFormat::STRINGS))]
        format: KeyFormat,
        /// Its key id
        #[arg(long)]
        kid: KeyId,
    },
}

/// The request that creates a key.
#[derive(Serialize)]
struct CreateKey {
    kid: KeyId,
    format: KeyFormat,
}

/// The request that changes a key's status.
#[derive(Serialize)]
struct SetStatus {
    status: KeyStatus,
}

/// The keys after a rotation.
#[derive(Serialize)]
struct Rotation {
    active: SigningKey,
    verify_only: Vec<SigningKey>,
}

impl Key {
    pub(super) async fn run(self, context: &Context) -> Result<Report, Failure> {
        let client = context.client()?;
        match self {
            Self::List => Report::list(&client.all::<SigningKey>(KEYS).await?),
            Self::Create { format, kid } => Report::object(
                &client
                    .post::<SigningKey>(KEYS, &CreateKey { kid, format })
                    .await?,
            ),
            Self::Rotate { format, kid } => {
                let rotation = rotate(&client, format, kid).await?;
                let old: Vec<_> = rotation
                    .verify_only
                    .iter()
                    .map(|key| key.kid.to_string())
                    .collect();
                let text = format!(
                    "{} {} key {} signs from now on\n{} verify only: {}",
                    styled(TextStyle::Success, "✔"),
                    format,
                    rotation.active.kid,
                    styled(TextStyle::Warning, "↺"),
                    if old.is_empty() {
                        "none".to_owned()
                    } else {
                        old.join(", ")
                    },
                );
                Report::one(&rotation, text)
            }
            Self::Revoke { format, kid } => {
                Report::object(&set_status(&client, format, kid, KeyStatus::Revoked).await?)
            }
        }
    }
}

/// Creates the new key before the old ones stop signing, so that there is an active key at every moment.
async fn rotate(client: &Client, format: KeyFormat, kid: Option<KeyId>) -> Result<Rotation, Failure> {
    let keys: Vec<SigningKey> = client.all(KEYS).await?;
    let kid = match kid {
        Some(kid) => kid,
        None => next_kid(&keys, format)?,
    };
    let active: SigningKey = client.post(KEYS, &CreateKey { kid, format }).await?;
    let mut verify_only = Vec::new();
    for old in keys
        .iter()
        .filter(|key| key.format == format && key.status == KeyStatus::Active)
    {
        verify_only.push(set_status(client, format, old.kid, KeyStatus::VerifyOnly).await?);
    }
    Ok(Rotation { active, verify_only })
}

/// One more than the highest key id of this format that is a number.
fn next_kid(keys: &[SigningKey], format: KeyFormat) -> Result<KeyId, Failure> {
    let highest = keys
        .iter()
        .filter(|key| key.format == format)
        .filter_map(|key| key.kid.as_str().parse::<u64>().ok())
        .max()
        .unwrap_or(0);
    (highest + 1).to_string().parse().map_err(|_| Failure::Usage {
        reason: "there is no next number for a key".to_owned(),
        hint: "choose the key id with --kid KID",
    })
}

async fn set_status(
    client: &Client,
    format: KeyFormat,
    kid: KeyId,
    status: KeyStatus,
) -> Result<SigningKey, Failure> {
    client
        .patch(&format!("{KEYS}/{format}/{kid}"), &SetStatus { status })
        .await
}

#[cfg(test)]
mod tests {
    use voelgoed_scan_core::model::Timestamp;

    use super::*;

    #[test]
    fn the_next_key_id_is_one_more_than_the_highest_number() {
        let key = |kid: &str| SigningKey {
            format: KeyFormat::Vg1,
            kid: kid.parse().expect("a key id"),
            status: KeyStatus::Active,
            public_key: None,
            inserted_at: Timestamp::from_seconds(0),
        };
        let after = |keys: &[SigningKey], format| next_kid(keys, format).map(|kid| kid.to_string()).ok();
        assert_eq!(
            after(&[key("1"), key("9"), key("x2")], KeyFormat::Vg1).as_deref(),
            Some("10")
        );
        assert_eq!(after(&[key("1")], KeyFormat::Vg2).as_deref(), Some("1"));
        assert_eq!(after(&[key("99999999")], KeyFormat::Vg1), None);
    }
}
