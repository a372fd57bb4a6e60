//! Commands that need no server: `verify`, `completions`, `man`.

use std::path::Path;

use super::fixture::{Cli, TestServer, text};

fn vector_file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/vectors")
        .join(name);
    path.display().to_string()
}

#[test]
fn every_vector_file_verifies_without_a_mismatch() {
    for name in ["native_token.json", "phoenix_token.json", "decisions.json"] {
        let report = Cli::without_server().json(&["verify", "--vectors", &vector_file(name)]);
        assert_eq!(report["mismatches"], 0);
        assert!(
            report["cases"].as_u64().is_some_and(|cases| cases > 20),
            "{report}"
        );
    }
}

#[test]
fn a_changed_vector_file_prints_a_line_for_each_mismatch() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("tampered.json");
    let file = file.display().to_string();
    for name in ["native_token.json", "phoenix_token.json"] {
        let genuine = std::fs::read_to_string(vector_file(name)).expect("a vector file");
        let changed_outcome = r#""outcome": "bad_signature""#;
        let count = genuine.matches(changed_outcome).count();
        assert!(count > 0);
        std::fs::write(
            &file,
            genuine.replace(changed_outcome, r#""outcome": "malformed""#),
        )
        .expect("written");
        let output = Cli::without_server()
            .run(&["verify", "--vectors", &file])
            .expect(1);
        assert_eq!(output.stdout.lines().count(), count, "{output:?}");
        assert!(
            output.stdout.contains("expected malformed, got bad_signature"),
            "{output:?}"
        );
    }
    let decisions = std::fs::read_to_string(vector_file("decisions.json")).expect("a vector file");
    // The verdicts of phones follow a brace.
    let changed_result = r#", "result": "valid", "reason": "readmitted""#;
    let count = decisions.matches(changed_result).count();
    assert!(count > 0);
    let wrong = decisions.replace(changed_result, r#", "result": "valid", "reason": "admitted""#);
    std::fs::write(&file, wrong).expect("written");
    let output = Cli::without_server()
        .run(&["verify", "--vectors", &file])
        .expect(1);
    assert_eq!(output.stdout.lines().count(), count, "{output:?}");
    let line = "expected valid/admitted, got valid/readmitted";
    assert!(output.stdout.lines().all(|one| one.ends_with(line)), "{output:?}");
    let no_steps = r#"{"cases":[{"name":"a","steps":[]}]}"#;
    for invalid in ["", "{}", "[1]", r#"{"secret_key_base":1}"#, no_steps] {
        std::fs::write(&file, invalid).expect("written");
        Cli::without_server()
            .run(&["verify", "--vectors", &file])
            .expect(1);
    }
    Cli::without_server()
        .run(&["verify", "--vectors", "absent.json"])
        .expect(1);
}

#[test]
fn a_vg2_payload_verifies_only_with_its_public_key() {
    let server = TestServer::start();
    let (event, _) = server.event_and_gate();
    let code = server.issue(&event, 1).remove(0);
    let qr = server
        .owner
        .run(&[
            "ticket", "qr", &code, "--event", &event, "--as", "text", "--format", "vg2",
        ])
        .expect(0);
    let qr = qr.stdout.trim();
    let keys = server.owner.list(&["key", "list"]);
    let key = keys.iter().find(|key| key["format"] == "vg2").expect("a VG2 key");
    let key = text(key, "public_key");
    let genuine = Cli::without_server().json(&["verify", qr, "--public-key", key]);
    assert_eq!(text(&genuine, "ticket_code"), code);
    assert_eq!(text(&genuine, "event_id"), event);
    let damaged = qr
        .replacen("VG2.1.A", "VG2.1.B", 1)
        .replacen("VG2.1.", "VG2.2.", 1);
    let output = Cli::without_server()
        .run(&["verify", &damaged, "--public-key", key, "--output", "json"])
        .expect(1);
    assert_eq!(text(&output.value(), "reason"), "bad_signature");
    Cli::without_server().run(&["verify", qr]).expect(2);
    Cli::without_server()
        .run(&["verify", qr, "--public-key", "00"])
        .expect(2);
}

#[test]
fn completions_and_manual_pages_cover_every_command() {
    let cli = Cli::without_server();
    // The script of a shell asks the program.
    for (words, command) in [(&["comp"][..], "completions"), (&["ticket", "rea"], "reactivate")] {
        let arguments = [&["--", "voelgoed-scan"], words].concat();
        let output = cli
            .command(&arguments)
            .env("COMPLETE", "bash")
            .env("_CLAP_COMPLETE_INDEX", words.len().to_string())
            .output()
            .expect("it runs");
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), command);
    }
    let page = cli.run(&["man"]).expect(0);
    assert!(
        page.stdout.contains(".TH voelgoed-scan") && page.stdout.contains("demo"),
        "{page:?}"
    );
    let directory = tempfile::tempdir().expect("a directory");
    cli.run(&["man", "--dir", &directory.path().display().to_string()])
        .expect(0);
    for page in ["voelgoed-scan-ticket-import.1", "voelgoed-scan-server.1"] {
        assert!(directory.path().join(page).exists(), "{page}");
    }
}
