//! What does the database know about a batch? Locked first, so that it still holds when the batch is written.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde::Serialize;

use crate::model::{
    Claims, DeviceKey, DeviceSettings, DeviceStatus, Event, Gate, GateId, ScanId, TicketCode, TicketFacts,
    TicketId,
};
use crate::store::StoreError;
use crate::store::sql::sync::{QUARANTINE, SyncDialect};
use crate::store::sql::{Row, query, row};
use crate::sync::{LinkHash, LogPosition, RecordedScan, SessionSpan, SyncDevice, SyncFacts, UploadBatch};

/// What was read.
pub(super) enum Loaded {
    /// All of it.
    Whole(Box<SyncFacts>),
    /// It changed while it was read.
    Overtaken,
}

#[derive(Serialize, PartialEq, Eq, PartialOrd, Ord)]
struct Pair {
    o: String,
    k: String,
}

#[derive(Serialize, PartialEq, Eq, PartialOrd, Ord)]
struct TicketKey {
    o: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    c: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    i: Option<String>,
}

fn hex(id: &uuid::Uuid) -> String {
    id.simple().to_string()
}

fn pairs<'a>(intake: &UploadBatch, ids: impl IntoIterator<Item = &'a uuid::Uuid>) -> BTreeSet<Pair> {
    let o = hex(intake.organization_id.as_uuid());
    ids.into_iter()
        .map(|id| Pair {
            o: o.clone(),
            k: hex(id),
        })
        .collect()
}

/// Locks and reads; `None` where the device may not hand anything in.
pub(super) async fn load<D: SyncDialect>(
    intake: &UploadBatch,
    connection: &mut D::Connection,
) -> Result<Option<Loaded>, StoreError> {
    let Some(device) = device::<D>(intake, connection).await? else {
        return Ok(None);
    };
    let scan_ids: Vec<ScanId> = intake.uploads().map(|upload| upload.scan.scan_id).collect();
    let scans = pairs(intake, scan_ids.iter().map(ScanId::as_uuid));
    let before = known::<D>(&scans, connection).await?;
    let places = places::<D>(intake, &before, connection).await?;
    let keys = ticket_keys(intake, &before);
    lock::<D>(intake, &places, &keys, connection).await?;
    let known = match D::SQL.lock_tickets {
        // Who waited for a lock reads again what may have changed meanwhile.
        Some(_) => known::<D>(&scans, connection).await?,
        None => before.clone(),
    };
    if known.len() != before.len() {
        return Ok(Some(Loaded::Overtaken));
    }
    let tickets = tickets::<D>(&keys, connection).await?;
    let mut past = Vec::new();
    if !tickets.is_empty() {
        let ids = pairs(intake, tickets.keys().map(TicketId::as_uuid));
        for row in query::<D>(D::SYNC.past).json(&ids).fetch_all(connection).await? {
            past.push(row::kept(&row)?);
        }
    }
    let (quarantined, quarantine_capacity) = quarantine::<D>(intake, &scan_ids, connection).await?;
    Ok(Some(Loaded::Whole(Box::new(SyncFacts {
        sessions: sessions::<D>(intake, connection).await?,
        log: if device.key.is_some() || device.may_restart_log {
            log::<D>(intake, connection).await?
        } else {
            HashMap::new()
        },
        device,
        recorded: known,
        gates: places,
        tickets,
        history: past,
        quarantined,
        quarantine_capacity,
    }))))
}

/// Locks the device's row by writing it, and reads it.
async fn device<D: SyncDialect>(
    intake: &UploadBatch,
    connection: &mut D::Connection,
) -> Result<Option<SyncDevice>, StoreError> {
    let row = query::<D>(
        "update devices set received = received where organization_id = $1 and id = $2 \
         returning name, status, revoked, settings, device_key, received, may_begin_anew",
    )
    .id(intake.organization_id.as_uuid())
    .id(intake.device_id.as_uuid())
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let revoked = row.bool("revoked")?;
    if !revoked && row.parse::<DeviceStatus>("status")? != DeviceStatus::Active {
        return Ok(None);
    }
    let settings: DeviceSettings = row.json("settings")?;
    Ok(Some(SyncDevice {
        name: row.text("name")?,
        revoked,
        can_override: settings.can_override,
        key: row.opt_bytes("device_key")?.map(DeviceKey::new),
        received: row.json("received")?,
        may_restart_log: row.bool("may_begin_anew")?,
    }))
}

