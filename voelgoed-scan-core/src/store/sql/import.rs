//! How does a chunk of tickets come in? One transaction: lock, read what is there, lay the lines over it in their
//! order, write what changed. Most chunks are of tickets that nobody has seen yet: there is nothing to lock or to read.
//!
//! Invariants: a bad line changes nothing and stops nothing; a line that says what is there already writes nothing;
//! what scans wrote (ledger, scan count) is read, never written, so an import never un-scans a ticket.

use std::collections::{HashMap, HashSet};

use serde::Serialize;
use uuid::fmt::Simple;

use crate::model::{
    ClassName, Event, EventId, FieldUpdate, GateId, Ledger, OrganizationId, SettableStatus, Ticket,
    TicketCode, TicketFacts, TicketId, TicketLine, TicketListing, TicketStatus, Timestamp,
};
use crate::store::sql::change_counters::{raise_generation, raise_tickets_generation};
use crate::store::sql::columns::{Column, Columns, column};
use crate::store::sql::events::{locked_event, update_event};
use crate::store::sql::tickets::{TicketKey, fold};
use crate::store::sql::{Dialect, Sql, query, row};
use crate::store::{ImportOutcome, NumberedLine, StoreError};

/// How often a chunk is written again that another import was in the way of.
const MOST_TRIES: usize = 8;

/// As many classes as a VG2 token can number.
const MAX_CLASSES: usize = 65_535;

impl<D: Dialect> Sql<D> {
    /// Takes a chunk of an import.
    pub(crate) async fn import_chunk(
        &self,
        organization: OrganizationId,
        event: EventId,
        lines: &[NumberedLine],
        now: Timestamp,
    ) -> Result<Option<Vec<ImportOutcome>>, StoreError> {
        let lines = coded(lines);
        let mut tries = 1;
        loop {
            let mut transaction = self.write().await?;
            let Some(event) = locked_event::<D>(organization, event, &mut transaction).await? else {
                return Ok(None);
            };
            let mut chunk = load::<D>(event, &lines, now, &mut transaction).await?;
            let outcomes = lines.iter().map(|(code, line)| chunk.take(*code, line)).collect();
            match chunk.write::<D>(&mut transaction).await {
                Ok(()) => {
                    transaction.commit().await?;
                    return Ok(Some(outcomes));
                }
                // An import into another event took one of these codes or ids in between: it is known now.
                Err(StoreError::Contended { .. }) if tries < MOST_TRIES => transaction.rollback().await?,
                Err(error) => return Err(error),
            }
            tries += 1;
        }
    }
}

/// Gives the lines without a code one, so that a second try means the same tickets.
fn coded(lines: &[NumberedLine]) -> Vec<(TicketCode, &TicketLine)> {
    let code = |line: &TicketLine| line.code.unwrap_or_else(TicketCode::generate);
    lines.iter().map(|one| (code(&one.line), &one.line)).collect()
}

/// A ticket as an import sees it.
#[derive(Clone, PartialEq)]
struct Known {
    listing: TicketListing,
    admissions: u32,
    version: i64,
}

struct Chunk {
    event: Event,
    gates: HashSet<GateId>,
    now: Timestamp,
    classes: HashSet<ClassName>,
    classes_grew: bool,
    tickets: HashMap<TicketCode, Known>,
    codes: HashMap<TicketId, TicketCode>,
    /// The codes to be written, by whether they are new.
    changed: HashMap<TicketCode, bool>,
}

async fn load<D: Dialect>(
    event: Event,
    lines: &[(TicketCode, &TicketLine)],
    now: Timestamp,
    connection: &mut D::Connection,
) -> Result<Chunk, StoreError> {
    let gates = query::<D>("select id from gates where organization_id = $1 and event_id = $2")
        .id(event.organization_id.as_uuid())
        .id(event.id.as_uuid())
        .fetch_all(connection)
        .await?
        .iter()
        .map(|row| row.id("id"))
        .collect::<Result<_, _>>()?;
    let keys: Vec<_> = lines
        .iter()
        .map(|(code, line)| TicketKey::of(event.organization_id, Some(*code), line.id))
        .collect();
    let any = match D::SQL.any_ticket {
        Some(sql) => !query::<D>(sql)
            .rows(&keys)
            .fetch_all(connection)
            .await?
            .is_empty(),
        None => true,
    };
    let rows = if any {
        if let Some(sql) = D::SQL.lock_tickets {
            query::<D>(sql).json(&keys).fetch_all(connection).await?;
        }
        query::<D>(D::SQL.listings)
            .json(&keys)
            .fetch_all(connection)
            .await?
    } else {
        Vec::new()
    };
    let mut tickets = HashMap::new();
    let mut codes = HashMap::new();
    for row in rows {
        let listing = row::listing(&row)?;
        let TicketFacts { ledger, version, .. } = row::ticket(&row)?;
        codes.insert(listing.ticket.id, listing.ticket.code);
        let known = Known {
            listing,
            admissions: ledger.admissions(),
            version,
        };
        tickets.insert(known.listing.ticket.code, known);
    }
    Ok(Chunk {
        classes: event.ticket_classes.iter().cloned().collect(),
        classes_grew: false,
        event,
        gates,
        now,
        tickets,
        codes,
        changed: HashMap::new(),
    })
}

