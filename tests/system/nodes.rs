//! Two nodes, one gate: what one of them did, the other knows.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::timeout;
use voelgoed_scan_core::model::{SettableStatus, Timestamp};
use voelgoed_scan_core::store::open;
use voelgoed_scan_suite::cluster::report;
use voelgoed_scan_suite::events::Events;
use voelgoed_scan_suite::services::{Redis, shared_database, shared_redis};
use voelgoed_scan_suite::world::{Tenant, new_id};
use voelgoed_scan_suite::{Client, Cluster, until};

/// How long a scan that will be told may take: the contract's 250 ms, and what a busy machine may add.
const PATIENCE: Duration = Duration::from_secs(3);

/// Where nobody listens.
const NO_REDIS: &str = "redis://127.0.0.1:1/0";

/// The ways in which nodes learn of each other's changes.
#[derive(Clone, Copy)]
enum Way {
    Redis,
    Postgres,
    /// Redis is away, and the change counters are all there is.
    Counters,
}

async fn two_nodes(way: Way) -> (Cluster, Tenant) {
    let redis = match way {
        Way::Redis => Some(shared_redis()),
        Way::Postgres => None,
        Way::Counters => Some(NO_REDIS.to_owned()),
    };
    let cluster = Cluster::start(2, shared_database(), redis).await;
    if !matches!(way, Way::Counters) {
        for node in 0..2 {
            until("the bus is up", || async {
                cluster.node(node).scanner().bus_is_up() == Some(true)
            })
            .await;
        }
    }
    let tenant = cluster.tenant("Two nodes").await;
    (cluster, tenant)
}

async fn outcome(device: &Client, qr: &str) -> Value {
    let body = json!({ "qr": qr, "scan_id": new_id() });
    device.scan(&body).await.expect(200).json()
}

/// Scans until a tier denies: a node that learns of an organization forgets once what it kept of it. What was asked, and
/// the answer.
async fn denied_by(device: &Client, qr: &str, tier: &str) -> (Value, Value) {
    for _ in 0..1000 {
        let body = json!({ "qr": qr, "scan_id": new_id() });
        let answer = device.scan(&body).await.expect(200).json();
        assert_eq!(answer["result"], "duplicate", "{answer}");
        if answer["decided_by"] == tier {
            return (body, answer);
        }
    }
    panic!("{tier} denies nothing");
}

/// Waits until a scan at a node has this reason.
async fn until_reason(what: &str, device: &Client, qr: &str, reason: &str) {
    let took = until(what, || async { outcome(device, qr).await["reason"] == reason }).await;
    report(what, took);
}

