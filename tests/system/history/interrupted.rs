//! A client whose connection breaks off at any byte, of its request or of the answer.

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use voelgoed_scan_suite::Client;

use super::rng::Rng;

/// How long a client waits for the first bytes of an answer before it hangs up.
const MAX_WAIT_MICROS: usize = 6000;

/// More than an answer has.
const MAX_ANSWER: usize = 2048;

/// Sends a scan and resets the connection: in the middle of the request, before the answer, or in the middle of it. What the
/// server made of it is unknown.
pub(super) async fn scan_and_reset(client: &Client, body: &Value, rng: &mut Rng) {
    let body = body.to_string();
    let request = format!(
        "POST /api/v1/scanning/scan HTTP/1.1\r\nhost: gate\r\nauthorization: Bearer {}\r\ncontent-type: \
         application/json\r\ncontent-length: {}\r\n\r\n{body}",
        client.token(),
        body.len()
    );
    let Ok(mut stream) = TcpStream::connect(client.address()).await else {
        return;
    };
    let cut_request = rng.below(3) == 0;
    let sent = if cut_request {
        rng.below(request.len())
    } else {
        request.len()
    };
    let (answer_bytes, wait) = (rng.below(MAX_ANSWER), rng.below(MAX_WAIT_MICROS));
    if stream
        .write_all(request.as_bytes().get(..sent).unwrap_or_default())
        .await
        .is_ok()
    {
        let mut received = vec![0; answer_bytes];
        // The client hangs up after a random time, or when it has this many bytes.
        let wait = Duration::from_micros(wait as u64);
        let _ = timeout(wait, stream.read_exact(&mut received)).await;
    }
    // Dropped with this option, the socket sends a reset instead of what is left.
    let _ = stream.set_zero_linger();
}
