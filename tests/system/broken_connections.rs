//! Clients that reset their connection while the server changes something: the change takes effect at once, as if the
//! client had waited for the answer.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::yield_now;
use voelgoed_scan_suite::fixture::{Tenant, new_id};
use voelgoed_scan_suite::{Client, Fixture, Response, socket, wait_until};

/// The number of changes that have to take place in each test.
const CHANGES: usize = 25;

/// The number of attempts after which a test gives up. Some resets overtake their request.
const MAX_ATTEMPTS: usize = 1000;

/// Sends a request and resets the connection after a delay that grows from 0 to 4 ms over the attempts.
async fn call_and_reset(client: &Client, method: &str, path: &str, body: Option<&Value>, attempt: usize) {
    let body = body.map(Value::to_string);
    let media_type = body.as_ref().map(|_| "application/json");
    send_and_reset(
        client,
        method,
        path,
        media_type,
        &body.unwrap_or_default(),
        attempt,
    )
    .await;
}

/// As [`call_and_reset`], with a body of any media type.
async fn send_and_reset(
    client: &Client,
    method: &str,
    path: &str,
    media_type: Option<&str>,
    body: &str,
    attempt: usize,
) {
    let content_type = media_type.map_or(String::new(), |name| format!("content-type: {name}\r\n"));
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: gate\r\nauthorization: Bearer {}\r\n{content_type}content-length: \
         {}\r\n\r\n{body}",
        client.token(),
        body.len()
    );
    let stream = socket::send_and_keep_open(client.address(), request.as_bytes()).await;
    // Shorter than a timer's resolution: the server works meanwhile.
    let delay = Duration::from_micros(u64::try_from(attempt % 41).expect("a small number") * 100);
    let sent = Instant::now();
    while sent.elapsed() < delay {
        yield_now().await;
    }
    stream.set_zero_linger().expect("the option is set");
}

/// Waits until every request that the server received has ended: a request that needs the writer comes after them.
async fn settle(tenant: &Tenant) {
    let path = format!("/api/v1/events/{}/gates/{}", tenant.event, tenant.other_gate);
    let gate = json!({ "name": "Side", "status": "open" });
    tenant.owner.put(&path, &gate).await.expect(200);
}

/// The number of requests within which a change takes effect. They take far less time than a node needs to notice a change
/// by the change counters in the database.
const REQUESTS_AT_ONCE: usize = 20;

/// Panics unless the condition becomes true at once.
async fn at_once<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    for _ in 0..REQUESTS_AT_ONCE {
        if condition().await {
            return;
        }
    }
    panic!("{what}: not at once");
}

fn is_refused(response: &Response) -> bool {
    response.status == 401
}

async fn status_of_device(tenant: &Tenant, id: &str) -> String {
    let path = format!("/api/v1/scanning/devices/{id}");
    let device = tenant.owner.get(&path).await.expect(200).json();
    device["status"].as_str().expect("a status").to_owned()
}

#[tokio::test]
async fn a_device_that_was_revoked_is_refused_though_the_caller_hung_up() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let mut changes = 0;
    for attempt in 0..MAX_ATTEMPTS {
        let (device, id) = tenant.new_device(&format!("d{attempt}"), &json!({})).await;
        device.get("/api/v1/scanning/device").await.expect(200);
        // Revoking and deactivating are changes of the same class.
        let path = format!("/api/v1/scanning/devices/{id}");
        let inactive = json!({ "status": "inactive" });
        if attempt % 2 == 0 {
            call_and_reset(&tenant.owner, "DELETE", &path, None, attempt).await;
        } else {
            call_and_reset(&tenant.owner, "PATCH", &path, Some(&inactive), attempt).await;
        }
        settle(tenant).await;
        if status_of_device(tenant, &id).await == "inactive" {
            at_once("the token is refused", || async {
                is_refused(&device.get("/api/v1/scanning/device").await)
            })
            .await;
            changes += 1;
        }
        if changes == CHANGES {
            return;
        }
    }
    panic!("only {changes} changes took place");
}

