//! What happens, as it happens.

use std::time::Duration;

use serde_json::json;
use tokio::time::timeout;
use voelgoed_scan_suite::World;
use voelgoed_scan_suite::events::Events;

/// How long an event may take before the test counts as hanging.
const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_scan_and_the_occupancy_after_it_are_told() {
    let world = World::new().await;
    let tenant = &world.here;
    let mut events = Events::open(&tenant.owner, &tenant.event).await;
    assert_eq!(events.next_named("occupancy").await.data["event"]["inside"], 1);
    let mut elsewhere = Events::open(&world.elsewhere.owner, &world.elsewhere.event).await;
    let answer = tenant
        .device
        .scan(&json!({ "qr": tenant.qr(1).await }))
        .await
        .expect(200)
        .json();
    let told = events.next_named("scan").await;
    assert_eq!(told.data["scan_id"], answer["scan_id"]);
    assert!(told.id.is_some());
    assert_eq!(events.next_named("occupancy").await.data["event"]["inside"], 2);
    // The other tenant hears of its own scans alone.
    world
        .elsewhere
        .device
        .scan(&json!({ "qr": "nonsense" }))
        .await
        .expect(200);
    assert_eq!(elsewhere.next_named("scan").await.data["reason"], "malformed");
}

#[tokio::test]
async fn a_listener_who_comes_back_gets_what_it_missed() {
    let world = World::new().await;
    let tenant = &world.here;
    let mut events = Events::open(&tenant.owner, &tenant.event).await;
    tenant
        .device
        .scan(&json!({ "qr": tenant.qr(1).await }))
        .await
        .expect(200);
    let seen = events.next_named("scan").await.id.expect("an id");
    drop(events);
    let mut missed = Vec::new();
    for at in [2, 3] {
        let answer = tenant
            .device
            .scan(&json!({ "qr": tenant.qr(at).await }))
            .await
            .expect(200)
            .json();
        missed.push(answer["scan_id"].clone());
    }
    let back = tenant.owner.with_header("last-event-id", &seen);
    let mut events = Events::open(&back, &tenant.event).await;
    for scan in missed {
        assert_eq!(events.next().await.expect("an event").data["scan_id"], scan);
    }
    for old in ["1-0192f0c1-7a4e-7000-8000-000000000001", "nonsense"] {
        let back = tenant.owner.with_header("last-event-id", old);
        assert_eq!(
            Events::open(&back, &tenant.event)
                .await
                .next()
                .await
                .expect("an event")
                .name,
            "reset"
        );
    }
}

#[tokio::test]
async fn a_stream_ends_with_its_credential_and_with_the_server() {
    let world = World::new().await;
    let tenant = &world.here;
    let viewer = tenant.member("viewer").await;
    let mut of_viewer = Events::open(&viewer, &tenant.event).await;
    let mut of_owner = Events::open(&tenant.owner, &tenant.event).await;
    let keys = tenant.owner.get("/api/v1/api-keys").await.json();
    let key = keys["data"]
        .as_array()
        .expect("keys")
        .iter()
        .find(|key| key["name"] == "viewer")
        .expect("it")
        .clone();
    tenant
        .owner
        .call(
            "DELETE",
            &format!("/api/v1/api-keys/{}", key["id"].as_str().expect("an id")),
        )
        .await
        .expect(204);
    while of_viewer.next().await.is_some() {}
    let stopped = tokio::spawn(world.server.stop());
    while of_owner.next().await.is_some() {}
    timeout(LONG, stopped)
        .await
        .expect("an end")
        .expect("an orderly one");
}
