//! Reads the head of a manifest and its tables of classes, gates and sets of gates.

use std::time::Duration;

use uuid::Uuid;

use crate::manifest::body::numbered;
use crate::manifest::messages::read_messages;
use crate::manifest::section::{Section, Sections};
use crate::manifest::wire::Reader;
use crate::manifest::{ManifestError, ManifestGate, ManifestHead};
use crate::model::{
    ClassName, Event, EventId, EventStatus, Gate, GateId, GateStatus, KeyFormat, KeyStatus, LocalTime,
    OrganizationId, Reentry, SigningKey, StaleManifest, TimeZoneName, Timestamp,
};

/// Reads the head without its gates and classes, which [`read_tables`] adds.
pub(super) fn read_head(
    sections: &Sections<'_>,
    organization: OrganizationId,
    is_delta: bool,
) -> Result<ManifestHead, ManifestError> {
    let made = sections.read(Section::Version, read_version)?;
    let (mut event, has_capacity, dedup_window) =
        sections.read(Section::Event, |reader| read_event(reader, organization, &made))?;
    let doors = sections.read_optional(Section::Doors, |reader| {
        Ok((reader.optional_time()?, reader.optional_time()?))
    })?;
    (event.doors_open_at, event.doors_close_at) = doors.unwrap_or_default();
    let rescheduled = sections.read_optional(Section::Rescheduled, Reader::optional_time)?;
    event.rescheduled_at = rescheduled.flatten();
    let days = read_days(sections, event.reentry)?;
    let keys = sections.read(Section::Keys, |reader| {
        let mut keys = Vec::new();
        while reader.remaining() != 0 {
            keys.push(read_key(reader, made.made_at)?);
        }
        Ok(keys)
    })?;
    Ok(ManifestHead {
        version: made.version,
        base: is_delta.then_some(made.base),
        made_at: made.made_at,
        expires_at: made.expires_at,
        event,
        has_capacity,
        gates: Vec::new(),
        keys,
        dedup_window,
        days,
        messages: read_messages(sections)?,
    })
}

/// Reads the starts of days, which ascend. A `daily` event has one at least.
fn read_days(sections: &Sections<'_>, reentry: Reentry) -> Result<Vec<Timestamp>, ManifestError> {
    if reentry != Reentry::Daily {
        return Ok(Vec::new());
    }
    let days = sections.read(Section::Days, |reader| {
        let mut days = Vec::new();
        while reader.remaining() != 0 {
            days.push(reader.time()?);
        }
        Ok(days)
    })?;
    let ascend = days
        .windows(2)
        .all(|pair| matches!(pair, [one, next] if one < next));
    if days.is_empty() || !ascend {
        return Err(ManifestError::Malformed);
    }
    Ok(days)
}

struct Version {
    event: EventId,
    version: u64,
    base: u64,
    made_at: Timestamp,
    expires_at: Timestamp,
}

fn read_version(reader: &mut Reader<'_>) -> Result<Version, ManifestError> {
    Ok(Version {
        event: EventId::from_uuid(Uuid::from_bytes(reader.array()?)),
        version: reader.u64()?,
        base: reader.u64()?,
        made_at: reader.time()?,
        expires_at: reader.time()?,
    })
}

/// Reads the event, whether it has a capacity, and the deduplication window.
fn read_event(
    reader: &mut Reader<'_>,
    organization_id: OrganizationId,
    made: &Version,
) -> Result<(Event, bool, Duration), ManifestError> {
    let dedup_window = Duration::from_millis(reader.u32()?.into());
    let status = reader.wire_enum("event status", EventStatus::from_wire)?;
    let reentry = reader.wire_enum("re-entry policy", Reentry::from_wire)?;
    let stale_manifest = reader.wire_enum("stale manifest policy", StaleManifest::from_wire)?;
    let [allow_unsigned, has_capacity] = reader.flags()?;
    let event = Event {
        id: made.event,
        organization_id,
        status,
        capacity: None,
        reentry,
        allow_unsigned,
        allow_media: false,
        rehearsal: false,
        ticket_classes: Vec::new(),
        stale_manifest,
        manifest_max_age_s: reader.u32()?,
        starts_at: reader.optional_time()?,
        ends_at: reader.optional_time()?,
        doors_open_at: None,
        doors_close_at: None,
        rescheduled_at: None,
        time_zone: TimeZoneName::default(),
        day_starts_at: LocalTime::default(),
        name: reader.text()?,
        inserted_at: made.made_at,
        updated_at: made.made_at,
    };
    Ok((event, has_capacity, dedup_window))
}

