//! Whether the devices that may work at an event are ready: paired, charged, uploaded, with a fresh manifest and the right time.

use std::collections::BTreeSet;

use voelgoed_scan_core::model::{Device, DeviceState, DeviceStatus, Source};

use super::super::{Finding, MAX_CLOCK_SKEW};
use super::Readiness;

impl Readiness<'_> {
    /// The devices that may work at an open gate of the event.
    fn in_scope(&self) -> impl Iterator<Item = &Device> {
        self.devices.iter().filter(|device| {
            self.gates
                .iter()
                .any(|gate| device.scope.admits_gate(self.event.id, gate.id))
        })
    }

    pub(super) fn paired_devices(&self) -> Finding {
        let mut names: Vec<&str> = Vec::new();
        let (mut ready, mut all) = (0, 0);
        for device in self.in_scope() {
            all += 1;
            match DeviceState::at(device.last_seen_at, self.now) {
                DeviceState::Online | DeviceState::Idle => ready += 1,
                DeviceState::Silent | DeviceState::Never => names.push(device.name.as_str()),
            }
        }
        debug_assert!(
            self.devices
                .iter()
                .all(|device| device.status == DeviceStatus::Active)
        );
        if all == 0 {
            return Finding::problem(
                "devices",
                "no active device may work at this event".to_owned(),
                "voelgoed-scan device register DEVICE_ID, or device set DEVICE --scope-event EVENT"
                    .to_owned(),
            );
        }
        let detail = format!("{ready} of {all} heard of within 5 minutes");
        if names.is_empty() {
            return Finding::passed("devices", detail);
        }
        Finding::problem(
            "devices",
            format!("{detail}; not: {}", names.join(", ")),
            "open the app on them, or pair them again: voelgoed-scan device enroll DEVICE".to_owned(),
        )
    }

    pub(super) fn batteries(&self) -> Finding {
        let low: Vec<String> = self
            .in_scope()
            .filter_map(|device| {
                let charge = device.battery.filter(|charge| *charge < 0.2)?;
                Some(format!("{} {:.0} %", device.name, charge * 100.0))
            })
            .collect();
        if low.is_empty() {
            return Finding::passed("batteries", "none is below 20 %");
        }
        Finding::problem(
            "batteries",
            format!("low: {}", low.join(", ")),
            "charge them".to_owned(),
        )
    }

    pub(super) fn unsent_scans(&self) -> Finding {
        let waiting: Vec<String> = self
            .in_scope()
            .filter_map(|device| {
                let waiting = device.waiting.filter(|waiting| *waiting > 0)?;
                Some(format!("{} {waiting}", device.name))
            })
            .collect();
        if waiting.is_empty() {
            return Finding::passed("uploads", "no device has scans to upload");
        }
        Finding::problem(
            "uploads",
            format!("scans wait on: {}", waiting.join(", ")),
            "bring them into the network and leave the app open".to_owned(),
        )
    }

    /// A phone gets its manifest from the server, so one that was not heard of for longer than a manifest may be old has none
    /// that is fresh.
    pub(super) fn manifests(&self) -> Finding {
        let oldest = i64::from(self.event.manifest_max_age_s) * 1000;
        let (mut stale, mut fresh) = (Vec::new(), 0_usize);
        for device in self.in_scope() {
            match device.last_seen_at {
                Some(seen) if self.now.millis_since(seen) <= oldest => fresh += 1,
                Some(_) => stale.push(device.name.as_str()),
                // It was never paired, which is the finding of `paired_devices`.
                None => {}
            }
        }
        let age = duration(oldest);
        if stale.is_empty() {
            return Finding::passed(
                "manifests",
                format!("{fresh} devices may have one younger than {age}"),
            );
        }
        Finding::problem(
            "manifests",
            format!("older than {age}, or none, on: {}", stale.join(", ")),
            "open the app on them while they have network: it fetches the manifest".to_owned(),
        )
    }

    /// What the last scan of each device shows of its clock. Scans that were uploaded later are left out.
    pub(super) fn clocks(&self) -> Finding {
        let mut checked = BTreeSet::new();
        let mut wrong = Vec::new();
        for scan in self.scans.iter().filter(|scan| scan.source == Source::Online) {
            let device = self.in_scope().find(|device| Some(device.id) == scan.device_id);
            let (Some(device), Some(by_device)) = (device, scan.device_scanned_at) else {
                continue;
            };
            if !checked.insert(device.id) {
                continue;
            }
            let skew = by_device.millis_since(scan.received_at);
            if skew.abs() > MAX_CLOCK_SKEW {
                let direction = if skew > 0 { "ahead" } else { "behind" };
                wrong.push(format!("{} {} {direction}", device.name, duration(skew.abs())));
            }
        }
        if wrong.is_empty() {
            let count = checked.len();
            return Finding::passed(
                "clocks",
                format!("right on the {count} devices whose scans show it"),
            );
        }
        Finding::problem(
            "clocks",
            format!("wrong: {}", wrong.join(", ")),
            "let these devices set their clocks by the network".to_owned(),
        )
    }
}

/// A duration in its greatest whole unit.
fn duration(millis: i64) -> String {
    let seconds = millis / 1000;
    match seconds {
        ..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}
