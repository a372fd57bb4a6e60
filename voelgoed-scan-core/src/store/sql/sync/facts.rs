//! Locks and reads the facts by which an upload is evaluated. The locks keep them unchanged until the upload is
//! written.

mod gates;

use std::collections::{BTreeSet, HashMap};

use uuid::Uuid;
use uuid::fmt::Simple;

use crate::model::{
    Claims, DeviceKey, DeviceScope, DeviceSettings, DeviceStatus, Event, EventId, Gate, GateId,
    OrganizationId, ScanId, TicketFacts, TicketId,
};
use crate::store::StoreError;
use crate::store::sql::former_rules;
use crate::store::sql::long_folds::yield_between_rows;
use crate::store::sql::lookup::{IdLookup, TicketLookup};
use crate::store::sql::sync::facts::gates::{gate_events, gate_lookups, gates_with_events};
use crate::store::sql::sync::{MAX_QUARANTINED, SyncDialect};
use crate::store::sql::{Row, mapping, query, statement};
use crate::sync::{
    DeviceScopes, EventLookup, LinkHash, LogPosition, QuarantinedPlace, RecordedScan, SessionSpan,
    SyncDevice, SyncFacts, UploadBatch, UploadChunk,
};

fn lookups<'a>(ids: impl IntoIterator<Item = &'a Uuid>) -> BTreeSet<IdLookup> {
    ids.into_iter().map(IdLookup::new).collect()
}

/// The devices whose scans are ingested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Devices {
    /// Those that may upload. The scans of revoked devices go into quarantine.
    ActiveOrRevoked,
    /// Every device: staff accepted its scan.
    All,
}

/// Locks and reads the facts. `None` if the device may not upload. [`StoreError::Contended`] if one of
/// the scans was recorded in another way while this waited for the locks.
pub(super) async fn load<D: SyncDialect>(
    chunk: &UploadChunk<'_>,
    devices: Devices,
    connection: &mut D::Connection,
) -> Result<Option<SyncFacts>, StoreError> {
    let batch = chunk.batch;
    let organization = batch.organization_id;
    let Some(mut device) = device::<D>(batch, devices, connection).await? else {
        return Ok(None);
    };
    read_former::<D>(batch, &mut device.scopes, connection).await?;
    let scan_ids: Vec<ScanId> = chunk.uploads().map(|upload| upload.scan.scan_id).collect();
    let scans = lookups(scan_ids.iter().map(ScanId::as_uuid));
    let before = known::<D>(organization, &scans, connection).await?;
    let (quarantined, quarantine_capacity) = quarantine::<D>(batch, &scan_ids, connection).await?;
    let sessions = sessions::<D>(chunk, connection).await?;
    let gate_events = gate_events::<D>(chunk, connection).await?;
    let events = EventLookup {
        quarantined: &quarantined,
        gate_events: &gate_events,
        sessions: &sessions,
    };
    let named_gates = gate_lookups(chunk, &before, events);
    let gates = gates_with_events::<D>(organization, &named_gates, connection).await?;
    let named_tickets = ticket_lookups(chunk, &before);
    lock::<D>(organization, &gates, &named_tickets, connection).await?;
    let (known, gates) = match D::SQL.lock_tickets {
        // The scans and the rules of the events may have changed while this waited for the locks.
        Some(_) => {
            let known = known::<D>(organization, &scans, connection).await?;
            let gates = gates_with_events::<D>(organization, &named_gates, connection).await?;
            (known, gates)
        }
        None => (before.clone(), gates),
    };
    if known.len() != before.len() {
        return Err(StoreError::contended(
            "a scan of the upload was recorded meanwhile",
        ));
    }
    let tickets = tickets::<D>(organization, &named_tickets, connection).await?;
    let mut past = Vec::new();
    let mut status_changes: HashMap<_, Vec<_>> = HashMap::new();
    if !tickets.is_empty() {
        let ids = lookups(tickets.keys().map(TicketId::as_uuid));
        for row in query::<D>(D::SYNC.load_status_changes)
            .json(&ids)
            .id(organization.as_uuid())
            .fetch_all(connection)
            .await?
        {
            let change = (row.time("changed_at")?, row.parse("status")?);
            status_changes
                .entry(row.id("ticket_id")?)
                .or_default()
                .push(change);
        }
        let rows = query::<D>(D::SYNC.load_histories)
            .json(&ids)
            .id(organization.as_uuid())
            .fetch_all(connection)
            .await?;
        for (number, row) in rows.iter().enumerate() {
            yield_between_rows(number).await;
            past.push(mapping::history_scan(row)?);
        }
    }
    let former_rules = former_rules::load::<D>(
        batch.organization_id,
        gates.values().map(|(event, _)| event.id),
        tickets.keys().copied(),
        connection,
    )
    .await?;
    // A device with a key, or one that may start a new log, has its whole batch verified.
    let whole = batch.whole();
    let verified = if device.key.is_some() || device.may_restart_log {
        &whole
    } else {
        chunk
    };
    Ok(Some(SyncFacts {
        sessions,
        gate_events,
        log: log::<D>(verified, connection).await?,
        device,
        recorded: known,
        gates,
        tickets,
        status_changes,
        former_rules,
        history: past,
        quarantined,
        quarantine_capacity,
    }))
}