#[tokio::test]
async fn an_api_key_that_was_deleted_is_refused_though_the_caller_hung_up() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let mut changes = 0;
    for attempt in 0..MAX_ATTEMPTS {
        let body = json!({ "name": new_id(), "role": "viewer" });
        let created = tenant
            .owner
            .post("/api/v1/api-keys", &body)
            .await
            .expect(201)
            .json();
        let viewer = tenant.owner.with_token(created["key"].as_str().expect("a key"));
        viewer.get("/api/v1/events").await.expect(200);
        let id = created["id"].as_str().expect("an id");
        call_and_reset(
            &tenant.owner,
            "DELETE",
            &format!("/api/v1/api-keys/{id}"),
            None,
            attempt,
        )
        .await;
        settle(tenant).await;
        // The second deletion finds nothing if the first took place.
        let list = tenant
            .owner
            .get("/api/v1/api-keys?limit=500")
            .await
            .expect(200)
            .json();
        let exists = list["data"]
            .as_array()
            .expect("keys")
            .iter()
            .any(|key| key["id"] == id);
        if !exists {
            at_once("the key is refused", || async {
                is_refused(&viewer.get("/api/v1/events").await)
            })
            .await;
            changes += 1;
        }
        if changes == CHANGES {
            return;
        }
    }
    panic!("only {changes} changes took place");
}

#[tokio::test]
async fn a_voided_ticket_is_denied_though_the_caller_hung_up() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let code = &tenant.codes[0];
    let qr = tenant.qr(0).await;
    let path = format!("/api/v1/events/{}/tickets/{code}", tenant.event);
    let mut changes = 0;
    for attempt in 0..MAX_ATTEMPTS {
        let active = json!({ "status": "active" });
        tenant.owner.call_with("PATCH", &path, &active).await.expect(200);
        // The ticket was admitted: its duplicate is answered from memory.
        let duplicate = tenant.device.scan(&json!({ "qr": qr })).await.expect(200).json();
        assert_eq!(duplicate["reason"], "already_scanned");
        let voided = json!({ "status": "voided" });
        call_and_reset(&tenant.owner, "PATCH", &path, Some(&voided), attempt).await;
        settle(tenant).await;
        if tenant.owner.get(&path).await.expect(200).json()["status"] == "voided" {
            at_once("the ticket is voided at the gate", || async {
                tenant.device.scan(&json!({ "qr": qr })).await.expect(200).json()["reason"] == "ticket_voided"
            })
            .await;
            changes += 1;
        }
        if changes == CHANGES {
            return;
        }
    }
    panic!("only {changes} changes took place");
}

#[tokio::test]
async fn a_rotated_token_dies_though_the_caller_hung_up() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let mut changes = 0;
    for attempt in 0..MAX_ATTEMPTS {
        let (device, id) = tenant.new_device(&format!("r{attempt}"), &json!({})).await;
        device.get("/api/v1/scanning/device").await.expect(200);
        let updated_at = || async {
            let path = format!("/api/v1/scanning/devices/{id}");
            tenant.owner.get(&path).await.expect(200).json()["updated_at"].clone()
        };
        let before = updated_at().await;
        let path = format!("/api/v1/scanning/devices/{id}/token");
        call_and_reset(&tenant.owner, "POST", &path, None, attempt).await;
        settle(tenant).await;
        if updated_at().await != before {
            at_once("the old token is refused", || async {
                is_refused(&device.get("/api/v1/scanning/device").await)
            })
            .await;
            changes += 1;
        }
        if changes == CHANGES {
            return;
        }
    }
    panic!("only {changes} changes took place");
}

