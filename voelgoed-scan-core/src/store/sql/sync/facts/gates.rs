//! The gates of an upload, with their events.

use std::collections::{BTreeSet, HashMap};

use super::lookups;
use crate::model::{Event, EventId, Gate, GateId, OrganizationId, ScanId};
use crate::store::StoreError;
use crate::store::sql::lookup::GateLookup;
use crate::store::sql::sync::SyncDialect;
use crate::store::sql::{Row, mapping, query};
use crate::sync::{EventLookup, GateEvents, RecordedScan, UploadChunk};

/// Reads the events that have the gates of the upload. Which event a scan has is decided once, by what is read here: an event
/// that gets one of the gates meanwhile comes after the upload.
pub(super) async fn gate_events<D: SyncDialect>(
    chunk: &UploadChunk<'_>,
    connection: &mut D::Connection,
) -> Result<GateEvents, StoreError> {
    let gates: BTreeSet<GateId> = chunk.uploads().map(|upload| upload.scan.gate_id).collect();
    let gates = lookups(gates.iter().map(GateId::as_uuid));
    let rows = query::<D>(D::SYNC.load_gate_events)
        .json(&gates)
        .id(chunk.batch.organization_id.as_uuid())
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| Ok((row.id("gate_id")?, row.id("event_id")?)))
        .collect()
}

/// The gates of the upload at the events of its scans, and those of the recorded and of the quarantined scans.
pub(super) fn gate_lookups(
    chunk: &UploadChunk<'_>,
    known: &HashMap<ScanId, RecordedScan>,
    events: EventLookup<'_>,
) -> BTreeSet<GateLookup> {
    let uploaded = chunk.uploads().filter_map(|upload| {
        let scan = &upload.scan;
        let event = events.find(scan, chunk.batch.corrected(scan)).ok()?;
        Some(GateLookup::new(event, scan.gate_id))
    });
    let recorded = known.values().map(|known| {
        let record = &known.state.record;
        GateLookup::new(record.event_id, record.gate_id)
    });
    let quarantined = events.quarantined.values();
    let quarantined = quarantined.map(|place| GateLookup::new(place.event_id, place.gate_id));
    uploaded.chain(recorded).chain(quarantined).collect()
}

/// Reads gates with their events.
pub(super) async fn gates_with_events<D: SyncDialect>(
    organization: OrganizationId,
    gates: &BTreeSet<GateLookup>,
    connection: &mut D::Connection,
) -> Result<HashMap<(EventId, GateId), (Event, Gate)>, StoreError> {
    let rows = query::<D>(D::SYNC.load_gates)
        .json(gates)
        .id(organization.as_uuid())
        .fetch_all(connection)
        .await?;
    let gate = |row: &Row<D>| {
        let (event, gate) = (mapping::event(row)?, mapping::gate(row)?);
        Ok(((event.id, gate.id), (event, gate)))
    };
    rows.iter().map(gate).collect()
}
