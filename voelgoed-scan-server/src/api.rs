//! The HTTP API, one file per resource; [`routes`] lists all routes.

mod api_keys;
mod audit;
mod check_in;
mod console;
mod device;
mod devices;
mod events;
mod export;
mod gates;
mod manifest;
mod messages;
mod occupancy;
mod operations;
mod organization;
mod reference;
mod report;
mod retention;
mod scans;
mod scoped_lists;
mod sessions;
mod signals;
mod signing_keys;
mod stream;
mod sync;
mod tickets;
mod webhooks;

pub(crate) use operations::ReadinessProbe;

use hyper::Response;
use serde::Serialize;
use voelgoed_scan_core::store::PutOutcome;

use crate::problem::{Code, Problem};
use crate::response::{self, ResponseBody};
use crate::route::{HandlerResult, Route};

/// The media type of streams with one JSON object per line.
const NDJSON: &str = "application/x-ndjson";

/// All routes of the API.
pub(crate) fn routes() -> Vec<Route> {
    vec![
        sessions::start(),
        sessions::list(),
        sessions::show(),
        sessions::end(),
        scans::scan(),
        scans::list(),
        scans::undo(),
        check_in::check_in(),
        sync::sync(),
        sync::list_conflicts(),
        sync::accept(),
        device::show(),
        device::report(),
        devices::register(),
        devices::list(),
        devices::show(),
        devices::change(),
        devices::revoke(),
        devices::rotate_token(),
        devices::begin_enrollment(),
        devices::enroll(),
        manifest::show(),
        occupancy::show(),
        report::show(),
        occupancy::activity(),
        stream::watch(),
        signals::list(),
        signals::settings(),
        signals::change_settings(),
        messages::show(),
        messages::change(),
        events::list(),
        events::put(),
        events::show(),
        retention::delete_event(),
        retention::delete_personal_data(),
        gates::list(),
        gates::put(),
        gates::show(),
        tickets::import(),
        tickets::list(),
        tickets::show(),
        tickets::change(),
        tickets::show_qr(),
        signing_keys::list(),
        signing_keys::add(),
        signing_keys::change(),
        api_keys::create(),
        api_keys::list(),
        api_keys::delete(),
        organization::show(),
        audit::list(),
        audit::show_key(),
        webhooks::create(),
        webhooks::list(),
        webhooks::show(),
        webhooks::change(),
        webhooks::delete(),
        webhooks::rotate(),
        webhooks::test(),
        webhooks::list_deliveries(),
        webhooks::redeliver(),
        operations::health(),
        operations::ready(),
        operations::metrics(),
        operations::openapi(),
        console::page(),
        console::file(),
        reference::show(),
    ]
}

/// 200 with the resource, or 404.
fn ok_or_not_found<T: Serialize>(resource: Option<T>) -> HandlerResult {
    let resource = resource.ok_or(Code::NotFound)?;
    Ok(response::ok(&resource))
}

/// The response to a write: 201 with the path of the new resource, 200, 409 or 404.
fn put_response<T: Serialize>(
    put: PutOutcome<T>,
    location: impl FnOnce(&T) -> String,
) -> Result<Response<ResponseBody>, Problem> {
    match put {
        PutOutcome::Created(resource) => Ok(response::created(&resource, &location(&resource))),
        PutOutcome::Replaced(resource) => Ok(response::ok(&resource)),
        PutOutcome::Conflict(rule) => Err(Problem::conflict(rule)),
        PutOutcome::Missing => Err(Code::NotFound.into()),
    }
}
