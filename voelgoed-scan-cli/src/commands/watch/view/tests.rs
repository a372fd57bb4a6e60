//! Frames of the dashboard, as snapshots.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use serde_json::{Value, json};

use super::*;
use crate::commands::watch::dashboard::Facts;
use crate::commands::watch::subscription::Message;

const EVENT: &str = "0192f0c1-7a4e-7000-8000-000000000001";
const MAIN: &str = "0192f0c1-7a4e-7000-8000-000000000002";
const SIDE: &str = "0192f0c1-7a4e-7000-8000-000000000003";
const DEVICE: &str = "0192f0c1-7a4e-7000-8000-000000000004";
const TIME: &str = "2026-11-22T18:00:00.000Z";

fn now() -> Timestamp {
    "2026-11-22T18:00:30Z".parse().expect("a time")
}

fn facts() -> Facts {
    let read = |value: Value| serde_json::from_value(value).expect("an event");
    let gate = |id: &str, name: &str, status: &str| {
        json!({
            "id": id, "organization_id": EVENT, "event_id": EVENT, "name": name, "code": null, "status": status,
            "capacity": null, "ticket_classes": null, "inserted_at": TIME, "updated_at": TIME,
        })
    };
    let device = |id: &str, name: &str, seen: Option<&str>, battery: f64, waiting: u32| {
        json!({
            "id": id, "organization_id": EVENT, "device_id": name.replace(' ', "-"), "name": name, "device_type": "scanner",
            "status": "active", "last_seen_at": seen, "settings": {}, "scope": { "event_ids": null, "gate_ids": null },
            "app": null, "battery": battery, "waiting": waiting, "inserted_at": TIME, "updated_at": TIME,
        })
    };
    let devices = [
        device(DEVICE, "Door 1", Some("2026-11-22T18:00:25.000Z"), 0.8, 0),
        device(SIDE, "Door 2", Some("2026-11-22T17:50:00.000Z"), 0.1, 12),
        device(MAIN, "Spare", None, 1.0, 0),
    ];
    Facts {
        event: read(json!({
            "id": EVENT, "organization_id": EVENT, "name": "Summer", "status": "live", "starts_at": null,
            "ends_at": null, "doors_open_at": null, "doors_close_at": null, "rescheduled_at": null,
            "time_zone": "Africa/Johannesburg", "day_starts_at": "06:00", "capacity": 500, "reentry": "never",
            "allow_unsigned": false, "allow_media": false, "ticket_classes": [], "stale_manifest": "warn",
            "manifest_max_age_s": 43200, "inserted_at": TIME, "updated_at": TIME,
        })),
        gates: [gate(MAIN, "Main", "open"), gate(SIDE, "Side", "closed")]
            .map(|gate| serde_json::from_value(gate).expect("a gate"))
            .into(),
        devices: devices
            .map(|device| serde_json::from_value(device).expect("a device"))
            .into(),
        occupancy: None,
    }
}

fn occupancy() -> Message {
    let count = |id: &str, name: &str, inside: u32, capacity: Option<u32>| json!({ "id": id, "name": name, "inside": inside, "entries": inside, "exits": 0, "capacity": capacity });
    let value = json!({
        "event": { "inside": 342, "entries": 342, "exits": 0, "capacity": 500 },
        "gates": [count(MAIN, "Main", 300, Some(300)), count(SIDE, "Side", 42, Some(200))],
        "results": { "valid": 342, "duplicate": 7, "invalid_token": 0, "wrong_event": 0, "wrong_gate": 2, "refused": 1 },
        "scans_per_minute": 24,
    });
    Message::new("occupancy", value.to_string())
}

fn scan(number: u32, result: &str, reason: &str) -> Message {
    let value = json!({
        "scan_id": format!("0192f0c1-7a4e-7000-8000-{number:012}"), "organization_id": EVENT, "ticket_id": null,
        "ticket_code": "3KQR7F924M1XaB0z", "event_id": EVENT, "gate_id": MAIN, "device_id": DEVICE,
        "scan_session_id": null, "result": result, "reason": reason, "would_have_been": null, "direction": "entry",
        "scanned_at": format!("2026-11-22T18:00:{number:02}.000Z"), "device_scanned_at": null, "received_at": TIME,
        "source": "online", "decided_by": "database", "override": null, "undone": null, "local_result": null,
        "metadata": null,
    });
    Message::new("scan", value.to_string())
}

fn dashboard() -> Dashboard {
    let start: Timestamp = TIME.parse().expect("a time");
    let mut dashboard = Dashboard::new(facts(), start);
    dashboard.take(&occupancy(), start);
    for number in 1..=6 {
        let message = match number {
            2 | 5 => scan(number, "duplicate", "already_scanned"),
            _ => scan(number, "valid", "admitted"),
        };
        dashboard.take(&message, start.plus_millis(i64::from(number) * 4000));
    }
    dashboard
}

fn frame(dashboard: &Dashboard, width: u16, height: u16) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal");
    terminal
        .draw(|frame| render(frame, dashboard, now()))
        .expect("drawn");
    terminal
}

