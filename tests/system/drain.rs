//! The stop of a server: it announces the stop, serves on for the drain delay, finishes what is in flight and ends. SIGHUP
//! reads the certificates again.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use voelgoed_scan_suite::program::Launch;
use voelgoed_scan_suite::wait::READ_TIMEOUT;
use voelgoed_scan_suite::{Client, Fixture, socket, wait_until};

#[tokio::test]
async fn a_draining_server_is_not_ready_and_serves_on_and_ends_its_connections() {
    let fixture = Fixture::new().await;
    let address = fixture.server.address();
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: gate\r\n\r\n");
    let mut kept = socket::send_and_keep_open(address, get("/healthz").as_bytes()).await;
    read_response(&mut kept).await;
    let waiting = socket::send_and_keep_open(address, b"").await;
    fixture.server.drain();
    fixture
        .anonymous
        .get("/readyz")
        .await
        .expect_problem(503, "storage_unavailable");
    for path in ["/healthz", "/readyz", "/nothing", "/openapi.json"] {
        let response = fixture.anonymous.get(path).await;
        assert_eq!(response.header("connection"), Some("close"), "{path}");
    }
    let scanned = fixture
        .tenant
        .device
        .scan(&json!({ "qr": "x" }))
        .await
        .expect(200);
    assert_eq!(scanned.header("connection"), Some("close"));
    // Connections that were open before get a complete response, and end after it.
    for mut stream in [kept, waiting] {
        stream
            .write_all(get("/healthz").as_bytes())
            .await
            .expect("written");
        let response = socket::read_to_end(&mut stream).await;
        assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
        assert!(response.contains("connection: close\r\n"), "{response}");
        assert!(response.ends_with("{\"status\":\"ok\"}"), "{response}");
    }
}

/// Reads a response with the body of `/healthz`.
async fn read_response(stream: &mut TcpStream) {
    let mut received = Vec::new();
    while !received.ends_with(b"{\"status\":\"ok\"}") {
        let read = timeout(READ_TIMEOUT, stream.read_buf(&mut received)).await;
        assert_ne!(read.expect("the server answers").expect("a response"), 0);
    }
}

#[tokio::test]
async fn a_draining_server_tells_http_2_clients_that_their_connection_ends() {
    let fixture = Fixture::new().await;
    let stream = TcpStream::connect(fixture.server.address())
        .await
        .expect("a connection");
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .expect("HTTP/2");
    let connection = tokio::spawn(connection);
    let request = || {
        hyper::Request::get("http://gate/healthz")
            .body(Empty::<Bytes>::new())
            .expect("a request")
    };
    let response = sender.send_request(request()).await.expect("a response");
    drop(response.into_body().collect().await.expect("complete"));
    fixture.server.drain();
    timeout(READ_TIMEOUT, connection)
        .await
        .expect("the connection ends")
        .expect("without a panic")
        .expect("gracefully");
    assert!(sender.send_request(request()).await.is_err());
    // A connection that is opened during the drain serves the first request.
    let stream = TcpStream::connect(fixture.server.address())
        .await
        .expect("a connection");
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .expect("HTTP/2");
    let connection = tokio::spawn(connection);
    let response = sender.send_request(request()).await.expect("a response");
    assert_eq!(response.status(), 200);
    drop(response.into_body().collect().await.expect("complete"));
    timeout(READ_TIMEOUT, connection)
        .await
        .expect("the connection ends")
        .expect("without a panic")
        .expect("gracefully");
}

#[tokio::test]
async fn a_request_that_arrives_while_the_server_stops_is_answered() {
    let fixture = Fixture::new().await;
    let address = fixture.server.address();
    let request = b"GET /healthz HTTP/1.1\r\nhost: gate\r\n\r\n";
    // The system accepts connections before the server does.
    let mut streams = Vec::new();
    for _ in 0..20 {
        streams.push(TcpStream::connect(address).await.expect("a connection"));
    }
    let stop = tokio::spawn(fixture.server.stop());
    for stream in &mut streams {
        stream.write_all(request).await.expect("written");
    }
    for stream in &mut streams {
        let response = socket::read_to_end(stream).await;
        assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
    }
    stop.await.expect("without a panic");
}

