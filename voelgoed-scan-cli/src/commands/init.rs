//! `init`: the first organization, or another owner key, straight in the database.

use clap::{ArgGroup, Args};
use serde::Serialize;
use voelgoed_scan_core::model::{ApiKeySecret, Name, OrganizationId};
use voelgoed_scan_core::node::{Admin, Setup};
use voelgoed_scan_core::store::{self, StoreError};
use voelgoed_scan_server::config::{Config, Secrets};

use crate::failure::Failure;
use crate::output::Report;
use crate::world;

/// What `init` takes.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("what").required(true).args(["organization", "new_owner_key"])))]
#[command(after_help = "\
Needs no server, and may run beside running ones: they accept the new key at once. The secret settings must be \
the server's; with SQLite and none given, both use <database file>.secret.

Examples:
  voelgoed-scan init --database-url sqlite://voelgoed-scan.db --organization 'Voelgoed Events'
  voelgoed-scan init --database-url sqlite://gate.db --organization Club --output json | jq -r .api_key > owner.key
  voelgoed-scan init --database-url postgres://gate@db/gate --secret-key-file master.key \\
      --new-owner-key 0192f0c1-7a4e-7000-8000-000000000000")]
pub(crate) struct Init {
    /// The server's database: `sqlite://FILE` or `postgres://USER@HOST/DATABASE`
    #[arg(
        long,
        value_name = "URL",
        env = "VOELGOED_SCAN_DATABASE_URL",
        default_value = "sqlite://voelgoed-scan.db",
        hide_env_values = true
    )]
    database_url: String,
    /// Make an organization of this name, with its first signing keys and its owner key
    #[arg(long, value_name = "NAME")]
    organization: Option<Name>,
    /// Make it under the id that it has elsewhere, as when a server is set up anew: with the same secret, codes that
    /// were signed there hold here
    #[arg(long, value_name = "ORGANIZATION_ID", requires = "organization")]
    organization_id: Option<OrganizationId>,
    /// Make another owner key for this organization, whose own was lost
    #[arg(long, value_name = "ORGANIZATION_ID")]
    new_owner_key: Option<OrganizationId>,
    /// Where the secrets are: the server's own settings.
    #[command(flatten)]
    secrets: Secrets,
}

/// What is shown this once.
#[derive(Serialize)]
struct Made<'a> {
    organization_id: OrganizationId,
    api_key: &'a str,
}

impl Init {
    pub(super) async fn run(self) -> Result<Report, Failure> {
        let master = self.secrets.master(&self.database_url)?;
        let store = store::open(&self.database_url, true).await?;
        let window = Config::default().dedup_window;
        let (scanner, back_office) = Setup {
            store,
            master,
            phoenix: None,
            window,
            redis: None,
        }
        .open()
        .await?;
        let made = self.make(&back_office).await;
        scanner.shutdown().await;
        let (organization_id, secret) = made?;
        let made = Made {
            organization_id,
            api_key: secret.reveal(),
        };
        let note = format!(
            "the key is shown this once; put it in {} or in a --token-file",
            world::TOKEN
        );
        Ok(Report::card(&made)?.noted(note))
    }

    async fn make(&self, back_office: &Admin) -> Result<(OrganizationId, ApiKeySecret), Failure> {
        let now = world::now();
        if let Some(name) = &self.organization {
            let id = self
                .organization_id
                .unwrap_or_else(|| OrganizationId::generate(now));
            return match back_office.create_organization_as(id, name.clone(), now).await? {
                Some((organization, _, secret)) => Ok((organization.id, secret)),
                None => Err(Failure::Taken {
                    kind: "organization",
                    name: id.to_string(),
                    hint: "an owner key for it comes with --new-owner-key ORGANIZATION_ID",
                }),
            };
        }
        let Some(organization) = self.new_owner_key else {
            return Err(Failure::Usage {
                reason: "there is nothing to make".to_owned(),
                hint: "give --organization NAME or --new-owner-key ORGANIZATION_ID",
            });
        };
        match back_office.new_owner_key(organization, now).await? {
            Some((_, secret)) => Ok((organization, secret)),
            None => Err(Failure::Unknown {
                kind: "organization",
                name: organization.to_string(),
                hint: "is this the right --database-url? An organization's id is in each of its objects",
            }),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(store::OpenError::Store(error))
    }
}