#[tokio::test]
async fn a_revoked_signing_key_a_closed_gate_and_a_cancelled_event_hold_though_the_caller_hung_up() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let event = format!("/api/v1/events/{}", tenant.event);
    let gate = format!("{event}/gates/{}", tenant.gate);
    let qr = tenant.qr(0).await;
    let reason = || async {
        let answer = tenant.device.scan(&json!({ "qr": qr })).await.expect(200).json();
        answer["reason"].as_str().expect("a reason").to_owned()
    };
    let mut changes = 0;
    for attempt in 0..MAX_ATTEMPTS {
        let open = json!({ "name": "Main", "status": "open" });
        let closed = json!({ "name": "Main", "status": "closed" });
        tenant.owner.put(&gate, &open).await.expect(200);
        assert_eq!(reason().await, "already_scanned");
        call_and_reset(&tenant.owner, "PUT", &gate, Some(&closed), attempt).await;
        settle(tenant).await;
        if tenant.owner.get(&gate).await.expect(200).json()["status"] == "closed" {
            at_once("the gate is closed", || async { reason().await == "gate_closed" }).await;
            changes += 1;
        }
        tenant.owner.put(&gate, &open).await.expect(200);
        let live = json!({ "name": "Show", "status": "live", "capacity": 1000 });
        let cancelled = json!({ "name": "Show", "status": "cancelled", "capacity": 1000 });
        tenant.owner.put(&event, &live).await.expect(200);
        assert_eq!(reason().await, "already_scanned");
        call_and_reset(&tenant.owner, "PUT", &event, Some(&cancelled), attempt).await;
        settle(tenant).await;
        if tenant.owner.get(&event).await.expect(200).json()["status"] == "cancelled" {
            at_once("the event is cancelled", || async {
                reason().await == "event_cancelled"
            })
            .await;
            changes += 1;
        }
        tenant.owner.put(&event, &live).await.expect(200);
        if changes >= CHANGES {
            break;
        }
    }
    assert!(changes >= CHANGES, "only {changes} changes took place");
    // A revoked key stays revoked, so that each of them is a new key.
    for attempt in 0..CHANGES {
        let kid = format!("k{attempt}");
        let key = json!({ "kid": kid, "format": "vg1" });
        tenant.owner.post("/api/v1/signing-keys", &key).await.expect(201);
        let qr = tenant.qr(0).await;
        let path = format!("/api/v1/signing-keys/vg1/{kid}");
        let revoked = json!({ "status": "revoked" });
        call_and_reset(&tenant.owner, "PATCH", &path, Some(&revoked), attempt).await;
        settle(tenant).await;
        let keys = tenant.owner.get("/api/v1/signing-keys").await.expect(200).json();
        let keys = keys["data"].as_array().expect("keys").clone();
        if keys
            .iter()
            .any(|key| key["kid"] == kid && key["status"] == "revoked")
        {
            at_once("the key is revoked", || async {
                tenant.device.scan(&json!({ "qr": qr })).await.expect(200).json()["reason"] == "key_revoked"
            })
            .await;
        }
    }
}

#[tokio::test]
async fn a_deleted_event_takes_no_scan_though_the_caller_hung_up() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let archived = json!({ "name": "Show", "status": "archived" });
    let mut changes = 0;
    for attempt in 0..MAX_ATTEMPTS {
        let show = tenant.event_at_the_same_gates(&format!("gone-{attempt}")).await;
        let path = format!("/api/v1/events/{}", show.event);
        tenant.owner.put(&path, &archived).await.expect(200);
        let scan = json!({ "qr": show.qr(0).await });
        // The caches of the node hold the event and the session.
        show.device.scan(&scan).await.expect(200);
        call_and_reset(&tenant.owner, "DELETE", &path, None, attempt).await;
        settle(tenant).await;
        if tenant.owner.get(&path).await.status == 404 {
            at_once("the event takes no scan", || async {
                show.device.scan(&scan).await.status == 409
            })
            .await;
            changes += 1;
        }
        if changes == CHANGES {
            return;
        }
    }
    panic!("only {changes} changes took place");
}

#[tokio::test]
async fn personal_data_are_deleted_though_the_caller_hung_up() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let path = format!("/api/v1/events/{}/personal-data", tenant.event);
    let qr = tenant.qr(1).await;
    let noted = json!({ "code": tenant.codes[1], "note": "sits" }).to_string();
    let begun = async || {
        let log = "/api/v1/audit?action=event.delete_personal_data";
        let log = tenant.owner.get(log).await.expect(200).json();
        log["data"].as_array().expect("entries").len()
    };
    let mut changes = 0;
    for attempt in 0..MAX_ATTEMPTS {
        tenant
            .owner
            .import(&tenant.event, noted.clone())
            .await
            .expect(200);
        let scan = json!({ "qr": qr, "scan_id": new_id(), "metadata": { "guest": "Ann" } });
        let answer = tenant.device.scan(&scan).await.expect(200).json();
        assert_eq!(answer["ticket"]["note"], "sits", "{answer}");
        let before = begun().await;
        call_and_reset(&tenant.owner, "DELETE", &path, None, attempt).await;
        settle(tenant).await;
        if begun().await > before {
            // The replay shows what the record of the scan has, which is cleared after the tickets.
            wait_until("nothing personal is left", || async {
                let replay = tenant.device.scan(&scan).await.expect(200).json();
                replay["ticket"]["note"].is_null()
            })
            .await;
            changes += 1;
        }
        // Each takes more than a second.
        if changes == 3 {
            return;
        }
    }
    panic!("only {changes} changes took place");
}

