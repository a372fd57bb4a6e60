//! `key`: what signs the tickets.

use clap::Subcommand;
use serde::Serialize;
use voelgoed_scan_core::model::{KeyFormat, KeyId, KeyStatus, SigningKey};

use super::typed::word;
use crate::client::Client;
use crate::desk::Desk;
use crate::failure::Failure;
use crate::output::{Report, Tone, paint};

const KEYS: &str = "/api/v1/signing-keys";

/// Signing keys.
#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// List the signing keys
    #[command(after_help = "Examples:\n  voelgoed-scan key list")]
    List,
    /// Create an active key: from now on it signs
    #[command(after_help = "Examples:\n  voelgoed-scan key create --format vg2 --kid 2")]
    Create {
        /// What it signs
        #[arg(long, value_parser = word::<KeyFormat>(KeyFormat::STRINGS))]
        format: KeyFormat,
        /// Its name: 1 to 8 characters of 0-9 A-Z a-z
        #[arg(long)]
        kid: KeyId,
    },
    /// Create a new active key; the active ones before it only verify from now on
    #[command(after_help = "\
Examples:
  voelgoed-scan key rotate --format vg1
  voelgoed-scan key rotate --format vg2 --kid 2027a")]
    Rotate {
        /// What it signs
        #[arg(long, value_parser = word::<KeyFormat>(KeyFormat::STRINGS))]
        format: KeyFormat,
        /// Its name; the next free number where it is not given
        #[arg(long)]
        kid: Option<KeyId>,
    },
    /// Revoke a key for good: nothing that it signed is believed any more
    #[command(after_help = "Examples:\n  voelgoed-scan key revoke --format vg1 --kid 1")]
    Revoke {
        /// What it signed
        #[arg(long, value_parser = word::<KeyFormat>(KeyFormat::STRINGS))]
        format: KeyFormat,
        /// Its name
        #[arg(long)]
        kid: KeyId,
    },
}

#[derive(Serialize)]
struct New {
    kid: KeyId,
    format: KeyFormat,
}

#[derive(Serialize)]
struct Status {
    status: KeyStatus,
}

/// What a rotation did.
#[derive(Serialize)]
struct Rotated {
    active: SigningKey,
    verify_only: Vec<SigningKey>,
}

impl Key {
    pub(super) async fn run(self, desk: &Desk) -> Result<Report, Failure> {
        let client = desk.client()?;
        match self {
            Self::List => Report::list(&client.all::<SigningKey>(KEYS).await?),
            Self::Create { format, kid } => {
                Report::card(&client.post::<SigningKey>(KEYS, &New { kid, format }).await?)
            }
            Self::Rotate { format, kid } => {
                let rotated = rotate(&client, format, kid).await?;
                let old: Vec<_> = rotated
                    .verify_only
                    .iter()
                    .map(|key| key.kid.to_string())
                    .collect();
                let text = format!(
                    "{} {} key {} signs from now on\n{} verify only: {}",
                    paint(Tone::Good, "✔"),
                    format,
                    rotated.active.kid,
                    paint(Tone::Odd, "↺"),
                    if old.is_empty() {
                        "none".to_owned()
                    } else {
                        old.join(", ")
                    },
                );
                Report::one(&rotated, text)
            }
            Self::Revoke { format, kid } => {
                Report::card(&set(&client, format, kid, KeyStatus::Revoked).await?)
            }
        }
    }
}

/// The new key comes first: at no moment is there none that signs.
async fn rotate(client: &Client, format: KeyFormat, kid: Option<KeyId>) -> Result<Rotated, Failure> {
    let keys: Vec<SigningKey> = client.all(KEYS).await?;
    let kid = match kid {
        Some(kid) => kid,
        None => next(&keys, format)?,
    };
    let active: SigningKey = client.post(KEYS, &New { kid, format }).await?;
    let mut verify_only = Vec::new();
    for old in keys
        .iter()
        .filter(|key| key.format == format && key.status == KeyStatus::Active)
    {
        verify_only.push(set(client, format, old.kid, KeyStatus::VerifyOnly).await?);
    }
    Ok(Rotated { active, verify_only })
}

/// The lowest number above every number that is a key's name.
fn next(keys: &[SigningKey], format: KeyFormat) -> Result<KeyId, Failure> {
    let highest = keys
        .iter()
        .filter(|key| key.format == format)
        .filter_map(|key| key.kid.as_str().parse::<u64>().ok())
        .max()
        .unwrap_or(0);
    (highest + 1).to_string().parse().map_err(|_| Failure::Usage {
        reason: "there is no next number for a key".to_owned(),
        hint: "name the key: --kid KID",
    })
}

async fn set(
    client: &Client,
    format: KeyFormat,
    kid: KeyId,
    status: KeyStatus,
) -> Result<SigningKey, Failure> {
    client
        .patch(&format!("{KEYS}/{format}/{kid}"), &Status { status })
        .await
}

#[cfg(test)]
mod tests {
    use voelgoed_scan_core::model::Timestamp;

    use super::*;

    #[test]
    fn the_next_key_has_the_number_after_the_highest() {
        let key = |kid: &str| SigningKey {
            format: KeyFormat::Vg1,
            kid: kid.parse().expect("a key id"),
            status: KeyStatus::Active,
            public_key: None,
            inserted_at: Timestamp::from_seconds(0),
        };
        let after = |keys: &[SigningKey], format| next(keys, format).map(|kid| kid.to_string()).ok();
        assert_eq!(
            after(&[key("1"), key("9"), key("x2")], KeyFormat::Vg1).as_deref(),
            Some("10")
        );
        assert_eq!(after(&[key("1")], KeyFormat::Vg2).as_deref(), Some("1"));
        assert_eq!(after(&[key("99999999")], KeyFormat::Vg1), None);
    }
}
