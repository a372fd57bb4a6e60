//! Builds the attempt that the store decides, and turns the store's result into an answer.

use std::sync::Arc;
use std::time::Duration;

use super::ScanError;
use super::verification::VerifiedReading;
use crate::model::{
    ActiveSession, Attempt, AuthenticatedDevice, Claims, DecidedBy, Denial, Direction, Reason, Recorded,
    ScanAnswer, ScanId, ScanRequest, ScannedBy, Timestamp, Verification, Warning,
};
use crate::store::StoreError;
use crate::token::suggests_scanner_settings;

/// The difference between a device's clock and the server's above which the steward is warned.
const MAX_CLOCK_SKEW: Duration = Duration::from_mins(5);

/// Steps 2 and 4 after the signature: checks the payload's window. Nothing of the ticket's state is known yet.
pub(super) fn attempt(
    authenticated: &Arc<AuthenticatedDevice>,
    active_session: &ActiveSession,
    request: ScanRequest,
    (fingerprint, claims): VerifiedReading,
    now: Timestamp,
) -> Box<Attempt> {
    let in_window = |claims: &Claims| match request.direction {
        Direction::Entry => claims.window.check(now),
        Direction::Exit => Ok(()),
    };
    let verification = match claims.map(|claims| (claims, in_window(&claims))) {
        Ok((claims, Ok(()))) => Verification::Verified(claims),
        // The signature is valid, so the record names the ticket.
        Ok((claims, Err(reason))) => denied(reason, Some(claims)),
        Err(reason) => denied(reason, None),
    };
    let has_wrong_settings = match &verification {
        Verification::Denied(denial) => suggests_scanner_settings(request.reading.text(), denial.reason),
        Verification::Verified(_) => false,
    };
    let is_skewed = request
        .scanned_at
        .is_some_and(|at| u128::from(at.millis_since(now).unsigned_abs()) > MAX_CLOCK_SKEW.as_millis());
    Box::new(Attempt {
        scan_id: request.scan_id.unwrap_or_else(|| ScanId::generate(now)),
        organization_id: authenticated.device.organization_id,
        scanned_by: ScannedBy::Device {
            id: authenticated.device.id,
            session_id: active_session.session.id,
        },
        event_id: active_session.event.id,
        gate_id: active_session.gate.id,
        gate_name: active_session.gate.name.as_str().to_owned(),
        authenticated: Some(Arc::clone(authenticated)),
        fingerprint,
        verification,
        direction: request.direction,
        now,
        device_scanned_at: request.scanned_at,
        override_: request.override_,
        metadata: request.metadata,
        warnings: [
            is_skewed.then_some(Warning::ClockSkew),
            has_wrong_settings.then_some(Warning::ScannerSettings),
        ]
        .into_iter()
        .flatten()
        .collect(),
        origin: None,
        claimed: request.scan_id.is_none(),
    })
}

/// The denial of a payload by its signature or its window.
fn denied(reason: Reason, claims: Option<Claims>) -> Verification {
    Verification::Denied(Box::new(Denial {
        reason,
        decided_by: DecidedBy::Token,
        claims,
        ticket: None,
        previous_scan: None,
    }))
}

/// Step 10: the answer to a scan, or the error that its device gets.
pub(super) fn into_answer(recorded: Recorded) -> Result<ScanAnswer, ScanError> {
    match recorded {
        Recorded::Decided(decided) => Ok(decided.answer),
        Recorded::Replayed(answer) => Ok(*answer),
        Recorded::ScanIdReused => Err(ScanError::ScanIdReused),
        Recorded::ScanUndone => Err(ScanError::ScanUndone),
        Recorded::NoActiveSession => Err(ScanError::NoActiveSession),
        Recorded::DeviceInactive => Err(ScanError::DeviceInactive),
        Recorded::OutOfScope => Err(ScanError::OutOfScope),
        Recorded::NotClaimed => Err(StoreError::failed("a claimed scan was not decided").into()),
        Recorded::NotRecorded {
            reason,
            is_temporary: true,
        } => Err(StoreError::unavailable(reason).into()),
        Recorded::NotRecorded {
            reason,
            is_temporary: false,
        } => Err(StoreError::failed(reason).into()),
    }
}
