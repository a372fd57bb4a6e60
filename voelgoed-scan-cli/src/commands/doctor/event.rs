//! Whether an event is ready for its doors: its state, its doors, its gates and its devices.

use jiff::tz::TimeZone;
use voelgoed_scan_core::model::{
    Device, DeviceState, DeviceStatus, Event, EventStatus, Gate, GateStatus, Timestamp,
};

use super::Finding;
use crate::client::Client;
use crate::failure::Failure;
use crate::names::NamedEvent;
use crate::view::View;

/// What is known of an event.
struct Readiness<'a> {
    event: &'a Event,
    gates: &'a [Gate],
    devices: &'a [Device],
    now: Timestamp,
}

/// Checks an event. Where something cannot be read, that is the finding.
pub(super) async fn check(client: &Client, event: &NamedEvent) -> Vec<Finding> {
    match read(client, event).await {
        Ok(findings) => findings,
        Err(failure) => vec![Finding::failed("event", &failure)],
    }
}

async fn read(client: &Client, event: &NamedEvent) -> Result<Vec<Finding>, Failure> {
    let id = event.id(client).await?;
    let path = format!("/api/v1/events/{id}");
    let event: Event = client.get(&path).await?;
    let gates: Vec<Gate> = client.all(&format!("{path}/gates")).await?;
    let devices: Vec<Device> = client.all("/api/v1/scanning/devices?status=active").await?;
    let devices: Vec<Device> = devices
        .into_iter()
        .filter(|device| !device.settings.is_rehearsal())
        .collect();
    let readiness = Readiness {
        event: &event,
        gates: &gates,
        devices: &devices,
        now: client.server_time().await?,
    };
    Ok(readiness.findings())
}

