//! Records a batch of scans. The scans of each organization are recorded on their own. First admissions go through the fast path (`first_admission`) where the database has one.
//! All other scans take one transaction: lock, read the facts of all scans, decide, write the results of all scans.

pub(crate) mod facts;
pub(crate) mod writes;

use std::collections::BTreeMap;

use sqlx::Connection as _;
use tracing::Instrument as _;

use crate::model::{Attempt, AuditContext, OrganizationId, Recorded, RuleSettings};
use crate::rules::{NewScan, decide_batch, decide_dry_run};
use crate::spans::span;
use crate::store::StoreError;
use crate::store::sql::audit_acts::{keep_check_in, keep_override};
use crate::store::sql::retry::retry_contended;
use crate::store::sql::write_deadline::WriteDeadline;
use crate::store::sql::{Dialect, Sql};

impl<D: Dialect> Sql<D> {
    /// Decides and records a batch, and returns one result a scan, in the order of the batch.
    pub(crate) async fn record_batch(
        &self,
        batch: &[Attempt],
        rules: &RuleSettings,
    ) -> Result<Vec<Recorded>, StoreError> {
        let groups = positions_by_organization(batch.iter().map(|attempt| attempt.organization_id));
        if groups.len() <= 1 {
            return self.record_of_organization(batch, rules).await;
        }
        let mut recorded = BTreeMap::new();
        for positions in groups.into_values() {
            let group: Vec<Attempt> = positions
                .iter()
                .filter_map(|position| batch.get(*position).cloned())
                .collect();
            let results = match self.record_of_organization(&group, rules).await {
                Ok(results) => results,
                // Other groups may be committed, so the whole batch does not fail.
                Err(StoreError::Failed { .. }) => self.decide_one_by_one(&group, rules).await,
                Err(error) => group.iter().map(|_| not_recorded(&error)).collect(),
            };
            recorded.extend(positions.into_iter().zip(results));
        }
        Ok(recorded.into_values().collect())
    }

    /// Records a batch whose scans are of one organization.
    async fn record_of_organization(
        &self,
        batch: &[Attempt],
        rules: &RuleSettings,
    ) -> Result<Vec<Recorded>, StoreError> {
        let first = span!("db.admit_first", scans = batch.len());
        let admitted = self.admit_first(batch).instrument(first).await?;
        let rest: Vec<Attempt> = batch
            .iter()
            .zip(&admitted)
            .filter(|(_, recorded)| recorded.is_none())
            .map(|(attempt, _)| attempt.clone())
            .collect();
        let decided = match self.decide_and_write(&rest, rules).await {
            Ok(decided) => decided,
            Err(error) if rest.len() == batch.len() => return Err(error),
            // The admissions of the fast path are committed, so they are returned whatever happens to the rest.
            Err(StoreError::Failed { .. }) => self.decide_one_by_one(&rest, rules).await,
            Err(error) => rest.iter().map(|_| not_recorded(&error)).collect(),
        };
        let mut decided = decided.into_iter();
        Ok(admitted
            .into_iter()
            .filter_map(|recorded| recorded.or_else(|| decided.next()))
            .collect())
    }

    /// Decides and records scans one by one, so that a scan that cannot be written fails alone. Those after the first that
    /// finds the database unavailable share its error, as each would wait for it again.
    async fn decide_one_by_one(&self, batch: &[Attempt], rules: &RuleSettings) -> Vec<Recorded> {
        let mut recorded = Vec::with_capacity(batch.len());
        for attempt in batch {
            match self.decide_and_write(std::slice::from_ref(attempt), rules).await {
                Ok(one) => recorded.extend(one),
                Err(error @ StoreError::Unavailable { .. }) => {
                    recorded.resize(batch.len(), not_recorded(&error));
                    break;
                }
                Err(error) => recorded.push(not_recorded(&error)),
            }
        }
        recorded
    }

    /// Decides and records scans of one organization in one transaction.
    async fn decide_and_write(
        &self,
        batch: &[Attempt],
        rules: &RuleSettings,
    ) -> Result<Vec<Recorded>, StoreError> {
        let Some(organization) = batch.first().map(|attempt| attempt.organization_id) else {
            return Ok(Vec::new());
        };
        let span = span!("db.decide", scans = batch.len());
        retry_contended("record scans", || {
            self.decide_and_write_once(organization, batch, rules)
        })
        .instrument(span)
        .await
    }

    async fn decide_and_write_once(
        &self,
        organization: OrganizationId,
        batch: &[Attempt],
        rules: &RuleSettings,
    ) -> Result<Vec<Recorded>, StoreError> {
        self.check_files()?;
        let deadline = WriteDeadline::start::<D>();
        let mut connection = deadline.connect(self.acquire_writer()).await?;
        let recorded = deadline
            .run(decide_in_transaction::<D>(
                self.transactions.write,
                organization,
                batch,
                rules,
                &mut connection,
            ))
            .await;
        self.release_writer(connection, &recorded);
        // The commit may have gone to a file that nobody will find again.
        self.check_files()?;
        recorded
    }

    /// Decides one scan and writes nothing.
    pub(crate) async fn decide_dry_run(
        &self,
        attempt: &Attempt,
        rules: &RuleSettings,
    ) -> Result<Recorded, StoreError> {
        let mut connection = self.read().await?;
        let batch = std::slice::from_ref(attempt);
        let facts = facts::load::<D>(attempt.organization_id, batch, &mut connection).await?;
        Ok(decide_dry_run(attempt, facts, rules))
    }
}

/// The positions of the rows of each organization. A statement reads and writes the rows of one organization.
pub(crate) fn positions_by_organization(
    organizations: impl Iterator<Item = OrganizationId>,
) -> BTreeMap<OrganizationId, Vec<usize>> {
    let mut positions: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for (position, organization) in organizations.enumerate() {
        positions.entry(organization).or_default().push(position);
    }
    positions
}

fn not_recorded(error: &StoreError) -> Recorded {
    Recorded::NotRecorded {
        reason: error.to_string(),
        is_temporary: error.is_temporary(),
    }
}

async fn decide_in_transaction<D: Dialect>(
    begin: &'static str,
    organization: OrganizationId,
    batch: &[Attempt],
    rules: &RuleSettings,
    connection: &mut D::Connection,
) -> Result<Vec<Recorded>, StoreError> {
    let mut transaction = connection.begin_with(begin).await?;
    facts::lock::<D>(organization, batch, &mut transaction).await?;
    let facts = facts::load::<D>(organization, batch, &mut transaction).await?;
    let (recorded, writes) = decide_batch(batch, facts, rules);
    writes::apply::<D>(organization, &writes, &mut transaction).await?;
    for scan in &writes.scans {
        let origin = origin_of(batch, scan);
        keep_override::<D>(&scan.record, origin, &mut transaction).await?;
        keep_check_in::<D>(&scan.record, origin, &mut transaction).await?;
    }
    transaction.commit().await?;
    Ok(recorded)
}

/// The call that sent a scan with an override, or that checked a ticket in by hand.
fn origin_of<'a>(batch: &'a [Attempt], scan: &NewScan) -> Option<&'a AuditContext> {
    if scan.record.override_.is_none() && scan.record.api_key_id.is_none() {
        return None;
    }
    let attempt = batch
        .iter()
        .find(|attempt| attempt.scan_id == scan.record.scan_id)?;
    attempt.origin.as_deref()
}
