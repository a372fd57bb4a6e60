//! What every answer has, and what the server says of itself.

use serde_json::json;
use voelgoed_scan_suite::World;
use voelgoed_scan_suite::world::new_id;

#[tokio::test]
async fn a_path_that_is_not_served_is_404_and_a_method_405_with_allow() {
    let world = World::new().await;
    for path in [
        "/nothing",
        "/api/v1",
        "/api/v1/events/",
        "//",
        "/api/v1/scanning/rumours",
        "/api/v1/scanning/enrol",
        "/api/v2/events",
        "/healthz/",
    ] {
        world.nobody.get(path).await.expect_problem(404, "not_found");
    }
    for (method, path, allow) in [
        ("DELETE", "/api/v1/events", "GET"),
        ("PATCH", "/healthz", "GET"),
        ("OPTIONS", "/api/v1/scanning/scan", "POST"),
        ("TRACE", "/api/v1/scanning/sessions", "POST, GET"),
        ("BREW", "/", "GET"),
        (
            "POST",
            &format!("/api/v1/scanning/devices/{}", new_id()),
            "GET, PATCH, DELETE",
        ),
    ] {
        let reply = world
            .nobody
            .call(method, path)
            .await
            .expect_problem(405, "method_not_allowed");
        assert_eq!(reply.header("allow"), Some(allow), "{method} {path}");
    }
}

#[tokio::test]
async fn the_document_and_the_router_are_one() {
    let world = World::new().await;
    let document = world.book.document();
    assert_eq!(document["openapi"], "3.1.0");
    for operation in world.book.operations() {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            let path = operation.path.replace(['{', '}'], "x");
            let documented = document["paths"][&operation.path]
                .get(method.to_lowercase())
                .is_some();
            let reply = world.nobody.call(method, &path).await;
            assert_eq!(reply.status == 405, !documented, "{method} {path}: {reply:?}");
            if documented && operation.guarded {
                reply.expect_problem(401, "missing_token");
            }
        }
    }
}

#[tokio::test]
async fn a_request_id_is_kept_where_it_is_one_and_made_where_not() {
    let world = World::new().await;
    let kept = world
        .nobody
        .with_header("x-request-id", "abc/123")
        .get("/nothing")
        .await;
    assert_eq!(kept.header("x-request-id"), Some("abc/123"));
    assert_eq!(kept.json()["request_id"], "abc/123");
    let long = "x".repeat(65);
    for wrong in ["a b", long.as_str()] {
        let made = world
            .nobody
            .with_header("x-request-id", wrong)
            .get("/healthz")
            .await
            .expect(200);
        assert_ne!(made.header("x-request-id"), Some(wrong));
    }
}

