//! Callers who call too often, too slowly, or not at all; and the end.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use voelgoed_scan_server::config::Config;
use voelgoed_scan_server::{StartError, start};
use voelgoed_scan_suite::{World, socket};

const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_device_that_calls_too_often_is_told_when_to_call_again_and_others_are_not() {
    let world = World::with(|config| config.rate_limit = 5).await;
    let tenant = &world.here;
    let mut limited = None;
    for _ in 0..50 {
        let reply = tenant.device.get("/api/v1/events").await;
        if reply.status == 429 {
            limited = Some(reply);
            break;
        }
    }
    let limited = limited.expect("a limit").expect_problem(429, "rate_limited");
    assert_eq!(limited.header("retry-after"), Some("1"));
    // Too often comes before anything that the body could be.
    let wrong = tenant
        .device
        .send("POST", "/api/v1/scanning/scan", None, "x".repeat(70_000))
        .await;
    assert!(matches!(wrong.status, 429 | 415), "{wrong:?}");
    world.elsewhere.device.get("/api/v1/events").await.expect(200);
    for _ in 0..50 {
        tenant.owner.get("/api/v1/events").await.expect(200);
    }
}

#[tokio::test]
async fn requests_that_break_off_or_are_none_harm_nobody() {
    let world = World::new().await;
    let address = world.server.address();
    let token = world.here.device.token();
    let head = format!(
        "POST /api/v1/scanning/scan HTTP/1.1\r\nhost: gate\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\n"
    );
    let long_line = format!("GET /{} HTTP/1.1\r\nhost: gate\r\n\r\n", "x".repeat(600_000));
    for broken in [
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
        let answer = socket::exchange(address, broken.as_bytes()).await;
        let status = answer.get(..12).unwrap_or_default();
        assert!(
            answer.is_empty() || status.starts_with("HTTP/1.1 4"),
            "{broken:.40}: {answer:.200}"
        );
    }
    let mut idle = vec![
        socket::hold(address, b"PRI").await,
        socket::hold(address, b"GET / HT").await,
    ];
    for _ in 0..50 {
        idle.push(socket::hold(address, format!("{head}content-length: 100\r\n\r\n{{").as_bytes()).await);
    }
    world.here.device.scan(&json!({ "qr": "x" })).await.expect(200);
}

#[tokio::test]
async fn a_client_that_waits_for_continue_is_told_to_or_answered() {
    let world = World::new().await;
    let head = |length: usize| {
        format!(
            "POST /api/v1/scanning/scan HTTP/1.1\r\nhost: gate\r\nauthorization: Bearer {}\r\nconnection: close\r\n\
             content-type: application/json\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n",
            world.here.device.token()
        )
    };
    let mut stream = socket::hold(world.server.address(), head(10).as_bytes()).await;
    let mut first = [0; 12];
    timeout(LONG, stream.read_exact(&mut first))
        .await
        .expect("in time")
        .expect("an answer");
    assert_eq!(&first, b"HTTP/1.1 100");
    stream.write_all(br#"{"qr":"x"}"#).await.expect("written");
    let mut rest = String::new();
    timeout(LONG, stream.read_to_string(&mut rest))
        .await
        .expect("in time")
        .expect("an answer");
    assert!(rest.contains("HTTP/1.1 200"), "{rest}");
    let mut stream = socket::hold(world.server.address(), head(70_000).as_bytes()).await;
    let mut answer = String::new();
    timeout(LONG, stream.read_to_string(&mut answer))
        .await
        .expect("in time")
        .expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[tokio::test]
async fn http_2_is_spoken_to_whoever_begins_with_it() {
    let world = World::new().await;
    let stream = tokio::net::TcpStream::connect(world.server.address())
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
    let response = sender.send_request(request).await.expect("an answer");
    assert_eq!(
        (response.status().as_u16(), response.version()),
        (200, hyper::Version::HTTP_2)
    );
}

#[tokio::test]
async fn stopping_finishes_what_is_in_flight_and_frees_the_port() {
    let world = World::new().await;
    let address = world.server.address();
    let head = format!(
        "POST /api/v1/scanning/scan HTTP/1.1\r\nhost: gate\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ncontent-length: 10\r\n\r\n{{\"qr\"",
        world.here.device.token()
    );
    let mut in_flight = socket::hold(address, head.as_bytes()).await;
    // Answered only once the server has read the head of the request before it on another connection.
    world.nobody.get("/healthz").await.expect(200);
    let idle = socket::hold(address, b"").await;
    let stopped = tokio::spawn(world.server.stop());
    loop {
        if tokio::net::TcpStream::connect(address).await.is_err() {
            break;
        }
        tokio::task::yield_now().await;
    }
    in_flight.write_all(br#":"x"}"#).await.expect("written");
    let mut answer = String::new();
    timeout(LONG, in_flight.read_to_string(&mut answer))
        .await
        .expect("in time")
        .expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    timeout(LONG, stopped)
        .await
        .expect("an end")
        .expect("an orderly one");
    drop(idle);
}

#[tokio::test]
async fn a_start_that_cannot_be_says_why() {
    let world = World::new().await;
    let folder = tempfile::tempdir().expect("a folder");
    let url = |name: &str| format!("sqlite://{}", folder.path().join(name).display());
    let mut taken = Config::on_free_port(url("a.db"));
    taken.listen = world.server.address().to_string();
    assert!(matches!(start(taken).await, Err(StartError::Listen { .. })));
    assert!(matches!(
        start(Config::on_free_port("mysql://x")).await,
        Err(StartError::Secret(_) | StartError::Open(_))
    ));
    let nowhere = Config::on_free_port("sqlite:///nowhere/at/all.db");
    assert!(matches!(
        start(nowhere).await,
        Err(StartError::Secret(_) | StartError::Open(_))
    ));
    // Another master secret than the one that the stored keys come from.
    let secret = folder.path().join("other.secret");
    std::fs::write(&secret, "ab".repeat(32)).expect("written");
    let mut wrong = Config::on_free_port(&world.database_url);
    wrong.secrets.secret_key_file = Some(secret);
    assert!(matches!(start(wrong).await, Err(StartError::Setup(_))));
    let mut refused = Config::on_free_port(url("new.db"));
    refused.no_migrate = true;
    assert!(matches!(start(refused).await, Err(StartError::Open(_))));
}
