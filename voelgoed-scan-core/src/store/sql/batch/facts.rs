//! Locks and reads the facts by which a batch of scans is decided.

use std::collections::{BTreeSet, HashSet};

use crate::model::{
    AnswerSnapshot, Attempt, DeviceSettings, DeviceStatus, GateId, Occupancy, OrganizationId, SessionStatus,
    Verification,
};
use crate::rules::{BatchFacts, DeskFacts, KnownScan, PeopleCount, SessionFacts, build_answer};
use crate::store::StoreError;
use crate::store::sql::lookup::{GateLookup, IdLookup, TicketLookup};
use crate::store::sql::{Dialect, Row, mapping, query};

/// Locks what the batch may change: the counters of its events, then its tickets.
pub(super) async fn lock<D: Dialect>(
    organization: OrganizationId,
    batch: &[Attempt],
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    if let Some(sql) = D::SQL.lock_occupancy {
        query::<D>(sql)
            .json(&events(batch))
            .id(organization.as_uuid())
            .fetch_all(connection)
            .await?;
    }
    if let Some(sql) = D::SQL.lock_tickets {
        query::<D>(sql)
            .json(&tickets(batch))
            .id(organization.as_uuid())
            .fetch_all(connection)
            .await?;
    }
    Ok(())
}

/// Reads the facts of all scans of the batch.
pub(super) async fn load<D: Dialect>(
    organization: OrganizationId,
    batch: &[Attempt],
    connection: &mut D::Connection,
) -> Result<BatchFacts, StoreError> {
    let mut facts = BatchFacts::default();
    load_scans::<D>(organization, batch, &mut facts, connection).await?;
    load_sessions::<D>(organization, batch, &mut facts, connection).await?;
    load_desks::<D>(organization, batch, &mut facts, connection).await?;
    let tickets = tickets(batch);
    if !tickets.is_empty() {
        for row in query::<D>(D::SQL.load_tickets)
            .json(&tickets)
            .id(organization.as_uuid())
            .fetch_all(connection)
            .await?
        {
            facts.add_ticket(mapping::ticket(&row)?);
        }
    }
    for row in query::<D>(D::SQL.load_occupancy)
        .json(&events(batch))
        .id(organization.as_uuid())
        .fetch_all(connection)
        .await?
    {
        let gate: GateId = row.id("gate_id")?;
        let count = PeopleCount {
            since: row.time("counted_since")?,
            inside: row.int("entries")? - row.int("exits")?,
        };
        facts
            .inside
            .entry((organization, row.id("event_id")?))
            .or_default()
            .insert(gate, count);
    }
    Ok(facts)
}

async fn load_scans<D: Dialect>(
    organization: OrganizationId,
    batch: &[Attempt],
    facts: &mut BatchFacts,
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    let scans: Vec<IdLookup> = batch
        .iter()
        .map(|attempt| IdLookup::new(attempt.scan_id.as_uuid()))
        .collect();
    for row in query::<D>(D::SQL.load_scans_for_retry)
        .json(&scans)
        .id(organization.as_uuid())
        .fetch_all(connection)
        .await?
    {
        let key = (organization, row.id("x_scan_id")?);
        facts.known_scans.insert(key, known_scan(&row)?);
    }
    Ok(())
}

async fn load_sessions<D: Dialect>(
    organization: OrganizationId,
    batch: &[Attempt],
    facts: &mut BatchFacts,
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    let sessions: HashSet<IdLookup> = batch
        .iter()
        .filter_map(|attempt| attempt.scanned_by.session_id())
        .map(|session| IdLookup::new(session.as_uuid()))
        .collect();
    if sessions.is_empty() {
        return Ok(());
    }
    for row in query::<D>(D::SQL.load_sessions)
        .json(&sessions)
        .id(organization.as_uuid())
        .fetch_all(connection)
        .await?
    {
        let settings: DeviceSettings = row.json("device_settings")?;
        let mut event = mapping::event(&row)?;
        event.allow_unsigned |= settings.can_search;
        let session = SessionFacts {
            session_active: row.parse::<SessionStatus>("session_status")? == SessionStatus::Active,
            device_status: row.parse::<DeviceStatus>("device_status")?,
            device_scope: row.opt_json("device_scope")?.unwrap_or_default(),
            device_name: row.text("device_name")?,
            event,
            gate: mapping::gate(&row)?,
            rules_since: row.time("rules_since")?,
            counted_since: row.time("counted_since")?,
        };
        let key = (organization, row.id("session_id")?);
        facts.sessions.insert(key, session);
    }
    Ok(())
}

/// Reads the gates of the check-ins by hand, with their events.
async fn load_desks<D: Dialect>(
    organization: OrganizationId,
    batch: &[Attempt],
    facts: &mut BatchFacts,
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    let desks: BTreeSet<GateLookup> = batch
        .iter()
        .filter(|attempt| attempt.scanned_by.session_id().is_none())
        .map(|attempt| GateLookup::new(attempt.event_id, attempt.gate_id))
        .collect();
    if desks.is_empty() {
        return Ok(());
    }
    for row in query::<D>(D::SQL.load_desks)
        .json(&desks)
        .id(organization.as_uuid())
        .fetch_all(connection)
        .await?
    {
        let desk = DeskFacts {
            event: mapping::event(&row)?,
            gate: mapping::gate(&row)?,
            rules_since: row.time("rules_since")?,
            counted_since: row.time("counted_since")?,
        };
        facts
            .desks
            .insert((organization, desk.event.id, desk.gate.id), desk);
    }
    Ok(())
}

/// A recorded scan as a retry needs it.
pub(crate) fn known_scan<D: Dialect>(row: &Row<D>) -> Result<KnownScan, StoreError> {
    let record = mapping::scan(row)?;
    let snapshot: AnswerSnapshot = row.json("shown")?;
    Ok(KnownScan {
        scanned_by: record.scanned_by(),
        payload_sha256: row.bytes("payload_sha256")?,
        direction: record.direction,
        undone: record.undone.is_some(),
        answer: build_answer(&record, &snapshot, Occupancy::default()),
    })
}

fn events(batch: &[Attempt]) -> HashSet<IdLookup> {
    let event = |attempt: &Attempt| IdLookup::new(attempt.event_id.as_uuid());
    batch.iter().map(event).collect()
}

fn tickets(batch: &[Attempt]) -> Vec<TicketLookup> {
    let lookup = |attempt: &Attempt| {
        let claims = match &attempt.verification {
            Verification::Verified(claims) => Some(claims),
            Verification::Denied(denial) => denial.claims.as_ref(),
        };
        claims.map(|claims| TicketLookup::by_code_or_id(claims.ticket_code, claims.ticket_id))
    };
    batch.iter().filter_map(lookup).collect()
}
