//! Reads the head of a manifest and its tables of classes, gates and sets of gates.

use std::time::Duration;

use uuid::Uuid;

use crate::manifest::body::numbered;
use crate::manifest::wire::{FORMAT_VERSION, MAGIC, Reader};
use crate::manifest::{ManifestError, ManifestGate, ManifestHead};
use crate::model::{
    ClassName, Event, EventId, EventStatus, Gate, GateId, GateStatus, KeyFormat, KeyStatus, OrganizationId,
    Reentry, SigningKey, StaleManifest, Timestamp,
};

pub(super) fn read_head(reader: &mut Reader<'_>) -> Result<ManifestHead, ManifestError> {
    if reader.array()? != MAGIC {
        return Err(ManifestError::Malformed);
    }
    let format = reader.u8()?;
    if format != FORMAT_VERSION {
        return Err(ManifestError::UnknownForm { format });
    }
    let [is_delta] = reader.flags()?;
    let organization_id = OrganizationId::from_uuid(Uuid::from_bytes(reader.array()?));
    let id = EventId::from_uuid(Uuid::from_bytes(reader.array()?));
    let version = reader.u64()?;
    let base = reader.u64()?;
    let made_at = reader.time()?;
    let expires_at = reader.time()?;
    let dedup_window = Duration::from_millis(reader.u32()?.into());
    let status = reader.wire_enum("event status", EventStatus::from_wire)?;
    let reentry = reader.wire_enum("re-entry policy", Reentry::from_wire)?;
    let stale_manifest = reader.wire_enum("stale manifest policy", StaleManifest::from_wire)?;
    let [allow_unsigned, has_capacity] = reader.flags()?;
    let event = Event {
        id,
        organization_id,
        status,
        capacity: None,
        reentry,
        allow_unsigned,
        ticket_classes: Vec::new(),
        stale_manifest,
        manifest_max_age_s: reader.u32()?,
        starts_at: reader.optional_time()?,
        ends_at: reader.optional_time()?,
        name: reader.text()?,
        inserted_at: made_at,
        updated_at: made_at,
    };
    let mut keys = Vec::new();
    for _ in 0..reader.u16()? {
        keys.push(read_key(reader, made_at)?);
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
    reader: &mut Reader<'_>,
    head: &mut ManifestHead,
) -> Result<ClassesAndGateSets, ManifestError> {
    let own_classes = usize::from(reader.u16()?);
    let mut classes = Vec::new();
    for _ in 0..reader.u16()? {
        classes.push(reader.text::<ClassName>()?);
    }
    head.event.ticket_classes = classes
        .get(..own_classes)
        .ok_or(ManifestError::Malformed)?
        .to_vec();
    for _ in 0..reader.u16()? {
        let gate = read_gate(reader, &head.event, &classes)?;
        head.gates.push(gate);
    }
    let mut gate_sets = Vec::new();
    for _ in 0..reader.u16()? {
        let mut gate_set = Vec::new();
        for _ in 0..reader.u16()? {
            let position = usize::from(reader.u16()?);
            let listed = head.gates.get(position).ok_or(ManifestError::Malformed)?;
            gate_set.push(listed.gate.id);
        }
        gate_sets.push(gate_set);
    }
    Ok((classes, gate_sets))
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
