//! When each device last called. The database learns it in batches, because every scan is a call.
//!
//! Invariants: a device that calls is marked within [`MARK_AGE`] and one maintenance interval, which is less than 30 s; the
//! last call of a device that went quiet is marked, too. The first call after a quiet time is marked within a second.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use parking_lot::Mutex;
use voelgoed_scan_core::model::{Device, DeviceId, OrganizationId, Timestamp};
use voelgoed_scan_core::node::Scanner;
use voelgoed_scan_core::store::StoreError;

/// How old the mark of a device that keeps calling may become.
const MARK_AGE: Duration = Duration::from_secs(15);

/// How old a mark is when the next call ends a quiet time.
const QUIET_AGE: Duration = Duration::from_secs(40);

/// A device that has not called for this long is forgotten.
const FORGET_AFTER: Duration = Duration::from_mins(10);

struct Calls {
    last: Timestamp,
    marked: Option<Timestamp>,
}

/// The last calls of the devices at this node.
#[derive(Default)]
pub(crate) struct LastSeen(Mutex<HashMap<(OrganizationId, DeviceId), Calls>>);

impl LastSeen {
    /// Notes a call.
    pub(crate) fn note(&self, device: &Device, now: Timestamp) {
        self.0
            .lock()
            .entry((device.organization_id, device.id))
            .or_insert(Calls {
                last: now,
                marked: None,
            })
            .last = now;
    }

    /// The devices whose mark in the database is too old.
    fn due(&self, now: Timestamp) -> Vec<(OrganizationId, DeviceId, Timestamp)> {
        self.due_if(|calls, marked| calls.last > marked && now >= marked.plus(MARK_AGE))
    }

    /// The devices that called after a quiet time.
    fn due_at_once(&self) -> Vec<(OrganizationId, DeviceId, Timestamp)> {
        self.due_if(|calls, marked| calls.last >= marked.plus(QUIET_AGE))
    }

    fn due_if(
        &self,
        is_due: impl Fn(&Calls, Timestamp) -> bool,
    ) -> Vec<(OrganizationId, DeviceId, Timestamp)> {
        self.0
            .lock()
            .iter()
            .filter(|(_, calls)| calls.marked.is_none_or(|marked| is_due(calls, marked)))
            .map(|((organization, device), calls)| (*organization, *device, calls.last))
            .collect()
    }

    /// Notes which devices were marked. The others stay due.
    fn set_marked(&self, organization: OrganizationId, seen: &[(DeviceId, Timestamp)], marked: &[DeviceId]) {
        let marked: HashSet<_> = marked.iter().collect();
        let mut calls = self.0.lock();
        for (device, at) in seen.iter().filter(|(device, _)| marked.contains(device)) {
            if let Some(calls) = calls.get_mut(&(organization, *device)) {
                calls.marked = Some(*at);
            }
        }
    }

    fn forget_quiet(&self, now: Timestamp) {
        let mut calls = self.0.lock();
        calls.retain(|_, calls| calls.last.plus(FORGET_AFTER) > now);
    }

    /// Marks the devices in the database, with one short write for each organization. What fails is tried again at the next
    /// call.
    pub(crate) async fn write(&self, scanner: &Scanner, now: Timestamp) {
        self.mark(self.due(now), scanner, now).await;
    }

    /// Marks the devices that called after a quiet time.
    pub(crate) async fn write_at_once(&self, scanner: &Scanner, now: Timestamp) {
        self.mark(self.due_at_once(), scanner, now).await;
    }

    async fn mark(&self, due: Vec<(OrganizationId, DeviceId, Timestamp)>, scanner: &Scanner, now: Timestamp) {
        if due.is_empty() {
            return;
        }
        let mut by_organization: BTreeMap<OrganizationId, Vec<_>> = BTreeMap::new();
        for (organization, device, at) in due {
            by_organization
                .entry(organization)
                .or_default()
                .push((device, at));
        }
        for (organization, seen) in by_organization {
            match scanner.store().mark_devices_seen(organization, &seen).await {
                Ok(marked) => self.set_marked(organization, &seen, &marked),
                Err(error) => {
                    tracing::debug!(%error, "the last calls of devices could not be written");
                    if let StoreError::Unavailable { timed_out: false, .. } = error {
                        // Each further organization would wait in vain.
                        return;
                    }
                }
            }
        }
        self.forget_quiet(now);
    }
}
