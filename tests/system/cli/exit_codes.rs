//! Exit codes.

use super::fixture::{Cli, TestServer};

const UNKNOWN_ID: &str = "0192f0c1-7a4e-7000-8000-000000000001";

#[test]
fn wrong_usage_exits_2_and_an_unreachable_server_5() {
    let cli = Cli::without_server();
    for wrong in [
        &["nonsense"][..],
        &["stats", " "],
        &["scan"],
        &["event", "put", "new"],
        &["event", "put", UNKNOWN_ID, "--status", "open"],
        &["stats", UNKNOWN_ID, "--server", "localhost"],
        &["verify"],
        &["init", "--database-url", "sqlite://x.db"],
    ] {
        let output = cli.run(wrong).expect(2);
        assert!(output.stdout.is_empty(), "{output:?}");
    }
    let output = cli.run(&["stats", UNKNOWN_ID]).expect(5);
    assert!(output.stderr.contains("Hint:"), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
}

#[test]
fn a_missing_permission_exits_4_and_a_missing_resource_1() {
    let server = TestServer::start();
    let missing = server.owner.without_token().run(&["event", "list"]).expect(4);
    assert!(missing.stderr.contains("VOELGOED_SCAN_TOKEN"), "{missing:?}");
    server
        .owner
        .with_token("vgk_wrong")
        .run(&["event", "list"])
        .expect(4);
    let device = server.owner.json(&["device", "register", "door-1"]);
    let scanner = server
        .owner
        .with_token(device["token"].as_str().expect("a token"));
    scanner.run(&["device", "list"]).expect(4);
    server.owner.run(&["scan", "nonsense"]).expect(4);
    let absent = server.owner.run(&["event", "show", UNKNOWN_ID]).expect(1);
    assert!(absent.stderr.contains("not_found"), "{absent:?}");
    let without_session = scanner.run(&["scan", "nonsense"]).expect(1);
    assert!(
        without_session.stderr.contains("session start"),
        "{without_session:?}"
    );
}

#[test]
fn a_token_may_come_from_a_file() {
    let server = TestServer::start();
    let key = server
        .owner
        .json(&["apikey", "create", "--name", "Reader", "--role", "viewer"]);
    let file = server.path("viewer.key");
    std::fs::write(&file, format!("{}\n", key["key"].as_str().expect("a key"))).expect("written");
    let anonymous = server.owner.without_token();
    assert!(
        anonymous
            .list(&["event", "list", "--token-file", &file])
            .is_empty()
    );
    anonymous
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
    anonymous
        .run(&["event", "list", "--token-file", &server.path("absent")])
        .expect(1);
}

#[test]
fn an_invalid_field_is_named_on_standard_error() {
    let server = TestServer::start();
    let file = server.path("event.json");
    std::fs::write(&file, r#"{"name":"X","status":"live","capacity":-1}"#).expect("written");
    let output = server.owner.run(&["event", "put", "new", &file]).expect(1);
    assert!(output.stderr.contains("u32"), "{output:?}");
    std::fs::write(&file, r#"{"name":"X","status":"live","manifest_max_age_s":0}"#).expect("written");
    let output = server.owner.run(&["event", "put", "new", &file]).expect(1);
    assert!(output.stderr.contains("/manifest_max_age_s"), "{output:?}");
}
