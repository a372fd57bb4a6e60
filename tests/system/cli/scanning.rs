//! As a device: sessions, scans, what happened, what happens.

use std::io::{BufRead as _, BufReader};

use serde_json::Value;

use super::prompt::{Place, text};

#[test]
fn an_admission_exits_0_a_denial_3_and_both_are_told_apart_at_a_glance() {
    let place = Place::open();
    let (event, gate) = place.event_and_gate();
    let scanner = place.scanner(&event, &gate);
    let qr = place.qr(&event, &place.issue(&event, 1)[0]);
    let valid = scanner.run(&["scan", &qr]).expect(0);
    assert!(
        valid.out.contains("✔ VALID") && valid.out.contains("Admitted"),
        "{valid:?}"
    );
    let again = scanner.run(&["scan", &qr]).expect(3);
    assert!(
        again.out.contains("✘ DUPLICATE") && again.out.contains("this device"),
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
fn many_scans_come_by_standard_input_and_one_denial_is_enough_for_3() {
    let place = Place::open();
    let (event, gate) = place.event_and_gate();
    let scanner = place.scanner(&event, &gate);
    let codes = place.issue(&event, 20);
    let mut payloads: String = codes.iter().map(|code| place.qr(&event, code) + "\r\n").collect();
    let all = scanner
        .feed(&["scan", "-", "--output", "json"], &payloads)
        .expect(0)
        .values();
    assert!(all.len() == 20 && all.iter().all(|answer| answer["result"] == "valid"));
    payloads.push_str("\n\nnonsense");
    let again = scanner
        .feed(&["scan", "-", "--output", "json"], &payloads)
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
    let stats = place.owner.json(&["stats", &event]);
    assert_eq!(stats["event"]["inside"], 20);
    assert_eq!(stats["results"]["duplicate"], 20);
    let table = place.owner.run(&["stats", &event]).expect(0);
    assert!(
        table.out.contains("Main") && table.out.contains("valid 20"),
        "{table:?}"
    );
}

#[test]
fn the_audit_trail_is_listed_and_exported() {
    let place = Place::open();
    let (event, gate) = place.event_and_gate();
    let scanner = place.scanner(&event, &gate);
    let qr = place.qr(&event, &place.issue(&event, 1)[0]);
    scanner.run(&["scan", &qr, &qr, "nonsense"]).expect(3);
    let mut listed = Vec::new();
    // A denial that a cache tier answered may reach the trail a moment later.
    for _ in 0..100 {
        listed = place.owner.list(&["scans", "list", "--event", &event]);
        if listed.len() == 3 {
            break;
        }
    }
    assert_eq!(listed.len(), 3);
    assert_eq!(
        place
            .owner
            .list(&["scans", "list", "--event", &event, "--limit", "2"])
            .len(),
        2
    );
    assert_eq!(
        place
            .owner
            .list(&["scans", "list", "--result", "duplicate"])
            .len(),
        1
    );
    let export = place
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
fn a_session_is_one_a_device_until_it_ends() {
    let place = Place::open();
    let (event, gate) = place.event_and_gate();
    let scanner = place.scanner(&event, &gate);
    let start = ["session", "start", "--event", &event, "--gate", &gate];
    let second = scanner.run(&start).expect(1);
    assert!(second.err.contains("--replace"), "{second:?}");
    let session = scanner.json(&[&start[..], &["--replace"]].concat());
    let id = text(&session, "id");
    assert_eq!(text(&scanner.json(&["session", "show", id]), "status"), "active");
    assert_eq!(text(&scanner.json(&["session", "end", id]), "status"), "ended");
    assert_eq!(
        place
            .owner
            .list(&["session", "list", "--event", &event, "--status", "ended"])
            .len(),
        2
    );
    scanner.run(&["scan", "nonsense"]).expect(1);
}

#[test]
fn a_watcher_sees_scans_as_they_happen() {
    let place = Place::open();
    let (event, gate) = place.event_and_gate();
    let scanner = place.scanner(&event, &gate);
    let qr = place.qr(&event, &place.issue(&event, 1)[0]);
    scanner.run(&["scan", &qr]).expect(0);
    let mut watcher = place
        .owner
        .command(&["watch", &event, "--output", "json"])
        .spawn()
        .expect("the binary runs");
    let lines = BufReader::new(watcher.stdout.take().expect("its output")).lines();
    let mut told = lines.map(|line| serde_json::from_str::<Value>(&line.expect("text")).expect("JSON"));
    // Whether its stream is open cannot be seen from here: scans go on until one is told.
    let scans = std::thread::spawn(move || while scanner.run(&["scan", &qr]).code == 3 {});
    let told = told.find(|told| told["event"] == "scan").expect("a scan");
    assert_eq!(text(&told["data"], "result"), "duplicate");
    watcher.kill().expect("it ends");
    watcher.wait().expect("it ended");
    place.owner.run(&["device", "revoke", "door-1"]).expect(0);
    scans.join().expect("the scans end");
}
