//! Records denials that were served from a cache. They are written as they were answered, so no facts are read.
//!
//! Invariants: a scan id that is recorded already is left as it is and is not counted again. The counters of the gates
//! are locked first, as in every batch.

use std::collections::{BTreeMap, HashMap, HashSet};

use sqlx::Connection as _;

use crate::model::{OrganizationId, ScanId, ScanRecord};
use crate::rules::{CountChange, NewScan};
use crate::store::StoreError;
use crate::store::sql::batch::positions_by_organization;
use crate::store::sql::batch::writes::{add_arrivals, add_counts, add_session_counts};
use crate::store::sql::feed::assign_positions;
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
            let group: Vec<&NewScan> = positions
                .into_iter()
                .filter_map(|position| denials.get(position))
                .collect();
            retry_contended("record denials", || self.write_denials_once(organization, &group)).await?;
        }
        Ok(())
    }

    async fn write_denials_once(
        &self,
        organization: OrganizationId,
        denials: &[&NewScan],
    ) -> Result<(), StoreError> {
        let deadline = WriteDeadline::start::<D>();
        let mut connection = deadline.run(self.acquire_writer()).await?;
        let written = deadline
            .run(write_in_transaction::<D>(organization, denials, &mut connection))
            .await;
        self.release_writer(connection, &written);
        written
    }
}

async fn write_in_transaction<D: Dialect>(
    organization: OrganizationId,
    denials: &[&NewScan],
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    let mut transaction = connection.begin_with(D::BEGIN_WRITE).await?;
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
    let mut rows: Vec<_> = rows.collect::<Result<_, _>>()?;
    assign_positions::<D>(organization, &mut rows, &mut transaction).await?;
    let inserted = query::<D>(D::SQL.insert_scans)
        .id(organization.as_uuid())
        .rows(&rows)
        .fetch_all(&mut transaction)
        .await?;
    let inserted: HashSet<ScanId> = inserted
        .iter()
        .map(|row| row.id("scan_id"))
        .collect::<Result<_, StoreError>>()?;
    let records = denials.iter().map(|denial| &denial.record);
    let new: Vec<&ScanRecord> = records
        .filter(|record| inserted.contains(&record.scan_id))
        .collect();
    let mut counts: HashMap<_, CountChange> = HashMap::new();
    let mut sessions = BTreeMap::new();
    for record in &new {
        let gate = (record.event_id, record.gate_id);
        counts.entry(gate).or_default().results.count(record.result);
        if let Some(session) = record.scan_session_id {
            *sessions.entry(session).or_insert(0) += 1;
        }
    }
    add_counts::<D>(organization, counts.into_iter(), &mut transaction).await?;
    add_arrivals::<D>(organization, new.into_iter(), &mut transaction).await?;
    add_session_counts::<D>(organization, sessions.into_iter(), &mut transaction).await?;
    transaction.commit().await?;
    Ok(())
}
