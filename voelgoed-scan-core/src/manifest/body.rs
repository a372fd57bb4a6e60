//! A manifest that was read: the head and the tables are decoded once, the tickets stay encoded.
//!
//! Invariants: the ticket keys ascend, so that a lookup is a binary search; every position, entry limit and set number
//! is checked when the bytes are read. Status and class numbers are not: a number that this version does not know
//! concerns one ticket alone (see [`TicketLookup::Unknown`]).

mod head;

use std::ops::Range;

use uuid::Uuid;

use crate::manifest::media::MediaColumns;
use crate::manifest::section::{Section, Sections};
use crate::manifest::wire::{FORMAT_VERSION, MAGIC, Reader, START_LENGTH, decode_time, encode_time};
use crate::manifest::{ManifestError, ManifestHead, ManifestTicket, TicketKey, TicketLookup};
use crate::model::{ClassName, GateId, OrganizationId, Reentry, TicketStatus};
use head::{read_head, read_tables};

/// The encoded fields of a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TicketRecord {
    pub(super) key: [u8; 16],
    /// The wire number of the status. It may be unknown to this version.
    pub(super) status: u8,
    pub(super) entry_limit: u8,
    /// The number of the class, from 1; 0 for none. It may be unknown to this version.
    pub(super) class: u16,
    /// The number of the set of gates, from 1; 0 for all gates.
    pub(super) gates: u16,
    pub(super) valid_from: i64,
    pub(super) valid_until: i64,
    pub(super) admissions: u32,
    pub(super) inside: u16,
    pub(super) last_admission: i64,
    pub(super) day_admissions: u32,
}

impl TicketRecord {
    const KEY_LENGTH: usize = 16;
    const TERMS_LENGTH: usize = 22;
    /// Bytes of a ticket without history.
    pub(super) const LENGTH: usize = Self::KEY_LENGTH + Self::TERMS_LENGTH;
    /// Additional bytes of a ticket with history.
    pub(super) const HISTORY_LENGTH: usize = 18;
    /// Additional bytes of a ticket with history, if the event is `daily`.
    pub(super) const DAY_LENGTH: usize = 4;

    pub(super) fn has_history(&self) -> bool {
        self.admissions != 0 || self.inside != 0 || decode_time(self.last_admission).is_some()
    }
}

/// A decoded manifest or delta.
#[derive(Debug, Clone)]
pub(super) struct Body {
    bytes: Vec<u8>,
    pub(super) head: ManifestHead,
    pub(super) classes: Vec<ClassName>,
    pub(super) gate_sets: Vec<Vec<GateId>>,
    keys: Range<usize>,
    terms: Range<usize>,
    histories: Range<usize>,
    /// `None` where the event lets no media in.
    pub(super) media: Option<MediaColumns>,
    /// `None` unless the event is `daily`.
    day_admissions: Option<Range<usize>>,
}

impl Body {
    /// The organization that the bytes claim, before their signature is checked.
    pub(super) fn claimed_organization(bytes: &[u8]) -> Result<OrganizationId, ManifestError> {
        let mut reader = Reader::new(bytes);
        if reader.array()? != MAGIC {
            return Err(ManifestError::Malformed);
        }
        // The format version and the flags.
        reader.array::<2>()?;
        reader
            .array()
            .map(|id| OrganizationId::from_uuid(Uuid::from_bytes(id)))
    }

