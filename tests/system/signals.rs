//! Signals: each opens and ends by real calls, honest work opens none, and staff learn of them.

mod nodes;
mod silence;
mod stream;

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use voelgoed_scan_core::model::Timestamp;
use voelgoed_scan_server::clock::StandingClock;
use voelgoed_scan_suite::fixture::{Tenant, new_id};
use voelgoed_scan_suite::{Client, Fixture, wait_until};

const SIGNALS: &str = "/api/v1/scanning/signals";
const SETTINGS: &str = "/api/v1/organization/signals";

/// The time at which the clock of a test stands at first.
const START: &str = "2026-11-22T18:00:00Z";

/// A server whose clock the test sets.
struct Gate {
    fixture: Fixture,
    clock: StandingClock,
}

impl Gate {
    async fn new() -> Self {
        let clock = StandingClock::default();
        clock.set(START.parse().expect("a time"));
        let standing = clock.clone();
        let fixture = Fixture::with_config(|config| config.standing_clock = Some(standing)).await;
        Self { fixture, clock }
    }

    fn tenant(&self) -> &Tenant {
        &self.fixture.tenant
    }

    fn advance(&self, seconds: i64) {
        self.clock.set(self.clock.now().plus_millis(seconds * 1000));
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// The signals that match a query.
async fn signals(client: &Client, query: &str) -> Vec<Value> {
    let page = client.get(&format!("{SIGNALS}{query}")).await.expect(200).json();
    page["data"].as_array().expect("rows").clone()
}

async fn open_signals(client: &Client, kind: &str) -> Vec<Value> {
    signals(client, &format!("?open=true&kind={kind}")).await
}

/// Waits until a signal of a kind is open, and returns it.
async fn opened(client: &Client, kind: &str) -> Value {
    wait_until(&format!("{kind} opens"), || async {
        !open_signals(client, kind).await.is_empty()
    })
    .await;
    let open = open_signals(client, kind).await;
    assert_eq!(open.len(), 1, "{open:?}");
    open[0].clone()
}

/// Waits until a signal has ended, and returns it.
async fn ended(client: &Client, kind: &str) -> Value {
    wait_until(&format!("{kind} ends"), || async {
        open_signals(client, kind).await.is_empty()
    })
    .await;
    let ended = signals(client, &format!("?open=false&kind={kind}")).await;
    ended.first().expect("a signal that ended").clone()
}

async fn scan(device: &Client, qr: &str) -> Value {
    let body = json!({ "qr": qr, "scan_id": new_id() });
    device.scan(&body).await.expect(200).json()
}

async fn scan_times(device: &Client, qr: &str, times: usize) {
    for _ in 0..times {
        scan(device, qr).await;
    }
}

/// Waits until all that was recorded or reported before was looked at.
async fn wait_for_search(tenant: &Tenant) {
    // The list waits for the records of cached denials.
    tenant
        .owner
        .get("/api/v1/scanning/scans?limit=1")
        .await
        .expect(200);
    // The search that finds the first marker may have read the scans before. The next one reads them.
    for _ in 0..2 {
        wait_for_marker(tenant).await;
    }
}

/// Waits until a device that reports now has a signal.
async fn wait_for_marker(tenant: &Tenant) {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let label = format!("marker-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let (marker, id) = tenant.new_device(&label, &json!({})).await;
    let report = json!({ "waiting": 2_000_000 });
    marker.put("/api/v1/scanning/device", &report).await.expect(200);
    wait_until("the marker has a signal", || async {
        let open = open_signals(&tenant.owner, "sync_waiting").await;
        open.iter().any(|signal| signal["device_id"] == id.as_str())
    })
    .await;
    let nothing = json!({ "waiting": 0 });
    marker.put("/api/v1/scanning/device", &nothing).await.expect(200);
}

/// The kinds of all signals but those of the markers.
async fn found(tenant: &Tenant) -> Vec<String> {
    let all = signals(&tenant.owner, "?limit=500").await;
    let mut kinds: Vec<String> = all
        .iter()
        .filter(|signal| signal["details"]["waiting"] != 2_000_000)
        .map(|signal| signal["kind"].as_str().expect("a kind").to_owned())
        .collect();
    kinds.sort();
    kinds
}

async fn change(client: &Client, patch: Value) -> Value {
    client.put(SETTINGS, &patch).await.expect(200).json()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn duplicate_spam_opens_at_the_sixth_denial_and_ends_after_ten_minutes() {
    let gate = Gate::new().await;
    let tenant = gate.tenant();
    let qr = tenant.qr(0).await;
    scan_times(&tenant.device, &qr, 5).await;
    wait_for_search(tenant).await;
    assert_eq!(found(tenant).await, [""; 0]);
    scan(&tenant.device, &qr).await;
    let signal = opened(&tenant.owner, "duplicate_spam").await;
    assert_eq!(signal["event_id"], tenant.event.as_str());
    assert_eq!(signal["gate_id"], tenant.gate.as_str());
    assert_eq!(signal["details"]["scans"], 6);
    assert!(signal["ticket_id"].is_string() && signal["device_id"].is_null());
    assert!(signal["closed_at"].is_null());
    gate.advance(599);
    wait_for_search(tenant).await;
    assert_eq!(open_signals(&tenant.owner, "duplicate_spam").await.len(), 1);
    gate.advance(1);
    let closed = ended(&tenant.owner, "duplicate_spam").await;
    assert_eq!(
        closed["closed_at"].as_str(),
        Some(gate.now().to_string().as_str())
    );
    // The denials still lie within an hour, but only a new scan opens it again.
    wait_for_search(tenant).await;
    assert_eq!(signals(&tenant.owner, "?kind=duplicate_spam").await, [closed]);
    scan(&tenant.device, &qr).await;
    opened(&tenant.owner, "duplicate_spam").await;
    assert_eq!(signals(&tenant.owner, "?kind=duplicate_spam").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ticket_that_comes_to_two_gates_opens_impossible_travel() {
    let gate = Gate::new().await;
    let tenant = gate.tenant();
    let (side, _) = tenant.new_device("side", &json!({})).await;
    tenant.start_session(&side, &tenant.other_gate).await;
    let qr = tenant.qr(1).await;
    scan(&tenant.device, &qr).await;
    gate.advance(301);
    assert_eq!(scan(&side, &qr).await["result"], "duplicate");
    wait_for_search(tenant).await;
    assert_eq!(
        open_signals(&tenant.owner, "impossible_travel").await,
        [Value::Null; 0]
    );
    let qr = tenant.qr(2).await;
    scan(&tenant.device, &qr).await;
    gate.advance(300);
    scan(&side, &qr).await;
    let signal = opened(&tenant.owner, "impossible_travel").await;
    assert_eq!(
        signal["details"]["gate_ids"],
        json!([tenant.gate, tenant.other_gate])
    );
    gate.advance(600);
    ended(&tenant.owner, "impossible_travel").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_with_many_scans_or_many_errors_opens_signals() {
    let gate = Gate::new().await;
    let tenant = gate.tenant();
    let (device, id) = tenant.new_device("busy", &json!({})).await;
    tenant.start_session(&device, &tenant.gate).await;
    for number in 0..50 {
        let qr = if number < 5 {
            "x".to_owned()
        } else {
            tenant.qr(1 + number % 9).await
        };
        scan(&device, &qr).await;
        gate.advance(1);
    }
    wait_for_search(tenant).await;
    assert_eq!(
        open_signals(&tenant.owner, "device_errors").await,
        [Value::Null; 0]
    );
    assert_eq!(
        open_signals(&tenant.owner, "high_velocity").await,
        [Value::Null; 0]
    );
    // The first errors are still among the last 50.
    scan_times(&device, "y", 6).await;
    let signal = opened(&tenant.owner, "device_errors").await;
    assert_eq!(signal["device_id"], id.as_str());
    gate.advance(600);
    ended(&tenant.owner, "device_errors").await;
    scan_times(&device, "z", 61).await;
    let signal = opened(&tenant.owner, "high_velocity").await;
    assert_eq!(
        (&signal["device_id"], &signal["details"]["scans"]),
        (&json!(id), &json!(61))
    );
    gate.advance(600);
    ended(&tenant.owner, "high_velocity").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn honest_work_opens_nothing() {
    let gate = Gate::new().await;
    let tenant = gate.tenant();
    gate.advance(60);
    // A busy gate at the limits: a scan a second, five denials of a ticket, five of fifty readings no tickets.
    for number in 0..60 {
        let qr = if number % 12 == 0 {
            "x".to_owned()
        } else {
            tenant.qr(number % 10).await
        };
        scan(&tenant.device, &qr).await;
        gate.advance(1);
    }
    // A steward who retries one ticket within one attempt.
    let attempt = json!({ "qr": tenant.qr(2).await, "scan_id": new_id() });
    for _ in 0..10 {
        tenant.device.scan(&attempt).await.expect(200);
    }
    let dry_run = json!({ "qr": tenant.qr(0).await, "dry_run": true });
    for _ in 0..70 {
        tenant.device.scan(&dry_run).await.expect(200);
    }
    // A rehearsal.
    let (rehearsing, _) = tenant
        .new_device("rehearsal", &json!({ "rehearsal": true }))
        .await;
    tenant.start_session(&rehearsing, &tenant.gate).await;
    scan_times(&rehearsing, &tenant.qr(1).await, 70).await;
    let report = json!({ "waiting": 5000 });
    rehearsing
        .put("/api/v1/scanning/device", &report)
        .await
        .expect(200);
    wait_for_search(tenant).await;
    assert_eq!(found(tenant).await, [""; 0]);
}

async fn put_event(tenant: &Tenant, capacity: u32) {
    let body = json!({ "name": "Show", "status": "live", "capacity": capacity, "reentry": "after_exit" });
    tenant
        .owner
        .put(&format!("/api/v1/events/{}", tenant.event), &body)
        .await
        .expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn occupancy_opens_at_90_and_100_percent_and_ends_five_points_below() {
    let gate = Gate::new().await;
    let tenant = gate.tenant();
    put_event(tenant, 10).await;
    // The first ticket is inside.
    for index in 1..8 {
        scan(&tenant.device, &tenant.qr(index).await).await;
    }
    wait_for_search(tenant).await;
    assert_eq!(found(tenant).await, [""; 0], "8 of 10");
    scan(&tenant.device, &tenant.qr(8).await).await;
    let signal = opened(&tenant.owner, "occupancy_90").await;
    assert_eq!(
        (&signal["details"]["inside"], &signal["gate_id"]),
        (&json!(9), &Value::Null)
    );
    assert_eq!(found(tenant).await, ["occupancy_90"]);
    scan(&tenant.device, &tenant.qr(9).await).await;
    opened(&tenant.owner, "occupancy_100").await;
    let leave = |index: usize| async move {
        let body = json!({ "qr": tenant.qr(index).await, "scan_id": new_id(), "direction": "exit" });
        tenant.device.scan(&body).await.expect(200);
    };
    leave(9).await;
    ended(&tenant.owner, "occupancy_100").await;
    assert_eq!(
        open_signals(&tenant.owner, "occupancy_90").await.len(),
        1,
        "9 of 10"
    );
    leave(8).await;
    ended(&tenant.owner, "occupancy_90").await;

    // A lower capacity fills a gate without a scan, and the end of the event empties all.
    let path = format!("/api/v1/events/{}/gates/{}", tenant.event, tenant.gate);
    let body = json!({ "name": "Main", "status": "open", "capacity": 8 });
    tenant.owner.put(&path, &body).await.expect(200);
    let signal = opened(&tenant.owner, "occupancy_100").await;
    assert_eq!(signal["gate_id"], tenant.gate.as_str());
    let body = json!({ "name": "Show", "status": "ended" });
    tenant
        .owner
        .put(&format!("/api/v1/events/{}", tenant.event), &body)
        .await
        .expect(200);
    ended(&tenant.owner, "occupancy_100").await;
    ended(&tenant.owner, "occupancy_90").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_of_old_scans_opens_and_ends_at_once() {
    let gate = Gate::new().await;
    let tenant = gate.tenant();
    let upload = async |ages: &[i64]| {
        let scans: Vec<Value> = ages
            .iter()
            .map(|age_ms| {
                json!({ "scan_id": new_id(), "qr": "x", "gate_id": tenant.gate, "scanned_at": gate.now(), "age_ms": age_ms })
            })
            .collect();
        let batch = json!({ "batch_id": new_id(), "sent_at": gate.now(), "scans": scans });
        tenant
            .device
            .post("/api/v1/scanning/sync", &batch)
            .await
            .expect(200);
    };
    let age = 8 * 3_600_000;
    upload(&[age, 0]).await;
    wait_for_search(tenant).await;
    assert_eq!(found(tenant).await, [""; 0]);
    gate.advance(1);
    upload(&[age + 1, age + 2, 0]).await;
    wait_until("the upload has a signal", || async {
        !found(tenant).await.is_empty()
    })
    .await;
    let late = signals(&tenant.owner, "?kind=late_batch").await;
    assert_eq!(late.len(), 1, "{late:?}");
    assert_eq!(late[0]["opened_at"], late[0]["closed_at"]);
    assert_eq!(late[0]["device_id"], tenant.device_id.as_str());
    wait_until("both scans are counted", || async {
        signals(&tenant.owner, "?kind=late_batch").await[0]["details"]["scans"] == 2
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_with_more_than_100_waiting_scans_opens_a_signal_until_fewer_than_ten_wait() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let report = async |waiting: u32| {
        let body = json!({ "waiting": waiting });
        tenant
            .device
            .put("/api/v1/scanning/device", &body)
            .await
            .expect(200);
    };
    report(100).await;
    wait_for_search(tenant).await;
    assert_eq!(found(tenant).await, [""; 0]);
    report(101).await;
    wait_until("it opens", || async { !found(tenant).await.is_empty() }).await;
    report(10).await;
    wait_for_search(tenant).await;
    let of_device = async || {
        let open = open_signals(&tenant.owner, "sync_waiting").await;
        let mut of_device = open
            .into_iter()
            .filter(|signal| signal["device_id"] == tenant.device_id.as_str());
        of_device.next()
    };
    let signal = of_device().await.expect("it is open");
    assert_eq!(signal["details"]["waiting"], 101);
    assert_eq!(signal["event_id"], tenant.event.as_str());
    report(9).await;
    wait_until("it ends", || async { of_device().await.is_none() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_change_what_is_found_and_when_it_ends() {
    let gate = Gate::new().await;
    let tenant = gate.tenant();
    let shown = tenant.owner.get(SETTINGS).await.expect(200).json();
    assert_eq!(
        shown["duplicate_spam"],
        json!({ "enabled": true, "limit": 5, "within_s": 3600, "close_s": 600 })
    );
    let changed = change(&tenant.owner, json!({ "duplicate_spam": { "limit": 1 } })).await;
    assert_eq!(changed["duplicate_spam"]["limit"], 1);
    assert_eq!(changed["duplicate_spam"]["within_s"], 3600);
    let qr = tenant.qr(0).await;
    scan_times(&tenant.device, &qr, 2).await;
    opened(&tenant.owner, "duplicate_spam").await;
    change(&tenant.owner, json!({ "duplicate_spam": { "close_s": 5 } })).await;
    gate.advance(5);
    ended(&tenant.owner, "duplicate_spam").await;
    scan(&tenant.device, &qr).await;
    opened(&tenant.owner, "duplicate_spam").await;
    change(&tenant.owner, json!({ "duplicate_spam": { "enabled": false } })).await;
    ended(&tenant.owner, "duplicate_spam").await;
    scan_times(&tenant.device, &qr, 3).await;
    wait_for_search(tenant).await;
    assert_eq!(
        open_signals(&tenant.owner, "duplicate_spam").await,
        [Value::Null; 0]
    );
    let shown = tenant.owner.get(SETTINGS).await.expect(200).json();
    assert_eq!(
        change(&tenant.owner, shown.clone()).await,
        shown,
        "what is shown can be sent"
    );
    let other = gate
        .fixture
        .other_tenant
        .owner
        .get(SETTINGS)
        .await
        .expect(200)
        .json();
    assert_eq!(
        other["duplicate_spam"]["limit"], 5,
        "another organization has its own"
    );
}

#[tokio::test]
async fn settings_outside_their_range_are_named() {
    let fixture = Fixture::new().await;
    let owner = &fixture.tenant.owner;
    for (patch, pointer) in [
        (
            json!({ "device_silent": { "within_s": 59 } }),
            "/device_silent/within_s",
        ),
        (
            json!({ "device_errors": { "limit": 101 } }),
            "/device_errors/limit",
        ),
        (
            json!({ "duplicate_spam": { "limit": "5" } }),
            "/duplicate_spam/limit",
        ),
        (
            json!({ "late_batch": { "enabled": "yes" } }),
            "/late_batch/enabled",
        ),
        (json!({ "high_velocity": 7 }), "/high_velocity"),
        (
            json!({ "high_velocity": { "close_s": 0 } }),
            "/high_velocity/close_s",
        ),
    ] {
        let refused = owner.put(SETTINGS, &patch).await.expect(422);
        assert_eq!(refused.pointers(), [pointer], "{patch}");
    }
    change(
        owner,
        json!({ "device_silent": { "within_s": 60.0 }, "no_kind": { "limit": 1 } }),
    )
    .await;
    owner
        .get(&format!("{SIGNALS}?open=maybe"))
        .await
        .expect_problem(422, "validation_failed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signals_are_listed_newest_first_by_filter_and_only_to_their_organization() {
    let gate = Gate::new().await;
    let tenant = gate.tenant();
    for index in 0..3 {
        let qr = tenant.qr(index).await;
        scan_times(&tenant.device, &qr, 7).await;
        wait_until("it opens", || async { found(tenant).await.len() == index + 1 }).await;
        gate.advance(1);
    }
    let all = signals(&tenant.owner, "").await;
    assert!(
        all.windows(2)
            .all(|pair| pair[0]["opened_at"].as_str() > pair[1]["opened_at"].as_str()),
        "{all:?}"
    );
    let mut paged = Vec::new();
    let mut query = "?limit=1&kind=duplicate_spam&open=true".to_owned();
    loop {
        let page = tenant
            .owner
            .get(&format!("{SIGNALS}{query}"))
            .await
            .expect(200)
            .json();
        paged.extend(page["data"].as_array().expect("rows").clone());
        match page["next_cursor"].as_str() {
            Some(cursor) => query = format!("?limit=1&kind=duplicate_spam&open=true&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(paged, all);
    for (query, rows) in [
        (format!("?event_id={}", tenant.event), 3),
        (format!("?event_id={}", new_id()), 0),
        ("?kind=late_batch".to_owned(), 0),
        ("?open=false".to_owned(), 0),
        ("?open=true".to_owned(), 3),
    ] {
        assert_eq!(signals(&tenant.owner, &query).await.len(), rows, "{query}");
    }
    let elsewhere = &gate.fixture.other_tenant.owner;
    assert_eq!(signals(elsewhere, "").await, [Value::Null; 0]);
    let query = format!("?event_id={}", tenant.event);
    assert_eq!(signals(elsewhere, &query).await, [Value::Null; 0]);
    let metrics = gate.fixture.anonymous.get("/metrics").await.expect(200);
    let line = "voelgoed_scan_signals_total{kind=\"duplicate_spam\"} 3";
    assert!(metrics.text().lines().any(|shown| shown == line), "{metrics:?}");
}
