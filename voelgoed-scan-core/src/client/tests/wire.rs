//! The transport that is ready, against sockets.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// Answers one call with these bytes; what was asked.
async fn once(listener: TcpListener, answer: Vec<u8>) -> String {
    let (mut stream, _) = listener.accept().await.expect("a call");
    let mut asked = vec![0; 4096];
    let length = stream.read(&mut asked).await.expect("a request");
    asked.truncate(length);
    stream.write_all(&answer).await.expect("it listens");
    String::from_utf8(asked).expect("text")
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
async fn an_answer_is_read_whole_and_unzipped() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/api", listener.local_addr().expect("bound"));
    let mut zipped = GzEncoder::new(Vec::new(), Compression::fast());
    zipped.write_all(&b"manifest ".repeat(1000)).expect("to memory");
    let zipped = zipped.finish().expect("to memory");
    let head = format!(
        "HTTP/1.1 200 OK\r\nETag: \"7\"\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        zipped.len()
    );
    let transport = HttpTransport::new().expect("roots");
    let (asked, answer) = tokio::join!(
        once(listener, [head.into_bytes(), zipped].concat()),
        transport.send(request(url))
    );
    let answer = answer.expect("an answer");
    assert_eq!((answer.status, answer.header("etag")), (200, Some("\"7\"")));
    assert_eq!(answer.body, b"manifest ".repeat(1000));
    assert!(
        asked.starts_with("POST /api HTTP/1.1\r\n") && asked.contains("Bearer secret"),
        "{asked}"
    );
}

#[tokio::test]
async fn a_server_that_is_not_there_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/api", listener.local_addr().expect("bound"));
    drop(listener);
    let transport = HttpTransport::new().expect("roots");
    let error = transport.send(request(url)).await.expect_err("nobody listens");
    assert!(matches!(error, TransportError::Unreachable { .. }), "{error}");
}

#[test]
fn what_is_logged_of_a_call_shows_no_secret() {
    let shown = format!("{:?}", request("https://a/b".to_owned()));
    assert!(
        shown.contains("Authorization") && !shown.contains("secret"),
        "{shown}"
    );
}