/// Every operation that changes something, with the test of this file that resets its connection, or the reason why a reset
/// cannot leave anything outdated.
const CHANGES_BY_OPERATION: &[(&str, &str)] = &[
    ("acceptScan", "an_upload_is_counted_though_its_device_hung_up"),
    (
        "addSigningKey",
        "a_new_signing_key_signs_though_the_caller_hung_up",
    ),
    (
        "changeDevice",
        "a_device_that_was_revoked_is_refused_though_the_caller_hung_up",
    ),
    (
        "changeSigningKey",
        "a_revoked_signing_key_a_closed_gate_and_a_cancelled_event_hold_though_the_caller_hung_up",
    ),
    (
        "changeTicket",
        "a_voided_ticket_is_denied_though_the_caller_hung_up",
    ),
    (
        "changeSignalSettings",
        "signals are searched by what the database holds",
    ),
    ("changeMessages", "no decision depends on a message"),
    ("changeWebhook", "no scan depends on a webhook"),
    ("checkIn", "a_check_in_is_counted_once_though_its_caller_hung_up"),
    ("createApiKey", "nothing holds a key before it exists"),
    ("createWebhook", "no scan depends on a webhook"),
    (
        "deleteApiKey",
        "an_api_key_that_was_deleted_is_refused_though_the_caller_hung_up",
    ),
    ("deleteWebhook", "no scan depends on a webhook"),
    (
        "deleteEvent",
        "a_deleted_event_takes_no_scan_though_the_caller_hung_up",
    ),
    (
        "deletePersonalData",
        "personal_data_are_deleted_though_the_caller_hung_up",
    ),
    (
        "endSession",
        "a_session_that_was_ended_or_replaced_is_so_though_the_caller_hung_up",
    ),
    (
        "enroll",
        "an_enrolment_ends_the_old_token_though_the_phone_hung_up",
    ),
    (
        "importTickets",
        "an_imported_status_holds_though_the_caller_hung_up",
    ),
    (
        "putEvent",
        "a_revoked_signing_key_a_closed_gate_and_a_cancelled_event_hold_though_the_caller_hung_up",
    ),
    (
        "putGate",
        "a_revoked_signing_key_a_closed_gate_and_a_cancelled_event_hold_though_the_caller_hung_up",
    ),
    ("redeliverWebhookDelivery", "no scan depends on a webhook"),
    ("registerDevice", "nothing holds a device before it exists"),
    ("reportOwnDevice", "no decision depends on the health of a device"),
    (
        "revokeDevice",
        "a_device_that_was_revoked_is_refused_though_the_caller_hung_up",
    ),
    (
        "rotateDeviceToken",
        "a_rotated_token_dies_though_the_caller_hung_up",
    ),
    (
        "rotateWebhookSecret",
        "the secret is read from the database alone",
    ),
    ("scan", "a_scan_is_counted_and_undone_though_its_device_hung_up"),
    ("beginEnrollment", "codes are read from the database alone"),
    (
        "startSession",
        "a_session_that_was_ended_or_replaced_is_so_though_the_caller_hung_up",
    ),
    ("sync", "an_upload_is_counted_though_its_device_hung_up"),
    ("testWebhook", "no scan depends on a webhook"),
    (
        "undoScan",
        "a_scan_is_counted_and_undone_though_its_device_hung_up",
    ),
];

