//! The address of a webhook.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

/// The error of a text that is no address of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidWebhookUrl {
    /// It does not begin with `https://` or `http://`.
    #[error("must begin with https://")]
    Scheme,
    /// It has too many characters.
    #[error("must have at most {} characters", WebhookUrl::MAX)]
    TooLong,
    /// It has a user name or a password.
    #[error("must not have credentials")]
    Credentials,
    /// The host is no name and no address.
    #[error("has no valid host")]
    Host,
    /// The port is no number from 1 to 65535.
    #[error("has no valid port")]
    Port,
    /// A character of the path or the query is not allowed there. A fragment is not, either.
    #[error("has a character that must be percent-encoded, or a fragment")]
    Path,
}

/// The host of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookHost<'a> {
    /// A name, which is looked up.
    Name(&'a str),
    /// A literal address.
    Address(IpAddr),
}

/// An absolute `http` or `https` URL (RFC 3986) without credentials and without a fragment. The host is a name of ASCII
/// letters, an IPv4 address, or an IPv6 address in brackets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct WebhookUrl(String);

impl WebhookUrl {
    /// The maximum number of characters.
    pub const MAX: usize = 2048;

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the connection is encrypted.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https://")
    }

    /// The host.
    #[must_use]
    pub fn host(&self) -> WebhookHost<'_> {
        let after_scheme = self.0.split_once("://").map_or("", |(_, rest)| rest);
        let authority = after_scheme.split(['/', '?']).next().unwrap_or_default();
        if let Some((address, _)) = authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            let name = WebhookHost::Name(address);
            return address
                .parse()
                .map_or(name, |ip| WebhookHost::Address(IpAddr::V6(ip)));
        }
        let host = authority.split(':').next().unwrap_or_default();
        let name = WebhookHost::Name(host);
        host.parse()
            .map_or(name, |ip| WebhookHost::Address(IpAddr::V4(ip)))
    }
}

/// Splits host and port, and checks both.
fn check_authority(authority: &str) -> Result<(), InvalidWebhookUrl> {
    if authority.contains('@') {
        return Err(InvalidWebhookUrl::Credentials);
    }
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (address, after) = rest.split_once(']').ok_or(InvalidWebhookUrl::Host)?;
        address
            .parse::<std::net::Ipv6Addr>()
            .map_err(|_| InvalidWebhookUrl::Host)?;
        match after.strip_prefix(':') {
            Some(port) => ("", Some(port)),
            None if after.is_empty() => ("", None),
            None => return Err(InvalidWebhookUrl::Host),
        }
    } else {
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        };
        if !is_host(host) {
            return Err(InvalidWebhookUrl::Host);
        }
        (host, port)
    };
    debug_assert!(host.is_ascii(), "a host is checked");
    let is_port = |port: &str| {
        port.bytes().all(|byte| byte.is_ascii_digit())
            && !port.starts_with('0')
            && port.parse::<u16>().is_ok()
    };
    if port.is_some_and(|port| !is_port(port)) {
        return Err(InvalidWebhookUrl::Port);
    }
    Ok(())
}

/// Whether a text is a host name or an IPv4 address. The last label of a name begins with a letter: one that begins with a
/// digit could be read as an address in an unusual notation (`127.1`, `0x7f000001`).
fn is_host(host: &str) -> bool {
    if host.parse::<std::net::Ipv4Addr>().is_ok() {
        return true;
    }
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let name = host.strip_suffix('.').unwrap_or(host);
    let last = name.rsplit('.').next().unwrap_or_default();
    let begins_with_letter = last.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic());
    name.len() <= 253 && name.split('.').all(is_label) && begins_with_letter
}

/// Whether path and query have only the characters of RFC 3986.
fn is_path(path: &str) -> bool {
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        let is_allowed = byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?".contains(&byte);
        let is_encoded = byte == b'%'
            && [bytes.next(), bytes.next()]
                .iter()
                .all(|digit| digit.is_some_and(|digit| digit.is_ascii_hexdigit()));
        if !is_allowed && !is_encoded {
            return false;
        }
    }
    true
}

impl FromStr for WebhookUrl {
    type Err = InvalidWebhookUrl;

    fn from_str(text: &str) -> Result<Self, InvalidWebhookUrl> {
        let rest = text
            .strip_prefix("https://")
            .or_else(|| text.strip_prefix("http://"))
            .ok_or(InvalidWebhookUrl::Scheme)?;
        if text.chars().count() > Self::MAX {
            return Err(InvalidWebhookUrl::TooLong);
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        check_authority(authority)?;
        if !is_path(path) {
            return Err(InvalidWebhookUrl::Path);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl<'de> Deserialize<'de> for WebhookUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::model::text::parsed(deserializer)
    }
}

/// The rules that a regular expression can say: scheme, host, port, path and query.
#[cfg(feature = "schema")]
const PATTERN: &str = concat!(
    "^https?://",
    "(?:\\[[0-9A-Fa-f:.]+\\]",
    "|(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])\\.){3}(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])",
    "|(?:[A-Za-z0-9_-]{1,63}\\.)*[A-Za-z][A-Za-z0-9_-]{0,62}\\.?)",
    "(?::(?:6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3}))?",
    "(?:[/?](?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*)?$"
);

#[cfg(feature = "schema")]
impl schemars::JsonSchema for WebhookUrl {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "WebhookUrl".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string", "maxLength": Self::MAX,
            "pattern": PATTERN
        })
    }
}
