//! When each device last called. The database learns it in batches, because every scan is a call.
//!
//! Invariant: a device that calls is marked within [`MARK_AGE`] and one maintenance interval, which is less than 30 s.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use voelgoed_scan_core::model::{Device, DeviceId, OrganizationId, Timestamp};
use voelgoed_scan_core::node::Scanner;

/// How old the mark of a device that keeps calling may become.
const MARK_AGE: Duration = Duration::from_secs(15);

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
    fn due(&self) -> Vec<(OrganizationId, DeviceId, Timestamp)> {
        self.0
            .lock()
            .iter()
            .filter(|(_, calls)| {
                calls
                    .marked
                    .is_none_or(|marked| calls.last > marked && calls.last >= marked.plus(MARK_AGE))
            })
            .map(|((organization, device), calls)| (*organization, *device, calls.last))
            .collect()
    }

    fn set_marked(&self, devices: &[(OrganizationId, DeviceId, Timestamp)], now: Timestamp) {
        let mut calls = self.0.lock();
        for (organization, device, at) in devices {
            if let Some(calls) = calls.get_mut(&(*organization, *device)) {
                calls.marked = Some(*at);
            }
        }
        calls.retain(|_, calls| calls.last.plus(FORGET_AFTER) > now);
    }

    /// Marks the devices in the database. What fails is tried again at the next call.
    pub(crate) async fn write(&self, scanner: &Scanner, now: Timestamp) {
        let due = self.due();
        if due.is_empty() {
            return;
        }
        match scanner.store().mark_devices_seen(&due).await {
            Ok(()) => self.set_marked(&due, now),
            Err(error) => tracing::debug!(%error, "the last calls of devices could not be written"),
        }
    }
}
