//! What needs no server.

use std::path::Path;

use super::prompt::{Place, Prompt, text};

fn vectors(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/vectors")
        .join(name);
    path.display().to_string()
}

#[test]
fn both_vector_files_agree() {
    for name in ["native_token.json", "phoenix_token.json"] {
        let report = Prompt::alone().json(&["verify", "--vectors", &vectors(name)]);
        assert_eq!(report["mismatches"], 0);
        assert!(
            report["cases"].as_u64().is_some_and(|cases| cases > 20),
            "{report}"
        );
    }
}

#[test]
fn a_vector_file_that_was_tampered_with_fails_line_by_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("tampered.json");
    let file = file.display().to_string();
    for name in ["native_token.json", "phoenix_token.json"] {
        let genuine = std::fs::read_to_string(vectors(name)).expect("a vector file");
        let wrong = r#""outcome": "bad_signature""#;
        let count = genuine.matches(wrong).count();
        assert!(count > 0);
        std::fs::write(&file, genuine.replace(wrong, r#""outcome": "malformed""#)).expect("written");
        let done = Prompt::alone().run(&["verify", "--vectors", &file]).expect(1);
        assert_eq!(done.out.lines().count(), count, "{done:?}");
        assert!(
            done.out.contains("expected malformed, got bad_signature"),
            "{done:?}"
        );
    }
    for junk in ["", "{}", "[1]", r#"{"secret_key_base":1}"#] {
        std::fs::write(&file, junk).expect("written");
        Prompt::alone().run(&["verify", "--vectors", &file]).expect(1);
    }
    Prompt::alone()
        .run(&["verify", "--vectors", "absent.json"])
        .expect(1);
}

#[test]
fn a_vg2_payload_holds_under_its_public_key_alone() {
    let place = Place::open();
    let (event, _) = place.event_and_gate();
    let code = place.issue(&event, 1).remove(0);
    let qr = place
        .owner
        .run(&[
            "ticket", "qr", &code, "--event", &event, "--as", "text", "--format", "vg2",
        ])
        .expect(0);
    let qr = qr.out.trim();
    let keys = place.owner.list(&["key", "list"]);
    let key = keys.iter().find(|key| key["format"] == "vg2").expect("a VG2 key");
    let key = text(key, "public_key");
    let genuine = Prompt::alone().json(&["verify", qr, "--public-key", key]);
    assert_eq!(text(&genuine, "ticket_code"), code);
    assert_eq!(text(&genuine, "event_id"), event);
    let damaged = qr
        .replacen("VG2.1.A", "VG2.1.B", 1)
        .replacen("VG2.1.", "VG2.2.", 1);
    let done = Prompt::alone()
        .run(&["verify", &damaged, "--public-key", key, "--output", "json"])
        .expect(1);
    assert_eq!(text(&done.value(), "reason"), "bad_signature");
    Prompt::alone().run(&["verify", qr]).expect(2);
    Prompt::alone()
        .run(&["verify", qr, "--public-key", "00"])
        .expect(2);
}

#[test]
fn completions_and_the_manual_name_every_command() {
    let prompt = Prompt::alone();
    for shell in ["bash", "zsh", "fish"] {
        let script = prompt.run(&["completions", shell]).expect(0);
        assert!(
            script.out.contains("completions") && script.out.contains("reactivate"),
            "{shell}"
        );
    }
    let page = prompt.run(&["man"]).expect(0);
    assert!(
        page.out.contains(".TH voelgoed-scan") && page.out.contains("demo"),
        "{page:?}"
    );
    let folder = tempfile::tempdir().expect("a folder");
    prompt
        .run(&["man", "--dir", &folder.path().display().to_string()])
        .expect(0);
    assert!(folder.path().join("voelgoed-scan-ticket-import.1").exists());
}
