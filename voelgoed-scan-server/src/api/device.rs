//! One device: show it, change it, revoke it.

use hyper::StatusCode;
use voelgoed_scan_core::model::{Device, DevicePatch};

use crate::auth::Permission;
use crate::call::Call;
use crate::problem::Code;
use crate::reply;
use crate::route::{Answer, Json, Route};
use crate::thing::Thing;

const PATH: &str = "/api/v1/scanning/devices/{id}";

/// `GET /api/v1/scanning/devices/{id}`
pub(crate) fn show() -> Route {
    Route::get(PATH, "showDevice", "Shows a device.")
        .answers::<Device>(StatusCode::OK, "The device.")
        .names(|call| Ok(Thing::Device(call.device_id()?)))
        .by(Permission::Viewer, run_show)
}

async fn run_show(call: Call) -> Answer {
    super::found(
        call.store()
            .device(call.organization(), call.device_id()?)
            .await?,
    )
}

/// `PATCH /api/v1/scanning/devices/{id}`
pub(crate) fn change() -> Route {
    Route::patch(PATH, "changeDevice", "Changes a device; what is absent stays.")
        .takes::<DevicePatch>()
        .answers::<Device>(StatusCode::OK, "The device as it is now.")
        .may_fail(&[Code::Conflict])
        .names(|call| Ok(Thing::Device(call.device_id()?)))
        .by(Permission::Admin, run_change)
}

async fn run_change(call: Call<Json<DevicePatch>>) -> Answer {
    let id = call.device_id()?;
    let put = call
        .admin()
        .patch_device(call.organization(), id, &call.body.0, call.now)
        .await?;
    Ok(super::put(put, |_| String::new())?)
}

/// `DELETE /api/v1/scanning/devices/{id}`
pub(crate) fn revoke() -> Route {
    Route::delete(
        PATH,
        "revokeDevice",
        "Revokes a device: inactive for good. Its active session ends, its record stays.",
    )
    .answers_nothing("It is revoked; so it is when it was before.")
    .names(|call| Ok(Thing::Device(call.device_id()?)))
    .by(Permission::Admin, run_revoke)
}

async fn run_revoke(call: Call) -> Answer {
    let id = call.device_id()?;
    if call
        .admin()
        .revoke_device(call.organization(), id, call.now)
        .await?
    {
        Ok(reply::nothing())
    } else {
        Err(Code::NotFound.into())
    }
}
