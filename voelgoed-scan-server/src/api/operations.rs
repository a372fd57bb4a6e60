//! Endpoints for operators: health, readiness, metrics and the OpenAPI document. Only `/metrics` may ask for a token.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use voelgoed_scan_core::store::Durability;

use crate::problem::{Code, Problem};
use crate::route::{HandlerResult, Route};
use crate::state::ServerState;
use crate::{openapi, response};

/// The time limit for the database to record a scan.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long the result of a probe is used. Anybody may call `/readyz`, and each probe writes.
const PROBE_AGE: Duration = Duration::from_millis(200);

/// The status of the process.
#[derive(Serialize, JsonSchema)]
struct Status {
    /// `ok`.
    status: &'static str,
}

/// The status of the server and its dependencies.
#[derive(Serialize, JsonSchema)]
struct Readiness {
    /// `ok`, or `degraded` if a dependency is unavailable that scans do not need.
    status: &'static str,
    /// The dependencies, each `ok` or `unavailable`.
    checks: Checks,
}

/// The dependencies of the server.
#[derive(Serialize, JsonSchema)]
struct Checks {
    /// The database: whether it records scans now.
    database: &'static str,
    /// Absent where acknowledged scans survive a crash of the database by its own settings. `overridden`, where the server overrides the
    /// setting `synchronous_commit=off` of PostgreSQL; `at_risk`, where PostgreSQL runs with `fsync=off`, or a worker of
    /// Citus with one of the two.
    #[serde(skip_serializing_if = "Option::is_none")]
    durability: Option<&'static str>,
    /// Redis, if configured. Scans continue without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    redis: Option<&'static str>,
    /// The message bus to the other nodes, if there is one. Without it they receive changes within a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    bus: Option<&'static str>,
}

fn availability(up: bool) -> &'static str {
    if up { "ok" } else { "unavailable" }
}

/// Whether the database records scans, found out by recording one and rolling it back.
#[derive(Debug, Default)]
pub(crate) struct ReadinessProbe(Mutex<Option<(Instant, Option<String>)>>);

impl ReadinessProbe {
    /// The reason why the next scan would fail; `None` if it would be recorded. Concurrent calls share one probe.
    async fn failure(&self, state: &ServerState) -> Option<String> {
        let mut last = self.0.lock().await;
        if let Some((at, failure)) = &*last
            && at.elapsed() < PROBE_AGE
        {
            return failure.clone();
        }
        let probe = state.scanner.store().check_writable(state.clock.now());
        let failure = match timeout(PROBE_TIMEOUT, probe).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(format!("no answer within {PROBE_TIMEOUT:?}")),
        };
        if let Some(failed) = &failure {
            tracing::warn!(failed, "the database does not record scans");
        }
        *last = Some((Instant::now(), failure.clone()));
        failure
    }
}

/// `GET /healthz`
pub(crate) fn health() -> Route {
    Route::get("/healthz", "health", "Responds if the process is alive.")
        .responds::<Status>(StatusCode::OK, "The process is alive.")
        .public(|_| async { Ok(response::ok(&Status { status: "ok" })) })
}

/// `GET /readyz`
pub(crate) fn ready() -> Route {
    Route::get("/readyz", "ready", "Shows whether the next scan can be recorded.")
        .responds::<Readiness>(
            StatusCode::OK,
            "The database records scans. Dependencies that scans do not need may be unavailable.",
        )
        .problems(&[Code::StorageUnavailable])
        .public(run_ready)
}

async fn run_ready(state: Arc<ServerState>) -> HandlerResult {
    if state.drain.has_begun() {
        return Err(Problem::not_ready(json!({ "server": "stopping" })).into());
    }
    if state.readiness.failure(&state).await.is_some() {
        return Err(Problem::not_ready(json!({ "database": "unavailable" })).into());
    }
    let redis = state.scanner.redis_health().map(|tier| tier.up);
    let bus = state.scanner.bus_is_up();
    let degraded = redis == Some(false) || bus == Some(false);
    Ok(response::ok(&Readiness {
        status: if degraded { "degraded" } else { "ok" },
        checks: Checks {
            database: "ok",
            durability: match state.durability {
                Durability::Durable => None,
                Durability::Overridden => Some("overridden"),
                Durability::AtRisk => Some("at_risk"),
            },
            redis: redis.map(availability),
            bus: bus.map(availability),
        },
    }))
}

/// `GET /metrics`
pub(crate) fn metrics() -> Route {
    const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
    Route::get(
        "/metrics",
        "metrics",
        "Shows metrics for Prometheus. Where the server has --metrics-token-file, it asks for that token as a bearer token, and \
         shows the live events of all organizations.",
    )
        .responds_with(
            "The metrics, in the Prometheus text format.",
            vec![(MEDIA_TYPE, None)],
        )
        .problems(&[Code::MissingToken, Code::InvalidToken])
        .operator(
            |state, headers| match &state.metrics_token {
                Some(token) => token.check(headers).map_err(Problem::from),
                None => Ok(()),
            },
            |state| async move {
                let now = state.clock.now();
                let with_organizations = state.metrics_token.is_some();
                let live = state
                    .live_reader
                    .counts(&state.scanner, &state.admin, now, with_organizations)
                    .await;
                let health = state.scanner.health();
                let text = state
                    .metrics
                    .render(&health, state.database, &live, with_organizations);
                Ok(response::full(StatusCode::OK, MEDIA_TYPE, text))
            },
        )
}

/// `GET /openapi.json`
pub(crate) fn openapi() -> Route {
    Route::get("/openapi.json", "openapi", "Shows this document.")
        .responds::<serde_json::Map<String, serde_json::Value>>(StatusCode::OK, "An OpenAPI 3.1 document.")
        .public(|state| async move {
            let document = state.openapi.get_or_init(|| {
                let document = openapi::document(&state.router, state.public_url.as_deref());
                Bytes::from(document.to_string())
            });
            Ok(response::full(
                StatusCode::OK,
                "application/json",
                document.clone(),
            ))
        })
}
