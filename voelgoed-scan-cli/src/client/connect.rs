//! How is the server reached? Plain or by TLS, HTTP/1.1 or 2, with connections that are used again.

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

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);

pub(super) type Http = Client<Connector, Body>;

/// What opens connections.
pub(crate) type Connector = HttpsConnector<HttpConnector>;

/// An open connection.
pub(crate) type Wire = MaybeHttpsStream<TokioIo<TcpStream>>;

/// A pool of connections; `tls_ca` is believed instead of the authorities that browsers believe.
pub(super) fn http(tls_ca: Option<&Path>) -> Result<Http, Failure> {
    let https = HttpsConnectorBuilder::new().with_tls_config(trust(tls_ca)?);
    let https = https.https_or_http().enable_all_versions().wrap_connector(tcp());
    Ok(Client::builder(TokioExecutor::new()).build(https))
}

/// What opens single connections, for HTTP/1.1.
pub(crate) fn connector(tls_ca: Option<&Path>) -> Result<Connector, Failure> {
    let https = HttpsConnectorBuilder::new().with_tls_config(trust(tls_ca)?);
    Ok(https.https_or_http().enable_http1().wrap_connector(tcp()))
}

fn tcp() -> HttpConnector {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT));
    tcp
}

fn trust(tls_ca: Option<&Path>) -> Result<ClientConfig, Failure> {
    match tls_ca {
        None => Ok(ClientConfig::builder().with_webpki_roots().with_no_client_auth()),
        Some(path) => believing(path),
    }
}

fn believing(path: &Path) -> Result<ClientConfig, Failure> {
    let unfit = |error: &dyn std::fmt::Display| {
        Failure::unfit(
            path.display().to_string(),
            format!("is not a PEM file of certificates: {error}"),
        )
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| unfit(&error))? {
        let certificate = certificate.map_err(|error| unfit(&error))?;
        roots.add(certificate).map_err(|error| unfit(&error))?;
    }
    if roots.is_empty() {
        return Err(unfit(&"it has none"));
    }
    Ok(ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth())
}
