//! What do the bytes of a manifest say? Head and tables are read once; tickets stay the bytes that they are.

use std::num::NonZeroU8;
use std::time::Duration;

use uuid::Uuid;

use crate::manifest::wire::{FORM, MAGIC, Reader, opt_time};
use crate::manifest::{ManifestError, ManifestGate, ManifestHead, ManifestTicket, TicketKey};
use crate::model::{
    ClassName, Event, EventId, EventStatus, Gate, GateId, GateStatus, KeyFormat, KeyStatus, OrganizationId,
    Reentry, SigningKey, StaleManifest, TicketStatus, Timestamp,
};

/// A ticket as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) key: [u8; 16],
    pub(super) status: TicketStatus,
    pub(super) entry_limit: u8,
    /// Number of the class, 0 for none.
    pub(super) class: u16,
    /// Number of the set of gates, 0 for all.
    pub(super) gates: u16,
    pub(super) valid_from: i64,
    pub(super) valid_until: i64,
    pub(super) admissions: u32,
    pub(super) inside: u16,
    pub(super) last_admission: i64,
}

impl Record {
    const KEY: usize = 16;
    const TERMS: usize = 22;
    /// Bytes of a ticket that was never scanned.
    pub(super) const PLAIN: usize = Self::KEY + Self::TERMS;
    /// Bytes more of one that was.
    pub(super) const HISTORY: usize = 18;

    pub(super) fn has_history(&self) -> bool {
        self.admissions != 0 || self.inside != 0 || opt_time(self.last_admission).is_some()
    }
}

/// A manifest or delta that was read.
#[derive(Debug, Clone)]
pub(super) struct Body {
    bytes: Vec<u8>,
    pub(super) head: ManifestHead,
    pub(super) classes: Vec<ClassName>,
    pub(super) sets: Vec<Vec<GateId>>,
    tickets: usize,
    histories: usize,
    /// Where the keys begin; the terms follow, then the number of histories, then the histories.
    keys_at: usize,
}

impl Body {
    /// Whose manifest the bytes claim to be, before anything of them may be believed.
    pub(super) fn claimed_organization(bytes: &[u8]) -> Result<OrganizationId, ManifestError> {
        let mut from = Reader::new(bytes);
        if from.array()? != MAGIC {
            return Err(ManifestError::Malformed);
        }
        from.array::<2>()?;
        from.array()
            .map(|id| OrganizationId::from_uuid(Uuid::from_bytes(id)))
    }

    /// Reads a manifest without its signature.
    pub(super) fn read(bytes: Vec<u8>) -> Result<Self, ManifestError> {
        let mut from = Reader::new(&bytes);
        let mut head = read_head(&mut from)?;
        let (classes, sets) = read_tables(&mut from, &mut head)?;
        let tickets = usize::try_from(from.u32()?).map_err(|_| ManifestError::Malformed)?;
        let keys_at = bytes.len() - from.left();
        let length = |each: usize| tickets.checked_mul(each).ok_or(ManifestError::Malformed);
        let keys = from.slice(length(Record::KEY)?)?;
        let terms = from.slice(length(Record::TERMS)?)?;
        let histories = usize::try_from(from.u32()?).map_err(|_| ManifestError::Malformed)?;
        let length = histories
            .checked_mul(Record::HISTORY)
            .ok_or(ManifestError::Malformed)?;
        let seen = from.slice(length)?;
        if from.left() != 0 || !keys_ascend(keys) || !histories_ascend(seen, tickets) {
            return Err(ManifestError::Malformed);
        }
        for terms in terms.as_chunks::<{ Record::TERMS }>().0 {
            let [
                status,
                entry_limit,
                class_high,
                class_low,
                gates_high,
                gates_low,
                ..,
            ] = *terms;
            let class = usize::from(u16::from_be_bytes([class_high, class_low]));
            let gates = usize::from(u16::from_be_bytes([gates_high, gates_low]));
            let known = usize::from(status) < TicketStatus::ALL.len();
            if !known || entry_limit == 0 || class > classes.len() || gates > sets.len() {
                return Err(ManifestError::Malformed);
            }
        }
        Ok(Self {
            bytes,
            head,
            classes,
            sets,
            tickets,
            histories,
            keys_at,
        })
    }

    /// How many tickets there are.
    pub(super) const fn len(&self) -> usize {
        self.tickets
    }

