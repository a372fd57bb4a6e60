//! Until when the certificates of the server's addresses are valid, and whether clients trust them.

use std::fmt::Display;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use hyper::Uri;
use rustls::ClientConfig;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use voelgoed_scan_core::model::Timestamp;
use x509_parser::parse_x509_certificate;

use super::Finding;

const CHECK: &str = "certificate";

/// From how many days on a certificate should be renewed.
const RENEWAL_DAYS: i64 = 21;

const MILLIS_PER_DAY: i64 = 86_400_000;

/// The limit for reading a certificate.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Checks the certificate of an `https` address. `None` for other addresses.
pub(super) async fn check(address: &str, tls: ClientConfig, now: Timestamp) -> Option<Finding> {
    let uri: Uri = address.parse().ok()?;
    if uri.scheme_str() != Some("https") {
        return None;
    }
    let host = uri.host()?.trim_matches(['[', ']']).to_owned();
    let port = uri.port_u16().unwrap_or(443);
    let read = timeout(TIMEOUT, end_of_chain(&host, port, tls)).await;
    let end = read.unwrap_or_else(|_| Err(ReadError::other(&"no answer within 10 s")));
    Some(match end {
        Ok(end) => finding(&host, end, now),
        Err(error) => Finding::problem(CHECK, format!("{host}: {}", error.detail), error.hint.to_owned()),
    })
}

/// Why a certificate cannot be read, and what to do.
struct ReadError {
    detail: String,
    hint: &'static str,
}

impl ReadError {
    fn other(detail: &dyn Display) -> Self {
        Self {
            detail: detail.to_string(),
            hint: "check from a phone's network that this address leads to the server",
        }
    }

    fn of_handshake(error: &std::io::Error) -> Self {
        let tls = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match tls {
            Some(rustls::Error::InvalidCertificate(_)) if error.kind() == ErrorKind::InvalidData => Self {
                detail: format!("clients do not trust it: {error}"),
                hint: "install a valid certificate with its whole chain for this name, then send the server SIGHUP; \
                       for an authority of your own give doctor --tls-ca",
            },
            _ => Self::other(error),
        }
    }
}

/// The time until which all certificates are valid that the server presents.
async fn end_of_chain(host: &str, port: u16, tls: ClientConfig) -> Result<Timestamp, ReadError> {
    let stream = TcpStream::connect((host, port))
        .await
        .map_err(|error| ReadError::other(&error))?;
    let name = ServerName::try_from(host.to_owned()).map_err(|error| ReadError::other(&error))?;
    let connection = TlsConnector::from(Arc::new(tls)).connect(name, stream).await;
    let connection = connection.map_err(|error| ReadError::of_handshake(&error))?;
    let chain = connection.get_ref().1.peer_certificates().unwrap_or_default();
    let ends: Option<Vec<i64>> = chain.iter().map(end).collect();
    let end = ends.and_then(|ends| ends.into_iter().min());
    end.map(Timestamp::from_seconds)
        .ok_or_else(|| ReadError::other(&"its certificate cannot be read"))
}

/// The end of a certificate, in seconds since 1970.
fn end(certificate: &CertificateDer<'_>) -> Option<i64> {
    let (_, certificate) = parse_x509_certificate(certificate).ok()?;
    Some(certificate.validity().not_after.timestamp())
}

fn finding(host: &str, end: Timestamp, now: Timestamp) -> Finding {
    let days = end.millis_since(now).div_euclid(MILLIS_PER_DAY);
    let renew = || "renew it, then send the server SIGHUP, which reads it without a restart".to_owned();
    let detail = format!("{host}: {days} days left, until {end}");
    match days {
        RENEWAL_DAYS.. => Finding::passed(CHECK, detail),
        0..RENEWAL_DAYS => Finding::warning(CHECK, detail, renew()),
        _ => Finding::problem(CHECK, format!("{host}: it ended at {end}"), renew()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Exit;

    #[test]
    fn a_certificate_is_renewed_three_weeks_before_its_end() {
        let now = Timestamp::from_seconds(1_780_000_000);
        let days = |days: i64| finding("gate.example.org", now.plus_millis(days * MILLIS_PER_DAY), now);
        assert!(days(21).ok && days(21).hint.is_none());
        let soon = days(20);
        assert!(soon.ok && soon.hint.is_some() && soon.detail.contains("20 days left"));
        assert_eq!(soon.exit, Exit::Done);
        let ended = finding("gate.example.org", now.plus_millis(-1), now);
        assert_eq!((ended.ok, ended.exit), (false, Exit::Failed));
    }
}
