//! The gates of an event: list them.

use hyper::StatusCode;
use voelgoed_scan_core::model::Gate;

use crate::auth::Permission;
use crate::call::Call;
use crate::problem::Code;
use crate::query::Paging;
use crate::reply::{self, List};
use crate::route::{Answer, Route};
use crate::thing::Thing;

/// `GET /api/v1/events/{id}/gates`
pub(crate) fn list() -> Route {
    Route::get(
        "/api/v1/events/{id}/gates",
        "listGates",
        "Lists the gates of an event in the order of their ids.",
    )
    .asks::<Paging>()
    .answers::<List<Gate>>(StatusCode::OK, "A page of gates.")
    .names(|call| Ok(Thing::Event(call.event_id()?)))
    .by(Permission::DeviceOrViewer, run)
}

async fn run(call: Call<(), Paging>) -> Answer {
    let event = call.event_id()?;
    let gates = call
        .store()
        .gates(call.organization(), event, &call.query.into())
        .await?;
    // No gates, or no event to have any?
    if gates.data.is_empty() && call.store().event(call.organization(), event).await?.is_none() {
        return Err(Code::NotFound.into());
    }
    Ok(reply::ok(&List::from(gates)))
}
