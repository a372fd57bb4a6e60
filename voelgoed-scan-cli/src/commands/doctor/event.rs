//! Whether an event is ready for its doors: its state, its doors, its gates and its devices.

mod devices;

use jiff::tz::TimeZone;
use voelgoed_scan_core::model::{Device, Event, EventStatus, Gate, GateStatus, ScanRecord, Timestamp};

use super::Finding;
use crate::client::Client;
use crate::failure::Failure;
use crate::names::NamedEvent;
use crate::view::View;

/// How many of the latest scans are searched for devices whose clock is wrong.
const LATEST_SCANS: usize = 500;

/// What is known of an event.
struct Readiness<'a> {
    event: &'a Event,
    gates: &'a [Gate],
    devices: &'a [Device],
    /// The latest scans of the organization, newest first.
    scans: &'a [ScanRecord],
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
    let scans: Vec<ScanRecord> = client.first("/api/v1/scanning/scans", LATEST_SCANS).await?;
    let readiness = Readiness {
        event: &event,
        gates: &gates,
        devices: &devices,
        scans: &scans,
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
            self.manifests(),
            self.clocks(),
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

    fn scan(device_scanned_at: &str, source: &str) -> ScanRecord {
        serde_json::from_value(json!({
            "scan_id": ID, "organization_id": ID, "ticket_id": null, "ticket_code": null, "event_id": ID, "gate_id": ID,
            "device_id": ID, "api_key_id": null, "scan_session_id": ID, "result": "valid", "reason": "admitted",
            "would_have_been": null, "direction": "entry", "scanned_at": NOW, "device_scanned_at": device_scanned_at,
            "received_at": NOW, "source": source, "decided_by": "database", "override": null, "undone": null,
            "local_result": null, "metadata": null
        }))
        .expect("a record")
    }

    /// The checks that find a problem.
    fn problems(event: &Event, gates: &[Gate], devices: &[Device]) -> Vec<&'static str> {
        problems_with_scans(event, gates, devices, &[])
    }

    fn problems_with_scans(
        event: &Event,
        gates: &[Gate],
        devices: &[Device],
        scans: &[ScanRecord],
    ) -> Vec<&'static str> {
        let readiness = Readiness {
            event,
            gates,
            devices,
            scans,
            now: NOW.parse().expect("a time"),
        };
        let findings = readiness.findings();
        assert_eq!(findings.len(), 8);
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

    #[test]
    fn a_device_that_was_away_for_longer_than_a_manifest_lasts_has_an_old_one() {
        let (open, live) = ([gate("open")], event(&json!({})));
        for (seen, found) in [
            ("2026-11-29T05:00:01Z", vec!["devices"]),
            ("2026-11-29T04:59:59Z", vec!["devices", "manifests"]),
        ] {
            let device = device(&json!({ "last_seen_at": seen }));
            assert_eq!(problems(&live, &open, &[device]), found, "{seen}");
        }
        let short = event(&json!({ "manifest_max_age_s": 60 }));
        let device = device(&json!({ "last_seen_at": "2026-11-29T16:58:00Z" }));
        assert_eq!(problems(&short, &open, &[device]), ["manifests"]);
    }

    #[test]
    fn the_last_online_scan_of_a_device_shows_a_wrong_clock() {
        let (open, live, door) = ([gate("open")], event(&json!({})), [device(&json!({}))]);
        let right = scan("2026-11-29T17:04:00Z", "online");
        let ahead = scan("2026-11-29T17:05:01Z", "online");
        let behind = scan("2026-11-29T16:54:59Z", "online");
        let uploaded = scan("2026-11-29T09:00:00Z", "sync");
        let found = |scans: &[ScanRecord]| problems_with_scans(&live, &open, &door, scans);
        assert!(
            found(&[right.clone(), ahead.clone()]).is_empty(),
            "it was corrected"
        );
        assert!(found(&[uploaded, right]).is_empty());
        assert_eq!(found(&[ahead]), ["clocks"]);
        assert_eq!(found(&[behind]), ["clocks"]);
    }
}
