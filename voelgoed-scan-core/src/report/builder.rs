//! Adds groups of scans and tickets up. Pure: the store reads the groups, this module counts.

use std::collections::{BTreeMap, HashMap};

use super::{
    Arrivals, ClassAttendance, DeviceActivity, EventReport, GateArrivals, INTERVAL_MILLIS, Interval, LeftOut,
    MAX_LISTED, ReasonCount, ReportedOverride, ReportedUndo, ScanCounts, TicketCounts,
};
use crate::model::{
    ClassName, DeviceId, Direction, Event, EventOccupancy, GateId, Name, Reason, ScanResult, TicketStatus,
    Timestamp,
};
use crate::sync::Conflict;

/// Scans of an event that are alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanGroup {
    /// The gate.
    pub gate_id: GateId,
    /// The device; `None` for check-ins by hand.
    pub device_id: Option<DeviceId>,
    /// The direction.
    pub direction: Direction,
    /// The reason.
    pub reason: Reason,
    /// Whether each let a person in who was not undone.
    pub is_entry: bool,
    /// Whether each was undone.
    pub is_undone: bool,
    /// Whether each lost a conflict.
    pub is_conflict: bool,
    /// Whether a device uploaded each.
    pub is_uploaded: bool,
    /// The start of their quarter of an hour.
    pub quarter: Timestamp,
    /// The number of scans.
    pub scans: i64,
    /// The earliest one.
    pub first_at: Timestamp,
    /// The latest one.
    pub last_at: Timestamp,
}

/// Tickets of an event that are alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketGroup {
    /// The class.
    pub class: Option<ClassName>,
    /// The status.
    pub status: TicketStatus,
    /// Whether each let somebody in who was not undone.
    pub came: bool,
    /// The number of tickets.
    pub tickets: i64,
}

/// A report in the making. Its size depends on gates, devices, classes and hours, not on the number of scans.
#[derive(Debug, Default)]
pub struct ReportBuilder {
    tickets: TicketCounts,
    classes: HashMap<Option<ClassName>, TicketCounts>,
    scans: ScanCounts,
    denials: BTreeMap<Reason, i64>,
    arrivals: BTreeMap<(GateId, Timestamp), i64>,
    devices: HashMap<Option<DeviceId>, DeviceActivity>,
    overrides: Vec<ReportedOverride>,
    undos: Vec<ReportedUndo>,
    conflicts: Vec<Conflict>,
}

impl ReportBuilder {
    /// Adds tickets.
    pub fn add_tickets(&mut self, group: &TicketGroup) {
        let of_class = self.classes.entry(group.class.clone()).or_default();
        for counts in [&mut self.tickets, of_class] {
            match group.status {
                TicketStatus::Voided => counts.voided += group.tickets,
                TicketStatus::Refunded => counts.refunded += group.tickets,
                TicketStatus::Active | TicketStatus::Scanned | TicketStatus::Used => {
                    counts.sold += group.tickets;
                    if group.came {
                        counts.came += group.tickets;
                    } else {
                        counts.no_shows += group.tickets;
                    }
                }
            }
        }
    }

    /// Adds scans.
    pub fn add_scans(&mut self, group: &ScanGroup) {
        let n = group.scans;
        let of = |is: bool| if is { n } else { 0 };
        let is_valid = group.reason.result() == ScanResult::Valid;
        let entries = of(group.is_entry);
        let exits = of(is_valid && group.direction == Direction::Exit);
        let denials = of(!is_valid);
        let overrides = of(group.reason == Reason::Overridden);
        let uploaded = of(group.is_uploaded);
        let scans = &mut self.scans;
        scans.recorded += n;
        scans.entries += entries;
        scans.exits += exits;
        scans.denials += denials;
        scans.overrides += overrides;
        scans.undos += of(group.is_undone);
        scans.conflicts += of(group.is_conflict);
        scans.uploaded += uploaded;
        scans.first_at = Some(scans.first_at.map_or(group.first_at, |at| at.min(group.first_at)));
        scans.last_at = Some(scans.last_at.map_or(group.last_at, |at| at.max(group.last_at)));
        if !is_valid {
            *self.denials.entry(group.reason).or_default() += n;
        }
        if group.is_entry {
            *self.arrivals.entry((group.gate_id, group.quarter)).or_default() += n;
        }
        let device = self
            .devices
            .entry(group.device_id)
            .or_insert_with(|| DeviceActivity {
                device_id: group.device_id,
                name: None,
                scans: 0,
                entries: 0,
                exits: 0,
                denials: 0,
                overrides: 0,
                uploaded: 0,
                first_at: group.first_at,
                last_at: group.last_at,
            });
        device.scans += n;
        device.entries += entries;
        device.exits += exits;
        device.denials += denials;
        device.overrides += overrides;
        device.uploaded += uploaded;
        device.first_at = device.first_at.min(group.first_at);
        device.last_at = device.last_at.max(group.last_at);
    }

    /// Lists a forced entry, if there is room.
    pub fn list_override(&mut self, row: ReportedOverride) {
        push(&mut self.overrides, row);
    }

    /// Lists an undo, if there is room.
    pub fn list_undo(&mut self, row: ReportedUndo) {
        push(&mut self.undos, row);
    }

