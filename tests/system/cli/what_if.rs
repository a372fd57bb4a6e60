//! `replay --what-if`: a night under other settings. The expected differences come from a small model in this file.

use std::collections::HashMap;
use std::fs;

use serde_json::{Value, json};

use super::fixture::{Cli, TestServer, text};

/// A night at two gates, recorded under `never` without a capacity.
struct Night {
    server: TestServer,
    event: String,
    device: Cli,
    file: String,
    lines: Vec<Value>,
}

const TICKETS: usize = 20;

impl Night {
    /// Scans of twenty tickets over three days, every ticket several times, some of them exits.
    fn new() -> Self {
        let server = TestServer::start();
        let (event, gate) = server.event_and_gate();
        let codes = server.issue(&event, TICKETS);
        let device = server.scanner(&event, &gate);
        let mut inside: HashMap<usize, u32> = HashMap::new();
        let mut admitted: HashMap<usize, u32> = HashMap::new();
        let lines: Vec<Value> = (0..240_usize)
            .map(|number| {
                let ticket = number * 7 % TICKETS;
                let is_exit = number % 3 == 2;
                let minutes = number * 18;
                let at = format!(
                    "2026-11-{:02}T{:02}:{:02}:00.000Z",
                    10 + minutes / 1440,
                    minutes / 60 % 24,
                    minutes % 60
                );
                let people = inside.entry(ticket).or_default();
                let admissions = admitted.entry(ticket).or_default();
                let (result, reason) = match (is_exit, *people, *admissions) {
                    (true, 0, _) => ("refused", "not_inside"),
                    (true, ..) => ("valid", "exited"),
                    (false, _, 0) => ("valid", "admitted"),
                    (false, ..) => ("duplicate", "already_scanned"),
                };
                match (is_exit, result) {
                    (true, "valid") => *people -= 1,
                    (false, "valid") => (*people, *admissions) = (*people + 1, *admissions + 1),
                    _ => {}
                }
                json!({
                    "scan_id": format!("0192f0c1-7a4e-7000-8000-{number:012x}"), "event_id": event, "gate_id": gate,
                    "ticket_code": codes[ticket], "direction": if is_exit { "exit" } else { "entry" },
                    "scanned_at": at, "result": result, "reason": reason,
                })
            })
            .collect();
        let file = server.path("night.ndjson");
        let mut text = lines.iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
        text.push('\n');
        fs::write(&file, text).expect("written");
        Self {
            server,
            event,
            device,
            file,
            lines,
        }
    }

    fn differences(&self, what_if: &str) -> Vec<(String, String, String)> {
        let found = self
            .server
            .owner
            .list(&["replay", &self.file, "--what-if", what_if]);
        let field = |line: &Value, name: &str| text(line, name).to_owned();
        found
            .iter()
            .map(|line| {
                (
                    field(line, "scan_id"),
                    field(line, "recorded"),
                    field(line, "now"),
                )
            })
            .collect()
    }

    /// The differences by the model: people by ticket, a day of admissions by ticket, and a capacity.
    fn expected(&self, reentry: &str, capacity: usize) -> Vec<(String, String, String)> {
        let mut inside: HashMap<&str, Vec<&str>> = HashMap::new();
        let mut days: HashMap<&str, Vec<&str>> = HashMap::new();
        let mut differences = Vec::new();
        for line in &self.lines {
            let (ticket, day) = (text(line, "ticket_code"), text(line, "scanned_at").split_at(10).0);
            if reentry == "daily" {
                for people in inside.values_mut() {
                    people.retain(|entered| *entered == day);
                }
            }
            let all: usize = inside.values().map(Vec::len).sum();
            let people = inside.entry(ticket).or_default();
            let admissions = days.entry(ticket).or_default();
            let now = if text(line, "direction") == "exit" {
                if people.pop().is_some() {
                    "valid"
                } else {
                    "refused"
                }
            } else {
                let counted = match reentry {
                    "never" => admissions.len(),
                    "after_exit" => people.len(),
                    "daily" => admissions.iter().filter(|entered| **entered == day).count(),
                    other => panic!("{other} is not in the model"),
                };
                if counted >= 1 {
                    "duplicate"
                } else if all >= capacity {
                    "refused"
                } else {
                    people.push(day);
                    admissions.push(day);
                    "valid"
                }
            };
            if now != text(line, "result") {
                let field = |name: &str| text(line, name).to_owned();
                differences.push((field("scan_id"), field("result"), now.to_owned()));
            }
        }
        differences
    }
}

