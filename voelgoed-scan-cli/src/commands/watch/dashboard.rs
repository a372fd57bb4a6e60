//! What the dashboard shows, and how messages change it. Pure: times are values.

use std::collections::{HashMap, VecDeque};

use jiff::tz::TimeZone;
use voelgoed_scan_core::model::{
    Device, DeviceId, Event, EventOccupancy, Gate, GateId, GateStatus, ScanRecord, ScanResult, Signal,
    SignalKind, Timestamp,
};

use super::subscription::Message;
use crate::commands::signals::summary;

/// How many scans are kept for scrolling.
const MAX_SCANS: usize = 500;

/// How many signals are kept.
const MAX_SIGNALS: usize = 3;

/// The length of an interval of the rate, in milliseconds.
pub(super) const INTERVAL_MILLIS: i64 = 10_000;

/// How many intervals are kept: half an hour.
const MAX_INTERVALS: usize = 180;

/// The dashboard of one event.
pub(super) struct Dashboard {
    pub(super) event_name: String,
    pub(super) event_status: String,
    zone: TimeZone,
    pub(super) occupancy: Option<EventOccupancy>,
    pub(super) gate_statuses: HashMap<GateId, GateStatus>,
    gate_names: HashMap<GateId, String>,
    pub(super) devices: Vec<Device>,
    /// The last scans, newest first.
    pub(super) scans: VecDeque<ScanRecord>,
    /// Scans by interval, the latest last.
    pub(super) rate: VecDeque<u64>,
    /// The number of the interval that is the last of `rate`.
    interval: i64,
    pub(super) signals: VecDeque<String>,
    /// When the server was last heard of.
    pub(super) heard_at: Timestamp,
    pub(super) is_connected: bool,
    /// How many of the newest scans are above the visible ones.
    pub(super) scroll: usize,
}

/// What the server says of the event besides the stream.
pub(super) struct Facts {
    pub(super) event: Event,
    pub(super) gates: Vec<Gate>,
    pub(super) devices: Vec<Device>,
    pub(super) occupancy: Option<EventOccupancy>,
}

impl Dashboard {
    /// A dashboard before the first message.
    pub(super) fn new(facts: Facts, now: Timestamp) -> Self {
        let mut dashboard = Self {
            event_name: String::new(),
            event_status: String::new(),
            zone: TimeZone::UTC,
            occupancy: None,
            gate_statuses: HashMap::new(),
            gate_names: HashMap::new(),
            devices: Vec::new(),
            scans: VecDeque::new(),
            rate: VecDeque::from([0]),
            interval: now.as_millis().div_euclid(INTERVAL_MILLIS),
            signals: VecDeque::new(),
            heard_at: now,
            is_connected: true,
            scroll: 0,
        };
        dashboard.set_facts(facts);
        dashboard
    }

    /// Takes new facts.
    pub(super) fn set_facts(&mut self, facts: Facts) {
        self.event_name = facts.event.name.to_string();
        self.event_status = facts.event.status.to_string();
        self.zone = facts.event.time_zone.zone().unwrap_or(TimeZone::UTC);
        self.gate_statuses = facts.gates.iter().map(|gate| (gate.id, gate.status)).collect();
        self.gate_names = facts
            .gates
            .iter()
            .map(|gate| (gate.id, gate.name.to_string()))
            .collect();
        if facts.occupancy.is_some() {
            self.occupancy = facts.occupancy;
        }
        self.devices = facts.devices;
        self.devices.sort_by_key(|device| device.name.to_string());
    }

    /// Takes a message of the stream. One of a kind or form that this version does not know changes nothing.
    pub(super) fn take(&mut self, message: &Message, now: Timestamp) {
        self.mark_alive(now);
        match message.event.as_str() {
            "scan" => {
                if let Ok(record) = serde_json::from_str(&message.data) {
                    self.take_scan(record);
                }
            }
            "occupancy" => {
                if let Ok(occupancy) = serde_json::from_str(&message.data) {
                    self.occupancy = Some(occupancy);
                }
            }
            "signal" => {
                if let Ok(signal) = serde_json::from_str(&message.data) {
                    self.take_signal(&signal);
                }
            }
            "reset" => self.add_signal("scans were missed: more than 5 minutes passed".to_owned()),
            _ => {}
        }
    }