/// The lines of a frame.
fn lines(dashboard: &Dashboard, width: u16, height: u16) -> Vec<String> {
    let shown = frame(dashboard, width, height).backend().to_string();
    shown.lines().map(str::to_owned).collect()
}

/// The only line with a text.
fn line<'a>(lines: &'a [String], text: &str) -> &'a str {
    let found: Vec<&String> = lines.iter().filter(|line| line.contains(text)).collect();
    assert_eq!(found.len(), 1, "{text}: {lines:#?}");
    found[0]
}

#[test]
fn the_dashboard_shows_gates_rate_denials_devices_and_the_last_scans() {
    let lines = lines(&dashboard(), 110, 26);
    let head = line(&lines, "Summer");
    assert!(
        head.contains("(live)") && head.contains("inside 342 of 500"),
        "{head}"
    );
    let full = line(&lines, "300 of 300");
    assert!(full.contains("open") && full.contains(&bar(300, 300)), "{full}");
    let other = line(&lines, "42 of 200");
    assert!(
        other.contains("closed") && other.contains(&bar(42, 200)),
        "{other}"
    );
    line(&lines, " 24 scans a minute ");
    line(&lines, " 10 denials, 342 valid ");
    line(&lines, "     7 duplicate");
    line(&lines, "of the last 6: 2 already_scanned");
    line(&lines, " 1 of 3 devices online ");
    let silent = line(&lines, "silent");
    assert!(
        silent.contains("Door 2") && silent.contains("10 %") && silent.contains("12 waiting"),
        "{silent}"
    );
    // Times are those of the event's zone, codes are masked, gates and devices have their names.
    let newest = line(&lines, "20:00:06");
    for part in ["✔ valid", "admitted", "entry", "…aB0z", "Main", "Door 1"] {
        assert!(newest.contains(part), "{part}: {newest}");
    }
    assert!(line(&lines, "20:00:05").contains("✘ duplicate"), "{lines:#?}");
    assert!(!lines.concat().contains("3KQR7F924M1XaB0z"));
}

#[test]
fn the_dashboard_before_the_first_message_says_that_it_waits() {
    let lines = lines(&Dashboard::new(facts(), now()), 80, 20);
    line(&lines, "waiting for the first figures");
    line(&lines, " 0 denials, 0 valid ");
}

#[test]
fn scrolled_scans_stay_where_they_are_while_others_come() {
    let mut dashboard = dashboard();
    dashboard.scroll_by(2);
    dashboard.take(&scan(7, "valid", "admitted"), now());
    assert_eq!(dashboard.scroll, 3);
    dashboard.scroll_by(-99);
    assert_eq!(dashboard.scroll, 0);
    dashboard.scroll_by(99);
    assert_eq!(dashboard.scroll, dashboard.scans.len() - 1);
}

#[test]
fn everything_is_dimmed_and_dated_without_a_connection() {
    let mut dashboard = dashboard();
    dashboard.is_connected = false;
    let terminal = frame(&dashboard, 100, 24);
    let buffer = terminal.backend().buffer();
    let dimmed = |cell: &ratatui::buffer::Cell| cell.modifier.contains(Modifier::DIM);
    assert!(buffer.content().iter().all(dimmed));
    let cells = &buffer.content()[..100];
    let head: String = cells.iter().map(ratatui::buffer::Cell::symbol).collect();
    assert!(head.contains("no connection, as of 20:00:24"), "{head}");
    // It is lit again once the server is heard of.
    dashboard.mark_alive(now());
    let terminal = frame(&dashboard, 100, 24);
    assert!(!terminal.backend().buffer().content().iter().all(dimmed));
}

#[test]
fn an_undone_scan_replaces_its_record_and_counts_once() {
    let mut dashboard = dashboard();
    let scans = dashboard.scans.len();
    let mut value: Value = serde_json::from_str(&scan(6, "valid", "admitted").data).expect("JSON");
    value["undone"] = json!({ "at": TIME, "reason": "a mistake", "device_id": null });
    let before: u64 = dashboard.rate.iter().sum();
    dashboard.take(&Message::new("scan", value.to_string()), now());
    assert_eq!(dashboard.scans.len(), scans);
    assert!(dashboard.scans[0].undone.is_some());
    assert_eq!(dashboard.rate.iter().sum::<u64>(), before);
}

#[test]
fn a_bar_is_full_at_the_capacity_and_empty_without_anybody() {
    assert_eq!(bar(0, 300), "░".repeat(BAR));
    assert_eq!(bar(300, 300), "█".repeat(BAR));
    assert_eq!(bar(400, 300), "█".repeat(BAR), "overrides may exceed it");
    assert_eq!(bar(150, 300).chars().filter(|one| *one == '█').count(), BAR / 2);
    assert_eq!(bar(-1, 300), "░".repeat(BAR));
    assert_eq!(bar(0, 0), "█".repeat(BAR), "a capacity of nobody is full");
}