#[test]
fn a_night_under_other_settings_differs_exactly_as_the_model_says() {
    let night = Night::new();
    assert_eq!(night.expected("never", usize::MAX), []);
    for (what_if, reentry, capacity) in [
        ("reentry=never", "never", usize::MAX),
        ("reentry=after_exit", "after_exit", usize::MAX),
        ("reentry=daily", "daily", usize::MAX),
        ("capacity=7", "never", 7),
        ("reentry=daily,capacity=4", "daily", 4),
        ("reentry=after_exit,capacity=3", "after_exit", 3),
        ("capacity=0", "never", 0),
    ] {
        let expected = night.expected(reentry, capacity);
        assert_eq!(expected.is_empty(), what_if == "reentry=never", "{what_if}");
        assert_eq!(night.differences(what_if), expected, "{what_if}");
    }
    // Nothing was sent.
    assert!(night.server.owner.list(&["scans", "list"]).is_empty());
    assert_eq!(
        night.server.owner.json(&["stats", &night.event])["results"]["valid"],
        0
    );
}

#[test]
fn each_difference_is_a_line_and_the_table_sums_them_up() {
    let night = Night::new();
    let expected = night.expected("daily", usize::MAX);
    let arguments = ["replay", &night.file, "--what-if", "reentry=daily"];
    let shown = night.server.owner.run(&arguments).expect(0).stdout;
    let head = format!("240 scans decided, {} different, nothing sent", expected.len());
    let (lines, table) = shown.split_once("\n\n").expect("lines and a table");
    assert!(table.starts_with(&head), "{shown}");
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(lines.len(), expected.len(), "{shown}");
    for (line, (scan_id, recorded, now)) in lines.iter().zip(&expected) {
        let scan = night.lines.iter().find(|line| text(line, "scan_id") == scan_id);
        let code = text(scan.expect("it is in the file"), "ticket_code");
        let (before, after) = line.split_once(" -> ").expect("two results");
        assert!(
            before.contains(code.get(12..).expect("16 characters")) && !before.contains(code),
            "{line}"
        );
        assert!(before.contains(&format!("  {recorded} (")), "{line}");
        assert!(after.starts_with(&format!("{now} (")), "{line}");
    }
    let readmitted = expected
        .iter()
        .filter(|(_, recorded, now)| (recorded.as_str(), now.as_str()) == ("duplicate", "valid"))
        .count();
    let row = shown
        .lines()
        .find(|line| line.starts_with("duplicate"))
        .expect("a row");
    let cells: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(cells[1], readmitted.to_string(), "{shown}");
}

