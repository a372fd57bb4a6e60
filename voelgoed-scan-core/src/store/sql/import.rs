//! Imports a chunk of ticket lines in one transaction: lock, read the existing tickets, apply the lines in their order,
//! write what changed. Most chunks contain new tickets only, so that there is nothing to lock or to read.
//!
//! Invariants: an invalid line changes nothing and does not stop the import. A line that equals its ticket writes
//! nothing. The ledger and the scan count, which scans write, are read and never written, so an import never undoes a
//! scan.

mod chunk;
mod dry_run;
mod rows;
mod scratch;

pub(crate) use scratch::Scratch as ImportScratch;

use std::collections::{BTreeMap, HashMap};

use crate::model::{
    Event, EventId, Medium, OrganizationId, TicketCode, TicketFacts, TicketLine, TicketStatus, Timestamp,
};
use crate::store::sql::audit::append;
use crate::store::sql::audited_changes::import_ended;
use crate::store::sql::change_counters::{raise_change_counter, raise_tickets_change_counter};
use crate::store::sql::events::{locked_event, update_event};
use crate::store::sql::former_rules::keep_entry_limits;
use crate::store::sql::import::chunk::{Chunk, ImportedTicket};
use crate::store::sql::import::rows::ImportRow;
use crate::store::sql::lookup::TicketLookup;
use crate::store::sql::media::{MediumRow, tickets_by_media};
use crate::store::sql::retry::retry_contended;
use crate::store::sql::ticket_statuses::record_statuses;
use crate::store::sql::{Dialect, Sql, mapping, query, statement};
use crate::store::{ImportEnd, ImportOutcome, NumberedLine, StoreError};

impl<D: Dialect> Sql<D> {
    /// Imports a chunk of lines. Returns one outcome a line, or `None` if the event does not exist.
    pub(crate) async fn import_chunk(
        &self,
        organization: OrganizationId,
        event: EventId,
        lines: &[NumberedLine],
        now: Timestamp,
        end: Option<ImportEnd<'_>>,
    ) -> Result<Option<Vec<ImportOutcome>>, StoreError> {
        let lines = with_codes(lines);
        retry_contended("import tickets", || {
            self.import_chunk_once(organization, event, &lines, now, end)
        })
        .await
    }

    async fn import_chunk_once(
        &self,
        organization: OrganizationId,
        event: EventId,
        lines: &[(TicketCode, &TicketLine)],
        now: Timestamp,
        end: Option<ImportEnd<'_>>,
    ) -> Result<Option<Vec<ImportOutcome>>, StoreError> {
        let mut transaction = match &end {
            Some(_) => self.write_audited(organization).await?,
            None => self.write().await?,
        };
        let Some(event) = locked_event::<D>(organization, event, &mut transaction).await? else {
            return Ok(None);
        };
        let event_id = event.id;
        let mut chunk = load::<D>(event, lines, now, &mut transaction).await?;
        let outcomes: Vec<_> = lines
            .iter()
            .map(|(code, line)| chunk.apply_line(*code, line))
            .collect();
        write::<D>(chunk, &mut transaction).await?;
        if let Some(ImportEnd { mut counts, audit }) = end {
            counts.add(&outcomes);
            append::<D>(
                organization,
                import_ended(event_id, counts),
                audit,
                &mut transaction,
            )
            .await?;
        }
        transaction.commit().await?;
        Ok(Some(outcomes))
    }
}

/// Generates the codes of lines without one, so that a second try imports the same tickets.
fn with_codes(lines: &[NumberedLine]) -> Vec<(TicketCode, &TicketLine)> {
    let code = |line: &TicketLine| line.code.unwrap_or_else(TicketCode::generate);
    lines.iter().map(|line| (code(&line.line), &line.line)).collect()
}

