//! Sessions: start one, list them.

use hyper::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;
use voelgoed_scan_core::model::{DeviceId, EventId, ScanSession, SessionStart, SessionStatus};
use voelgoed_scan_core::store::StartOutcome;

use crate::auth::Permission;
use crate::call::Call;
use crate::problem::{Code, Problem};
use crate::query::{Paging, Query};
use crate::reply::{self, List};
use crate::route::{Answer, Json, Route};
use crate::thing::Thing;

const PATH: &str = "/api/v1/scanning/sessions";

/// `POST /api/v1/scanning/sessions`
pub(crate) fn start() -> Route {
    Route::post(
        PATH,
        "startSession",
        "Starts a session: the device's stay at a gate.",
    )
    .takes::<SessionStart>()
    .answers::<ScanSession>(StatusCode::CREATED, "The session.")
    .may_fail(&[Code::SessionAlreadyActive, Code::NotFound])
    .names(|call| Ok(Thing::Gate(call.body.0.event_id, call.body.0.gate_id)))
    .by(Permission::Device, run_start)
}

async fn run_start(call: Call<Json<SessionStart>>) -> Answer {
    let outcome = call
        .scanner()
        .start_session(call.authenticated()?, &call.body.0, call.now)
        .await?;
    match outcome {
        StartOutcome::Started(session) => Ok(reply::created(&session, &format!("{PATH}/{}", session.id))),
        StartOutcome::AlreadyActive(session) => Err(Problem::session_already_active(session).into()),
        StartOutcome::Missing => Err(Code::NotFound.into()),
        StartOutcome::DeviceInactive => Err(Code::DeviceInactive.into()),
    }
}

/// Which sessions are asked for.
#[derive(Debug, Deserialize, JsonSchema)]
struct Wanted {
    /// Of this device.
    #[serde(default)]
    device_id: Option<DeviceId>,
    /// Of this event.
    #[serde(default)]
    event_id: Option<EventId>,
    /// With this status.
    #[serde(default)]
    status: Option<SessionStatus>,
    #[serde(flatten)]
    page: Paging,
}

impl Query for Wanted {}

/// `GET /api/v1/scanning/sessions`
pub(crate) fn list() -> Route {
    Route::get(PATH, "listSessions", "Lists sessions, newest first.")
        .asks::<Wanted>()
        .answers::<List<ScanSession>>(StatusCode::OK, "A page of sessions.")
        .by(Permission::Viewer, run_list)
}

async fn run_list(call: Call<(), Wanted>) -> Answer {
    let Wanted {
        device_id,
        event_id,
        status,
        page,
    } = call.query;
    let sessions = call
        .store()
        .sessions(call.organization(), device_id, event_id, status, &page.into())
        .await?;
    Ok(reply::ok(&List::from(sessions)))
}
