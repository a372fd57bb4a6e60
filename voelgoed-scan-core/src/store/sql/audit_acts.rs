//! Overrides, undos and check-ins by hand on their way into the audit log.
//!
//! The transaction that records one keeps it in `pending_audit_acts`, with the call that made it. The transaction that enters it
//! takes the row. So each is entered exactly once, and a scan without an override writes nothing more than before.

use crate::audit::AuditedChange;
use crate::model::{
    AuditAction, AuditActor, AuditChanges, AuditContext, AuditSubject, AuditSubjectKind, OrganizationId,
    ScanId, ScanRecord, ScanResult, Timestamp,
};
use crate::store::StoreError;
use crate::store::sql::scans::find_scan;
use crate::store::sql::{Dialect, query, statement};

/// An act that is entered now.
pub(super) struct Act {
    pub(super) scan: ScanId,
    /// `None` if there is nothing to enter: the scan was deleted, or the act is in the log.
    pub(super) change: Option<AuditedChange>,
    pub(super) by: AuditContext,
    pub(super) at: Timestamp,
}

/// Keeps an override or an undo, in the transaction that records it.
pub(crate) async fn keep_act<D: Dialect>(
    organization: OrganizationId,
    scan: ScanId,
    action: AuditAction,
    by: &AuditContext,
    at: Timestamp,
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    query::<D>(statement!("audit/insert_act.sql"))
        .id(organization.as_uuid())
        .id(scan.as_uuid())
        .text(action.as_str())
        .time(at)
        .text(by.actor.kind.as_str())
        .opt_id(by.actor.id.as_ref())
        .opt_text(by.actor.name.as_deref())
        .opt_text(by.address.map(|address| address.to_string()).as_deref())
        .opt_text(by.request_id.as_deref())
        .execute(connection)
        .await?;
    Ok(())
}

/// Whether a record is an admission that a device forced.
fn is_override(record: &ScanRecord) -> bool {
    record.override_.is_some() && record.result == ScanResult::Valid
}

/// Keeps the override of a scan that this transaction records, if it has one that admitted. Without a known call its device
/// made it.
pub(crate) async fn keep_override<D: Dialect>(
    record: &ScanRecord,
    by: Option<&AuditContext>,
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    if !is_override(record) {
        return Ok(());
    }
    let device = || AuditContext::without_request(AuditActor::device(record.scanned_by(), None));
    let by = by.cloned().unwrap_or_else(device);
    let (action, at) = (AuditAction::ScanOverride, record.received_at);
    keep_act::<D>(
        record.organization_id,
        record.scan_id,
        action,
        &by,
        at,
        connection,
    )
    .await
}

/// Keeps a check-in by hand that this transaction records, whatever its result is.
pub(crate) async fn keep_check_in<D: Dialect>(
    record: &ScanRecord,
    by: Option<&AuditContext>,
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    let (Some(key), Some(by)) = (record.api_key_id, by) else {
        return Ok(());
    };
    debug_assert_eq!(
        by.actor.id,
        Some(*key.as_uuid()),
        "the key that checks in is the caller"
    );
    let (action, at) = (AuditAction::ScanCheckIn, record.received_at);
    keep_act::<D>(record.organization_id, record.scan_id, action, by, at, connection).await
}

/// Takes the oldest acts of an organization, at most `limit`.
pub(super) async fn take_acts<D: Dialect>(
    organization: OrganizationId,
    limit: u16,
    connection: &mut D::Connection,
) -> Result<Vec<Act>, StoreError> {
    let rows = query::<D>(statement!("audit/pending_acts.sql"))
        .id(organization.as_uuid())
        .int(limit.into())
        .fetch_all(connection)
        .await?;
    let mut acts = Vec::with_capacity(rows.len());
    for row in rows {
        let (scan, action) = (row.id("scan_id")?, row.parse("action")?);
        acts.extend(take_act::<D>(organization, scan, action, connection).await?);
    }
    Ok(acts)
}

/// `None` if another node has taken the act meanwhile.
async fn take_act<D: Dialect>(
    organization: OrganizationId,
    scan: ScanId,
    action: AuditAction,
    connection: &mut D::Connection,
) -> Result<Option<Act>, StoreError> {
    let row = query::<D>(statement!("audit/take_act.sql"))
        .id(organization.as_uuid())
        .id(scan.as_uuid())
        .text(action.as_str())
        .fetch_optional(connection)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let change = if is_entered::<D>(organization, scan, action, connection).await? {
        None
    } else {
        // The event, and the record with it, may have been deleted meanwhile. The act remains one.
        let record = find_scan::<D>(organization, scan, connection).await?;
        Some(change(action, scan, record.as_ref()))
    };
    Ok(Some(Act {
        scan,
        change,
        by: AuditContext {
            actor: AuditActor {
                kind: row.parse("actor_kind")?,
                id: row.opt_id("actor_id")?,
                name: row.opt_text("actor_name")?,
            },
            address: row.opt_parse("address")?,
            request_id: row.opt_text("request_id")?,
        },
        at: row.time("recorded_at")?,
    }))
}

/// What the entry of an act on a scan shows.
fn change(action: AuditAction, scan: ScanId, record: Option<&ScanRecord>) -> AuditedChange {
    let changes = match (action, record) {
        (AuditAction::ScanUndo, _) => AuditChanges::new().with("undone", false, true),
        (_, Some(record)) => AuditChanges::new().with_context(
            "reason",
            record.would_have_been.map(|outcome| outcome.reason.as_str()),
            record.reason.as_str(),
        ),
        (_, None) => AuditChanges::new(),
    };
    AuditedChange {
        action,
        subject: AuditSubject::new(AuditSubjectKind::Scan, scan),
        changes,
    }
}

async fn is_entered<D: Dialect>(
    organization: OrganizationId,
    scan: ScanId,
    action: AuditAction,
    connection: &mut D::Connection,
) -> Result<bool, StoreError> {
    let row = query::<D>(statement!("audit/find_of_scan.sql"))
        .id(organization.as_uuid())
        .id(scan.as_uuid())
        .text(action.as_str())
        .fetch_optional(connection)
        .await?;
    Ok(row.is_some())
}
