//! Which IP addresses belong to the public Internet. A tenant chooses the URL of a webhook, so the server must not connect
//! to an address inside its own network for it.
//!
//! Invariants:
//! - An address is allowed only if no block of IANA's registries of special-purpose addresses (IPv4 and IPv6) that holds
//!   it says otherwise. The smallest block that holds it decides, as the registries demand.
//! - Multicast is refused, and so is IPv6 outside `2000::/3`, which IANA has not allocated for the public Internet.
//! - An IPv6 address that leads to an IPv4 address (mapped, NAT64, 6to4) is judged by that one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A block of IPv4 addresses: its first address, the length of its prefix, and whether it is globally reachable.
type Ipv4Block = (Ipv4Addr, u32, bool);

/// The registry "IANA IPv4 Special-Purpose Address Space", and multicast (RFC 5771).
const IPV4_BLOCKS: &[Ipv4Block] = &[
    // "This network", RFC 791.
    (Ipv4Addr::UNSPECIFIED, 8, false),
    // Private use, RFC 1918.
    (Ipv4Addr::new(10, 0, 0, 0), 8, false),
    (Ipv4Addr::new(172, 16, 0, 0), 12, false),
    (Ipv4Addr::new(192, 168, 0, 0), 16, false),
    // Shared address space, RFC 6598.
    (Ipv4Addr::new(100, 64, 0, 0), 10, false),
    // Loopback, RFC 1122.
    (Ipv4Addr::new(127, 0, 0, 0), 8, false),
    // Link-local, RFC 3927. Clouds serve credentials here.
    (Ipv4Addr::new(169, 254, 0, 0), 16, false),
    // IETF protocol assignments, RFC 6890, with the anycast addresses of PCP (RFC 7723) and TURN (RFC 8155).
    (Ipv4Addr::new(192, 0, 0, 0), 24, false),
    (Ipv4Addr::new(192, 0, 0, 9), 32, true),
    (Ipv4Addr::new(192, 0, 0, 10), 32, true),
    // Documentation, RFC 5737.
    (Ipv4Addr::new(192, 0, 2, 0), 24, false),
    (Ipv4Addr::new(198, 51, 100, 0), 24, false),
    (Ipv4Addr::new(203, 0, 113, 0), 24, false),
    // Relays of 6to4, RFC 7526: deprecated.
    (Ipv4Addr::new(192, 88, 99, 0), 24, false),
    // Benchmarking, RFC 2544.
    (Ipv4Addr::new(198, 18, 0, 0), 15, false),
    // Multicast, RFC 5771.
    (Ipv4Addr::new(224, 0, 0, 0), 4, false),
    // Reserved, RFC 1112, and the limited broadcast.
    (Ipv4Addr::new(240, 0, 0, 0), 4, false),
];

/// A block of IPv6 addresses: its first address, the length of its prefix, and whether it is globally reachable.
type Ipv6Block = (Ipv6Addr, u32, bool);

/// The global unicast addresses (RFC 4291), and the blocks in them that the registry "IANA IPv6 Special-Purpose Address
/// Space" lists.
const IPV6_BLOCKS: &[Ipv6Block] = &[
    (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3, true),
    // IETF protocol assignments, RFC 2928. They hold Teredo, benchmarking (2001:2::/48) and the former ORCHIDs.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, false),
    // The anycast addresses of PCP (RFC 7723), TURN (RFC 8155) and DNS-SD (RFC 9665).
    (Ipv6Addr::new(0x2001, 1, 0, 0, 0, 0, 0, 1), 128, true),
    (Ipv6Addr::new(0x2001, 1, 0, 0, 0, 0, 0, 2), 128, true),
    (Ipv6Addr::new(0x2001, 1, 0, 0, 0, 0, 0, 3), 128, true),
    // AMT, RFC 7450.
    (Ipv6Addr::new(0x2001, 3, 0, 0, 0, 0, 0, 0), 32, true),
    // AS112, RFC 7535.
    (Ipv6Addr::new(0x2001, 4, 0x112, 0, 0, 0, 0, 0), 48, true),
    // ORCHIDv2, RFC 7343, and drone remote identification, RFC 9374.
    (Ipv6Addr::new(0x2001, 0x20, 0, 0, 0, 0, 0, 0), 28, true),
    (Ipv6Addr::new(0x2001, 0x30, 0, 0, 0, 0, 0, 0), 28, true),
    // Documentation, RFC 3849 and RFC 9637.
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, false),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, false),
];

