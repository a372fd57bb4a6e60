//! Devices: register, list, show, change, revoke; replace the token; enrol a phone as a device.

use hyper::header::HOST;
use hyper::http::uri::Authority;
use hyper::{HeaderMap, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use voelgoed_scan_core::model::{
    Device, DeviceId, DeviceLabel, DevicePatch, DeviceRegister, DeviceStatus, EnrollAnswer, EnrollRequest,
    Enrollment, EnrollmentUri,
};
use voelgoed_scan_core::store::{Page, PutOutcome};

use super::{ok_or_not_found, put_response};
use crate::auth::Permission;
use crate::problem::{Code, Problem};
use crate::qr;
use crate::query::{PageParams, Query};
use crate::request::{AnonymousRequest, Request};
use crate::resource::Resource;
use crate::response::{self, List};
use crate::route::{HandlerResult, Json, Route};
use crate::state::ServerState;

const DEVICES_PATH: &str = "/api/v1/scanning/devices";
const DEVICE_PATH: &str = "/api/v1/scanning/devices/{id}";

/// A new device with its token.
#[derive(Serialize, JsonSchema)]
struct DeviceWithToken {
    #[serde(flatten)]
    device: Device,
    /// The device's credential. Only its hash is stored, so that it cannot be shown again.
    token: String,
}

/// `POST /api/v1/scanning/devices`
pub(crate) fn register() -> Route {
    Route::post(DEVICES_PATH, "registerDevice", "Registers a device.")
        .json_body::<DeviceRegister>()
        .responds::<DeviceWithToken>(
            StatusCode::CREATED,
            "The device and its token, which is shown only once.",
        )
        .problems(&[Code::Conflict])
        .authenticated(Permission::Admin, run_register)
}

async fn run_register(request: Request<Json<DeviceRegister>>) -> HandlerResult {
    let put: PutOutcome<_> = request
        .admin()
        .register_device(
            request.organization(),
            &request.body.0,
            &request.audit_context(),
            request.now,
        )
        .await?
        .map(|(device, token)| DeviceWithToken {
            device,
            token: token.reveal().to_owned(),
        });
    Ok(put_response(put, |created| {
        format!("{DEVICES_PATH}/{}", created.device.id)
    })?)
}

/// The filter of a list of devices.
#[derive(Debug, Deserialize, JsonSchema)]
struct DeviceListParams {
    /// Only the device with this textual id or this UUID.
    #[serde(default)]
    device_id: Option<DeviceLabel>,
    /// Only devices with this status.
    #[serde(default)]
    status: Option<DeviceStatus>,
    #[serde(flatten)]
    page: PageParams,
}

impl Query for DeviceListParams {}

/// `GET /api/v1/scanning/devices`
pub(crate) fn list() -> Route {
    Route::get(
        DEVICES_PATH,
        "listDevices",
        "Lists devices in the order of their ids.",
    )
    .query::<DeviceListParams>()
    .responds::<List<Device>>(StatusCode::OK, "A page of devices.")
    .authenticated(Permission::Viewer, run_list)
}

async fn run_list(request: Request<(), DeviceListParams>) -> HandlerResult {
    let DeviceListParams {
        device_id,
        status,
        page,
    } = &request.query;
    let (store, organization) = (request.store(), request.organization());
    let label = device_id.as_ref().map(DeviceLabel::as_str);
    let mut devices = store
        .devices(organization, label, *status, &(*page).into())
        .await?;
    // `device_id` is a textual id in this object and a UUID in all others: the filter accepts both.
    if let Some(id) = label.and_then(|label| label.parse::<DeviceId>().ok())
        && devices.data.is_empty()
        && page.cursor.is_none()
        && let Some(device) = store.device(organization, id).await?
        && status.is_none_or(|status| status == device.status)
    {
        devices = Page {
            data: vec![device],
            next: None,
        };
    }
    Ok(response::ok(&List::from(devices)))
}

/// `GET /api/v1/scanning/devices/{id}`
pub(crate) fn show() -> Route {
    Route::get(DEVICE_PATH, "showDevice", "Shows a device.")
        .responds::<Device>(StatusCode::OK, "The device.")
        .resource(|request| Ok(Resource::Device(request.device_id()?)))
        .authenticated(Permission::Viewer, run_show)
}

async fn run_show(request: Request) -> HandlerResult {
    ok_or_not_found(
        request
            .store()
            .device(request.organization(), request.device_id()?)
            .await?,
    )
}

/// `PATCH /api/v1/scanning/devices/{id}`
pub(crate) fn change() -> Route {
    Route::patch(
        DEVICE_PATH,
        "changeDevice",
        "Changes a device; absent fields stay.",
    )
    .json_body::<DevicePatch>()
    .responds::<Device>(StatusCode::OK, "The changed device.")
    .problems(&[Code::Conflict])
    .resource(|request| Ok(Resource::Device(request.device_id()?)))
    .authenticated(Permission::Admin, run_change)
}

async fn run_change(request: Request<Json<DevicePatch>>) -> HandlerResult {
    let id = request.device_id()?;
    let put = request
        .admin()
        .patch_device(
            request.organization(),
            id,
            &request.body.0,
            &request.audit_context(),
            request.now,
        )
        .await?;
    Ok(put_response(put, |_| String::new())?)
}

/// `DELETE /api/v1/scanning/devices/{id}`
pub(crate) fn revoke() -> Route {
    Route::delete(
        DEVICE_PATH,
        "revokeDevice",
        "Revokes a device, which cannot be undone. Its active session ends; its record stays.",
    )
    .responds_no_content("The device is revoked, also if it was before.")
    .resource(|request| Ok(Resource::Device(request.device_id()?)))
    .authenticated(Permission::Admin, run_revoke)
}

async fn run_revoke(request: Request) -> HandlerResult {
    let id = request.device_id()?;
    if request
        .admin()
        .revoke_device(request.organization(), id, &request.audit_context(), request.now)
        .await?
    {
        Ok(response::no_content())
    } else {
        Err(Code::NotFound.into())
    }
}

/// The new token of a device.
#[derive(Serialize, JsonSchema)]
struct NewToken {
    /// The device's credential. Only its hash is stored, so that it cannot be shown again.
    token: String,
}

/// `POST /api/v1/scanning/devices/{id}/token`
pub(crate) fn rotate_token() -> Route {
    Route::post(
        "/api/v1/scanning/devices/{id}/token",
        "rotateDeviceToken",
        "Gives a device a new token. The old token becomes invalid; the session continues.",
    )
    .responds::<NewToken>(StatusCode::OK, "The token, which is shown only once.")
    .problems(&[Code::Conflict])
    .resource(|request| Ok(Resource::Device(request.device_id()?)))
    .authenticated(Permission::Admin, run_rotate_token)
}

async fn run_rotate_token(request: Request) -> HandlerResult {
    let id = request.device_id()?;
    match request
        .admin()
        .rotate_device_token(request.organization(), id, &request.audit_context(), request.now)
        .await?
    {
        PutOutcome::Created((_, token)) | PutOutcome::Replaced((_, token)) => Ok(response::ok(&NewToken {
            token: token.reveal().to_owned(),
        })),
        PutOutcome::Conflict(rule) => Err(Problem::conflict(rule).into()),
        PutOutcome::Missing => Err(Code::NotFound.into()),
    }
}

/// An enrolment with its QR code.
#[derive(Serialize, JsonSchema)]
struct EnrollmentWithQr {
    #[serde(flatten)]
    enrollment: Enrollment,
    /// The QR code of `uri`, an SVG document.
    qr_svg: String,
}

/// `POST /api/v1/scanning/devices/{id}/enrollment`
pub(crate) fn begin_enrollment() -> Route {
    Route::post(
        "/api/v1/scanning/devices/{id}/enrollment",
        "beginEnrollment",
        "Creates a code that enrols a phone as this device. The code works once, for five minutes, and until the next \
         code is created. Five wrong guesses invalidate it.",
    )
    .responds::<EnrollmentWithQr>(
        StatusCode::CREATED,
        "The code, which is shown only once; `uri` is to be shown as a QR code, as `qr_svg` is.",
    )
    .problems(&[Code::Conflict])
    .resource(|request| Ok(Resource::Device(request.device_id()?)))
    .authenticated(Permission::Admin, run_begin_enrollment)
}

async fn run_begin_enrollment(request: Request) -> HandlerResult {
    let id = request.device_id()?;
    match request
        .admin()
        .new_enrollment(request.organization(), id, &request.audit_context(), request.now)
        .await?
    {
        PutOutcome::Created((code, expires_at)) | PutOutcome::Replaced((code, expires_at)) => {
            let uri = EnrollmentUri {
                server: public_url(&request.state, &request.headers),
                code: code.clone(),
            };
            let enrollment = EnrollmentWithQr {
                qr_svg: qr::svg(&uri.reveal())?,
                enrollment: Enrollment {
                    code,
                    expires_at,
                    uri,
                },
            };
            Ok(response::created(&enrollment, &format!("{DEVICES_PATH}/{id}")))
        }
        PutOutcome::Conflict(rule) => Err(Problem::conflict(rule).into()),
        PutOutcome::Missing => Err(Code::NotFound.into()),
    }
}

/// The URL by which phones reach the server: the configured one, else the one that the operator used.
///
/// Only this function trusts `X-Forwarded-Proto`. The only client that could forge it is the operator, whose own phones
/// alone would get the wrong URL.
fn public_url(state: &ServerState, headers: &HeaderMap) -> String {
    if let Some(url) = &state.public_url {
        return url.clone();
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let scheme = match text("x-forwarded-proto") {
        Some("https") => "https",
        _ => state.scheme,
    };
    let host = text(HOST.as_str()).and_then(|host| host.parse::<Authority>().ok());
    match host.filter(|host| !host.as_str().contains('@')) {
        Some(host) => format!("{scheme}://{host}"),
        None => format!("{scheme}://{}", state.address),
    }
}

/// `POST /api/v1/scanning/enroll`
pub(crate) fn enroll() -> Route {
    Route::post(
        "/api/v1/scanning/enroll",
        "enroll",
        "Enrols a phone as the device that the code belongs to. The old token of the device becomes invalid. An address \
         may try ten times per minute. An unknown, used, expired or invalidated code gives the same 404.",
    )
    .json_body::<EnrollRequest>()
    .responds::<EnrollAnswer>(StatusCode::CREATED, "The device and its token, which is shown only once.")
    .problems(&[Code::NotFound])
    .anonymous(run_enroll)
}

async fn run_enroll(request: AnonymousRequest<Json<EnrollRequest>>) -> HandlerResult {
    let enrolled = request
        .state
        .admin
        .enroll(&request.body.0, &request.audit_context, request.now)
        .await?
        .ok_or(Code::NotFound)?;
    Ok(response::created(&enrolled, "/api/v1/scanning/device"))
}
