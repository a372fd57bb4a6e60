//! Rate limits: one for each device, and one for each address that calls without a credential (token buckets).

use std::collections::HashSet;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use parking_lot::Mutex;
use voelgoed_scan_core::model::{Device, DeviceId, OrganizationId};

/// The rate limit of devices.
pub(crate) struct DeviceLimit {
    buckets: Option<DefaultKeyedRateLimiter<(OrganizationId, DeviceId)>>,
    clock: DefaultClock,
}

impl DeviceLimit {
    /// A limit of `rate` requests per second with a burst of twice as many; 0 turns it off.
    pub(crate) fn new(rate: u32) -> Self {
        let buckets = NonZeroU32::new(rate).map(|rate| {
            let burst = rate.saturating_mul(NonZeroU32::MIN.saturating_add(1));
            RateLimiter::keyed(Quota::per_second(rate).allow_burst(burst))
        });
        Self {
            buckets,
            clock: DefaultClock::default(),
        }
    }

    /// Counts a request of the device. The error is the time until the next request is allowed.
    pub(crate) fn check(&self, device: &Device) -> Result<(), Duration> {
        let Some(buckets) = &self.buckets else {
            return Ok(());
        };
        buckets
            .check_key(&(device.organization_id, device.id))
            .map_err(|wait| wait.wait_time_from(self.clock.now()))
    }

    /// Frees the memory of devices whose buckets are full again.
    pub(crate) fn remove_idle(&self) {
        if let Some(buckets) = &self.buckets {
            buckets.retain_recent();
            buckets.shrink_to_fit();
        }
    }
}

/// The devices with a request under way on a route that a device calls one at a time. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct DeviceTurns(Arc<Mutex<HashSet<(OrganizationId, DeviceId)>>>);

impl DeviceTurns {
    /// Begins a request of the device. `None` if it has one under way.
    pub(crate) fn begin(&self, device: &Device) -> Option<DeviceTurn> {
        let device = (device.organization_id, device.id);
        let begins = self.0.lock().insert(device);
        begins.then(|| DeviceTurn {
            turns: self.clone(),
            device,
        })
    }
}

/// The request of a device that is under way. It ends when this is dropped.
pub(crate) struct DeviceTurn {
    turns: DeviceTurns,
    device: (OrganizationId, DeviceId),
}

impl Drop for DeviceTurn {
    fn drop(&mut self) {
        self.turns.0.lock().remove(&self.device);
    }
}

/// The number of requests per minute that an address may make without a credential.
const REQUESTS_PER_MINUTE: NonZeroU32 = match NonZeroU32::new(10) {
    Some(requests) => requests,
    None => NonZeroU32::MIN,
};

/// The rate limit of addresses that call without a credential, to enrol. It is independent of `--rate-limit`.
pub(crate) struct AddressLimit {
    buckets: DefaultKeyedRateLimiter<IpAddr>,
    clock: DefaultClock,
}

impl AddressLimit {
    pub(crate) fn new() -> Self {
        Self {
            buckets: RateLimiter::keyed(Quota::per_minute(REQUESTS_PER_MINUTE)),
            clock: DefaultClock::default(),
        }
    }

    /// Counts a request from the address. The error is the time until the next request is allowed.
    pub(crate) fn check(&self, address: IpAddr) -> Result<(), Duration> {
        self.buckets
            .check_key(&subscriber(address))
            .map_err(|wait| wait.wait_time_from(self.clock.now()))
    }

    /// Frees the memory of addresses whose buckets are full again.
    pub(crate) fn remove_idle(&self) {
        self.buckets.retain_recent();
        self.buckets.shrink_to_fit();
    }
}

/// The key of the limit: an IPv4 address, or the /64 network of an IPv6 address, which one subscriber has.
fn subscriber(address: IpAddr) -> IpAddr {
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
    fn an_address_has_ten_requests_per_minute_and_an_ipv6_network_counts_as_one_address() {
        let limit = AddressLimit::new();
        let address = |text: &str| text.parse::<IpAddr>().expect("an address");
        for number in 0..10_u32 {
            let from = address(&format!("2001:db8:1:2::{number}"));
            assert_eq!(limit.check(from), Ok(()), "{number}");
        }
        assert!(limit.check(address("2001:db8:1:2:ffff::1")).is_err());
        assert_eq!(limit.check(address("2001:db8:1:3::1")), Ok(()));
        assert_eq!(subscriber(address("::ffff:192.0.2.1")), address("192.0.2.1"));
    }
}
