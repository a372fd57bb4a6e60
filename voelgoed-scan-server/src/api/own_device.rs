//! The device that calls: itself, its session, the server's clock.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use voelgoed_scan_core::{Device, DeviceHealth, ScanSession, Timestamp};

use crate::auth::Permission;
use crate::call::Call;
use crate::problem::Code;
use crate::reply;
use crate::route::{Answer, Json, Route};

const PATH: &str = "/api/v1/scanning/device";

/// What a device is told of itself.
#[derive(Debug, Serialize, JsonSchema)]
struct OwnDevice {
    /// The device.
    device: Device,
    /// Its active session.
    session: Option<ScanSession>,
    /// The server's clock, for the offset of the device's.
    server_time: Timestamp,
    /// The Ed25519 public key that manifests are checked with, base64url.
    manifest_key: String,
}

/// `GET /api/v1/scanning/device`
pub(crate) fn show() -> Route {
    Route::get(
        PATH,
        "showOwnDevice",
        "Shows the device that calls, and marks it as seen.",
    )
    .answers::<OwnDevice>(
        StatusCode::OK,
        "The device, its active session and the server's clock.",
    )
    .by(Permission::Device, |call: Call| async move {
        answer(&call, None).await
    })
}

/// `PUT /api/v1/scanning/device`
pub(crate) fn report() -> Route {
    Route::put(
        PATH,
        "reportOwnDevice",
        "Takes a device's report of its health, and marks it as seen.",
    )
    .takes::<DeviceHealth>()
    .answers::<OwnDevice>(
        StatusCode::OK,
        "The device, its active session and the server's clock.",
    )
    .by(Permission::Device, |call: Call<Json<DeviceHealth>>| async move {
        answer(&call, Some(&call.body.0)).await
    })
}

async fn answer<B>(call: &Call<B>, health: Option<&DeviceHealth>) -> Answer {
    let standing = call.standing()?;
    let organization = call.organization();
    let device = call
        .office()
        .report_device(organization, standing.device.id, health, call.now)
        .await?
        .ok_or(Code::InvalidToken)?;
    // Read afresh: `scan_count` moves with every scan, and memory does not follow it.
    let session = match &standing.stand {
        Some(stand) => call.store().session(organization, stand.session.id).await?,
        None => None,
    };
    let manifest_key = call.office().manifest_key(organization).await?;
    Ok(reply::ok(&OwnDevice {
        device,
        session,
        server_time: call.now,
        manifest_key: URL_SAFE_NO_PAD.encode(manifest_key),
    }))
}
