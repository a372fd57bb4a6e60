//! Where the secrets come from: files or variables.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use voelgoed_scan_core::token::{InvalidPhoenixKeys, KeyDerivation, KeyDigest, MasterSecret, PhoenixKeys};
use zeroize::Zeroizing;

use crate::secret::{self, SecretError};

/// The variable that contains the master secret in hexadecimal.
const SECRET_KEY: &str = "VOELGOED_SCAN_SECRET_KEY";
/// The variable that contains the platform's `secret_key_base`.
const PHOENIX_SECRET: &str = "VOELGOED_SCAN_PHOENIX_SECRET_KEY_BASE";

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
    reason = "only the configuration reads the environment"
)]
fn variable(name: &str) -> Option<Zeroizing<String>> {
    std::env::var(name)
        .ok()
        .filter(|text| !text.is_empty())
        .map(Zeroizing::new)
}
