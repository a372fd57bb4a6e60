//! The calling device: its own record, its session and the server's clock.

use hyper::StatusCode;
use voelgoed_scan_core::model::{DeviceHealth, DeviceSelf, ManifestKey};

use crate::auth::Permission;
use crate::problem::Code;
use crate::request::Request;
use crate::response;
use crate::route::{HandlerResult, Json, Route};

const PATH: &str = "/api/v1/scanning/device";

/// `GET /api/v1/scanning/device`
pub(crate) fn show() -> Route {
    Route::get(
        PATH,
        "showOwnDevice",
        "Shows the calling device, and marks it as seen.",
    )
    .responds::<DeviceSelf>(
        StatusCode::OK,
        "The device, its active session and the server's clock.",
    )
    .authenticated(Permission::Device, |request: Request| async move {
        report_and_show(&request, None).await
    })
}

/// `PUT /api/v1/scanning/device`
pub(crate) fn report() -> Route {
    Route::put(
        PATH,
        "reportOwnDevice",
        "Stores the calling device's report of its health, and marks it as seen.",
    )
    .json_body::<DeviceHealth>()
    .responds::<DeviceSelf>(
        StatusCode::OK,
        "The device, its active session and the server's clock.",
    )
    .authenticated(
        Permission::Device,
        |request: Request<Json<DeviceHealth>>| async move {
            report_and_show(&request, Some(&request.body.0)).await
        },
    )
}

async fn report_and_show<B>(request: &Request<B>, health: Option<&DeviceHealth>) -> HandlerResult {
    let authenticated = request.authenticated_device()?;
    let organization = request.organization();
    let device = request
        .admin()
        .report_device(organization, authenticated.device.id, health, request.now)
        .await?
        .ok_or(Code::InvalidToken)?;
    // The session comes from the database because every scan changes `scan_count`, which the cache does not track.
    let session = match &authenticated.active_session {
        Some(active_session) => {
            request
                .store()
                .session(organization, active_session.session.id)
                .await?
        }
        None => None,
    };
    let manifest_key = request.admin().manifest_key(organization).await?;
    Ok(response::ok(&DeviceSelf {
        device,
        session,
        server_time: request.now,
        manifest_key: ManifestKey::new(manifest_key),
    }))
}
