//! Reads the URL of a PostgreSQL and connects to it.

use std::str::FromStr as _;

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection};

use crate::store::StoreError;
use crate::store::sql::open::OpenError;
use crate::store::sql::transactions::Pooler;

/// The name by which an operator knows the sessions of this program.
const APPLICATION_NAME: &str = "voelgoed-scan";

/// The options of a connection.
pub(super) fn connect_options(url: &str, pooler: Pooler) -> Result<PgConnectOptions, OpenError> {
    if let Some(hosts) = several_hosts(url) {
        return Err(OpenError::SeveralHosts { hosts });
    }
    let options = PgConnectOptions::from_str(url)
        .map_err(StoreError::from)?
        .application_name(APPLICATION_NAME)
        // The driver would set it at the start of a session, which poolers refuse. Values are exchanged in binary form, where it
        // has no effect.
        .extra_float_digits(None);
    match pooler {
        Pooler::None => Ok(options),
        Pooler::Transaction if options.get_options().is_some() => Err(OpenError::OptionsWithPooler),
        Pooler::Transaction => Ok(options.statement_cache_capacity(0)),
    }
}

/// Opens a connection.
pub(super) async fn connect(options: &PgConnectOptions) -> Result<PgConnection, OpenError> {
    PgConnection::connect_with(options)
        .await
        .map_err(|error| match certificate_error(&error) {
            Some(reason) => OpenError::Certificate { reason },
            None => OpenError::Store(error.into()),
        })
}

/// The hosts of a URL that names several, as libpq allows it.
fn several_hosts(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let (before_query, query) = rest.split_once('?').unwrap_or((rest, ""));
    let authority = before_query.split('/').next().unwrap_or(before_query);
    let hosts = authority.rsplit_once('@').map_or(authority, |(_, hosts)| hosts);
    let in_query = || {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find_map(|(name, value)| {
            let is_host = ["host", "hostaddr"].contains(&name);
            (is_host && (value.contains(',') || value.to_ascii_lowercase().contains("%2c"))).then_some(value)
        })
    };
    let named = if hosts.contains(',') {
        Some(hosts)
    } else {
        in_query()
    };
    named.map(str::to_owned)
}

/// What is wrong with the certificate of the server, if that is why a connection failed.
fn certificate_error(error: &sqlx::Error) -> Option<String> {
    let reason = match error {
        sqlx::Error::Tls(reason) => reason.to_string(),
        sqlx::Error::Io(reason) => reason.to_string(),
        _ => return None,
    };
    reason.contains("certificate").then_some(reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_with_several_hosts_is_refused_and_its_password_is_not_shown() {
        for (url, hosts) in [
            ("postgres://gate:hunter2@a,b/gate", "a,b"),
            ("postgres://a:5432,b:5433/gate", "a:5432,b:5433"),
            ("postgresql://gate@a,b,c", "a,b,c"),
            ("postgres://gate@/gate?host=a,b", "a,b"),
            ("postgres://gate@/gate?sslmode=require&host=a%2Cb", "a%2Cb"),
        ] {
            let error = connect_options(url, Pooler::None).expect_err(url).to_string();
            assert!(error.contains(&format!("several hosts ({hosts})")), "{error}");
            assert!(error.contains("HAProxy") && !error.contains("hunter2"), "{error}");
        }
        for url in [
            "postgres://gate:a,b@db/gate",
            "postgres://gate@db:5432/a,b",
            "postgres://db/gate?application_name=a,b",
        ] {
            assert!(connect_options(url, Pooler::None).is_ok(), "{url}");
        }
    }

    #[test]
    fn a_url_with_options_is_refused_where_a_pooler_would_drop_them() {
        let url = "postgres://gate@db/gate?options=-c%20work_mem=64MB";
        assert!(connect_options(url, Pooler::None).is_ok());
        let refused = connect_options(url, Pooler::Transaction);
        assert!(
            matches!(refused, Err(OpenError::OptionsWithPooler)),
            "{refused:?}"
        );
    }
}