async fn known<D: SyncDialect>(
    scans: &BTreeSet<Pair>,
    connection: &mut D::Connection,
) -> Result<HashMap<ScanId, RecordedScan>, StoreError> {
    let rows = query::<D>(D::SYNC.known)
        .json(scans)
        .fetch_all(connection)
        .await?;
    let known = |row: &Row<D>| {
        let kept = row::kept(row)?;
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

async fn places<D: SyncDialect>(
    intake: &UploadBatch,
    known: &HashMap<ScanId, RecordedScan>,
    connection: &mut D::Connection,
) -> Result<HashMap<GateId, (Event, Gate)>, StoreError> {
    let asked = intake.uploads().map(|upload| upload.scan.gate_id);
    let gates: BTreeSet<GateId> = asked
        .chain(known.values().map(|known| known.state.record.gate_id))
        .collect();
    let gates = pairs(intake, gates.iter().map(GateId::as_uuid));
    let rows = query::<D>(D::SYNC.places)
        .json(&gates)
        .fetch_all(connection)
        .await?;
    let place = |row: &Row<D>| {
        let (event, gate) = (row::event(row)?, row::gate(row)?);
        Ok((gate.id, (event, gate)))
    };
    rows.iter().map(place).collect()
}

fn ticket_keys(intake: &UploadBatch, known: &HashMap<ScanId, RecordedScan>) -> BTreeSet<TicketKey> {
    let o = hex(intake.organization_id.as_uuid());
    let claimed = intake
        .uploads()
        .filter_map(|upload| upload.claims.ok())
        .map(|claims: Claims| (claims.ticket_code, claims.ticket_id));
    let recorded = known
        .values()
        .filter_map(|known| known.state.record.ticket_id)
        .map(|id| (None::<TicketCode>, Some(id)));
    claimed
        .chain(recorded)
        .map(|(code, id)| TicketKey {
            o: o.clone(),
            c: code.map(|code| code.to_string()),
            i: id.filter(|_| code.is_none()).map(|id| hex(id.as_uuid())),
        })
        .collect()
}

async fn lock<D: SyncDialect>(
    intake: &UploadBatch,
    places: &HashMap<GateId, (Event, Gate)>,
    keys: &BTreeSet<TicketKey>,
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    if let Some(sql) = D::SQL.lock_occupancy {
        let events = pairs(intake, places.values().map(|(event, _)| event.id.as_uuid()));
        query::<D>(sql).json(&events).fetch_all(connection).await?;
    }
    if let Some(sql) = D::SQL.lock_tickets.filter(|_| !keys.is_empty()) {
        query::<D>(sql).json(keys).fetch_all(connection).await?;
    }
    Ok(())
}

async fn tickets<D: SyncDialect>(
    keys: &BTreeSet<TicketKey>,
    connection: &mut D::Connection,
) -> Result<HashMap<TicketId, TicketFacts>, StoreError> {
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = query::<D>(D::SQL.tickets)
        .json(keys)
        .fetch_all(connection)
        .await?;
    let ticket = |row: &Row<D>| {
        let facts = row::ticket(row)?;
        Ok((facts.ticket.id, facts))
    };
    rows.iter().map(ticket).collect()
}

/// The sessions that the device had while it made the scans.
async fn sessions<D: SyncDialect>(
    intake: &UploadBatch,
    connection: &mut D::Connection,
) -> Result<Vec<SessionSpan>, StoreError> {
    let times = || {
        intake
            .uploads()
            .map(|upload| intake.corrected(upload.scan.scanned_at))
    };
    let (Some(first), Some(last)) = (times().min(), times().max()) else {
        return Ok(Vec::new());
    };
    let rows = query::<D>(
        "select id, started_at, ended_at from sessions where organization_id = $1 and device_id = $2 \
         and started_at <= $3 and (ended_at is null or ended_at >= $4)",
    )
    .id(intake.organization_id.as_uuid())
    .id(intake.device_id.as_uuid())
    .time(last)
    .time(first)
    .fetch_all(connection)
    .await?;
    let session = |row: &Row<D>| {
        Ok(SessionSpan {
            id: row.id("id")?,
            from: row.time("started_at")?,
            until: row.opt_time("ended_at")?,
        })
    };
    rows.iter().map(session).collect()
}

/// The places of the device's log that the batch's scans stand at and beside.
async fn log<D: SyncDialect>(
    intake: &UploadBatch,
    connection: &mut D::Connection,
) -> Result<HashMap<u64, (ScanId, LogPosition)>, StoreError> {
    let numbers: BTreeSet<u64> = intake
        .uploads()
        .filter_map(|upload| upload.scan.sequence)
        .flat_map(|number| number.saturating_sub(1)..=number.saturating_add(1))
        .collect();
    let rows = query::<D>(D::SYNC.log)
        .json(&numbers)
        .id(intake.organization_id.as_uuid())
        .id(intake.device_id.as_uuid())
        .fetch_all(connection)
        .await?;
    let place = |row: &Row<D>| {
        let place = LogPosition {
            sequence: row.number("sequence")?,
            prev: row.opt_bytes("prev_hash")?.map(LinkHash::new),
            link: LinkHash::new(row.bytes("link_hash")?),
        };
        Ok((place.sequence, (row.id("scan_id")?, place)))
    };
    rows.iter().map(place).collect()
}

async fn quarantine<D: SyncDialect>(
    intake: &UploadBatch,
    scans: &[ScanId],
    connection: &mut D::Connection,
) -> Result<(HashSet<ScanId>, usize), StoreError> {
    let held =
        query::<D>("select count(*) as held from quarantine where organization_id = $1 and device_id = $2")
            .id(intake.organization_id.as_uuid())
            .id(intake.device_id.as_uuid())
            .fetch_optional(connection)
            .await?;
    let held: usize = held.map(|row| row.number("held")).transpose()?.unwrap_or(0);
    if held == 0 {
        return Ok((HashSet::new(), QUARANTINE));
    }
    let ids: Vec<String> = scans.iter().map(|id| hex(id.as_uuid())).collect();
    let rows = query::<D>(D::SYNC.quarantined)
        .json(&ids)
        .id(intake.organization_id.as_uuid())
        .id(intake.device_id.as_uuid())
        .fetch_all(connection)
        .await?;
    let found = rows
        .iter()
        .map(|row| row.id("scan_id"))
        .collect::<Result<_, _>>()?;
    Ok((found, QUARANTINE.saturating_sub(held)))
}
