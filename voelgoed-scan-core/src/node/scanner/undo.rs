//! Undoes an admission that was a mistake.

use std::time::Duration;

use super::{ScanError, Scanner};
use crate::bus::Message;
use crate::model::{
    AuditContext, DeviceId, OrganizationId, ReasonText, ScanId, ScanRecord, ScanResult, Timestamp,
};
use crate::node::cache::scan_ids::ScanClaim;
use crate::store::{UndoOutcome, UndoPermission};

/// The age up to which a device may undo its own scans.
const MAX_DEVICE_UNDO_AGE: Duration = Duration::from_mins(15);

/// The caller who requests an undo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UndoActor {
    /// A device.
    Device(DeviceId),
    /// A member of the organization with the role staff or above.
    Member,
}

impl Scanner {
    /// Undoes an open admission and returns its record. A repeated request gets the same answer. The audit log names `origin`.
    pub async fn undo(
        &self,
        organization: OrganizationId,
        scan: ScanId,
        by: UndoActor,
        reason: &ReasonText,
        origin: &AuditContext,
        now: Timestamp,
    ) -> Result<ScanRecord, ScanError> {
        let by = match by {
            UndoActor::Device(device) => UndoPermission::Device(device, MAX_DEVICE_UNDO_AGE),
            UndoActor::Member => UndoPermission::Member,
        };
        let (store, rules) = (self.store(), &self.0.rules);
        self.claim_ticket_of(organization, scan).await?;
        let mut outcome = store
            .undo(organization, scan, by, reason, origin, now, rules)
            .await?;
        if outcome.is_none() {
            // The scan may be a denial that was answered from a cache and is not written yet.
            self.0.write_queue.flush(organization).await;
            outcome = store
                .undo(organization, scan, by, reason, origin, now, rules)
                .await?;
        }
        match outcome.ok_or(ScanError::NotFound)? {
            UndoOutcome::Undone {
                record,
                ticket,
                again,
            } => {
                if let Some(ticket) = ticket {
                    // Also on a repeated request: the first one may have been cancelled before the invalidation.
                    let changed = [(ticket.ticket.code, ticket.version)];
                    self.0
                        .invalidator
                        .tickets_changed(organization, &changed, now)
                        .await;
                }
                if !again {
                    self.0
                        .occupancy_cache
                        .remove_event((organization, record.event_id));
                    self.scans_changed(&[&*record], now);
                    self.0
                        .invalidator
                        .publisher
                        .publish(Message::Scan(record.clone()));
                }
                Ok(*record)
            }
            UndoOutcome::NotOpen => Err(ScanError::NotOpen),
            UndoOutcome::NotAllowed => Err(ScanError::NotAllowed),
        }
    }

    /// Claims the ticket of an admission on all nodes. After the undo the ticket admits again, and a cache that has denied it
    /// before must have that on record.
    async fn claim_ticket_of(&self, organization: OrganizationId, scan: ScanId) -> Result<(), ScanError> {
        if self.0.claims.is_alone() {
            return Ok(());
        }
        let known = self.store().find_scan_for_retry(organization, scan).await?;
        let admitted = known.filter(|known| known.answer.result == ScanResult::Valid && !known.undone);
        let Some(ticket) = admitted.and_then(|known| known.answer.ticket) else {
            return Ok(());
        };
        let claim = ScanClaim {
            organization,
            scan_ids: Vec::new(),
            ticket_codes: vec![ticket.code],
        };
        Ok(self.0.claims.claim(&claim).await?)
    }
}
