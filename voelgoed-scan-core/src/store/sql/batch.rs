//! How does a batch of scans meet the database? One transaction: lock, read the facts of all, decide, write all.

use std::collections::{BTreeMap, HashSet};

use serde::Serialize;
use sqlx::Connection as _;

use crate::model::{
    AnswerSnapshot, Attempt, DeviceStatus, EventId, GateId, Occupancy, OrganizationId, Recorded,
    RuleSettings, SessionStatus, TicketFacts, Verification,
};
use crate::rules::{
    BatchFacts, BatchWrites, CountChange, KnownScan, SessionFacts, build_answer, decide_batch,
};
use crate::store::StoreError;
use crate::store::sql::deadline::Deadline;
use crate::store::sql::scan_row::ScanRow;
use crate::store::sql::{Dialect, Sql, query, row};

/// An identifier as the set-based statements read it: 32 hexadecimal digits.
pub(crate) fn hex(id: &uuid::Uuid) -> String {
    id.simple().to_string()
}

#[derive(Serialize, PartialEq, Eq, Hash)]
pub(crate) struct Pair {
    /// The organization.
    o: String,
    /// What is meant.
    k: String,
}

impl Pair {
    pub(crate) fn of(organization: OrganizationId, what: &uuid::Uuid) -> Self {
        Self {
            o: hex(organization.as_uuid()),
            k: hex(what),
        }
    }
}

#[derive(Serialize)]
struct TicketKey {
    o: String,
    /// The code.
    #[serde(skip_serializing_if = "Option::is_none")]
    c: Option<String>,
    /// The ticket's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    i: Option<String>,
}

/// How often a batch is written again that others were in the way of.
const MOST_TRIES: usize = 8;

impl<D: Dialect> Sql<D> {
    /// Decides and records a batch: what is plainly admissible in one statement, where the database has one, and the
    /// rest in one transaction.
    pub(crate) async fn record_batch(
        &self,
        batch: &[Attempt],
        rules: &RuleSettings,
    ) -> Result<Vec<Recorded>, StoreError> {
        let fresh = self.admit_fresh(batch).await?;
        let left = batch
            .iter()
            .zip(&fresh)
            .filter(|(_, recorded)| recorded.is_none());
        let left: Vec<Attempt> = left.map(|(attempt, _)| attempt.clone()).collect();
        let judged = match self.judge_batch(&left, rules).await {
            Ok(judged) => judged,
            Err(error) if left.len() == batch.len() => return Err(error),
            // What was admitted is on disk already and must be answered so, whatever becomes of the rest.
            Err(StoreError::Failed { .. }) => self.judge_each(&left, rules).await,
            Err(error) => left.iter().map(|_| not_recorded(&error)).collect(),
        };
        let mut judged = judged.into_iter();
        Ok(fresh
            .into_iter()
            .filter_map(|recorded| recorded.or_else(|| judged.next()))
            .collect())
    }

    /// Decides and records scans one by one: a bad one fails alone.
    async fn judge_each(&self, batch: &[Attempt], rules: &RuleSettings) -> Vec<Recorded> {
        let mut recorded = Vec::with_capacity(batch.len());
        for attempt in batch {
            match self.judge_batch(std::slice::from_ref(attempt), rules).await {
                Ok(one) => recorded.extend(one),
                Err(error) => recorded.push(not_recorded(&error)),
            }
        }
        recorded
    }

    /// Decides and records a batch in one transaction.
    async fn judge_batch(
        &self,
        batch: &[Attempt],
        rules: &RuleSettings,
    ) -> Result<Vec<Recorded>, StoreError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let mut tries = 1;
        loop {
            match self.judge_once(batch, rules).await {
                Ok(Some(recorded)) => return Ok(recorded),
                // Another node took one of these scan ids in between: it is known now.
                Ok(None) => {}
                Err(StoreError::Contended { reason }) if tries < MOST_TRIES => {
                    tracing::debug!(reason, tries, "writing a batch again");
                }
                Err(error) => return Err(error),
            }
            tries += 1;
        }
    }

    async fn judge_once(
        &self,
        batch: &[Attempt],
        rules: &RuleSettings,
    ) -> Result<Option<Vec<Recorded>>, StoreError> {
        let deadline = Deadline::of::<D>();
        let mut connection = deadline.meet(self.recorder()).await?;
        let judged = deadline.meet(judge_on::<D>(batch, rules, &mut connection)).await;
        match judged {
            Ok(_) => self.keep(connection),
            // It may be in the middle of anything, and nobody may be at its other end.
            Err(StoreError::Unavailable { .. }) => connection.close_on_drop(),
            Err(_) => {}
        }
        judged
    }

    /// Decides one scan and writes nothing.
    pub(crate) async fn preview_one(
        &self,
        attempt: &Attempt,
        rules: &RuleSettings,
    ) -> Result<Recorded, StoreError> {
        let mut connection = self.read().await?;
        let batch = std::slice::from_ref(attempt);
        let facts = load::<D>(batch, &mut connection).await?;
        let (recorded, _) = decide_batch(batch, facts, rules);
        recorded.into_iter().next().ok_or_else(|| StoreError::Failed {
            reason: "one scan, no answer".to_owned(),
        })
    }
}

