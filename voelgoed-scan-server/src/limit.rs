//! Does a device call too often? A bucket of calls for each device, refilled at a steady rate.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use voelgoed_scan_core::{Device, DeviceId, OrganizationId};

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
