//! The configuration of a server: flags, or environment variables with the same meaning. Secrets come from files or
//! variables only.
//!
//! Invariants: no other file of the server reads the environment.

mod database_pooler;
mod value_parsers;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::{BoolishValueParser, Resettable};
use clap::error::ErrorKind;
use clap::{ArgAction, Args, CommandFactory as _, FromArgMatches as _, Parser};
use ipnet::IpNet;
use voelgoed_scan_core::token::{InvalidPhoenixKeys, KeyDerivation, KeyDigest, MasterSecret, PhoenixKeys};
use zeroize::Zeroizing;

use crate::app_version::AppVersion;
use crate::clock::StandingClock;
use crate::cors::Origin;
use crate::log::LogFormat;
use crate::secret::{self, SecretError};
use crate::traces::OtlpEndpoint;
pub use database_pooler::DatabasePooler;
pub use value_parsers::{InvalidDuration, parse_duration};
use value_parsers::{parse_network, parse_public_url};

/// The variable that contains the master secret in hexadecimal.
const SECRET_KEY: &str = "VOELGOED_SCAN_SECRET_KEY";
/// The variable that contains the platform's `secret_key_base`.
const PHOENIX_SECRET: &str = "VOELGOED_SCAN_PHOENIX_SECRET_KEY_BASE";

/// How long a connection may make no progress.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(30);