/// Whether an address is one of the public Internet.
#[must_use]
pub fn is_globally_reachable(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_reachable_v4(address),
        IpAddr::V6(address) => match inner_v4(address) {
            Some(inner) => is_reachable_v4(inner),
            None => is_reachable_v6(address),
        },
    }
}

fn is_reachable_v4(address: Ipv4Addr) -> bool {
    let holds = |(first, length, _): &&Ipv4Block| (address.to_bits() ^ first.to_bits()) >> (32 - length) == 0;
    let smallest = IPV4_BLOCKS
        .iter()
        .filter(holds)
        .max_by_key(|(_, length, _)| *length);
    smallest.is_none_or(|(_, _, reachable)| *reachable)
}

fn is_reachable_v6(address: Ipv6Addr) -> bool {
    let holds =
        |(first, length, _): &&Ipv6Block| (address.to_bits() ^ first.to_bits()) >> (128 - length) == 0;
    let smallest = IPV6_BLOCKS
        .iter()
        .filter(holds)
        .max_by_key(|(_, length, _)| *length);
    smallest.is_some_and(|(_, _, reachable)| *reachable)
}

/// The IPv4 address to which an IPv6 address leads: mapped (`::ffff:0:0/96`), NAT64 (`64:ff9b::/96`, RFC 6052) and 6to4
/// (`2002::/16`, RFC 3056).
fn inner_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let join = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => Some(join(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_allowed(address: &str) -> bool {
        is_globally_reachable(address.parse().expect(address))
    }

    /// The first and the last address of each refused block, and its neighbours where those are allowed.
    const IPV4_REFUSED: &[(&str, &str, Option<&str>, Option<&str>)] = &[
        ("0.0.0.0", "0.255.255.255", None, Some("1.0.0.0")),
        (
            "10.0.0.0",
            "10.255.255.255",
            Some("9.255.255.255"),
            Some("11.0.0.0"),
        ),
        (
            "100.64.0.0",
            "100.127.255.255",
            Some("100.63.255.255"),
            Some("100.128.0.0"),
        ),
        (
            "127.0.0.0",
            "127.255.255.255",
            Some("126.255.255.255"),
            Some("128.0.0.0"),
        ),
        (
            "169.254.0.0",
            "169.254.255.255",
            Some("169.253.255.255"),
            Some("169.255.0.0"),
        ),
        (
            "172.16.0.0",
            "172.31.255.255",
            Some("172.15.255.255"),
            Some("172.32.0.0"),
        ),
        (
            "192.0.0.0",
            "192.0.0.8",
            Some("191.255.255.255"),
            Some("192.0.0.9"),
        ),
        ("192.0.0.11", "192.0.0.255", Some("192.0.0.10"), Some("192.0.1.0")),
        ("192.0.2.0", "192.0.2.255", Some("192.0.1.255"), Some("192.0.3.0")),
        (
            "192.88.99.0",
            "192.88.99.255",
            Some("192.88.98.255"),
            Some("192.88.100.0"),
        ),
        (
            "192.168.0.0",
            "192.168.255.255",
            Some("192.167.255.255"),
            Some("192.169.0.0"),
        ),
        (
            "198.18.0.0",
            "198.19.255.255",
            Some("198.17.255.255"),
            Some("198.20.0.0"),
        ),
        (
            "198.51.100.0",
            "198.51.100.255",
            Some("198.51.99.255"),
            Some("198.51.101.0"),
        ),
        (
            "203.0.113.0",
            "203.0.113.255",
            Some("203.0.112.255"),
            Some("203.0.114.0"),
        ),
        ("224.0.0.0", "239.255.255.255", Some("223.255.255.255"), None),
        ("240.0.0.0", "255.255.255.255", None, None),
    ];

    #[test]
    fn blocks_of_the_ipv4_registry_are_refused_from_their_first_to_their_last_address() {
        for (first, last, before, after) in IPV4_REFUSED {
            assert!(!is_allowed(first), "{first}");
            assert!(!is_allowed(last), "{last}");
            for neighbour in [before, after].into_iter().flatten() {
                assert!(is_allowed(neighbour), "{neighbour}");
            }
        }
    }

    #[test]
    fn blocks_that_the_ipv4_registry_calls_globally_reachable_are_allowed() {
        // AS112 (RFC 7535, RFC 7534) and AMT (RFC 7450) stand in the registry as globally reachable.
        for address in [
            "192.31.196.0",
            "192.52.193.255",
            "192.175.48.6",
            "8.8.8.8",
            "93.184.216.34",
        ] {
            assert!(is_allowed(address), "{address}");
        }
    }

    #[test]
    fn blocks_of_the_ipv6_registry_are_refused_from_their_first_to_their_last_address() {
        for (first, last, before, after) in [
            ("::", "::fffe:ffff:ffff", None, None),
            ("64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", None, None),
            ("100::", "100::ffff:ffff:ffff:ffff", None, None),
            ("100:0:0:1::", "100:0:0:1:ffff:ffff:ffff:ffff", None, None),
            (
                "1fff::",
                "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                None,
                Some("2000::"),
            ),
            (
                "2001::",
                "2001:1::",
                Some("2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
                Some("2001:1::1"),
            ),
            (
                "2001:1::4",
                "2001:2:ffff:ffff:ffff:ffff:ffff:ffff",
                Some("2001:1::3"),
                Some("2001:3::"),
            ),
            (
                "2001:4::",
                "2001:4:111:ffff:ffff:ffff:ffff:ffff",
                Some("2001:3:ffff:ffff:ffff:ffff:ffff:ffff"),
                Some("2001:4:112::"),
            ),
            (
                "2001:4:113::",
                "2001:1f:ffff:ffff:ffff:ffff:ffff:ffff",
                Some("2001:4:112:ffff:ffff:ffff:ffff:ffff"),
                Some("2001:20::"),
            ),
            (
                "2001:40::",
                "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff",
                Some("2001:3f:ffff:ffff:ffff:ffff:ffff:ffff"),
                Some("2001:200::"),
            ),
            (
                "2001:db8::",
                "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
                Some("2001:db7:ffff:ffff:ffff:ffff:ffff:ffff"),
                Some("2001:db9::"),
            ),
            (
                "3fff::",
                "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff",
                Some("3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
                Some("3fff:1000::"),
            ),
            (
                "4000::",
                "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                Some("3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
                None,
            ),
            ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", None, None),
            ("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", None, None),
            ("fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", None, None),
            ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", None, None),
        ] {
            assert!(!is_allowed(first), "{first}");
            assert!(!is_allowed(last), "{last}");
            for neighbour in [before, after].into_iter().flatten() {
                assert!(is_allowed(neighbour), "{neighbour}");
            }
        }
        for address in [
            "::1",
            "::127.0.0.1",
            "2001::7f00:1",
            "2001:10::1",
            "::ffff:0:7f00:1",
        ] {
            assert!(!is_allowed(address), "{address}");
        }
        for address in [
            "2620:4f:8000::",
            "2606:2800:220:1:248:1893:25c8:1946",
            "2a00:1450::1",
        ] {
            assert!(is_allowed(address), "{address}");
        }
    }

    #[test]
    fn an_address_that_leads_to_ipv4_is_judged_by_the_ipv4_address() {
        let outside = IPV4_REFUSED
            .iter()
            .flat_map(|(_, _, before, after)| [before, after]);
        let allowed = outside.flatten().map(|address| (*address, true));
        let refused = IPV4_REFUSED
            .iter()
            .flat_map(|(first, last, ..)| [(*first, false), (*last, false)]);
        for (text, expected) in allowed.chain(refused) {
            let inner: Ipv4Addr = text.parse().expect(text);
            let [a, b, c, d] = inner.octets();
            for address in [
                format!("::ffff:{inner}"),
                format!("64:ff9b::{inner}"),
                format!("2002:{a:02x}{b:02x}:{c:02x}{d:02x}::1"),
                format!("2002:{a:02x}{b:02x}:{c:02x}{d:02x}:ffff:ffff:ffff:ffff:ffff"),
            ] {
                assert_eq!(is_allowed(&address), expected, "{address}");
            }
        }
    }
}
