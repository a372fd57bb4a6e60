//! The cost of the HTTP library alone: a server that reads a scan and returns a constant as long as the answer to a
//! duplicate, without routing, rules or database.
//!
//! `cargo run --release --example bench_echo -- 127.0.0.1:0` prints its address and serves until it is ended.

use std::convert::Infallible;
use std::io::Write as _;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// A body like the answer to a duplicate.
const ANSWER: &str = concat!(
    r#"{"scan_id":"0192f0c1-7a4e-7000-8000-000000000000","result":"duplicate","reason":"already_scanned","#,
    r#""replayed":false,"direction":"entry","scanned_at":"2026-11-22T18:04:05.120Z","#,
    r#""session_id":"0192f0c1-7a4e-7000-8000-000000000001","event_id":"0192f0c1-7a4e-7000-8000-000000000002","#,
    r#""gate":{"id":"0192f0c1-7a4e-7000-8000-000000000003","name":"Main"},"#,
    r#""ticket":{"id":"0192f0c1-7a4e-7000-8000-000000000004","code":"3KQR7F924M1XaB0z","status":"scanned","#,
    r#""ticket_class":null,"seat":null,"entry_limit":1,"scan_count":1,"note":null},"#,
    r#""previous_scan":{"scan_id":"0192f0c1-7a4e-7000-8000-000000000005","scanned_at":"2026-11-22T18:03:05.120Z","#,
    r#""seconds_ago":60,"gate":{"id":"0192f0c1-7a4e-7000-8000-000000000003","name":"Main"},"#,
    r#""device_name":"rehearsal-0123456789ab-17","same_device":false},"#,
    r#""occupancy":{"gate":{"inside":342,"capacity":null},"event":{"inside":1250,"capacity":null}},"#,
    r#""decided_by":"memory","warnings":[],"message":"Already scanned"}"#
);

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let listener = TcpListener::bind(address).await?;
    writeln!(std::io::stdout(), "http://{}", listener.local_addr()?)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer));
            // A client that disconnects ends only its connection.
            let _ = connection.await;
        });
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::new(Bytes::from_static(ANSWER.as_bytes())));
    if request.into_body().collect().await.is_err() {
        *response.status_mut() = StatusCode::BAD_REQUEST;
    }
    // The same headers as the real server.
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        HeaderName::from_static("x-request-id"),
        HeaderValue::from_static("0192f0c1-7a4e-7000-8000-000000000006"),
    );
    Ok(response)
}
