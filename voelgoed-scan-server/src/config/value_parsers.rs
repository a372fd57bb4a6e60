//! Parsers of the values of flags and variables.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;

/// The text is not a duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a duration such as 300s, 5m or 1h")]
pub struct InvalidDuration;

/// Parses a whole number with a unit (`ms`, `s`, `m` or `h`) as a duration of at most 366 days.
pub fn parse_duration(text: &str) -> Result<Duration, InvalidDuration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).ok_or(InvalidDuration)?;
    let number: u64 = number.parse().map_err(|_| InvalidDuration)?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(InvalidDuration),
    };
    let duration = Duration::from_millis(number.checked_mul(millis).ok_or(InvalidDuration)?);
    if duration <= Duration::from_hours(366 * 24) {
        Ok(duration)
    } else {
        Err(InvalidDuration)
    }
}

/// The text is not a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not an address or a network such as 10.0.0.0/8")]
pub(super) struct InvalidNetwork;

/// Parses a network, or an address as the network of this address alone.
pub(super) fn parse_network(text: &str) -> Result<IpNet, InvalidNetwork> {
    let text = text.trim();
    let address = text
        .parse::<IpAddr>()
        .map(|address| IpNet::from(address.to_canonical()));
    address.or_else(|_| text.parse()).map_err(|_| InvalidNetwork)
}

/// The text is not the URL of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not an address such as https://scan.example.org")]
pub(super) struct InvalidPublicUrl;

/// Parses the URL of a server: scheme and host, optionally a port and the path under which a proxy serves it.
pub(super) fn parse_public_url(text: &str) -> Result<String, InvalidPublicUrl> {
    let url: hyper::Uri = text.parse().map_err(|_| InvalidPublicUrl)?;
    let is_web = matches!(url.scheme_str(), Some("http" | "https"));
    if is_web && url.host().is_some_and(|host| !host.is_empty()) && url.query().is_none() {
        Ok(text.trim_end_matches('/').to_owned())
    } else {
        Err(InvalidPublicUrl)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_number_with_a_unit() {
        for (text, millis) in [
            ("300s", 300_000),
            ("5m", 300_000),
            ("1h", 3_600_000),
            ("250ms", 250),
            ("0s", 0),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in [
            "",
            "300",
            "s",
            "-1s",
            "1.5s",
            "5 m",
            "5d",
            "99999999999999999999s",
            "100000h",
            "é",
        ] {
            assert_eq!(parse_duration(text), Err(InvalidDuration), "{text:?}");
        }
    }

    #[test]
    fn a_public_url_is_an_http_url_without_a_query() {
        for (text, url) in [
            ("https://scan.example.org/", "https://scan.example.org"),
            ("http://10.0.0.7:8080", "http://10.0.0.7:8080"),
            ("https://example.org/gate", "https://example.org/gate"),
        ] {
            assert_eq!(parse_public_url(text).as_deref(), Ok(url));
        }
        for text in [
            "",
            "scan.example.org",
            "ftp://a",
            "https://",
            "https://a/?b=c",
            "/gate",
        ] {
            assert_eq!(parse_public_url(text), Err(InvalidPublicUrl), "{text:?}");
        }
    }
}
