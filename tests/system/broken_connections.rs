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
    let length = body.as_ref().map_or(0, String::len);
    let content_type = body.as_ref().map_or("", |_| "content-type: application/json\r\n");
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: gate\r\nauthorization: Bearer {}\r\n{content_type}content-length: \
         {length}\r\n\r\n{}",
        client.token(),
        body.unwrap_or_default()
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
            wait_until("the token is refused", || async {
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
            wait_until("the key is refused", || async {
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
            wait_until("the ticket is voided at the gate", || async {
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
            wait_until("the old token is refused", || async {
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
            wait_until("the gate is closed", || async { reason().await == "gate_closed" }).await;
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
            wait_until("the event is cancelled", || async {
                reason().await == "event_not_live"
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
            wait_until("the key is revoked", || async {
                tenant.device.scan(&json!({ "qr": qr })).await.expect(200).json()["reason"] == "key_revoked"
            })
            .await;
        }
    }
}