/// Locks the row of the device by writing it, and reads it. `None` if the device is not one of `devices`.
async fn device<D: SyncDialect>(
    batch: &UploadBatch,
    devices: Devices,
    connection: &mut D::Connection,
) -> Result<Option<SyncDevice>, StoreError> {
    let row = query::<D>(statement!("sync/lock_device.sql"))
        .id(batch.organization_id.as_uuid())
        .id(batch.device_id.as_uuid())
        .fetch_optional(connection)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let revoked = row.bool("revoked")?;
    if devices == Devices::ActiveOrRevoked
        && !revoked
        && row.parse::<DeviceStatus>("status")? != DeviceStatus::Active
    {
        return Ok(None);
    }
    let settings: DeviceSettings = row.json("settings")?;
    Ok(Some(SyncDevice {
        name: row.text("name")?,
        revoked,
        can_override: settings.can_override,
        scopes: DeviceScopes {
            former: Vec::new(),
            present: row.opt_json("scope")?.unwrap_or_default(),
            former_search: Vec::new(),
            can_search: settings.can_search,
        },
        key: row.opt_bytes("device_key")?.map(DeviceKey::new),
        received: row.json("received")?,
        may_restart_log: row.bool("may_begin_anew")?,
    }))
}

/// Reads the scans of the upload that are recorded already.
async fn known<D: SyncDialect>(
    organization: OrganizationId,
    scans: &BTreeSet<IdLookup>,
    connection: &mut D::Connection,
) -> Result<HashMap<ScanId, RecordedScan>, StoreError> {
    let rows = query::<D>(D::SYNC.load_scans)
        .json(scans)
        .id(organization.as_uuid())
        .fetch_all(connection)
        .await?;
    let known = |row: &Row<D>| {
        let kept = mapping::history_scan(row)?;
        let payload_sha256 = row.bytes("payload_sha256")?;
        Ok((
            kept.record.scan_id,
            RecordedScan {
                state: kept,
                payload_sha256,
            },
        ))
    };
    rows.iter().map(known).collect()
}

/// The tickets that the upload names, and those of recorded scans.
fn ticket_lookups(chunk: &UploadChunk<'_>, known: &HashMap<ScanId, RecordedScan>) -> BTreeSet<TicketLookup> {
    let claimed = chunk
        .uploads()
        .filter_map(|upload| upload.claims.ok())
        .map(|claims: Claims| TicketLookup::by_code_or_id(claims.ticket_code, claims.ticket_id));
    let media = chunk.uploads().flat_map(|upload| {
        upload
            .media_tickets
            .iter()
            .map(|(_, code)| TicketLookup::by_code(*code))
    });
    let recorded = known
        .values()
        .filter_map(|known| known.state.record.ticket_id)
        .map(TicketLookup::by_id);
    claimed.chain(media).chain(recorded).collect()
}

/// Locks the counters of the events, then the tickets.
async fn lock<D: SyncDialect>(
    organization: OrganizationId,
    gates: &HashMap<(EventId, GateId), (Event, Gate)>,
    named_tickets: &BTreeSet<TicketLookup>,
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    if let Some(sql) = D::SQL.lock_occupancy {
        let events = lookups(gates.values().map(|(event, _)| event.id.as_uuid()));
        query::<D>(sql)
            .json(&events)
            .id(organization.as_uuid())
            .fetch_all(connection)
            .await?;
    }
    if let Some(sql) = D::SQL.lock_tickets.filter(|_| !named_tickets.is_empty()) {
        query::<D>(sql)
            .json(named_tickets)
            .id(organization.as_uuid())
            .fetch_all(connection)
            .await?;
    }
    Ok(())
}

async fn tickets<D: SyncDialect>(
    organization: OrganizationId,
    named_tickets: &BTreeSet<TicketLookup>,
    connection: &mut D::Connection,
) -> Result<HashMap<TicketId, TicketFacts>, StoreError> {
    if named_tickets.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = query::<D>(D::SQL.load_tickets)
        .json(named_tickets)
        .id(organization.as_uuid())
        .fetch_all(connection)
        .await?;
    let ticket = |row: &Row<D>| {
        let facts = mapping::ticket(row)?;
        Ok((facts.ticket.id, facts))
    };
    rows.iter().map(ticket).collect()
}

