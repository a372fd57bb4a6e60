//! Which calls are served? A file an endpoint; [`routes`] is the one list of them.

mod api_keys;
mod conflicts;
mod device;
mod device_token;
mod devices;
mod enrollment;
mod event;
mod events;
mod gate;
mod gates;
mod import;
mod manifest;
mod monitor;
mod occupancy;
mod operations;
mod own_device;
mod scan;
mod scans;
mod session;
mod sessions;
mod signing_keys;
mod stream;
mod sync;
mod ticket;
mod ticket_qr;
mod tickets;
mod undo;

use hyper::Response;
use serde::Serialize;
use voelgoed_scan_core::store::PutOutcome;

use crate::problem::{Code, Problem};
use crate::reply::{self, Body};
use crate::route::{Answer, Route};

/// Every call.
pub(crate) fn routes() -> Vec<Route> {
    vec![
        sessions::start(),
        sessions::list(),
        session::show(),
        session::end(),
        scan::scan(),
        scans::list(),
        undo::undo(),
        sync::sync(),
        conflicts::list(),
        own_device::show(),
        own_device::report(),
        devices::register(),
        devices::list(),
        device::show(),
        device::change(),
        device::revoke(),
        device_token::rotate(),
        enrollment::begin(),
        enrollment::enroll(),
        manifest::show(),
        occupancy::show(),
        stream::watch(),
        events::list(),
        event::put(),
        event::show(),
        gates::list(),
        gate::put(),
        gate::show(),
        import::import(),
        tickets::list(),
        ticket::show(),
        ticket::change(),
        ticket_qr::show(),
        signing_keys::list(),
        signing_keys::add(),
        signing_keys::change(),
        api_keys::create(),
        api_keys::list(),
        api_keys::delete(),
        operations::health(),
        operations::ready(),
        operations::metrics(),
        operations::openapi(),
        monitor::show(),
    ]
}

/// The thing, or 404.
fn found<T: Serialize>(thing: Option<T>) -> Answer {
    let thing = thing.ok_or(Code::NotFound)?;
    Ok(reply::ok(&thing))
}

/// What became of something that was put, as an answer: 201 with its place, or 200.
fn put<T: Serialize>(
    put: PutOutcome<T>,
    location: impl FnOnce(&T) -> String,
) -> Result<Response<Body>, Problem> {
    match put {
        PutOutcome::Created(thing) => Ok(reply::created(&thing, &location(&thing))),
        PutOutcome::Replaced(thing) => Ok(reply::ok(&thing)),
        PutOutcome::Conflict(rule) => Err(Problem::conflict(rule)),
        PutOutcome::Missing => Err(Code::NotFound.into()),
    }
}
