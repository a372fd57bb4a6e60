//! Compares the server's answers with the questions. An answer to another question does not come from the server: a proxy
//! may answer from its cache, and a captive portal answers everything.

use crate::client::{Attempt, ClientError, WaitingBatch};
use crate::model::{Device, ScanAnswer, ScanSession, SessionId, SessionStart, SessionStatus, TicketCode};
use crate::sync::SyncAnswer;
use crate::token::Payload;

fn expect(is_answer: bool) -> Result<(), ClientError> {
    is_answer.then_some(()).ok_or(ClientError::UnexpectedAnswer)
}

/// Checks the scan, the event, the gate, the direction and the ticket of an answer.
pub(super) fn check_scan_answer(attempt: &Attempt, answer: &ScanAnswer) -> Result<(), ClientError> {
    let asked = asked_code(attempt);
    let answered = answer.ticket.as_ref().map(|ticket| ticket.code);
    let is_same_ticket = match (asked, answered) {
        (Some(asked), Some(answered)) => asked == answered,
        _ => true,
    };
    expect(
        answer.scan_id == Some(attempt.scan.scan_id)
            && answer.event_id == attempt.event_id
            && answer.gate.id == attempt.scan.gate_id
            && answer.direction == attempt.scan.direction
            && answer.reason.result() == answer.result
            && is_same_ticket,
    )
}

/// Returns the ticket code in a reading, if it contains one.
fn asked_code(attempt: &Attempt) -> Option<TicketCode> {
    let payload = Payload::parse_reading(&attempt.scan.reading).ok()?;
    payload.unverified_claims().ok()?.ticket_code
}

/// Checks that an answer names the batch, and only scans of the batch.
pub(super) fn check_sync_answer(batch: &WaitingBatch, answer: &SyncAnswer) -> Result<(), ClientError> {
    let mut answered = answer.results.iter().filter_map(|result| result.scan_id);
    expect(answer.batch_id == batch.batch_id && answered.all(|scan| batch.scan_ids.contains(&scan)))
}

/// Checks that a started session is the one that was requested.
pub(super) fn check_started_session(
    start: &SessionStart,
    device: &Device,
    session: &ScanSession,
) -> Result<(), ClientError> {
    expect(
        session.event_id == start.event_id
            && session.gate_id == start.gate_id
            && session.device_id == device.id
            && session.organization_id == device.organization_id
            && session.status == SessionStatus::Active,
    )
}

/// Checks that an ended session is the one that was to end.
pub(super) fn check_ended_session(
    ended: SessionId,
    device: &Device,
    session: &ScanSession,
) -> Result<(), ClientError> {
    expect(session.id == ended && session.device_id == device.id && session.status == SessionStatus::Ended)
}

/// Checks that an answer is about the device that asked.
pub(super) fn check_device(device: &Device, answered: &Device) -> Result<(), ClientError> {
    expect(answered.organization_id == device.organization_id && answered.id == device.id)
}