    /// How many bytes it takes in memory, small things aside.
    pub(super) const fn size(&self) -> usize {
        self.bytes.capacity()
    }

    fn keys(&self) -> &[[u8; Record::KEY]] {
        let keys = self.bytes.get(self.keys_at..).unwrap_or_default();
        keys.as_chunks().0.get(..self.tickets).unwrap_or_default()
    }

    fn terms(&self) -> &[[u8; Record::TERMS]] {
        let at = self.keys_at + self.tickets * Record::KEY;
        let terms = self.bytes.get(at..).unwrap_or_default();
        terms.as_chunks().0.get(..self.tickets).unwrap_or_default()
    }

    fn seen(&self) -> &[[u8; Record::HISTORY]] {
        let at = self.keys_at + self.tickets * Record::PLAIN + 4;
        let seen = self.bytes.get(at..).unwrap_or_default();
        seen.as_chunks().0.get(..self.histories).unwrap_or_default()
    }

    /// The ticket of that key.
    pub(super) fn find(&self, key: TicketKey) -> Option<ManifestTicket> {
        let place = self.keys().binary_search(key.as_bytes()).ok()?;
        let history = self
            .seen()
            .binary_search_by_key(&Some(place), history_place)
            .ok()
            .and_then(|at| self.seen().get(at));
        let record = record(key.as_bytes(), self.terms().get(place)?, history)?;
        Some(self.ticket(&record))
    }

    /// All tickets as they are written, in the order of their keys.
    pub(super) fn records(&self) -> impl Iterator<Item = Record> + '_ {
        let mut seen = self.seen().iter().peekable();
        (0..)
            .zip(self.keys().iter().zip(self.terms()))
            .filter_map(move |(place, (key, terms))| {
                let history = seen.next_if(|history| history_place(history) == Some(place));
                record(key, terms, history)
            })
    }

    /// A ticket in the words of the core.
    pub(super) fn ticket(&self, record: &Record) -> ManifestTicket {
        ManifestTicket {
            key: TicketKey::from_bytes(record.key),
            status: record.status,
            ticket_class: numbered(&self.classes, record.class).cloned(),
            gate_ids: numbered(&self.sets, record.gates).cloned(),
            valid_from: opt_time(record.valid_from),
            valid_until: opt_time(record.valid_until),
            entry_limit: record.entry_limit,
            admissions: record.admissions,
            inside: record.inside,
            last_admission: opt_time(record.last_admission),
        }
    }
}

/// The thing of that number, counted from 1.
pub(super) fn numbered<T>(things: &[T], number: u16) -> Option<&T> {
    things.get(usize::from(number).checked_sub(1)?)
}

fn keys_ascend(keys: &[u8]) -> bool {
    keys.as_chunks::<{ Record::KEY }>()
        .0
        .windows(2)
        .all(|pair| matches!(pair, [one, next] if one < next))
}

fn histories_ascend(seen: &[u8], tickets: usize) -> bool {
    let places = seen
        .as_chunks::<{ Record::HISTORY }>()
        .0
        .iter()
        .map(history_place);
    let mut last = None;
    places.into_iter().all(|place| {
        let ascends = place > last && place.is_some_and(|place| place < tickets);
        last = place;
        ascends
    })
}

fn history_place(history: &[u8; Record::HISTORY]) -> Option<usize> {
    let [a, b, c, d, ..] = *history;
    usize::try_from(u32::from_be_bytes([a, b, c, d])).ok()
}

fn record(
    key: &[u8; Record::KEY],
    terms: &[u8; Record::TERMS],
    history: Option<&[u8; Record::HISTORY]>,
) -> Option<Record> {
    let mut from = Reader::new(terms);
    let mut record = Record {
        key: *key,
        status: from.word(TicketStatus::ALL).ok()?,
        entry_limit: from.u8().ok()?,
        class: from.u16().ok()?,
        gates: from.u16().ok()?,
        valid_from: from.i64().ok()?,
        valid_until: from.i64().ok()?,
        admissions: 0,
        inside: 0,
        last_admission: crate::manifest::wire::opt_millis(None),
    };
    if let Some(history) = history {
        let mut from = Reader::new(history);
        from.u32().ok()?;
        record.admissions = from.u32().ok()?;
        record.inside = from.u16().ok()?;
        record.last_admission = from.i64().ok()?;
    }
    // What was checked when the bytes were read.
    NonZeroU8::new(record.entry_limit)?;
    Some(record)
}