/// The server of voelgoed-scan, which scans tickets at the gates of events.
///
/// Without configuration it uses an SQLite file in the current folder.
#[expect(
    clippy::doc_markdown,
    reason = "the command line shows these texts as they are"
)]
#[derive(Debug, Clone, Parser)]
#[command(name = "voelgoed-scan-server", version = crate::VERSION)]
pub struct Config {
    /// The address to listen on.
    #[arg(
        long,
        env = "VOELGOED_SCAN_LISTEN",
        default_value = "127.0.0.1:8080",
        value_name = "ADDRESS:PORT"
    )]
    pub listen: String,

    /// The database: sqlite://FILE or postgres://...
    #[arg(
        long,
        env = "VOELGOED_SCAN_DATABASE_URL",
        default_value = "sqlite://voelgoed-scan.db",
        value_name = "URL",
        hide_env_values = true
    )]
    pub database_url: String,

    /// What is between this server and PostgreSQL: none, also for a pooler that keeps a session for each connection; or
    /// transaction, for a pooler that serves each transaction from another session, such as PgBouncer with
    /// pool_mode = transaction.
    #[arg(
        long,
        env = "VOELGOED_SCAN_DATABASE_POOLER",
        value_enum,
        default_value_t,
        value_name = "MODE"
    )]
    pub database_pooler: DatabasePooler,

    /// The Redis for the shared cache and the message bus; optional. `rediss://` uses TLS; `redis+sentinel://HOST,HOST/MASTER`
    /// uses the server that these sentinels name.
    #[arg(
        long,
        env = "VOELGOED_SCAN_REDIS_URL",
        value_name = "URL",
        hide_env_values = true
    )]
    pub redis_url: Option<String>,

    /// The certificate authorities of Redis (PEM), which replace the public ones; for a `rediss://` URL.
    #[arg(long, env = "VOELGOED_SCAN_REDIS_CA", value_name = "FILE")]
    pub redis_ca: Option<PathBuf>,

    /// The keys that the server writes to Redis: its own, or also those that the ticketing platform documents. These carry
    /// ticket codes, so that this Redis has to be kept as safe as the database.
    #[arg(long, env = "VOELGOED_SCAN_REDIS_KEYS", value_enum, default_value_t)]
    pub redis_keys: RedisKeys,

    /// The sources of the secrets.
    #[command(flatten)]
    pub secrets: Secrets,

    /// How long the caches answer a repeated scan of an admitted ticket as a duplicate; under `after_window` also the time
    /// until re-entry. Must be the same on all nodes.
    #[arg(
        long,
        env = "VOELGOED_SCAN_DEDUP_WINDOW",
        default_value = "300s",
        value_name = "DURATION",
        value_parser = parse_duration
    )]
    pub dedup_window: Duration,

    /// The number of requests per second that each device may make, with bursts of twice as many; 0 turns the limit off.
    #[arg(
        long,
        env = "VOELGOED_SCAN_RATE_LIMIT",
        default_value_t = 50,
        value_name = "NUMBER"
    )]
    pub rate_limit: u32,

    /// The certificate chain for TLS, in PEM format; without it the server uses plain HTTP.
    #[arg(
        long,
        env = "VOELGOED_SCAN_TLS_CERT",
        requires = "tls_key",
        value_name = "FILE"
    )]
    pub tls_cert: Option<PathBuf>,

    /// The private key of the certificate, in PEM format.
    #[arg(
        long,
        env = "VOELGOED_SCAN_TLS_KEY",
        requires = "tls_cert",
        value_name = "FILE"
    )]
    pub tls_key: Option<PathBuf>,

    /// The proxies whose X-Forwarded-For or Forwarded headers name the address of the client: addresses or networks such as
    /// 10.0.0.0/8; repeatable, or with commas.
    #[arg(
        long = "trusted-proxy",
        env = "VOELGOED_SCAN_TRUSTED_PROXY",
        value_delimiter = ',',
        value_name = "NETWORK",
        value_parser = parse_network
    )]
    pub trusted_proxies: Vec<IpNet>,

    /// The number of connections that this node serves at once. The default leaves 256 of the file descriptors that the
    /// system allows.
    #[arg(long, env = "VOELGOED_SCAN_MAX_CONNECTIONS", value_name = "NUMBER")]
    pub max_connections: Option<usize>,

    /// The number of connections from one address, except this machine and trusted proxies; 0 turns the limit off.
    #[arg(
        long,
        env = "VOELGOED_SCAN_MAX_CONNECTIONS_PER_ADDRESS",
        default_value_t = 1024,
        value_name = "NUMBER"
    )]
    pub max_connections_per_address: usize,

    /// How long the server goes on serving after SIGTERM while /readyz answers 503, so that proxies send their requests
    /// elsewhere. The default is 5s with PostgreSQL and 0s with SQLite.
    #[arg(long, env = "VOELGOED_SCAN_DRAIN_DELAY", value_name = "DURATION", value_parser = parse_duration)]
    pub drain_delay: Option<Duration>,

    /// The URL by which phones reach this server, for enrolment codes. Without it a code contains the address at which the
    /// operator requested it.
    #[arg(long, env = "VOELGOED_SCAN_PUBLIC_URL", value_name = "https://HOST", value_parser = parse_public_url)]
    pub public_url: Option<String>,

    /// An origin whose browser pages may call this server, exactly as browsers send it, such as `https://app.example.org`;
    /// repeatable, or with commas. Without it no page of another origin may call.
    #[arg(
        long = "cors-origin",
        env = "VOELGOED_SCAN_CORS_ORIGIN",
        value_delimiter = ',',
        value_name = "ORIGIN",
        value_parser = Origin::from_str
    )]
    pub cors_origins: Vec<Origin>,

    /// The minimum version of the scanner app, such as 2.1. Phones with an older version decide by themselves and upload
    /// until they are updated. Without it every version is served.
    #[arg(long, env = "VOELGOED_SCAN_MIN_APP_VERSION", value_name = "VERSION")]
    pub min_app_version: Option<AppVersion>,

    /// Let webhooks go to private addresses and to URLs with http. Otherwise they go to the public Internet only, because
    /// tenants choose their URLs.
    #[arg(
        long,
        env = "VOELGOED_SCAN_WEBHOOK_ALLOW_PRIVATE",
        action = ArgAction::SetTrue,
        value_parser = BoolishValueParser::new()
    )]
    pub webhook_allow_private: bool,

    /// Certificate authorities that are trusted where webhooks are sent, besides the public ones, in PEM format.
    #[arg(long, env = "VOELGOED_SCAN_WEBHOOK_TLS_CA", value_name = "FILE")]
    pub webhook_tls_ca: Option<PathBuf>,

    /// The file with the token that /metrics asks for as a bearer token. The metrics name organizations and their events only
    /// with this setting.
    #[arg(long, env = "VOELGOED_SCAN_METRICS_TOKEN_FILE", value_name = "FILE")]
    pub metrics_token_file: Option<PathBuf>,

    /// Send traces to the collector at this URL (OTLP over HTTP, protobuf), such as http://127.0.0.1:4318.
    #[arg(long, env = "VOELGOED_SCAN_OTLP_ENDPOINT", value_name = "URL")]
    pub otlp_endpoint: Option<OtlpEndpoint>,

    /// The log level: error, warn, info, debug or trace; or a filter by module.
    #[arg(
        long,
        env = "VOELGOED_SCAN_LOG",
        default_value = "info",
        value_name = "FILTER"
    )]
    pub log: String,

    /// The format of the log.
    #[arg(long, env = "VOELGOED_SCAN_LOG_FORMAT", value_enum, default_value_t)]
    pub log_format: LogFormat,

    /// Do not migrate the database at start; refuse to start if a migration is missing.
    #[arg(
        long,
        env = "VOELGOED_SCAN_NO_MIGRATE",
        action = ArgAction::SetTrue,
        value_parser = BoolishValueParser::new()
    )]
    pub no_migrate: bool,

    /// Migrate the database, say what was done, and exit. Needs no secret. It may run while servers run.
    #[arg(long)]
    pub migrate_only: bool,

    /// Create the SQLite file if it is missing although its secret file exists. Without this flag the server refuses to
    /// start then, because the database was probably moved or deleted.
    #[arg(
        long,
        env = "VOELGOED_SCAN_CREATE",
        action = ArgAction::SetTrue,
        value_parser = BoolishValueParser::new()
    )]
    pub create: bool,

    /// The deviation of the server's clock in milliseconds, for tests of nodes with different clocks.
    #[arg(skip)]
    pub clock_offset_millis: i64,
    /// The clock of a test that sets the time itself.
    #[arg(skip)]
    pub standing_clock: Option<StandingClock>,

    /// How long a connection may make no progress. Only tests change it.
    #[arg(skip = CONNECTION_TIMEOUT)]
    pub connection_timeout: Duration,
}