    /// Adds scans from before the first message, newest first. They are not of the rate.
    pub(super) fn add_past(&mut self, scans: Vec<ScanRecord>) {
        self.scans.extend(scans);
    }

    fn take_scan(&mut self, record: ScanRecord) {
        // An undone scan comes again.
        let known = self.scans.iter_mut().find(|scan| scan.scan_id == record.scan_id);
        if let Some(known) = known {
            *known = record;
            return;
        }
        if let Some(last) = self.rate.back_mut() {
            *last += 1;
        }
        self.scans.push_front(record);
        self.scans.truncate(MAX_SCANS);
        // The scans that somebody reads stay where they are.
        if self.scroll > 0 {
            self.scroll_by(1);
        }
    }

    fn take_signal(&mut self, signal: &Signal) {
        let text = match signal.closed_at {
            Some(_) if signal.kind != SignalKind::LateBatch => format!("{} ended", signal.kind),
            _ => format!("{}: {}", signal.kind, summary(signal)),
        };
        let at = signal.closed_at.unwrap_or(signal.opened_at);
        self.add_signal(format!("{} {text}", self.clock(at)));
    }

    fn add_signal(&mut self, text: String) {
        self.signals.push_front(text);
        self.signals.truncate(MAX_SIGNALS);
    }

    /// The server was heard of.
    pub(super) fn mark_alive(&mut self, now: Timestamp) {
        self.is_connected = true;
        self.heard_at = now;
        self.pass_to(now);
    }

    /// Time passed: empty intervals follow.
    pub(super) fn pass_to(&mut self, now: Timestamp) {
        let interval = now.as_millis().div_euclid(INTERVAL_MILLIS);
        let passed = usize::try_from(interval - self.interval).unwrap_or(0);
        for _ in 0..passed.min(MAX_INTERVALS) {
            self.rate.push_back(0);
        }
        while self.rate.len() > MAX_INTERVALS {
            self.rate.pop_front();
        }
        self.interval = self.interval.max(interval);
    }

    /// Scrolls the scans, towards the older ones where `lines` is positive.
    pub(super) fn scroll_by(&mut self, lines: isize) {
        let last = self.scans.len().saturating_sub(1);
        self.scroll = self.scroll.saturating_add_signed(lines).min(last);
    }

    /// Hours, minutes and seconds in the event's time zone.
    pub(super) fn clock(&self, at: Timestamp) -> String {
        match jiff::Timestamp::from_millisecond(at.as_millis()) {
            Ok(instant) => instant
                .to_zoned(self.zone.clone())
                .strftime("%H:%M:%S")
                .to_string(),
            Err(_) => at.to_string(),
        }
    }

    /// The name of a gate, or the start of its id.
    pub(super) fn gate_name(&self, id: GateId) -> String {
        let name = self.gate_names.get(&id).cloned();
        name.unwrap_or_else(|| id.to_string().chars().take(8).collect())
    }

    /// The name of a device, or the start of its id. A check-in by hand has no device.
    pub(super) fn device_name(&self, id: impl Into<Option<DeviceId>>) -> String {
        let Some(id) = id.into() else {
            return "by hand".to_owned();
        };
        let device = self.devices.iter().find(|device| device.id == id);
        device.map_or_else(
            || id.to_string().chars().take(8).collect(),
            |device| device.name.to_string(),
        )
    }

    /// The denials by reason among the scans that are kept, the most frequent first.
    pub(super) fn denials(&self) -> Vec<(&'static str, usize)> {
        let mut counts: HashMap<&'static str, usize> = HashMap::new();
        for scan in self.scans.iter().filter(|scan| scan.result != ScanResult::Valid) {
            *counts.entry(scan.reason.as_str()).or_default() += 1;
        }
        let mut rows: Vec<_> = counts.into_iter().collect();
        rows.sort_by_key(|(reason, count)| (usize::MAX - count, *reason));
        rows
    }
}
