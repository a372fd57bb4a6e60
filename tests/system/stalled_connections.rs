//! Connections that make no progress: whatever their protocol, they are closed, and they keep no other client away.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use voelgoed_scan_server::{Config, Running, start};
use voelgoed_scan_suite::event_stream::EventStream;
use voelgoed_scan_suite::program::Launch;
use voelgoed_scan_suite::wait::{CONDITION_TIMEOUT, READ_TIMEOUT};
use voelgoed_scan_suite::{Client, Fixture, socket, wait_until};

/// The time limit of connections in these tests.
const LIMIT: Duration = Duration::from_millis(500);

async fn fixture() -> Fixture {
    Fixture::with_config(|config| config.connection_timeout = LIMIT).await
}

/// A server with TLS, the directory of its files, and a client that trusts it.
async fn tls_server() -> (Running, TempDir, TlsConnector) {
    let directory = tempfile::tempdir().expect("a directory");
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let path = |name: &str| directory.path().join(name);
    std::fs::write(path("cert.pem"), cert.pem()).expect("written");
    std::fs::write(path("key.pem"), signing_key.serialize_pem()).expect("written");
    let mut config = Config::on_free_port(format!("sqlite://{}", path("gate.db").display()));
    config.tls_cert = Some(path("cert.pem"));
    config.tls_key = Some(path("key.pem"));
    config.connection_timeout = LIMIT;
    let server = start(config).await.expect("a server");
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    (server, directory, TlsConnector::from(Arc::new(client)))
}

async fn connect_tls(address: SocketAddr, connector: &TlsConnector) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(address).await.expect("a connection");
    let name = ServerName::try_from("localhost").expect("a name");
    connector.connect(name, stream).await.expect("TLS")
}

#[tokio::test]
async fn an_unfinished_request_is_closed_at_every_stage_of_it() {
    let fixture = fixture().await;
    let address = fixture.server.address();
    let head = |path: &str, media_type: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nhost: gate\r\nauthorization: Bearer {}\r\ncontent-type: {media_type}\r\n",
            fixture.tenant.device.token()
        )
    };
    let scan = head("/api/v1/scanning/scan", "application/json");
    let sync = head("/api/v1/scanning/sync", "application/json");
    let import = head(
        &format!("/api/v1/events/{}/tickets", fixture.tenant.event),
        "application/x-ndjson",
    )
    .replace(fixture.tenant.device.token(), fixture.tenant.owner.token());
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let settings = "\0\0\0\u{4}\0\0\0\0\0";
    for (what, bytes) in [
        ("nothing", String::new()),
        ("one byte", "P".to_owned()),
        ("a part of the preface of HTTP/2", "PRI".to_owned()),
        ("a request line", "GET / HTTP/1.1\r\n".to_owned()),
        ("a part of a header", "GET / HTTP/1.1\r\nhost: ga".to_owned()),
        (
            "a request and a part of the next",
            "GET /healthz HTTP/1.1\r\nhost: gate\r\n\r\nGET /healthz HTTP/1.1\r\nho".to_owned(),
        ),
        (
            "no second request",
            "GET /healthz HTTP/1.1\r\nhost: gate\r\n\r\n".to_owned(),
        ),
        ("no body", format!("{scan}content-length: 10\r\n\r\n")),
        (
            "a part of a body",
            format!("{scan}content-length: 10\r\n\r\n{{\"qr\""),
        ),
        (
            "a part of a chunk",
            format!("{scan}transfer-encoding: chunked\r\n\r\na\r\n{{\"qr\""),
        ),
        (
            "a part of a big body",
            format!("{sync}content-length: 1000000\r\n\r\n{{{}", " ".repeat(100_000)),
        ),
        (
            "a part of a line of an import",
            format!("{import}content-length: 100\r\n\r\n{{}}\n{{\"code\""),
        ),
        ("no HTTP/2 settings", preface.to_owned()),
        ("no HTTP/2 request", format!("{preface}{settings}")),
        (
            "a part of the head of an HTTP/2 request",
            // HEADERS of 16 bytes on stream 1 without END_HEADERS, cut off.
            format!("{preface}{settings}\0\0\u{10}\u{1}\0\0\0\0\u{1}\u{2}"),
        ),
    ] {
        let mut stream = socket::send_and_keep_open(address, bytes.as_bytes()).await;
        let mut received = Vec::new();
        let closed = timeout(READ_TIMEOUT, stream.read_to_end(&mut received)).await;
        assert!(closed.is_ok(), "{what}");
    }
    fixture
        .tenant
        .device
        .get("/api/v1/scanning/device")
        .await
        .expect(200);
}

