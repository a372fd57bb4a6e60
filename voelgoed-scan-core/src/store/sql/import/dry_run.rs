//! Dry runs: what the lines of an import would do.
//!
//! Invariants: a dry run locks and writes nothing in the database. Its tickets are kept in a scratch database, so that a line
//! finds what the lines of earlier chunks would have written.

use std::collections::HashMap;

use super::chunk::Chunk;
use super::scratch::Scratch;
use super::{chunk_of, lookups, media_owners, read_tickets, with_codes};
use crate::model::{Event, EventId, Medium, OrganizationId, TicketCode, TicketLine, Timestamp};
use crate::store::sql::events::find_event;
use crate::store::sql::{Dialect, Sql};
use crate::store::{ImportDryRun, ImportOutcome, NumberedLine, StoreError};

/// How many lines read the database at once.
const LINES_PER_READ: usize = 500;

impl<D: Dialect> Sql<D> {
    /// Returns the outcome that each line would have, or `None` if the event does not exist.
    pub(crate) async fn dry_run_lines(
        &self,
        organization: OrganizationId,
        event: EventId,
        lines: &[NumberedLine],
        now: Timestamp,
        dry_run: &mut ImportDryRun,
    ) -> Result<Option<Vec<ImportOutcome>>, StoreError> {
        let mut outcomes = Vec::with_capacity(lines.len());
        for lines in lines.chunks(LINES_PER_READ) {
            let lines = with_codes(lines);
            let (mut chunk, stored_classes) = {
                let (_permit, mut connection) = self.read_bulk(organization).await?;
                let Some(event) = find_event::<D>(organization, event, &mut connection).await? else {
                    return Ok(None);
                };
                let stored_classes = event.ticket_classes.len();
                let chunk = load::<D>(event, &lines, now, dry_run, &mut connection).await?;
                (chunk, stored_classes)
            };
            let of_lines = lines.iter().map(|(code, line)| chunk.apply_line(*code, line));
            outcomes.extend(of_lines);
            dry_run.new_classes = chunk.event.ticket_classes.split_off(stored_classes);
            keep(&chunk, dry_run).await?;
        }
        Ok(Some(outcomes))
    }
}

/// Reads the tickets that the lines name, as the earlier chunks of the dry run would have left them.
async fn load<D: Dialect>(
    mut event: Event,
    lines: &[(TicketCode, &TicketLine)],
    now: Timestamp,
    dry_run: &mut ImportDryRun,
    connection: &mut D::Connection,
) -> Result<Chunk, StoreError> {
    for class in &dry_run.new_classes {
        if !event.ticket_classes.contains(class) {
            event.ticket_classes.push(class.clone());
        }
    }
    let stored_owners = media_owners::<D>(&event, lines, connection).await?;
    let stored =
        read_tickets::<D>(event.organization_id, &lookups(lines, &stored_owners), connection).await?;
    let mut chunk = chunk_of::<D>(event, stored, stored_owners, now, connection).await?;
    let Some(scratch) = &mut dry_run.scratch else {
        return Ok(chunk);
    };
    let named: Vec<_> = lines
        .iter()
        .filter_map(|(_, line)| line.media.value())
        .flatten()
        .collect();
    for (medium, owner) in scratch.owners(&named).await? {
        match owner {
            Some(code) => chunk.media_owners.insert(medium, code),
            None => chunk.media_owners.remove(&medium),
        };
    }
    let ids: Vec<_> = lines.iter().filter_map(|(_, line)| line.id).collect();
    chunk.codes.extend(scratch.codes(&ids).await?);
    let codes = lines
        .iter()
        .map(|(code, _)| *code)
        .chain(chunk.media_owners.values().copied());
    for ticket in scratch.tickets(codes.collect()).await? {
        chunk.add_existing(ticket);
    }
    Ok(chunk)
}

/// Keeps what the chunk would have written for the next ones.
async fn keep(chunk: &Chunk, dry_run: &mut ImportDryRun) -> Result<(), StoreError> {
    for (field, count) in &chunk.updated_fields {
        *dry_run.updated_fields.entry(field).or_default() += count;
    }
    if chunk.changed.is_empty() {
        return Ok(());
    }
    let scratch = match &mut dry_run.scratch {
        Some(scratch) => scratch,
        None => dry_run.scratch.insert(Scratch::open().await?),
    };
    let changed = chunk.changed.keys().filter_map(|code| chunk.tickets.get(code));
    let (given, taken) = chunk.media_changes();
    let mut owners: HashMap<&Medium, Option<TicketCode>> =
        taken.into_iter().map(|medium| (medium, None)).collect();
    owners.extend(given.into_iter().map(|(medium, code)| (medium, Some(code))));
    scratch.write(changed, &owners).await
}
