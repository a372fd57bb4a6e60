//! Builds and signs the manifest of an event on the server.
//!
//! Invariant: the same facts and tickets give the same bytes, in whatever order the tickets come.

use std::collections::HashMap;
use std::time::Duration;

use crate::manifest::body::TicketRecord;
use crate::manifest::media::{MediaOwners, encode_media};
use crate::manifest::messages::encode_messages;
use crate::manifest::section::{HEADER_LENGTH, Section};
use crate::manifest::wire::{FORMAT_VERSION, MAGIC, SIGNATURE_LENGTH, Writer, encode_time};
use crate::manifest::{ManifestGate, ManifestHead, ManifestTicket};
use crate::model::{
    ClassName, CustomMessages, Event, EventStatus, Gate, GateId, GateStatus, KeyFormat, KeyStatus, Reentry,
    SigningKey, Timestamp,
};
use crate::token::Keyring;

/// The input of a manifest apart from its tickets.
#[derive(Debug, Clone, Copy)]
pub struct ManifestFacts<'a> {
    /// Rises with every change of the event, its gates, its keys and its tickets.
    pub version: u64,
    /// The server's time before it read the facts: a scan acknowledged before this is in the tickets' counts.
    pub made_at: Timestamp,
    /// The last moment at which a device may take it into use.
    pub expires_at: Timestamp,
    /// The event.
    pub event: &'a Event,
    /// Its gates.
    pub gates: &'a [Gate],
    /// The organization's keys. Of VG1 keys the manifest lists only the ids of revoked ones.
    pub keys: &'a [SigningKey],
    /// The messages that the organization replaced.
    pub messages: &'a CustomMessages,
    /// The deduplication window.
    pub dedup_window: Duration,
}

/// The error of facts that exceed a limit of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there are too many {what} for a manifest")]
pub struct ManifestTooLarge {
    /// What there is too many of.
    pub what: &'static str,
}

/// A manifest without its signature.
#[derive(Debug, Clone)]
pub struct ManifestDraft(Vec<u8>);

impl ManifestDraft {
    /// A full manifest. `tickets` must hold **every** ticket of the event, whatever its status.
    pub fn full(
        facts: &ManifestFacts<'_>,
        tickets: impl IntoIterator<Item = ManifestTicket>,
    ) -> Result<Self, ManifestTooLarge> {
        Self::write(facts, None, tickets)
    }

    /// A delta onto the version `base`. `tickets` must hold at least every ticket that changed since; the other facts
    /// are written in full. A delta without tickets whose `base` is its own version only renews the age of a manifest.
    pub fn delta(
        facts: &ManifestFacts<'_>,
        base: u64,
        tickets: impl IntoIterator<Item = ManifestTicket>,
    ) -> Result<Self, ManifestTooLarge> {
        Self::write(facts, Some(base), tickets)
    }

    fn write(
        facts: &ManifestFacts<'_>,
        base: Option<u64>,
        tickets: impl IntoIterator<Item = ManifestTicket>,
    ) -> Result<Self, ManifestTooLarge> {
        let head = head(facts, base);
        let mut tables = Tables::of(&head)?;
        let mut tickets: Vec<_> = tickets.into_iter().collect();
        // The sort is stable: of two tickets with one key, the later is kept. It comes before the tickets' classes and sets
        // of gates get numbers, so that the numbers do not depend on the order of the tickets.
        tickets.sort_by_key(|ticket| ticket.key);
        tickets.reverse();
        tickets.dedup_by_key(|ticket| ticket.key);
        let mut records = Vec::with_capacity(tickets.len());
        for ticket in tickets.iter().rev() {
            records.push(tables.record(ticket)?);
        }
        let media = facts.event.allow_media.then(|| {
            let tickets = tickets.iter();
            tickets
                .flat_map(|ticket| ticket.media.iter().map(|medium| (*medium, ticket.key)))
                .collect()
        });
        encode(&head, &tables, media.as_ref(), || records.iter().copied()).map(Self)
    }

    /// The signed bytes. `None` if the keyring is a device's and cannot sign.
    #[must_use]
    pub fn sign(mut self, keyring: &Keyring) -> Option<Vec<u8>> {
        let signature = keyring.sign_manifest(&self.0)?;
        self.0.reserve_exact(SIGNATURE_LENGTH);
        self.0.extend_from_slice(&signature);
        Some(self.0)
    }
}

fn head(facts: &ManifestFacts<'_>, base: Option<u64>) -> ManifestHead {
    let is_listed = |key: &&SigningKey| key.format == KeyFormat::Vg2 || key.status == KeyStatus::Revoked;
    ManifestHead {
        version: facts.version,
        base,
        made_at: facts.made_at,
        expires_at: facts.expires_at,
        event: facts.event.clone(),
        has_capacity: facts.event.capacity.is_some(),
        gates: facts
            .gates
            .iter()
            .map(|gate| ManifestGate {
                gate: gate.clone(),
                has_capacity: gate.capacity.is_some(),
            })
            .collect(),
        keys: facts.keys.iter().filter(is_listed).copied().collect(),
        dedup_window: facts.dedup_window,
        days: facts.event.day_begins(facts.made_at),
        messages: facts.messages.clone(),
    }
}

