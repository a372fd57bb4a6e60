//! How is the server reached? Plain or by TLS, HTTP/1.1 or 2, with connections that are used again.

use std::path::Path;
use std::time::Duration;

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use super::Body;
use crate::failure::Failure;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);

pub(super) type Http = Client<HttpsConnector<HttpConnector>, Body>;

/// A pool of connections; `tls_ca` is believed instead of the authorities that browsers believe.
pub(super) fn http(tls_ca: Option<&Path>) -> Result<Http, Failure> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT));
    let https = match tls_ca {
        None => HttpsConnectorBuilder::new().with_webpki_roots(),
        Some(path) => HttpsConnectorBuilder::new().with_tls_config(believing(path)?),
    };
    let https = https.https_or_http().enable_all_versions().wrap_connector(tcp);
    Ok(Client::builder(TokioExecutor::new()).build(https))
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
