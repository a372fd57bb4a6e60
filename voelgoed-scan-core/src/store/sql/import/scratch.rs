//! The scratch database of a dry run: the tickets that its lines would have written, by code, id and medium.
//!
//! It is a temporary SQLite database, whichever database the server uses. SQLite keeps a small part in memory and the rest in
//! a file without a name, so the memory of a dry run does not grow with its lines. Nobody else reads it.

use std::collections::HashMap;

use serde::de::DeserializeOwned;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{Connection as _, Row as _, SqliteConnection};

use super::chunk::ImportedTicket;
use crate::model::{Medium, TicketCode, TicketId, hex};
use crate::store::StoreError;
use crate::store::sql::lookup::json_text;

/// What SQLite opens as a temporary database.
const TEMPORARY: &str = "";

/// The entries of one dry run.
pub(crate) struct Scratch(SqliteConnection);

impl Scratch {
    pub(super) async fn open() -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(TEMPORARY)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Off)
            .synchronous(SqliteSynchronous::Off);
        let mut connection = SqliteConnection::connect_with(&options).await?;
        sqlx::query(include_str!("scratch/create.sql"))
            .execute(&mut connection)
            .await?;
        Ok(Self(connection))
    }

    /// The tickets of these codes that were written.
    pub(super) async fn tickets(
        &mut self,
        codes: Vec<TicketCode>,
    ) -> Result<Vec<ImportedTicket>, StoreError> {
        let found = self.read(codes.iter().map(|code| code_key(*code))).await?;
        Ok(found.into_values().collect())
    }

    /// The codes of the tickets that were written with these ids.
    pub(super) async fn codes(
        &mut self,
        ids: &[TicketId],
    ) -> Result<Vec<(TicketId, TicketCode)>, StoreError> {
        let found: HashMap<String, TicketCode> = self.read(ids.iter().map(|id| id_key(*id))).await?;
        let code = |id: &TicketId| Some((*id, *found.get(&id_key(*id))?));
        Ok(ids.iter().filter_map(code).collect())
    }

    /// The media whose ticket changed, with the code of the present one.
    pub(super) async fn owners(
        &mut self,
        media: &[&Medium],
    ) -> Result<Vec<(Medium, Option<TicketCode>)>, StoreError> {
        let found: HashMap<String, Option<TicketCode>> =
            self.read(media.iter().map(|medium| medium_key(medium))).await?;
        let owner = |medium: &&Medium| Some(((*medium).clone(), *found.get(&medium_key(medium))?));
        Ok(media.iter().filter_map(owner).collect())
    }

    /// Writes tickets, and the code of the ticket of each medium.
    pub(super) async fn write(
        &mut self,
        tickets: impl Iterator<Item = &ImportedTicket>,
        owners: &HashMap<&Medium, Option<TicketCode>>,
    ) -> Result<(), StoreError> {
        let mut entries = Vec::new();
        for imported in tickets {
            let ticket = &imported.listing.ticket;
            entries.push((code_key(ticket.code), json_text(imported)?));
            entries.push((id_key(ticket.id), json_text(&ticket.code)?));
        }
        for (medium, code) in owners {
            entries.push((medium_key(medium), json_text(code)?));
        }
        sqlx::query(include_str!("scratch/write.sql"))
            .bind(json_text(&entries)?)
            .execute(&mut self.0)
            .await?;
        Ok(())
    }

    async fn read<T: DeserializeOwned>(
        &mut self,
        keys: impl Iterator<Item = String>,
    ) -> Result<HashMap<String, T>, StoreError> {
        let keys: Vec<_> = keys.collect();
        if keys.is_empty() {
            return Ok(HashMap::new());
        }
        let rows = sqlx::query(include_str!("scratch/read.sql"))
            .bind(json_text(&keys)?)
            .fetch_all(&mut self.0)
            .await?;
        let mut found = HashMap::new();
        for row in rows {
            let (key, value): (String, String) = (row.try_get("key")?, row.try_get("value")?);
            let value =
                serde_json::from_str(&value).map_err(|error| StoreError::failed(error.to_string()))?;
            found.insert(key, value);
        }
        Ok(found)
    }
}

fn code_key(code: TicketCode) -> String {
    format!("code:{code}")
}

fn id_key(id: TicketId) -> String {
    format!("id:{id}")
}

fn medium_key(medium: &Medium) -> String {
    format!("medium:{}", hex::encode(&medium.sha256()))
}
