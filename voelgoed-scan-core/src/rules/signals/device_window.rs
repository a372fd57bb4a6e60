//! The last scans of a device, and what they show: too many in a short time, too many that are no tickets, old uploads.
//!
//! Invariants: a scan counts once, although the feed tells of it again when it changes. The window keeps the scans that were
//! recorded last and those that were made last, so an upload of older scans hides neither.

#[cfg(test)]
mod tests;

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::{Opening, count, millis};
use crate::model::{
    DeviceId, EventId, GateId, ScanId, Signal, SignalDetails, SignalId, SignalKind, SignalSettings, Timestamp,
};

/// Of how many scans `device_errors` takes the share.
const ERROR_SCANS: usize = 50;

/// A scan of a device, as its window needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceScan {
    /// The scan.
    pub scan_id: ScanId,
    /// Its event.
    pub event_id: EventId,
    /// Its gate.
    pub gate_id: GateId,
    /// When it was made.
    pub at: Timestamp,
    /// When it reached the server.
    pub received_at: Timestamp,
    /// Whether it was uploaded.
    pub is_upload: bool,
    /// Whether it is no ticket.
    pub is_invalid: bool,
}

/// A scan in the window: its time, whether it is no ticket, and the low half of its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct WindowScan(i64, bool, u64);

impl WindowScan {
    fn of(scan: &DeviceScan) -> Self {
        let (_, low) = scan.scan_id.as_uuid().as_u64_pair();
        Self(scan.at.as_millis(), scan.is_invalid, low)
    }
}

/// The last upload of old scans. Its scans may be recorded in several steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LateUpload {
    /// The signal that tells of it.
    pub signal: SignalId,
    /// What the signal says.
    pub details: SignalDetails,
}

/// The last scans of a device, in the order of their recording.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceWindow {
    scans: Vec<WindowScan>,
    late: Option<LateUpload>,
}

/// What new scans of a device show.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct WindowFindings {
    /// Signals that open. A late batch ends at once.
    pub opened: Vec<Signal>,
    /// A late batch that opened before and got more scans.
    pub grown: Option<LateUpload>,
}

impl DeviceWindow {
    /// Takes new scans of the device, in the order of their recording.
    pub fn observe(
        &mut self,
        device: DeviceId,
        scans: &[DeviceScan],
        settings: &SignalSettings,
        opening: &mut Opening<'_>,
    ) -> WindowFindings {
        let known: HashSet<u64> = self.scans.iter().map(|scan| scan.2).collect();
        let mut new: HashSet<u64> = HashSet::new();
        let mut findings = WindowFindings::default();
        let mut last = None;
        for scan in scans {
            let kept = WindowScan::of(scan);
            if known.contains(&kept.2) || !new.insert(kept.2) {
                continue;
            }
            self.scans.push(kept);
            self.observe_age(device, scan, settings, opening, &mut findings);
            last = Some(scan);
        }
        let Some(last) = last else { return findings };
        let sorted = Sorted::new(&self.scans, &new);
        for kind in [SignalKind::HighVelocity, SignalKind::DeviceErrors] {
            let rule = settings.rule(kind);
            let (Some(limit), Some(within_s), true) = (rule.limit, rule.within_s, rule.enabled) else {
                continue;
            };
            let details = if kind == SignalKind::HighVelocity {
                sorted.velocity(limit, within_s)
            } else {
                sorted.errors(limit, within_s)
            };
            if let Some(details) = details {
                findings.opened.push(Signal {
                    event_id: Some(last.event_id),
                    gate_id: Some(last.gate_id),
                    device_id: Some(device),
                    ..opening.signal(kind, details)
                });
            }
        }
        let limit = settings.rule(SignalKind::HighVelocity).limit.unwrap_or(0);
        self.trim(ERROR_SCANS.max(usize::try_from(limit).unwrap_or(usize::MAX).saturating_add(1)));
        findings
    }