#[tokio::test]
async fn sigterm_drains_the_program_and_ends_it_with_status_0() {
    let fixture = Fixture::new().await;
    let (launch, stopped) = Launch::instead_of(fixture).await;
    let mut program = launch.with(["--drain-delay", "1h"]).start().await;
    let device = stopped.tenant.device.at(program.address());
    let anonymous = Client::new(program.address());
    anonymous.get("/readyz").await.expect(200);
    program.signal("TERM");
    wait_until("the server is not ready", || async {
        anonymous.get("/readyz").await.status == 503
    })
    .await;
    device.scan(&json!({ "qr": "x" })).await.expect(200);
    assert!(program.is_running());
    // A second signal ends the delay.
    program.signal("TERM");
    assert!(program.wait().await.success());
    assert!(program.has_logged("draining"));
}

#[tokio::test]
async fn the_program_stops_at_once_on_sqlite_and_after_a_delay_on_postgresql() {
    let fixture = Fixture::new().await;
    let (launch, _stopped) = Launch::instead_of(fixture).await;
    let mut program = launch.start().await;
    program.signal("TERM");
    assert!(program.wait().await.success());
    let is_postgresql = voelgoed_scan_suite::services::runs_on_postgresql();
    assert_eq!(program.has_logged("serves on for 5s"), is_postgresql);
    assert_eq!(program.has_logged("serves on for"), is_postgresql);
}

struct Certificate {
    der: CertificateDer<'static>,
    cert: String,
    key: String,
}

fn certificate() -> Certificate {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    Certificate {
        der: cert.der().clone(),
        cert: cert.pem(),
        key: signing_key.serialize_pem(),
    }
}

/// The certificate that the server presents to a client that trusts all of these.
async fn presented(address: std::net::SocketAddr, trusted: &[&Certificate]) -> CertificateDer<'static> {
    let mut roots = RootCertStore::empty();
    for certificate in trusted {
        roots.add(certificate.der.clone()).expect("a certificate");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await.expect("a connection");
    let name = ServerName::try_from("localhost").expect("a name");
    let stream = TlsConnector::from(Arc::new(client))
        .connect(name, stream)
        .await
        .expect("TLS");
    let (_, session) = stream.get_ref();
    session.peer_certificates().expect("a certificate")[0]
        .clone()
        .into_owned()
}

#[tokio::test]
async fn sighup_reloads_the_certificate_and_keeps_the_old_one_if_the_new_one_is_unusable() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name).display().to_string();
    let write = |name: &str, text: &str| std::fs::write(path(name), text).expect("written");
    let (old, new) = (certificate(), certificate());
    write("cert.pem", &old.cert);
    write("key.pem", &old.key);
    let database = format!("sqlite://{}", path("gate.db"));
    let mut program = Launch::new(&database)
        .with(["--tls-cert", &path("cert.pem")])
        .with(["--tls-key", &path("key.pem")])
        .start()
        .await;
    let trusted = [&old, &new];
    assert_eq!(presented(program.address(), &trusted).await, old.der);
    for (cert, key) in [
        ("no certificate", old.key.as_str()),
        (&new.cert, &old.key),
        (&new.cert, "no key"),
    ] {
        write("cert.pem", cert);
        write("key.pem", key);
        let expected = program.count_logged("was not reloaded") + 1;
        program.signal("HUP");
        wait_until("the failure is logged", || {
            std::future::ready(program.count_logged("was not reloaded") >= expected)
        })
        .await;
        assert_eq!(presented(program.address(), &trusted).await, old.der);
    }
    write("cert.pem", &new.cert);
    write("key.pem", &new.key);
    program.signal("HUP");
    wait_until("the new certificate is presented", || async {
        presented(program.address(), &trusted).await == new.der
    })
    .await;
    assert!(program.is_running());
}

#[tokio::test]
async fn sighup_does_not_end_a_program_without_tls() {
    let fixture = Fixture::new().await;
    let (launch, _stopped) = Launch::instead_of(fixture).await;
    let mut program = launch.start().await;
    program.signal("HUP");
    wait_until("the signal is logged", || {
        std::future::ready(program.has_logged("TLS is not configured"))
    })
    .await;
    assert!(program.is_running());
    Client::new(program.address()).get("/healthz").await.expect(200);
}