/// The classes and the sets of gates that ticket records refer to by number. Numbers start at 1; 0 means no class and
/// all gates.
pub(super) struct Tables {
    classes: Vec<ClassName>,
    class_numbers: HashMap<ClassName, u16>,
    /// The number of classes that are the event's own. They come first, because VG2 claims refer to them by number.
    own_classes: usize,
    gate_positions: HashMap<GateId, u16>,
    gate_sets: Vec<Vec<u16>>,
    gate_set_numbers: HashMap<Vec<u16>, u16>,
}

impl Tables {
    pub(super) fn of(head: &ManifestHead) -> Result<Self, ManifestTooLarge> {
        let mut tables = Self {
            classes: Vec::new(),
            class_numbers: HashMap::new(),
            own_classes: head.event.ticket_classes.len(),
            gate_positions: HashMap::new(),
            gate_sets: Vec::new(),
            gate_set_numbers: HashMap::new(),
        };
        for class in &head.event.ticket_classes {
            // A duplicate name still takes its number.
            tables.classes.push(class.clone());
            let number = number(tables.classes.len(), "ticket classes")?;
            tables.class_numbers.entry(class.clone()).or_insert(number);
        }
        for (position, listed) in head.gates.iter().enumerate() {
            let position = number(position, "gates")?;
            tables.gate_positions.insert(listed.gate.id, position);
        }
        for class in head
            .gates
            .iter()
            .filter_map(|listed| listed.gate.ticket_classes.as_ref())
            .flatten()
        {
            tables.class(class)?;
        }
        Ok(tables)
    }

    /// The classes, in the order of their numbers.
    pub(super) fn classes(&self) -> &[ClassName] {
        &self.classes
    }

    /// The number of a class, which is added if it is new.
    pub(super) fn class(&mut self, class: &ClassName) -> Result<u16, ManifestTooLarge> {
        if let Some(&number) = self.class_numbers.get(class) {
            return Ok(number);
        }
        self.classes.push(class.clone());
        let number = number(self.classes.len(), "ticket classes")?;
        self.class_numbers.insert(class.clone(), number);
        Ok(number)
    }

    /// The number of a set of gates, which is added if it is new.
    pub(super) fn gate_set(&mut self, gates: &[GateId]) -> Result<u16, ManifestTooLarge> {
        // A gate of another event is left out: this event's phones do not scan at it.
        let mut gate_set: Vec<u16> = gates
            .iter()
            .filter_map(|gate| self.gate_positions.get(gate))
            .copied()
            .collect();
        gate_set.sort_unstable();
        gate_set.dedup();
        if let Some(&number) = self.gate_set_numbers.get(&gate_set) {
            return Ok(number);
        }
        self.gate_sets.push(gate_set.clone());
        let number = number(self.gate_sets.len(), "sets of gates")?;
        self.gate_set_numbers.insert(gate_set, number);
        Ok(number)
    }

    fn record(&mut self, ticket: &ManifestTicket) -> Result<TicketRecord, ManifestTooLarge> {
        Ok(TicketRecord {
            key: *ticket.key.as_bytes(),
            status: ticket.status.wire_number(),
            // The API refuses an entry limit of 0, and readers treat it as malformed. A row that has one counts as 1.
            entry_limit: ticket.entry_limit.max(1),
            class: match &ticket.ticket_class {
                Some(class) => self.class(class)?,
                None => 0,
            },
            gates: match &ticket.gate_ids {
                Some(gates) => self.gate_set(gates)?,
                None => 0,
            },
            valid_from: encode_time(ticket.valid_from),
            valid_until: encode_time(ticket.valid_until),
            admissions: ticket.admissions,
            inside: ticket.inside,
            last_admission: encode_time(ticket.last_admission),
            day_admissions: ticket.day_admissions,
        })
    }
}

fn number(count: usize, what: &'static str) -> Result<u16, ManifestTooLarge> {
    u16::try_from(count).map_err(|_| ManifestTooLarge { what })
}

