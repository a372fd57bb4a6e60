//! Sessions: start, list, show, end.

use hyper::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;
use voelgoed_scan_core::model::{DeviceId, EventId, ScanSession, SessionId, SessionStart, SessionStatus};
use voelgoed_scan_core::store::StartOutcome;

use super::ok_or_not_found;
use crate::auth::{Caller, Permission};
use crate::problem::{Code, Problem};
use crate::query::{PageParams, Query};
use crate::request::Request;
use crate::resource::Resource;
use crate::response::{self, List};
use crate::route::{HandlerResult, Json, Route};

const SESSIONS_PATH: &str = "/api/v1/scanning/sessions";

/// `POST /api/v1/scanning/sessions`
pub(crate) fn start() -> Route {
    Route::post(
        SESSIONS_PATH,
        "startSession",
        "Starts a session of the device at a gate.",
    )
    .json_body::<SessionStart>()
    .responds::<ScanSession>(StatusCode::CREATED, "The session.")
    .problems(&[Code::SessionAlreadyActive, Code::NotFound, Code::OutOfScope])
    .resource(|request| Ok(Resource::Gate(request.body.0.event_id, request.body.0.gate_id)))
    .authenticated(Permission::Device, run_start)
}

async fn run_start(request: Request<Json<SessionStart>>) -> HandlerResult {
    let outcome = request
        .scanner()
        .start_session(request.authenticated_device()?, &request.body.0, request.now)
        .await?;
    match outcome {
        StartOutcome::Started(session) => {
            let location = format!("{SESSIONS_PATH}/{}", session.id);
            Ok(response::created(&session, &location))
        }
        StartOutcome::AlreadyActive(session) => Err(Problem::session_already_active(session).into()),
        StartOutcome::Missing => Err(Code::NotFound.into()),
        StartOutcome::DeviceInactive => Err(Code::DeviceInactive.into()),
        StartOutcome::OutOfScope => Err(Code::OutOfScope.into()),
    }
}

/// The filter of a list of sessions.
#[derive(Debug, Deserialize, JsonSchema)]
struct SessionListParams {
    /// Only sessions of this device.
    #[serde(default)]
    device_id: Option<DeviceId>,
    /// Only sessions of this event.
    #[serde(default)]
    event_id: Option<EventId>,
    /// Only sessions with this status.
    #[serde(default)]
    status: Option<SessionStatus>,
    #[serde(flatten)]
    page: PageParams,
}

impl Query for SessionListParams {}

/// `GET /api/v1/scanning/sessions`
pub(crate) fn list() -> Route {
    Route::get(SESSIONS_PATH, "listSessions", "Lists sessions, newest first.")
        .query::<SessionListParams>()
        .responds::<List<ScanSession>>(StatusCode::OK, "A page of sessions.")
        .authenticated(Permission::Viewer, run_list)
}

async fn run_list(request: Request<(), SessionListParams>) -> HandlerResult {
    let SessionListParams {
        device_id,
        event_id,
        status,
        page,
    } = request.query;
    let sessions = request
        .store()
        .sessions(request.organization(), device_id, event_id, status, &page.into())
        .await?;
    Ok(response::ok(&List::from(sessions)))
}

/// `GET /api/v1/scanning/sessions/{id}`
pub(crate) fn show() -> Route {
    Route::get(
        "/api/v1/scanning/sessions/{id}",
        "showSession",
        "Shows a session. A device may see only its own sessions.",
    )
    .responds::<ScanSession>(StatusCode::OK, "The session.")
    .resource(|request| Ok(Resource::Session(request.id("id")?)))
    .authenticated(Permission::DeviceOrViewer, run_show)
}

async fn run_show(request: Request) -> HandlerResult {
    Ok(response::ok(&permitted_session(&request).await?))
}

/// `PUT /api/v1/scanning/sessions/{id}/end`
pub(crate) fn end() -> Route {
    Route::put(
        "/api/v1/scanning/sessions/{id}/end",
        "endSession",
        "Ends a session; an ended session is returned unchanged. A device may end only its own sessions.",
    )
    .responds::<ScanSession>(StatusCode::OK, "The ended session.")
    .resource(|request| Ok(Resource::Session(request.id("id")?)))
    .authenticated(Permission::DeviceOrStaff, run_end)
}

async fn run_end(request: Request) -> HandlerResult {
    let session = permitted_session(&request).await?;
    let by = match &request.caller {
        Caller::Device(_) => None,
        Caller::Member(_) => Some(request.audit_context()),
    };
    let ended = request
        .scanner()
        .end_session(request.organization(), session.id, by.as_ref(), request.now)
        .await?;
    ok_or_not_found(ended)
}

/// The session in the path; `forbidden` for a device that it does not belong to.
async fn permitted_session(request: &Request) -> Result<ScanSession, Problem> {
    let id: SessionId = request.id("id")?;
    // Pending writes change the session's `scan_count`.
    request
        .scanner()
        .wait_for_pending_denials(request.organization())
        .await;
    let session = request
        .store()
        .session(request.organization(), id)
        .await?
        .ok_or(Code::NotFound)?;
    match &request.caller {
        Caller::Device(authenticated) if authenticated.device.id != session.device_id => {
            Err(Code::Forbidden.into())
        }
        Caller::Device(_) | Caller::Member(_) => Ok(session),
    }
}
