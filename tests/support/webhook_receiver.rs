//! A receiver of webhooks that answers as a test says, over plain HTTP or TLS.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::wait::wait_until;

/// What a receiver answers.
#[derive(Debug, Clone)]
pub enum Reply {
    /// A status line and headers, such as `204 No Content`, without a body.
    Head(String),
    /// Nothing. The connection stays open.
    Hang,
}

impl Reply {
    /// An answer of this status line.
    pub fn head(text: &str) -> Self {
        Self::Head(text.to_owned())
    }
}

/// A delivery as it arrived.
#[derive(Debug, Clone)]
pub struct Received {
    head: String,
    /// The body.
    pub body: Vec<u8>,
    /// The body as text. What is none is replaced.
    pub text: String,
}

impl Received {
    /// A header by its lower-case name.
    pub fn header(&self, name: &str) -> &str {
        let mut lines = self.head.lines();
        lines
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
            .unwrap_or_else(|| panic!("{name} is missing: {}", self.head))
    }

    /// The path.
    pub fn path(&self) -> &str {
        self.head.split(' ').nth(1).expect("a request line")
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).expect("a JSON body")
    }
}

/// A receiver on a port of this machine. It ends with the test.
pub struct WebhookReceiver {
    address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
}

impl WebhookReceiver {
    /// Starts a receiver. `reply` gets the number of the request, from 1.
    pub async fn start(reply: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_with(reply, |stream| async { Some(stream) }).await
    }

    /// Starts a receiver whose connections pass through `accept` first, such as a TLS handshake.
    pub async fn start_with<S, F>(
        reply: impl Fn(usize) -> Reply + Send + Sync + 'static,
        accept: impl Fn(tokio::net::TcpStream) -> F + Send + Sync + 'static,
    ) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        F: Future<Output = Option<S>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let received = Arc::new(Mutex::new(Vec::new()));
        let reply = Arc::new(reply);
        let all = Arc::clone(&received);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (accepted, all, reply) = (accept(stream), Arc::clone(&all), Arc::clone(&reply));
                tokio::spawn(async move {
                    if let Some(stream) = accepted.await {
                        serve(stream, &all, &*reply).await;
                    }
                });
            }
        });
        Self { address, received }
    }

    /// The address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL.
    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// What has arrived.
    pub fn received(&self) -> Vec<Received> {
        self.received.lock().expect("not poisoned").clone()
    }

    /// Waits until at least this many requests have arrived, and returns all.
    pub async fn wait_for(&self, count: usize) -> Vec<Received> {
        wait_until(&format!("{count} deliveries arrive"), || {
            std::future::ready(self.received().len() >= count)
        })
        .await;
        self.received()
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    all: &Mutex<Vec<Received>>,
    reply: &(impl Fn(usize) -> Reply + Send + Sync),
) {
    let mut bytes = Vec::new();
    let mut buffer = [0; 8192];
    loop {
        match stream.read(&mut buffer).await {
            Ok(length @ 1..) => bytes.extend_from_slice(&buffer[..length]),
            _ => return,
        }
        let Some((request, rest)) = take_request(&bytes) else {
            continue;
        };
        bytes = rest;
        let number = {
            let mut all = all.lock().expect("not poisoned");
            all.push(request);
            all.len()
        };
        let Reply::Head(head) = reply(number) else {
            // Until the sender closes the connection.
            while matches!(stream.read(&mut buffer).await, Ok(1..)) {}
            return;
        };
        let answer = format!("HTTP/1.1 {head}\r\ncontent-length: 0\r\n\r\n");
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Splits the first request off, if it is complete.
fn take_request(bytes: &[u8]) -> Option<(Received, Vec<u8>)> {
    let end = bytes.windows(4).position(|part| part == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))?;
    let length: usize = length.parse().expect("a number");
    let body = bytes.get(end..end + length)?;
    let text = String::from_utf8_lossy(body).into_owned();
    let body = body.to_vec();
    Some((Received { head, body, text }, bytes[end + length..].to_vec()))
}