/// Locks and reads the tickets that the lines name.
async fn load<D: Dialect>(
    event: Event,
    lines: &[(TicketCode, &TicketLine)],
    now: Timestamp,
    connection: &mut D::Connection,
) -> Result<Chunk, StoreError> {
    let organization = event.organization_id;
    let media_owners = media_owners::<D>(&event, lines, connection).await?;
    let lookups = lookups(lines, &media_owners);
    let any_exists = match D::SQL.any_ticket_exists {
        Some(sql) => !query::<D>(sql)
            .id(organization.as_uuid())
            .rows(&lookups)
            .fetch_all(connection)
            .await?
            .is_empty(),
        None => true,
    };
    let tickets = if any_exists {
        if let Some(sql) = D::SQL.lock_tickets {
            query::<D>(sql)
                .json(&lookups)
                .id(organization.as_uuid())
                .fetch_all(connection)
                .await?;
        }
        read_tickets::<D>(organization, &lookups, connection).await?
    } else {
        Vec::new()
    };
    chunk_of::<D>(event, tickets, media_owners, now, connection).await
}

/// What finds the tickets that the lines name by code, id or medium.
fn lookups(
    lines: &[(TicketCode, &TicketLine)],
    media_owners: &HashMap<Medium, TicketCode>,
) -> Vec<TicketLookup> {
    let owners = media_owners.values().map(|code| TicketLookup::by_code(*code));
    lines
        .iter()
        .map(|(code, line)| TicketLookup::by_code_and_id(Some(*code), line.id))
        .chain(owners)
        .collect()
}

async fn read_tickets<D: Dialect>(
    organization: OrganizationId,
    lookups: &[TicketLookup],
    connection: &mut D::Connection,
) -> Result<Vec<ImportedTicket>, StoreError> {
    let rows = query::<D>(D::SQL.load_import_tickets)
        .json(lookups)
        .id(organization.as_uuid())
        .fetch_all(connection)
        .await?;
    let ticket = |row| {
        let TicketFacts { ledger, version, .. } = mapping::ticket(row)?;
        Ok(ImportedTicket {
            listing: mapping::listing(row)?,
            admissions: ledger.admissions(),
            version,
        })
    };
    rows.iter().map(ticket).collect()
}

/// A chunk to which no line was applied yet.
async fn chunk_of<D: Dialect>(
    event: Event,
    tickets: Vec<ImportedTicket>,
    media_owners: HashMap<Medium, TicketCode>,
    now: Timestamp,
    connection: &mut D::Connection,
) -> Result<Chunk, StoreError> {
    let gates = query::<D>(statement!("import/gate_ids.sql"))
        .id(event.organization_id.as_uuid())
        .id(event.id.as_uuid())
        .fetch_all(connection)
        .await?
        .iter()
        .map(|row| row.id("id"))
        .collect::<Result<_, _>>()?;
    let mut chunk = Chunk {
        classes: event.ticket_classes.iter().cloned().collect(),
        classes_added: false,
        event,
        gates,
        now,
        tickets: HashMap::new(),
        codes: HashMap::new(),
        changed: HashMap::new(),
        former_limits: HashMap::new(),
        media_owners,
        former_media: HashMap::new(),
        updated_fields: BTreeMap::new(),
    };
    for ticket in tickets {
        chunk.add_existing(ticket);
    }
    Ok(chunk)
}

/// The tickets of the event that have media of the lines. The lock of the event keeps other imports from changing them.
async fn media_owners<D: Dialect>(
    event: &Event,
    lines: &[(TicketCode, &TicketLine)],
    connection: &mut D::Connection,
) -> Result<HashMap<Medium, TicketCode>, StoreError> {
    let named = lines.iter().filter_map(|(_, line)| line.media.value()).flatten();
    let by_sha256: HashMap<_, _> = named.map(|medium| (medium.sha256(), medium)).collect();
    let hashes: Vec<_> = by_sha256.keys().copied().collect();
    let tickets = tickets_by_media::<D>(event.organization_id, &hashes, connection).await?;
    Ok(tickets
        .into_iter()
        .filter(|ticket| ticket.event_id == event.id)
        .filter_map(|ticket| {
            Some((
                (*by_sha256.get(&ticket.medium_sha256)?).clone(),
                ticket.ticket_code,
            ))
        })
        .collect())
}

