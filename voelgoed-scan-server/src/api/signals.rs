//! Signals: the list, and the rules by which an organization finds them.

use hyper::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;
use voelgoed_scan_core::model::{EventId, Signal, SignalKind, SignalSettings, SignalSettingsPatch};
use voelgoed_scan_core::store::SignalFilter;

use crate::auth::Permission;
use crate::query::{PageParams, Query};
use crate::request::Request;
use crate::response::{self, List};
use crate::route::{HandlerResult, Json, Route};

const SETTINGS_PATH: &str = "/api/v1/organization/signals";

/// The filter of a list of signals.
#[derive(Debug, Deserialize, JsonSchema)]
struct SignalListParams {
    /// Only signals of this event.
    #[serde(default)]
    event_id: Option<EventId>,
    /// Only signals of this kind.
    #[serde(default)]
    kind: Option<SignalKind>,
    /// Only open signals (true), or only those that ended (false).
    #[serde(default)]
    open: Option<bool>,
    #[serde(flatten)]
    page: PageParams,
}

impl Query for SignalListParams {}

/// `GET /api/v1/scanning/signals`
pub(crate) fn list() -> Route {
    Route::get(
        "/api/v1/scanning/signals",
        "listSignals",
        "Lists signals, which are what somebody should look at, newest first.",
    )
    .query::<SignalListParams>()
    .responds::<List<Signal>>(StatusCode::OK, "A page of signals.")
    .authenticated(Permission::Staff, run_list)
}

async fn run_list(request: Request<(), SignalListParams>) -> HandlerResult {
    let filter = SignalFilter {
        event_id: request.query.event_id,
        kind: request.query.kind,
        open: request.query.open,
    };
    let signals = request
        .store()
        .signals(request.organization(), &filter, &request.query.page.into())
        .await?;
    Ok(response::ok(&List::from(signals)))
}

/// `GET /api/v1/organization/signals`
pub(crate) fn settings() -> Route {
    Route::get(
        SETTINGS_PATH,
        "showSignalSettings",
        "Shows the rules by which signals are found.",
    )
    .responds::<SignalSettings>(StatusCode::OK, "The rules, by kind.")
    .authenticated(Permission::Staff, run_settings)
}

async fn run_settings(request: Request) -> HandlerResult {
    let settings = request.store().signal_settings(request.organization()).await?;
    Ok(response::ok(&settings))
}

/// `PUT /api/v1/organization/signals`
pub(crate) fn change_settings() -> Route {
    Route::put(
        SETTINGS_PATH,
        "changeSignalSettings",
        "Changes the rules by which signals are found. Absent kinds and fields stay. A change of close_s, and a kind that \
         is disabled, count for open signals too.",
    )
    .json_body::<SignalSettingsPatch>()
    .responds::<SignalSettings>(StatusCode::OK, "All rules, by kind.")
    .authenticated(Permission::Admin, run_change_settings)
}

async fn run_change_settings(request: Request<Json<SignalSettingsPatch>>) -> HandlerResult {
    let settings = request
        .admin()
        .change_signal_settings(
            request.organization(),
            &request.body.0,
            &request.audit_context(),
            request.now,
        )
        .await?;
    Ok(response::ok(&settings))
}
