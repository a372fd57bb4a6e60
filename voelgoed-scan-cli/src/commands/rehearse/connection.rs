//! The connection of a simulated device: one HTTP/1.1 connection, which stays open.
//!
//! The task that sends a scan also drives the connection. A scan so costs this program as little as possible, which
//! matters because the program often shares the machine with the server that it measures.

use std::pin::Pin;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{Connection, SendRequest, handshake};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, StatusCode, Uri};
use tower_service::Service;

use crate::client::{Connector, Transport};
use crate::failure::Failure;

const SCAN_PATH: &str = "/api/v1/scanning/scan";

/// The server that receives the scans.
pub(super) struct Target {
    server: Uri,
    host: HeaderValue,
    connector: Connector,
}

/// The connection could not be opened, or it broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ConnectionError;

impl Target {
    pub(super) fn new(server: &str, connector: Connector) -> Result<Self, Failure> {
        let invalid = || Failure::invalid(server, "is not an address: give http://HOST:PORT");
        let server: Uri = server.parse().map_err(|_| invalid())?;
        let host = server.authority().ok_or_else(invalid)?.as_str();
        Ok(Self {
            host: HeaderValue::from_str(host).map_err(|_| invalid())?,
            server,
            connector,
        })
    }

    async fn connect(&self) -> Result<OpenConnection, ConnectionError> {
        let stream = self
            .connector
            .clone()
            .call(self.server.clone())
            .await
            .map_err(|_| ConnectionError)?;
        let (sender, connection) = handshake(stream).await.map_err(|_| ConnectionError)?;
        Ok(OpenConnection {
            sender,
            connection: Box::pin(connection),
        })
    }
}

struct OpenConnection {
    sender: SendRequest<Full<Bytes>>,
    connection: Pin<Box<Connection<Transport, Full<Bytes>>>>,
}

/// The connection of a device. It is opened again after it broke.
pub(super) struct DeviceConnection {
    open: Option<OpenConnection>,
    authorization: HeaderValue,
}

impl DeviceConnection {
    pub(super) fn new(token: &str) -> Result<Self, Failure> {
        let mut authorization = HeaderValue::try_from(format!("Bearer {token}"))
            .map_err(|_| Failure::invalid("the device's token", "has characters that no token has"))?;
        authorization.set_sensitive(true);
        Ok(Self {
            open: None,
            authorization,
        })
    }

    /// Opens the connection where it is not open.
    pub(super) async fn open(&mut self, target: &Target) -> Result<(), ConnectionError> {
        if self.open.is_none() {
            self.open = Some(target.connect().await?);
        }
        Ok(())
    }

    /// Sends a scan. Returns the status and body of the response.
    pub(super) async fn scan(
        &mut self,
        target: &Target,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), ConnectionError> {
        self.open(target).await?;
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = Uri::from_static(SCAN_PATH);
        let headers = request.headers_mut();
        headers.insert(HOST, target.host.clone());
        headers.insert(AUTHORIZATION, self.authorization.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let Some(OpenConnection { sender, connection }) = &mut self.open else {
            return Err(ConnectionError);
        };
        let exchange = async {
            let response = sender.send_request(request).await?;
            let status = response.status();
            let body = response.into_body().collect().await?.to_bytes();
            Ok::<_, hyper::Error>((status, body))
        };
        let response = tokio::select! {
            biased;
            response = exchange => response.map_err(|_| ConnectionError),
            _ = connection => Err(ConnectionError),
        };
        if response.is_err() {
            self.open = None;
        }
        response
    }
}
