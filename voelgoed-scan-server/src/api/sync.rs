//! Scans that a device decided alone, handed in.

use std::sync::Arc;

use hyper::StatusCode;
use voelgoed_scan_core::model::DeviceStatus;
use voelgoed_scan_core::sync::{ReceivedScan, SyncAnswer, SyncRequest};

use crate::auth::Permission;
use crate::call::Call;
use crate::problem::Code;
use crate::reply;
use crate::route::{Answer, Json, Route};

/// `POST /api/v1/scanning/sync`
pub(crate) fn sync() -> Route {
    Route::post(
        "/api/v1/scanning/sync",
        "sync",
        "Takes a batch of scans that the device decided alone. Each scan has its own outcome: a bad one never affects \
         another, and one that came before is shown as it stands.",
    )
    .takes::<SyncRequest<ReceivedScan>>()
    .answers::<SyncAnswer>(StatusCode::OK, "What became of the scans.")
    .answers::<SyncAnswer>(
        StatusCode::ACCEPTED,
        "The device was revoked: its scans are kept apart, and admit nobody.",
    )
    .may_fail(&[Code::Overloaded])
    .by(Permission::DeviceEvenRevoked, run)
}

async fn run(call: Call<Json<SyncRequest<ReceivedScan>>>) -> Answer {
    let authenticated = Arc::clone(call.authenticated()?);
    let Json(request) = call.body;
    let answer = call.node.scanner.sync(&authenticated, request, call.now).await?;
    let status = match authenticated.device.status {
        DeviceStatus::Active => StatusCode::OK,
        DeviceStatus::Inactive => StatusCode::ACCEPTED,
    };
    Ok(reply::json(status, &answer))
}
