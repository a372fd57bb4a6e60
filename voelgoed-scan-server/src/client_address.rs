//! The address of the client that a request comes from.
//!
//! Invariants: a header is believed only as far as trusted proxies wrote it: the address is the rightmost one that is not a
//! trusted proxy's.

use std::net::{IpAddr, SocketAddr};

use hyper::HeaderMap;
use hyper::header::HeaderName;
use ipnet::IpNet;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The networks of the proxies that tell the addresses of their clients.
pub(crate) struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    pub(crate) fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    /// Whether the address is a trusted proxy's.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The address of the client: the peer's, or what the trusted proxies between it and this server report in
    /// `X-Forwarded-For`. `Forwarded` is not read: a proxy that writes the one passes on what a client wrote in the other.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let peer = peer.to_canonical();
        if !self.contains(peer) {
            return peer;
        }
        let mut nearest = peer;
        for reported in reported_addresses(headers).into_iter().rev() {
            // What stands left of an unreadable address is not known to come from a trusted proxy.
            let Some(address) = reported else { break };
            nearest = address;
            if !self.contains(address) {
                break;
            }
        }
        nearest
    }
}

/// The addresses that the header reports, the client's first; `None` for one that is not an address.
fn reported_addresses(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    let values = headers.get_all(X_FORWARDED_FOR).into_iter();
    values
        .flat_map(|value| value.to_str().unwrap_or_default().split(','))
        .map(parse_address)
        .collect()
}

/// An address with or without a port; an IPv6 address also in brackets.
fn parse_address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let unbracketed = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let address = unbracketed.unwrap_or(text).parse::<IpAddr>();
    let address = address.or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()));
    address.ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn client(peer: &str, headers: &[(HeaderName, &'static str)]) -> String {
        let proxies = ["10.0.0.0/8", "2001:db8::/32"];
        let proxies = TrustedProxies::new(
            proxies
                .map(|network| network.parse().expect("a network"))
                .to_vec(),
        );
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name, HeaderValue::from_static(value));
        }
        proxies
            .client(peer.parse().expect("an address"), &map)
            .to_string()
    }

    #[test]
    fn the_client_is_the_rightmost_address_that_is_not_a_trusted_proxy() {
        let forwarded_for = |value| [(X_FORWARDED_FOR, value)];
        for (value, expected) in [
            ("192.0.2.7", "192.0.2.7"),
            ("198.51.100.1, 192.0.2.7", "192.0.2.7"),
            ("198.51.100.1, 192.0.2.7, 10.1.1.1", "192.0.2.7"),
            ("192.0.2.7:4711", "192.0.2.7"),
            ("2a00::1", "2a00::1"),
            ("[2a00::1]:4711", "2a00::1"),
            ("[2a00::1]", "2a00::1"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("10.2.2.2, 10.1.1.1", "10.2.2.2"),
            ("192.0.2.7, unknown", "10.0.0.1"),
            ("192.0.2.7, unknown, 10.1.1.1", "10.1.1.1"),
            ("", "10.0.0.1"),
        ] {
            assert_eq!(client("10.0.0.1", &forwarded_for(value)), expected, "{value}");
        }
        let two = [(X_FORWARDED_FOR, "198.51.100.1"), (X_FORWARDED_FOR, "192.0.2.7")];
        assert_eq!(client("10.0.0.1", &two), "192.0.2.7");
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(
            client("::ffff:10.0.0.1", &forwarded_for("192.0.2.7")),
            "192.0.2.7"
        );
    }

    #[test]
    fn no_other_header_names_the_client() {
        let forwarded = HeaderName::from_static("forwarded");
        assert_eq!(client("10.0.0.1", &[(forwarded, "for=192.0.2.7")]), "10.0.0.1");
    }

    #[test]
    fn the_header_of_any_other_peer_is_ignored() {
        let headers = [(X_FORWARDED_FOR, "192.0.2.7")];
        assert_eq!(client("203.0.113.5", &headers), "203.0.113.5");
    }
}
