//! The configuration of a server: flags, or environment variables with the same meaning. Secrets come from files or
//! variables only.
//!
//! Invariants: no other module of the server reads the environment.

mod database_pooler;
mod secrets;
mod value_parsers;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::{BoolishValueParser, Resettable};
use clap::error::ErrorKind;
use clap::{ArgAction, CommandFactory as _, FromArgMatches as _, Parser};
use ipnet::IpNet;

use crate::app_version::AppVersion;
use crate::clock::StandingClock;
use crate::cors::Origin;
use crate::log::LogFormat;
use crate::traces::OtlpEndpoint;
pub use database_pooler::DatabasePooler;
pub use secrets::{PhoenixError, Secrets};
pub use value_parsers::{InvalidDuration, parse_duration};
use value_parsers::{parse_network, parse_public_url};

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

    /// The proxies whose X-Forwarded-For header names the address of the client: addresses or networks such as 10.0.0.0/8;
    /// repeatable, or with commas.
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

#[cfg(test)]
mod tests;
