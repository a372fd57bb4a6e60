//! The settings that every command shares: the server's address, the credential and the output format.

use std::path::PathBuf;

use zeroize::Zeroizing;

use crate::args::{Global, OutputFormat};
use crate::client::{self, Client, Connector};
use crate::env::{self, BYTE_ORDER_MARK};
use crate::failure::Failure;
use crate::view::View;

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
    /// How tables show ids, times and ticket codes.
    pub(crate) view: View,
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
            view: View {
                ids: global.ids,
                utc: global.utc,
                codes: global.codes,
            },
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
        let text = text.trim_start_matches(BYTE_ORDER_MARK).trim();
        if text.is_empty() {
            return Err(Failure::invalid(
                path.display().to_string(),
                "is empty: it should hold a token",
            ));
        }
        read_token(text).map(Some).ok_or_else(|| Failure::Invalid {
            what: path.display().to_string(),
            reason: "holds no token: a token starts with vgk_ or vgd_".to_owned(),
            hint: Some(
                "give a file with the token alone, or with the JSON that init, apikey create or device register printed",
            ),
        })
    }
}

/// The token in a text: the token alone, or one of the JSON objects that the commands print with a new token.
fn read_token(text: &str) -> Option<Zeroizing<String>> {
    let is_token = |text: &str| text.starts_with("vgk_") || text.starts_with("vgd_");
    if is_token(text) {
        return Some(Zeroizing::new(text.to_owned()));
    }
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).ok()?;
    ["api_key", "key", "token"]
        .iter()
        .filter_map(|name| object.get(*name)?.as_str())
        .find(|text| is_token(text))
        .map(|text| Zeroizing::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_file_holds_a_token_or_the_json_that_a_command_printed() {
        for text in [
            "vgk_abc",
            r#"{"organization_id":"0192f0c1-7a4e-7000-8000-000000000000","api_key":"vgk_abc"}"#,
            r#"{"id":"1","name":"Shop","key":"vgk_abc"}"#,
            "{\n  \"device_id\": \"door-1\",\n  \"token\": \"vgk_abc\"\n}",
        ] {
            assert_eq!(
                read_token(text).as_deref().map(String::as_str),
                Some("vgk_abc"),
                "{text}"
            );
        }
        for text in ["abc", "{}", "[]", r#"{"api_key":7}"#, r#"{"name":"vgk_abc"}"#] {
            assert!(read_token(text).is_none(), "{text}");
        }
    }
}