#[tokio::test]
async fn every_route_that_changes_something_is_covered_or_named() {
    let fixture = Fixture::new().await;
    let operations = fixture.openapi.operations().into_iter();
    let mut changing: Vec<_> = operations
        .filter(|operation| operation.method != "GET")
        .map(|operation| operation.name)
        .collect();
    changing.sort();
    let mut named: Vec<_> = CHANGES_BY_OPERATION
        .iter()
        .map(|(operation, _)| *operation)
        .collect();
    named.sort_unstable();
    assert_eq!(
        changing, named,
        "a new operation needs a line and, most likely, a test"
    );
    let source = include_str!("broken_connections.rs");
    for (operation, test) in CHANGES_BY_OPERATION {
        assert!(
            test.contains(' ') || source.contains(&format!("async fn {test}()")),
            "{operation}: {test}"
        );
    }
}

async fn inside(tenant: &Tenant) -> i64 {
    let path = format!("/api/v1/scanning/events/{}/occupancy", tenant.event);
    let occupancy = tenant.owner.get(&path).await.expect(200).json();
    occupancy["event"]["inside"].as_i64().expect("a number")
}

#[tokio::test]
async fn a_scan_is_counted_and_undone_though_its_device_hung_up() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let qr = tenant.qr(1).await;
    let before = inside(tenant).await;
    let (mut scans, mut undone) = (0, 0);
    for attempt in 0..MAX_ATTEMPTS {
        let scan_id = new_id();
        let scan = json!({ "qr": qr, "scan_id": scan_id });
        call_and_reset(
            &tenant.device,
            "POST",
            "/api/v1/scanning/scan",
            Some(&scan),
            attempt,
        )
        .await;
        settle(tenant).await;
        let answer = tenant.device.scan(&scan).await.expect(200).json();
        assert_eq!(answer["reason"], "admitted", "{answer}");
        scans += usize::from(answer["replayed"] == true);
        assert_eq!(inside(tenant).await, before + 1, "counted once");
        let duplicate = tenant.device.scan(&json!({ "qr": qr })).await.expect(200).json();
        assert_eq!(duplicate["reason"], "already_scanned");
        let path = format!("/api/v1/scanning/scans/{scan_id}/undo");
        let reason = json!({ "reason": "by mistake" });
        call_and_reset(&tenant.owner, "POST", &path, Some(&reason), attempt).await;
        settle(tenant).await;
        let ticket = format!("/api/v1/events/{}/tickets/{}", tenant.event, tenant.codes[1]);
        if tenant.owner.get(&ticket).await.expect(200).json()["scan_count"] == 0 {
            undone += 1;
        } else {
            tenant.owner.post(&path, &reason).await.expect(200);
        }
        at_once("nobody is inside", || async { inside(tenant).await == before }).await;
        if scans >= CHANGES && undone >= CHANGES {
            return;
        }
    }
    panic!("only {scans} scans and {undone} undos took place");
}

#[tokio::test]
async fn a_check_in_is_counted_once_though_its_caller_hung_up() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let event = format!("/api/v1/scanning/events/{}", tenant.event);
    let path = format!("{event}/tickets/{}/check-in", tenant.codes[1]);
    let before = inside(tenant).await;
    let mut taken = 0;
    for attempt in 0..MAX_ATTEMPTS {
        let scan_id = new_id();
        let body = json!({ "gate_id": tenant.gate, "reason": "no phone", "scan_id": scan_id });
        call_and_reset(&tenant.owner, "POST", &path, Some(&body), attempt).await;
        settle(tenant).await;
        let answer = tenant.owner.post(&path, &body).await.expect(200).json();
        assert_eq!(answer["reason"], "admitted", "{answer}");
        taken += usize::from(answer["replayed"] == true);
        assert_eq!(inside(tenant).await, before + 1, "counted once");
        let undo = format!("/api/v1/scanning/scans/{scan_id}/undo");
        let reason = json!({ "reason": "for the next attempt" });
        tenant.owner.post(&undo, &reason).await.expect(200);
        if taken >= CHANGES {
            return;
        }
    }
    panic!("only {taken} check-ins took place");
}

