//! What does the database know that a manifest says? All of it as it stood at one moment, in pages.
//!
//! Invariant: a reading is one snapshot, so that its version is that of one state of the database and no other: the
//! organization's counter of facts and the versions of the event's tickets, added up. Neither ever falls, and whatever a
//! manifest tells raises one of them, on whichever node, of whichever release.

use async_trait::async_trait;
use serde::Serialize;

use crate::manifest::ManifestTicket;
use crate::model::{EventId, Gate, OrganizationId, TicketCode};
use crate::store::sql::row::{self, event_columns, gate_columns};
use crate::store::sql::{Dialect, Row, Sql, query};
use crate::store::{ChangedTicket, ManifestMark, ManifestReading, ManifestStore, StoreError};

/// How many tickets are read at a time.
const PAGE: i64 = 2000;

/// A database that reads several statements as of one moment.
pub(crate) trait SnapshotDialect: Dialect {
    /// Starts a transaction that reads one state.
    const BEGIN_SNAPSHOT: &'static str;
}

#[cfg(feature = "sqlite")]
impl SnapshotDialect for sqlx::Sqlite {
    // A transaction of a database in WAL mode sees what was committed before its first statement.
    const BEGIN_SNAPSHOT: &'static str = "begin";
}

#[cfg(feature = "postgres")]
impl SnapshotDialect for sqlx::Postgres {
    const BEGIN_SNAPSHOT: &'static str = "begin isolation level repeatable read, read only";
}

#[derive(Serialize)]
struct Key {
    o: String,
    c: String,
}

#[async_trait]
impl<D: SnapshotDialect> ManifestStore for Sql<D> {
    async fn manifest_mark(
        &self,
        organization: OrganizationId,
        event: EventId,
    ) -> Result<Option<ManifestMark>, StoreError> {
        let mut connection = self.read().await?;
        mark::<D>(organization, event, &mut connection).await
    }

    async fn read_manifest(
        &self,
        organization: OrganizationId,
        event: EventId,
        known: &(dyn Fn(TicketCode) -> Option<i64> + Send + Sync),
    ) -> Result<Option<ManifestReading>, StoreError> {
        let mut snapshot = self.readers.begin_with(D::BEGIN_SNAPSHOT).await?;
        let Some(mark) = mark::<D>(organization, event, &mut snapshot).await? else {
            return Ok(None);
        };
        let found = query::<D>(concat!(
            "select ",
            event_columns!(),
            " from events e where e.organization_id = $1 and e.id = $2"
        ))
        .id(organization.as_uuid())
        .id(event.as_uuid())
        .fetch_optional(&mut snapshot)
        .await?;
        let Some(row) = found else { return Ok(None) };
        let mut reading = ManifestReading {
            mark,
            version: u64::try_from(mark.facts).unwrap_or(0),
            event: row::event(&row)?,
            gates: gates::<D>(organization, event, &mut snapshot).await?,
            keys: super::keys::signing_keys_of::<D>(organization, &mut snapshot).await?,
            changed: Vec::new(),
        };
        tickets::<D>(organization, event, known, &mut reading, &mut snapshot).await?;
        snapshot.commit().await?;
        Ok(Some(reading))
    }
}

async fn mark<D: Dialect>(
    organization: OrganizationId,
    event: EventId,
    connection: &mut D::Connection,
) -> Result<Option<ManifestMark>, StoreError> {
    let row = query::<D>(
        "select o.generation, o.tickets_generation, cast((select coalesce(sum(c.entries + c.exits + c.valid), 0) \
         from occupancy c where c.organization_id = $1 and c.event_id = $2) as bigint) as movements, \
         (select count(*) from tickets t where t.organization_id = $1 and t.event_id = $2) as listed \
         from organizations o where o.id = $1 \
         and exists (select 1 from events e where e.organization_id = $1 and e.id = $2)",
    )
    .id(organization.as_uuid())
    .id(event.as_uuid())
    .fetch_optional(connection)
    .await?;
    let mark = |row: Row<D>| {
        Ok(ManifestMark {
            facts: row.int("generation")?,
            tickets: row.int("tickets_generation")?,
            listed: row.int("listed")?,
            movements: row.int("movements")?,
        })
    };
    row.map(mark).transpose()
}

async fn gates<D: Dialect>(
    organization: OrganizationId,
    event: EventId,
    connection: &mut D::Connection,
) -> Result<Vec<Gate>, StoreError> {
    let rows = query::<D>(concat!(
        "select ",
        gate_columns!(),
        " from gates g where g.organization_id = $1 and g.event_id = $2 order by g.id"
    ))
    .id(organization.as_uuid())
    .id(event.as_uuid())
    .fetch_all(connection)
    .await?;
    rows.iter().map(row::gate).collect()
}

/// Adds up the versions of all tickets, and reads those that are not known as they are.
async fn tickets<D: Dialect>(
    organization: OrganizationId,
    event: EventId,
    known: &(dyn Fn(TicketCode) -> Option<i64> + Send + Sync),
    reading: &mut ManifestReading,
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    let o = organization.as_uuid().simple().to_string();
    let mut after = String::new();
    loop {
        let rows = query::<D>(
            "select t.code, t.version from tickets t where t.organization_id = $1 and t.event_id = $2 \
             and t.code > $3 order by t.code limit $4",
        )
        .id(organization.as_uuid())
        .id(event.as_uuid())
        .text(&after)
        .int(PAGE)
        .fetch_all(connection)
        .await?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = last.text("code")?;
        let mut unknown = Vec::new();
        for row in &rows {
            let (code, version): (TicketCode, i64) = (row.parse("code")?, row.int("version")?);
            reading.version = reading
                .version
                .saturating_add(u64::try_from(version).unwrap_or(0));
            if known(code) != Some(version) {
                unknown.push(Key {
                    o: o.clone(),
                    c: code.to_string(),
                });
            }
        }
        if !unknown.is_empty() {
            let facts = query::<D>(D::SQL.tickets)
                .json(&unknown)
                .fetch_all(connection)
                .await?;
            for row in &facts {
                let facts = row::ticket(row)?;
                reading.changed.push(ChangedTicket {
                    code: facts.ticket.code,
                    version: facts.version,
                    ticket: ManifestTicket::of(&facts),
                });
            }
        }
    }
}