#[tokio::test]
async fn a_duplicate_at_the_other_node_is_told_by_redis_and_then_from_memory() {
    let (cluster, tenant) = two_nodes(Way::Redis).await;
    let there = cluster.at(1, &tenant.device);
    let qr = tenant.qr(1).await;
    let admitted = outcome(&tenant.device, &qr).await;
    assert_eq!(admitted["reason"], "admitted");
    for tier in ["redis", "memory"] {
        let (_, again) = denied_by(&there, &qr, tier).await;
        assert_eq!(again["reason"], "already_scanned", "{again}");
        assert_eq!(again["previous_scan"]["scan_id"], admitted["scan_id"], "{again}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_listens_over_redis_after_a_silence_hears_every_scan_from_then_on() {
    let redis = Redis::start().await;
    let cluster = Cluster::start(1, shared_database(), Some(redis.url())).await;
    let tenant = cluster.tenant("Listened to").await;
    let qr = tenant.qr(1).await;
    for silence in 0..3 {
        for _ in 0..5 {
            outcome(&tenant.device, &qr).await;
        }
        let mut listener = redis.listen("scans:org:*");
        let scans: Vec<String> = (0..20).map(|_| new_id()).collect();
        for scan in &scans {
            let body = json!({ "qr": qr, "scan_id": scan });
            tenant.device.scan(&body).await.expect(200);
        }
        let told = tokio::task::spawn_blocking(move || {
            for scan in &scans {
                listener.until(|line| line.contains(scan.as_str()));
            }
            scans.last().cloned().unwrap_or_default()
        });
        let last = timeout(PATIENCE, told)
            .await
            .expect("every scan is told")
            .expect("read");
        until(&format!("the latest scan is kept, {silence}"), || async {
            let key = redis.command(&["keys", "voelgoed:org:*:scans:recent"]);
            redis.command(&["lindex", key.trim(), "0"]).contains(&last)
        })
        .await;
    }
}

#[tokio::test]
async fn changes_rule_at_the_other_node_over_redis() {
    changes_rule_at_the_other_node(Way::Redis).await;
}

#[tokio::test]
async fn changes_rule_at_the_other_node_over_postgresql() {
    changes_rule_at_the_other_node(Way::Postgres).await;
}

#[tokio::test]
async fn changes_rule_at_the_other_node_without_a_bus() {
    changes_rule_at_the_other_node(Way::Counters).await;
}

async fn changes_rule_at_the_other_node(way: Way) {
    let (cluster, tenant) = two_nodes(way).await;
    let (owner, event) = (&tenant.owner, format!("/api/v1/events/{}", tenant.event));
    let there = cluster.at(1, &tenant.device);

    // The other node keeps the ticket in its memory, and forgets it when the admission is undone.
    let qr = tenant.qr(1).await;
    let admitted = outcome(&tenant.device, &qr).await;
    assert_eq!(admitted["reason"], "admitted");
    assert_eq!(outcome(&there, &qr).await["result"], "duplicate");
    let scan = admitted["scan_id"].as_str().expect("an id");
    let undo = format!("/api/v1/scanning/scans/{scan}/undo");
    owner
        .post(&undo, &json!({ "reason": "a mistake" }))
        .await
        .expect(200);
    until_reason("undo", &there, &qr, "admitted").await;

    let code = tenant.codes.get(1).expect("a ticket");
    let ticket = format!("{event}/tickets/{code}");
    owner
        .call_with("PATCH", &ticket, &json!({ "status": "voided" }))
        .await
        .expect(200);
    until_reason("a voided ticket", &there, &qr, "ticket_voided").await;
    owner
        .call_with("PATCH", &ticket, &json!({ "status": "active" }))
        .await
        .expect(200);
    until_reason("a ticket that counts again", &there, &qr, "already_scanned").await;

    let closed = json!({ "name": "Main", "status": "closed" });
    let gate = format!("{event}/gates/{}", tenant.gate);
    owner.put(&gate, &closed).await.expect(200);
    until_reason("a closed gate", &there, &qr, "gate_closed").await;
    owner
        .put(&event, &json!({ "name": "Show", "status": "ended" }))
        .await
        .expect(200);
    until_reason("an ended event", &there, &qr, "event_not_live").await;

    let kid = json!({ "kid": "2", "format": "vg1" });
    owner.post("/api/v1/signing-keys", &kid).await.expect(201);
    let revoked = json!({ "status": "revoked" });
    owner
        .call_with("PATCH", "/api/v1/signing-keys/vg1/1", &revoked)
        .await
        .expect(200);
    until_reason("a revoked signing key", &there, &qr, "key_revoked").await;

    credentials_end_at_the_other_node(&cluster, &tenant, &there).await;
}

async fn credentials_end_at_the_other_node(cluster: &Cluster, tenant: &Tenant, there: &Client) {
    let (owner, here) = (&tenant.owner, "/api/v1/scanning/device");
    let device = format!("/api/v1/scanning/devices/{}", tenant.device_id);
    let rotated = owner
        .post(&format!("{device}/token"), &json!({}))
        .await
        .expect(200)
        .json();
    let took = until("a rotated token", || async {
        there.get(here).await.status == 401
    })
    .await;
    report("a rotated token", took);
    let there = there.with_token(rotated["token"].as_str().expect("a token"));
    there.get(here).await.expect(200);
    owner.call("DELETE", &device).await.expect(204);
    let took = until("a revoked device", || async {
        there.get(here).await.status == 401
    })
    .await;
    report("a revoked device", took);

    let viewer = cluster.at(1, &tenant.member("viewer").await);
    viewer.get("/api/v1/events").await.expect(200);
    let keys = owner.get("/api/v1/api-keys").await.expect(200).json();
    let key = keys["data"]
        .as_array()
        .expect("a list")
        .iter()
        .find(|key| key["name"] == "viewer");
    let id = key.expect("it")["id"].as_str().expect("an id").to_owned();
    owner
        .call("DELETE", &format!("/api/v1/api-keys/{id}"))
        .await
        .expect(204);
    let took = until("a deleted API key", || async {
        viewer.get("/api/v1/events").await.status == 401
    })
    .await;
    report("a deleted API key", took);
}

/// A node that has just begun knows no scan of the others, and its second tier knows their tickets.
#[tokio::test]
async fn a_retry_at_a_node_that_has_just_begun_gets_the_first_answer() {
    let (mut cluster, tenant) = two_nodes(Way::Redis).await;
    let qr = tenant.qr(1).await;
    let admitted = json!({ "qr": qr, "scan_id": new_id() });
    let first = tenant.device.scan(&admitted).await.expect(200).json();
    let (denied, second) = denied_by(&tenant.device, &qr, "memory").await;
    // What a tier denied is on record a moment later.
    let path = format!("/api/v1/scanning/scans?event_id={}", tenant.event);
    until("the denial is on record", || async {
        let scans = tenant.owner.get(&path).await.expect(200).json();
        scans["data"]
            .as_array()
            .is_some_and(|data| data.iter().any(|scan| scan["scan_id"] == second["scan_id"]))
    })
    .await;
    cluster.add(0).await;
    let there = cluster.at(2, &tenant.device);
    until("the bus is up", || async {
        cluster.node(2).scanner().bus_is_up() == Some(true)
    })
    .await;
    for (body, answer) in [(&denied, &second), (&admitted, &first)] {
        let again = there.scan(body).await.expect(200).json();
        assert_same_decision(answer, &again);
    }
    denied_by(&there, &qr, "memory").await;
}

/// What nodes die of: a change that is durable and answered, and that nobody was told of.
#[tokio::test]
async fn a_change_of_a_node_that_was_killed_right_after_it_rules_at_the_other() {
    for way in [Way::Redis, Way::Postgres] {
        let (cluster, tenant) = two_nodes(way).await;
        let there = cluster.at(1, &tenant.device);
        for at in 1..=3 {
            let qr = tenant.qr(at).await;
            let admitted = outcome(&tenant.device, &qr).await;
            assert_eq!(outcome(&there, &qr).await["result"], "duplicate");
            let mut program = cluster.program(Cluster::port()).await;
            let scan = admitted["scan_id"].as_str().expect("an id");
            let undo = format!("/api/v1/scanning/scans/{scan}/undo");
            let owner = tenant.owner.at(program.address);
            owner
                .post(&undo, &json!({ "reason": "a mistake" }))
                .await
                .expect(200);
            program.kill();
            until_reason("an undo of a node that was killed", &there, &qr, "admitted").await;
        }
        let (device, id) = tenant.new_device("gate-2", &json!({})).await;
        let here = "/api/v1/scanning/device";
        let device = cluster.at(1, &device);
        device.get(here).await.expect(200);
        let mut program = cluster.program(Cluster::port()).await;
        let owner = tenant.owner.at(program.address);
        owner
            .call("DELETE", &format!("/api/v1/scanning/devices/{id}"))
            .await
            .expect(204);
        program.kill();
        let what = "a device revoked by a node that was killed";
        let took = until(what, || async { device.get(here).await.status == 401 }).await;
        report(what, took);
    }
}

/// Voids a ticket in the database alone, as a node does that dies before it tells anybody, or answers.
async fn void_untold(cluster: &Cluster, tenant: &Tenant, code: &str) {
    let store = open(&cluster.config.database_url, false)
        .await
        .expect("the database");
    let (event, code) = (tenant.event.parse(), code.parse());
    let (event, code) = (event.expect("an id"), code.expect("a code"));
    let now = Timestamp::from_millis(1_790_000_000_000);
    for organization in store.organizations().await.expect("read") {
        store
            .set_ticket_status(organization, event, code, SettableStatus::Voided, now)
            .await
            .expect("written");
    }
}

#[tokio::test]
async fn a_change_that_nobody_was_told_of_rules_at_every_node() {
    let (cluster, tenant) = two_nodes(Way::Postgres).await;
    let qr = tenant.qr(1).await;
    assert_eq!(outcome(&tenant.device, &qr).await["reason"], "admitted");
    denied_by(&tenant.device, &qr, "memory").await;
    void_untold(&cluster, &tenant, &tenant.codes[1]).await;
    until_reason(
        "a ticket that nobody was told of",
        &tenant.device,
        &qr,
        "ticket_voided",
    )
    .await;
}

#[tokio::test]
async fn a_change_that_is_asked_for_again_after_a_lost_answer_rules_as_the_first_would() {
    let (cluster, tenant) = two_nodes(Way::Redis).await;
    let there = cluster.at(1, &tenant.device);
    let qr = tenant.qr(1).await;
    assert_eq!(outcome(&tenant.device, &qr).await["reason"], "admitted");
    assert_eq!(outcome(&there, &qr).await["reason"], "already_scanned");
    void_untold(&cluster, &tenant, &tenant.codes[1]).await;
    let ticket = format!("/api/v1/events/{}/tickets/{}", tenant.event, tenant.codes[1]);
    tenant
        .owner
        .call_with("PATCH", &ticket, &json!({ "status": "voided" }))
        .await
        .expect(200);
    assert_eq!(outcome(&tenant.device, &qr).await["reason"], "ticket_voided");
    until_reason("a change that is asked for again", &there, &qr, "ticket_voided").await;
}

#[tokio::test]
async fn a_stream_tells_the_scans_of_the_other_node() {
    for way in [Way::Redis, Way::Postgres] {
        let (cluster, tenant) = two_nodes(way).await;
        let mut events = Events::open(&cluster.at(1, &tenant.owner), &tenant.event).await;
        // What happens after the first item is told, however soon, to the first who listens and to the next.
        for at in 1..=5 {
            if at > 1 {
                events = Events::open(&cluster.at(1, &tenant.owner), &tenant.event).await;
            }
            events.next_named("occupancy").await;
            let qr = tenant.qr(at).await;
            let started = Instant::now();
            let answer = outcome(&tenant.device, &qr).await;
            // What happened a moment before may come as well.
            let told =
                async { while events.next_named("scan").await.data["scan_id"] != answer["scan_id"] {} };
            timeout(PATIENCE, told).await.expect("the first scan is told");
            report("a scan at the other node's stream", started.elapsed());
            let mut inside = Value::Null;
            while inside != at + 1 {
                inside = events.next_named("occupancy").await.data["event"]["inside"].take();
            }
            report("the occupancy after it", started.elapsed());
        }
    }
}

#[tokio::test]
async fn a_bus_that_is_down_holds_up_no_stream() {
    let (_cluster, tenant) = two_nodes(Way::Counters).await;
    let mut events = Events::open(&tenant.owner, &tenant.event).await;
    events.next_named("occupancy").await;
    let answer = outcome(&tenant.device, &tenant.qr(1).await).await;
    let told = events.next_named("scan").await.data;
    assert_eq!(told["scan_id"], answer["scan_id"], "{told}");
}

#[tokio::test]
async fn a_retry_at_the_other_node_gets_the_first_answer() {
    for way in [Way::Redis, Way::Postgres, Way::Counters] {
        let (cluster, tenant) = two_nodes(way).await;
        let there = cluster.at(1, &tenant.device);
        let qr = tenant.qr(1).await;
        let body = json!({ "qr": qr, "scan_id": new_id() });
        let first = tenant.device.scan(&body).await.expect(200).json();
        assert_eq!(first["reason"], "admitted");
        let again = there.scan(&body).await.expect(200).json();
        assert_same_decision(&first, &again);
        // The other node knows the ticket from now on and would deny a new scan by itself.
        assert_eq!(outcome(&there, &qr).await["result"], "duplicate");
        if matches!(way, Way::Counters) {
            // Nothing is heard of what the other node denies: the database is asked.
            let denied = json!({ "qr": qr, "scan_id": new_id() });
            let first = tenant.device.scan(&denied).await.expect(200).json();
            assert_eq!(first["reason"], "already_scanned");
            let again = there.scan(&denied).await.expect(200).json();
            assert_same_decision(&first, &again);
            continue;
        }
        let mut events = Events::open(&cluster.at(1, &tenant.owner), &tenant.event).await;
        let denied = json!({ "qr": qr, "scan_id": new_id() });
        let first = tenant.device.scan(&denied).await.expect(200).json();
        assert_eq!(first["reason"], "already_scanned");
        // Nodes hear in order: who heard of a later scan knows this one.
        let mut heard = false;
        while !heard {
            let later = outcome(&tenant.device, &qr).await["scan_id"].clone();
            let hears = async { while events.next_named("scan").await.data["scan_id"] != later {} };
            heard = timeout(PATIENCE, hears).await.is_ok();
        }
        let again = there.scan(&denied).await.expect(200).json();
        assert_same_decision(&first, &again);
    }
}

fn assert_same_decision(first: &Value, again: &Value) {
    assert_eq!(again["replayed"], true, "{again}");
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
        assert_eq!(first[field], again[field], "{field}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_24_scans_at_once_over_both_nodes_one_admits() {
    let (cluster, tenant) = two_nodes(Way::Redis).await;
    let (event, tickets) = (&tenant.event, 40);
    let lines = "{}\n".repeat(tickets);
    let path = format!("/api/v1/events/{event}/tickets?return=codes");
    let made = tenant
        .owner
        .send("POST", &path, Some("application/x-ndjson"), lines)
        .await
        .expect(200);
    let codes = made.lines();
    let codes = codes.iter().filter_map(|line| line["code"].as_str());
    let mut qrs = Vec::new();
    for code in codes {
        let path = format!("/api/v1/events/{event}/tickets/{code}/qr");
        qrs.push(tenant.owner.get(&path).await.expect(200).text().to_owned());
    }
    assert_eq!(qrs.len(), tickets);
    for qr in &qrs {
        let scans = (0..24).map(|n| {
            let device = cluster.at(n % 2, &tenant.device);
            async move { outcome(&device, qr).await }
        });
        let mut results = BTreeMap::new();
        for answer in futures_util::future::join_all(scans).await {
            *results
                .entry(answer["result"].as_str().unwrap_or_default().to_owned())
                .or_insert(0) += 1;
        }
        let expected = BTreeMap::from([("valid".to_owned(), 1), ("duplicate".to_owned(), 23)]);
        assert_eq!(results, expected);
    }
    let path = format!("/api/v1/scanning/events/{event}/occupancy");
    let occupancy = cluster.at(1, &tenant.owner).get(&path).await.expect(200).json();
    assert_eq!(occupancy["event"]["inside"], tickets + 1, "{occupancy}");
}
