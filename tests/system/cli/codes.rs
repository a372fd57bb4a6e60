//! Exit codes, purity of the output, hints: what scripts rest on.

use std::io::Read as _;
use std::process::Stdio;

use super::prompt::{Place, Prompt, id};

const NOBODY: &str = "0192f0c1-7a4e-7000-8000-000000000001";

#[test]
fn wrong_usage_exits_2_and_an_absent_server_5() {
    let prompt = Prompt::alone();
    for wrong in [
        &["stats", "not-a-uuid"][..],
        &["nonsense"],
        &["scan"],
        &["event", "put", "new"],
        &["event", "put", NOBODY, "--status", "open"],
        &["stats", NOBODY, "--server", "localhost"],
        &["verify"],
        &["init", "--database-url", "sqlite://x.db"],
    ] {
        let done = prompt.run(wrong).expect(2);
        assert!(done.out.is_empty(), "{done:?}");
    }
    let done = prompt.run(&["stats", NOBODY]).expect(5);
    assert!(done.err.contains("Hint:"), "{done:?}");
    assert!(done.out.is_empty(), "{done:?}");
}

#[test]
fn whoever_may_not_exits_4_and_whatever_is_not_there_1() {
    let place = Place::open();
    let missing = place.owner.without_token().run(&["event", "list"]).expect(4);
    assert!(missing.err.contains("VOELGOED_SCAN_TOKEN"), "{missing:?}");
    place
        .owner
        .with_token("vgk_wrong")
        .run(&["event", "list"])
        .expect(4);
    let device = place.owner.json(&["device", "register", "door-1"]);
    let scanner = place.owner.with_token(device["token"].as_str().expect("a token"));
    scanner.run(&["device", "list"]).expect(4);
    place.owner.run(&["scan", "nonsense"]).expect(4);
    let absent = place.owner.run(&["event", "show", NOBODY]).expect(1);
    assert!(absent.err.contains("not_found"), "{absent:?}");
    let alone = scanner.run(&["scan", "nonsense"]).expect(1);
    assert!(alone.err.contains("session start"), "{alone:?}");
}

#[test]
fn a_token_comes_by_file_as_well() {
    let place = Place::open();
    let key = place
        .owner
        .json(&["apikey", "create", "--name", "Reader", "--role", "viewer"]);
    let file = place.path("viewer.key");
    std::fs::write(&file, format!("{}\n", key["key"].as_str().expect("a key"))).expect("written");
    let nobody = place.owner.without_token();
    assert!(nobody.list(&["event", "list", "--token-file", &file]).is_empty());
    nobody
        .run(&[
            "event",
            "put",
            "new",
            "--name",
            "X",
            "--status",
            "live",
            "--token-file",
            &file,
        ])
        .expect(4);
    nobody
        .run(&["event", "list", "--token-file", &place.path("absent")])
        .expect(1);
}

#[test]
fn wrong_fields_are_named() {
    let place = Place::open();
    let file = place.path("event.json");
    std::fs::write(&file, r#"{"name":"X","status":"live","capacity":-1}"#).expect("written");
    let done = place.owner.run(&["event", "put", "new", &file]).expect(1);
    assert!(done.err.contains("u32"), "{done:?}");
    std::fs::write(&file, r#"{"name":"X","status":"live","manifest_max_age_s":0}"#).expect("written");
    let done = place.owner.run(&["event", "put", "new", &file]).expect(1);
    assert!(done.err.contains("/manifest_max_age_s"), "{done:?}");
}

#[test]
fn tables_have_no_colours_unless_they_are_asked_for() {
    let place = Place::open();
    place.event_and_gate();
    let plain = place.owner.run(&["event", "list"]).expect(0);
    assert!(plain.out.starts_with("ID"), "{plain:?}");
    assert!(!plain.out.contains('\u{1b}'), "{plain:?}");
    let coloured = place.owner.run(&["event", "list", "--color", "always"]).expect(0);
    assert!(coloured.out.contains('\u{1b}'), "{coloured:?}");
}

#[test]
fn notes_stay_off_standard_output_and_quiet_stops_them() {
    let place = Place::open();
    let key = [
        "apikey", "create", "--name", "A", "--role", "staff", "--output", "json",
    ];
    let done = place.owner.run(&key).expect(0);
    assert!(done.err.contains("once"), "{done:?}");
    done.value();
    let quiet = place.owner.run(&[&key[..], &["--quiet"]].concat()).expect(0);
    assert!(quiet.err.is_empty(), "{quiet:?}");
    id(&quiet.value());
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let mut child = Prompt::alone()
        .command(&["completions", "bash"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut first = [0; 1];
    child
        .stdout
        .take()
        .expect("its output")
        .read_exact(&mut first)
        .expect("a byte");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}