fn read_head(from: &mut Reader<'_>) -> Result<ManifestHead, ManifestError> {
    if from.array()? != MAGIC {
        return Err(ManifestError::Malformed);
    }
    let format = from.u8()?;
    if format != FORM {
        return Err(ManifestError::UnknownForm { format });
    }
    let [is_delta] = from.flags()?;
    let organization_id = OrganizationId::from_uuid(Uuid::from_bytes(from.array()?));
    let id = EventId::from_uuid(Uuid::from_bytes(from.array()?));
    let version = from.u64()?;
    let base = from.u64()?;
    let made_at = from.time()?;
    let expires_at = from.time()?;
    let dedup_window = Duration::from_millis(from.u32()?.into());
    let status = from.word(EventStatus::ALL)?;
    let reentry = from.word(Reentry::ALL)?;
    let stale_manifest = from.word(StaleManifest::ALL)?;
    let [allow_unsigned, has_capacity] = from.flags()?;
    let event = Event {
        id,
        organization_id,
        status,
        capacity: None,
        reentry,
        allow_unsigned,
        ticket_classes: Vec::new(),
        stale_manifest,
        manifest_max_age_s: from.u32()?,
        starts_at: from.opt_time()?,
        ends_at: from.opt_time()?,
        name: from.text()?,
        inserted_at: made_at,
        updated_at: made_at,
    };
    let mut keys = Vec::new();
    for _ in 0..from.u16()? {
        keys.push(read_key(from, made_at)?);
    }
    Ok(ManifestHead {
        version,
        base: is_delta.then_some(base),
        made_at,
        expires_at,
        event,
        has_capacity,
        gates: Vec::new(),
        keys,
        dedup_window,
    })
}

fn read_key(from: &mut Reader<'_>, made_at: Timestamp) -> Result<SigningKey, ManifestError> {
    let format = from.word(KeyFormat::ALL)?;
    let status = from.word(KeyStatus::ALL)?;
    let [has_public_key] = from.flags()?;
    let kid = from.text()?;
    let public_key = if has_public_key { Some(from.array()?) } else { None };
    Ok(SigningKey {
        format,
        kid,
        status,
        public_key,
        inserted_at: made_at,
    })
}

type ClassesAndSets = (Vec<ClassName>, Vec<Vec<GateId>>);

fn read_tables(from: &mut Reader<'_>, head: &mut ManifestHead) -> Result<ClassesAndSets, ManifestError> {
    let own = usize::from(from.u16()?);
    let mut classes = Vec::new();
    for _ in 0..from.u16()? {
        classes.push(from.text::<ClassName>()?);
    }
    head.event.ticket_classes = classes.get(..own).ok_or(ManifestError::Malformed)?.to_vec();
    for _ in 0..from.u16()? {
        let gate = read_gate(from, &head.event, &classes)?;
        head.gates.push(gate);
    }
    let mut sets = Vec::new();
    for _ in 0..from.u16()? {
        let mut set = Vec::new();
        for _ in 0..from.u16()? {
            let place = usize::from(from.u16()?);
            let one = head.gates.get(place).ok_or(ManifestError::Malformed)?;
            set.push(one.gate.id);
        }
        sets.push(set);
    }
    Ok((classes, sets))
}

fn read_gate(from: &mut Reader<'_>, event: &Event, all: &[ClassName]) -> Result<ManifestGate, ManifestError> {
    let id = GateId::from_uuid(Uuid::from_bytes(from.array()?));
    let [open, has_capacity, has_classes] = from.flags()?;
    let name = from.text()?;
    let mut classes = Vec::new();
    for _ in 0..from.u16()? {
        let number = from.u16()?;
        classes.push(numbered(all, number).ok_or(ManifestError::Malformed)?.clone());
    }
    let gate = Gate {
        id,
        organization_id: event.organization_id,
        event_id: event.id,
        name,
        code: None,
        status: if open {
            GateStatus::Open
        } else {
            GateStatus::Closed
        },
        capacity: None,
        ticket_classes: has_classes.then_some(classes),
        inserted_at: event.inserted_at,
        updated_at: event.updated_at,
    };
    Ok(ManifestGate { gate, has_capacity })
}
