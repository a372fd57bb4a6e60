//! Commands of a device and of its operators: sessions, scans, the audit trail, `watch`.

use std::io::{BufRead as _, BufReader};
use std::time::Instant;

use serde_json::Value;
use voelgoed_scan_suite::wait::CONDITION_TIMEOUT;

use super::fixture::{TestServer, text};

#[test]
fn an_admission_exits_0_and_a_denial_3_with_different_marks() {
    let server = TestServer::start();
    let (event, gate) = server.event_and_gate();
    let scanner = server.scanner(&event, &gate);
    let qr = server.qr(&event, &server.issue(&event, 1)[0]);
    let valid = scanner.run(&["scan", &qr]).expect(0);
    assert!(
        valid.stdout.contains("✔ VALID") && valid.stdout.contains("Admitted"),
        "{valid:?}"
    );
    let again = scanner.run(&["scan", &qr]).expect(3);
    assert!(
        again.stdout.contains("✘ DUPLICATE") && again.stdout.contains("this device"),
        "{again:?}"
    );
    let forced = scanner
        .run(&["scan", &qr, "--override", "lost wristband", "--output", "json"])
        .expect(0)
        .value();
    assert_eq!(text(&forced, "reason"), "overridden");
    let dry = scanner
        .run(&["scan", &qr, "--dry-run", "--output", "json"])
        .expect(3)
        .value();
    assert!(dry["scan_id"].is_null());
    scanner.run(&["scan", &qr, "--direction", "exit"]).expect(0);
}

#[test]
fn scans_from_standard_input_exit_3_if_one_is_denied() {
    let server = TestServer::start();
    let (event, gate) = server.event_and_gate();
    let scanner = server.scanner(&event, &gate);
    let codes = server.issue(&event, 20);
    let mut payloads: String = codes
        .iter()
        .map(|code| server.qr(&event, code) + "\r\n")
        .collect();
    let all = scanner
        .run_with_input(&["scan", "-", "--output", "json"], &payloads)
        .expect(0)
        .values();
    assert!(all.len() == 20 && all.iter().all(|answer| answer["result"] == "valid"));
    payloads.push_str("\n\nnonsense");
    let again = scanner
        .run_with_input(&["scan", "-", "--output", "json"], &payloads)
        .expect(3)
        .values();
    assert_eq!(
        again
            .iter()
            .filter(|answer| answer["reason"] == "already_scanned")
            .count(),
        20
    );
    assert_eq!(text(&again[20], "reason"), "malformed");
    let stats = server.owner.json(&["stats", &event]);
    assert_eq!(stats["event"]["inside"], 20);
    assert_eq!(stats["results"]["duplicate"], 20);
    let table = server.owner.run(&["stats", &event]).expect(0);
    assert!(
        table.stdout.contains("Main") && table.stdout.contains("valid 20"),
        "{table:?}"
    );
}

#[test]
fn scans_are_listed_and_exported() {
    let server = TestServer::start();
    let (event, gate) = server.event_and_gate();
    let scanner = server.scanner(&event, &gate);
    let qr = server.qr(&event, &server.issue(&event, 1)[0]);
    scanner.run(&["scan", &qr, &qr, "nonsense"]).expect(3);
    // A denial served from a cache is written behind.
    let started = Instant::now();
    while server.owner.list(&["scans", "list", "--event", &event]).len() < 3 {
        assert!(
            started.elapsed() < CONDITION_TIMEOUT,
            "the denial is not on record"
        );
    }
    let listed = server.owner.list(&["scans", "list", "--event", &event]);
    assert_eq!(listed.len(), 3);
    assert_eq!(
        server
            .owner
            .list(&["scans", "list", "--event", &event, "--limit", "2"])
            .len(),
        2
    );
    assert_eq!(
        server
            .owner
            .list(&["scans", "list", "--result", "duplicate"])
            .len(),
        1
    );
    let export = server
        .owner
        .run(&["scans", "export", "--event", &event])
        .expect(0)
        .values();
    let results: Vec<_> = export.iter().map(|line| text(line, "result")).collect();
    assert_eq!(results.len(), 3, "{export:?}");
    let valid = export
        .iter()
        .find(|line| line["result"] == "valid")
        .expect("the admission");
    assert_eq!(text(valid, "qr"), qr);
}

#[test]
fn a_device_has_one_session_until_it_ends() {
    let server = TestServer::start();
    let (event, gate) = server.event_and_gate();
    let scanner = server.scanner(&event, &gate);
    let start = ["session", "start", "--event", &event, "--gate", &gate];
    let second = scanner.run(&start).expect(1);
    assert!(second.stderr.contains("--replace"), "{second:?}");
    let session = scanner.json(&[&start[..], &["--replace"]].concat());
    let id = text(&session, "id");
    assert_eq!(text(&scanner.json(&["session", "show", id]), "status"), "active");
    assert_eq!(text(&scanner.json(&["session", "end", id]), "status"), "ended");
    assert_eq!(
        server
            .owner
            .list(&["session", "list", "--event", &event, "--status", "ended"])
            .len(),
        2
    );
    scanner.run(&["scan", "nonsense"]).expect(1);
}

#[test]
fn watch_prints_scans_as_they_happen() {
    let server = TestServer::start();
    let (event, gate) = server.event_and_gate();
    let scanner = server.scanner(&event, &gate);
    let qr = server.qr(&event, &server.issue(&event, 1)[0]);
    scanner.run(&["scan", &qr]).expect(0);
    let mut watcher = server
        .owner
        .command(&["watch", &event, "--output", "json"])
        .spawn()
        .expect("the binary runs");
    let lines = BufReader::new(watcher.stdout.take().expect("its output")).lines();
    let mut events = lines.map(|line| serde_json::from_str::<Value>(&line.expect("text")).expect("JSON"));
    // The test cannot see whether the stream is open, so it scans until the watcher prints a scan.
    let scans = std::thread::spawn(move || while scanner.run(&["scan", &qr]).exit_code == 3 {});
    let event = events.find(|event| event["event"] == "scan").expect("a scan");
    assert_eq!(text(&event["data"], "result"), "duplicate");
    watcher.kill().expect("killed");
    watcher.wait().expect("the process ends");
    server
        .owner
        .run(&["device", "revoke", "door-1", "--yes"])
        .expect(0);
    scans.join().expect("the scans end");
}
