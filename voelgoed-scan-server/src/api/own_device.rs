//! The device that calls: itself, its session, the server's clock.

use hyper::StatusCode;
use voelgoed_scan_core::model::{DeviceHealth, DeviceSelf, ManifestKey};

use crate::auth::Permission;
use crate::call::Call;
use crate::problem::Code;
use crate::reply;
use crate::route::{Answer, Json, Route};

const PATH: &str = "/api/v1/scanning/device";

/// `GET /api/v1/scanning/device`
pub(crate) fn show() -> Route {
    Route::get(
        PATH,
        "showOwnDevice",
        "Shows the device that calls, and marks it as seen.",
    )
    .answers::<DeviceSelf>(
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
    .answers::<DeviceSelf>(
        StatusCode::OK,
        "The device, its active session and the server's clock.",
    )
    .by(Permission::Device, |call: Call<Json<DeviceHealth>>| async move {
        answer(&call, Some(&call.body.0)).await
    })
}

async fn answer<B>(call: &Call<B>, health: Option<&DeviceHealth>) -> Answer {
    let authenticated = call.authenticated()?;
    let organization = call.organization();
    let device = call
        .admin()
        .report_device(organization, authenticated.device.id, health, call.now)
        .await?
        .ok_or(Code::InvalidToken)?;
    // Read afresh: `scan_count` moves with every scan, and memory does not follow it.
    let session = match &authenticated.active_session {
        Some(active_session) => {
            call.store()
                .session(organization, active_session.session.id)
                .await?
        }
        None => None,
    };
    let manifest_key = call.admin().manifest_key(organization).await?;
    Ok(reply::ok(&DeviceSelf {
        device,
        session,
        server_time: call.now,
        manifest_key: ManifestKey::new(manifest_key),
    }))
}
