//! The keys of the ticketing platform in Redis, read by the commands that `docs/operations.md` names.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;
use voelgoed_scan_core::model::Timestamp;
use voelgoed_scan_server::config::RedisKeys;
use voelgoed_scan_suite::fixture::{Tenant, new_id};
use voelgoed_scan_suite::services::{Redis, shared_database};
use voelgoed_scan_suite::{Cluster, wait_until};

async fn node(redis: &Redis, keys: RedisKeys) -> (Cluster, Tenant) {
    let mut cluster = Cluster::start(0, shared_database(), Some(redis.url())).await;
    cluster.config.redis_keys = keys;
    cluster.add_node(0).await;
    let tenant = cluster.tenant("Platform").await;
    (cluster, tenant)
}

/// Admits tickets, the last ones first, until one is in Redis. A node that waits too long for Redis does without it for a
/// moment, and what it would have written then is not written later. Returns the number of admissions.
async fn admit_until_in_redis(redis: &Redis, tenant: &Tenant) -> usize {
    let admitted = AtomicUsize::new(0);
    wait_until("a ticket is in Redis", || async {
        let number = tenant.codes.len() - 1 - admitted.fetch_add(1, Ordering::SeqCst);
        let body = json!({ "qr": tenant.qr(number).await, "scan_id": new_id() });
        let answer = tenant.device.scan(&body).await.expect(200).json();
        assert_eq!(answer["reason"], "admitted");
        for _ in 0..100 {
            let keys = redis.execute(&["keys", "voelgoed-scan:org:*"]);
            if keys.contains(&tenant.codes[number]) {
                return true;
            }
            sleep(Duration::from_millis(5)).await;
        }
        false
    })
    .await;
    admitted.into_inner()
}

async fn organization(tenant: &Tenant) -> String {
    let path = format!("/api/v1/events/{}", tenant.event);
    let event = tenant.owner.get(&path).await.expect(200).json();
    event["organization_id"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn the_platforms_keys_hold_what_it_documents() {
    let redis = Redis::start().await;
    let (_cluster, tenant) = node(&redis, RedisKeys::Platform).await;
    let organization = organization(&tenant).await;
    let code = &tenant.codes[1];
    let last_scan = format!("voelgoed:org:{organization}:ticket:{code}:last_scan");
    let recent = format!("voelgoed:org:{organization}:event:{}:scans:recent", tenant.event);
    let occupancy = format!("voelgoed:org:{organization}:event:{}:occupancy", tenant.event);
    let get = |words: &[&str]| redis.execute(words).trim().to_owned();

    // One ticket of the fixture is inside before.
    let inside = (2 + admit_until_in_redis(&redis, &tenant).await).to_string();
    let scan_id = new_id();
    let body = json!({ "qr": tenant.qr(1).await, "scan_id": scan_id });
    let admitted = tenant.device.scan(&body).await.expect(200).json();
    assert_eq!(admitted["reason"], "admitted");
    let at = admitted["scanned_at"].as_str().expect("a time");
    let at = at.parse::<Timestamp>().expect("a time").as_millis() / 1000;
    let expected = format!("{scan_id}:{}:{at}", tenant.gate);
    wait_until("the last scan is written", || async {
        get(&["get", &last_scan]) == expected
    })
    .await;
    let ttl: i64 = get(&["ttl", &last_scan]).parse().expect("a number");
    assert!((1..=300).contains(&ttl), "the window: {ttl}");
    wait_until("the people inside are counted", || async {
        get(&["get", &occupancy]) == inside
    })
    .await;
    let ttl: i64 = get(&["ttl", &occupancy]).parse().expect("a number");
    assert!((1..=60).contains(&ttl), "{ttl}");

    // A denial does not replace the last admission, and is one of the recent scans.
    let (other, other_id) = tenant.new_device("gate-2", &json!({})).await;
    tenant.start_session(&other, &tenant.other_gate).await;
    let denied = json!({ "qr": tenant.qr(1).await, "scan_id": new_id() });
    assert_eq!(
        other.scan(&denied).await.expect(200).json()["reason"],
        "already_scanned"
    );
    let ticket = admitted["ticket"]["id"].as_str().expect("an id");
    let members = [
        format!("{ticket}:{}:{}", tenant.device_id, tenant.gate),
        format!("{ticket}:{other_id}:{}", tenant.other_gate),
    ];
    wait_until("both scans are recent", || async {
        let found = get(&["zrangebyscore", &recent, &at.to_string(), "+inf"]);
        members
            .iter()
            .all(|member| found.lines().any(|line| line == member))
    })
    .await;
    let newest = get(&["zrevrange", &recent, "0", "0", "withscores"]);
    let score: i64 = newest
        .lines()
        .nth(1)
        .expect("a score")
        .parse()
        .expect("unix seconds");
    assert!(score >= at, "{newest}");
    assert_eq!(get(&["get", &last_scan]), expected);
    let ttl: i64 = get(&["ttl", &recent]).parse().expect("a number");
    assert!((1..=300).contains(&ttl), "{ttl}");

    // What is older than five minutes goes with the next scan.
    get(&["zadd", &recent, &(at - 400).to_string(), "old"]);
    let body = json!({ "qr": tenant.qr(2).await, "scan_id": new_id() });
    tenant.device.scan(&body).await.expect(200);
    wait_until("the old scan is removed", || async {
        get(&["zscore", &recent, "old"]).is_empty()
    })
    .await;

    // An undone admission is no last scan.
    let undo = format!("/api/v1/scanning/scans/{scan_id}/undo");
    tenant
        .owner
        .post(&undo, &json!({ "reason": "a mistake" }))
        .await
        .expect(200);
    wait_until("the undone scan is removed", || async {
        get(&["get", &last_scan]).is_empty()
    })
    .await;
    wait_until("the people inside are counted", || async {
        get(&["get", &occupancy]) == inside
    })
    .await;
    // The server's own keys stand beside them.
    assert!(!get(&["keys", "voelgoed-scan:*"]).is_empty());
}

#[tokio::test]
async fn the_platforms_keys_are_off_by_default() {
    let redis = Redis::start().await;
    let (_cluster, tenant) = node(&redis, RedisKeys::Own).await;
    admit_until_in_redis(&redis, &tenant).await;
    assert_eq!(redis.execute(&["keys", "voelgoed:org:*"]).trim(), "");
}
