//! Records denials that were served from a cache. They are written as they were answered, so no facts are read.
//!
//! Invariants: a scan id that is recorded already is left as it is and is not counted again. The counters of the gates
//! are locked first, as in every batch.

use std::collections::{BTreeMap, HashMap, HashSet};

use sqlx::Connection as _;

use crate::model::{OrganizationId, ScanId};
use crate::rules::{CountChange, NewScan};
use crate::store::StoreError;
use crate::store::sql::batch::positions_by_organization;
use crate::store::sql::batch::writes::{add_arrivals, add_counts, add_session_counts};
use crate::store::sql::feed::append_scans;
use crate::store::sql::lookup::IdLookup;
use crate::store::sql::retry::retry_contended;
use crate::store::sql::scan_row::ScanRow;
use crate::store::sql::write_deadline::WriteDeadline;
use crate::store::sql::{Dialect, Sql, query};

impl<D: Dialect> Sql<D> {
    pub(crate) async fn write_denials(&self, denials: &[NewScan]) -> Result<(), StoreError> {
        let organizations = denials.iter().map(|denial| denial.record.organization_id);
        // Where a later group fails, the caller may write all of them again: the ids that are recorded are left alone.
        for (organization, positions) in positions_by_organization(organizations) {
            let mut ids = HashSet::new();
            let mut group: Vec<&NewScan> = positions
                .into_iter()
                .filter_map(|position| denials.get(position))
                .filter(|denial| ids.insert(denial.record.scan_id))
                .collect();
            while !group.is_empty() {
                let written =
                    retry_contended("record denials", || self.write_denials_once(organization, &group));
                match written.await? {
                    Written::All => break,
                    Written::None { new } => group.retain(|denial| new.contains(&denial.record.scan_id)),
                }
            }
        }
        Ok(())
    }

    async fn write_denials_once(
        &self,
        organization: OrganizationId,
        denials: &[&NewScan],
    ) -> Result<Written, StoreError> {
        let deadline = WriteDeadline::start::<D>();
        let mut connection = deadline.connect(self.acquire_writer()).await?;
        let written = deadline
            .run(write_in_transaction::<D>(
                self.transactions.write,
                organization,
                denials,
                &mut connection,
            ))
            .await;
        self.release_writer(connection, &written);
        written
    }
}

/// The result of writing denials.
enum Written {
    /// All are recorded.
    All,
    /// Some ids were recorded already, so nothing was written: the feed must not have them twice.
    None {
        /// The ids that were not recorded.
        new: HashSet<ScanId>,
    },
}

async fn write_in_transaction<D: Dialect>(
    begin: &'static str,
    organization: OrganizationId,
    denials: &[&NewScan],
    connection: &mut D::Connection,
) -> Result<Written, StoreError> {
    let mut transaction = connection.begin_with(begin).await?;
    if let Some(sql) = D::SQL.lock_occupancy {
        let events: HashSet<IdLookup> = denials
            .iter()
            .map(|denial| IdLookup::new(denial.record.event_id.as_uuid()))
            .collect();
        query::<D>(sql)
            .json(&events)
            .id(organization.as_uuid())
            .fetch_all(&mut transaction)
            .await?;
    }
    let rows = denials.iter().map(|denial| ScanRow::new(denial));
    let rows: Vec<_> = rows.collect::<Result<_, _>>()?;
    let records = || denials.iter().map(|denial| &denial.record);
    append_scans::<D>(organization, records(), &mut transaction).await?;
    let inserted = query::<D>(D::SQL.insert_scans)
        .id(organization.as_uuid())
        .rows(&rows)
        .fetch_all(&mut transaction)
        .await?;
    if inserted.len() < denials.len() {
        let ids = inserted.iter().map(|row| row.id("scan_id"));
        let new = ids.collect::<Result<_, StoreError>>()?;
        transaction.rollback().await?;
        return Ok(Written::None { new });
    }
    let mut counts: HashMap<_, CountChange> = HashMap::new();
    let mut sessions = BTreeMap::new();
    for record in records() {
        let gate = (record.event_id, record.gate_id);
        counts.entry(gate).or_default().results.count(record.result);
        if let Some(session) = record.scan_session_id {
            *sessions.entry(session).or_insert(0) += 1;
        }
    }
    add_counts::<D>(organization, counts.into_iter(), &mut transaction).await?;
    add_arrivals::<D>(organization, records(), &mut transaction).await?;
    add_session_counts::<D>(organization, sessions.into_iter(), &mut transaction).await?;
    transaction.commit().await?;
    Ok(Written::All)
}
