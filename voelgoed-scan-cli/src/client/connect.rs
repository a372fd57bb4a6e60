//! Connections to the server: plain or TLS, HTTP/1.1 or HTTP/2, pooled or single.

use std::path::Path;
use std::time::Duration;

use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;

use super::Body;
use crate::failure::Failure;

/// The limit for opening a TCP connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) type Http = Client<Connector, Body>;

/// Opens connections.
pub(crate) type Connector = HttpsConnector<HttpConnector>;

/// The byte stream of an open connection, plain or TLS.
pub(crate) type Transport = MaybeHttpsStream<TokioIo<TcpStream>>;

/// A pooling HTTP client.
///
/// The certificate authorities are those of the PEM file `tls_ca`, or without it those that browsers trust.
pub(super) fn http(tls_ca: Option<&Path>) -> Result<Http, Failure> {
    let https = HttpsConnectorBuilder::new().with_tls_config(tls_config(tls_ca)?);
    let https = https.https_or_http().enable_all_versions().wrap_connector(tcp());
    Ok(Client::builder(TokioExecutor::new()).build(https))
}

/// A connector for single HTTP/1.1 connections.
pub(crate) fn connector(tls_ca: Option<&Path>) -> Result<Connector, Failure> {
    let https = HttpsConnectorBuilder::new().with_tls_config(tls_config(tls_ca)?);
    Ok(https.https_or_http().enable_http1().wrap_connector(tcp()))
}

fn tcp() -> HttpConnector {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    tcp
}

/// How clients trust servers. The certificate authorities are those of the PEM file `tls_ca`, or without it those that browsers
/// trust.
pub(crate) fn tls_config(tls_ca: Option<&Path>) -> Result<ClientConfig, Failure> {
    match tls_ca {
        None => Ok(ClientConfig::builder().with_webpki_roots().with_no_client_auth()),
        Some(path) => trusting_only(path),
    }
}

fn trusting_only(path: &Path) -> Result<ClientConfig, Failure> {
    let invalid = |error: &dyn std::fmt::Display| {
        Failure::invalid(
            path.display().to_string(),
            format!("is not a PEM file of certificates: {error}"),
        )
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| invalid(&error))? {
        let certificate = certificate.map_err(|error| invalid(&error))?;
        roots.add(certificate).map_err(|error| invalid(&error))?;
    }
    if roots.is_empty() {
        return Err(invalid(&"it has none"));
    }
    Ok(ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth())
}