#[tokio::test]
async fn an_unfinished_handshake_or_request_over_tls_is_closed() {
    let (server, _directory, connector) = tls_server().await;
    let address = server.address();
    for bytes in [&b""[..], b"\x16", b"\x16\x03\x01\x02\x00\x01"] {
        let mut stream = socket::send_and_keep_open(address, bytes).await;
        let mut received = Vec::new();
        let closed = timeout(READ_TIMEOUT, stream.read_to_end(&mut received)).await;
        assert!(closed.is_ok(), "{bytes:?}");
    }
    for text in ["", "G", "GET / HTTP/1.1\r\nho"] {
        let mut stream = connect_tls(address, &connector).await;
        stream.write_all(text.as_bytes()).await.expect("written");
        stream.flush().await.expect("written");
        let mut received = Vec::new();
        let closed = timeout(READ_TIMEOUT, stream.read_to_end(&mut received)).await;
        assert!(closed.is_ok(), "{text:?}");
    }
}

const PIPELINED: &str = "GET /openapi.json HTTP/1.1\r\nhost: gate\r\n\r\n";

/// Writes until the peer has closed the connection.
async fn write_until_closed(stream: &TcpStream) {
    wait_until("the server closes", || {
        let written = loop {
            match stream.try_write(PIPELINED.as_bytes()) {
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        std::future::ready(written.kind() != ErrorKind::WouldBlock)
    })
    .await;
}

#[tokio::test]
async fn a_client_that_pipelines_and_reads_nothing_is_closed() {
    let fixture = fixture().await;
    let address = fixture.server.address();
    let stream = TcpStream::connect(address).await.expect("a connection");
    write_until_closed(&stream).await;
    let (server, _directory, connector) = tls_server().await;
    let (stream, mut tls) = connect_tls(server.address(), &connector).await.into_inner();
    // As many requests as the socket takes.
    let mut records = Vec::new();
    loop {
        use std::io::Write as _;
        tls.writer().write_all(PIPELINED.as_bytes()).expect("buffered");
        records.clear();
        tls.write_tls(&mut records).expect("encrypted");
        if stream.try_write(&records).is_err() {
            break;
        }
    }
    wait_until("the server closes", || {
        let error = stream.try_write(&records).err();
        std::future::ready(error.is_some_and(|error| error.kind() != ErrorKind::WouldBlock))
    })
    .await;
}

#[tokio::test]
async fn an_http_2_client_that_takes_nothing_of_a_response_is_closed_though_it_answers_pings() {
    let fixture = fixture().await;
    let stream = TcpStream::connect(fixture.server.address())
        .await
        .expect("a connection");
    let (mut sender, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(1000)
        .handshake(TokioIo::new(stream))
        .await
        .expect("HTTP/2");
    let connection = tokio::spawn(connection);
    let request = || {
        hyper::Request::get("http://gate/openapi.json")
            .body(Empty::<Bytes>::new())
            .expect("a request")
    };
    let unread = sender.send_request(request()).await.expect("a response");
    timeout(CONDITION_TIMEOUT, connection)
        .await
        .expect("the server closes")
        .expect("without a panic")
        .ok();
    assert!(unread.into_body().collect().await.is_err(), "it was not complete");
}

#[tokio::test]
async fn an_open_stream_without_events_is_not_closed() {
    let fixture = fixture().await;
    let tenant = &fixture.tenant;
    let mut stream = EventStream::open(&tenant.owner, &tenant.event).await;
    // A connection that is idle from now on is closed after the time limit of the stream's connection is over.
    let mut idle = socket::send_and_keep_open(fixture.server.address(), b"").await;
    socket::read_to_end(&mut idle).await;
    tenant
        .device
        .scan(&json!({ "qr": tenant.qr(1).await }))
        .await
        .expect(200);
    assert_eq!(stream.next_named("scan").await.data["reason"], "admitted");
}

/// Opens connections that pipeline requests and read nothing. The buffers of their sockets are small.
async fn flood(address: SocketAddr, connections: usize) -> Vec<TcpStream> {
    let requests = PIPELINED.repeat(100);
    let mut streams = Vec::new();
    for _ in 0..connections {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4096).expect("a size");
        let stream = socket.connect(address).await.expect("a connection");
        // The server may have closed the connection for another one.
        let _ = stream.try_write(requests.as_bytes());
        streams.push(stream);
    }
    streams
}

#[tokio::test]
async fn a_flood_of_clients_that_read_nothing_keeps_no_other_client_away() {
    let fixture = Fixture::new().await;
    let (launch, stopped) = Launch::instead_of(fixture).await;
    // 150 connections are served at once.
    let program = launch.limit("-n 300").start().await;
    let streams = flood(program.address(), 400).await;
    let device = stopped.tenant.device.at(program.address());
    for _ in 0..20 {
        device.scan(&json!({ "qr": "x" })).await.expect(200);
    }
    assert!(
        !program.has_logged("could not be accepted"),
        "no descriptor was missing"
    );
    drop(streams);
}

#[tokio::test]
async fn the_soft_limit_of_descriptors_is_raised() {
    let fixture = Fixture::new().await;
    let (launch, stopped) = Launch::instead_of(fixture).await;
    let program = launch.limit("-S -n 64").limit("-H -n 1000").start().await;
    let mut streams = Vec::new();
    for _ in 0..100 {
        let request = b"GET /healthz HTTP/1.1\r\nhost: gate\r\n\r\n";
        let mut stream = socket::send_and_keep_open(program.address(), request).await;
        let mut first = [0; 12];
        timeout(READ_TIMEOUT, stream.read_exact(&mut first))
            .await
            .expect("the server answers")
            .expect("a response");
        assert_eq!(&first, b"HTTP/1.1 200");
        streams.push(stream);
    }
    drop(stopped);
}

#[tokio::test]
async fn one_byte_of_a_request_costs_no_processor_time() {
    let fixture = Fixture::new().await;
    let (launch, stopped) = Launch::instead_of(fixture).await;
    let program = launch.start().await;
    let mut streams = Vec::new();
    for _ in 0..500 {
        streams.push(socket::send_and_keep_open(program.address(), b"P").await);
    }
    let anonymous = Client::new(program.address());
    anonymous.get("/healthz").await.expect(200);
    // The server wakes for its own work only. A hundred wakes a second for each connection would use up a processor.
    let before = program.processor_ticks();
    let mut comments = socket::send_and_keep_open(
        program.address(),
        format!(
            "GET /api/v1/scanning/events/{}/stream HTTP/1.1\r\nhost: gate\r\nauthorization: Bearer {}\r\n\r\n",
            stopped.tenant.event,
            stopped.tenant.owner.token()
        )
        .as_bytes(),
    )
    .await;
    // The first comment comes after 15 s: the server measures the time.
    let mut received = String::new();
    while !received.contains("\n:") {
        let mut bytes = [0; 1024];
        let length = timeout(READ_TIMEOUT, comments.read(&mut bytes))
            .await
            .expect("the server answers")
            .expect("a stream");
        assert_ne!(length, 0, "{received}");
        received.push_str(&String::from_utf8_lossy(&bytes[..length]));
    }
    let used = program.processor_ticks() - before;
    assert!(used < 150, "{used} hundredths of a second in 15 s");
    drop(streams);
}

#[tokio::test]
async fn a_node_that_has_its_number_of_connections_makes_place_for_others() {
    let fixture = Fixture::with_config(|config| config.max_connections = Some(4)).await;
    let address = fixture.server.address();
    let mut idle = Vec::new();
    for _ in 0..8 {
        idle.push(socket::send_and_keep_open(address, b"").await);
    }
    fixture
        .tenant
        .device
        .scan(&json!({ "qr": "x" }))
        .await
        .expect(200);
    let mut closed = idle.swap_remove(0);
    assert_eq!(socket::read_to_end(&mut closed).await, "");
}

#[tokio::test]
async fn stalled_big_uploads_of_one_organization_leave_room_for_those_of_others() {
    let fixture = Fixture::new().await;
    let mut stalled = Vec::new();
    for number in 0..12 {
        let (device, _) = fixture
            .tenant
            .new_device(&format!("phone-{number}"), &json!({}))
            .await;
        let head = format!(
            "POST /api/v1/scanning/sync HTTP/1.1\r\nhost: gate\r\nauthorization: Bearer {}\r\n\
             content-type: application/json\r\ncontent-length: 16777216\r\n\r\n{}",
            device.token(),
            " ".repeat(100_000)
        );
        stalled.push(socket::send_and_keep_open(fixture.server.address(), head.as_bytes()).await);
    }
    let batch = json!({
        "batch_id": "01921f4e-0000-7000-8000-000000000000",
        "sent_at": "2026-11-22T18:00:00Z",
        "scans": [],
        "note": "x".repeat(70_000)
    });
    // The uploads above reach the server's limit meanwhile.
    for _ in 0..20 {
        let upload = fixture.other_tenant.device.post("/api/v1/scanning/sync", &batch);
        upload.await.expect(200);
    }
    drop(stalled);
}

#[tokio::test]
async fn big_uploads_of_a_revoked_device_take_no_memory() {
    let fixture = Fixture::new().await;
    let device = format!("/api/v1/scanning/devices/{}", fixture.tenant.device_id);
    fixture.tenant.owner.call("DELETE", &device).await.expect(204);
    let (launch, stopped) = Launch::instead_of(fixture).await;
    let program = launch.start().await;
    let other = stopped.other_tenant.device.at(program.address());
    other.scan(&json!({ "qr": "x" })).await.expect(200);
    let before = program.memory_kib();
    let scans = r#"{"a":{}},"#.repeat(1_600_000);
    let body = format!(
        r#"{{"batch_id":"01921f4e-0000-7000-8000-000000000000","sent_at":"2026-11-22T18:00:00Z","scans":[{scans}{{"a":{{}}}}]}}"#,
    );
    let body = Bytes::from(body);
    let revoked = stopped.tenant.device.at(program.address());
    let uploads: Vec<_> = (0..4)
        .map(|_| {
            let (revoked, body) = (revoked.clone(), body.clone());
            tokio::spawn(async move {
                for _ in 0..5 {
                    // The server answers before it has read all of it, and closes.
                    let json = Some("application/json");
                    let _ = revoked
                        .try_send("POST", "/api/v1/scanning/sync", json, body.clone())
                        .await;
                }
            })
        })
        .collect();
    let mut peak = 0;
    for upload in uploads {
        while !upload.is_finished() {
            other.scan(&json!({ "qr": "x" })).await.expect(200);
            peak = peak.max(program.memory_kib());
        }
        upload.await.expect("without a panic");
    }
    assert!(peak < 2 * before, "{before} KiB before, {peak} KiB at the most");
    let response = revoked
        .post("/api/v1/scanning/sync", &json!({ "batch_id": "x" }))
        .await;
    response.expect_problem(422, "validation_failed");
}
