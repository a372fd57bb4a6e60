//! The default transport against real sockets.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

use super::*;
use crate::client::http::KeepAlive;

/// Answers one request with these bytes and returns the request.
async fn once(listener: TcpListener, response: Vec<u8>) -> String {
    let (mut stream, _) = listener.accept().await.expect("a connection");
    let mut received = vec![0; 4096];
    let length = stream.read(&mut received).await.expect("a request");
    received.truncate(length);
    stream.write_all(&response).await.expect("it is sent");
    String::from_utf8(received).expect("text")
}

fn request(url: String) -> HttpRequest {
    HttpRequest {
        method: HttpMethod::Post,
        url,
        headers: vec![HttpHeader {
            name: "Authorization".to_owned(),
            value: "Bearer secret".to_owned(),
        }],
        body: b"{}".to_vec(),
        timeout: Duration::from_secs(10),
    }
}

#[tokio::test]
async fn a_response_is_read_completely_and_decompressed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/api", listener.local_addr().expect("bound"));
    let mut compressed = GzEncoder::new(Vec::new(), Compression::fast());
    compressed
        .write_all(&b"manifest ".repeat(1000))
        .expect("to memory");
    let compressed = compressed.finish().expect("to memory");
    let head = format!(
        "HTTP/1.1 200 OK\r\nETag: \"7\"\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        compressed.len()
    );
    let transport = HttpTransport::new().expect("roots");
    let (received, response) = tokio::join!(
        once(listener, [head.into_bytes(), compressed].concat()),
        transport.send(request(url))
    );
    let response = response.expect("a response");
    assert_eq!((response.status, response.header("etag")), (200, Some("\"7\"")));
    assert_eq!(response.body, b"manifest ".repeat(1000));
    assert!(
        received.starts_with("POST /api HTTP/1.1\r\n") && received.contains("Bearer secret"),
        "{received}"
    );
}

#[tokio::test]
async fn an_unreachable_server_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/api", listener.local_addr().expect("bound"));
    drop(listener);
    let transport = HttpTransport::new().expect("roots");
    let error = transport
        .send(request(url))
        .await
        .expect_err("the port is closed");
    assert!(matches!(error, TransportError::Unreachable { .. }), "{error}");
}

#[test]
fn the_debug_output_of_a_request_shows_no_secret() {
    let shown = format!("{:?}", request("https://a/b".to_owned()));
    assert!(
        shown.contains("Authorization") && !shown.contains("secret"),
        "{shown}"
    );
}

/// A network between the transport and a server of HTTP/2. A test can make the connections that exist at a moment dead:
/// they stay open, and nothing passes any more.
struct Network {
    address: std::net::SocketAddr,
    /// Incremented to make all present connections dead.
    deaths: watch::Sender<u32>,
    /// Receives a message for each new connection and each dead connection that the transport has closed.
    events: mpsc::UnboundedReceiver<&'static str>,
}

impl Network {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let deaths = watch::Sender::new(0);
        let (sender, events) = mpsc::unbounded_channel();
        let deaths_seen = deaths.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                sender.send("opened").expect("the test listens");
                tokio::spawn(connection(stream, deaths_seen.subscribe(), sender.clone()));
            }
        });
        Self {
            address,
            deaths,
            events,
        }
    }

    fn kill_connections(&self) {
        self.deaths.send_modify(|deaths| *deaths += 1);
    }

    fn request(&self, timeout: Duration) -> HttpRequest {
        HttpRequest {
            timeout,
            ..request(format!("http://{}/api", self.address))
        }
    }
}

async fn connection(
    mut client: TcpStream,
    mut deaths: watch::Receiver<u32>,
    events: mpsc::UnboundedSender<&'static str>,
) {
    let (near, mut far) = tokio::io::duplex(64 * 1024);
    let answer = hyper::service::service_fn(async |_| {
        let body = http_body_util::Full::new(bytes::Bytes::from_static(b"answer"));
        Ok::<_, std::convert::Infallible>(hyper::Response::new(body))
    });
    tokio::spawn(
        hyper::server::conn::http2::Builder::new(hyper_util::rt::TokioExecutor::new())
            .serve_connection(hyper_util::rt::TokioIo::new(near), answer),
    );
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut client, &mut far) => return,
        _ = deaths.changed() => {}
    }
    // Nothing passes. The transport's own close is the only end.
    tokio::io::copy(&mut client, &mut tokio::io::sink()).await.ok();
    events.send("closed").ok();
}

const LONG: Duration = Duration::from_secs(30);

fn http2(interval: Duration) -> HttpTransport {
    let keep_alive = KeepAlive {
        interval,
        timeout: interval,
    };
    HttpTransport::with(keep_alive, true).expect("roots")
}

#[tokio::test]
async fn a_request_without_an_answer_in_time_makes_the_next_one_use_a_new_connection() {
    let mut network = Network::new().await;
    let transport = http2(LONG);
    let answer = async |timeout| transport.send(network.request(timeout)).await;
    assert_eq!(answer(LONG).await.expect("an answer").body, b"answer");
    network.kill_connections();
    let error = answer(Duration::from_millis(50)).await.expect_err("it is dead");
    assert_eq!(error, TransportError::TimedOut);
    assert_eq!(answer(LONG).await.expect("an answer").body, b"answer");
    // The caller's own timeout cancels the request before the transport's does.
    network.kill_connections();
    let cancelled = tokio::time::timeout(Duration::from_millis(50), answer(LONG)).await;
    assert!(cancelled.is_err(), "it is dead");
    assert_eq!(answer(LONG).await.expect("an answer").body, b"answer");
    let mut opened = 0;
    while let Ok(event) = network.events.try_recv() {
        opened += usize::from(event == "opened");
    }
    assert_eq!(opened, 3, "one for each network");
}

#[tokio::test]
async fn after_a_change_of_the_network_the_next_request_uses_a_new_connection_at_once() {
    let network = Network::new().await;
    let transport = http2(LONG);
    let answer = async || transport.send(network.request(LONG)).await;
    assert_eq!(answer().await.expect("an answer").body, b"answer");
    network.kill_connections();
    transport.close_connections();
    assert_eq!(answer().await.expect("an answer").body, b"answer");
}

#[tokio::test]
async fn a_dead_idle_connection_is_found_by_its_pings_and_closed() {
    let mut network = Network::new().await;
    let transport = http2(Duration::from_millis(50));
    let answer = async || transport.send(network.request(LONG)).await;
    assert_eq!(answer().await.expect("an answer").body, b"answer");
    network.kill_connections();
    for expected in ["opened", "closed"] {
        assert_eq!(network.events.recv().await, Some(expected));
    }
    assert_eq!(
        transport
            .send(network.request(LONG))
            .await
            .expect("an answer")
            .body,
        b"answer"
    );
}
