//! The README's first command.

use std::io::{BufRead as _, BufReader};
use std::process::Command;

use super::prompt::{Prompt, text};

#[test]
fn the_demo_scans_one_of_every_result() {
    let lines = Prompt::alone().list(&["demo", "--exit"]);
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
fn a_named_folder_is_kept_and_used_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().join("demo").display().to_string();
    for _ in 0..2 {
        let done = Prompt::alone().run(&["demo", "--exit", "--dir", &dir]).expect(0);
        assert!(
            done.out.contains('▄') && done.out.contains("wrong_gate"),
            "{done:?}"
        );
    }
    assert!(folder.path().join("demo/demo.db").exists());
}

#[test]
fn the_demo_serves_what_it_prints_until_it_is_ended() {
    let mut child = Prompt::alone()
        .command(&["demo", "--output", "json"])
        .spawn()
        .expect("the binary runs");
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let set = lines.next().expect("a line").expect("text");
    let set: serde_json::Value = serde_json::from_str(&set).expect("JSON");
    for _ in 0..7 {
        lines.next().expect("a scan").expect("text");
    }
    let device = Prompt::alone().with_token(set["device_tokens"][0].as_str().expect("a token"));
    let scan = ["scan", text(&set, "qr"), "--server", text(&set, "server")];
    device.run(&scan).expect(0);
    device.run(&scan).expect(3);
    let ended = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status()
        .expect("kill runs");
    assert!(ended.success());
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}