impl Readiness<'_> {
    fn findings(&self) -> Vec<Finding> {
        vec![
            self.state(),
            self.doors(),
            self.open_gates(),
            self.paired_devices(),
            self.batteries(),
            self.unsent_scans(),
        ]
    }

    fn state(&self) -> Finding {
        let name = &self.event.name;
        match self.event.status {
            EventStatus::Live => Finding::passed("event", format!("{name} is live")),
            EventStatus::Published => Finding::problem(
                "event",
                format!("{name} is published: dry runs work, scans are refused"),
                format!("on the day: voelgoed-scan event put '{name}' --status live"),
            ),
            status => Finding::problem(
                "event",
                format!("{name} is {status}: it admits nobody"),
                format!("voelgoed-scan event put '{name}' --status live"),
            ),
        }
    }

    fn doors(&self) -> Finding {
        let zone = self.event.time_zone.zone().unwrap_or(TimeZone::UTC);
        let time = |at| View::default().time(at, Some(&zone));
        let hint = || "voelgoed-scan event put EVENT --doors-open-at TIME --doors-close-at TIME".to_owned();
        match (self.event.doors_open_at, self.event.doors_close_at) {
            (_, Some(close)) if close < self.now => {
                Finding::problem("doors", format!("closed at {}", time(close)), hint())
            }
            (Some(open), _) if open > self.now => Finding::passed("doors", format!("open at {}", time(open))),
            (_, Some(close)) => Finding::passed("doors", format!("open, until {}", time(close))),
            (_, None) => Finding::passed("doors", "open, without an end"),
        }
    }

    fn open_gates(&self) -> Finding {
        let closed: Vec<&str> = self
            .gates
            .iter()
            .filter(|gate| gate.status != GateStatus::Open)
            .map(|gate| gate.name.as_str())
            .collect();
        let open = self.gates.len() - closed.len();
        if open == 0 {
            return Finding::problem(
                "gates",
                format!("none of {} is open", self.gates.len()),
                "voelgoed-scan gate put GATE --event EVENT --status open".to_owned(),
            );
        }
        let rest = if closed.is_empty() {
            String::new()
        } else {
            format!("; closed: {}", closed.join(", "))
        };
        Finding::passed("gates", format!("{open} of {} open{rest}", self.gates.len()))
    }

    /// The devices that may work at an open gate of the event.
    fn in_scope(&self) -> impl Iterator<Item = &Device> {
        self.devices.iter().filter(|device| {
            self.gates
                .iter()
                .any(|gate| device.scope.admits_gate(self.event.id, gate.id))
        })
    }

    fn paired_devices(&self) -> Finding {
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

    fn batteries(&self) -> Finding {
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

    fn unsent_scans(&self) -> Finding {
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
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ID: &str = "0192f0c1-7a4e-7000-8000-000000000001";
    const NOW: &str = "2026-11-29T17:00:00.000Z";

    fn event(changes: &Value) -> Event {
        let mut event = json!({
            "id": ID, "organization_id": ID, "name": "Summer", "status": "live", "starts_at": null, "ends_at": null,
            "doors_open_at": null, "doors_close_at": null, "rescheduled_at": null, "time_zone": "Africa/Johannesburg",
            "day_starts_at": "00:00", "capacity": null, "reentry": "never", "allow_unsigned": false,
            "allow_media": false, "ticket_classes": [], "stale_manifest": "warn", "manifest_max_age_s": 43200,
            "inserted_at": NOW, "updated_at": NOW
        });
        event
            .as_object_mut()
            .expect("an object")
            .extend(changes.as_object().expect("an object").clone());
        serde_json::from_value(event).expect("an event")
    }

    fn gate(status: &str) -> Gate {
        serde_json::from_value(json!({
            "id": ID, "organization_id": ID, "event_id": ID, "name": "Main", "code": null, "status": status,
            "capacity": null, "ticket_classes": null, "inserted_at": NOW, "updated_at": NOW
        }))
        .expect("a gate")
    }

    fn device(changes: &Value) -> Device {
        let mut device = json!({
            "id": ID, "organization_id": ID, "device_id": "door-1", "name": "Door 1", "device_type": "scanner",
            "status": "active", "last_seen_at": NOW, "settings": {}, "app": null, "battery": 0.9, "waiting": 0,
            "inserted_at": NOW, "updated_at": NOW
        });
        device
            .as_object_mut()
            .expect("an object")
            .extend(changes.as_object().expect("an object").clone());
        serde_json::from_value(device).expect("a device")
    }

    /// The checks that find a problem.
    fn problems(event: &Event, gates: &[Gate], devices: &[Device]) -> Vec<&'static str> {
        let readiness = Readiness {
            event,
            gates,
            devices,
            now: NOW.parse().expect("a time"),
        };
        let findings = readiness.findings();
        assert_eq!(findings.len(), 6);
        for finding in &findings {
            assert_eq!(finding.hint.is_none(), finding.ok, "{}", finding.detail);
        }
        findings
            .iter()
            .filter(|one| !one.ok)
            .map(|one| one.check)
            .collect()
    }

    #[test]
    fn each_reason_why_an_event_is_not_ready_is_named() {
        let none = json!({});
        let (live, open, door) = (event(&none), [gate("open")], [device(&none)]);
        assert!(problems(&live, &open, &door).is_empty());
        for (status, found) in [("published", vec!["event"]), ("draft", vec!["event"])] {
            let event = event(&json!({ "status": status }));
            assert_eq!(problems(&event, &open, &door), found);
        }
        let closed = event(&json!({ "doors_close_at": "2026-11-29T16:59:59Z" }));
        assert_eq!(problems(&closed, &open, &door), ["doors"]);
        let later = event(&json!({ "doors_open_at": "2026-11-29T18:00:00Z" }));
        assert!(problems(&later, &open, &door).is_empty());
        assert_eq!(problems(&live, &[gate("closed")], &door), ["gates"]);
        for (changes, found) in [
            (json!({ "last_seen_at": null }), "devices"),
            (json!({ "last_seen_at": "2026-11-29T16:50:00Z" }), "devices"),
            (
                json!({ "scope": { "event_ids": [], "gate_ids": null } }),
                "devices",
            ),
            (json!({ "battery": 0.1 }), "batteries"),
            (json!({ "waiting": 3 }), "uploads"),
        ] {
            assert_eq!(problems(&live, &open, &[device(&changes)]), [found], "{changes}");
        }
        assert_eq!(problems(&live, &open, &[]), ["devices"]);
    }
}
