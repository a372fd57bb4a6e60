//! How does a server write a manifest? Facts and tickets in, canonical bytes out: the same facts give the same bytes,
//! in whatever order the tickets come.

use std::collections::HashMap;
use std::time::Duration;

use crate::manifest::body::Record;
use crate::manifest::wire::{FORM, MAGIC, SIGNATURE, Writer, opt_millis};
use crate::manifest::{ManifestGate, ManifestHead, ManifestTicket};
use crate::model::{
    ClassName, Event, EventStatus, Gate, GateId, KeyFormat, KeyStatus, Reentry, SigningKey, StaleManifest,
    TicketStatus, Timestamp,
};
use crate::token::Keyring;

/// What a manifest is made of beside its tickets.
#[derive(Debug, Clone, Copy)]
pub struct ManifestFacts<'a> {
    /// Rises with every change of the event, its gates, its keys and its tickets.
    pub version: u64,
    /// When reading began: a scan acknowledged before this is in the tickets' counts.
    pub made_at: Timestamp,
    /// The last moment at which a device may take it into use.
    pub expires_at: Timestamp,
    /// The event.
    pub event: &'a Event,
    /// Its gates.
    pub gates: &'a [Gate],
    /// The organization's keys; of VG1 only the revoked ones are told, by name.
    pub keys: &'a [SigningKey],
    /// The deduplication window.
    pub dedup_window: Duration,
}

/// More of something than a manifest has room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there are too many {what} for a manifest")]
pub struct ManifestTooLarge {
    /// Of what.
    pub what: &'static str,
}

/// A manifest that is not signed yet.
#[derive(Debug, Clone)]
pub struct ManifestDraft(Vec<u8>);

impl ManifestDraft {
    /// All of an event: **every** ticket, whatever its status.
    pub fn full(
        facts: &ManifestFacts<'_>,
        tickets: impl IntoIterator<Item = ManifestTicket>,
    ) -> Result<Self, ManifestTooLarge> {
        Self::write(facts, None, tickets)
    }

    /// What changed since the version `base`: at least every ticket that did, and the rest of the facts whole. Without
    /// any ticket and with its own version as `base` it makes a manifest young again.
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
        let mut records = Vec::new();
        for ticket in tickets {
            records.push(tables.record(&ticket)?);
        }
        // Stable: of one ticket given twice the later counts.
        records.sort_by_key(|record: &Record| record.key);
        records.reverse();
        records.dedup_by_key(|record| record.key);
        records.reverse();
        encode(&head, &tables, &records).map(Self)
    }

    /// The manifest itself, signed; nothing where the keyring is a device's.
    #[must_use]
    pub fn sign(mut self, keyring: &Keyring) -> Option<Vec<u8>> {
        let signature = keyring.sign_manifest(&self.0)?;
        self.0.reserve_exact(SIGNATURE);
        self.0.extend_from_slice(&signature);
        Some(self.0)
    }
}

fn head(facts: &ManifestFacts<'_>, base: Option<u64>) -> ManifestHead {
    let told = |key: &&SigningKey| key.format == KeyFormat::Vg2 || key.status == KeyStatus::Revoked;
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
        keys: facts.keys.iter().filter(told).copied().collect(),
        dedup_window: facts.dedup_window,
    }
}

/// What tickets name by number: classes and sets of gates. Numbers count from 1; 0 is none and all.
pub(super) struct Tables {
    classes: Vec<ClassName>,
    class_numbers: HashMap<ClassName, u16>,
    /// How many of the classes are the event's own, which VG2 claims name by their numbers.
    own: usize,
    gate_places: HashMap<GateId, u16>,
    sets: Vec<Vec<u16>>,
    set_numbers: HashMap<Vec<u16>, u16>,
}

impl Tables {
    pub(super) fn of(head: &ManifestHead) -> Result<Self, ManifestTooLarge> {
        let mut tables = Self {
            classes: Vec::new(),
            class_numbers: HashMap::new(),
            own: head.event.ticket_classes.len(),
            gate_places: HashMap::new(),
            sets: Vec::new(),
            set_numbers: HashMap::new(),
        };
        for class in &head.event.ticket_classes {
            // By number, even should a name stand twice.
            tables.classes.push(class.clone());
            let number = number(tables.classes.len(), "ticket classes")?;
            tables.class_numbers.entry(class.clone()).or_insert(number);
        }
        for (place, one) in head.gates.iter().enumerate() {
            let place = number(place, "gates")?;
            tables.gate_places.insert(one.gate.id, place);
        }
        for class in head
            .gates
            .iter()
            .filter_map(|one| one.gate.ticket_classes.as_ref())
        {
            for class in class {
                tables.class(class)?;
            }
        }
        Ok(tables)
    }

    pub(super) fn class(&mut self, class: &ClassName) -> Result<u16, ManifestTooLarge> {
        if let Some(&number) = self.class_numbers.get(class) {
            return Ok(number);
        }
        self.classes.push(class.clone());
        let number = number(self.classes.len(), "ticket classes")?;
        self.class_numbers.insert(class.clone(), number);
        Ok(number)
    }

