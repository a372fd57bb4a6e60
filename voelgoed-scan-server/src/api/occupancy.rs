//! Occupancy: how many people are inside.

use hyper::StatusCode;
use voelgoed_scan_core::model::EventOccupancy;

use crate::auth::Permission;
use crate::call::Call;
use crate::route::{Answer, Route};
use crate::thing::Thing;

/// `GET /api/v1/scanning/events/{id}/occupancy`
pub(crate) fn show() -> Route {
    Route::get(
        "/api/v1/scanning/events/{id}/occupancy",
        "showOccupancy",
        "Shows how many people are inside an event and at each of its gates, and what its scans resulted in.",
    )
    .answers::<EventOccupancy>(StatusCode::OK, "The counters.")
    .names(|call| Ok(Thing::Event(call.event_id()?)))
    .by(Permission::DeviceOrViewer, run)
}

async fn run(call: Call) -> Answer {
    call.scanner().wait_for_pending_denials().await;
    super::found(
        call.store()
            .occupancy(call.organization(), call.event_id()?, call.now)
            .await?,
    )
}
