//! HTTP connections: invalid requests, idle connections, `Expect: 100-continue`, HTTP/2.

use serde_json::json;
use tokio::io::AsyncWriteExt;
use voelgoed_scan_suite::{Fixture, socket};

#[tokio::test]
async fn incomplete_and_invalid_requests_do_not_affect_other_clients() {
    let fixture = Fixture::new().await;
    let address = fixture.server.address();
    let token = fixture.tenant.device.token();
    let head = format!(
        "POST /api/v1/scanning/scan HTTP/1.1\r\nhost: gate\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\n"
    );
    let long_line = format!("GET /{} HTTP/1.1\r\nhost: gate\r\n\r\n", "x".repeat(600_000));
    for request in [
        String::new(),
        "GET".to_owned(),
        "GET / HTTP/1.1\r\nhost: ga".to_owned(),
        "nonsense\r\n\r\n".to_owned(),
        "GET / HTTP/9.9\r\n\r\n".to_owned(),
        format!("{head}content-length: 100\r\n\r\n{{\"qr\":"),
        format!("{head}transfer-encoding: chunked\r\n\r\nzz\r\n"),
        format!("{head}transfer-encoding: chunked\r\n\r\n5\r\n{{\"qr"),
        format!("{head}content-length: -1\r\n\r\n"),
        format!("{head}content-length: 5\r\ncontent-length: 6\r\n\r\n{{}}"),
        long_line,
        "\0".repeat(1000),
    ] {
        let response = socket::exchange(address, request.as_bytes()).await;
        let status = response.get(..12).unwrap_or_default();
        assert!(
            response.is_empty() || status.starts_with("HTTP/1.1 4"),
            "{request:.40}: {response:.200}"
        );
    }
    let mut idle = vec![
        socket::send_and_keep_open(address, b"PRI").await,
        socket::send_and_keep_open(address, b"GET / HT").await,
    ];
    for _ in 0..50 {
        idle.push(
            socket::send_and_keep_open(address, format!("{head}content-length: 100\r\n\r\n{{").as_bytes())
                .await,
        );
    }
    fixture
        .tenant
        .device
        .scan(&json!({ "qr": "x" }))
        .await
        .expect(200);
}

#[tokio::test]
async fn expect_continue_is_answered_with_100_or_with_the_final_response() {
    let fixture = Fixture::new().await;
    let head = |length: usize| {
        format!(
            "POST /api/v1/scanning/scan HTTP/1.1\r\nhost: gate\r\nauthorization: Bearer {}\r\nconnection: close\r\n\
             content-type: application/json\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n",
            fixture.tenant.device.token()
        )
    };
    let mut stream = socket::send_and_keep_open(fixture.server.address(), head(10).as_bytes()).await;
    socket::read_continue(&mut stream).await;
    stream.write_all(br#"{"qr":"x"}"#).await.expect("written");
    let response = socket::read_to_end(&mut stream).await;
    assert!(response.starts_with("HTTP/1.1 200"), "{response}");
    let mut stream = socket::send_and_keep_open(fixture.server.address(), head(70_000).as_bytes()).await;
    let response = socket::read_to_end(&mut stream).await;
    assert!(response.starts_with("HTTP/1.1 413"), "{response}");
}

#[tokio::test]
async fn a_client_may_use_http_2_with_prior_knowledge() {
    let fixture = Fixture::new().await;
    let stream = tokio::net::TcpStream::connect(fixture.server.address())
        .await
        .expect("a connection");
    let (mut sender, connection) = hyper::client::conn::http2::handshake(
        hyper_util::rt::TokioExecutor::new(),
        hyper_util::rt::TokioIo::new(stream),
    )
    .await
    .expect("HTTP/2");
    tokio::spawn(connection);
    let request = hyper::Request::get("http://gate/healthz")
        .body(http_body_util::Empty::<bytes::Bytes>::new())
        .expect("a request");
    let response = sender.send_request(request).await.expect("a response");
    assert_eq!(
        (response.status().as_u16(), response.version()),
        (200, hyper::Version::HTTP_2)
    );
}

#[tokio::test]
async fn a_request_of_http_1_1_needs_exactly_one_valid_host() {
    let fixture = Fixture::new().await;
    let address = fixture.server.address();
    let request = |line: &str, headers: &str| format!("{line}\r\n{headers}connection: close\r\n\r\n");
    for (line, headers) in [
        ("GET /healthz HTTP/1.1", ""),
        ("GET /healthz HTTP/1.1", "host: a\r\nhost: b\r\n"),
        ("GET /healthz HTTP/1.1", "host: a\r\nHost: a\r\n"),
        ("GET /healthz HTTP/1.1", "host: a, b\r\n"),
        ("GET /healthz HTTP/1.1", "host: a/b\r\n"),
        ("GET /healthz HTTP/1.1", "host: user@a\r\n"),
        ("GET http://gate.test/healthz HTTP/1.1", ""),
        ("GET /healthz HTTP/1.0", "host: a\r\nhost: b\r\n"),
        ("GET /nothing HTTP/1.1", ""),
        ("POST /api/v1/scanning/scan HTTP/1.1", "host: a\r\nhost: b\r\n"),
    ] {
        let response = socket::exchange(address, request(line, headers).as_bytes()).await;
        assert!(
            response.starts_with("HTTP/1.1 400 ") || response.starts_with("HTTP/1.0 400 "),
            "{line} {headers}: {response}"
        );
        assert!(
            response.contains("\"code\":\"bad_request\""),
            "{line} {headers}: {response}"
        );
    }
    for (line, headers) in [
        ("GET /healthz HTTP/1.1", "host: gate.test\r\n"),
        ("GET /healthz HTTP/1.1", "HOST: [::1]:8080\r\n"),
        ("GET /healthz HTTP/1.1", "host:\r\n"),
        ("GET http://gate.test/healthz HTTP/1.1", "host: other.test\r\n"),
        ("GET /healthz HTTP/1.0", ""),
    ] {
        let response = socket::exchange(address, request(line, headers).as_bytes()).await;
        assert!(
            response.split(' ').nth(1) == Some("200"),
            "{line} {headers}: {response}"
        );
    }
}