    /// Reads a manifest from its bytes without the signature.
    pub(super) fn read(bytes: Vec<u8>) -> Result<Self, ManifestError> {
        let mut start = Reader::new(&bytes);
        if start.array()? != MAGIC {
            return Err(ManifestError::Malformed);
        }
        let format = start.u8()?;
        if format != FORMAT_VERSION {
            return Err(ManifestError::UnknownForm { format });
        }
        let [is_delta] = start.flags()?;
        let organization = OrganizationId::from_uuid(Uuid::from_bytes(start.array()?));
        let sections = Sections::find(&bytes, START_LENGTH)?;
        let mut head = read_head(&sections, organization, is_delta)?;
        let (classes, gate_sets) = read_tables(&sections, &mut head)?;
        let media = sections.optional_range(Section::Media);
        head.event.allow_media = media.is_some();
        let media = media.map(|range| MediaColumns::of(range).ok_or(ManifestError::Malformed));
        let body = Self {
            keys: sections.range(Section::TicketKeys)?,
            terms: sections.range(Section::TicketTerms)?,
            histories: sections.range(Section::TicketHistories)?,
            media: media.transpose()?,
            day_admissions: sections.optional_range(Section::DayAdmissions),
            bytes,
            head,
            classes,
            gate_sets,
        };
        if body.is_valid() {
            Ok(body)
        } else {
            Err(ManifestError::Malformed)
        }
    }

    /// Whether the lengths of the columns agree, the keys ascend, and every number that concerns more than one ticket is
    /// valid.
    fn is_valid(&self) -> bool {
        let has_whole_records = self.keys.len() == self.len() * TicketRecord::KEY_LENGTH
            && self.terms.len() == self.len() * TicketRecord::TERMS_LENGTH
            && self.histories.len() == self.histories().len() * TicketRecord::HISTORY_LENGTH;
        let are_terms_valid = self.terms().iter().all(|terms| {
            let [_, entry_limit, _, _, gates_high, gates_low, ..] = *terms;
            let gates = usize::from(u16::from_be_bytes([gates_high, gates_low]));
            entry_limit != 0 && gates <= self.gate_sets.len()
        });
        let are_days_whole = match &self.day_admissions {
            Some(range) => range.len() == self.histories().len() * TicketRecord::DAY_LENGTH,
            None => self.head.event.reentry != Reentry::Daily,
        };
        has_whole_records
            && are_days_whole
            && are_terms_valid
            && keys_ascend(self.keys())
            && histories_ascend(self.histories(), self.len())
            && self.are_media_valid()
    }

    /// The number of tickets.
    pub(super) const fn len(&self) -> usize {
        (self.keys.end - self.keys.start) / TicketRecord::KEY_LENGTH
    }

    /// The bytes that the manifest occupies in memory, apart from the head and the tables.
    pub(super) const fn size(&self) -> usize {
        self.bytes.capacity()
    }

    pub(super) fn keys(&self) -> &[[u8; TicketRecord::KEY_LENGTH]] {
        self.column(&self.keys)
    }

    fn terms(&self) -> &[[u8; TicketRecord::TERMS_LENGTH]] {
        self.column(&self.terms)
    }

    fn histories(&self) -> &[[u8; TicketRecord::HISTORY_LENGTH]] {
        self.column(&self.histories)
    }

    /// Whether it tells the admissions of each ticket on the day of the last one.
    pub(super) const fn tells_day_admissions(&self) -> bool {
        self.day_admissions.is_some()
    }

    /// The admissions of a history on the day of the last one; `None` unless the event is `daily`.
    fn day_admissions(&self, history: usize) -> Option<u32> {
        let counts: &[[u8; TicketRecord::DAY_LENGTH]] = self.column(self.day_admissions.as_ref()?);
        counts.get(history).copied().map(u32::from_be_bytes)
    }

    pub(super) fn column<const N: usize>(&self, range: &Range<usize>) -> &[[u8; N]] {
        let bytes = self.bytes.get(range.clone()).unwrap_or_default();
        bytes.as_chunks().0
    }

    /// Looks a ticket up by its key.
    pub(super) fn find(&self, key: TicketKey) -> TicketLookup {
        match self.find_record(key) {
            Some(record) => self
                .ticket(&record)
                .map_or(TicketLookup::Unknown, TicketLookup::Listed),
            None => TicketLookup::Absent,
        }
    }

