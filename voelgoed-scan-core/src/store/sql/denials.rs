//! How are denials recorded that a tier has answered? As they are: nothing is left to decide, so nothing is read.
//!
//! Invariants: a scan id that is on record stays as it is, and is not counted again; the counters of the gates are
//! locked first, in the order of every batch.

use std::collections::{BTreeMap, HashMap, HashSet};

use sqlx::Connection as _;

use crate::model::{OrganizationId, ScanId, ScanRecord};
use crate::rules::{CountChange, NewScan};
use crate::store::StoreError;
use crate::store::sql::batch::{Pair, SessionRow, add_arrivals, add_counts, hex};
use crate::store::sql::deadline::Deadline;
use crate::store::sql::scan_row::ScanRow;
use crate::store::sql::{Dialect, Sql, query};

/// How often denials are written again that others were in the way of.
const MOST_TRIES: usize = 8;

impl<D: Dialect> Sql<D> {
    pub(crate) async fn note_denials(&self, denials: &[NewScan]) -> Result<(), StoreError> {
        if denials.is_empty() {
            return Ok(());
        }
        let mut tries = 1;
        loop {
            let deadline = Deadline::of::<D>();
            let mut connection = deadline.meet(self.recorder()).await?;
            match deadline.meet(note_on::<D>(denials, &mut connection)).await {
                Err(StoreError::Contended { reason }) if tries < MOST_TRIES => {
                    tracing::debug!(reason, tries, "writing denials again");
                }
                Err(error @ StoreError::Unavailable { .. }) => {
                    // It may be in the middle of anything, and nobody may be at its other end.
                    connection.close_on_drop();
                    return Err(error);
                }
                done => {
                    if done.is_ok() {
                        self.keep(connection);
                    }
                    return done;
                }
            }
            tries += 1;
        }
    }
}

async fn note_on<D: Dialect>(denials: &[NewScan], connection: &mut D::Connection) -> Result<(), StoreError> {
    let mut transaction = connection.begin_with(D::BEGIN_WRITE).await?;
    if let Some(sql) = D::SQL.lock_occupancy {
        let events: HashSet<Pair> = denials
            .iter()
            .map(|one| Pair::of(one.record.organization_id, one.record.event_id.as_uuid()))
            .collect();
        query::<D>(sql).json(&events).fetch_all(&mut transaction).await?;
    }
    let rows = denials.iter().map(ScanRow::of);
    let rows: Vec<_> = rows.collect::<Result<_, _>>()?;
    let inserted = query::<D>(D::SQL.insert_scans)
        .rows(&rows)
        .fetch_all(&mut transaction)
        .await?;
    let inserted: HashSet<(OrganizationId, ScanId)> = inserted
        .iter()
        .map(|row| Ok((row.id("organization_id")?, row.id("scan_id")?)))
        .collect::<Result<_, StoreError>>()?;
    let records = denials.iter().map(|one| &one.record);
    let new: Vec<&ScanRecord> = records
        .filter(|record| inserted.contains(&(record.organization_id, record.scan_id)))
        .collect();
    let mut counts: HashMap<_, CountChange> = HashMap::new();
    let mut sessions = BTreeMap::new();
    for record in &new {
        let organization = record.organization_id;
        let gate = (organization, record.event_id, record.gate_id);
        counts.entry(gate).or_default().results.count(record.result);
        if let Some(session) = record.scan_session_id {
            *sessions.entry((organization, session)).or_insert(0) += 1;
        }
    }
    add_counts::<D>(counts.into_iter(), &mut transaction).await?;
    add_arrivals::<D>(new.into_iter(), &mut transaction).await?;
    let row = |((organization, session), n): ((OrganizationId, crate::model::SessionId), i64)| SessionRow {
        o: hex(organization.as_uuid()),
        s: hex(session.as_uuid()),
        n,
    };
    let sessions: Vec<_> = sessions.into_iter().map(row).collect();
    query::<D>(D::SQL.add_session_counts)
        .json(&sessions)
        .execute(&mut transaction)
        .await?;
    transaction.commit().await?;
    Ok(())
}