fn not_recorded(error: &StoreError) -> Recorded {
    Recorded::NotRecorded {
        reason: error.to_string(),
    }
}

async fn judge_on<D: Dialect>(
    batch: &[Attempt],
    rules: &RuleSettings,
    connection: &mut D::Connection,
) -> Result<Option<Vec<Recorded>>, StoreError> {
    let mut transaction = connection.begin_with(D::BEGIN_WRITE).await?;
    lock::<D>(batch, &mut transaction).await?;
    let facts = load::<D>(batch, &mut transaction).await?;
    let (recorded, writes) = decide_batch(batch, facts, rules);
    if apply::<D>(&writes, &mut transaction).await? {
        transaction.commit().await?;
        return Ok(Some(recorded));
    }
    transaction.rollback().await?;
    Ok(None)
}

async fn lock<D: Dialect>(batch: &[Attempt], connection: &mut D::Connection) -> Result<(), StoreError> {
    if let Some(sql) = D::SQL.lock_occupancy {
        query::<D>(sql).json(&events(batch)).fetch_all(connection).await?;
    }
    if let Some(sql) = D::SQL.lock_tickets {
        query::<D>(sql)
            .json(&tickets(batch))
            .fetch_all(connection)
            .await?;
    }
    Ok(())
}

fn events(batch: &[Attempt]) -> HashSet<Pair> {
    let pair = |one: &Attempt| Pair::of(one.organization_id, one.event_id.as_uuid());
    batch.iter().map(pair).collect()
}

fn tickets(batch: &[Attempt]) -> Vec<TicketKey> {
    let claims = batch.iter().filter_map(|attempt| match &attempt.verification {
        Verification::Verified(claims) => Some((attempt.organization_id, claims)),
        Verification::Denied(_) => None,
    });
    claims
        .map(|(organization, claims)| TicketKey {
            o: hex(organization.as_uuid()),
            c: claims.ticket_code.map(|code| code.to_string()),
            i: claims
                .ticket_id
                .filter(|_| claims.ticket_code.is_none())
                .map(|id| hex(id.as_uuid())),
        })
        .collect()
}

async fn load<D: Dialect>(
    batch: &[Attempt],
    connection: &mut D::Connection,
) -> Result<BatchFacts, StoreError> {
    let mut facts = BatchFacts::default();
    let scans: Vec<Pair> = batch
        .iter()
        .map(|one| Pair::of(one.organization_id, one.scan_id.as_uuid()))
        .collect();
    for row in query::<D>(D::SQL.known_scans)
        .json(&scans)
        .fetch_all(connection)
        .await?
    {
        let known = known_scan(&row)?;
        facts
            .known_scans
            .insert((row.id("x_organization_id")?, row.id("x_scan_id")?), known);
    }
    let sessions: HashSet<Pair> = batch
        .iter()
        .map(|one| Pair::of(one.organization_id, one.session_id.as_uuid()))
        .collect();
    for row in query::<D>(D::SQL.posts)
        .json(&sessions)
        .fetch_all(connection)
        .await?
    {
        let post = SessionFacts {
            session_active: row.parse::<SessionStatus>("session_status")? == SessionStatus::Active,
            device_status: row.parse::<DeviceStatus>("device_status")?,
            device_name: row.text("device_name")?,
            event: row::event(&row)?,
            gate: row::gate(&row)?,
        };
        facts
            .sessions
            .insert((post.event.organization_id, row.id("session_id")?), post);
    }
    let keys = tickets(batch);
    if !keys.is_empty() {
        for row in query::<D>(D::SQL.tickets)
            .json(&keys)
            .fetch_all(connection)
            .await?
        {
            facts.add_ticket(row::ticket(&row)?);
        }
    }
    for row in query::<D>(D::SQL.occupancy)
        .json(&events(batch))
        .fetch_all(connection)
        .await?
    {
        let organization: OrganizationId = row.id("organization_id")?;
        let gate: GateId = row.id("gate_id")?;
        let inside = row.int("entries")? - row.int("exits")?;
        facts
            .inside
            .entry((organization, row.id("event_id")?))
            .or_default()
            .insert(gate, inside);
    }
    Ok(facts)
}

/// A scan as its retry needs it; reads the payload's columns besides the record's.
pub(crate) fn known_scan<D: Dialect>(row: &crate::store::sql::Row<D>) -> Result<KnownScan, StoreError> {
    let record = row::scan(row)?;
    let shown: AnswerSnapshot = row.json("shown")?;
    Ok(KnownScan {
        device_id: record.device_id,
        payload_sha256: row.bytes("payload_sha256")?,
        direction: record.direction,
        undone: record.undone.is_some(),
        answer: build_answer(&record, &shown, Occupancy::default()),
    })
}

