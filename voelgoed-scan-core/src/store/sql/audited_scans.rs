//! Makes entries of the audit log of recorded scans: overrides, and undos.
//!
//! The record tells what happened. Who called, by which request and from where is in `scan_origins`, which the transaction of
//! the scan wrote; what has been entered is deleted there.

use crate::audit::AuditedChange;
use crate::model::{
    AuditAction, AuditActor, AuditChanges, AuditContext, AuditSubject, AuditSubjectKind, DeviceId,
    OrganizationId, ScanId, ScanRecord, Timestamp,
};
use crate::store::sql::audit::take_origin;
use crate::store::sql::devices::find_device;
use crate::store::sql::{Dialect, query, statement};
use crate::store::{AuditedScans, StoreError};

/// An act on a scan that is not entered yet.
pub(super) struct FoundEntry {
    pub(super) scan: ScanId,
    pub(super) change: AuditedChange,
    pub(super) origin: AuditContext,
    pub(super) at: Timestamp,
}

/// What staff did by hand, as a record tells it: the action, its time, the fields, and the device that did it.
struct Act {
    action: AuditAction,
    at: Timestamp,
    changes: AuditChanges,
    device: Option<DeviceId>,
}

/// The acts that a record tells of.
fn acts(record: &ScanRecord) -> Vec<Act> {
    let override_ = AuditedScans::is_override(record).then(|| Act {
        action: AuditAction::ScanOverride,
        at: record.received_at,
        changes: AuditChanges::new().with_context(
            "reason",
            record.would_have_been.map(|outcome| outcome.reason.as_str()),
            record.reason.as_str(),
        ),
        device: Some(record.device_id),
    });
    let undo = record.undone.as_ref().map(|undone| Act {
        action: AuditAction::ScanUndo,
        at: undone.at,
        changes: AuditChanges::new().with("undone", false, true),
        device: undone.device_id,
    });
    override_.into_iter().chain(undo).collect()
}

/// The acts that the records tell of and that are not entered yet.
pub(super) async fn entries_of<D: Dialect>(
    organization: OrganizationId,
    records: &[ScanRecord],
    connection: &mut D::Connection,
) -> Result<Vec<FoundEntry>, StoreError> {
    let mut found: Vec<FoundEntry> = Vec::new();
    for record in records {
        let scan = record.scan_id;
        for act in acts(record) {
            let is_found = |entry: &FoundEntry| entry.scan == scan && entry.change.action == act.action;
            if found.iter().any(is_found)
                || is_entered::<D>(organization, scan, act.action, connection).await?
            {
                continue;
            }
            let origin = match take_origin::<D>(organization, scan, act.action, connection).await? {
                Some(origin) => origin,
                None => {
                    AuditContext::without_request(actor::<D>(organization, act.device, connection).await?)
                }
            };
            found.push(FoundEntry {
                scan,
                change: AuditedChange {
                    action: act.action,
                    subject: AuditSubject::new(AuditSubjectKind::Scan, scan),
                    changes: act.changes,
                },
                origin,
                at: act.at,
            });
        }
    }
    Ok(found)
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

/// The device that a record names. A record of an earlier version names no member.
async fn actor<D: Dialect>(
    organization: OrganizationId,
    device: Option<DeviceId>,
    connection: &mut D::Connection,
) -> Result<AuditActor, StoreError> {
    let Some(id) = device else {
        return Ok(AuditContext::system().actor);
    };
    let device = find_device::<D>(organization, id, connection).await?;
    Ok(device.map_or_else(|| AuditActor::device(id, ""), |device| AuditActor::from(&device)))
}
