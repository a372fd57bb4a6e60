//! The gates of an event: list, create or replace, show.

use hyper::StatusCode;
use voelgoed_scan_core::model::{Gate, GatePut};
use voelgoed_scan_core::store::Page;

use super::scoped_lists::page_of;
use super::{ok_or_not_found, put_response};
use crate::auth::Permission;
use crate::problem::Code;
use crate::query::PageParams;
use crate::request::Request;
use crate::resource::Resource;
use crate::response::{self, List};
use crate::route::{HandlerResult, Json, Route};

const GATE_PATH: &str = "/api/v1/events/{id}/gates/{gate_id}";

/// `GET /api/v1/events/{id}/gates`
pub(crate) fn list() -> Route {
    Route::get(
        "/api/v1/events/{id}/gates",
        "listGates",
        "Lists the gates of an event in the order of their ids; for a device, those in its scope.",
    )
    .query::<PageParams>()
    .responds::<List<Gate>>(StatusCode::OK, "A page of gates.")
    .resource(|request| Ok(Resource::Event(request.event_id()?)))
    .authenticated(Permission::DeviceOrViewer, run_list)
}

async fn run_list(request: Request<(), PageParams>) -> HandlerResult {
    let event = request.event_id()?;
    let (store, organization) = (request.store(), request.organization());
    let page = request.query.into();
    let scope = request.scope();
    let is_outside = scope.is_some_and(|scope| !scope.admits_event(event));
    let gates = match scope.and_then(|scope| scope.gate_ids.as_deref()) {
        _ if is_outside => Page::empty(),
        Some(ids) => {
            let ids = ids.iter().map(|id| *id.as_uuid());
            page_of(ids, &page, async |id| {
                store.gate(organization, event, id.into()).await
            })
            .await?
        }
        None => store.gates(organization, event, &page).await?,
    };
    // An empty page does not show whether the event exists.
    if gates.data.is_empty() && store.event(organization, event).await?.is_none() {
        return Err(Code::NotFound.into());
    }
    Ok(response::ok(&List::from(gates)))
}

/// `PUT /api/v1/events/{id}/gates/{gate_id}`
pub(crate) fn put() -> Route {
    Route::put(GATE_PATH, "putGate", "Creates or replaces a gate of an event.")
        .json_body::<GatePut>()
        .responds::<Gate>(StatusCode::CREATED, "The new gate.")
        .responds::<Gate>(StatusCode::OK, "The replaced gate.")
        .problems(&[Code::Conflict])
        .resource(|request| Ok(Resource::Event(request.event_id()?)))
        .authenticated(Permission::Admin, run_put)
}

async fn run_put(request: Request<Json<GatePut>>) -> HandlerResult {
    let (event, id) = (request.event_id()?, request.gate_id()?);
    let put = request
        .admin()
        .put_gate(
            request.organization(),
            event,
            id,
            &request.body.0,
            &request.audit_context(),
            request.now,
        )
        .await?;
    Ok(put_response(put, |gate| {
        format!("/api/v1/events/{event}/gates/{}", gate.id)
    })?)
}

/// `GET /api/v1/events/{id}/gates/{gate_id}`
pub(crate) fn show() -> Route {
    Route::get(GATE_PATH, "showGate", "Shows a gate of an event.")
        .responds::<Gate>(StatusCode::OK, "The gate.")
        .resource(|request| Ok(Resource::Gate(request.event_id()?, request.gate_id()?)))
        .within_scope()
        .authenticated(Permission::DeviceOrViewer, run_show)
}

async fn run_show(request: Request) -> HandlerResult {
    let (event, id) = (request.event_id()?, request.gate_id()?);
    ok_or_not_found(request.store().gate(request.organization(), event, id).await?)
}
