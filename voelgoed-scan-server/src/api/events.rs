//! Events: list, create or replace, show.

use hyper::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;
use voelgoed_scan_core::model::{Event, EventPut, Timestamp};

use super::scoped_lists::page_of;
use super::{ok_or_not_found, put_response};
use crate::auth::Permission;
use crate::problem::Code;
use crate::query::{PageParams, Query};
use crate::request::Request;
use crate::resource::Resource;
use crate::response::{self, List};
use crate::route::{HandlerResult, Json, Route};

const EVENT_PATH: &str = "/api/v1/events/{id}";

/// `GET /api/v1/events`
pub(crate) fn list() -> Route {
    Route::get(
        "/api/v1/events",
        "listEvents",
        "Lists events in the order of their ids; for a device, those in its scope.",
    )
    .query::<EventListParams>()
    .responds::<List<Event>>(StatusCode::OK, "A page of events.")
    .permission(|request| match request.query.archived_before {
        Some(_) => Permission::Viewer,
        None => Permission::DeviceOrViewer,
    })
    .authenticated(Permission::DeviceOrViewer, run_list)
}

/// The filter of a list of events.
#[derive(Debug, Deserialize, JsonSchema)]
struct EventListParams {
    /// Only events that have been archived since this time or longer. Not for devices.
    #[serde(default)]
    archived_before: Option<Timestamp>,
    #[serde(flatten)]
    page: PageParams,
}

impl Query for EventListParams {}

async fn run_list(request: Request<(), EventListParams>) -> HandlerResult {
    let (store, organization) = (request.store(), request.organization());
    let page = request.query.page.into();
    if let Some(before) = request.query.archived_before {
        let events = store.archived_events(organization, before, &page).await?;
        return Ok(response::ok(&List::from(events)));
    }
    let events = match request.scope().and_then(|scope| scope.event_ids.as_deref()) {
        Some(ids) => {
            let ids = ids.iter().map(|id| *id.as_uuid());
            page_of(ids, &page, |id| store.event(organization, id.into())).await?
        }
        None => store.events(organization, &page).await?,
    };
    Ok(response::ok(&List::from(events)))
}

/// `PUT /api/v1/events/{id}`
pub(crate) fn put() -> Route {
    Route::put(
        EVENT_PATH,
        "putEvent",
        "Creates or replaces an event. Absent fields take their defaults, except ticket_classes, which stay.",
    )
    .json_body::<EventPut>()
    .responds::<Event>(StatusCode::CREATED, "The new event.")
    .responds::<Event>(StatusCode::OK, "The replaced event.")
    .problems(&[Code::Conflict])
    .authenticated(Permission::Admin, run_put)
}

async fn run_put(request: Request<Json<EventPut>>) -> HandlerResult {
    let id = request.event_id()?;
    let put = request
        .admin()
        .put_event(
            request.organization(),
            id,
            &request.body.0,
            &request.audit_context(),
            request.now,
        )
        .await?;
    Ok(put_response(put, |event| format!("/api/v1/events/{}", event.id))?)
}

/// `GET /api/v1/events/{id}`
pub(crate) fn show() -> Route {
    Route::get(EVENT_PATH, "showEvent", "Shows an event.")
        .responds::<Event>(StatusCode::OK, "The event.")
        .resource(|request| Ok(Resource::Event(request.event_id()?)))
        .within_scope()
        .authenticated(Permission::DeviceOrViewer, run_show)
}

async fn run_show(request: Request) -> HandlerResult {
    ok_or_not_found(
        request
            .store()
            .event(request.organization(), request.event_id()?)
            .await?,
    )
}
