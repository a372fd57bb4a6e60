//! `rehearse`, a load test on a copy of an event. It leaves no device, session or event behind, however it ends.

use std::process::Child;

use serde_json::{Value, json};
use voelgoed_scan_suite::wait_until;

use super::fixture::{Cli, TestServer, id, text};

/// A rehearsal that is over soon.
const SHORT: &[&str] = &[
    "rehearse",
    "--warm-up",
    "0s",
    "--duration",
    "100ms",
    "--devices",
    "2",
    "--rate",
    "50",
];

/// A rehearsal that does not end by itself while a test runs.
const LONG: &[&str] = &[
    "rehearse",
    "--duration",
    "1h",
    "--devices",
    "3",
    "--rate",
    "5",
    "--tickets",
    "5000",
];

/// The events of rehearsals, oldest first.
fn copies(server: &TestServer) -> Vec<Value> {
    let mut events = server.owner.list(&["event", "list", "--all"]);
    events.retain(|event| event["rehearsal"] == true);
    events
}

fn active_devices(server: &TestServer) -> Vec<Value> {
    server
        .owner
        .list(&["device", "list", "--status", "active", "--all"])
}

/// Panics if a rehearsal left something on the server.
#[track_caller]
fn expect_nothing_left(server: &TestServer, event: &str) {
    let events = server.owner.list(&["event", "list", "--all"]);
    let ids: Vec<&str> = events.iter().map(|event| text(event, "id")).collect();
    assert_eq!(ids, [event]);
    assert_eq!(active_devices(server), Vec::<Value>::new());
    let sessions = server.owner.list(&["session", "list", "--status", "active"]);
    assert_eq!(sessions, Vec::<Value>::new());
    let original = server.owner.json(&["stats", event]);
    assert_eq!(original["event"]["entries"], 0);
}

/// A rehearsal that scans: it runs until it is ended.
struct Running(Child);

impl Running {
    fn start(server: &TestServer, cli: &Cli, event: &str) -> Self {
        let secret = server.path("gate.db.secret");
        let arguments = [LONG, &["--event", event, "--secret-key-file", &secret]].concat();
        let child = cli.command(&arguments).spawn().expect("the binary runs");
        let running = Self(child);
        server.block_on(wait_until("the rehearsal scans", || async {
            copies(server).iter().any(|copy| {
                let stats = server.owner.json(&["stats", text(copy, "id")]);
                stats["event"]["entries"].as_u64() > Some(0)
            })
        }));
        running
    }

    fn signal(&self, signal: &str) {
        let pid = self.0.id().to_string();
        let sent = std::process::Command::new("kill").args([signal, &pid]).status();
        assert!(sent.expect("kill runs").success());
    }

    /// Its exit code, standard output and standard error.
    fn end(self) -> (Option<i32>, String, String) {
        let output = self.0.wait_with_output().expect("it ends");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        (output.status.code(), text(output.stdout), text(output.stderr))
    }
}

fn admin(server: &TestServer) -> (Cli, String) {
    let key = server
        .owner
        .json(&["apikey", "create", "--name", "Admin", "--role", "admin"]);
    (server.owner.with_token(text(&key, "key")), id(&key))
}

#[test]
fn a_rehearsal_scans_a_copy_of_the_event_and_removes_it() {
    let server = TestServer::start();
    let (event, _) = server.event_and_gate();
    let common = [
        "rehearse",
        "--event",
        "summer",
        "--warm-up",
        "0s",
        "--duration",
        "300ms",
    ];
    for (cli, more) in [
        (
            server.owner.clone(),
            ["--devices", "5", "--rate", "100", "--duplicates", "50%"].as_slice(),
        ),
        (
            admin(&server).0,
            ["--closed", "--concurrency", "3", "--tickets", "40"].as_slice(),
        ),
    ] {
        let report = cli.json(&[common.as_slice(), more].concat());
        assert!(report["latency_ms"]["p99"].is_number(), "{report}");
        assert!(report["results"]["valid"]["count"].as_u64() > Some(0), "{report}");
        assert_eq!(report["errors"], json!({}), "{report}");
        let recommendation = &report["recommendation"];
        assert!(recommendation["scans_per_second"].is_u64(), "{report}");
        assert!(!text(recommendation, "text").is_empty(), "{report}");
        assert_eq!(report["copy"]["removed"], true, "{report}");
        assert_eq!(report["left"], json!([]), "{report}");
        let copy = text(&report["copy"], "event_id");
        server.owner.run(&["event", "show", copy]).expect(1);
        expect_nothing_left(&server, &event);
    }
}

#[test]
fn a_rehearsal_without_the_master_secret_downloads_its_payloads() {
    let server = TestServer::start();
    let (event, _) = server.event_and_gate();
    let report = server.owner.json(&[SHORT, &["--event", &event]].concat());
    assert_eq!(
        report["results"]["valid"]["count"], report["latency_ms"]["count"],
        "{report}"
    );
}

#[test]
fn a_copy_that_is_kept_admits_nobody_and_is_removed_by_the_named_command() {
    let server = TestServer::start();
    let (event, _) = server.event_and_gate();
    let report = server
        .owner
        .json(&[SHORT, &["--event", &event, "--keep"]].concat());
    let copy = text(&report["copy"], "event_id");
    let shown = server.owner.json(&["event", "show", copy]);
    assert_eq!(shown["status"], "archived");
    assert_eq!(active_devices(&server), Vec::<Value>::new());
    // Another rehearsal leaves it.
    server.owner.json(&[SHORT, &["--event", &event]].concat());
    assert_eq!(copies(&server), [shown]);
    let left = report["left"].as_array().expect("a list");
    assert_eq!(left.len(), 1, "{report}");
    let command: Vec<&str> = text(&left[0], "remove_with").split(' ').skip(1).collect();
    server.owner.run(&command).expect(0);
    expect_nothing_left(&server, &event);
}

