//! Does a device call too often, or an address without a credential? A bucket of calls for each, refilled at a steady rate.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use voelgoed_scan_core::model::{Device, DeviceId, OrganizationId};

/// How often each device may call.
pub(crate) struct Limit {
    buckets: Option<DefaultKeyedRateLimiter<(OrganizationId, DeviceId)>>,
    clock: DefaultClock,
}

impl Limit {
    /// So many calls a second and twice as many at once; 0 is no limit.
    pub(crate) fn new(calls_a_second: u32) -> Self {
        let buckets = NonZeroU32::new(calls_a_second).map(|rate| {
            let burst = rate.saturating_mul(NonZeroU32::MIN.saturating_add(1));
            RateLimiter::keyed(Quota::per_second(rate).allow_burst(burst))
        });
        Self {
            buckets,
            clock: DefaultClock::default(),
        }
    }

    /// Takes a call from the device's bucket; an empty one says how long to wait.
    pub(crate) fn take(&self, device: &Device) -> Result<(), Duration> {
        let Some(buckets) = &self.buckets else {
            return Ok(());
        };
        buckets
            .check_key(&(device.organization_id, device.id))
            .map_err(|wait| wait.wait_time_from(self.clock.now()))
    }

    /// Forgets devices whose buckets are full again.
    pub(crate) fn forget_idle(&self) {
        if let Some(buckets) = &self.buckets {
            buckets.retain_recent();
            buckets.shrink_to_fit();
        }
    }
}

/// How many tries to enrol an address has in a minute.
const TRIES_A_MINUTE: NonZeroU32 = match NonZeroU32::new(10) {
    Some(tries) => tries,
    None => NonZeroU32::MIN,
};

/// How often an address may try to enrol. Whatever `--rate-limit` says: who calls here is nobody yet.
pub(crate) struct Tries {
    buckets: DefaultKeyedRateLimiter<IpAddr>,
    clock: DefaultClock,
}

impl Tries {
    pub(crate) fn new() -> Self {
        Self {
            buckets: RateLimiter::keyed(Quota::per_minute(TRIES_A_MINUTE)),
            clock: DefaultClock::default(),
        }
    }

    /// Takes a try from the address's bucket; an empty one says how long to wait.
    pub(crate) fn take(&self, address: IpAddr) -> Result<(), Duration> {
        self.buckets
            .check_key(&network(address))
            .map_err(|wait| wait.wait_time_from(self.clock.now()))
    }

    /// Forgets addresses whose buckets are full again.
    pub(crate) fn forget_idle(&self) {
        self.buckets.retain_recent();
        self.buckets.shrink_to_fit();
    }
}

/// Who is one: an address, or, of IPv6, the network that one subscriber is given.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_ten_tries_and_a_network_of_one_subscriber_counts_as_one() {
        let tries = Tries::new();
        let address = |text: &str| text.parse::<IpAddr>().expect("an address");
        for number in 0..10_u32 {
            let from = address(&format!("2001:db8:1:2::{number}"));
            assert_eq!(tries.take(from), Ok(()), "{number}");
        }
        assert!(tries.take(address("2001:db8:1:2:ffff::1")).is_err());
        assert_eq!(tries.take(address("2001:db8:1:3::1")), Ok(()));
        assert_eq!(network(address("::ffff:192.0.2.1")), address("192.0.2.1"));
    }
}
