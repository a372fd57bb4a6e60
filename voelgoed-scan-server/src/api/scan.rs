//! The scan.

use std::sync::Arc;

use hyper::StatusCode;
use voelgoed_scan_core::model::{ScanAnswer, ScanRequest};
use voelgoed_scan_core::node::ScanError;

use crate::auth::Permission;
use crate::call::Call;
use crate::problem::{Code, Problem};
use crate::route::{Answer, Json, Route};
use crate::{clock, reply};

/// `POST /api/v1/scanning/scan`
pub(crate) fn scan() -> Route {
    Route::post(
        "/api/v1/scanning/scan",
        "scan",
        "Decides whether a person may pass, and records it. A denial is an answer too: the status is 200.",
    )
    .takes::<ScanRequest>()
    .answers::<ScanAnswer>(StatusCode::OK, "The decision.")
    .may_fail(&[
        Code::NoActiveSession,
        Code::ScanIdReused,
        Code::ScanUndone,
        Code::Overloaded,
    ])
    .by(Permission::Device, run)
}

/// What is not needed any more is dropped before it is waited for, so that the future which is kept meanwhile is small.
fn run(call: Call<Json<ScanRequest>>) -> impl Future<Output = Answer> + Send {
    let started = clock::stopwatch();
    let authenticated = call.authenticated().map(Arc::clone);
    let Call {
        node,
        body: Json(request),
        now,
        ..
    } = call;
    async move {
        let answer = node.scanner.scan(&authenticated?, request, now).await?;
        node.measures.scanned(&answer, started.elapsed());
        Ok(reply::whole(StatusCode::OK, "application/json", answer.to_json()))
    }
}

impl From<ScanError> for Problem {
    fn from(error: ScanError) -> Self {
        match error {
            ScanError::NoActiveSession => Code::NoActiveSession.into(),
            ScanError::ScanIdReused => Code::ScanIdReused.into(),
            ScanError::ScanUndone => Code::ScanUndone.into(),
            ScanError::OverrideNotAllowed | ScanError::NotAllowed => Code::Forbidden.into(),
            ScanError::DeviceInactive => Code::DeviceInactive.into(),
            ScanError::NotOpen => Self::conflict("Only an open admission can be undone."),
            ScanError::NotFound => Code::NotFound.into(),
            ScanError::Overloaded => Code::Overloaded.into(),
            ScanError::Store(error) => Self::storage(&error),
        }
    }
}
