use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;

const NOW: Timestamp = Timestamp::from_seconds(1_795_370_400);

/// A receiver that answers every request on every connection with the same bytes. Counts connections and requests.
struct Receiver {
    url: String,
    connections: Arc<AtomicUsize>,
    requests: Arc<parking_lot::Mutex<Vec<String>>>,
}

async fn receiver(answer: impl Into<Vec<u8>>) -> Receiver {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/hook?a=b", listener.local_addr().expect("an address"));
    let connections = Arc::new(AtomicUsize::new(0));
    let requests = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let answer: Arc<[u8]> = answer.into().into();
    let receiver = Receiver {
        url,
        connections: Arc::clone(&connections),
        requests: Arc::clone(&requests),
    };
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            connections.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(serve(stream, Arc::clone(&answer), Arc::clone(&requests)));
        }
    });
    receiver
}

async fn serve(mut stream: TcpStream, answer: Arc<[u8]>, requests: Arc<parking_lot::Mutex<Vec<String>>>) {
    let mut read = String::new();
    let mut bytes = [0; 4096];
    while let Ok(length @ 1..) = stream.read(&mut bytes).await {
        read.push_str(&String::from_utf8_lossy(&bytes[..length]));
        if read.ends_with("{\"type\":\"webhook.test\"}") {
            requests.lock().push(std::mem::take(&mut read));
            if stream.write_all(&answer).await.is_err() {
                return;
            }
        }
    }
}

fn sender(allow_private: bool) -> Sender {
    let settings = WebhookSettings {
        allow_private,
        tls_ca: None,
    };
    Sender::new(&settings).expect("a sender")
}

fn id() -> DeliveryId {
    uuid::Uuid::from_u128(7).into()
}

async fn send(sender: &Sender, url: &str) -> AttemptResult {
    let secret: WebhookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
        .parse()
        .expect("a secret");
    let message = Message {
        url,
        id: id(),
        secrets: &[secret],
        body: "{\"type\":\"webhook.test\"}".to_owned(),
        at: NOW,
    };
    sender.send(message).await
}

fn answer(head: &str) -> String {
    format!("HTTP/1.1 {head}\r\ncontent-length: 0\r\n\r\n")
}

#[tokio::test]
async fn a_delivery_is_a_signed_post_over_a_connection_that_is_kept() {
    let receiver = receiver(answer("200 OK")).await;
    let sender = sender(true);
    for _ in 0..3 {
        let result = send(&sender, &receiver.url).await;
        assert_eq!((result.status, result.error), (Some(StatusCode::OK), None));
    }
    assert_eq!(receiver.connections.load(Ordering::SeqCst), 1);
    let requests = receiver.requests.lock();
    let [request, ..] = requests.as_slice() else {
        panic!("three requests");
    };
    assert!(request.starts_with("POST /hook?a=b HTTP/1.1\r\n"), "{request}");
    let signature = signature_header(
        [WebhookSecret::as_bytes(
            &"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
                .parse()
                .expect("a secret"),
        )],
        &id().to_string(),
        NOW.as_seconds(),
        b"{\"type\":\"webhook.test\"}",
    );
    for header in [
        "content-type: application/json".to_owned(),
        format!("webhook-id: {}", id()),
        "webhook-timestamp: 1795370400".to_owned(),
        format!("webhook-signature: {signature}"),
    ] {
        assert!(
            request.contains(&format!("\r\n{header}\r\n")),
            "{header}: {request}"
        );
    }
}

#[tokio::test]
async fn only_a_2xx_is_success_and_a_redirect_is_not_followed() {
    let target = receiver(answer("200 OK")).await;
    let redirect = format!("302 Found\r\nlocation: {}", target.url);
    let permanent = format!("308 Permanent Redirect\r\nlocation: {}", target.url);
    for (head, error, retry_after) in [
        ("200 OK", None, None),
        ("204 No Content", None, None),
        ("299 Fine\r\nretry-after: 9", None, None),
        (&*redirect, Some("redirect_not_followed"), None),
        (&*permanent, Some("redirect_not_followed"), None),
        ("304 Not Modified", Some("redirect_not_followed"), None),
        ("400 Bad Request", Some("unexpected_status"), None),
        ("410 Gone", Some("unexpected_status"), None),
        (
            "429 Too Many Requests\r\nretry-after: 9",
            Some("unexpected_status"),
            Some(9),
        ),
        (
            // One minute after the time of the attempt.
            "503 Busy\r\nretry-after: Sun, 22 Nov 2026 18:01:00 GMT",
            Some("unexpected_status"),
            Some(60),
        ),
        ("503 Busy\r\nretry-after: soon", Some("unexpected_status"), None),
    ] {
        let receiver = receiver(answer(head)).await;
        let result = send(&sender(true), &receiver.url).await;
        assert_eq!(result.error, error, "{head}");
        assert_eq!(result.retry_after, retry_after.map(Duration::from_secs), "{head}");
        assert!(
            head.starts_with(result.status.expect("an answer").as_str()),
            "{head}"
        );
    }
    assert_eq!(target.connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_attempt_without_an_answer_names_the_reason() {
    let broken = receiver("this is not HTTP\r\n\r\n").await;
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let refused = format!("http://{}/", closed.local_addr().expect("an address"));
    drop(closed);
    let plain = receiver("").await;
    for (url, allow_private, error) in [
        (broken.url.clone(), true, "connection_lost"),
        (refused, true, "connection_failed"),
        ("http://nowhere.invalid/".to_owned(), true, "name_not_found"),
        (
            plain.url.replace("http:", "https:").replace("hook", "\u{7f}"),
            true,
            "invalid_url",
        ),
        (plain.url.clone(), false, "https_required"),
        (plain.url.replace("http:", "https:"), false, "address_not_allowed"),
        ("https://localhost/".to_owned(), false, "address_not_allowed"),
        (
            "https://[::ffff:10.0.0.1]/".to_owned(),
            false,
            "address_not_allowed",
        ),
    ] {
        let result = send(&sender(allow_private), &url).await;
        assert_eq!(result, AttemptResult::failed(error), "{url}");
    }
    assert_eq!(plain.connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_receiver_that_does_not_speak_tls_fails() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        // Answers a handshake with a plain text.
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let result = send(&sender(true), &format!("https://{address}/")).await;
    assert_eq!(result, AttemptResult::failed("tls_failed"));
}

#[tokio::test]
async fn no_more_than_the_limit_of_an_answer_is_read() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    let endless = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut request = [0; 4096];
        let _ = stream.read(&mut request).await.expect("a request");
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n")
            .await
            .expect("the head is read");
        // Until the sender closes the connection.
        let mut written = 0_usize;
        while let Ok(length) = stream.write(&[b'a'; 16 * 1024]).await {
            written += length;
        }
        written
    });
    let result = send(&sender(true), &url).await;
    assert_eq!((result.status, result.error), (Some(StatusCode::OK), None));
    // What was written beyond the limit is in the buffers of the operating system.
    let written = endless.await.expect("it ends");
    assert!(written < 64 * 1024 * 1024, "{written}");
}
