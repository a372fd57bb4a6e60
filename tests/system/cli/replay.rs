//! `replay`, the upload of recorded scans. The server records each scan exactly once, even if the command is killed.

use std::collections::HashSet;
use std::fs;

use serde_json::{Value, json};

use super::fixture::{Cli, TestServer, text};

/// An event that accepts unsigned codes, a scanner, and a file with one recorded scan for each ticket.
struct ReplayFixture {
    server: TestServer,
    scanner: Cli,
    event: String,
    gate: String,
    file: String,
    scans: usize,
}

impl ReplayFixture {
    fn new(scans: usize) -> Self {
        let server = TestServer::start();
        let (event, gate) = server.event_and_gate();
        server
            .owner
            .json(&["event", "put", &event, "--allow-unsigned", "true"]);
        let scanner = server.scanner(&event, &gate);
        let file = server.path("recorded.ndjson");
        let lines: String = server
            .issue(&event, scans)
            .iter()
            .enumerate()
            .map(|(at, code)| {
                let time = format!("2026-11-01T18:{:02}:{:02}.000Z", at / 60 % 60, at % 60);
                let line = json!({ "ticket_code": code, "gate_id": gate, "scanned_at": time, "device_id": "old-door" });
                line.to_string() + "\n"
            })
            .collect();
        fs::write(&file, lines).expect("written");
        Self {
            server,
            scanner,
            event,
            gate,
            file,
            scans,
        }
    }

    /// The scans that the server has on record.
    fn exported(&self) -> Vec<Value> {
        self.server
            .owner
            .run(&["scans", "export", "--event", &self.event])
            .expect(0)
            .values()
    }

    /// Every line of the file is one scan on the server, and every ticket has admitted once.
    fn assert_each_recorded_once(&self) {
        let exported = self.exported();
        assert_eq!(exported.len(), self.scans);
        for name in ["scan_id", "ticket_code"] {
            let different: HashSet<_> = exported.iter().map(|scan| text(scan, name)).collect();
            assert_eq!(different.len(), self.scans, "{name}");
        }
        let inside = self.server.owner.json(&["stats", &self.event]);
        assert_eq!(inside["event"]["inside"], self.scans);
    }
}

#[test]
fn a_replay_keeps_times_and_devices_and_reports_its_results() {
    let fixture = ReplayFixture::new(30);
    let mut lines = fs::read_to_string(&fixture.file).expect("text");
    lines.push_str(&json!({ "gate_id": fixture.gate, "scanned_at": "2026-11-01T19:00:00.000Z" }).to_string());
    lines.push_str("\nnot a scan\n");
    fs::write(&fixture.file, lines).expect("written");
    let report = fixture
        .scanner
        .run(&["replay", &fixture.file, "--output", "json"])
        .expect(1)
        .value();
    assert_eq!(report["results"]["valid"]["count"], 30, "{report}");
    assert_eq!(report["gates"][&fixture.gate]["count"], 30, "{report}");
    assert_eq!(report["devices"]["old-door"]["count"], 30, "{report}");
    assert_eq!(report["skipped"]["no_qr_or_ticket_code"], 1, "{report}");
    assert_eq!(report["rejected"], 1, "{report}");
    let rejected = fs::read_to_string(format!("{}.rejected.ndjson", fixture.file)).expect("a file");
    let rejected: Value = serde_json::from_str(rejected.trim()).expect("a line of JSON");
    assert_eq!(rejected["line"], 32, "{rejected}");
    fixture.assert_each_recorded_once();
    let first = fixture.exported().into_iter().next().expect("a scan");
    assert_eq!(text(&first, "scanned_at"), "2026-11-01T18:00:00.000Z");
    assert_eq!(first["metadata"]["replayed_device"], "old-door");
    // The journal is gone, so this is a new replay. It does not change the recorded scans.
    let again = fixture
        .scanner
        .run(&["replay", &fixture.file, "--output", "json"])
        .expect(1)
        .value();
    assert_eq!(
        (&again["recorded"], &again["replayed"]),
        (&json!(0), &json!(30)),
        "{again}"
    );
    fixture.assert_each_recorded_once();
}

