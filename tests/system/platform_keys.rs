//! The keys of the ticketing platform in Redis, read by the commands that `docs/operations.md` names.

use serde_json::json;
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
    wait_until("two people are inside", || async {
        get(&["get", &occupancy]) == "2"
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
    wait_until("two people are inside", || async {
        get(&["get", &occupancy]) == "2"
    })
    .await;
    // The gate's own keys stand beside them.
    assert!(!get(&["keys", "voelgoed-scan:*"]).is_empty());
}

#[tokio::test]
async fn the_platforms_keys_are_off_by_default() {
    let redis = Redis::start().await;
    let (_cluster, tenant) = node(&redis, RedisKeys::Own).await;
    let body = json!({ "qr": tenant.qr(1).await, "scan_id": new_id() });
    tenant.device.scan(&body).await.expect(200);
    wait_until("the ticket is in Redis", || async {
        redis
            .execute(&["keys", "voelgoed-scan:org:*"])
            .contains(&tenant.codes[1])
    })
    .await;
    assert_eq!(redis.execute(&["keys", "voelgoed:org:*"]).trim(), "");
}
