//! `demo`, the first command of the README.

use std::io::{BufRead as _, BufReader};
use std::process::Command;

use super::fixture::{Cli, text};

#[test]
fn the_demo_scans_one_ticket_for_each_result() {
    let lines = Cli::without_server().list(&["demo", "--exit"]);
    assert_eq!(lines[0]["tickets"], 50);
    let results: Vec<_> = lines[1..]
        .iter()
        .map(|line| text(&line["answer"], "result"))
        .collect();
    assert_eq!(
        results,
        [
            "valid",
            "duplicate",
            "invalid_token",
            "invalid_token",
            "wrong_event",
            "wrong_gate",
            "refused"
        ]
    );
    assert!(
        lines[1..]
            .iter()
            .all(|line| line["as_expected"] == true && line["latency_ms"].is_number())
    );
}

#[test]
fn a_named_directory_is_kept_and_used_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let dir = directory.path().join("demo").display().to_string();
    for _ in 0..2 {
        let output = Cli::without_server()
            .run(&["demo", "--exit", "--dir", &dir])
            .expect(0);
        assert!(
            output.stdout.contains('▄') && output.stdout.contains("wrong_gate"),
            "{output:?}"
        );
    }
    assert!(directory.path().join("demo/demo.db").exists());
}

#[test]
fn the_demo_serves_until_it_is_terminated() {
    let mut child = Cli::without_server()
        .command(&["demo", "--output", "json"])
        .spawn()
        .expect("the binary runs");
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let credentials = lines.next().expect("a line").expect("text");
    let credentials: serde_json::Value = serde_json::from_str(&credentials).expect("JSON");
    for _ in 0..7 {
        lines.next().expect("a scan").expect("text");
    }
    let device = Cli::without_server().with_token(credentials["device_tokens"][0].as_str().expect("a token"));
    let scan = [
        "scan",
        text(&credentials, "qr"),
        "--server",
        text(&credentials, "server"),
    ];
    device.run(&scan).expect(0);
    device.run(&scan).expect(3);
    let kill = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status()
        .expect("kill runs");
    assert!(kill.success());
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}
