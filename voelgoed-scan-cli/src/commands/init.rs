//! `init`: creates an organization or another owner key, directly in the database.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args};
use serde::Serialize;
use voelgoed_scan_core::model::{ApiKeySecret, AuditContext, Name, OrganizationId};
use voelgoed_scan_core::node::{Admin, Setup};
use voelgoed_scan_core::store::{OpenMode, Opening, open_with};
use voelgoed_scan_server::config::{Config, DatabasePooler, Secrets};

use crate::env;
use crate::failure::Failure;
use crate::output::Report;

/// The arguments of `init`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("what").required(true).args(["organization", "new_owner_key"])))]
#[command(after_help = "\
Needs no server, and can run beside running servers: they accept the new key at once. The secret settings must be \
those of the servers. With SQLite and no secret settings, init and the server both use <database file>.secret.

Examples:
  voelgoed-scan init --database-url sqlite://voelgoed-scan.db --organization 'Voelgoed Events'
  voelgoed-scan init --database-url sqlite://gate.db --organization Club --key-file owner.json
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
    /// What is between this program and PostgreSQL, as for the server
    #[arg(
        long,
        value_name = "MODE",
        env = "VOELGOED_SCAN_DATABASE_POOLER",
        value_enum,
        default_value_t
    )]
    database_pooler: DatabasePooler,
    /// Create an organization of this name, with its first signing keys and its owner key
    #[arg(long, value_name = "NAME")]
    organization: Option<Name>,
    /// Create it with the id that it has on another server; with the same master secret, tickets that were signed there
    /// are valid here
    #[arg(long, value_name = "ORGANIZATION_ID", requires = "organization")]
    organization_id: Option<OrganizationId>,
    /// Create another owner key for this organization, for example because the first was lost
    #[arg(long, value_name = "ORGANIZATION_ID")]
    new_owner_key: Option<OrganizationId>,
    /// Write the result to this new file, which only its owner can read, instead of standard output. --token-file reads it
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// The secret settings, which are those of the server.
    #[command(flatten)]
    secrets: Secrets,
}

/// A new owner key, which is shown only once.
#[derive(Serialize)]
struct OwnerKey<'a> {
    organization_id: OrganizationId,
    api_key: &'a str,
}

/// A file for a new key. Without a key it is removed again.
struct KeyFile<'a> {
    path: &'a Path,
    file: Option<File>,
}

impl<'a> KeyFile<'a> {
    fn create(path: &'a Path) -> Result<Self, Failure> {
        let mut options = File::options();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path).map_err(|error| Failure::file(path, error))?;
        Ok(Self {
            path,
            file: Some(file),
        })
    }

    fn write(mut self, key: &OwnerKey<'_>) -> Result<Report, Failure> {
        let json = serde_json::to_string(key).map_err(|error| Failure::invalid("the key", error))?;
        if let Some(mut file) = self.file.take() {
            writeln!(file, "{json}")
                .and_then(|()| file.sync_all())
                .map_err(|error| Failure::file(self.path, error))?;
        }
        let written = serde_json::json!({
            "organization_id": key.organization_id,
            "key_file": self.path,
        });
        Report::object(&written)
    }
}

impl Drop for KeyFile<'_> {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // The command has failed already, and says why.
            let _ = std::fs::remove_file(self.path);
        }
    }
}

impl Init {
    pub(super) async fn run(self) -> Result<Report, Failure> {
        // A key that cannot be written is lost, so that the file comes first.
        let key_file = self.key_file.as_deref().map(KeyFile::create).transpose()?;
        let opening = Opening {
            mode: OpenMode::Beside,
            migrate: true,
            pooler: self.database_pooler.into(),
        };
        let open_store = open_with(&self.database_url, opening);
        // As at the start of a server: a secret without its database would look like a database that was lost.
        let (store, master) = if self.database_url.starts_with("sqlite:") {
            let store = open_store.await?;
            (store, self.secrets.master(&self.database_url)?)
        } else {
            let master = self.secrets.master(&self.database_url)?;
            (open_store.await?, master)
        };
        let window = Config::default().dedup_window;
        let (scanner, admin) = Setup {
            store,
            master,
            phoenix: None,
            window,
            redis: None,
        }
        .open()
        .await?;
        let created = self.create(&admin).await;
        scanner.shutdown().await;
        let (organization_id, secret) = created?;
        let key = OwnerKey {
            organization_id,
            api_key: secret.reveal(),
        };
        if let Some(file) = key_file {
            return file.write(&key);
        }
        let note = format!(
            "the key is shown only this once; put it in {} or in a --token-file",
            env::TOKEN
        );
        Ok(Report::object(&key)?.with_note(note))
    }

    async fn create(&self, admin: &Admin) -> Result<(OrganizationId, ApiKeySecret), Failure> {
        let now = env::now();
        if let Some(name) = &self.organization {
            let id = self
                .organization_id
                .unwrap_or_else(|| OrganizationId::generate(now));
            return match admin
                .create_organization_as(id, name.clone(), &AuditContext::cli(), now)
                .await?
            {
                Some((organization, _, secret)) => Ok((organization.id, secret)),
                None => Err(Failure::AlreadyExists {
                    kind: "organization",
                    name: id.to_string(),
                    hint: "create another owner key for it with --new-owner-key ORGANIZATION_ID",
                }),
            };
        }
        let Some(organization) = self.new_owner_key else {
            return Err(Failure::Usage {
                reason: "there is nothing to create".to_owned(),
                hint: "give --organization NAME or --new-owner-key ORGANIZATION_ID",
            });
        };
        match admin
            .new_owner_key(organization, &AuditContext::cli(), now)
            .await?
        {
            Some((_, secret)) => Ok((organization, secret)),
            None => Err(Failure::NotFound {
                kind: "organization",
                name: organization.to_string(),
                hint: "is this the right --database-url? An organization's id is in each of its objects",
            }),
        }
    }
}
