//! The occupancy of an event.

use hyper::StatusCode;
use voelgoed_scan_core::model::EventOccupancy;

use super::ok_or_not_found;
use crate::auth::Permission;
use crate::request::Request;
use crate::resource::Resource;
use crate::route::{HandlerResult, Route};

/// `GET /api/v1/scanning/events/{id}/occupancy`
pub(crate) fn show() -> Route {
    Route::get(
        "/api/v1/scanning/events/{id}/occupancy",
        "showOccupancy",
        "Shows how many people are inside an event and at each of its gates, and counts its scans by result.",
    )
    .responds::<EventOccupancy>(StatusCode::OK, "The counters.")
    .resource(|request| Ok(Resource::Event(request.event_id()?)))
    .within_scope()
    .authenticated(Permission::DeviceOrViewer, run_show)
}

async fn run_show(request: Request) -> HandlerResult {
    // Pending writes change the occupancy.
    request
        .scanner()
        .wait_for_pending_denials(request.organization())
        .await;
    ok_or_not_found(
        request
            .store()
            .occupancy(request.organization(), request.event_id()?, request.now)
            .await?,
    )
}
