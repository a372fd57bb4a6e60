//! One session: show it, end it.

use hyper::StatusCode;
use voelgoed_scan_core::model::{ScanSession, SessionId};

use crate::auth::{Caller, Permission};
use crate::call::Call;
use crate::problem::{Code, Problem};
use crate::reply;
use crate::route::{Answer, Route};
use crate::thing::Thing;

/// `GET /api/v1/scanning/sessions/{id}`
pub(crate) fn show() -> Route {
    Route::get(
        "/api/v1/scanning/sessions/{id}",
        "showSession",
        "Shows a session; to a device its own alone.",
    )
    .answers::<ScanSession>(StatusCode::OK, "The session.")
    .names(|call| Ok(Thing::Session(call.id("id")?)))
    .by(Permission::DeviceOrViewer, run_show)
}

/// `PUT /api/v1/scanning/sessions/{id}/end`
pub(crate) fn end() -> Route {
    Route::put(
        "/api/v1/scanning/sessions/{id}/end",
        "endSession",
        "Ends a session; an ended one is returned unchanged. A device ends its own alone.",
    )
    .answers::<ScanSession>(StatusCode::OK, "The session, ended.")
    .names(|call| Ok(Thing::Session(call.id("id")?)))
    .by(Permission::DeviceOrStaff, run_end)
}

async fn run_show(call: Call) -> Answer {
    Ok(reply::ok(&own_session(&call).await?))
}

async fn run_end(call: Call) -> Answer {
    let session = own_session(&call).await?;
    let ended = call
        .scanner()
        .end_session(call.organization(), session.id, call.now)
        .await?;
    super::found(ended)
}

/// The session that the path names, which a device may only ask for where it is its own.
async fn own_session(call: &Call) -> Result<ScanSession, Problem> {
    let id: SessionId = call.id("id")?;
    // Its count of scans is among what is read.
    call.scanner().wait_for_pending_denials().await;
    let session = call
        .store()
        .session(call.organization(), id)
        .await?
        .ok_or(Code::NotFound)?;
    match &call.caller {
        Caller::Device(authenticated) if authenticated.device.id != session.device_id => {
            Err(Code::Forbidden.into())
        }
        Caller::Device(_) | Caller::Member(_) => Ok(session),
    }
}
