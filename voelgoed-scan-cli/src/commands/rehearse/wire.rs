//! What does a simulated device speak over? One connection of its own, HTTP/1.1, kept open.
//!
//! The connection is driven by the task that asks, so that a scan costs this program as little as can be: it shares
//! the machine with the server that it measures.

use std::pin::Pin;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{Connection, SendRequest, handshake};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, StatusCode, Uri};
use tower_service::Service;

use crate::client::{Connector, Wire};
use crate::failure::Failure;

const SCAN: &str = "/api/v1/scanning/scan";

/// Where the scans go.
pub(super) struct Address {
    server: Uri,
    host: HeaderValue,
    connector: Connector,
}

/// A connection that is not there, or broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Broken;

impl Address {
    pub(super) fn new(server: &str, connector: Connector) -> Result<Self, Failure> {
        let wrong = || Failure::unfit(server, "is not an address: give http://HOST:PORT");
        let server: Uri = server.parse().map_err(|_| wrong())?;
        let host = server.authority().ok_or_else(wrong)?.as_str();
        Ok(Self {
            host: HeaderValue::from_str(host).map_err(|_| wrong())?,
            server,
            connector,
        })
    }

    async fn open(&self) -> Result<Open, Broken> {
        let stream = self
            .connector
            .clone()
            .call(self.server.clone())
            .await
            .map_err(|_| Broken)?;
        let (sender, connection) = handshake(stream).await.map_err(|_| Broken)?;
        Ok(Open {
            sender,
            connection: Box::pin(connection),
        })
    }
}

struct Open {
    sender: SendRequest<Full<Bytes>>,
    connection: Pin<Box<Connection<Wire, Full<Bytes>>>>,
}

/// A device's connection; opened again where it broke.
pub(super) struct Line {
    open: Option<Open>,
    authorization: HeaderValue,
}

impl Line {
    pub(super) fn new(token: &str) -> Result<Self, Failure> {
        let mut authorization = HeaderValue::try_from(format!("Bearer {token}"))
            .map_err(|_| Failure::unfit("the device's token", "has characters that no token has"))?;
        authorization.set_sensitive(true);
        Ok(Self {
            open: None,
            authorization,
        })
    }

    /// Opens the connection ahead of the first scan.
    pub(super) async fn warm(&mut self, address: &Address) -> Result<(), Broken> {
        if self.open.is_none() {
            self.open = Some(address.open().await?);
        }
        Ok(())
    }

    /// Sends a scan and waits for its answer.
    pub(super) async fn ask(
        &mut self,
        address: &Address,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), Broken> {
        self.warm(address).await?;
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = Uri::from_static(SCAN);
        let headers = request.headers_mut();
        headers.insert(HOST, address.host.clone());
        headers.insert(AUTHORIZATION, self.authorization.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let Some(Open { sender, connection }) = &mut self.open else {
            return Err(Broken);
        };
        let answer = async {
            let response = sender.send_request(request).await?;
            let status = response.status();
            let body = response.into_body().collect().await?.to_bytes();
            Ok::<_, hyper::Error>((status, body))
        };
        let answer = tokio::select! {
            biased;
            answer = answer => answer.map_err(|_| Broken),
            _ = connection => Err(Broken),
        };
        if answer.is_err() {
            self.open = None;
        }
        answer
    }
}
