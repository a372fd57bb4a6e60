//! Checks tickets in by hand.

use hyper::StatusCode;
use voelgoed_scan_core::model::{CheckInRequest, ScanAnswer};

use super::messages::{self, ACCEPT_LANGUAGE, CONTENT_LANGUAGE};
use crate::auth::{Caller, Permission};
use crate::clock;
use crate::head::language;
use crate::problem::Code;
use crate::request::Request;
use crate::route::{HandlerResult, Json, Route};

/// `POST /api/v1/scanning/events/{id}/tickets/{code}/check-in`
pub(crate) fn check_in() -> Route {
    Route::post(
        "/api/v1/scanning/events/{id}/tickets/{code}/check-in",
        "checkIn",
        "Checks a ticket in by hand, without a device and a session: it is decided and recorded as a scan at that gate is. A \
         denial is a decision as well: the status is 200. The same API key may repeat a call with its scan_id, and gets the \
         first answer. The code may also be a whole payload of the organization's.",
    )
    .json_body::<CheckInRequest>()
    .request_headers(ACCEPT_LANGUAGE)
    .responds::<ScanAnswer>(StatusCode::OK, "The decision. Its session_id is null.")
    .response_headers(CONTENT_LANGUAGE)
    .problems(&[Code::ScanIdReused, Code::ScanUndone, Code::Overloaded])
    .resource(Request::ticket_resource)
    .authenticated(Permission::Staff, run_check_in)
}

async fn run_check_in(request: Request<Json<CheckInRequest>>) -> HandlerResult {
    let started = clock::stopwatch();
    let Caller::Member(key) = &request.caller else {
        return Err(Code::Forbidden.into());
    };
    let (event, code) = (request.event_id()?, request.verified_ticket_code().await?);
    let origin = request.audit_context();
    let scanner = request.scanner();
    let (answer, messages) = tokio::join!(
        scanner.check_in(key, event, code, &request.body.0, origin, request.now),
        scanner.messages(request.organization()),
    );
    let answer = answer?;
    request.state.metrics.record_scan(&answer, started.elapsed());
    Ok(messages::worded(answer, &messages, language(&request.headers)))
}