/// The keys that the server writes to Redis.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum RedisKeys {
    /// Those that it reads itself.
    #[default]
    Own,
    /// Also those that the ticketing platform documents.
    Platform,
}

impl Default for Config {
    /// The configuration without flags and variables.
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".to_owned(),
            database_url: "sqlite://voelgoed-scan.db".to_owned(),
            database_pooler: DatabasePooler::None,
            redis_url: None,
            redis_ca: None,
            redis_keys: RedisKeys::Own,
            secrets: Secrets::default(),
            dedup_window: Duration::from_mins(5),
            rate_limit: 50,
            tls_cert: None,
            tls_key: None,
            trusted_proxies: Vec::new(),
            max_connections: None,
            max_connections_per_address: 1024,
            drain_delay: None,
            public_url: None,
            cors_origins: Vec::new(),
            min_app_version: None,
            webhook_allow_private: false,
            webhook_tls_ca: None,
            metrics_token_file: None,
            otlp_endpoint: None,
            log: "info".to_owned(),
            log_format: LogFormat::Text,
            no_migrate: false,
            migrate_only: false,
            create: false,
            clock_offset_millis: 0,
            standing_clock: None,
            connection_timeout: CONNECTION_TIMEOUT,
        }
    }
}

impl Config {
    /// The configuration of this process: its arguments, and the variables that are not empty. Prints the help, the version
    /// or an error and ends the process where the arguments ask for it.
    #[must_use]
    pub fn from_arguments() -> Self {
        let matches = ignore_empty_variables(Self::command()).get_matches();
        Self::from_arg_matches(&matches)
            .and_then(Self::checked)
            .unwrap_or_else(|error| error.exit())
    }

    /// Fails if flags contradict each other. A switch that a variable turns off contradicts nothing, so that the parser
    /// cannot check it.
    fn checked(self) -> Result<Self, clap::Error> {
        if self.migrate_only && self.no_migrate {
            let message = "--migrate-only migrates, and --no-migrate (VOELGOED_SCAN_NO_MIGRATE) forbids it: give one of them";
            return Err(Self::command().error(ErrorKind::ArgumentConflict, message));
        }
        Ok(self)
    }

