//! Reads the content of a manifest from one snapshot of the database, the tickets in pages.
//!
//! Invariant: a reading is one snapshot, so its version belongs to one state of the database and to no other. The
//! version is the sum of the organization's change counter and of the versions of the event's tickets. None of them
//! ever falls, and every change of what a manifest contains raises one of them, on every node and in every release.

use async_trait::async_trait;

use crate::manifest::{ManifestTicket, MediumKey, TicketKey, TicketKeys};
use crate::model::{EventId, Gate, Media, OrganizationId, TicketCode, Timestamp};
use crate::rules::ScanDay;
use crate::store::sql::events::find_event;
use crate::store::sql::former_rules::{RulesBegin, rules_begin};
use crate::store::sql::keys::list_signing_keys;
use crate::store::sql::lookup::TicketLookup;
use crate::store::sql::messages::find_custom_messages;
use crate::store::sql::{Dialect, Row, Sql, mapping, query, statement};
use crate::store::{
    ChangedTicket, MAX_MANIFEST_COPIES, ManifestCopy, ManifestMark, ManifestReading, ManifestStore,
    StoreError,
};

/// How many tickets are read at a time.
const PAGE_SIZE: i64 = 2000;

#[async_trait]
impl<D: Dialect> ManifestStore for Sql<D> {
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
        let (_permit, mut snapshot) = self.read_snapshot(organization).await?;
        let Some(mark) = mark::<D>(organization, event, &mut snapshot).await? else {
            return Ok(None);
        };
        let Some(found) = find_event::<D>(organization, event, &mut snapshot).await? else {
            return Ok(None);
        };
        let begin = rules_begin::<D>(&found, &mut snapshot).await?;
        let mut reading = ManifestReading {
            mark,
            version: u64::try_from(mark.facts).unwrap_or(0),
            event: found,
            gates: gates::<D>(organization, event, &mut snapshot).await?,
            keys: list_signing_keys::<D>(organization, &mut snapshot).await?,
            messages: find_custom_messages::<D>(organization, &mut snapshot).await?,
            changed: Vec::new(),
        };
        tickets::<D>(organization, begin, known, &mut reading, &mut snapshot).await?;
        snapshot.commit().await?;
        Ok(Some(reading))
    }

    async fn keep_manifest_copy(
        &self,
        organization: OrganizationId,
        event: EventId,
        copy: &ManifestCopy,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if !D::SHARED {
            return Ok(());
        }
        let mut transaction = self.write().await?;
        query::<D>(statement!("manifests/insert_copy.sql"))
            .id(organization.as_uuid())
            .id(event.as_uuid())
            .text(&copy.tag)
            .bytes(&copy.bytes)
            .time(copy.expires_at)
            .execute(&mut transaction)
            .await?;
        query::<D>(statement!("manifests/delete_old_copies.sql"))
            .id(organization.as_uuid())
            .time(now)
            .id(event.as_uuid())
            .int(MAX_MANIFEST_COPIES.into())
            .execute(&mut transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn manifest_copy(
        &self,
        organization: OrganizationId,
        event: EventId,
        tag: &str,
        now: Timestamp,
    ) -> Result<Option<ManifestCopy>, StoreError> {
        if !D::SHARED {
            return Ok(None);
        }
        let row = query::<D>(statement!("manifests/find_copy.sql"))
            .id(organization.as_uuid())
            .id(event.as_uuid())
            .text(tag)
            .time(now)
            .fetch_optional(&mut *self.read().await?)
            .await?;
        row.map(|row| {
            Ok(ManifestCopy {
                tag: tag.to_owned(),
                bytes: row.blob("bytes")?,
                expires_at: row.time("expires_at")?,
            })
        })
        .transpose()
    }
}

async fn mark<D: Dialect>(
    organization: OrganizationId,
    event: EventId,
    connection: &mut D::Connection,
) -> Result<Option<ManifestMark>, StoreError> {
    let row = query::<D>(statement!("manifests/mark.sql"))
        .id(organization.as_uuid())
        .id(event.as_uuid())
        .fetch_optional(connection)
        .await?;
    let mark = |row: Row<D>| {
        Ok(ManifestMark {
            facts: row.int("change_counter")?,
            tickets: row.int("tickets_change_counter")?,
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
    let rows = query::<D>(statement!("manifests/gates.sql"))
        .id(organization.as_uuid())
        .id(event.as_uuid())
        .fetch_all(connection)
        .await?;
    rows.iter().map(mapping::gate).collect()
}

/// Adds the versions of all tickets to the version of the reading, and reads the tickets whose version the caller does
/// not know.
///
/// A page is read with all columns while the caller knows less than half of the page before: a node that starts then reads
/// each row once. Otherwise only the versions are read, and the changed tickets by their codes.
async fn tickets<D: Dialect>(
    organization: OrganizationId,
    begin: RulesBegin,
    known: &(dyn Fn(TicketCode) -> Option<i64> + Send + Sync),
    reading: &mut ManifestReading,
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    let event = reading.event.id;
    let keys = TicketKeys::of(organization, event);
    let mut after = String::new();
    let mut is_mostly_unknown = true;
    loop {
        let sql = if is_mostly_unknown {
            statement!("manifests/tickets.sql")
        } else {
            statement!("manifests/ticket_versions.sql")
        };
        let rows = query::<D>(sql)
            .id(organization.as_uuid())
            .id(event.as_uuid())
            .text(&after)
            .int(PAGE_SIZE)
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
                unknown.push((code, row));
            }
        }
        if is_mostly_unknown {
            for (code, row) in &unknown {
                reading.changed.push(ChangedTicket {
                    code: *code,
                    version: row.int("version")?,
                    ticket: ticket((organization, event), keys.key(*code), row, |at| {
                        begin.day(&reading.event, at)
                    })?,
                });
            }
        } else if !unknown.is_empty() {
            let codes: Vec<_> = unknown
                .iter()
                .map(|(code, _)| TicketLookup::by_code(*code))
                .collect();
            let ticket_rows = query::<D>(D::SQL.load_import_tickets)
                .json(&codes)
                .id(organization.as_uuid())
                .fetch_all(connection)
                .await?;
            for row in &ticket_rows {
                let facts = mapping::ticket(row)?;
                reading.changed.push(ChangedTicket {
                    code: facts.ticket.code,
                    version: facts.version,
                    ticket: ManifestTicket::of(&facts, &row.opt_json("media")?.unwrap_or_default(), |at| {
                        begin.day(&reading.event, at)
                    }),
                });
            }
        }
        is_mostly_unknown = unknown.len() * 2 > rows.len();
    }
}

/// The ticket in a row of `manifests/tickets.sql`.
fn ticket<D: Dialect>(
    (organization, event): (OrganizationId, EventId),
    key: TicketKey,
    row: &Row<D>,
    day_of: impl FnOnce(Timestamp) -> ScanDay,
) -> Result<ManifestTicket, StoreError> {
    let media: Media = row.opt_json("media")?.unwrap_or_default();
    let mut ticket = ManifestTicket {
        key,
        status: row.parse("status")?,
        ticket_class: row.opt_parse("ticket_class")?,
        gate_ids: row.opt_json("gate_ids")?,
        valid_from: row.opt_time("valid_from")?,
        valid_until: row.opt_time("valid_until")?,
        entry_limit: row.number("entry_limit")?,
        admissions: 0,
        inside: 0,
        last_admission: None,
        media: media
            .iter()
            .map(|medium| MediumKey::of(organization, event, medium))
            .collect(),
        day_admissions: 0,
    };
    ticket.set_history(&row.json("ledger")?, day_of);
    Ok(ticket)
}
