//! Which certificate authorities are trusted where webhooks are sent.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hyper_rustls::ConfigBuilderExt as _;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use rustls::{ClientConfig, RootCertStore};

/// The certificate authorities cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WebhookTlsError {
    /// The file cannot be read, or is no PEM file.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: pem::Error,
    },
    /// The file contains no certificate.
    #[error("{}: no certificate", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// rustls rejects a certificate or the configuration.
    #[error("the certificate authorities of webhooks: {0}")]
    Rustls(#[from] rustls::Error),
}

/// Trusts the public authorities, and those of a file.
pub(super) fn client_config(tls_ca: Option<&Path>) -> Result<ClientConfig, WebhookTlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let Some(path) = tls_ca else {
        return Ok(builder.with_webpki_roots().with_no_client_auth());
    };
    let mut roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    let public = roots.len();
    let file_error = |source| WebhookTlsError::File {
        path: path.to_owned(),
        source,
    };
    for certificate in CertificateDer::pem_file_iter(path).map_err(file_error)? {
        roots.add(certificate.map_err(file_error)?)?;
    }
    if roots.len() == public {
        return Err(WebhookTlsError::NoCertificate {
            path: path.to_owned(),
        });
    }
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
