//! What does a command find when it starts? The server's address, the credential, whether anybody watches.

use std::path::PathBuf;

use zeroize::Zeroizing;

use crate::args::{Form, Global};
use crate::client::{self, Client, Connector};
use crate::failure::Failure;
use crate::world;

/// What every command finds when it starts.
#[derive(Debug)]
pub(crate) struct Desk {
    server: String,
    token_file: Option<PathBuf>,
    tls_ca: Option<PathBuf>,
    /// What results look like.
    pub(crate) form: Form,
    /// Whether notes and progress are unwanted.
    pub(crate) quiet: bool,
}

impl Desk {
    /// What the command line says.
    pub(crate) fn new(global: &Global) -> Self {
        Self {
            server: global.server.clone(),
            token_file: global.token_file.clone(),
            tls_ca: global.tls_ca.clone(),
            form: global.output,
            quiet: global.quiet,
        }
    }

    /// A client of the server, with the credential if there is one: without one, the server says what is missing.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        Client::new(&self.server, self.token()?, self.tls_ca.as_deref())
    }

    /// What opens connections that are not shared.
    pub(crate) fn connector(&self) -> Result<Connector, Failure> {
        client::connector(self.tls_ca.as_deref())
    }

    fn token(&self) -> Result<Option<Zeroizing<String>>, Failure> {
        let Some(path) = &self.token_file else {
            return Ok(world::token());
        };
        let text = std::fs::read_to_string(path)
            .map(Zeroizing::new)
            .map_err(|error| Failure::File {
                path: path.clone(),
                error,
            })?;
        let text = text.trim();
        if text.is_empty() {
            return Err(Failure::unfit(
                path.display().to_string(),
                "is empty: it should hold a token",
            ));
        }
        Ok(Some(Zeroizing::new(text.to_owned())))
    }
}