/// Encodes a manifest. Every call of `records` must give the same records, in the order of their keys and without
/// duplicates: each column is written in a pass of its own, so that the records need not be in memory. `media` are those of
/// the tickets, if the event lets media in.
pub(super) fn encode<I: Iterator<Item = TicketRecord>>(
    head: &ManifestHead,
    tables: &Tables,
    media: Option<&MediaOwners>,
    records: impl Fn() -> I,
) -> Result<Vec<u8>, ManifestTooLarge> {
    let with_history = || (0..).zip(records()).filter(|(_, record)| record.has_history());
    let mut to = Writer::default();
    to.bytes(&MAGIC);
    to.u8(FORMAT_VERSION);
    to.flags([head.base.is_some()]);
    to.bytes(head.event.organization_id.as_uuid().as_bytes());
    encode_head(&mut to, head)?;
    encode_tables(&mut to, head, tables)?;
    to.0.reserve_exact(
        3 * HEADER_LENGTH
            + records().count() * TicketRecord::LENGTH
            + with_history().count() * (TicketRecord::HISTORY_LENGTH + TicketRecord::DAY_LENGTH)
            + 2 * HEADER_LENGTH
            + head.days.len() * 8
            + SIGNATURE_LENGTH,
    );
    to.section(Section::TicketKeys, |to| {
        for record in records() {
            to.bytes(&record.key);
        }
        Ok(())
    })?;
    to.section(Section::TicketTerms, |to| {
        for record in records() {
            to.u8(record.status);
            to.u8(record.entry_limit);
            to.u16(record.class);
            to.u16(record.gates);
            to.i64(record.valid_from);
            to.i64(record.valid_until);
        }
        Ok(())
    })?;
    to.section(Section::TicketHistories, |to| {
        for (position, record) in with_history() {
            to.u32(position);
            to.u32(record.admissions);
            to.u16(record.inside);
            to.i64(record.last_admission);
        }
        Ok(())
    })?;
    encode_times(&mut to, &head.event)?;
    if head.event.reentry == Reentry::Daily {
        to.section(Section::Days, |to| {
            head.days.iter().for_each(|begin| to.time(*begin));
            Ok(())
        })?;
    }
    if let Some(media) = media {
        encode_media(&mut to, media, records().map(|record| record.key))?;
    }
    if head.event.reentry == Reentry::Daily {
        to.section(Section::DayAdmissions, |to| {
            with_history().for_each(|(_, record)| to.u32(record.day_admissions));
            Ok(())
        })?;
    }
    encode_messages(&mut to, &head.messages)?;
    Ok(to.0)
}

/// Encodes the doors and the new start of an event that has them.
fn encode_times(to: &mut Writer, event: &Event) -> Result<(), ManifestTooLarge> {
    if event.doors_open_at.is_some() || event.doors_close_at.is_some() {
        to.section(Section::Doors, |to| {
            to.i64(encode_time(event.doors_open_at));
            to.i64(encode_time(event.doors_close_at));
            Ok(())
        })?;
    }
    if event.status == EventStatus::Postponed
        && let Some(start) = event.rescheduled_at
    {
        to.section(Section::Rescheduled, |to| {
            to.time(start);
            Ok(())
        })?;
    }
    Ok(())
}

fn encode_head(to: &mut Writer, head: &ManifestHead) -> Result<(), ManifestTooLarge> {
    let event = &head.event;
    to.section(Section::Version, |to| {
        to.bytes(event.id.as_uuid().as_bytes());
        to.u64(head.version);
        to.u64(head.base.unwrap_or(0));
        to.time(head.made_at);
        to.time(head.expires_at);
        Ok(())
    })?;
    to.section(Section::Event, |to| {
        to.u32(u32::try_from(head.dedup_window.as_millis()).unwrap_or(u32::MAX));
        to.u8(event.status.wire_number());
        to.u8(event.reentry.wire_number());
        to.u8(event.stale_manifest.wire_number());
        to.flags([event.allow_unsigned, head.has_capacity]);
        to.u32(event.manifest_max_age_s);
        to.i64(encode_time(event.starts_at));
        to.i64(encode_time(event.ends_at));
        to.text(event.name.as_str())
    })?;
    to.section(Section::Keys, |to| {
        for key in &head.keys {
            to.u8(key.format.wire_number());
            to.u8(key.status.wire_number());
            to.flags([key.public_key.is_some()]);
            to.text(key.kid.as_str())?;
            if let Some(public_key) = &key.public_key {
                to.bytes(public_key);
            }
        }
        Ok(())
    })
}

fn encode_tables(to: &mut Writer, head: &ManifestHead, tables: &Tables) -> Result<(), ManifestTooLarge> {
    to.section(Section::Classes, |to| {
        to.count(tables.own_classes, "ticket classes")?;
        tables
            .classes
            .iter()
            .try_for_each(|class| to.text(class.as_str()))
    })?;
    to.section(Section::Gates, |to| {
        head.gates
            .iter()
            .try_for_each(|listed| encode_gate(to, listed, tables))
    })?;
    to.section(Section::GateSets, |to| {
        for gate_set in &tables.gate_sets {
            to.count(gate_set.len(), "gates")?;
            for position in gate_set {
                to.u16(*position);
            }
        }
        Ok(())
    })
}

fn encode_gate(to: &mut Writer, listed: &ManifestGate, tables: &Tables) -> Result<(), ManifestTooLarge> {
    let ManifestGate { gate, has_capacity } = listed;
    to.bytes(gate.id.as_uuid().as_bytes());
    to.flags([
        gate.status == GateStatus::Open,
        *has_capacity,
        gate.ticket_classes.is_some(),
    ]);
    to.text(gate.name.as_str())?;
    let classes = gate.ticket_classes.as_deref().unwrap_or_default();
    to.count(classes.len(), "ticket classes")?;
    for class in classes {
        to.u16(tables.class_numbers.get(class).copied().unwrap_or(0));
    }
    Ok(())
}