    fn find_record(&self, key: TicketKey) -> Option<TicketRecord> {
        let position = self.keys().binary_search(key.as_bytes()).ok()?;
        let history = self
            .histories()
            .binary_search_by_key(&Some(position), history_position)
            .ok()
            .and_then(|index| Some((self.histories().get(index)?, self.day_admissions(index))));
        record(key.as_bytes(), self.terms().get(position)?, history)
    }

    /// All ticket records, in the order of their keys.
    pub(super) fn records(&self) -> impl Iterator<Item = TicketRecord> + '_ {
        let mut histories = self.histories().iter().enumerate().peekable();
        (0..)
            .zip(self.keys().iter().zip(self.terms()))
            .filter_map(move |(position, (key, terms))| {
                let history = histories.next_if(|(_, history)| history_position(history) == Some(position));
                let history = history.map(|(index, history)| (history, self.day_admissions(index)));
                record(key, terms, history)
            })
    }

    /// Decodes a record. `None` where this version does not know its status number or its class number.
    pub(super) fn ticket(&self, record: &TicketRecord) -> Option<ManifestTicket> {
        let ticket_class = match record.class {
            0 => None,
            number => Some(numbered(&self.classes, number)?.clone()),
        };
        Some(ManifestTicket {
            key: TicketKey::from_bytes(record.key),
            status: TicketStatus::from_wire(record.status)?,
            ticket_class,
            gate_ids: numbered(&self.gate_sets, record.gates).cloned(),
            valid_from: decode_time(record.valid_from),
            valid_until: decode_time(record.valid_until),
            entry_limit: record.entry_limit,
            admissions: record.admissions,
            inside: record.inside,
            last_admission: decode_time(record.last_admission),
            media: Vec::new(),
            day_admissions: record.day_admissions,
        })
    }
}

/// The item of a number that counts from 1. `None` for 0 and for a number past the end.
pub(super) fn numbered<T>(items: &[T], number: u16) -> Option<&T> {
    items.get(usize::from(number).checked_sub(1)?)
}

fn keys_ascend(keys: &[[u8; TicketRecord::KEY_LENGTH]]) -> bool {
    keys.windows(2)
        .all(|pair| matches!(pair, [one, next] if one < next))
}

fn histories_ascend(histories: &[[u8; TicketRecord::HISTORY_LENGTH]], ticket_count: usize) -> bool {
    let mut last = None;
    histories.iter().map(history_position).all(|position| {
        let ascends = position > last && position.is_some_and(|position| position < ticket_count);
        last = position;
        ascends
    })
}

/// The position of the ticket that a history belongs to, from 0.
fn history_position(history: &[u8; TicketRecord::HISTORY_LENGTH]) -> Option<usize> {
    let [a, b, c, d, ..] = *history;
    usize::try_from(u32::from_be_bytes([a, b, c, d])).ok()
}

/// Reads a record. The arrays have the lengths of the fields, so this is never `None`.
fn record(
    key: &[u8; TicketRecord::KEY_LENGTH],
    terms: &[u8; TicketRecord::TERMS_LENGTH],
    history: Option<(&[u8; TicketRecord::HISTORY_LENGTH], Option<u32>)>,
) -> Option<TicketRecord> {
    let mut reader = Reader::new(terms);
    let mut record = TicketRecord {
        key: *key,
        status: reader.u8().ok()?,
        entry_limit: reader.u8().ok()?,
        class: reader.u16().ok()?,
        gates: reader.u16().ok()?,
        valid_from: reader.i64().ok()?,
        valid_until: reader.i64().ok()?,
        admissions: 0,
        inside: 0,
        last_admission: encode_time(None),
        day_admissions: 0,
    };
    if let Some((history, day_admissions)) = history {
        let mut reader = Reader::new(history);
        // The position of the ticket.
        reader.u32().ok()?;
        record.admissions = reader.u32().ok()?;
        record.inside = reader.u16().ok()?;
        record.last_admission = reader.i64().ok()?;
        record.day_admissions = day_admissions.unwrap_or(0);
    }
    Some(record)
}
