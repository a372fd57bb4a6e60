//! One event: put it, show it.

use hyper::StatusCode;
use voelgoed_scan_core::model::{Event, EventPut};

use crate::auth::Permission;
use crate::call::Call;
use crate::problem::Code;
use crate::route::{Answer, Json, Route};
use crate::thing::Thing;

const PATH: &str = "/api/v1/events/{id}";

/// `PUT /api/v1/events/{id}`
pub(crate) fn put() -> Route {
    Route::put(
        PATH,
        "putEvent",
        "Creates or replaces an event. What is absent takes its default, save for ticket_classes, which stay.",
    )
    .takes::<EventPut>()
    .answers::<Event>(StatusCode::CREATED, "The new event.")
    .answers::<Event>(StatusCode::OK, "The event as it is now.")
    .may_fail(&[Code::Conflict])
    .by(Permission::Admin, run_put)
}

async fn run_put(call: Call<Json<EventPut>>) -> Answer {
    let id = call.event_id()?;
    let put = call
        .admin()
        .put_event(call.organization(), id, &call.body.0, call.now)
        .await?;
    Ok(super::put(put, |event| format!("/api/v1/events/{}", event.id))?)
}

/// `GET /api/v1/events/{id}`
pub(crate) fn show() -> Route {
    Route::get(PATH, "showEvent", "Shows an event.")
        .answers::<Event>(StatusCode::OK, "The event.")
        .names(|call| Ok(Thing::Event(call.event_id()?)))
        .by(Permission::DeviceOrViewer, run_show)
}

async fn run_show(call: Call) -> Answer {
    super::found(call.store().event(call.organization(), call.event_id()?).await?)
}
