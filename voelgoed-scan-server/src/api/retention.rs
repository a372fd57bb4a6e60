//! The deletion of the personal data of an event, and of a whole event.

use hyper::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use voelgoed_scan_core::model::Role;
use voelgoed_scan_core::store::{DeleteEventOutcome, ExpectedCounts};

use super::ok_or_not_found;
use crate::auth::Permission;
use crate::problem::{Code, Problem};
use crate::query::Query;
use crate::request::Request;
use crate::resource::Resource;
use crate::response;
use crate::route::{HandlerResult, RequestError, Route};

/// The result of deleting personal data.
#[derive(Debug, Serialize, JsonSchema)]
struct DeletedPersonalData {
    /// How many tickets held personal data.
    tickets: u64,
}

/// `DELETE /api/v1/events/{id}/personal-data`
pub(crate) fn delete_personal_data() -> Route {
    Route::delete(
        "/api/v1/events/{id}/personal-data",
        "deletePersonalData",
        "Deletes the personal data of an event: holder_name, order_ref, note, seat and nfc media of its tickets; metadata and \
         the reasons of overrides, undos and check-ins of its scans. Decisions, counts and the audit stay. A repeated call \
         finds nothing more.",
    )
    .responds::<DeletedPersonalData>(StatusCode::OK, "The personal data are deleted.")
    .resource(|request| Ok(Resource::Event(request.event_id()?)))
    .authenticated(Permission::Admin, run_delete_personal_data)
}

async fn run_delete_personal_data(request: Request) -> HandlerResult {
    let deleted = request
        .admin()
        .delete_personal_data(
            request.organization(),
            request.event_id()?,
            &request.audit_context(),
            request.now,
        )
        .await?;
    ok_or_not_found(deleted.map(|tickets| DeletedPersonalData { tickets }))
}

/// What the event must have to be deleted.
#[derive(Debug, Deserialize, JsonSchema)]
struct DeleteEventParams {
    /// Delete the event only if it has this number of recorded scans: nothing came since they were exported.
    #[serde(default)]
    #[schemars(range(min = 0))]
    scans: Option<i64>,
    /// Delete the event only if it has this number of tickets.
    #[serde(default)]
    #[schemars(range(min = 0))]
    tickets: Option<i64>,
}

impl Query for DeleteEventParams {}

/// `DELETE /api/v1/events/{id}`
pub(crate) fn delete_event() -> Route {
    Route::delete(
        "/api/v1/events/{id}",
        "deleteEvent",
        "Deletes an archived event with its tickets, scans, sessions, gates and counts. From then on its id does not exist \
         and cannot be used again. An API key with the role admin may delete only what a rehearsal made (`rehearsal`).",
    )
    .query::<DeleteEventParams>()
    .responds_without_body(
        StatusCode::ACCEPTED,
        "The event is deleted. Its rows are deleted in the background.",
    )
    .problems(&[Code::Conflict])
    .resource(|request| Ok(Resource::Event(request.event_id()?)))
    .authenticated(Permission::Admin, run_delete_event)
}

async fn run_delete_event(request: Request<(), DeleteEventParams>) -> HandlerResult {
    let count = |count: Option<i64>| count.and_then(|count| u64::try_from(count).ok());
    let expected = ExpectedCounts {
        scans: count(request.query.scans),
        tickets: count(request.query.tickets),
    };
    check_may_delete(&request).await?;
    let outcome = request
        .admin()
        .delete_event(
            request.organization(),
            request.event_id()?,
            expected,
            &request.audit_context(),
            request.now,
        )
        .await?;
    match outcome {
        Some(DeleteEventOutcome::Deleted) => Ok(response::empty(StatusCode::ACCEPTED)),
        Some(DeleteEventOutcome::NotArchived) => {
            Err(Problem::conflict("Only an archived event can be deleted.").into())
        }
        Some(DeleteEventOutcome::CountsDiffer { .. }) => {
            Err(Problem::conflict("The event does not have the expected numbers of scans and tickets. Something came since they were counted.").into())
        }
        None => Err(Code::NotFound.into()),
    }
}

/// An owner may delete every event, an admin only one that a rehearsal made. That is fixed at the creation of an event, and no
/// id is used twice, so nothing can change between this check and the deletion.
async fn check_may_delete(request: &Request<(), DeleteEventParams>) -> Result<(), RequestError> {
    if request.caller.role() == Some(Role::Owner) {
        return Ok(());
    }
    let event = request
        .store()
        .event(request.organization(), request.event_id()?)
        .await?
        .ok_or(Code::NotFound)?;
    if event.rehearsal {
        return Ok(());
    }
    Err(Code::Forbidden.into())
}
