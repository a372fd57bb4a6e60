//! Two nodes on one database: what one node does applies at the other node too.

mod changes;
mod cut_off;
mod media;
mod messages;
mod one_decision;
mod retention;
mod retries;
mod scans;
mod shared_gates;
mod streams;

use serde_json::{Value, json};
use voelgoed_scan_server::config::DatabasePooler;
use voelgoed_scan_suite::fixture::{Tenant, new_id};
use voelgoed_scan_suite::services::{pooled, shared_database, shared_redis};
use voelgoed_scan_suite::wait::report_duration;
use voelgoed_scan_suite::{Client, Cluster, wait_until};

/// An address without a Redis.
const UNREACHABLE_REDIS: &str = "redis://127.0.0.1:1/0";

/// The channel that carries changes between the nodes.
#[derive(Clone, Copy)]
enum Channel {
    Redis,
    Postgres,
    /// Redis is unreachable, so only the change counters in the database report changes.
    Counters,
    /// Redis, while the database is behind a pooler that gives each transaction another session.
    RedisAndPooler,
    /// Such a pooler without a Redis, so only the change counters report changes.
    PoolerAlone,
}

impl Channel {
    fn pooler(self) -> DatabasePooler {
        match self {
            Self::Redis | Self::Postgres | Self::Counters => DatabasePooler::None,
            Self::RedisAndPooler | Self::PoolerAlone => DatabasePooler::Transaction,
        }
    }
}

async fn two_nodes(channel: Channel) -> (Cluster, Tenant) {
    let redis = match channel {
        Channel::Redis | Channel::RedisAndPooler => Some(shared_redis()),
        Channel::Postgres | Channel::PoolerAlone => None,
        Channel::Counters => Some(UNREACHABLE_REDIS.to_owned()),
    };
    let database = match channel.pooler() {
        DatabasePooler::None => shared_database(),
        DatabasePooler::Transaction => pooled(&shared_database()),
    };
    let cluster = Cluster::start_behind(channel.pooler(), 2, database, redis).await;
    if !matches!(channel, Channel::Counters | Channel::PoolerAlone) {
        for node in 0..2 {
            wait_for_bus(&cluster, node).await;
        }
    }
    let tenant = cluster.tenant("Two nodes").await;
    (cluster, tenant)
}

async fn wait_for_bus(cluster: &Cluster, node: usize) {
    wait_until("the bus is up", || async {
        cluster.node(node).scanner().bus_is_up() == Some(true)
    })
    .await;
}

async fn scan(device: &Client, qr: &str) -> Value {
    let body = json!({ "qr": qr, "scan_id": new_id() });
    device.scan(&body).await.expect(200).json()
}

/// Scans until this cache denies the scan, and returns the request and the answer. The first scans may reach the
/// database, because a node clears its caches of an organization once when it starts to follow its changes.
async fn denied_by(device: &Client, qr: &str, cache: &str) -> (Value, Value) {
    for _ in 0..1000 {
        let body = json!({ "qr": qr, "scan_id": new_id() });
        let answer = device.scan(&body).await.expect(200).json();
        assert_eq!(answer["result"], "duplicate", "{answer}");
        if answer["decided_by"] == cache {
            return (body, answer);
        }
    }
    panic!("{cache} denied no scan");
}

/// Scans until the answer has this reason, and reports how long that took.
async fn wait_for_reason(what: &str, device: &Client, qr: &str, reason: &str) {
    let duration = wait_until(what, || async { scan(device, qr).await["reason"] == reason }).await;
    report_duration(what, duration);
}

/// Requests until the credential is rejected, and reports how long that took.
async fn wait_for_401(what: &str, client: &Client, path: &str) {
    let duration = wait_until(what, || async { client.get(path).await.status == 401 }).await;
    report_duration(what, duration);
}

fn assert_replayed(first: &Value, replayed: &Value) {
    assert_eq!(replayed["replayed"], true, "{replayed}");
    for field in [
        "scan_id",
        "result",
        "reason",
        "scanned_at",
        "ticket",
        "gate",
        "decided_by",
        "previous_scan",
    ] {
        assert_eq!(first[field], replayed[field], "{field}");
    }
}
