//! The address of Redis: one server, or the sentinels that know it.
//!
//! | URL | means |
//! |---|---|
//! | `redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE]` | a server |
//! | `rediss://...` | a server, over TLS |
//! | `redis+sentinel://[USER:PASSWORD@]HOST[:PORT][,HOST[:PORT]...]/MASTER[/DATABASE]` | the server that the sentinels name |
//! | `rediss+sentinel://...` | the same, with TLS to the sentinels and to the server |
//!
//! User and password are those of the server. Sentinels with a password of their own get it by `?sentinel_username=` and
//! `sentinel_password=`.

use redis::{Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _, TlsCertificates};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::RedisSetupError;

/// The schemes of URLs that name sentinels, each with the scheme of the servers.
const SENTINEL_SCHEMES: [(&str, &str); 2] =
    [("redis+sentinel://", "redis"), ("rediss+sentinel://", "rediss")];

/// The port of a sentinel whose address has none.
const SENTINEL_PORT: u16 = 26379;

/// The address of Redis.
pub(super) enum RedisAddress {
    Server(Client),
    Sentinels(SentinelAddress),
}

/// Sentinels, and how to reach the server that they name.
#[derive(Clone)]
pub(super) struct SentinelAddress {
    pub(super) sentinels: Vec<Client>,
    /// The name under which the sentinels know the server.
    pub(super) master: String,
    pub(super) server: ServerSettings,
}

/// How to reach a server whose host is not known yet.
#[derive(Clone)]
pub(super) struct ServerSettings {
    info: ConnectionInfo,
    ca: Option<Vec<u8>>,
}

impl ServerSettings {
    /// The server at this address.
    pub(super) fn at(&self, host: &str, port: u16) -> Result<Client, RedisSetupError> {
        let host = host.to_owned();
        let address = match self.info.addr() {
            ConnectionAddr::TcpTls { .. } => ConnectionAddr::TcpTls {
                host,
                port,
                insecure: false,
                tls_params: None,
            },
            _ => ConnectionAddr::Tcp(host, port),
        };
        client(self.info.clone().set_addr(address), self.ca.as_deref())
    }
}

/// Parses a URL. `ca` holds certificates of authorities (PEM), which replace the public ones.
pub(super) fn parse(url: &str, ca: Option<&[u8]>) -> Result<RedisAddress, RedisSetupError> {
    if let Some(ca) = ca {
        check_authorities(ca)?;
    }
    for (prefix, scheme) in SENTINEL_SCHEMES {
        if let Some(rest) = url.strip_prefix(prefix) {
            return sentinels(scheme, rest, ca).map(RedisAddress::Sentinels);
        }
    }
    client(connection_info(url)?, ca).map(RedisAddress::Server)
}

fn sentinels(scheme: &str, rest: &str, ca: Option<&[u8]>) -> Result<SentinelAddress, RedisSetupError> {
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (credentials, hosts) = match authority.rsplit_once('@') {
        Some((credentials, hosts)) => (format!("{credentials}@"), hosts),
        None => (String::new(), authority),
    };
    let (master, database) = path.split_once('/').unwrap_or((path, "0"));
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || ".-_".contains(letter);
    if master.is_empty() || !master.chars().all(is_name) {
        return Err(RedisSetupError::SentinelWithoutMaster);
    }
    let sentinel_credentials = sentinel_credentials(query)?;
    let sentinels = hosts.split(',').map(|host| {
        let host = with_port(host);
        let info = connection_info(&format!("{scheme}://{sentinel_credentials}{host}/"))?;
        client(info, ca)
    });
    Ok(SentinelAddress {
        sentinels: sentinels.collect::<Result<_, _>>()?,
        master: master.to_owned(),
        server: ServerSettings {
            info: connection_info(&format!("{scheme}://{credentials}server/{database}"))?,
            ca: ca.map(<[u8]>::to_vec),
        },
    })
}

/// The part of a URL with the credentials of the sentinels.
fn sentinel_credentials(query: &str) -> Result<String, RedisSetupError> {
    let (mut username, mut password) = ("", None);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("sentinel_username", value)) => username = value,
            Some(("sentinel_password", value)) => password = Some(value),
            _ => return Err(RedisSetupError::InvalidUrl),
        }
    }
    match password {
        Some(password) => Ok(format!("{username}:{password}@")),
        None if username.is_empty() => Ok(String::new()),
        None => Err(RedisSetupError::InvalidUrl),
    }
}

fn with_port(host: &str) -> String {
    let has_port = host.rsplit_once(':').is_some_and(|(before, port)| {
        port.bytes().all(|byte| byte.is_ascii_digit()) && (!before.contains(':') || before.ends_with(']'))
    });
    if has_port {
        host.to_owned()
    } else {
        format!("{host}:{SENTINEL_PORT}")
    }
}

fn connection_info(url: &str) -> Result<ConnectionInfo, RedisSetupError> {
    let info = url
        .into_connection_info()
        .map_err(|_| RedisSetupError::InvalidUrl)?;
    if matches!(info.addr(), ConnectionAddr::TcpTls { insecure: true, .. }) {
        return Err(RedisSetupError::InsecureTls);
    }
    // Nothing reads the name of the library, and a user of Redis may not be allowed to set it.
    let settings = info.redis_settings().clone().set_skip_set_lib_name();
    Ok(info.set_redis_settings(settings))
}

