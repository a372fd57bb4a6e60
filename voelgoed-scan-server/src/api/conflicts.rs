//! What devices did that is at odds with the rules or with one another.

use hyper::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;
use voelgoed_scan_core::model::EventId;
use voelgoed_scan_core::rules::ConflictKind;
use voelgoed_scan_core::store::ConflictFilter;
use voelgoed_scan_core::sync::Conflict;

use crate::auth::Permission;
use crate::call::Call;
use crate::query::{Paging, Query};
use crate::reply::{self, List};
use crate::route::{Answer, Route};

/// Which conflicts are asked for.
#[derive(Debug, Deserialize, JsonSchema)]
struct Wanted {
    /// At this event.
    #[serde(default)]
    event_id: Option<EventId>,
    /// Of this kind.
    #[serde(default)]
    kind: Option<ConflictKind>,
    #[serde(flatten)]
    page: Paging,
}

impl Query for Wanted {}

/// `GET /api/v1/scanning/conflicts`
pub(crate) fn list() -> Route {
    Route::get(
        "/api/v1/scanning/conflicts",
        "listConflicts",
        "Lists conflicts, newest first by the time of the scan that lost.",
    )
    .asks::<Wanted>()
    .answers::<List<Conflict>>(StatusCode::OK, "A page of conflicts.")
    .by(Permission::Viewer, run)
}

async fn run(call: Call<(), Wanted>) -> Answer {
    let filter = ConflictFilter {
        event_id: call.query.event_id,
        kind: call.query.kind,
    };
    let page = call.query.page.into();
    let conflicts = call
        .scanner()
        .conflicts(call.organization(), &filter, &page)
        .await?;
    Ok(reply::ok(&List::from(conflicts)))
}
