//! Checks a ticket in by hand: a member of the organization has found it, and nobody scans its code.
//!
//! Invariants: it is decided and recorded as a scan at that gate is, by the database in the write queue; no cache answers it.

use std::sync::Arc;

use super::{ScanError, Scanner};
use crate::model::{
    ApiKey, Attempt, AuditContext, CheckInRequest, Claims, EventId, Metadata, Reading, ScanAnswer, ScanId,
    ScannedBy, TicketCode, Timestamp, Verification,
};
use crate::token::{Payload, fingerprint};

impl Scanner {
    /// Checks a ticket in at a gate at `now`, the server's clock. [`ScanError::NotFound`] where the event has no such ticket
    /// or no such gate.
    pub async fn check_in(
        &self,
        key: &ApiKey,
        event: EventId,
        code: TicketCode,
        request: &CheckInRequest,
        origin: AuditContext,
        now: Timestamp,
    ) -> Result<ScanAnswer, ScanError> {
        let organization = key.organization_id;
        let (store, gate) = (self.store(), request.gate_id);
        if store.ticket(organization, event, code).await?.is_none() {
            return Err(ScanError::NotFound);
        }
        let gate = store
            .gate(organization, event, gate)
            .await?
            .ok_or(ScanError::NotFound)?;
        let reading = Reading::TicketCode(code.to_string());
        let payload = Payload::parse_reading(&reading).ok();
        let attempt = Box::new(Attempt {
            scan_id: request.scan_id.unwrap_or_else(|| ScanId::generate(now)),
            organization_id: organization,
            scanned_by: ScannedBy::Desk {
                api_key_id: key.id,
                name: key.name.to_string(),
            },
            event_id: event,
            gate_id: gate.id,
            gate_name: gate.name.to_string(),
            authenticated: None,
            fingerprint: fingerprint(&reading, payload.as_ref(), None),
            verification: Verification::Verified(Claims::of_code(code)),
            direction: request.direction,
            now,
            device_scanned_at: None,
            override_: None,
            metadata: Some(Metadata::of_check_in(&request.reason)),
            warnings: Vec::new(),
            origin: Some(Arc::new(origin)),
            claimed: request.scan_id.is_none(),
        });
        let mark = self.0.scan_ids.mark(organization, attempt.scan_id);
        let answer = match self.decide(attempt, mark).await {
            // The gate was deleted meanwhile.
            Err(ScanError::NoActiveSession) => return Err(ScanError::NotFound),
            answer => answer?,
        };
        self.with_occupancy_of_its_gate(organization, (event, gate.id), answer)
            .await
    }
}
