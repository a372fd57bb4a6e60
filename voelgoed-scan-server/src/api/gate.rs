//! One gate: put it, show it.

use hyper::StatusCode;
use voelgoed_scan_core::model::{Gate, GatePut};

use crate::auth::Permission;
use crate::call::Call;
use crate::problem::Code;
use crate::route::{Answer, Json, Route};
use crate::thing::Thing;

const PATH: &str = "/api/v1/events/{id}/gates/{gate_id}";

/// `PUT /api/v1/events/{id}/gates/{gate_id}`
pub(crate) fn put() -> Route {
    Route::put(PATH, "putGate", "Creates or replaces a gate of an event.")
        .takes::<GatePut>()
        .answers::<Gate>(StatusCode::CREATED, "The new gate.")
        .answers::<Gate>(StatusCode::OK, "The gate as it is now.")
        .may_fail(&[Code::Conflict])
        .names(|call| Ok(Thing::Event(call.event_id()?)))
        .by(Permission::Admin, run_put)
}

async fn run_put(call: Call<Json<GatePut>>) -> Answer {
    let (event, id) = (call.event_id()?, call.gate_id()?);
    let put = call
        .admin()
        .put_gate(call.organization(), event, id, &call.body.0, call.now)
        .await?;
    Ok(super::put(put, |gate| {
        format!("/api/v1/events/{event}/gates/{}", gate.id)
    })?)
}

/// `GET /api/v1/events/{id}/gates/{gate_id}`
pub(crate) fn show() -> Route {
    Route::get(PATH, "showGate", "Shows a gate of an event.")
        .answers::<Gate>(StatusCode::OK, "The gate.")
        .names(|call| Ok(Thing::Gate(call.event_id()?, call.gate_id()?)))
        .by(Permission::DeviceOrViewer, run_show)
}

async fn run_show(call: Call) -> Answer {
    let (event, id) = (call.event_id()?, call.gate_id()?);
    super::found(call.store().gate(call.organization(), event, id).await?)
}