impl Chunk {
    /// Lays one line over what is there.
    fn take(&mut self, code: TicketCode, line: &TicketLine) -> ImportOutcome {
        let old = self.tickets.get(&code);
        let new = match self.checked(code, line, old) {
            Ok(new) => new,
            Err(why) => return ImportOutcome::Rejected(why),
        };
        if let Some(class) = line.ticket_class.value()
            && self.classes.insert(class.clone())
        {
            self.event.ticket_classes.push(class.clone());
            self.classes_grew = true;
        }
        let id = new.listing.ticket.id;
        match old {
            Some(old) if *old == new => return ImportOutcome::Unchanged(code, id),
            Some(_) => {}
            None => {
                self.codes.insert(id, code);
                self.tickets.insert(code, new);
                self.changed.insert(code, true);
                return ImportOutcome::Inserted(code, id);
            }
        }
        self.tickets.insert(code, new);
        self.changed.entry(code).or_insert(false);
        ImportOutcome::Updated(code, id)
    }

    /// The ticket after the line, or why the line is not taken.
    fn checked(&self, code: TicketCode, line: &TicketLine, old: Option<&Known>) -> Result<Known, String> {
        if old.is_some_and(|old| old.listing.ticket.event_id != self.event.id) {
            return Err("code: is a ticket of another event".to_owned());
        }
        if let Some(id) = line.id {
            if old.is_some_and(|old| old.listing.ticket.id != id) {
                return Err("id: is not the id of the ticket with this code".to_owned());
            }
            if self.codes.get(&id).is_some_and(|owner| *owner != code) {
                return Err("id: is the id of a ticket with another code".to_owned());
            }
        }
        if let Some(gates) = line.gate_ids.value()
            && let Some(stranger) = gates.iter().find(|gate| !self.gates.contains(gate))
        {
            return Err(format!("gate_ids: {stranger} is not a gate of this event"));
        }
        if let Some(class) = line.ticket_class.value()
            && !self.classes.contains(class)
            && self.event.ticket_classes.len() >= MAX_CLASSES
        {
            return Err(format!(
                "ticket_class: the event has {MAX_CLASSES} classes already"
            ));
        }
        let new = self.merged(code, line, old);
        let ticket = &new.listing.ticket;
        match (ticket.valid_from, ticket.valid_until) {
            (Some(from), Some(until)) if from > until => Err("valid_until: is before valid_from".to_owned()),
            _ => Ok(new),
        }
    }

    fn merged(&self, code: TicketCode, line: &TicketLine, old: Option<&Known>) -> Known {
        let line = line.clone();
        let Known {
            listing:
                TicketListing {
                    ticket,
                    holder_name,
                    order_ref,
                },
            admissions,
            version,
        } = old.cloned().unwrap_or_else(|| self.blank(code, line.id));
        let status = match line.status {
            FieldUpdate::Keep => ticket.status,
            FieldUpdate::Clear => SettableStatus::Active.with_admissions(admissions),
            FieldUpdate::Set(status) => status.with_admissions(admissions),
        };
        let entry_limit = match line.entry_limit {
            FieldUpdate::Keep => ticket.entry_limit,
            FieldUpdate::Clear => 1,
            FieldUpdate::Set(limit) => limit.get(),
        };
        Known {
            listing: TicketListing {
                ticket: Ticket {
                    status,
                    ticket_class: line.ticket_class.apply(ticket.ticket_class),
                    gate_ids: line.gate_ids.apply(ticket.gate_ids),
                    seat: line.seat.apply(ticket.seat),
                    valid_from: line.valid_from.apply(ticket.valid_from),
                    valid_until: line.valid_until.apply(ticket.valid_until),
                    entry_limit,
                    note: line.note.apply(ticket.note),
                    ..ticket
                },
                holder_name: line.holder_name.apply(holder_name),
                order_ref: line.order_ref.apply(order_ref),
            },
            admissions,
            version,
        }
    }

    fn blank(&self, code: TicketCode, id: Option<TicketId>) -> Known {
        Known {
            listing: TicketListing {
                ticket: Ticket {
                    id: id.unwrap_or_else(|| TicketId::generate(self.now)),
                    organization_id: self.event.organization_id,
                    event_id: self.event.id,
                    code,
                    status: TicketStatus::Active,
                    ticket_class: None,
                    gate_ids: None,
                    seat: None,
                    valid_from: None,
                    valid_until: None,
                    entry_limit: 1,
                    scan_count: 0,
                    note: None,
                    inserted_at: self.now,
                    updated_at: self.now,
                },
                holder_name: None,
                order_ref: None,
            },
            admissions: Ledger::default().admissions(),
            version: 0,
        }
    }