#[test]
fn a_rehearsal_that_is_interrupted_removes_its_copy() {
    let server = TestServer::start();
    let (event, _) = server.event_and_gate();
    for signal in ["-INT", "-TERM"] {
        let running = Running::start(&server, &admin(&server).0, &event);
        assert_eq!(active_devices(&server).len(), 3);
        running.signal(signal);
        let (exit, stdout, stderr) = running.end();
        assert_eq!(exit, Some(0), "{stdout}{stderr}");
        assert!(stdout.contains("deleted event"), "{stdout}");
        expect_nothing_left(&server, &event);
    }
}

#[test]
fn a_rehearsal_that_fails_half_way_removes_its_copy() {
    let server = TestServer::start();
    let (event, _) = server.event_and_gate();
    // The payloads are signed after the event, the devices and the tickets were made.
    let secret = server.path("wrong.secret");
    std::fs::write(&secret, "ab".repeat(32)).expect("written");
    let failed = server
        .owner
        .run(&[SHORT, &["--event", &event, "--secret-key-file", &secret]].concat());
    let failed = failed.expect(1);
    assert!(failed.stderr.contains("the master secret"), "{failed:?}");
    expect_nothing_left(&server, &event);
}

#[test]
fn what_cannot_be_removed_is_named_with_the_command_that_removes_it() {
    let server = TestServer::start();
    let (event, _) = server.event_and_gate();
    let (cli, key) = admin(&server);
    let running = Running::start(&server, &cli, &event);
    server.owner.run(&["apikey", "revoke", &key]).expect(0);
    running.signal("-INT");
    let (exit, stdout, stderr) = running.end();
    assert_eq!(exit, Some(1), "{stdout}{stderr}");
    let copy = id(&copies(&server)[0]);
    assert!(stdout.contains(&format!("event {copy} (")), "{stdout}");
    for device in active_devices(&server) {
        let command = format!("voelgoed-scan device revoke {} --yes", id(&device));
        assert!(stdout.contains(&command), "{stdout}");
    }
    assert!(
        stdout.contains("voelgoed-scan rehearse --remove-leftovers"),
        "{stdout}"
    );
    // It has ended, but nobody else knows that.
    let refused = server.owner.run(&["rehearse", "--remove-leftovers"]).expect(2);
    assert!(refused.stderr.contains("--yes"), "{refused:?}");
    assert_eq!(copies(&server).len(), 1);
    let removed = server.owner.json(&["rehearse", "--remove-leftovers", "--yes"]);
    assert_eq!(removed, json!({ "events": [copy], "devices": 3, "left": [] }));
    expect_nothing_left(&server, &event);
}

#[test]
fn the_next_rehearsal_removes_what_one_left_that_was_killed() {
    let server = TestServer::start();
    let (event, _) = server.event_and_gate();
    let running = Running::start(&server, &server.owner, &event);
    running.signal("-KILL");
    assert_eq!(running.end().0, None, "killed");
    let copy = id(&copies(&server)[0]);
    // An event of people is not touched, whatever it is called and even if its doors are closed.
    let closed = ["--doors-close-at", "2020-01-01T00:00:00Z"];
    let decoy = [
        "event",
        "put",
        "new",
        "--name",
        "Rehearsal: Summer",
        "--status",
        "live",
    ];
    let decoy = id(&server.owner.json(&[decoy.as_slice(), &closed].concat()));
    let device = ["device", "register", "rehearsal-of-ours", "--scope-event", &decoy];
    let device = text(&server.owner.json(&device), "id").to_owned();
    let short = [SHORT, &["--event", &event]].concat();

    // It may still run.
    let next = server.owner.run(&short).expect(0);
    assert!(next.stderr.contains("may still run"), "{next:?}");
    assert!(
        next.stderr.contains("voelgoed-scan rehearse --remove-leftovers"),
        "{next:?}"
    );
    assert_eq!(
        copies(&server).iter().map(id).collect::<Vec<_>>(),
        [copy.as_str()]
    );
    assert_eq!(active_devices(&server).len(), 4);

    // Its time is over.
    let put = ["event", "put", &copy];
    server.owner.json(&[put.as_slice(), &closed].concat());
    let next = server.owner.run(&short).expect(0);
    assert!(next.stderr.contains(&copy), "{next:?}");
    assert_eq!(copies(&server), Vec::<Value>::new());
    assert_eq!(
        active_devices(&server).iter().map(id).collect::<Vec<_>>(),
        [device]
    );
    assert_eq!(server.owner.json(&["event", "show", &decoy])["status"], "live");
}

#[test]
fn the_devices_of_a_rehearsal_work_at_its_copy_alone_and_only_while_it_lasts() {
    let server = TestServer::start();
    let (event, _) = server.event_and_gate();
    let running = Running::start(&server, &server.owner, &event);
    let copy = &copies(&server)[0];
    assert!(copy["doors_close_at"].is_string(), "{copy}");
    for device in active_devices(&server) {
        assert_eq!(device["scope"]["event_ids"], json!([copy["id"]]), "{device}");
    }
    running.signal("-INT");
    assert_eq!(running.end().0, Some(0));
    expect_nothing_left(&server, &event);
}
