//! Scans of the past, handed in again: each exactly once, whatever happens to the one who sends.

use std::collections::HashSet;
use std::fs;

use serde_json::{Value, json};

use super::prompt::{Place, Prompt, text};

/// An event that takes bare codes, its scanner, and a file of scans, one for each of its tickets.
struct Past {
    place: Place,
    scanner: Prompt,
    event: String,
    gate: String,
    file: String,
    scans: usize,
}

impl Past {
    fn of(scans: usize) -> Self {
        let place = Place::open();
        let (event, gate) = place.event_and_gate();
        place
            .owner
            .json(&["event", "put", &event, "--allow-unsigned", "true"]);
        let scanner = place.scanner(&event, &gate);
        let file = place.path("past.ndjson");
        let lines: String = place
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
            place,
            scanner,
            event,
            gate,
            file,
            scans,
        }
    }

    fn exported(&self) -> Vec<Value> {
        self.place
            .owner
            .run(&["scans", "export", "--event", &self.event])
            .expect(0)
            .values()
    }

    /// Every line is one scan on the server, and every ticket admitted one person.
    fn expect_each_once(&self) {
        let exported = self.exported();
        assert_eq!(exported.len(), self.scans);
        for name in ["scan_id", "ticket_code"] {
            let different: HashSet<_> = exported.iter().map(|scan| text(scan, name)).collect();
            assert_eq!(different.len(), self.scans, "{name}");
        }
        let inside = self.place.owner.json(&["stats", &self.event]);
        assert_eq!(inside["event"]["inside"], self.scans);
    }
}

#[test]
fn a_replay_keeps_times_and_devices_and_says_what_came_of_it() {
    let past = Past::of(30);
    let mut lines = fs::read_to_string(&past.file).expect("text");
    lines.push_str(&json!({ "gate_id": past.gate, "scanned_at": "2026-11-01T19:00:00.000Z" }).to_string());
    lines.push_str("\nnot a scan\n");
    fs::write(&past.file, lines).expect("written");
    let report = past
        .scanner
        .run(&["replay", &past.file, "--output", "json"])
        .expect(1)
        .value();
    assert_eq!(report["results"]["valid"]["count"], 30, "{report}");
    assert_eq!(report["gates"][&past.gate]["count"], 30, "{report}");
    assert_eq!(report["devices"]["old-door"]["count"], 30, "{report}");
    assert_eq!(report["skipped"]["no_qr_or_ticket_code"], 1, "{report}");
    assert_eq!(report["rejected"], 1, "{report}");
    let rejected = fs::read_to_string(format!("{}.rejected.ndjson", past.file)).expect("a file");
    let rejected: Value = serde_json::from_str(rejected.trim()).expect("a line of JSON");
    assert_eq!(rejected["line"], 32, "{rejected}");
    past.expect_each_once();
    let first = past.exported().into_iter().next().expect("a scan");
    assert_eq!(text(&first, "scanned_at"), "2026-11-01T18:00:00.000Z");
    assert_eq!(first["metadata"]["replayed_device"], "old-door");
    // Nothing is left to go on with; and what is there already stays as it is.
    let again = past
        .scanner
        .run(&["replay", &past.file, "--output", "json"])
        .expect(1)
        .value();
    assert_eq!(
        (&again["recorded"], &again["replayed"]),
        (&json!(0), &json!(30)),
        "{again}"
    );
    past.expect_each_once();
}

