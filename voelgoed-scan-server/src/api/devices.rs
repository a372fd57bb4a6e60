//! Devices: register one, list them.

use hyper::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use voelgoed_scan_core::model::{Device, DeviceId, DeviceLabel, DeviceRegister, DeviceStatus};
use voelgoed_scan_core::store::{Page, PutOutcome};

use crate::auth::Permission;
use crate::call::Call;
use crate::problem::Code;
use crate::query::{Paging, Query};
use crate::reply::{self, List};
use crate::route::{Answer, Json, Route};

const PATH: &str = "/api/v1/scanning/devices";

/// A device with its token, which is shown this once.
#[derive(Serialize, JsonSchema)]
struct DeviceWithToken {
    #[serde(flatten)]
    device: Device,
    /// The device's credential. It is not stored and cannot be shown again.
    token: String,
}

/// `POST /api/v1/scanning/devices`
pub(crate) fn register() -> Route {
    Route::post(PATH, "registerDevice", "Registers a device.")
        .takes::<DeviceRegister>()
        .answers::<DeviceWithToken>(StatusCode::CREATED, "The device and, this once, its token.")
        .may_fail(&[Code::Conflict])
        .by(Permission::Admin, run_register)
}

async fn run_register(call: Call<Json<DeviceRegister>>) -> Answer {
    let put: PutOutcome<_> = call
        .admin()
        .register_device(call.organization(), &call.body.0, call.now)
        .await?
        .map(|(device, token)| DeviceWithToken {
            device,
            token: token.reveal().to_owned(),
        });
    Ok(super::put(put, |made| format!("{PATH}/{}", made.device.id))?)
}

/// Which devices are asked for.
#[derive(Debug, Deserialize, JsonSchema)]
struct Wanted {
    /// The one with this textual id, or with this UUID.
    #[serde(default)]
    device_id: Option<DeviceLabel>,
    /// With this status.
    #[serde(default)]
    status: Option<DeviceStatus>,
    #[serde(flatten)]
    page: Paging,
}

impl Query for Wanted {}

/// `GET /api/v1/scanning/devices`
pub(crate) fn list() -> Route {
    Route::get(PATH, "listDevices", "Lists devices in the order of their ids.")
        .asks::<Wanted>()
        .answers::<List<Device>>(StatusCode::OK, "A page of devices.")
        .by(Permission::Viewer, run_list)
}

async fn run_list(call: Call<(), Wanted>) -> Answer {
    let Wanted {
        device_id,
        status,
        page,
    } = &call.query;
    let organization = call.organization();
    let label = device_id.as_ref().map(DeviceLabel::as_str);
    let mut devices = call
        .store()
        .devices(organization, label, *status, &(*page).into())
        .await?;
    // `device_id` is textual in this object and a UUID everywhere else: whoever filters by either means one device.
    if let Some(id) = label.and_then(|label| label.parse::<DeviceId>().ok())
        && devices.data.is_empty()
        && page.cursor.is_none()
        && let Some(device) = call.store().device(organization, id).await?
        && status.is_none_or(|status| status == device.status)
    {
        devices = Page {
            data: vec![device],
            next: None,
        };
    }
    Ok(reply::ok(&List::from(devices)))
}