/// Writes what changed. [`StoreError::Contended`] if another import inserted one of the codes or ids meanwhile.
async fn write<D: Dialect>(mut chunk: Chunk, connection: &mut D::Connection) -> Result<(), StoreError> {
    if chunk.changed.is_empty() {
        return Ok(());
    }
    // Sorted by code on every node, so that two imports of the same codes do not deadlock.
    let mut codes: Vec<_> = chunk.changed.iter().collect();
    codes.sort_unstable();
    let (mut inserted, mut updated) = (Vec::new(), Vec::new());
    for (code, is_new) in codes {
        let Some(ticket) = chunk.tickets.get(code) else {
            continue;
        };
        let row = ImportRow::new(ticket, chunk.now)?;
        if *is_new {
            inserted.push(row);
        } else {
            updated.push(row);
        }
    }
    let organization = chunk.event.organization_id;
    let former_limits = chunk.tickets.values().filter_map(|imported| {
        let ticket = &imported.listing.ticket;
        let former = *chunk.former_limits.get(&ticket.id)?;
        (former != ticket.entry_limit).then_some((ticket.id, former))
    });
    keep_entry_limits::<D>(organization, former_limits, chunk.now, connection).await?;
    write_rows::<D>(D::SQL.insert_import_tickets, organization, &inserted, connection).await?;
    write_rows::<D>(D::SQL.update_import_tickets, organization, &updated, connection).await?;
    write_media::<D>(&chunk, connection).await?;
    // A new ticket is active unless its line says otherwise.
    let statuses = chunk.changed.iter().filter_map(|(code, is_new)| {
        let ticket = &chunk.tickets.get(code)?.listing.ticket;
        let is_change = !is_new || ticket.status.after_admissions(0) != TicketStatus::Active;
        is_change.then_some((ticket.id, ticket.status))
    });
    record_statuses::<D>(organization, statuses, chunk.now, connection).await?;
    if chunk.classes_added {
        chunk.event.updated_at = chunk.now;
        update_event::<D>(&chunk.event, connection).await?;
        raise_change_counter::<D>(organization, connection).await?;
    }
    // Nodes cache nothing about tickets that did not exist.
    if !updated.is_empty() {
        raise_tickets_change_counter::<D>(organization, connection).await?;
    }
    Ok(())
}

/// Writes what changed on the media of the event. Media are taken first, so that one can go from a ticket to another.
async fn write_media<D: Dialect>(chunk: &Chunk, connection: &mut D::Connection) -> Result<(), StoreError> {
    let (given, taken) = chunk.media_changes();
    let taken: Vec<_> = taken
        .into_iter()
        .map(|medium| MediumRow::new(medium.sha256(), None))
        .collect();
    let given: Vec<_> = given
        .into_iter()
        .map(|(medium, code)| MediumRow::new(medium.sha256(), Some(code)))
        .collect();
    for (sql, rows) in [
        (D::SQL.delete_import_media, taken),
        (D::SQL.insert_import_media, given),
    ] {
        if !rows.is_empty() {
            query::<D>(sql)
                .id(chunk.event.organization_id.as_uuid())
                .id(chunk.event.id.as_uuid())
                .json(&rows)
                .execute(connection)
                .await?;
        }
    }
    Ok(())
}

async fn write_rows<D: Dialect>(
    sql: &'static str,
    organization: OrganizationId,
    rows: &[ImportRow<'_>],
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let written = query::<D>(sql)
        .id(organization.as_uuid())
        .rows(rows)
        .execute(connection)
        .await?;
    if written != rows.len() as u64 {
        return Err(StoreError::contended(format!(
            "wrote {written} of {} tickets",
            rows.len()
        )));
    }
    Ok(())
}
