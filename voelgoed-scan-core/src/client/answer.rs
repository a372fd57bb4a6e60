//! Reads the server's answers and compares them with the questions. An answer to another question does not come from the
//! server: a proxy may answer from its cache, and a captive portal answers everything.

use serde::Deserialize as _;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::client::api::parse_response;
use crate::client::{Attempt, ClientError, HttpResponse, WaitingBatch};
use crate::model::{
    DecidedBy, Device, Reason, ScanAnswer, ScanResult, ScanSession, SessionId, SessionStart, SessionStatus,
    TicketCode, Warning,
};
use crate::rules::ConflictKind;
use crate::sync::SyncAnswer;
use crate::token::Payload;

/// Reads the answer to a scan. The result decides. A newer server may use other words that this version does not know: an
/// unknown reason becomes one of the same result, and an unknown warning is left out.
pub(super) fn parse_scan_answer(response: &HttpResponse) -> Result<ScanAnswer, ClientError> {
    let mut answer: Value = parse_response(response)?;
    let result = answer
        .get("result")
        .and_then(|result| ScanResult::deserialize(result).ok());
    if let Some(result) = result
        && let Some(reason) = answer
            .get_mut("reason")
            .filter(|reason| is_unknown::<Reason>(reason))
    {
        *reason = Value::from(general_reason(result).as_str());
    }
    if let Some(warnings) = answer.get_mut("warnings").and_then(Value::as_array_mut) {
        warnings.retain(|warning| !is_unknown::<Warning>(warning));
    }
    if let Some(decided_by) = answer
        .get_mut("decided_by")
        .filter(|word| is_unknown::<DecidedBy>(word))
    {
        *decided_by = Value::from(DecidedBy::Database.as_str());
    }
    serde_json::from_value(answer).map_err(|_| ClientError::UnexpectedAnswer)
}

/// Reads the answer to an upload. The status of each scan decides. What else it says in words of a newer server is left out.
pub(super) fn parse_sync_answer(response: &HttpResponse) -> Result<SyncAnswer, ClientError> {
    let mut answer: Value = parse_response(response)?;
    let results = answer.get_mut("results").and_then(Value::as_array_mut);
    for result in results.into_iter().flatten() {
        let is_unknown_conflict = |conflict: &Value| {
            let kind = conflict.get("kind");
            kind.is_some_and(is_unknown::<ConflictKind>)
        };
        for (name, is_unknown) in [
            ("result", &is_unknown::<ScanResult> as &dyn Fn(&Value) -> bool),
            ("reason", &is_unknown::<Reason>),
            ("conflict", &is_unknown_conflict),
        ] {
            if let Some(value) = result.get_mut(name).filter(|value| is_unknown(value)) {
                *value = Value::Null;
            }
        }
    }
    serde_json::from_value(answer).map_err(|_| ClientError::UnexpectedAnswer)
}

/// Whether a value is a word that `T` does not have.
fn is_unknown<T: DeserializeOwned>(value: &Value) -> bool {
    value.is_string() && T::deserialize(value).is_err()
}

/// A reason of a result from which a phone learns nothing of the ticket.
const fn general_reason(result: ScanResult) -> Reason {
    match result {
        ScanResult::Valid => Reason::Admitted,
        ScanResult::Duplicate => Reason::AlreadyScanned,
        ScanResult::InvalidToken => Reason::TokenExpired,
        ScanResult::WrongEvent => Reason::OtherEvent,
        ScanResult::WrongGate => Reason::GateNotAllowed,
        ScanResult::Refused => Reason::GateClosed,
    }
}

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
