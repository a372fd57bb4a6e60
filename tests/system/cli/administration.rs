//! Commands for administrators: organizations, events, gates, devices, keys, `doctor`.

use super::fixture::{Cli, TestServer, id, text};

#[test]
fn init_creates_a_new_owner_key_while_the_server_runs() {
    let server = TestServer::start();
    let init = |organization: &str| {
        let url = [
            "init",
            "--database-url",
            &server.url,
            "--new-owner-key",
            organization,
            "--output",
            "json",
        ];
        server.owner.without_token().run(&url)
    };
    let created = init(&server.organization).expect(0).value();
    assert_eq!(text(&created, "organization_id"), server.organization);
    let owner = server.owner.with_token(text(&created, "api_key"));
    assert_eq!(owner.list(&["apikey", "list"]).len(), 2);
    init("0192f0c1-7a4e-7000-8000-000000000001").expect(1);
}

#[test]
fn an_event_is_put_from_flags_or_a_file_and_flags_alone_change_only_their_fields() {
    let server = TestServer::start();
    let owner = &server.owner;
    let put = [
        "event",
        "put",
        "new",
        "--name",
        "Summer",
        "--status",
        "live",
        "--capacity",
        "500",
        "--reentry",
        "after_exit",
    ];
    let event = id(&owner.json(&put));
    let changed = owner.json(&["event", "put", &event, "--status", "ended"]);
    assert_eq!(changed["capacity"], 500);
    assert_eq!(text(&changed, "reentry"), "after_exit");
    let unlimited = owner.json(&[
        "event",
        "put",
        &event,
        "--capacity",
        "none",
        "--ticket-classes",
        "VIP,Standard",
    ]);
    assert!(unlimited["capacity"].is_null());
    assert_eq!(unlimited["ticket_classes"][1], "Standard");
    let file = server.path("event.json");
    std::fs::write(&file, r#"{"name":"Winter","status":"draft"}"#).expect("written");
    let replaced = owner.json(&["event", "put", &event, &file, "--status", "live"]);
    assert_eq!(
        (text(&replaced, "name"), text(&replaced, "status")),
        ("Winter", "live")
    );
    assert_eq!(text(&replaced, "reentry"), "never");
    let from_input = owner.run_with_input(
        &["event", "put", "new", "-", "--output", "json"],
        r#"{"name":"X","status":"draft"}"#,
    );
    let other = id(&from_input.expect(0).value());
    assert_eq!(owner.list(&["event", "list"]).len(), 2);
    assert_eq!(owner.json(&["event", "show", &other])["name"], "X");
}

#[test]
fn an_event_gets_doors_a_new_start_and_local_time_from_flags() {
    let server = TestServer::start();
    let owner = &server.owner;
    let (event, _) = server.event_and_gate();
    let put = |flags: &[&str]| owner.json(&[&["event", "put", &event], flags].concat());
    let changed = put(&[
        "--status",
        "postponed",
        "--doors-open-at",
        "2026-11-22T17:00:00Z",
        "--doors-close-at",
        "2026-11-22T22:00:00Z",
        "--rescheduled-at",
        "2026-11-29T18:00:00Z",
        "--time-zone",
        "Africa/Johannesburg",
        "--day-starts-at",
        "06:00",
        "--allow-media",
    ]);
    let shown = owner.json(&["event", "show", &event]);
    assert_eq!(shown, changed);
    for (field, value) in [
        ("status", "postponed"),
        ("doors_open_at", "2026-11-22T17:00:00.000Z"),
        ("doors_close_at", "2026-11-22T22:00:00.000Z"),
        ("rescheduled_at", "2026-11-29T18:00:00.000Z"),
        ("time_zone", "Africa/Johannesburg"),
        ("day_starts_at", "06:00"),
    ] {
        assert_eq!(text(&shown, field), value);
    }
    assert_eq!(shown["allow_media"], true);
    let changed = put(&["--status", "live", "--doors-close-at", "none"]);
    assert!(changed["doors_close_at"].is_null());
    assert_eq!(text(&changed, "doors_open_at"), "2026-11-22T17:00:00.000Z");
    assert_eq!(text(&changed, "time_zone"), "Africa/Johannesburg");
}

#[test]
fn a_gate_is_put_listed_and_closed() {
    let server = TestServer::start();
    let owner = &server.owner;
    let (event, gate) = server.event_and_gate();
    let vip = [
        "gate",
        "put",
        "new",
        "--event",
        &event,
        "--name",
        "VIP",
        "--status",
        "open",
        "--capacity",
        "0",
        "--ticket-classes",
        "VIP",
        "--code",
        "V",
    ];
    assert_eq!(owner.json(&vip)["ticket_classes"][0], "VIP");
    let closed = owner.json(&["gate", "put", &gate, "--event", &event, "--status", "closed"]);
    assert_eq!(
        (text(&closed, "name"), text(&closed, "status")),
        ("Main", "closed")
    );
    assert_eq!(owner.list(&["gate", "list", "--event", &event]).len(), 2);
    assert_eq!(
        owner.json(&["gate", "show", &gate, "--event", &event])["status"],
        "closed"
    );
}

#[test]
fn a_device_is_found_by_label_or_id_rotated_and_revoked() {
    let server = TestServer::start();
    let owner = &server.owner;
    let device = owner.json(&[
        "device",
        "register",
        "door-1",
        "--name",
        "Door 1",
        "--type",
        "mobile",
        "--can-search",
    ]);
    assert_eq!(device["settings"]["can_search"], true);
    assert!(text(&device, "token").starts_with("vgd_"));
    owner.run(&["device", "register", "door-1"]).expect(1);
    assert_eq!(owner.json(&["device", "show", "door-1"])["id"], device["id"]);
    assert_eq!(
        owner.json(&["device", "show", text(&device, "id")])["device_id"],
        "door-1"
    );
    let rotated = owner.json(&["device", "rotate", "door-1"]);
    let (event, gate) = server.event_and_gate();
    let start = ["session", "start", "--event", &event, "--gate", &gate];
    owner.with_token(text(&device, "token")).run(&start).expect(4);
    owner.with_token(text(&rotated, "token")).run(&start).expect(0);
    assert_eq!(
        owner.json(&["device", "revoke", "door-1", "--yes"])["status"],
        "inactive"
    );
    owner.with_token(text(&rotated, "token")).run(&start).expect(4);
    assert_eq!(owner.list(&["device", "list", "--status", "inactive"]).len(), 1);
    let missing = owner.run(&["device", "show", "door-2"]).expect(2);
    assert!(missing.stderr.contains("door-2"), "{missing:?}");
}

#[test]
fn the_list_of_devices_shows_state_gate_battery_waiting_and_app() {
    let server = TestServer::start();
    let owner = &server.owner;
    let (event, gate) = server.event_and_gate();
    let scanner = server.scanner(&event, &gate);
    owner.json(&["device", "register", "spare"]);
    scanner.run(&["scan", "nonsense"]).expect(3);
    let client = voelgoed_scan_suite::Client::new(server.socket()).with_token(scanner.token());
    let health = serde_json::json!({
        "app": { "name": "Gate", "version": "2.1", "platform": "android" }, "battery": 0.834, "waiting": 12
    });
    let reported = server.block_on(client.put("/api/v1/scanning/device", &health));
    assert_eq!(reported.status, 200);
    let listed = owner.list(&["device", "list"]);
    let of = |label: &str| {
        let found = listed.iter().find(|device| device["device_id"] == label);
        found.expect("a device").clone()
    };
    let (door, spare) = (of("door-1"), of("spare"));
    assert_eq!((text(&door, "state"), text(&spare, "state")), ("online", "never"));
    assert_eq!(
        (
            text(&door, "gate_name"),
            text(&door, "gate_id"),
            text(&door, "event_id")
        ),
        ("Main", gate.as_str(), event.as_str())
    );
    assert_eq!((&door["battery"], &door["waiting"]), (&0.834.into(), &12.into()));
    assert_eq!(door["app"]["version"], "2.1");
    assert!(spare["gate_id"].is_null() && spare["gate_name"].is_null() && spare["battery"].is_null());
    let table = owner.run(&["device", "list"]).expect(0).stdout;
    let row = |label: &str| {
        let found = table.lines().find(|line| line.starts_with(label));
        found
            .expect("a row")
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(
        row("NAME"),
        "NAME STATE GATE BATTERY WAITING APP LAST SEEN STATUS DEVICE ID"
    );
    assert!(
        row("door-1").starts_with("door-1 online Main 83 % 12 Gate 2.1 20"),
        "{table}"
    );
    assert_eq!(row("spare"), "spare never - - - - - active spare", "{table}");
}

#[test]
fn an_api_key_works_until_it_is_revoked() {
    let server = TestServer::start();
    let owner = &server.owner;
    let key = owner.json(&["apikey", "create", "--name", "Shop", "--role", "admin"]);
    let shop = owner.with_token(text(&key, "key"));
    assert!(shop.list(&["event", "list"]).is_empty());
    shop.run(&["apikey", "list"]).expect(4);
    assert!(
        owner
            .list(&["apikey", "list"])
            .iter()
            .all(|key| key["key"].is_null())
    );
    owner.json(&["apikey", "revoke", text(&key, "id")]);
    shop.run(&["event", "list"]).expect(4);
}

#[test]
fn after_a_rotation_the_new_key_signs_and_the_old_key_verifies_until_it_is_revoked() {
    let server = TestServer::start();
    let owner = &server.owner;
    let (event, gate) = server.event_and_gate();
    let scanner = server.scanner(&event, &gate);
    let codes = server.issue(&event, 3);
    let old: Vec<_> = codes.iter().map(|code| server.qr(&event, code)).collect();
    let rotated = owner.json(&["key", "rotate", "--format", "vg1"]);
    assert_eq!(text(&rotated["active"], "kid"), "2");
    assert_eq!(text(&rotated["verify_only"][0], "kid"), "1");
    assert!(server.qr(&event, &codes[0]).starts_with("VG1.2."));
    scanner.run(&["scan", &old[0]]).expect(0);
    owner.json(&["key", "revoke", "--format", "vg1", "--kid", "1"]);
    let denied = scanner
        .run(&["scan", &old[1], "--output", "json"])
        .expect(3)
        .value();
    assert_eq!(text(&denied, "reason"), "key_revoked");
    owner.json(&["key", "create", "--format", "vg2", "--kid", "b"]);
    assert_eq!(owner.list(&["key", "list"]).len(), 4);
    owner
        .run(&["key", "create", "--format", "vg2", "--kid", "b"])
        .expect(1);
}

#[test]
fn doctor_reports_a_healthy_server_and_a_missing_credential() {
    let server = TestServer::start();
    let findings = server.owner.list(&["doctor"]);
    assert!(
        findings.iter().all(|finding| finding["ok"] == true),
        "{findings:?}"
    );
    assert!(findings.len() >= 4);
    let credential = findings.iter().find(|one| one["check"] == "credential");
    assert!(text(credential.expect("a finding"), "detail").ends_with("owner"));
    let (event, _) = server.event_and_gate();
    let not_ready = server
        .owner
        .run(&["doctor", "--event", "Summer", "--output", "json"])
        .expect(1);
    let problems: Vec<_> = not_ready
        .values()
        .into_iter()
        .filter(|one| one["ok"] == false)
        .collect();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(text(&problems[0], "check"), "devices");
    assert!(text(&problems[0], "hint").contains("device register"));
    server.owner.json(&["event", "put", &event, "--status", "draft"]);
    let not_live = server.owner.run(&["doctor", "--event", &event]).expect(1);
    assert!(not_live.stdout.contains("--status live"), "{not_live:?}");
    server.owner.without_token().run(&["doctor"]).expect(4);
    Cli::without_server().run(&["doctor"]).expect(5);
}

#[test]
fn device_enroll_prints_the_enrollment_uri_as_a_qr_code() {
    let server = TestServer::start();
    let owner = &server.owner;
    let device = owner.json(&["device", "register", "phone-7"]);
    let enrollment = owner.json(&["device", "enroll", "phone-7", "--no-wait"]);
    let uri = text(&enrollment, "uri");
    assert!(
        uri.starts_with("voelgoed-scan://enroll?server=http%3A%2F%2F127.0.0.1"),
        "{uri}"
    );
    assert!(uri.ends_with(text(&enrollment, "code")), "{uri}");
    let shown = owner
        .run(&["device", "enroll", text(&device, "id"), "--no-wait"])
        .expect(0);
    assert!(
        shown.stdout.contains('█') && shown.stdout.contains("makes a phone phone-7"),
        "{shown:?}"
    );
    assert!(shown.stderr.contains("--public-url"), "{shown:?}");
    let refused = owner.run(&["device", "revoke", "phone-7"]).expect(2);
    assert!(refused.stderr.contains("--yes"), "{refused:?}");
    assert_eq!(owner.json(&["device", "show", "phone-7"])["status"], "active");
    owner.run(&["device", "revoke", "phone-7", "--yes"]).expect(0);
    owner.run(&["device", "enroll", "phone-7"]).expect(1);
    owner.run(&["device", "enroll", "phone-8"]).expect(2);
}

#[cfg(unix)]
#[test]
fn a_key_file_is_new_and_for_its_owner_alone_and_is_a_token_file() {
    use std::os::unix::fs::PermissionsExt as _;
    let server = TestServer::start();
    let file = server.path("owner.json");
    let init = [
        "init",
        "--database-url",
        &server.url,
        "--new-owner-key",
        &server.organization,
        "--key-file",
        &file,
    ];
    let cli = server.owner.without_token();
    let created = cli.json(&init);
    assert_eq!(text(&created, "organization_id"), server.organization);
    assert_eq!(text(&created, "key_file"), file);
    assert!(created.get("api_key").is_none(), "the key is in the file alone");
    let mode = std::fs::metadata(&file).expect("the file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(cli.list(&["--token-file", &file, "apikey", "list"]).len(), 2);
    let key = std::fs::read(&file).expect("the file");
    cli.run(&init).expect(1);
    assert_eq!(
        std::fs::read(&file).expect("the file"),
        key,
        "a file that exists stays"
    );
    assert_eq!(server.owner.list(&["apikey", "list"]).len(), 2, "no key was made");
    // Where no key is made, no file stays.
    let other = server.path("other.json");
    let unknown = "0192f0c1-7a4e-7000-8000-000000000001";
    cli.run(&[
        "init",
        "--database-url",
        &server.url,
        "--new-owner-key",
        unknown,
        "--key-file",
        &other,
    ])
    .expect(1);
    assert!(!std::path::Path::new(&other).exists());
}

#[test]
fn wrong_settings_are_told_the_right_ones() {
    let server = TestServer::start();
    let cli = server.owner.without_token();
    let path = server.path("new.db");
    let told = cli
        .run(&["init", "--database-url", &path, "--organization", "Club"])
        .expect(2);
    assert!(told.stderr.contains(&format!("sqlite://{path}")), "{told:?}");
    let file = server.path("notes.txt");
    std::fs::write(&file, "not a token").expect("written");
    let told = cli.run(&["--token-file", &file, "event", "list"]).expect(1);
    assert!(told.stderr.contains("vgk_"), "{told:?}");
    let address = server.address.replace("http://", "https://");
    let told = cli.run(&["--server", &address, "event", "list"]).expect(5);
    assert!(
        told.stderr.contains(&format!("--server {}", server.address)),
        "{told:?}"
    );
}

#[test]
fn an_empty_variable_is_unset() {
    let cli = Cli::without_server();
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite://{}", folder.path().join("gate.db").display());
    let mut command = cli.command(&["init", "--database-url", &url, "--organization", "Club"]);
    for name in [
        "VOELGOED_SCAN_SERVER",
        "VOELGOED_SCAN_TOKEN",
        "VOELGOED_SCAN_DATABASE_URL",
        "VOELGOED_SCAN_SECRET_KEY",
        "VOELGOED_SCAN_SECRET_KEY_FILE",
        "VOELGOED_SCAN_PHOENIX_SECRET_KEY_BASE_FILE",
        "VOELGOED_SCAN_PHOENIX_SALT",
        "VOELGOED_SCAN_PHOENIX_KEY_ITERATIONS",
        "VOELGOED_SCAN_PHOENIX_KEY_LENGTH",
        "VOELGOED_SCAN_PHOENIX_KEY_DIGEST",
    ] {
        command.env(name, "");
    }
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{output:?}");
    assert!(
        folder.path().join("gate.db.secret").exists(),
        "the default secret"
    );
}