#[test]
fn a_replay_that_is_killed_ten_times_records_each_scan_once() {
    let fixture = ReplayFixture::new(1000);
    let journal = format!("{}.journal", fixture.file);
    let arguments = [
        "replay",
        &fixture.file,
        "--resume",
        "--batch",
        "5",
        "--concurrency",
        "3",
    ];
    let mut killed = 0;
    while killed < 10 {
        let before = fs::metadata(&journal).map_or(0, |about| about.len());
        // The replay is killed within its next batches, at a random length of the journal.
        let mut random = [0];
        voelgoed_scan_core::model::random::fill(&mut random);
        let more = 20 + u64::from(random[0]) / 2;
        let mut child = fixture
            .scanner
            .command(&arguments)
            .spawn()
            .expect("the binary runs");
        loop {
            assert!(
                child.try_wait().expect("a state").is_none(),
                "it ended after {killed} kills"
            );
            if fs::metadata(&journal).map_or(0, |about| about.len()) >= before + more {
                break;
            }
            std::thread::yield_now();
        }
        child.kill().expect("killed");
        child.wait().expect("ended");
        killed += 1;
    }
    let left = fixture.scanner.run(&["replay", &fixture.file]).expect(2);
    assert!(left.stderr.contains("--resume"), "{left:?}");
    fixture.scanner.run(&arguments).expect(0);
    assert!(!fs::exists(&journal).expect("a state"));
    fixture.assert_each_recorded_once();
}

#[test]
fn a_csv_file_with_tokens_is_replayed_as_the_devices_of_its_rows() {
    let fixture = ReplayFixture::new(4);
    let codes: Vec<_> = fs::read_to_string(&fixture.file)
        .expect("text")
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
        .map(|line| text(&line, "ticket_code").to_owned())
        .collect();
    let device = fixture.server.owner.json(&["device", "register", "door-2"]);
    let (csv, tokens) = (
        fixture.server.path("recorded.csv"),
        fixture.server.path("tokens.csv"),
    );
    let rows: Vec<_> = codes
        .iter()
        .map(|code| format!("{code},{},2026-11-01T18:00:00.000Z,old-door\n", fixture.gate))
        .collect();
    let rows = format!("ticket_code,gate_id,scanned_at,device_id\n{}", rows.concat());
    fs::write(&csv, rows).expect("written");
    fs::write(
        &tokens,
        format!("device_id,token\nold-door,{}\n", text(&device, "token")),
    )
    .expect("written");
    let anonymous = fixture.server.owner.without_token();
    anonymous.run(&["replay", &csv, "--tokens", &tokens]).expect(0);
    let exported = fixture.exported();
    assert_eq!(exported.len(), 4);
    for scan in &exported {
        assert_eq!(text(scan, "device_id"), text(&device, "id"));
        assert!(scan["metadata"].is_null(), "{scan}");
    }
}

#[test]
fn scans_of_two_events_at_one_gate_are_replayed_each_at_its_event() {
    let fixture = ReplayFixture::new(3);
    let owner = &fixture.server.owner;
    let (second, _) = fixture.server.event_and_gate();
    owner.json(&["event", "put", &second, "--allow-unsigned", "true"]);
    let gate = ["--event", &second, "--name", "Yard", "--status", "open"];
    owner.json(&[&["gate", "put", &fixture.gate][..], &gate].concat());
    let codes = fixture.server.issue(&second, 4);
    let line = |code: &String, event: &str| {
        json!({ "ticket_code": code, "event_id": event, "gate_id": fixture.gate,
                "scanned_at": "2026-11-01T18:00:00.000Z", "result": "valid", "reason": "admitted" })
    };
    let first = fs::read_to_string(&fixture.file).expect("text");
    let first: String = first
        .lines()
        .map(|old| {
            let mut line: Value = serde_json::from_str(old).expect("JSON");
            line["event_id"] = json!(fixture.event);
            line.to_string() + "\n"
        })
        .collect();
    let lines: String = codes
        .iter()
        .map(|code| line(code, &second).to_string() + "\n")
        .collect();
    fs::write(&fixture.file, first + &lines).expect("written");
    let report = fixture
        .scanner
        .run(&["replay", &fixture.file, "--output", "json"])
        .expect(0)
        .value();
    assert_eq!(report["events"][&fixture.event]["count"], 3, "{report}");
    assert_eq!(report["events"][&second]["count"], 4, "{report}");
    assert_eq!(report["gates"][&fixture.gate]["count"], 7, "{report}");
    for (event, inside) in [(&fixture.event, 3), (&second, 4)] {
        assert_eq!(owner.json(&["stats", event])["event"]["inside"], inside);
    }
    // Without an event, a scan of last year has none at a gate with two.
    let mut unnamed = line(&codes[0], &second);
    unnamed.as_object_mut().expect("an object").remove("event_id");
    unnamed["scanned_at"] = json!("2025-11-01T18:00:00.000Z");
    // Of a file in the directory of the test, because the rejected lines are written beside it.
    fs::write(&fixture.file, format!("{unnamed}\n")).expect("written");
    let failed = fixture
        .scanner
        .run(&["replay", &fixture.file, "--output", "json"]);
    assert_eq!((failed.exit_code, &failed.value()["rejected"]), (1, &json!(1)));
    // The event of such lines can be named.
    owner.json(&["event", "put", &second, "--name", "Winter Night"]);
    let fresh = fixture.server.issue(&second, 1);
    unnamed["ticket_code"] = json!(fresh[0]);
    fs::write(&fixture.file, format!("{unnamed}\n")).expect("written");
    let named = [
        "replay",
        &fixture.file,
        "--event",
        "winter night",
        "--output",
        "json",
    ];
    let report = fixture.scanner.run(&named).expect(0).value();
    assert_eq!(report["events"][&second]["count"], 1, "{report}");
    assert_eq!(owner.json(&["stats", &second])["event"]["inside"], 5);
    let what_if = ["replay", &fixture.file, "--what-if", "reentry=never"];
    let unnamed = owner.run(&what_if).expect(1);
    assert!(unnamed.stderr.contains("--event"), "{unnamed:?}");
    let event = ["--event", "winter night"];
    owner.run(&[&what_if[..], &event].concat()).expect(0);
}