#[tokio::test]
async fn a_session_that_was_ended_or_replaced_is_so_though_the_caller_hung_up() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let mut session = tenant.session_id.clone();
    let (mut replaced, mut ended) = (0, 0);
    let scan = async || tenant.device.scan(&json!({ "qr": "x" })).await;
    for attempt in 0..MAX_ATTEMPTS {
        assert_eq!(scan().await.expect(200).json()["gate"]["id"], json!(tenant.gate));
        let other = json!({ "event_id": tenant.event, "gate_id": tenant.other_gate, "replace": true });
        call_and_reset(
            &tenant.device,
            "POST",
            "/api/v1/scanning/sessions",
            Some(&other),
            attempt,
        )
        .await;
        settle(tenant).await;
        let path = format!("/api/v1/scanning/sessions/{session}");
        if tenant.owner.get(&path).await.expect(200).json()["status"] == "ended" {
            at_once("scans are at the other gate", || async {
                scan().await.expect(200).json()["gate"]["id"] == json!(tenant.other_gate)
            })
            .await;
            replaced += 1;
        }
        let own = tenant
            .device
            .get("/api/v1/scanning/device")
            .await
            .expect(200)
            .json();
        let current = own["session"]["id"].as_str().expect("a session").to_owned();
        let path = format!("/api/v1/scanning/sessions/{current}");
        call_and_reset(&tenant.owner, "PUT", &format!("{path}/end"), None, attempt).await;
        settle(tenant).await;
        if tenant.owner.get(&path).await.expect(200).json()["status"] == "ended" {
            at_once("the session has ended", || async { scan().await.status == 409 }).await;
            ended += 1;
        }
        let main = json!({ "event_id": tenant.event, "gate_id": tenant.gate, "replace": true });
        let started = tenant
            .device
            .post("/api/v1/scanning/sessions", &main)
            .await
            .expect(201)
            .json();
        started["id"].as_str().expect("an id").clone_into(&mut session);
        if replaced >= CHANGES && ended >= CHANGES {
            return;
        }
    }
    panic!("only {replaced} sessions were replaced and {ended} ended");
}

#[tokio::test]
async fn an_enrolment_ends_the_old_token_though_the_phone_hung_up() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let mut changes = 0;
    for attempt in 0..MAX_ATTEMPTS {
        let (device, id) = tenant.new_device(&format!("e{attempt}"), &json!({})).await;
        device.get("/api/v1/scanning/device").await.expect(200);
        let path = format!("/api/v1/scanning/devices/{id}");
        let started = tenant
            .owner
            .call("POST", &format!("{path}/enrollment"))
            .await
            .expect(201)
            .json();
        let app = json!({ "name": "Gate", "version": "1.0", "platform": "android" });
        let body = json!({ "code": started["code"], "app": app });
        call_and_reset(
            &fixture.anonymous,
            "POST",
            "/api/v1/scanning/enroll",
            Some(&body),
            attempt,
        )
        .await;
        settle(tenant).await;
        if tenant.owner.get(&path).await.expect(200).json()["app"] == app {
            at_once("the old token is refused", || async {
                is_refused(&device.get("/api/v1/scanning/device").await)
            })
            .await;
            changes += 1;
        }
        if changes == CHANGES {
            return;
        }
    }
    panic!("only {changes} changes took place");
}

#[tokio::test]
async fn an_imported_status_holds_though_the_caller_hung_up() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let (code, qr) = (&tenant.codes[0], tenant.qr(0).await);
    let ticket = format!("/api/v1/events/{}/tickets/{code}", tenant.event);
    let import = format!("/api/v1/events/{}/tickets", tenant.event);
    let mut changes = 0;
    for attempt in 0..MAX_ATTEMPTS {
        // An import is more than one write, so the one before may still be under way.
        wait_until("the ticket is active", || async {
            let active = json!({ "status": "active" });
            let patched = tenant.owner.call_with("PATCH", &ticket, &active).await;
            patched.expect(200);
            let duplicate = tenant.device.scan(&json!({ "qr": qr })).await.expect(200).json();
            duplicate["reason"] == "already_scanned"
        })
        .await;
        let line = format!("{}\n", json!({ "code": code, "status": "voided" }));
        let media_type = Some("application/x-ndjson");
        send_and_reset(&tenant.owner, "POST", &import, media_type, &line, attempt).await;
        settle(tenant).await;
        if tenant.owner.get(&ticket).await.expect(200).json()["status"] == "voided" {
            at_once("the ticket is voided at the gate", || async {
                tenant.device.scan(&json!({ "qr": qr })).await.expect(200).json()["reason"] == "ticket_voided"
            })
            .await;
            changes += 1;
        }
        if changes == CHANGES {
            return;
        }
    }
    panic!("only {changes} changes took place");
}