#[test]
fn a_replay_that_is_killed_ten_times_hands_in_each_scan_once() {
    let past = Past::of(1000);
    let journal = format!("{}.journal", past.file);
    let arguments = [
        "replay",
        &past.file,
        "--resume",
        "--batch",
        "5",
        "--concurrency",
        "3",
    ];
    let mut killed = 0;
    while killed < 10 {
        let before = fs::metadata(&journal).map_or(0, |about| about.len());
        // Somewhere within the next batches, at another place each time.
        let mut random = [0];
        voelgoed_scan_core::model::random::fill(&mut random);
        let more = 20 + u64::from(random[0]) / 2;
        let mut child = past.scanner.command(&arguments).spawn().expect("it runs");
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
    let left = past.scanner.run(&["replay", &past.file]).expect(2);
    assert!(left.err.contains("--resume"), "{left:?}");
    past.scanner.run(&arguments).expect(0);
    assert!(!fs::exists(&journal).expect("a state"));
    past.expect_each_once();
}

#[test]
fn csv_and_tokens_let_each_device_hand_in_its_own() {
    let past = Past::of(4);
    let codes: Vec<_> = fs::read_to_string(&past.file)
        .expect("text")
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
        .map(|line| text(&line, "ticket_code").to_owned())
        .collect();
    let device = past.place.owner.json(&["device", "register", "door-2"]);
    let (csv, tokens) = (past.place.path("past.csv"), past.place.path("tokens.csv"));
    let rows: Vec<_> = codes
        .iter()
        .map(|code| format!("{code},{},2026-11-01T18:00:00.000Z,old-door\n", past.gate))
        .collect();
    let rows = format!("ticket_code,gate_id,scanned_at,device_id\n{}", rows.concat());
    fs::write(&csv, rows).expect("written");
    fs::write(
        &tokens,
        format!("device_id,token\nold-door,{}\n", text(&device, "token")),
    )
    .expect("written");
    let nobody = past.place.owner.without_token();
    nobody.run(&["replay", &csv, "--tokens", &tokens]).expect(0);
    let exported = past.exported();
    assert_eq!(exported.len(), 4);
    for scan in &exported {
        assert_eq!(text(scan, "device_id"), text(&device, "id"));
        assert!(scan["metadata"].is_null(), "{scan}");
    }
}

#[test]
fn an_export_replayed_into_a_fresh_server_gives_the_same_results() {
    let old = Place::open();
    let (event, gate) = old.event_and_gate();
    let scanner = old.scanner(&event, &gate);
    let codes = old.issue(&event, 4);
    let shown: Vec<_> = codes.iter().map(|code| old.qr(&event, code)).collect();
    old.owner.json(&["ticket", "void", &codes[3], "--event", &event]);
    let forged = shown[0].replacen(&codes[0], &codes[1], 1);
    scanner.run(&[
        "scan",
        &shown[0],
        &shown[1],
        &shown[0],
        &shown[3],
        &forged,
        "not a code",
    ]);
    let exported = old.owner.run(&["scans", "export", "--event", &event]).expect(0);
    assert_eq!(exported.values().len(), 6);

    let new = old.open_anew();
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
    // The code that the old server signed holds here: the key is the same one.
    let scanner = new.scanner(&event, &gate);
    let report = scanner
        .feed(&["replay", "-", "--output", "json"], &exported.out)
        .value();
    assert_eq!(report["recorded"], 4, "{report}");
    // A forgery and a text that is no code leave neither behind.
    assert_eq!(report["skipped"]["no_qr_or_ticket_code"], 2, "{report}");
    let told = |place: &Place| -> Vec<_> {
        let scans = place
            .owner
            .run(&["scans", "export", "--event", &event])
            .expect(0)
            .values();
        let mut told: Vec<_> = scans
            .iter()
            .filter(|scan| scan["ticket_code"].is_string())
            .map(|scan| ["scan_id", "scanned_at", "result", "reason"].map(|name| text(scan, name).to_owned()))
            .collect();
        told.sort();
        told
    };
    assert_eq!(told(&new), told(&old));
    assert_eq!(new.owner.json(&["stats", &event])["event"]["inside"], 2);
    let again = new.owner.without_token();
    let taken = [
        "init",
        "--database-url",
        &new.url,
        "--organization",
        "X",
        "--organization-id",
    ];
    again.run(&[&taken[..], &[&new.organization]].concat()).expect(1);
}