    /// Whether the scan is one of an old upload.
    fn observe_age(
        &mut self,
        device: DeviceId,
        scan: &DeviceScan,
        settings: &SignalSettings,
        opening: &mut Opening<'_>,
        findings: &mut WindowFindings,
    ) {
        let rule = settings.rule(SignalKind::LateBatch);
        let Some(within_s) = rule.within_s.filter(|_| rule.enabled && scan.is_upload) else {
            return;
        };
        if scan.received_at.millis_since(scan.at) <= millis(within_s) {
            return;
        }
        if let Some(late) = &mut self.late
            && late.details.received_at == Some(scan.received_at)
        {
            let details = &mut late.details;
            details.scans = details.scans.map(|scans| scans.saturating_add(1));
            details.first_at = details.first_at.map(|first| first.min(scan.at));
            details.last_at = details.last_at.map(|last| last.max(scan.at));
            match findings.opened.iter_mut().find(|signal| signal.id == late.signal) {
                Some(signal) => signal.details = details.clone(),
                None => findings.grown = Some(late.clone()),
            }
            return;
        }
        let details = SignalDetails {
            within_s: Some(within_s),
            scans: Some(1),
            first_at: Some(scan.at),
            last_at: Some(scan.at),
            received_at: Some(scan.received_at),
            ..SignalDetails::default()
        };
        let signal = Signal {
            event_id: Some(scan.event_id),
            gate_id: Some(scan.gate_id),
            device_id: Some(device),
            closed_at: Some(opening.now),
            ..opening.signal(SignalKind::LateBatch, details.clone())
        };
        self.late = Some(LateUpload {
            signal: signal.id,
            details,
        });
        findings.opened.push(signal);
    }

    /// Keeps the scans that were recorded last and those that were made last, this many of each.
    fn trim(&mut self, size: usize) {
        let Some(surplus) = self.scans.len().checked_sub(size).filter(|surplus| *surplus > 0) else {
            return;
        };
        let mut times: Vec<i64> = self.scans.iter().map(|scan| scan.0).collect();
        times.sort_unstable();
        let oldest = times.get(surplus).copied().unwrap_or(i64::MIN);
        let mut index = 0;
        self.scans.retain(|scan| {
            index += 1;
            index > surplus || scan.0 >= oldest
        });
    }
}

/// The scans of a window in the order of their times.
struct Sorted {
    scans: Vec<WindowScan>,
    /// For each scan, the place of the last new scan up to it.
    last_new: Vec<Option<usize>>,
}

impl Sorted {
    fn new(scans: &[WindowScan], new: &HashSet<u64>) -> Self {
        let mut scans = scans.to_vec();
        scans.sort_by_key(|scan| scan.0);
        let mut last = None;
        let last_new = scans
            .iter()
            .enumerate()
            .map(|(place, scan)| {
                if new.contains(&scan.2) {
                    last = Some(place);
                }
                last
            })
            .collect();
        Self { scans, last_new }
    }

    /// The groups of `size` scans that follow each other, lie within a time, and contain a new scan.
    fn groups(&self, size: usize, within_millis: i64) -> impl Iterator<Item = &[WindowScan]> {
        let is_close = move |group: &&[WindowScan]| match (group.first(), group.last()) {
            (Some(first), Some(last)) => last.0 - first.0 <= within_millis,
            _ => false,
        };
        self.scans
            .windows(size.max(1))
            .zip(self.last_new.iter().skip(size.max(1) - 1))
            .enumerate()
            .filter(|(first, (_, last_new))| last_new.is_some_and(|last_new| last_new >= *first))
            .map(|(_, (group, _))| group)
            .filter(is_close)
    }

    /// More than `limit` scans within a time. A gate that makes `limit` scans in each such time makes not more, so the time
    /// does not include both of its ends.
    fn velocity(&self, limit: u32, within_s: u32) -> Option<SignalDetails> {
        let size = usize::try_from(limit).ok()?.checked_add(1)?;
        let within = millis(within_s) - 1;
        let group = self.groups(size, within).last()?;
        let (first, last) = (group.first()?.0, group.last()?.0);
        let counted = self
            .scans
            .iter()
            .filter(|scan| (last - within..=last).contains(&scan.0));
        Some(SignalDetails {
            limit: Some(limit),
            within_s: Some(within_s),
            scans: Some(count(counted.count())),
            first_at: Some(Timestamp::from_millis(first)),
            last_at: Some(Timestamp::from_millis(last)),
            ..SignalDetails::default()
        })
    }

    /// Of [`ERROR_SCANS`] scans, all within a time, more than `limit` percent are no tickets.
    fn errors(&self, limit: u32, within_s: u32) -> Option<SignalDetails> {
        let invalid = |group: &[WindowScan]| group.iter().filter(|scan| scan.1).count();
        let has_many = |group: &&[WindowScan]| {
            invalid(group).saturating_mul(100)
                > ERROR_SCANS.saturating_mul(usize::try_from(limit).unwrap_or(usize::MAX))
        };
        let group = self
            .groups(ERROR_SCANS, millis(within_s))
            .filter(has_many)
            .last()?;
        let (first, last) = (group.first()?.0, group.last()?.0);
        Some(SignalDetails {
            limit: Some(limit),
            within_s: Some(within_s),
            scans: Some(count(group.len())),
            invalid: Some(count(invalid(group))),
            first_at: Some(Timestamp::from_millis(first)),
            last_at: Some(Timestamp::from_millis(last)),
            ..SignalDetails::default()
        })
    }
}
