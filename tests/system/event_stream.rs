//! The event stream: live scans and occupancy as Server-Sent Events.

use serde_json::json;
use tokio::time::timeout;
use voelgoed_scan_suite::Fixture;
use voelgoed_scan_suite::event_stream::EventStream;
use voelgoed_scan_suite::wait::READ_TIMEOUT;

#[tokio::test]
async fn a_stream_sends_a_scan_and_then_the_occupancy() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let mut events = EventStream::open(&tenant.owner, &tenant.event).await;
    assert_eq!(events.next_named("occupancy").await.data["event"]["inside"], 1);
    let mut other_events = EventStream::open(&fixture.other_tenant.owner, &fixture.other_tenant.event).await;
    let answer = tenant
        .device
        .scan(&json!({ "qr": tenant.qr(1).await }))
        .await
        .expect(200)
        .json();
    let scan = events.next_named("scan").await;
    assert_eq!(scan.data["scan_id"], answer["scan_id"]);
    assert!(scan.id.is_some());
    assert_eq!(events.next_named("occupancy").await.data["event"]["inside"], 2);
    // The other tenant's stream has only that tenant's scans.
    fixture
        .other_tenant
        .device
        .scan(&json!({ "qr": "nonsense" }))
        .await
        .expect(200);
    assert_eq!(other_events.next_named("scan").await.data["reason"], "malformed");
}

#[tokio::test]
async fn a_client_that_reconnects_gets_the_scans_that_it_missed() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let mut events = EventStream::open(&tenant.owner, &tenant.event).await;
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
    let resuming = tenant.owner.with_header("last-event-id", &seen);
    let mut events = EventStream::open(&resuming, &tenant.event).await;
    for scan in missed {
        assert_eq!(events.next().await.expect("an event").data["scan_id"], scan);
    }
    for unknown in ["1-0192f0c1-7a4e-7000-8000-000000000001", "nonsense"] {
        let resuming = tenant.owner.with_header("last-event-id", unknown);
        assert_eq!(
            EventStream::open(&resuming, &tenant.event)
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
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let viewer = tenant.member("viewer").await;
    let mut viewer_events = EventStream::open(&viewer, &tenant.event).await;
    let mut owner_events = EventStream::open(&tenant.owner, &tenant.event).await;
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
    while viewer_events.next().await.is_some() {}
    let stop = tokio::spawn(fixture.server.stop());
    while owner_events.next().await.is_some() {}
    timeout(READ_TIMEOUT, stop)
        .await
        .expect("the server stops")
        .expect("without a panic");
}