#[test]
fn a_night_with_an_undo_an_override_and_denials_that_stay_is_as_it_was() {
    let night = Night::new();
    let line = &night.lines[0];
    let (gate, code) = (text(line, "gate_id"), text(line, "ticket_code"));
    let scan = |second: u8, fields: Value| {
        let mut scan = json!({
            "event_id": night.event, "gate_id": gate, "ticket_code": code, "direction": "entry",
            "scanned_at": format!("2026-11-01T18:00:{second:02}.000Z"), "undone": null, "override": null,
        });
        for (name, value) in fields.as_object().expect("fields") {
            scan[name] = value.clone();
        }
        scan.to_string()
    };
    let undone = json!({ "at": "2026-11-01T18:00:02.500Z", "reason": "a mistake", "device_id": null });
    let lines = [
        scan(
            1,
            json!({ "result": "valid", "reason": "admitted", "undone": undone }),
        ),
        scan(2, json!({ "result": "duplicate", "reason": "already_scanned" })),
        scan(3, json!({ "result": "valid", "reason": "admitted" })),
        scan(
            4,
            json!({
                "result": "valid", "reason": "overridden", "override": { "reason": "a guest" },
                "would_have_been": { "result": "duplicate", "reason": "already_scanned" },
            }),
        ),
        scan(5, json!({ "result": "refused", "reason": "ticket_voided" })),
        scan(
            6,
            json!({ "result": "invalid_token", "reason": "bad_signature", "ticket_code": null }),
        ),
        scan(7, json!({ "result": "refused", "reason": "doors_not_open" })),
        scan(8, json!({ "result": "wrong_gate", "reason": "gate_not_allowed" })),
    ];
    fs::write(&night.file, lines.join("\n")).expect("written");
    assert_eq!(night.differences("reentry=never"), []);
    let open = night.differences("doors_open_at=none,reentry=after_exit");
    let now: Vec<_> = open
        .iter()
        .map(|(_, recorded, now)| (recorded.as_str(), now.as_str()))
        .collect();
    assert_eq!(
        now,
        [("refused", "duplicate")],
        "the doors are open, and somebody is inside"
    );
    let full = night.differences("capacity=1");
    assert_eq!(full, [], "an override is above capacity");
    let none = night.differences("capacity=0");
    let now: Vec<_> = none
        .iter()
        .map(|(_, recorded, now)| (recorded.as_str(), now.as_str()))
        .collect();
    assert_eq!(
        now,
        [
            ("valid", "refused"),
            ("duplicate", "refused"),
            ("valid", "refused")
        ]
    );
}

#[test]
fn what_cannot_be_decided_is_said_and_fails() {
    let night = Night::new();
    let what_if = |cli: &Cli, value: &str| cli.run(&["replay", &night.file, "--what-if", value]);
    let owner = &night.server.owner;
    what_if(&night.device, "capacity=5").expect(4);
    for wrong in ["colour=red", "reentry=sometimes", "capacity", ""] {
        what_if(owner, wrong).expect(2);
    }
    let text = fs::read_to_string(&night.file).expect("text");
    let mut lines: Vec<&str> = text.lines().collect();
    lines.swap(3, 4);
    fs::write(&night.file, lines.join("\n")).expect("written");
    let unsorted = what_if(owner, "capacity=5").expect(1);
    assert!(unsorted.stderr.contains("line 5"), "{unsorted:?}");
    let foreign = night.lines[0].to_string().replace(
        night.lines[0]["ticket_code"].as_str().expect("a code"),
        "0123456789abcdef",
    );
    fs::write(&night.file, format!("{foreign}\nno scan\n")).expect("written");
    let partly = what_if(owner, "capacity=5").expect(1);
    assert!(
        partly.stderr.contains("1 scans of gates or tickets"),
        "{partly:?}"
    );
    assert!(partly.stderr.contains("line 2"), "{partly:?}");
}

#[test]
fn a_replay_that_loses_an_admission_says_so_and_fails() {
    let night = Night::new();
    // The record admits one ticket twice, which no policy of this server does.
    let mut twice = night.lines[0].clone();
    twice["scan_id"] = json!("0192f0c1-7a4e-7000-8000-00000000ffff");
    twice["scanned_at"] = json!("2026-11-20T00:00:00.000Z");
    let lines = format!("{}\n{twice}\n", night.lines[0]);
    let put = ["event", "put", &night.event, "--allow-unsigned", "true"];
    night.server.owner.json(&put);
    fs::write(&night.file, lines).expect("written");
    let output = night
        .device
        .run(&["replay", &night.file, "--output", "json"])
        .expect(1);
    let report = output.value();
    assert_eq!(report["lost_admissions"], 1, "{report}");
    let change = |recorded: &str, now: &str| json!({ "recorded": recorded, "now": now, "count": 1 });
    assert_eq!(
        report["changes"],
        json!([change("valid", "valid"), change("valid", "duplicate")])
    );
    let table = night.device.run(&["replay", &night.file]).expect(1).stdout;
    assert!(table.contains("RECORDED \\ NOW"), "{table}");
    assert!(table.contains("1 admissions of the file are none now"), "{table}");
}
