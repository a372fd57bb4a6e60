//! `apikey`: how members and integrations call.

use clap::Subcommand;
use serde::{Deserialize, Serialize};
use voelgoed_scan_core::model::{ApiKey, ApiKeyCreate, ApiKeyId, Name, Role};

use super::typed::word;
use crate::desk::Desk;
use crate::failure::Failure;
use crate::output::Report;

const API_KEYS: &str = "/api/v1/api-keys";

/// API keys.
#[derive(Debug, Subcommand)]
pub(crate) enum Apikey {
    /// Create an API key; prints it, once (owner alone)
    #[command(after_help = "\
Examples:
  voelgoed-scan apikey create --name 'Ticket shop' --role admin
  voelgoed-scan apikey create --name 'Head of doors' --role staff --output json | jq -r .key > key.txt")]
    Create {
        /// What it is called
        #[arg(long)]
        name: Name,
        /// What its holder may do
        #[arg(long, value_parser = word::<Role>(Role::STRINGS))]
        role: Role,
    },
    /// List the API keys, without their secrets
    #[command(after_help = "Examples:\n  voelgoed-scan apikey list")]
    List,
    /// Delete an API key: it is refused within a second
    #[command(after_help = "Examples:\n  voelgoed-scan apikey revoke 0192f0c1-7a4e-7000-8000-000000000002")]
    Revoke {
        /// The key's UUID
        #[arg(value_name = "API_KEY")]
        id: ApiKeyId,
    },
}

/// An API key with its secret, which is shown once.
#[derive(Debug, Serialize, Deserialize)]
struct Created {
    #[serde(flatten)]
    about: ApiKey,
    key: String,
}

#[derive(Serialize)]
struct Revoked {
    id: ApiKeyId,
    revoked: bool,
}

impl Apikey {
    pub(super) async fn run(self, desk: &Desk) -> Result<Report, Failure> {
        let client = desk.client()?;
        match self {
            Self::Create { name, role } => {
                let key: Created = client.post(API_KEYS, &ApiKeyCreate { name, role }).await?;
                Ok(Report::card(&key)?.noted("the key is shown this once; keep it like a password"))
            }
            Self::List => Report::list(&client.all::<ApiKey>(API_KEYS).await?),
            Self::Revoke { id } => {
                client.delete(&format!("{API_KEYS}/{id}")).await?;
                Report::card(&Revoked { id, revoked: true })
            }
        }
    }
}
