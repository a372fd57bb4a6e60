//! The tickets of a chunk in memory, to which the lines are applied one after the other.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::model::{
    ClassName, Event, FieldUpdate, GateId, ImportStatus, Ledger, Media, Medium, Ticket, TicketCode, TicketId,
    TicketLine, TicketListing, TicketStatus, Timestamp,
};
use crate::store::ImportOutcome;

/// The maximum number of ticket classes of an event: a VG2 token holds the class in 16 bits.
const MAX_CLASSES: usize = 65_535;

/// A ticket as an import reads and writes it.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct ImportedTicket {
    pub(super) listing: TicketListing,
    pub(super) admissions: u32,
    pub(super) version: i64,
}

/// The state of a chunk.
pub(super) struct Chunk {
    pub(super) event: Event,
    pub(super) gates: HashSet<GateId>,
    pub(super) now: Timestamp,
    /// The ticket classes of the event.
    pub(super) classes: HashSet<ClassName>,
    pub(super) classes_added: bool,
    pub(super) tickets: HashMap<TicketCode, ImportedTicket>,
    /// The codes of the tickets, by ticket id.
    pub(super) codes: HashMap<TicketId, TicketCode>,
    /// The codes of the tickets to be written, and whether each is new.
    pub(super) changed: HashMap<TicketCode, bool>,
    /// The entry limits that existing tickets had before, where lines changed them.
    pub(super) former_limits: HashMap<TicketId, u8>,
    /// The codes of the tickets of this event that have the media of the lines.
    pub(super) media_owners: HashMap<Medium, TicketCode>,
    /// The media that tickets had before, where lines changed them.
    pub(super) former_media: HashMap<TicketCode, Media>,
    /// How many lines changed each field of an existing ticket.
    pub(super) updated_fields: BTreeMap<&'static str, u64>,
}

impl Chunk {
    /// Adds a ticket as it was before the lines.
    pub(super) fn add_existing(&mut self, ticket: ImportedTicket) {
        let Ticket { id, code, .. } = ticket.listing.ticket;
        self.codes.insert(id, code);
        self.tickets.insert(code, ticket);
    }

    /// Applies one line. A line without a code changes the ticket that has one of its media. If no ticket has one, the line
    /// makes a ticket with `new_code`.
    pub(super) fn apply_line(&mut self, new_code: TicketCode, line: &TicketLine) -> ImportOutcome {
        let code = line
            .code
            .or_else(|| {
                let mut media = line.media.value()?.iter();
                media.find_map(|medium| self.media_owners.get(medium).copied())
            })
            .unwrap_or(new_code);
        let existing = self.tickets.get(&code);
        let new = match self.checked(code, line, existing) {
            Ok(new) => new,
            Err(why) => return ImportOutcome::Rejected(why),
        };
        if let Some(class) = line.ticket_class.value()
            && self.classes.insert(class.clone())
        {
            self.event.ticket_classes.push(class.clone());
            self.classes_added = true;
        }
        let id = new.listing.ticket.id;
        let former_media = existing.map(|existing| existing.listing.media.clone().unwrap_or_default());
        match existing {
            Some(existing) if *existing == new => return ImportOutcome::Unchanged(code, id),
            Some(existing) => {
                for field in changed_fields(&existing.listing, &new.listing) {
                    *self.updated_fields.entry(field).or_default() += 1;
                }
                let former = existing.listing.ticket.entry_limit;
                if former != new.listing.ticket.entry_limit && self.changed.get(&code) != Some(&true) {
                    self.former_limits.entry(id).or_insert(former);
                }
            }
            None => {
                self.codes.insert(id, code);
                self.give_media(code, Media::default(), &new);
                self.tickets.insert(code, new);
                self.changed.insert(code, true);
                return ImportOutcome::Inserted(code, id);
            }
        }
        self.give_media(code, former_media.unwrap_or_default(), &new);
        self.tickets.insert(code, new);
        self.changed.entry(code).or_insert(false);
        ImportOutcome::Updated(code, id)
    }

    /// Notes whose media are whose after a line.
    fn give_media(&mut self, code: TicketCode, former: Media, new: &ImportedTicket) {
        let present = new.listing.media.as_ref();
        if present.is_none_or(|present| *present == former) {
            return;
        }
        for medium in &former {
            self.media_owners.remove(medium);
        }
        for medium in present.into_iter().flatten() {
            self.media_owners.insert(medium.clone(), code);
        }
        self.former_media.entry(code).or_insert(former);
    }

