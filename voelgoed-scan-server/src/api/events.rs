//! Events: list them.

use hyper::StatusCode;
use voelgoed_scan_core::model::Event;

use crate::auth::Permission;
use crate::call::Call;
use crate::query::Paging;
use crate::reply::{self, List};
use crate::route::{Answer, Route};

/// `GET /api/v1/events`
pub(crate) fn list() -> Route {
    Route::get(
        "/api/v1/events",
        "listEvents",
        "Lists events in the order of their ids.",
    )
    .asks::<Paging>()
    .answers::<List<Event>>(StatusCode::OK, "A page of events.")
    .by(Permission::DeviceOrViewer, run)
}

async fn run(call: Call<(), Paging>) -> Answer {
    let events = call
        .store()
        .events(call.organization(), &call.query.into())
        .await?;
    Ok(reply::ok(&List::from(events)))
}