/// Writes; false where a scan id had been taken since the facts were read.
async fn apply<D: Dialect>(writes: &BatchWrites, connection: &mut D::Connection) -> Result<bool, StoreError> {
    if writes.scans.is_empty() {
        return Ok(true);
    }
    let rows = writes.scans.iter().map(ScanRow::of);
    let rows: Vec<_> = rows.collect::<Result<_, _>>()?;
    let inserted = query::<D>(D::SQL.insert_scans)
        .rows(&rows)
        .execute(connection)
        .await?;
    if inserted != rows.len() as u64 {
        return Ok(false);
    }
    update_tickets::<D>(&writes.tickets, connection).await?;
    let counts = writes.counts.iter().map(|(place, change)| (*place, *change));
    add_counts::<D>(counts, connection).await?;
    add_arrivals::<D>(writes.scans.iter().map(|scan| &scan.record), connection).await?;
    let sessions: Vec<_> = writes
        .sessions
        .iter()
        .map(|((organization, session), scans)| SessionRow {
            o: hex(organization.as_uuid()),
            s: hex(session.as_uuid()),
            n: *scans,
        })
        .collect();
    query::<D>(D::SQL.add_session_counts)
        .json(&sessions)
        .execute(connection)
        .await?;
    Ok(true)
}

/// How many milliseconds an arrivals row covers.
pub(crate) const SLOT_MILLIS: i64 = 5_000;

#[derive(Serialize)]
struct ArrivalsRow {
    o: String,
    e: String,
    slot: i64,
    n: i64,
}

/// Adds new scans to the arrivals of their events.
pub(crate) async fn add_arrivals<D: Dialect>(
    records: impl Iterator<Item = &crate::model::ScanRecord>,
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    let mut by_slot = BTreeMap::new();
    for record in records {
        let slot = record.scanned_at.as_millis().div_euclid(SLOT_MILLIS);
        *by_slot
            .entry((record.organization_id, record.event_id, slot))
            .or_insert(0) += 1;
    }
    let row = |((organization, event, slot), n): ((OrganizationId, EventId, i64), i64)| ArrivalsRow {
        o: hex(organization.as_uuid()),
        e: hex(event.as_uuid()),
        slot,
        n,
    };
    let rows: Vec<_> = by_slot.into_iter().map(row).collect();
    query::<D>(D::SQL.add_arrivals)
        .json(&rows)
        .execute(connection)
        .await?;
    Ok(())
}

/// Writes what scans change on tickets.
pub(crate) async fn update_tickets<D: Dialect>(
    tickets: &[TicketFacts],
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    if tickets.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = tickets.iter().map(TicketRow::of).collect::<Result<_, _>>()?;
    query::<D>(D::SQL.update_tickets)
        .json(&rows)
        .execute(connection)
        .await?;
    Ok(())
}

#[derive(Serialize)]
struct CountRow {
    o: String,
    e: String,
    g: String,
    entries: i64,
    exits: i64,
    #[serde(flatten)]
    results: crate::model::ResultCounts,
}

/// Adds to the counters of gates.
pub(crate) async fn add_counts<D: Dialect>(
    counts: impl Iterator<Item = ((OrganizationId, EventId, GateId), CountChange)>,
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    let row =
        |((organization, event, gate), change): ((OrganizationId, EventId, GateId), CountChange)| CountRow {
            o: hex(organization.as_uuid()),
            e: hex(event.as_uuid()),
            g: hex(gate.as_uuid()),
            entries: change.entries,
            exits: change.exits,
            results: change.results,
        };
    let rows: Vec<_> = counts.map(row).collect();
    if rows.is_empty() {
        return Ok(());
    }
    query::<D>(D::SQL.add_counts)
        .json(&rows)
        .execute(connection)
        .await?;
    Ok(())
}

#[derive(Serialize)]
pub(crate) struct SessionRow {
    pub(crate) o: String,
    pub(crate) s: String,
    pub(crate) n: i64,
}

#[derive(Serialize)]
struct TicketRow<'a> {
    o: String,
    i: String,
    status: &'a str,
    scan_count: u32,
    ledger: String,
    version: i64,
    updated_at: i64,
}

impl<'a> TicketRow<'a> {
    fn of(facts: &'a TicketFacts) -> Result<Self, StoreError> {
        let ticket = &facts.ticket;
        Ok(Self {
            o: hex(ticket.organization_id.as_uuid()),
            i: hex(ticket.id.as_uuid()),
            status: ticket.status.as_str(),
            scan_count: ticket.scan_count,
            ledger: text(&facts.ledger)?,
            version: facts.version,
            updated_at: ticket.updated_at.as_millis(),
        })
    }
}

/// A value as JSON.
pub(crate) fn text<T: Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Failed {
        reason: error.to_string(),
    })
}