fn read_key(reader: &mut Reader<'_>, made_at: Timestamp) -> Result<SigningKey, ManifestError> {
    let format = reader.wire_enum("key format", KeyFormat::from_wire)?;
    let status = reader.wire_enum("key status", KeyStatus::from_wire)?;
    let [has_public_key] = reader.flags()?;
    let kid = reader.text()?;
    let public_key = if has_public_key {
        Some(reader.array()?)
    } else {
        None
    };
    Ok(SigningKey {
        format,
        kid,
        status,
        public_key,
        inserted_at: made_at,
    })
}

type ClassesAndGateSets = (Vec<ClassName>, Vec<Vec<GateId>>);

/// Reads the tables. The gates and the event's own classes go into `head`.
pub(super) fn read_tables(
    sections: &Sections<'_>,
    head: &mut ManifestHead,
) -> Result<ClassesAndGateSets, ManifestError> {
    let (own_classes, classes) = sections.read(Section::Classes, |reader| {
        let own_classes = usize::from(reader.u16()?);
        let mut classes = Vec::new();
        while reader.remaining() != 0 {
            classes.push(reader.text::<ClassName>()?);
        }
        Ok((own_classes, classes))
    })?;
    let own_classes = classes.get(..own_classes).ok_or(ManifestError::Malformed)?;
    head.event.ticket_classes = own_classes.to_vec();
    head.gates = sections.read(Section::Gates, |reader| {
        let mut gates = Vec::new();
        while reader.remaining() != 0 {
            gates.push(read_gate(reader, &head.event, &classes)?);
        }
        Ok(gates)
    })?;
    let gate_sets = sections.read(Section::GateSets, |reader| {
        let mut gate_sets = Vec::new();
        while reader.remaining() != 0 {
            gate_sets.push(read_gate_set(reader, &head.gates)?);
        }
        Ok(gate_sets)
    })?;
    Ok((classes, gate_sets))
}

fn read_gate_set(reader: &mut Reader<'_>, gates: &[ManifestGate]) -> Result<Vec<GateId>, ManifestError> {
    let mut gate_set = Vec::new();
    for _ in 0..reader.u16()? {
        let position = usize::from(reader.u16()?);
        let listed = gates.get(position).ok_or(ManifestError::Malformed)?;
        gate_set.push(listed.gate.id);
    }
    Ok(gate_set)
}

fn read_gate(
    reader: &mut Reader<'_>,
    event: &Event,
    classes: &[ClassName],
) -> Result<ManifestGate, ManifestError> {
    let id = GateId::from_uuid(Uuid::from_bytes(reader.array()?));
    let [is_open, has_capacity, has_classes] = reader.flags()?;
    let name = reader.text()?;
    let mut gate_classes = Vec::new();
    for _ in 0..reader.u16()? {
        let number = reader.u16()?;
        let class = numbered(classes, number).ok_or(ManifestError::Malformed)?;
        gate_classes.push(class.clone());
    }
    let gate = Gate {
        id,
        organization_id: event.organization_id,
        event_id: event.id,
        name,
        code: None,
        status: if is_open {
            GateStatus::Open
        } else {
            GateStatus::Closed
        },
        capacity: None,
        ticket_classes: has_classes.then_some(gate_classes),
        inserted_at: event.inserted_at,
        updated_at: event.updated_at,
    };
    Ok(ManifestGate { gate, has_capacity })
}