    /// A configuration with a free port of this machine, for tests and demos.
    #[must_use]
    pub fn on_free_port(database_url: impl Into<String>) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)).to_string(),
            database_url: database_url.into(),
            ..Self::default()
        }
    }
}

/// The command whose empty environment variables count as unset.
fn ignore_empty_variables(command: clap::Command) -> clap::Command {
    command.mut_args(|argument| {
        let value = argument.get_env().and_then(std::env::var_os);
        if value.is_some_and(|value| value.is_empty()) {
            argument.env(Resettable::Reset)
        } else {
            argument
        }
    })
}

/// The sources of the secrets, for the server and `voelgoed-scan init`.
#[expect(
    clippy::doc_markdown,
    reason = "the command line shows these texts as they are"
)]
#[derive(Debug, Clone, Default, Args)]
pub struct Secrets {
    /// The file with the master secret, at least 32 bytes in hexadecimal; or VOELGOED_SCAN_SECRET_KEY. With SQLite the
    /// default is <database file>.secret, which is created if it is missing.
    #[arg(long, env = "VOELGOED_SCAN_SECRET_KEY_FILE", value_name = "FILE")]
    pub secret_key_file: Option<PathBuf>,

    /// The file with the ticketing platform's secret_key_base; or VOELGOED_SCAN_PHOENIX_SECRET_KEY_BASE.
    #[arg(long, env = "VOELGOED_SCAN_PHOENIX_SECRET_KEY_BASE_FILE", value_name = "FILE")]
    pub phoenix_secret_key_base_file: Option<PathBuf>,

    /// The salt with which the platform signs the tokens of its tickets.
    #[arg(long, env = "VOELGOED_SCAN_PHOENIX_SALT", value_name = "TEXT")]
    pub phoenix_salt: Option<String>,

    /// The platform's key_iterations, if not 1000.
    #[arg(long, env = "VOELGOED_SCAN_PHOENIX_KEY_ITERATIONS", value_name = "NUMBER")]
    pub phoenix_key_iterations: Option<u32>,

    /// The platform's key_length, if not 32.
    #[arg(long, env = "VOELGOED_SCAN_PHOENIX_KEY_LENGTH", value_name = "BYTES")]
    pub phoenix_key_length: Option<usize>,

    /// The platform's key_digest, if not sha256: sha256, sha384 or sha512.
    #[arg(long, env = "VOELGOED_SCAN_PHOENIX_KEY_DIGEST", value_name = "NAME", value_parser = KeyDigest::from_str)]
    pub phoenix_key_digest: Option<KeyDigest>,
}

/// The settings of the platform's keys are incomplete or invalid.
#[derive(Debug, thiserror::Error)]
pub enum PhoenixError {
    /// The file of the secret cannot be read, or two sources of it are given.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// Only one of secret and salt is given.
    #[error("only one of the platform's secret_key_base and salt is given; both are required")]
    Incomplete,
    /// The keys cannot be derived.
    #[error("the platform's keys: {0}")]
    Invalid(#[from] InvalidPhoenixKeys),
}

impl Secrets {
    /// Loads the master secret. With SQLite and no configured source it creates a missing one.
    pub fn master(&self, database_url: &str) -> Result<MasterSecret, SecretError> {
        match (&self.secret_key_file, variable(SECRET_KEY)) {
            (Some(_), Some(_)) => Err(SecretError::Twice {
                first: "--secret-key-file",
                second: SECRET_KEY,
            }),
            (Some(path), None) => secret::from_file(path),
            (None, Some(text)) => MasterSecret::from_hex(&text).map_err(|source| SecretError::Invalid {
                origin: SECRET_KEY.to_owned(),
                source,
            }),
            (None, None) => secret::load_or_create(database_url),
        }
    }

