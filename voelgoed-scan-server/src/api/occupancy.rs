//! The occupancy of an event, and its activity by minute.

use hyper::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;
use voelgoed_scan_core::model::{ActivityMinutes, EventActivity, EventOccupancy};

use super::ok_or_not_found;
use crate::auth::Permission;
use crate::problem::Code;
use crate::query::Query;
use crate::request::Request;
use crate::resource::Resource;
use crate::response;
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

/// The length of an activity.
#[derive(Debug, Deserialize, JsonSchema)]
struct ActivityParams {
    /// How many minutes, the one under way included.
    #[serde(default = "three_hours")]
    #[schemars(range(min = 1, max = 720))]
    minutes: u16,
}

const fn three_hours() -> u16 {
    180
}

impl Query for ActivityParams {}

/// `GET /api/v1/scanning/events/{id}/activity`
pub(crate) fn activity() -> Route {
    Route::get(
        "/api/v1/scanning/events/{id}/activity",
        "showActivity",
        "Counts admissions, exits and denials at each gate of an event in each of the last minutes.",
    )
    .query::<ActivityParams>()
    .responds::<EventActivity>(
        StatusCode::OK,
        "The counts. Each list has one number for each minute, the oldest first.",
    )
    .resource(|request| Ok(Resource::Event(request.event_id()?)))
    .authenticated(Permission::Viewer, run_activity)
}

async fn run_activity(request: Request<(), ActivityParams>) -> HandlerResult {
    let (organization, event) = (request.organization(), request.event_id()?);
    request.scanner().wait_for_pending_denials(organization).await;
    let store = request.store();
    let minutes = ActivityMinutes::until(request.now, request.query.minutes);
    let activity = store.activity(organization, event, minutes).await?;
    // An event without gates looks as one that does not exist.
    if activity.gates.is_empty() && store.event(organization, event).await?.is_none() {
        return Err(Code::NotFound.into());
    }
    Ok(response::ok(&activity))
}