    /// Lists a conflict, if there is room.
    pub fn list_conflict(&mut self, row: Conflict) {
        push(&mut self.conflicts, row);
    }

    /// Adds scans in quarantine, which are conflicts and no recorded scans.
    pub fn add_quarantined(&mut self, scans: i64) {
        self.scans.conflicts += scans;
    }

    /// Whether another override or undo can be listed.
    #[must_use]
    pub fn has_room_for_acts(&self) -> bool {
        self.overrides.len() < MAX_LISTED || self.undos.len() < MAX_LISTED
    }

    /// Whether another conflict can be listed.
    #[must_use]
    pub fn has_room_for_conflicts(&self) -> bool {
        self.conflicts.len() < MAX_LISTED
    }

    /// The devices that scanned.
    pub fn device_ids(&self) -> impl Iterator<Item = DeviceId> {
        self.devices.keys().copied().flatten()
    }

    /// The report. `device_names` gives the names of the devices.
    #[must_use]
    pub fn finish(
        mut self,
        event: &Event,
        occupancy: &EventOccupancy,
        device_names: &HashMap<DeviceId, Name>,
        now: Timestamp,
    ) -> EventReport {
        let gate_names: HashMap<GateId, &Name> =
            occupancy.gates.iter().map(|gate| (gate.id, &gate.name)).collect();
        let name_of = |gate: GateId| gate_names.get(&gate).map(ToString::to_string);
        for row in &mut self.overrides {
            row.gate_name = name_of(row.gate_id);
        }
        for row in &mut self.undos {
            row.gate_name = name_of(row.gate_id);
        }
        let mut denials: Vec<_> = self
            .denials
            .iter()
            .map(|(&reason, &count)| ReasonCount { reason, count })
            .collect();
        denials.sort_by_key(|row| (-row.count, row.reason.as_str()));
        let mut devices: Vec<_> = self.devices.drain().map(|(_, device)| device).collect();
        for device in &mut devices {
            let name = device.device_id.and_then(|id| device_names.get(&id));
            device.name = name.map(ToString::to_string);
        }
        devices.sort_by(|a, b| (&a.name, a.device_id).cmp(&(&b.name, b.device_id)));
        let missing = |total: i64, listed: usize| total - i64::try_from(listed).unwrap_or(i64::MAX);
        EventReport {
            event_id: event.id,
            event_name: event.name.clone(),
            event_status: event.status,
            time_zone: event.time_zone.clone(),
            generated_at: now,
            tickets: self.tickets,
            classes: self.classes(&event.ticket_classes),
            occupancy: occupancy.event,
            scans: self.scans,
            arrivals: self.arrivals(occupancy),
            denials,
            left_out: LeftOut {
                overrides: missing(self.scans.overrides, self.overrides.len()),
                undos: missing(self.scans.undos, self.undos.len()),
                conflicts: missing(self.scans.conflicts, self.conflicts.len()),
            },
            overrides: self.overrides,
            undos: self.undos,
            conflicts: self.conflicts,
            devices,
        }
    }

    /// The classes of the event in their order, and the tickets without a class if there are any.
    fn classes(&self, order: &[ClassName]) -> Vec<ClassAttendance> {
        let row = |class: Option<ClassName>, counts: &TicketCounts| ClassAttendance {
            class,
            sold: counts.sold,
            came: counts.came,
            no_shows: counts.no_shows,
        };
        let mut rows: Vec<_> = order
            .iter()
            .filter_map(|class| {
                let class = Some(class.clone());
                let counts = self.classes.get(&class)?;
                Some(row(class, counts))
            })
            .collect();
        rows.extend(self.classes.get(&None).map(|counts| row(None, counts)));
        rows
    }

    fn arrivals(&self, occupancy: &EventOccupancy) -> Arrivals {
        let mut of_event: BTreeMap<Timestamp, i64> = BTreeMap::new();
        for (&(_, from), entries) in &self.arrivals {
            *of_event.entry(from).or_default() += entries;
        }
        let gates = occupancy.gates.iter().map(|gate| {
            let range = (gate.id, Timestamp::MIN)..=(gate.id, Timestamp::MAX);
            let intervals: Vec<_> = self
                .arrivals
                .range(range)
                .map(|(&(_, from), &entries)| Interval { from, entries })
                .collect();
            GateArrivals {
                gate_id: gate.id,
                gate_name: gate.name.clone(),
                entries: intervals.iter().map(|one| one.entries).sum(),
                peak: peak(intervals.iter().copied()),
                intervals,
            }
        });
        Arrivals {
            interval_minutes: INTERVAL_MILLIS / 60_000,
            entries: of_event.values().sum(),
            peak: peak(
                of_event
                    .iter()
                    .map(|(&from, &entries)| Interval { from, entries }),
            ),
            gates: gates.collect(),
        }
    }
}

fn push<T>(list: &mut Vec<T>, row: T) {
    if list.len() < MAX_LISTED {
        list.push(row);
    }
}

/// The interval with the most entries, the first of several.
fn peak(intervals: impl Iterator<Item = Interval>) -> Option<Interval> {
    intervals.reduce(|best, next| if next.entries > best.entries { next } else { best })
}