    /// The keys of the platform's tokens; `None` if they are not configured.
    pub fn phoenix(&self) -> Result<Option<PhoenixKeys>, PhoenixError> {
        let secret = match (&self.phoenix_secret_key_base_file, variable(PHOENIX_SECRET)) {
            (Some(_), Some(_)) => {
                let first = "--phoenix-secret-key-base-file";
                return Err(SecretError::Twice {
                    first,
                    second: PHOENIX_SECRET,
                }
                .into());
            }
            (Some(path), None) => Some(secret::read_text(path)?),
            (None, given) => given,
        };
        let (secret, salt) = match (secret, &self.phoenix_salt) {
            (None, None) => return Ok(None),
            (Some(secret), Some(salt)) => (secret, salt),
            _ => return Err(PhoenixError::Incomplete),
        };
        let defaults = KeyDerivation::default();
        let derivation = KeyDerivation {
            iterations: self.phoenix_key_iterations.unwrap_or(defaults.iterations),
            length: self.phoenix_key_length.unwrap_or(defaults.length),
            digest: self.phoenix_key_digest.unwrap_or(defaults.digest),
        };
        // The line end of a text file is not part of the secret.
        Ok(Some(PhoenixKeys::derive(
            secret.trim_end_matches(['\r', '\n']),
            salt,
            derivation,
        )?))
    }
}

/// The value of a variable that contains a secret; `None` if it is empty.
#[expect(
    clippy::disallowed_methods,
    reason = "the one file that reads the environment"
)]
fn variable(name: &str) -> Option<Zeroizing<String>> {
    std::env::var(name)
        .ok()
        .filter(|text| !text.is_empty())
        .map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_are_valid_and_their_defaults_equal_the_default_configuration() {
        Config::command().debug_assert();
        let parsed = Config::try_parse_from(["voelgoed-scan-server"]).expect("no flags");
        assert_eq!(format!("{parsed:?}"), format!("{:?}", Config::default()));
    }

    #[test]
    fn a_trusted_proxy_is_an_address_or_a_network_and_several_are_separated_by_commas() {
        let arguments = [
            "server",
            "--trusted-proxy",
            "10.0.0.0/8,192.0.2.1",
            "--trusted-proxy",
            "::1",
        ];
        let networks = Config::try_parse_from(arguments)
            .expect("networks")
            .trusted_proxies;
        let networks: Vec<_> = networks.iter().map(ToString::to_string).collect();
        assert_eq!(networks, ["10.0.0.0/8", "192.0.2.1/32", "::1/128"]);
        for text in ["10.0.0.0/33", "proxy", "10.0.0"] {
            assert!(
                Config::try_parse_from(["server", "--trusted-proxy", text]).is_err(),
                "{text}"
            );
        }
    }

    #[test]
    fn origins_are_repeatable_or_separated_by_commas_and_an_invalid_one_is_refused_with_the_reason() {
        let arguments = [
            "server",
            "--cors-origin",
            "https://a.example,http://b.example:81",
            "--cors-origin",
            "app://c",
        ];
        let parsed = Config::try_parse_from(arguments).expect("origins");
        assert_eq!(parsed.cors_origins.len(), 3);
        for (text, message) in [
            ("*", "name each origin"),
            (
                "https://a.example/",
                "is not an origin such as https://app.example.org",
            ),
        ] {
            let error = Config::try_parse_from(["server", "--cors-origin", text]).expect_err(text);
            assert!(error.to_string().contains(message), "{error}");
        }
    }

    #[test]
    fn migrating_only_contradicts_not_migrating() {
        let parse = |arguments: &[&str]| Config::try_parse_from(arguments).and_then(Config::checked);
        let both = ["server", "--migrate-only", "--no-migrate"];
        let error = parse(&both).expect_err("a contradiction");
        assert_eq!(error.kind(), ErrorKind::ArgumentConflict);
        assert!(error.to_string().contains("give one of them"), "{error}");
        for one in ["--migrate-only", "--no-migrate"] {
            assert!(parse(&["server", one]).is_ok(), "{one}");
        }
    }

    #[test]
    fn a_certificate_needs_its_key() {
        assert!(Config::try_parse_from(["server", "--tls-cert", "a.pem"]).is_err());
    }
}