#[tokio::test]
async fn whoever_runs_the_server_can_ask_how_it_is() {
    let world = World::new().await;
    assert_eq!(
        world.nobody.get("/healthz").await.expect(200).json()["status"],
        "ok"
    );
    let ready = world.nobody.get("/readyz").await.expect(200).json();
    assert_eq!(ready["checks"]["database"], "ok");
    let page = world.nobody.get("/").await.expect(200);
    assert!(page.text().contains(env!("CARGO_PKG_VERSION")) && page.text().contains("/openapi.json"));
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(
        policy.starts_with("default-src 'none'") && !policy.contains("unsafe"),
        "{policy}"
    );
    let metrics = world.nobody.get("/metrics").await.expect(200);
    for name in [
        "voelgoed_scan_http_requests_total",
        "voelgoed_scan_scans_total",
        "voelgoed_scan_http_connections",
    ] {
        assert!(metrics.text().contains(&format!("# HELP {name} ")), "{name}");
        assert!(metrics.text().contains(&format!("# TYPE {name} ")), "{name}");
    }
    assert!(
        metrics
            .text()
            .contains(r#"voelgoed_scan_scans_total{result="valid",decided_by="database"}"#)
    );
}

#[tokio::test]
async fn a_list_comes_in_pages_and_each_row_once() {
    let world = World::new().await;
    let tenant = &world.here;
    for at in 0..5 {
        tenant.new_device(&format!("scanner-{at}"), &json!({})).await;
    }
    let gates = format!("/api/v1/events/{}/gates", tenant.event);
    let tickets = format!("/api/v1/events/{}/tickets", tenant.event);
    for (path, rows) in [
        ("/api/v1/scanning/devices", 6),
        ("/api/v1/events", 1),
        ("/api/v1/scanning/sessions", 1),
        ("/api/v1/scanning/scans", 1),
        ("/api/v1/signing-keys", 2),
        ("/api/v1/api-keys", 1),
        (gates.as_str(), 2),
        (tickets.as_str(), 10),
    ] {
        let mut seen = Vec::new();
        let mut query = "?limit=1".to_owned();
        loop {
            let page = tenant
                .owner
                .get(&format!("{path}{query}"))
                .await
                .expect(200)
                .json();
            seen.extend(
                page["data"]
                    .as_array()
                    .expect("rows")
                    .iter()
                    .map(ToString::to_string),
            );
            match page["next_cursor"].as_str() {
                Some(cursor) => query = format!("?limit=1&cursor={cursor}"),
                None => break,
            }
        }
        let total = seen.len();
        seen.sort();
        seen.dedup();
        assert_eq!((seen.len(), total), (rows, rows), "{path}");
        let whole = tenant.owner.get(path).await.expect(200).json();
        assert_eq!(whole["data"].as_array().map(Vec::len), Some(rows), "{path}");
        assert!(whole["next_cursor"].is_null(), "{path}");
    }
}

#[tokio::test]
async fn what_is_put_is_201_first_and_200_then_with_its_place() {
    let world = World::new().await;
    let tenant = &world.here;
    let event = format!("/api/v1/events/{}", new_id());
    let body = json!({ "name": "Second show", "status": "draft", "ticket_classes": ["VIP"] });
    let made = tenant.owner.put(&event, &body).await.expect(201);
    assert_eq!(made.header("location"), Some(event.as_str()));
    assert_eq!(made.json()["reentry"], "never");
    let again = tenant
        .owner
        .put(&event, &json!({ "name": "Renamed", "status": "draft" }))
        .await
        .expect(200);
    assert_eq!(
        again.json()["ticket_classes"],
        json!(["VIP"]),
        "absent classes stay"
    );
    let fewer = json!({ "name": "Renamed", "status": "draft", "ticket_classes": [] });
    tenant
        .owner
        .put(&event, &fewer)
        .await
        .expect_problem(409, "conflict");
    let gate = format!("{event}/gates/{}", new_id());
    let made = tenant
        .owner
        .put(&gate, &json!({ "name": "G", "status": "open" }))
        .await
        .expect(201);
    assert_eq!(made.header("location"), Some(gate.as_str()));
    tenant
        .owner
        .put(&gate, &json!({ "name": "G", "status": "closed" }))
        .await
        .expect(200);
}

#[tokio::test]
async fn a_device_is_registered_renamed_given_a_new_token_and_revoked() {
    let world = World::new().await;
    let tenant = &world.here;
    let (device, id) = tenant
        .new_device("pda.7", &json!({ "can_search": true, "colour": "red" }))
        .await;
    let path = format!("/api/v1/scanning/devices/{id}");
    let taken = json!({ "device_id": "pda.7", "name": "Twin" });
    tenant
        .owner
        .post("/api/v1/scanning/devices", &taken)
        .await
        .expect_problem(409, "conflict");
    let own = device.get("/api/v1/scanning/device").await.expect(200).json();
    assert_eq!(own["device"]["settings"]["colour"], "red");
    assert!(own["session"].is_null() && own["server_time"].is_string() && own["manifest_key"].is_string());
    let health =
        json!({ "app": { "name": "gate", "version": "1", "platform": "ios" }, "battery": 0.5, "waiting": 3 });
    let told = device
        .put("/api/v1/scanning/device", &health)
        .await
        .expect(200)
        .json();
    assert_eq!(told["device"]["waiting"], 3);
    assert!(told["device"]["last_seen_at"].is_string());
    for filter in [
        "device_id=pda.7",
        &format!("device_id={id}"),
        "device_id=pda.7&status=active",
    ] {
        let found = tenant
            .owner
            .get(&format!("/api/v1/scanning/devices?{filter}"))
            .await
            .expect(200)
            .json();
        assert_eq!(found["data"][0]["id"].as_str(), Some(id.as_str()), "{filter}");
        assert_eq!(found["data"].as_array().map(Vec::len), Some(1), "{filter}");
    }
    let renamed = tenant
        .owner
        .call_with("PATCH", &path, &json!({ "name": "New" }))
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&renamed["name"], &renamed["device_id"]),
        (&json!("New"), &json!("pda.7"))
    );
    let token = tenant
        .owner
        .call("POST", &format!("{path}/token"))
        .await
        .expect(200)
        .json();
    device
        .get("/api/v1/scanning/device")
        .await
        .expect_problem(401, "invalid_token");
    let device = device.with_token(token["token"].as_str().expect("a token"));
    tenant.start_session(&device, &tenant.gate).await;
    tenant
        .owner
        .call_with("PATCH", &path, &json!({ "status": "inactive" }))
        .await
        .expect(200);
    device
        .get("/api/v1/scanning/device")
        .await
        .expect_problem(401, "device_inactive");
    tenant
        .owner
        .call_with("PATCH", &path, &json!({ "status": "active" }))
        .await
        .expect(200);
    device.get("/api/v1/scanning/device").await.expect(200);
    tenant.owner.call("DELETE", &path).await.expect(204);
    tenant.owner.call("DELETE", &path).await.expect(204);
    device
        .get("/api/v1/scanning/device")
        .await
        .expect_problem(401, "device_inactive");
    tenant
        .owner
        .call_with("PATCH", &path, &json!({ "status": "active" }))
        .await
        .expect_problem(409, "conflict");
    assert_eq!(
        tenant.owner.get(&path).await.expect(200).json()["status"],
        "inactive"
    );
    let sessions = tenant
        .owner
        .get(&format!("/api/v1/scanning/sessions?device_id={id}"))
        .await
        .json();
    assert_eq!(sessions["data"][0]["status"], "ended");
}