fn client(info: ConnectionInfo, ca: Option<&[u8]>) -> Result<Client, RedisSetupError> {
    if matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
        let certificates = TlsCertificates {
            client_tls: None,
            root_cert: ca.map(<[u8]>::to_vec),
        };
        return Client::build_with_tls(info, certificates).map_err(|_| RedisSetupError::InvalidCa);
    }
    if ca.is_some() {
        return Err(RedisSetupError::CaWithoutTls);
    }
    Client::open(info).map_err(|_| RedisSetupError::InvalidUrl)
}

fn check_authorities(ca: &[u8]) -> Result<(), RedisSetupError> {
    let mut count = 0;
    for certificate in CertificateDer::pem_slice_iter(ca) {
        certificate.map_err(|_| RedisSetupError::InvalidCa)?;
        count += 1;
    }
    if count == 0 {
        return Err(RedisSetupError::InvalidCa);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentinel_address(url: &str) -> SentinelAddress {
        match parse(url, None) {
            Ok(RedisAddress::Sentinels(address)) => address,
            Ok(RedisAddress::Server(_)) => panic!("{url} is a server"),
            Err(error) => panic!("{url}: {error}"),
        }
    }

    fn shown(client: &Client) -> (String, i64, Option<String>, Option<String>) {
        let info = client.get_connection_info();
        let settings = info.redis_settings();
        let text = |text: Option<&str>| text.map(str::to_owned);
        (
            info.addr().to_string(),
            settings.db(),
            text(settings.username()),
            text(settings.password()),
        )
    }

    #[test]
    fn a_url_names_sentinels_a_master_and_a_database() {
        let address = sentinel_address("redis+sentinel://gate:p%40ss@one:26380,two,[::1]:7,[::2]/main/3");
        assert_eq!(address.master, "main");
        let hosts: Vec<_> = address.sentinels.iter().map(|one| shown(one).0).collect();
        assert_eq!(hosts, ["one:26380", "two:26379", "::1:7", "::2:26379"]);
        assert!(
            address.sentinels.iter().all(|one| shown(one).3.is_none()),
            "the password is the server's"
        );
        let server = address.server.at("10.0.0.7", 6380).expect("a server");
        let (user, password) = (Some("gate".to_owned()), Some("p@ss".to_owned()));
        assert_eq!(shown(&server), ("10.0.0.7:6380".to_owned(), 3, user, password));
    }

    #[test]
    fn sentinels_have_a_password_of_their_own() {
        let address =
            sentinel_address("redis+sentinel://:server@one/main?sentinel_username=u&sentinel_password=p%2Fq");
        let sentinel = shown(&address.sentinels[0]);
        assert_eq!(
            (sentinel.2.as_deref(), sentinel.3.as_deref()),
            (Some("u"), Some("p/q"))
        );
        let server = shown(&address.server.at("a", 1).expect("a server"));
        assert_eq!((server.2, server.3.as_deref()), (None, Some("server")));
    }

    #[test]
    fn tls_holds_for_sentinels_and_servers() {
        let is_tls = |client: &Client| {
            matches!(
                client.get_connection_info().addr(),
                ConnectionAddr::TcpTls { insecure: false, .. }
            )
        };
        let address = sentinel_address("rediss+sentinel://one,two/main");
        assert!(address.sentinels.iter().all(is_tls));
        assert!(is_tls(&address.server.at("a", 1).expect("a server")));
        let Ok(RedisAddress::Server(server)) = parse("rediss://a:1/2", None) else {
            panic!("a server");
        };
        assert!(is_tls(&server));
        let Ok(RedisAddress::Server(server)) = parse("redis://a:1/2", None) else {
            panic!("a server");
        };
        assert!(!is_tls(&server));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (url, expected) in [
            ("http://a", RedisSetupError::InvalidUrl),
            ("redis://", RedisSetupError::InvalidUrl),
            ("redis://a/x", RedisSetupError::InvalidUrl),
            ("redis+sentinel://a", RedisSetupError::SentinelWithoutMaster),
            ("redis+sentinel://a/", RedisSetupError::SentinelWithoutMaster),
            ("redis+sentinel://a/b c", RedisSetupError::SentinelWithoutMaster),
            ("redis+sentinel://a,/main", RedisSetupError::InvalidUrl),
            ("redis+sentinel://a/main/x", RedisSetupError::InvalidUrl),
            ("redis+sentinel://a/main?b=c", RedisSetupError::InvalidUrl),
            ("rediss://a#insecure", RedisSetupError::InsecureTls),
        ] {
            let found = parse(url, None).err().map(|error| error.to_string());
            assert_eq!(found, Some(expected.to_string()), "{url}");
        }
        let found = parse("redis://a", Some(b"nothing")).err();
        assert!(matches!(found, Some(RedisSetupError::InvalidCa)), "{found:?}");
    }
}
