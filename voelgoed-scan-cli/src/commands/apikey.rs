//! `apikey`: creates, lists and revokes the API keys of members and integrations.

use clap::Subcommand;
use serde::{Deserialize, Serialize};
use voelgoed_scan_core::model::{ApiKey, ApiKeyCreate, ApiKeyId, Name, Role};

use super::value_parsers::variant;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::Report;

const API_KEYS: &str = "/api/v1/api-keys";

/// The subcommands of `apikey`.
#[derive(Debug, Subcommand)]
pub(crate) enum Apikey {
    /// Create an API key; it is printed once (owner only)
    #[command(after_help = "\
Examples:
  voelgoed-scan apikey create --name 'Ticket shop' --role admin
  voelgoed-scan apikey create --name 'Head of doors' --role staff --output json | jq -r .key > key.txt")]
    Create {
        /// Its name
        #[arg(long)]
        name: Name,
        /// The role of its holder
        #[arg(long, value_parser = variant::<Role>(Role::STRINGS))]
        role: Role,
    },
    /// List the API keys, without their secrets
    #[command(after_help = "Examples:\n  voelgoed-scan apikey list")]
    List,
    /// Delete an API key; the servers stop accepting it within a second
    #[command(after_help = "Examples:\n  voelgoed-scan apikey revoke 0192f0c1-7a4e-7000-8000-000000000002")]
    Revoke {
        /// The key's UUID
        #[arg(value_name = "API_KEY")]
        id: ApiKeyId,
    },
}

/// An API key with its secret, which the server returns only once.
#[derive(Debug, Serialize, Deserialize)]
struct Created {
    #[serde(flatten)]
    api_key: ApiKey,
    key: String,
}

#[derive(Serialize)]
struct Revoked {
    id: ApiKeyId,
    revoked: bool,
}

impl Apikey {
    pub(super) async fn run(self, context: &Context) -> Result<Report, Failure> {
        let client = context.client()?;
        match self {
            Self::Create { name, role } => {
                let key: Created = client.post(API_KEYS, &ApiKeyCreate { name, role }).await?;
                Ok(Report::object(&key)?
                    .with_note("the key is shown only this once; keep it like a password"))
            }
            Self::List => Report::list(&client.all::<ApiKey>(API_KEYS).await?),
            Self::Revoke { id } => {
                client.delete(&format!("{API_KEYS}/{id}")).await?;
                Report::object(&Revoked { id, revoked: true })
            }
        }
    }
}
