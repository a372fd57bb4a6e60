//! A device's token: replace it.

use hyper::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use voelgoed_scan_core::store::PutOutcome;

use crate::auth::Permission;
use crate::call::Call;
use crate::problem::{Code, Problem};
use crate::reply;
use crate::route::{Answer, Route};
use crate::thing::Thing;

/// A device's new token, which is shown this once.
#[derive(Serialize, JsonSchema)]
struct NewToken {
    /// The device's credential. It is not stored and cannot be shown again.
    token: String,
}

/// `POST /api/v1/scanning/devices/{id}/token`
pub(crate) fn rotate() -> Route {
    Route::post(
        "/api/v1/scanning/devices/{id}/token",
        "rotateDeviceToken",
        "Gives a device a new token; the old one dies, the session goes on.",
    )
    .answers::<NewToken>(StatusCode::OK, "This once, the token.")
    .may_fail(&[Code::Conflict])
    .names(|call| Ok(Thing::Device(call.device_id()?)))
    .by(Permission::Admin, run)
}

async fn run(call: Call) -> Answer {
    let id = call.device_id()?;
    match call
        .admin()
        .rotate_device_token(call.organization(), id, call.now)
        .await?
    {
        PutOutcome::Created((_, token)) | PutOutcome::Replaced((_, token)) => Ok(reply::ok(&NewToken {
            token: token.reveal().to_owned(),
        })),
        PutOutcome::Conflict(rule) => Err(Problem::conflict(rule).into()),
        PutOutcome::Missing => Err(Code::NotFound.into()),
    }
}
