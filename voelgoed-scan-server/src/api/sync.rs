//! Uploads of scans that a device decided offline, and the conflicts that they cause.

use std::sync::Arc;

use hyper::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;
use voelgoed_scan_core::model::{DeviceStatus, EventId};
use voelgoed_scan_core::rules::ConflictKind;
use voelgoed_scan_core::store::ConflictFilter;
use voelgoed_scan_core::sync::{Conflict, ReceivedScan, SyncAnswer, SyncRequest};

use crate::auth::Permission;
use crate::problem::Code;
use crate::query::{PageParams, Query};
use crate::request::Request;
use crate::response::{self, List};
use crate::route::{HandlerResult, Json, Route};

/// `POST /api/v1/scanning/sync`
pub(crate) fn sync() -> Route {
    Route::post(
        "/api/v1/scanning/sync",
        "sync",
        "Uploads a batch of scans that the device decided offline. Each scan has its own outcome: an invalid scan does \
         not affect the others, and a known scan is returned as it is recorded.",
    )
    .json_body::<SyncRequest<ReceivedScan>>()
    .responds::<SyncAnswer>(StatusCode::OK, "The outcome of each scan.")
    .responds::<SyncAnswer>(
        StatusCode::ACCEPTED,
        "The device was revoked: its scans are stored separately and admit no one.",
    )
    .problems(&[Code::Overloaded])
    .authenticated(Permission::DeviceEvenRevoked, run_sync)
}

async fn run_sync(request: Request<Json<SyncRequest<ReceivedScan>>>) -> HandlerResult {
    let authenticated = Arc::clone(request.authenticated_device()?);
    let Json(upload) = request.body;
    let answer = request
        .state
        .scanner
        .sync(&authenticated, upload, request.now)
        .await?;
    let status = match authenticated.device.status {
        DeviceStatus::Active => StatusCode::OK,
        DeviceStatus::Inactive => StatusCode::ACCEPTED,
    };
    Ok(response::json(status, &answer))
}

/// The filter of a list of conflicts.
#[derive(Debug, Deserialize, JsonSchema)]
struct ConflictListParams {
    /// Only conflicts of this event.
    #[serde(default)]
    event_id: Option<EventId>,
    /// Only conflicts of this kind.
    #[serde(default)]
    kind: Option<ConflictKind>,
    #[serde(flatten)]
    page: PageParams,
}

impl Query for ConflictListParams {}

/// `GET /api/v1/scanning/conflicts`
pub(crate) fn list_conflicts() -> Route {
    Route::get(
        "/api/v1/scanning/conflicts",
        "listConflicts",
        "Lists conflicts, newest first by the time of the scan that lost.",
    )
    .query::<ConflictListParams>()
    .responds::<List<Conflict>>(StatusCode::OK, "A page of conflicts.")
    .authenticated(Permission::Viewer, run_list_conflicts)
}

async fn run_list_conflicts(request: Request<(), ConflictListParams>) -> HandlerResult {
    let filter = ConflictFilter {
        event_id: request.query.event_id,
        kind: request.query.kind,
    };
    let page = request.query.page.into();
    let mut conflicts = request
        .scanner()
        .conflicts(request.organization(), &filter, &page)
        .await?;
    if !request.caller.may_see_codes() {
        conflicts
            .data
            .iter_mut()
            .for_each(|conflict| conflict.ticket_code = None);
    }
    Ok(response::ok(&List::from(conflicts)))
}
