//! Limits of callers: the rate of each device, the requests that run at once with each API key and for each organization, and
//! the failures of each address that calls without a credential.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use parking_lot::Mutex;
use tokio::sync::{Mutex as FairMutex, OwnedMutexGuard};
use tokio::time::timeout;
use voelgoed_scan_core::model::{ApiKey, ApiKeyId, Device, DeviceId, OrganizationId};
use voelgoed_scan_core::shares::{SharePermit, Shares};

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

/// How many requests with one API key run at once. Others of the key wait.
const MAX_REQUESTS_OF_KEY: usize = 16;

/// How many requests with the API keys of one organization run at once.
const MAX_REQUESTS_OF_ORGANIZATION: usize = 32;

/// How long a request waits for those of its key and its organization.
const SHARE_TIMEOUT: Duration = Duration::from_millis(1500);

/// When a request is repeated that waited for too long.
const SHARE_RETRY: Duration = Duration::from_secs(1);

/// Limits how many requests of members run at once, so that no API key and no organization takes all connections to the
/// database. Devices have limits of their own. Imports are not counted: they last, and wait behind scans.
pub(crate) struct MemberShares {
    of_keys: Shares<(OrganizationId, ApiKeyId)>,
    of_organizations: Shares<OrganizationId>,
}

/// A request of a member that runs. It ends when this is dropped.
#[expect(dead_code, reason = "dropped at the end")]
pub(crate) struct MemberShare {
    of_key: SharePermit<(OrganizationId, ApiKeyId)>,
    of_organization: SharePermit<OrganizationId>,
}

impl MemberShares {
    pub(crate) fn new() -> Self {
        Self {
            of_keys: Shares::new(MAX_REQUESTS_OF_KEY),
            of_organizations: Shares::new(MAX_REQUESTS_OF_ORGANIZATION),
        }
    }

    /// Begins a request; waits for others of its key and its organization. The error is the time until the request should be
    /// repeated.
    pub(crate) async fn begin(&self, key: &ApiKey) -> Result<MemberShare, Duration> {
        let share = async {
            Some(MemberShare {
                of_key: self.of_keys.acquire((key.organization_id, key.id), 1).await?,
                of_organization: self.of_organizations.acquire(key.organization_id, 1).await?,
            })
        };
        let share = timeout(SHARE_TIMEOUT, share).await;
        share.ok().flatten().ok_or(SHARE_RETRY)
    }
}

/// The number of attempts of an address that may fail within [`FAILURE_WINDOW`].
const MAX_FAILURES: usize = 10;
const FAILURE_WINDOW: Duration = Duration::from_secs(60);

/// The limit of failed attempts by addresses that call without a credential, to enrol. It is independent of `--rate-limit`.
/// Successes do not count, so that all phones of a venue may enrol from one address.
#[derive(Default)]
pub(crate) struct AddressLimit {
    failures: Mutex<HashMap<IpAddr, Failures>>,
}

/// When the latest attempts of an address failed, oldest first.
type Failures = Arc<FairMutex<VecDeque<Instant>>>;

impl AddressLimit {
    /// Begins an attempt of the address. The error is the time until the next attempt is allowed. Attempts of one address
    /// run one after the other; otherwise many that fail could begin before the first of them counts.
    pub(crate) async fn begin(&self, address: IpAddr, now: Instant) -> Result<Attempt, Duration> {
        let failures = Arc::clone(self.failures.lock().entry(subscriber(address)).or_default());
        let mut failures = failures.lock_owned().await;
        remove_old(&mut failures, now);
        match failures.front() {
            Some(&oldest) if failures.len() >= MAX_FAILURES => {
                Err(FAILURE_WINDOW.saturating_sub(now.saturating_duration_since(oldest)))
            }
            _ => Ok(Attempt { failures }),
        }
    }

    /// Frees the memory of addresses without recent failures.
    pub(crate) fn remove_idle(&self, now: Instant) {
        self.failures.lock().retain(|_, failures| {
            // An address in use is kept.
            failures.try_lock().is_ok_and(|mut failures| {
                remove_old(&mut failures, now);
                !failures.is_empty()
            }) || Arc::strong_count(failures) > 1
        });
    }
}

