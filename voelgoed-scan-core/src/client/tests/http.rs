//! The default transport against real sockets.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

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
