//! The event stream: live scans and occupancy as Server-Sent Events.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use voelgoed_scan_suite::event_stream::EventStream;
use voelgoed_scan_suite::fixture::{Tenant, new_id};
use voelgoed_scan_suite::wait::{CONDITION_TIMEOUT, READ_TIMEOUT, report_duration};
use voelgoed_scan_suite::{Client, Fixture, wait_until};

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

/// The number of open streams of the server.
async fn open_streams(client: &Client) -> usize {
    let metrics = client.get("/metrics").await.expect(200);
    let line = metrics
        .text()
        .lines()
        .find(|line| line.starts_with("voelgoed_scan_stream_listeners "))
        .expect("the metric")
        .to_owned();
    line.rsplit(' ')
        .next()
        .and_then(|count| count.parse().ok())
        .expect("a number")
}

async fn wait_for_streams(what: &str, client: &Client, count: usize) {
    let duration = wait_until(what, || async { open_streams(client).await == count }).await;
    report_duration(what, duration);
}

/// Uploads scans with this many bytes of metadata. With many, few scans fill the buffers of a connection.
async fn upload(phone: &Client, gate: &str, scans: usize, metadata: usize) {
    let metadata = json!({ "note": "x".repeat(metadata) });
    let scan = |number: usize| {
        json!({
            "scan_id": new_id(), "qr": format!("not a ticket {number}"), "gate_id": gate,
            "scanned_at": "2026-11-20T18:00:00Z", "local_result": "invalid_token",
            "local_reason": "malformed", "metadata": metadata,
        })
    };
    let scans: Vec<_> = (0..scans).map(scan).collect();
    let batch = json!({ "batch_id": new_id(), "sent_at": "2026-11-20T18:00:01Z", "scans": scans });
    let answer = phone.post("/api/v1/scanning/sync", &batch).await.expect(200);
    assert_eq!(answer.json()["rejected"], 0, "{answer:?}");
}

/// Reads this many scans.
async fn read_scans(events: &mut EventStream, scans: usize) {
    let all = async {
        for _ in 0..scans {
            events.next_named("scan").await;
        }
    };
    timeout(CONDITION_TIMEOUT, all)
        .await
        .expect("the stream sends every scan");
}

/// Opens a stream of a client that reads only what a small buffer takes.
async fn open_unread(client: &Client, event: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small buffer");
    let mut stream = socket.connect(client.address()).await.expect("a connection");
    let request = format!(
        "GET /api/v1/scanning/events/{event}/stream HTTP/1.1\r\nHost: gate.test\r\nAuthorization: Bearer {}\r\n\r\n",
        client.token()
    );
    stream
        .write_all(request.as_bytes())
        .await
        .expect("the request is sent");
    stream
}

async fn delete_key(tenant: &Tenant, name: &str) {
    let keys = tenant.owner.get("/api/v1/api-keys").await.json();
    let keys = keys["data"].as_array().expect("keys");
    let key = keys.iter().find(|key| key["name"] == name).expect("the key");
    let path = format!("/api/v1/api-keys/{}", key["id"].as_str().expect("an id"));
    tenant.owner.call("DELETE", &path).await.expect(204);
}