#[tokio::test]
async fn keys_are_shown_once_rotated_and_withdrawn() {
    let world = World::new().await;
    let tenant = &world.here;
    let viewer = tenant.member("viewer").await;
    viewer.get("/api/v1/events").await.expect(200);
    let keys = tenant.owner.get("/api/v1/api-keys").await.expect(200).json();
    let row = keys["data"]
        .as_array()
        .expect("keys")
        .iter()
        .find(|key| key["name"] == "viewer")
        .expect("it")
        .clone();
    assert!(row.get("key").is_none(), "{row}");
    let path = format!("/api/v1/api-keys/{}", row["id"].as_str().expect("an id"));
    tenant.owner.call("DELETE", &path).await.expect(204);
    tenant
        .owner
        .call("DELETE", &path)
        .await
        .expect_problem(404, "not_found");
    viewer
        .get("/api/v1/events")
        .await
        .expect_problem(401, "invalid_token");

    let add = json!({ "kid": "2", "format": "vg1" });
    tenant.owner.post("/api/v1/signing-keys", &add).await.expect(201);
    tenant
        .owner
        .post("/api/v1/signing-keys", &add)
        .await
        .expect_problem(409, "conflict");
    assert!(
        tenant.qr(1).await.starts_with("VG1.2."),
        "the newest active key signs"
    );
    for (status, expected) in [("verify_only", 200), ("revoked", 200), ("active", 409)] {
        let body = json!({ "status": status });
        tenant
            .owner
            .call_with("PATCH", "/api/v1/signing-keys/vg1/2", &body)
            .await
            .expect(expected);
    }
    let body = json!({ "status": "revoked" });
    tenant
        .owner
        .call_with("PATCH", "/api/v1/signing-keys/vg1/1", &body)
        .await
        .expect(200);
    let qr = format!("/api/v1/events/{}/tickets/{}/qr", tenant.event, tenant.codes[1]);
    tenant.owner.get(&qr).await.expect_problem(409, "conflict");
    let vg2 = tenant.owner.get(&format!("{qr}?format=vg2")).await.expect(200);
    assert!(vg2.text().starts_with("VG2.1."));
    let svg = tenant
        .owner
        .get(&format!("{qr}?format=vg2&as=svg"))
        .await
        .expect(200);
    assert!(svg.text().contains("<svg"));
    let png = tenant
        .owner
        .get(&format!("{qr}?format=vg2&as=png"))
        .await
        .expect(200);
    assert!(png.body.starts_with(b"\x89PNG"));
}