    pub(super) fn set(&mut self, gates: &[GateId]) -> Result<u16, ManifestTooLarge> {
        // A gate of another event lets nobody in here anyway.
        let mut set: Vec<u16> = gates
            .iter()
            .filter_map(|gate| self.gate_places.get(gate))
            .copied()
            .collect();
        set.sort_unstable();
        set.dedup();
        if let Some(&number) = self.set_numbers.get(&set) {
            return Ok(number);
        }
        self.sets.push(set.clone());
        let number = number(self.sets.len(), "sets of gates")?;
        self.set_numbers.insert(set, number);
        Ok(number)
    }

    fn record(&mut self, ticket: &ManifestTicket) -> Result<Record, ManifestTooLarge> {
        Ok(Record {
            key: *ticket.key.as_bytes(),
            status: ticket.status,
            // A ticket that lets nobody in does not exist; should a row say so, it lets in one.
            entry_limit: ticket.entry_limit.max(1),
            class: match &ticket.ticket_class {
                Some(class) => self.class(class)?,
                None => 0,
            },
            gates: match &ticket.gate_ids {
                Some(gates) => self.set(gates)?,
                None => 0,
            },
            valid_from: opt_millis(ticket.valid_from),
            valid_until: opt_millis(ticket.valid_until),
            admissions: ticket.admissions,
            inside: ticket.inside,
            last_admission: opt_millis(ticket.last_admission),
        })
    }
}

fn number(count: usize, what: &'static str) -> Result<u16, ManifestTooLarge> {
    u16::try_from(count).map_err(|_| ManifestTooLarge { what })
}

/// Writes a manifest whose records are in the order of their keys, none twice.
pub(super) fn encode(
    head: &ManifestHead,
    tables: &Tables,
    records: &[Record],
) -> Result<Vec<u8>, ManifestTooLarge> {
    let seen = || (0..).zip(records).filter(|(_, record)| record.has_history());
    let histories = seen().count();
    let mut to = Writer(Vec::with_capacity(
        records.len() * Record::PLAIN + histories * Record::HISTORY + 4096,
    ));
    encode_head(&mut to, head)?;
    encode_tables(&mut to, head, tables)?;
    let count = u32::try_from(records.len()).map_err(|_| ManifestTooLarge { what: "tickets" })?;
    to.u32(count);
    for record in records {
        to.bytes(&record.key);
    }
    for record in records {
        to.word(&record.status, TicketStatus::ALL)?;
        to.u8(record.entry_limit);
        to.u16(record.class);
        to.u16(record.gates);
        to.i64(record.valid_from);
        to.i64(record.valid_until);
    }
    to.u32(u32::try_from(histories).map_err(|_| ManifestTooLarge { what: "tickets" })?);
    for (place, record) in seen() {
        to.u32(place);
        to.u32(record.admissions);
        to.u16(record.inside);
        to.i64(record.last_admission);
    }
    to.0.shrink_to_fit();
    Ok(to.0)
}

fn encode_head(to: &mut Writer, head: &ManifestHead) -> Result<(), ManifestTooLarge> {
    let event = &head.event;
    to.bytes(&MAGIC);
    to.u8(FORM);
    to.flags([head.base.is_some()]);
    to.bytes(event.organization_id.as_uuid().as_bytes());
    to.bytes(event.id.as_uuid().as_bytes());
    to.u64(head.version);
    to.u64(head.base.unwrap_or(0));
    to.time(head.made_at);
    to.time(head.expires_at);
    to.u32(u32::try_from(head.dedup_window.as_millis()).unwrap_or(u32::MAX));
    to.word(&event.status, EventStatus::ALL)?;
    to.word(&event.reentry, Reentry::ALL)?;
    to.word(&event.stale_manifest, StaleManifest::ALL)?;
    to.flags([event.allow_unsigned, head.has_capacity]);
    to.u32(event.manifest_max_age_s);
    to.i64(opt_millis(event.starts_at));
    to.i64(opt_millis(event.ends_at));
    to.text(event.name.as_str())?;
    to.count(head.keys.len(), "keys")?;
    for key in &head.keys {
        to.word(&key.format, KeyFormat::ALL)?;
        to.word(&key.status, KeyStatus::ALL)?;
        to.flags([key.public_key.is_some()]);
        to.text(key.kid.as_str())?;
        if let Some(public_key) = &key.public_key {
            to.bytes(public_key);
        }
    }
    Ok(())
}

fn encode_tables(to: &mut Writer, head: &ManifestHead, tables: &Tables) -> Result<(), ManifestTooLarge> {
    to.count(tables.own, "ticket classes")?;
    to.count(tables.classes.len(), "ticket classes")?;
    for class in &tables.classes {
        to.text(class.as_str())?;
    }
    to.count(head.gates.len(), "gates")?;
    for ManifestGate { gate, has_capacity } in &head.gates {
        to.bytes(gate.id.as_uuid().as_bytes());
        to.flags([
            gate.status == crate::model::GateStatus::Open,
            *has_capacity,
            gate.ticket_classes.is_some(),
        ]);
        to.text(gate.name.as_str())?;
        let classes = gate.ticket_classes.as_deref().unwrap_or_default();
        to.count(classes.len(), "ticket classes")?;
        for class in classes {
            to.u16(tables.class_numbers.get(class).copied().unwrap_or(0));
        }
    }
    to.count(tables.sets.len(), "sets of gates")?;
    for set in &tables.sets {
        to.count(set.len(), "gates")?;
        for place in set {
            to.u16(*place);
        }
    }
    Ok(())
}
