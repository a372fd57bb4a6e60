//! The settings that every command shares: the server's address, the credential and the output format.

use std::path::PathBuf;

use zeroize::Zeroizing;

use crate::args::{Global, OutputFormat};
use crate::client::{self, Client, Connector};
use crate::env;
use crate::failure::Failure;

/// The settings that every command shares.
#[derive(Debug)]
pub(crate) struct Context {
    server: String,
    token_file: Option<PathBuf>,
    tls_ca: Option<PathBuf>,
    /// The format of results on standard output.
    pub(crate) output: OutputFormat,
    /// Whether notes and progress bars are switched off.
    pub(crate) quiet: bool,
}

impl Context {
    /// Takes the settings from the global options.
    pub(crate) fn new(global: &Global) -> Self {
        Self {
            server: global.server.clone(),
            token_file: global.token_file.clone(),
            tls_ca: global.tls_ca.clone(),
            output: global.output,
            quiet: global.quiet,
        }
    }

    /// A client of the server.
    ///
    /// A missing credential is not an error here: the server's answer says which one the call needs.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        Client::new(&self.server, self.token()?, self.tls_ca.as_deref())
    }

    /// A connector for single connections outside the client's pool.
    pub(crate) fn connector(&self) -> Result<Connector, Failure> {
        client::connector(self.tls_ca.as_deref())
    }

    fn token(&self) -> Result<Option<Zeroizing<String>>, Failure> {
        let Some(path) = &self.token_file else {
            return Ok(env::token());
        };
        let text = std::fs::read_to_string(path)
            .map(Zeroizing::new)
            .map_err(|error| Failure::file(path, error))?;
        let text = text.trim();
        if text.is_empty() {
            return Err(Failure::invalid(
                path.display().to_string(),
                "is empty: it should hold a token",
            ));
        }
        Ok(Some(Zeroizing::new(text.to_owned())))
    }
}