#[tokio::test]
async fn a_new_signing_key_signs_though_the_caller_hung_up() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let mut changes = 0;
    for attempt in 0..MAX_ATTEMPTS {
        let kid = format!("n{attempt}");
        let body = json!({ "kid": kid, "format": "vg1" });
        call_and_reset(
            &tenant.owner,
            "POST",
            "/api/v1/signing-keys",
            Some(&body),
            attempt,
        )
        .await;
        settle(tenant).await;
        let keys = tenant.owner.get("/api/v1/signing-keys").await.expect(200).json();
        let keys = keys["data"].as_array().expect("keys").clone();
        if keys.iter().any(|key| key["kid"] == kid) {
            at_once("the key signs", || async {
                tenant.qr(0).await.starts_with(&format!("VG1.{kid}."))
            })
            .await;
            let scanned = tenant
                .device
                .scan(&json!({ "qr": tenant.qr(0).await }))
                .await
                .expect(200);
            assert_eq!(scanned.json()["reason"], "already_scanned");
            changes += 1;
        }
        if changes == CHANGES {
            return;
        }
    }
    panic!("only {changes} changes took place");
}

#[tokio::test]
async fn an_upload_is_counted_though_its_device_hung_up() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let lines = "{}\n".repeat(2 * MAX_ATTEMPTS);
    let path = format!("/api/v1/events/{}/tickets?return=codes", tenant.event);
    let imported = tenant
        .owner
        .send("POST", &path, Some("application/x-ndjson"), lines)
        .await
        .expect(200)
        .lines();
    let codes: Vec<_> = imported.iter().filter_map(|line| line["code"].as_str()).collect();
    let (revoked, id) = tenant.new_device("revoked", &json!({})).await;
    tenant.start_session(&revoked, &tenant.gate).await;
    let device = format!("/api/v1/scanning/devices/{id}");
    tenant.owner.call("DELETE", &device).await.expect(204);
    let upload = |scan_id: &str, qr: &str| {
        json!({ "batch_id": new_id(), "sent_at": "2026-11-22T18:00:00Z", "scans": [{
            "scan_id": scan_id, "qr": qr, "event_id": tenant.event, "gate_id": tenant.gate,
            "scanned_at": "2026-11-22T18:00:00Z", "local_result": "valid"
        }] })
    };
    let qr_of = async |code: &str| {
        let path = format!("/api/v1/events/{}/tickets/{code}/qr", tenant.event);
        tenant.owner.get(&path).await.expect(200).text().to_owned()
    };
    let count_of = async |code: &str| {
        let path = format!("/api/v1/events/{}/tickets/{code}", tenant.event);
        let ticket = tenant.owner.get(&path).await.expect(200).json();
        ticket["scan_count"].as_i64().expect("a number")
    };
    let before = inside(tenant).await;
    let (mut uploads, mut accepted) = (0, 0);
    for (attempt, pair) in codes.chunks_exact(2).enumerate() {
        let [code, other] = pair else {
            unreachable!("pairs")
        };
        let scan = upload(&new_id(), &qr_of(code).await);
        call_and_reset(
            &tenant.device,
            "POST",
            "/api/v1/scanning/sync",
            Some(&scan),
            attempt,
        )
        .await;
        let quarantined = new_id();
        let scan = upload(&quarantined, &qr_of(other).await);
        revoked.post("/api/v1/scanning/sync", &scan).await.expect(202);
        let path = format!("/api/v1/scanning/conflicts/{quarantined}/accept");
        let reason = json!({ "reason": "seen at the gate" });
        call_and_reset(&tenant.owner, "POST", &path, Some(&reason), attempt).await;
        settle(tenant).await;
        let counts = (count_of(code).await, count_of(other).await);
        uploads += counts.0;
        accepted += counts.1;
        at_once("everybody who came in is inside", || async {
            let mut sum = before;
            // Requests of earlier attempts may have been on their way.
            for code in &codes[..2 * attempt + 2] {
                sum += count_of(code).await;
            }
            inside(tenant).await == sum
        })
        .await;
        let changes = i64::try_from(CHANGES).expect("a small number");
        if uploads >= changes && accepted >= changes {
            return;
        }
    }
    panic!("only {uploads} uploads and {accepted} acceptances took place");
}