fn remove_old(failures: &mut VecDeque<Instant>, now: Instant) {
    while failures
        .front()
        .is_some_and(|&failure| now.saturating_duration_since(failure) >= FAILURE_WINDOW)
    {
        failures.pop_front();
    }
}

/// An attempt of an address.
pub(crate) struct Attempt {
    failures: OwnedMutexGuard<VecDeque<Instant>>,
}

impl Attempt {
    /// Counts the attempt as a failure.
    pub(crate) fn failed(mut self, now: Instant) {
        self.failures.push_back(now);
    }
}

/// The key of the limit: an IPv4 address, or the /64 network of an IPv6 address, which one subscriber has.
pub(crate) fn subscriber(address: IpAddr) -> IpAddr {
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
    use uuid::Uuid;
    use voelgoed_scan_core::model::{Role, Timestamp};

    use super::*;
    use crate::clock;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[tokio::test]
    async fn ten_failures_a_minute_stop_an_address_and_successes_do_not_count() {
        let limit = AddressLimit::default();
        let start = clock::stopwatch();
        let second = |seconds| start + Duration::from_secs(seconds);
        let from = |number: u64| address(&format!("2001:db8:1:2::{number}"));
        for number in 0..50 {
            let attempt = limit.begin(from(number), start).await;
            drop(attempt.expect("a success does not count"));
        }
        for number in 0..10 {
            let attempt = limit.begin(from(number), second(number)).await;
            attempt.expect("below the limit").failed(second(number));
        }
        let refused = limit.begin(from(99), second(10)).await;
        assert_eq!(refused.err(), Some(Duration::from_secs(50)));
        let neighbour = address("2001:db8:1:3::1");
        assert!(limit.begin(neighbour, second(10)).await.is_ok());
        limit.remove_idle(second(10));
        assert!(limit.begin(from(99), second(59)).await.is_err());
        let attempt = limit.begin(from(99), second(60)).await;
        attempt
            .expect("the oldest failure no longer counts")
            .failed(second(60));
        assert!(limit.begin(from(99), second(60)).await.is_err());
        limit.remove_idle(second(120));
        assert!(limit.failures.lock().is_empty());
    }

    #[tokio::test]
    async fn attempts_that_run_at_once_do_not_exceed_the_limit() {
        let limit = AddressLimit::default();
        let now = clock::stopwatch();
        let attempts = (0..100).map(|_| async {
            let begun = limit.begin(address("192.0.2.1"), now).await;
            tokio::task::yield_now().await;
            begun.map(|attempt| attempt.failed(now)).is_ok()
        });
        let begun = futures_util::future::join_all(attempts).await;
        assert_eq!(begun.into_iter().filter(|&begun| begun).count(), 10);
    }

    #[tokio::test]
    async fn no_key_and_no_organization_takes_the_requests_of_others() {
        let key = |organization: u128, id: u128| ApiKey {
            id: ApiKeyId::from_uuid(Uuid::from_u128(id)),
            organization_id: OrganizationId::from_uuid(Uuid::from_u128(organization)),
            name: "Platform".parse().expect("a name"),
            role: Role::Viewer,
            inserted_at: Timestamp::MIN,
        };
        let shares = MemberShares::new();
        let mut running = Vec::new();
        for _ in 0..MAX_REQUESTS_OF_KEY {
            running.push(shares.begin(&key(1, 1)).await.expect("within the limit"));
        }
        assert_eq!(shares.begin(&key(1, 1)).await.err(), Some(SHARE_RETRY));
        for _ in MAX_REQUESTS_OF_KEY..MAX_REQUESTS_OF_ORGANIZATION {
            running.push(shares.begin(&key(1, 2)).await.expect("another key"));
        }
        assert_eq!(shares.begin(&key(1, 3)).await.err(), Some(SHARE_RETRY));
        shares.begin(&key(2, 4)).await.expect("another organization");
        running.pop();
        shares.begin(&key(1, 3)).await.expect("a request has ended");
    }

    #[test]
    fn the_addresses_of_an_ipv6_network_count_as_one() {
        assert_eq!(
            subscriber(address("2001:db8:1:2::7")),
            subscriber(address("2001:db8:1:2:ffff::1"))
        );
        assert_eq!(subscriber(address("::ffff:192.0.2.1")), address("192.0.2.1"));
    }
}