    /// Writes what changed; the database takes no code and no id twice.
    async fn write<D: Dialect>(mut self, connection: &mut D::Connection) -> Result<(), StoreError> {
        if self.changed.is_empty() {
            return Ok(());
        }
        // In one order on every node: two imports of the same codes wait for one another, not both for both.
        let mut codes: Vec<_> = self.changed.iter().collect();
        codes.sort_unstable();
        let (mut fresh, mut old) = (Vec::new(), Vec::new());
        for (code, is_new) in codes {
            let Some(known) = self.tickets.get(code) else {
                continue;
            };
            let row = ImportRow::of(known, self.now)?;
            if *is_new { fresh.push(row) } else { old.push(row) }
        }
        write_rows::<D>(D::SQL.insert_tickets, &fresh, connection).await?;
        write_rows::<D>(D::SQL.change_tickets, &old, connection).await?;
        let organization = self.event.organization_id;
        if self.classes_grew {
            self.event.updated_at = self.now;
            update_event::<D>(&self.event, connection).await?;
            raise_generation::<D>(organization, connection).await?;
        }
        // Nobody keeps anything of a ticket that was not there.
        if !old.is_empty() {
            raise_tickets_generation::<D>(organization, connection).await?;
        }
        Ok(())
    }
}

async fn write_rows<D: Dialect>(
    sql: &'static str,
    rows: &[ImportRow<'_>],
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let written = query::<D>(sql).rows(rows).execute(connection).await?;
    if written != rows.len() as u64 {
        return Err(StoreError::Contended {
            reason: format!("{written} of {} tickets were there to be written", rows.len()),
        });
    }
    Ok(())
}

#[derive(Serialize)]
struct ImportRow<'a> {
    updated_at: i64,
    o: Simple,
    i: Simple,
    e: Simple,
    code: String,
    status: &'a str,
    ticket_class: Option<&'a str>,
    gate_ids: Option<String>,
    seat: Option<String>,
    valid_from: Option<i64>,
    valid_until: Option<i64>,
    entry_limit: i64,
    version: i64,
    note: Option<&'a str>,
    holder_name: Option<&'a str>,
    holder_folded: Option<String>,
    order_ref: Option<&'a str>,
    order_folded: Option<String>,
}

impl Columns for ImportRow<'_> {
    fn columns(rows: &[Self]) -> Vec<Column<'_>> {
        vec![
            column!(Int, rows, row => row.updated_at),
            column!(Id, rows, row => row.o.into_uuid()),
            column!(Id, rows, row => row.i.into_uuid()),
            column!(Id, rows, row => row.e.into_uuid()),
            column!(Text, rows, row => row.code.as_str()),
            column!(Text, rows, row => row.status),
            column!(MaybeText, rows, row => row.ticket_class),
            column!(MaybeText, rows, row => row.gate_ids.as_deref()),
            column!(MaybeText, rows, row => row.seat.as_deref()),
            column!(MaybeInt, rows, row => row.valid_from),
            column!(MaybeInt, rows, row => row.valid_until),
            column!(Int, rows, row => row.entry_limit),
            column!(Int, rows, row => row.version),
            column!(MaybeText, rows, row => row.note),
            column!(MaybeText, rows, row => row.holder_name),
            column!(MaybeText, rows, row => row.holder_folded.as_deref()),
            column!(MaybeText, rows, row => row.order_ref),
            column!(MaybeText, rows, row => row.order_folded.as_deref()),
        ]
    }
}

impl<'a> ImportRow<'a> {
    fn of(known: &'a Known, now: Timestamp) -> Result<Self, StoreError> {
        let TicketListing {
            ticket,
            holder_name,
            order_ref,
        } = &known.listing;
        let holder_name = holder_name.as_ref().map(crate::model::HolderName::as_str);
        let order_ref = order_ref.as_ref().map(crate::model::OrderRef::as_str);
        Ok(Self {
            updated_at: now.as_millis(),
            o: ticket.organization_id.as_uuid().simple(),
            i: ticket.id.as_uuid().simple(),
            e: ticket.event_id.as_uuid().simple(),
            code: ticket.code.to_string(),
            status: ticket.status.as_str(),
            ticket_class: ticket.ticket_class.as_ref().map(ClassName::as_str),
            gate_ids: ticket.gate_ids.as_ref().map(json).transpose()?,
            seat: ticket.seat.as_ref().map(json).transpose()?,
            valid_from: ticket.valid_from.map(Timestamp::as_millis),
            valid_until: ticket.valid_until.map(Timestamp::as_millis),
            entry_limit: i64::from(ticket.entry_limit),
            version: known.version + 1,
            note: ticket.note.as_ref().map(crate::model::Note::as_str),
            holder_name,
            holder_folded: holder_name.map(fold),
            order_ref,
            order_folded: order_ref.map(fold),
        })
    }
}

fn json<T: Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Failed {
        reason: error.to_string(),
    })
}