/// The sessions that the device had between its first and its last scan of the upload.
async fn sessions<D: SyncDialect>(
    chunk: &UploadChunk<'_>,
    connection: &mut D::Connection,
) -> Result<Vec<SessionSpan>, StoreError> {
    let batch = chunk.batch;
    let times = || chunk.uploads().map(|upload| batch.corrected(&upload.scan));
    let (Some(first), Some(last)) = (times().min(), times().max()) else {
        return Ok(Vec::new());
    };
    let rows = query::<D>(statement!("sync/sessions_overlapping.sql"))
        .id(batch.organization_id.as_uuid())
        .id(batch.device_id.as_uuid())
        .time(last)
        .time(first)
        .fetch_all(connection)
        .await?;
    let session = |row: &Row<D>| {
        Ok(SessionSpan {
            id: row.id("id")?,
            event_id: row.id("event_id")?,
            gate_id: row.id("gate_id")?,
            from: row.time("started_at")?,
            until: row.opt_time("ended_at")?,
        })
    };
    rows.iter().map(session).collect()
}

/// Reads the scopes and the settings that the device had before.
async fn read_former<D: SyncDialect>(
    batch: &UploadBatch,
    scopes: &mut DeviceScopes,
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    let rows = query::<D>(statement!("sync/former_scopes.sql"))
        .id(batch.organization_id.as_uuid())
        .id(batch.device_id.as_uuid())
        .fetch_all(connection)
        .await?;
    for row in &rows {
        let until = row.time("held_until")?;
        let scope: Option<DeviceScope> = row.opt_json("scope")?;
        scopes.former.push((until, scope.unwrap_or_default()));
        let settings: Option<DeviceSettings> = row.opt_json("settings")?;
        scopes
            .former_search
            .extend(settings.map(|settings| (until, settings.can_search)));
    }
    Ok(())
}

/// The recorded entries of the device's log at the sequence numbers of the upload and next to them.
async fn log<D: SyncDialect>(
    chunk: &UploadChunk<'_>,
    connection: &mut D::Connection,
) -> Result<HashMap<u64, (ScanId, LogPosition)>, StoreError> {
    let sequences: BTreeSet<u64> = chunk
        .uploads()
        .filter_map(|upload| upload.scan.sequence)
        .flat_map(|sequence| sequence.saturating_sub(1)..=sequence.saturating_add(1))
        .collect();
    if sequences.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = query::<D>(D::SYNC.load_log)
        .json(&sequences)
        .id(chunk.batch.organization_id.as_uuid())
        .id(chunk.batch.device_id.as_uuid())
        .fetch_all(connection)
        .await?;
    let entry = |row: &Row<D>| {
        let position = LogPosition {
            sequence: row.number("sequence")?,
            prev: row.opt_bytes("prev_hash")?.map(LinkHash::new),
            link: LinkHash::new(row.bytes("link_hash")?),
        };
        Ok((position.sequence, (row.id("scan_id")?, position)))
    };
    rows.iter().map(entry).collect()
}

/// The scans of the upload that are in quarantine, with their events and gates, and how many more the quarantine can hold.
async fn quarantine<D: SyncDialect>(
    batch: &UploadBatch,
    scans: &[ScanId],
    connection: &mut D::Connection,
) -> Result<(HashMap<ScanId, QuarantinedPlace>, usize), StoreError> {
    let row = query::<D>(statement!("sync/count_quarantine.sql"))
        .id(batch.organization_id.as_uuid())
        .id(batch.device_id.as_uuid())
        .fetch_optional(connection)
        .await?;
    let count: usize = row.map(|row| row.number("scans")).transpose()?.unwrap_or(0);
    if count == 0 {
        return Ok((HashMap::new(), MAX_QUARANTINED));
    }
    let ids: Vec<Simple> = scans.iter().map(|id| id.as_uuid().simple()).collect();
    let rows = query::<D>(D::SYNC.load_quarantined)
        .json(&ids)
        .id(batch.organization_id.as_uuid())
        .id(batch.device_id.as_uuid())
        .fetch_all(connection)
        .await?;
    let scan = |row: &Row<D>| {
        let place = QuarantinedPlace {
            event_id: row.id("event_id")?,
            gate_id: row.id("gate_id")?,
            at: row.time("scanned_at")?,
        };
        Ok((row.id("scan_id")?, place))
    };
    let found = rows.iter().map(scan).collect::<Result<_, StoreError>>()?;
    Ok((found, MAX_QUARANTINED.saturating_sub(count)))
}