    /// The media that tickets get, with their codes, and the media that they lose.
    pub(super) fn media_changes(&self) -> (Vec<(&Medium, TicketCode)>, Vec<&Medium>) {
        let (mut given, mut taken) = (Vec::new(), Vec::new());
        for (code, former) in &self.former_media {
            let ticket = self.tickets.get(code);
            let present = ticket.and_then(|ticket| ticket.listing.media.as_ref());
            let has = |medium: &Medium| present.is_some_and(|present| present.contains(medium));
            taken.extend(former.iter().filter(|medium| !has(medium)));
            let new = present.into_iter().flatten();
            given.extend(
                new.filter(|medium| !former.contains(medium))
                    .map(|medium| (medium, *code)),
            );
        }
        (given, taken)
    }

    /// The ticket after the line, or why the line is rejected.
    fn checked(
        &self,
        code: TicketCode,
        line: &TicketLine,
        existing: Option<&ImportedTicket>,
    ) -> Result<ImportedTicket, String> {
        if existing.is_some_and(|existing| existing.listing.ticket.event_id != self.event.id) {
            return Err("code: is a ticket of another event".to_owned());
        }
        if let Some(id) = line.id {
            if existing.is_some_and(|existing| existing.listing.ticket.id != id) {
                return Err("id: is not the id of the ticket with this code".to_owned());
            }
            if self.codes.get(&id).is_some_and(|owner| *owner != code) {
                return Err("id: is the id of a ticket with another code".to_owned());
            }
        }
        if let Some(gates) = line.gate_ids.value()
            && let Some(unknown) = gates.iter().find(|gate| !self.gates.contains(gate))
        {
            return Err(format!("gate_ids: {unknown} is not a gate of this event"));
        }
        if let Some(class) = line.ticket_class.value()
            && !self.classes.contains(class)
            && self.event.ticket_classes.len() >= MAX_CLASSES
        {
            return Err(format!(
                "ticket_class: the event has {MAX_CLASSES} classes already"
            ));
        }
        let mut media = line.media.value().into_iter().flatten();
        if media.any(|medium| self.media_owners.get(medium).is_some_and(|owner| *owner != code)) {
            return Err("media: is a medium of another ticket".to_owned());
        }
        let new = self.merged(code, line, existing);
        let ticket = &new.listing.ticket;
        match (ticket.valid_from, ticket.valid_until) {
            (Some(from), Some(until)) if from > until => Err("valid_until: is before valid_from".to_owned()),
            _ => Ok(new),
        }
    }

    /// The line applied to its existing ticket, or to a new one.
    fn merged(
        &self,
        code: TicketCode,
        line: &TicketLine,
        existing: Option<&ImportedTicket>,
    ) -> ImportedTicket {
        let line = line.clone();
        let ImportedTicket {
            listing:
                TicketListing {
                    ticket,
                    holder_name,
                    order_ref,
                    media,
                },
            admissions,
            version,
        } = existing
            .cloned()
            .unwrap_or_else(|| self.new_ticket(code, line.id));
        let status = match line.status {
            FieldUpdate::Keep => ticket.status,
            FieldUpdate::Clear => ImportStatus::Active.applied_to(ticket.status, admissions),
            FieldUpdate::Set(status) => status.applied_to(ticket.status, admissions),
        };
        let entry_limit = match line.entry_limit {
            FieldUpdate::Keep => ticket.entry_limit,
            FieldUpdate::Clear => 1,
            FieldUpdate::Set(limit) => limit.get(),
        };
        ImportedTicket {
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
                media: Some(media.unwrap_or_default().updated(line.media)),
            },
            admissions,
            version,
        }
    }

    /// A ticket with the defaults of an import.
    fn new_ticket(&self, code: TicketCode, id: Option<TicketId>) -> ImportedTicket {
        ImportedTicket {
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
                media: Some(Media::default()),
            },
            admissions: Ledger::default().admissions(),
            version: 0,
        }
    }
}

/// The names of the fields that differ, as an import line has them.
fn changed_fields(old: &TicketListing, new: &TicketListing) -> impl Iterator<Item = &'static str> {
    let (before, after) = (&old.ticket, &new.ticket);
    [
        ("status", before.status != after.status),
        ("ticket_class", before.ticket_class != after.ticket_class),
        ("gate_ids", before.gate_ids != after.gate_ids),
        ("seat", before.seat != after.seat),
        ("valid_from", before.valid_from != after.valid_from),
        ("valid_until", before.valid_until != after.valid_until),
        ("entry_limit", before.entry_limit != after.entry_limit),
        ("note", before.note != after.note),
        ("holder_name", old.holder_name != new.holder_name),
        ("order_ref", old.order_ref != new.order_ref),
        ("media", old.media != new.media),
    ]
    .into_iter()
    .filter_map(|(field, differs)| differs.then_some(field))
}
