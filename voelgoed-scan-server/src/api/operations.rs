//! Calls for those who run the server, without a credential.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use tokio::time::timeout;

use crate::node::Node;
use crate::problem::{Code, Problem};
use crate::route::{Answer, Route};
use crate::{openapi, reply};

/// How long the database may take to answer before it counts as not answering.
const READY_TIME: Duration = Duration::from_secs(2);

/// How the server is.
#[derive(Serialize, JsonSchema)]
struct Status {
    /// `ok`.
    status: &'static str,
}

/// How the server and what it stands on are.
#[derive(Serialize, JsonSchema)]
struct Readiness {
    /// `ok`; `degraded` where something is unavailable that scans go on without.
    status: &'static str,
    /// What it stands on, each `ok` or `unavailable`.
    checks: Checks,
}

/// What the server stands on.
#[derive(Serialize, JsonSchema)]
struct Checks {
    /// The database.
    database: &'static str,
    /// The second tier, where there is one. Scans go on without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    redis: Option<&'static str>,
    /// The way to the other nodes, where there is one. Without it they learn of changes within a second all the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    bus: Option<&'static str>,
}

fn word(up: bool) -> &'static str {
    if up { "ok" } else { "unavailable" }
}

/// `GET /healthz`
pub(crate) fn health() -> Route {
    Route::get("/healthz", "health", "Says that the process lives.")
        .answers::<Status>(StatusCode::OK, "It lives.")
        .open(|_| async { Ok(reply::ok(&Status { status: "ok" })) })
}

/// `GET /readyz`
pub(crate) fn ready() -> Route {
    Route::get("/readyz", "ready", "Says whether the storage answers.")
        .answers::<Readiness>(
            StatusCode::OK,
            "It does; what scans go on without may be unavailable.",
        )
        .may_fail(&[Code::StorageUnavailable])
        .open(run_ready)
}

async fn run_ready(node: Arc<Node>) -> Answer {
    let failed = match timeout(READY_TIME, node.scanner.store().ping()).await {
        Ok(Ok(())) => {
            let redis = node.scanner.redis_health().map(|tier| tier.up);
            let bus = node.scanner.bus_is_up();
            let degraded = redis == Some(false) || bus == Some(false);
            return Ok(reply::ok(&Readiness {
                status: if degraded { "degraded" } else { "ok" },
                checks: Checks {
                    database: "ok",
                    redis: redis.map(word),
                    bus: bus.map(word),
                },
            }));
        }
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {READY_TIME:?}"),
    };
    tracing::warn!(failed, "the database does not answer");
    Err(Problem::not_ready(json!({ "database": "unavailable" })).into())
}

/// `GET /metrics`
pub(crate) fn metrics() -> Route {
    const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
    Route::get("/metrics", "metrics", "Shows counters for Prometheus.")
        .answers_as(
            "The counters, in the text format of Prometheus.",
            vec![(MEDIA_TYPE, None)],
        )
        .open(|node| async move {
            Ok(reply::whole(
                StatusCode::OK,
                MEDIA_TYPE,
                node.measures.render(&node.scanner.health(), node.database),
            ))
        })
}

/// `GET /openapi.json`
pub(crate) fn openapi() -> Route {
    Route::get("/openapi.json", "openapi", "Shows this document.")
        .answers::<serde_json::Map<String, serde_json::Value>>(StatusCode::OK, "An OpenAPI 3.1 document.")
        .open(|node| async move {
            let document = node
                .openapi
                .get_or_init(|| Bytes::from(openapi::document(&node.routes).to_string()));
            Ok(reply::whole(StatusCode::OK, "application/json", document.clone()))
        })
}
