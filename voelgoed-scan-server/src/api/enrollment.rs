//! How a phone becomes a scanner: a code for the operator to show, and what the phone gives it in for.

use hyper::header::HOST;
use hyper::http::uri::Authority;
use hyper::{HeaderMap, StatusCode};
use voelgoed_scan_core::model::{EnrollAnswer, EnrollRequest, Enrollment, EnrollmentUri};
use voelgoed_scan_core::store::PutOutcome;

use crate::auth::Permission;
use crate::call::{Call, Visit};
use crate::node::Node;
use crate::problem::{Code, Problem};
use crate::reply;
use crate::route::{Answer, Json, Route};
use crate::thing::Thing;

/// `POST /api/v1/scanning/devices/{id}/enrollment`
pub(crate) fn begin() -> Route {
    Route::post(
        "/api/v1/scanning/devices/{id}/enrollment",
        "beginEnrollment",
        "Makes a code that enrols a phone as this device: good once, for five minutes, until the next one is made. Five \
         wrong guesses burn it.",
    )
    .answers::<Enrollment>(StatusCode::CREATED, "This once, the code; `uri` is to be shown as a QR.")
    .may_fail(&[Code::Conflict])
    .names(|call| Ok(Thing::Device(call.device_id()?)))
    .by(Permission::Admin, run_begin)
}

async fn run_begin(call: Call) -> Answer {
    let id = call.device_id()?;
    let admin = call.admin();
    match admin.new_enrollment(call.organization(), id, call.now).await? {
        PutOutcome::Created((code, expires_at)) | PutOutcome::Replaced((code, expires_at)) => {
            let uri = EnrollmentUri {
                server: public_url(&call.node, &call.headers),
                code: code.clone(),
            };
            let enrollment = Enrollment {
                code,
                expires_at,
                uri,
            };
            let device = format!("/api/v1/scanning/devices/{id}");
            Ok(reply::created(&enrollment, &device))
        }
        PutOutcome::Conflict(rule) => Err(Problem::conflict(rule).into()),
        PutOutcome::Missing => Err(Code::NotFound.into()),
    }
}

/// Where phones reach the server: as it was set up, or else as the operator reaches it.
///
/// What a proxy says of the scheme is believed here, and nowhere else: who could forge it is the operator, who would
/// mislead his own phones alone.
fn public_url(node: &Node, headers: &HeaderMap) -> String {
    if let Some(url) = &node.public_url {
        return url.clone();
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let scheme = match text("x-forwarded-proto") {
        Some("https") => "https",
        _ => node.scheme,
    };
    let host = text(HOST.as_str()).and_then(|host| host.parse::<Authority>().ok());
    match host.filter(|host| !host.as_str().contains('@')) {
        Some(host) => format!("{scheme}://{host}"),
        None => format!("{scheme}://{}", node.address),
    }
}

/// `POST /api/v1/scanning/enroll`
pub(crate) fn enroll() -> Route {
    Route::post(
        "/api/v1/scanning/enroll",
        "enroll",
        "Enrols a phone as the device that its code is for; the device's old token dies. An address has ten tries a \
         minute. A code that is unknown, used, expired or burnt is the same 404.",
    )
    .takes::<EnrollRequest>()
    .answers::<EnrollAnswer>(StatusCode::CREATED, "The device and, this once, its token.")
    .may_fail(&[Code::NotFound])
    .by_visitors(run_enroll)
}

async fn run_enroll(visit: Visit<Json<EnrollRequest>>) -> Answer {
    let Json(request) = &visit.body;
    let enrolled = visit.node.admin.enroll(request, visit.now).await?;
    let answer = enrolled.ok_or(Code::NotFound)?;
    Ok(reply::created(&answer, "/api/v1/scanning/device"))
}