#[tokio::test]
async fn a_credential_has_at_most_64_streams() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let viewer = tenant.member("viewer").await;
    let mut streams = Vec::new();
    for _ in 0..64 {
        streams.push(EventStream::open(&viewer, &tenant.event).await);
    }
    let path = format!("/api/v1/scanning/events/{}/stream", tenant.event);
    let refused = viewer.open("GET", &path, None, Bytes::new()).await;
    assert_eq!(refused.status(), 429);
    assert!(refused.headers().contains_key("retry-after"));
    viewer.get(&path).await.expect_problem(429, "rate_limited");
    // Other credentials have their own, and the place of a stream that ended is free.
    EventStream::open(&tenant.owner, &tenant.event).await;
    streams.pop();
    wait_until("another stream may be opened", || async {
        let response = viewer.open("GET", &path, None, Bytes::new()).await;
        response.status() == 200
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_read_is_cut_off() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let (phone, _) = tenant.new_device("phone", &json!({})).await;
    tenant.start_session(&phone, &tenant.gate).await;
    let mut reading = EventStream::open(&tenant.owner, &tenant.event).await;
    let mut unread = open_unread(&tenant.owner, &tenant.event).await;
    wait_for_streams("both streams are open", &fixture.anonymous, 2).await;
    for _ in 0..5 {
        upload(&phone, &tenant.gate, 1000, 3900).await;
        read_scans(&mut reading, 1000).await;
    }
    wait_for_streams("the unread stream ends", &fixture.anonymous, 1).await;
    let mut buffer = vec![0; 65536];
    let ends = async { while unread.read(&mut buffer).await.is_ok_and(|read| read > 0) {} };
    timeout(READ_TIMEOUT, ends)
        .await
        .expect("the connection is closed");
    // The other one goes on.
    upload(&phone, &tenant.gate, 1, 0).await;
    reading.next_named("scan").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_key_ends_a_stream_that_nobody_reads() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let (phone, _) = tenant.new_device("phone", &json!({})).await;
    tenant.start_session(&phone, &tenant.gate).await;
    let viewer = tenant.member("viewer").await;
    let mut reading = EventStream::open(&tenant.owner, &tenant.event).await;
    let _unread = open_unread(&viewer, &tenant.event).await;
    wait_for_streams("both streams are open", &fixture.anonymous, 2).await;
    // More than the buffers between server and client take, and less than what cuts the client off.
    upload(&phone, &tenant.gate, 1000, 3900).await;
    upload(&phone, &tenant.gate, 900, 3900).await;
    read_scans(&mut reading, 1900).await;
    assert_eq!(open_streams(&fixture.anonymous).await, 2);
    delete_key(tenant, "viewer").await;
    wait_for_streams("the stream of the deleted key ends", &fixture.anonymous, 1).await;
}

/// One connection may carry other requests as well, so only the stream ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_key_ends_an_http2_stream_that_nobody_reads_and_not_its_connection() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let (phone, _) = tenant.new_device("phone", &json!({})).await;
    tenant.start_session(&phone, &tenant.gate).await;
    let viewer = tenant.member("viewer").await;
    let socket = TcpStream::connect(viewer.address()).await.expect("a connection");
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(socket))
            .await
            .expect("HTTP/2");
    tokio::spawn(connection);
    let mut call = async |token: &str, path: &str| {
        let request = hyper::Request::get(format!("http://gate.test{path}"))
            .header("authorization", format!("Bearer {token}"))
            .body(Empty::<Bytes>::new())
            .expect("a request");
        let response = sender.send_request(request).await.expect("a response");
        assert_eq!(response.status(), 200);
        response
    };
    let path = format!("/api/v1/scanning/events/{}/stream", tenant.event);
    let unread = call(viewer.token(), &path).await;
    let mut reading = EventStream::open(&tenant.owner, &tenant.event).await;
    wait_for_streams("both streams are open", &fixture.anonymous, 2).await;
    for _ in 0..2 {
        upload(&phone, &tenant.gate, 900, 3900).await;
    }
    read_scans(&mut reading, 1800).await;
    assert_eq!(open_streams(&fixture.anonymous).await, 2);
    delete_key(tenant, "viewer").await;
    wait_for_streams("the stream of the deleted key ends", &fixture.anonymous, 1).await;
    let incomplete = unread.into_body().collect().await;
    assert!(incomplete.is_err(), "the client sees that the stream was cut off");
    call(tenant.owner.token(), "/api/v1/events").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_readers_may_catch_up_at_once() {
    const MISSED: usize = 500;
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let (phone, _) = tenant.new_device("phone", &json!({})).await;
    tenant.start_session(&phone, &tenant.gate).await;
    let mut events = EventStream::open(&tenant.owner, &tenant.event).await;
    let last = events.next_named("occupancy").await.id.expect("an id");
    drop(events);
    upload(&phone, &tenant.gate, MISSED, 0).await;
    let mut readers = JoinSet::new();
    for credential in [tenant.member("staff").await, tenant.member("viewer").await] {
        for _ in 0..50 {
            let client = credential.with_header("last-event-id", &last);
            let event = tenant.event.clone();
            readers.spawn(async move {
                let mut events = EventStream::open(&client, &event).await;
                let mut scans = std::collections::HashSet::new();
                while scans.len() < MISSED {
                    let event = events.next().await.expect("an event");
                    assert_eq!(event.name, "scan");
                    scans.insert(event.data["scan_id"].as_str().expect("an id").to_owned());
                }
                assert_eq!(events.next().await.expect("an event").name, "occupancy");
            });
        }
    }
    // Scans go on meanwhile.
    while !readers.is_empty() {
        let body = json!({ "qr": "a forgery", "scan_id": new_id() });
        fixture.other_tenant.device.scan(&body).await.expect(200);
        while let Some(read) = readers.try_join_next() {
            read.expect("no panic");
        }
    }
}
