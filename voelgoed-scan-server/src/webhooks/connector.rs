//! Opens the TCP connections of webhooks.
//!
//! Invariant: the address of a connection was checked after the name was looked up, and it is the address that is connected
//! to. So no name, no literal in an unusual notation and no change of a name's addresses leads into the server's own network.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use hyper::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::sleep;
use tower_service::Service;
use voelgoed_scan_core::net::is_globally_reachable;

/// How long one address is tried alone. A host often has one address that does not answer, such as that of IPv6.
const STAGGER: Duration = Duration::from_millis(300);

/// How many addresses of a name are tried.
const MAX_ADDRESSES: usize = 8;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    /// The host is no address of the public Internet.
    #[error("the host is not on the public Internet")]
    AddressNotAllowed,
    /// The name has no address.
    #[error("the name of the host cannot be looked up")]
    NameNotFound,
    /// No address accepts the connection.
    #[error("no address of the host accepts a connection: {0}")]
    Refused(#[source] io::Error),
}

/// Connects to addresses of the public Internet.
#[derive(Debug, Clone)]
pub(super) struct CheckedConnector {
    /// Whether it connects to all other addresses as well.
    pub(super) allow_private: bool,
}

impl Service<Uri> for CheckedConnector {
    type Response = TokioIo<TcpStream>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let allow_private = self.allow_private;
        Box::pin(async move {
            let addresses = look_up(&uri).await?;
            let stream = connect(allowed(addresses, allow_private)?).await?;
            Ok(TokioIo::new(stream))
        })
    }
}

/// The addresses of the host of a URL.
async fn look_up(uri: &Uri) -> Result<Vec<SocketAddr>, ConnectError> {
    let host = uri.host().ok_or(ConnectError::NameNotFound)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let default_port = if uri.scheme_str() == Some("http") { 80 } else { 443 };
    let port = uri.port_u16().unwrap_or(default_port);
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let addresses = lookup_host((host, port))
        .await
        .map_err(|_| ConnectError::NameNotFound)?;
    Ok(addresses.collect())
}

/// The addresses that may be connected to. Fails if there is none.
fn allowed(addresses: Vec<SocketAddr>, allow_private: bool) -> Result<Vec<SocketAddr>, ConnectError> {
    if addresses.is_empty() {
        return Err(ConnectError::NameNotFound);
    }
    let mut allowed = addresses;
    allowed.retain(|address| allow_private || is_globally_reachable(address.ip()));
    allowed.truncate(MAX_ADDRESSES);
    if allowed.is_empty() {
        return Err(ConnectError::AddressNotAllowed);
    }
    Ok(allowed)
}

/// Connects to the first address that answers. Each next one is tried after [`STAGGER`], or when one fails.
async fn connect(addresses: Vec<SocketAddr>) -> Result<TcpStream, ConnectError> {
    let mut waiting = addresses.into_iter();
    let mut attempts = FuturesUnordered::new();
    let mut last_error = io::Error::from(io::ErrorKind::AddrNotAvailable);
    loop {
        if let Some(address) = waiting.next() {
            attempts.push(TcpStream::connect(address));
        }
        let has_next = waiting.len() > 0;
        tokio::select! {
            result = attempts.next() => match result {
                Some(Ok(stream)) => {
                    stream.set_nodelay(true).map_err(ConnectError::Refused)?;
                    return Ok(stream);
                }
                Some(Err(error)) => last_error = error,
                None => return Err(ConnectError::Refused(last_error)),
            },
            () = sleep(STAGGER), if has_next => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().expect(text)
    }

    async fn call(url: &str, allow_private: bool) -> Result<TokioIo<TcpStream>, ConnectError> {
        let uri = url.parse().expect(url);
        CheckedConnector { allow_private }.call(uri).await
    }

    #[tokio::test]
    async fn a_host_inside_is_refused_by_literal_by_name_and_in_every_ipv6_form() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        for host in [
            "127.0.0.1",
            "localhost",
            "0.0.0.0",
            "127.1",
            "2130706433",
            "0x7f.0.0.1",
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[64:ff9b::127.0.0.1]",
            "[2002:7f00:1::]",
            "10.0.0.1",
            "169.254.169.254",
            "[fd00::1]",
            "[fe80::1]",
        ] {
            let result = call(&format!("http://{host}:{port}/"), false).await;
            assert!(
                matches!(result, Err(ConnectError::AddressNotAllowed)),
                "{host}: {result:?}"
            );
        }
        call(&format!("http://127.0.0.1:{port}/"), true)
            .await
            .expect("the flag allows it");
        let (_, from_the_last_call) = listener.accept().await.expect("the one connection");
        assert!(from_the_last_call.ip().is_loopback());
        let second = futures_util::FutureExt::now_or_never(listener.accept());
        assert!(second.is_none(), "no refused host was connected to");
    }

    #[test]
    fn of_a_name_with_addresses_inside_and_outside_only_those_outside_are_connected_to() {
        let outside = [address("93.184.216.34:443"), address("[2606:2800:220:1::1]:443")];
        let mixed = vec![
            address("127.0.0.1:443"),
            outside[0],
            address("[::1]:443"),
            outside[1],
        ];
        assert_eq!(allowed(mixed.clone(), false).expect("two are left"), outside);
        assert_eq!(allowed(mixed.clone(), true).expect("all are left"), mixed);
        assert!(matches!(
            allowed(Vec::new(), true),
            Err(ConnectError::NameNotFound)
        ));
    }

    #[tokio::test]
    async fn an_address_that_refuses_does_not_keep_the_next_one_from_being_tried() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let open = listener.local_addr().expect("an address");
        let closed = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let refused = closed.local_addr().expect("an address");
        drop(closed);
        let stream = connect(vec![refused, open]).await.expect("a connection");
        assert_eq!(stream.peer_addr().expect("an address"), open);
        assert!(matches!(
            connect(vec![refused]).await,
            Err(ConnectError::Refused(_))
        ));
        let unknown = call("http://nowhere.invalid/", true).await;
        assert!(matches!(unknown, Err(ConnectError::NameNotFound)), "{unknown:?}");
    }
}