#[test]
fn an_export_that_is_replayed_into_a_new_server_gives_the_same_results() {
    let old = TestServer::start();
    let (event, gate) = old.event_and_gate();
    let scanner = old.scanner(&event, &gate);
    let codes = old.issue(&event, 4);
    let payloads: Vec<_> = codes.iter().map(|code| old.qr(&event, code)).collect();
    old.owner.json(&["ticket", "void", &codes[3], "--event", &event]);
    let forged = payloads[0].replacen(&codes[0], &codes[1], 1);
    scanner.run(&[
        "scan",
        &payloads[0],
        &payloads[1],
        &payloads[0],
        &payloads[3],
        &forged,
        "not a code",
    ]);
    let exported = old.owner.run(&["scans", "export", "--event", &event]).expect(0);
    assert_eq!(exported.values().len(), 6);

    let new = old.start_with_same_keys();
    assert_eq!(new.organization, old.organization);
    new.owner
        .json(&["event", "put", &event, "--name", "Summer", "--status", "live"]);
    new.owner.json(&[
        "gate", "put", &gate, "--event", &event, "--name", "Main", "--status", "open",
    ]);
    let tickets: String = codes
        .iter()
        .map(|code| json!({ "code": code }).to_string() + "\n")
        .collect();
    let file = new.path("tickets.ndjson");
    fs::write(&file, tickets).expect("written");
    new.owner
        .run(&["ticket", "import", &file, "--event", &event])
        .expect(0);
    new.owner.json(&["ticket", "void", &codes[3], "--event", &event]);
    // The new server has the same key, so it verifies the payloads that the old server signed.
    let scanner = new.scanner(&event, &gate);
    let report = scanner
        .run_with_input(&["replay", "-", "--output", "json"], &exported.stdout)
        .value();
    assert_eq!(report["recorded"], 4, "{report}");
    // The export of a forged payload and of a malformed one has neither a payload nor a code.
    assert_eq!(report["skipped"]["no_qr_or_ticket_code"], 2, "{report}");
    let results = |server: &TestServer| -> Vec<_> {
        let scans = server
            .owner
            .run(&["scans", "export", "--event", &event])
            .expect(0)
            .values();
        let mut results: Vec<_> = scans
            .iter()
            .filter(|scan| scan["ticket_code"].is_string())
            .map(|scan| ["scan_id", "scanned_at", "result", "reason"].map(|name| text(scan, name).to_owned()))
            .collect();
        results.sort();
        results
    };
    assert_eq!(results(&new), results(&old));
    assert_eq!(new.owner.json(&["stats", &event])["event"]["inside"], 2);
    let anonymous = new.owner.without_token();
    let existing = [
        "init",
        "--database-url",
        &new.url,
        "--organization",
        "X",
        "--organization-id",
    ];
    anonymous
        .run(&[&existing[..], &[&new.organization]].concat())
        .expect(1);
}
