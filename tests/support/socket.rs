//! A raw TCP socket for bytes that no HTTP client would send.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::wait::READ_TIMEOUT;

/// Sends bytes, closes the sending half and returns everything that the server sends until it closes.
pub async fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    // The server may have closed already. Its response can still be read.
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    let mut received = Vec::new();
    let _ = timeout(READ_TIMEOUT, stream.read_to_end(&mut received))
        .await
        .expect("the server closes");
    String::from_utf8_lossy(&received).into_owned()
}

/// Sends bytes and keeps the connection open.
pub async fn send_and_keep_open(address: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(bytes).await.expect("written");
    stream
}

/// Reads until the server closes.
pub async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut received = String::new();
    timeout(READ_TIMEOUT, stream.read_to_string(&mut received))
        .await
        .expect("the server closes")
        .expect("text");
    received
}

/// Reads the interim response `100 Continue`.
pub async fn read_continue(stream: &mut TcpStream) {
    let expected = b"HTTP/1.1 100 Continue\r\n\r\n";
    let mut received = [0; 25];
    timeout(READ_TIMEOUT, stream.read_exact(&mut received))
        .await
        .expect("the server answers")
        .expect("an interim response");
    assert_eq!(&received, expected);
}
