//! Names in place of ids, times in the event's zone, and masked codes.

use serde_json::json;

use super::fixture::{Cli, TestServer, id, text};

/// The first characters of an ASCII text.
fn start(text: &str, length: usize) -> &str {
    text.get(..length).expect("it is longer")
}

/// The last characters of an ASCII text.
fn end(text: &str, length: usize) -> &str {
    text.get(text.len() - length..).expect("it is longer")
}

#[test]
fn events_gates_devices_and_sessions_are_named_as_people_call_them() {
    let server = TestServer::start();
    let owner = &server.owner;
    let put = |name: &str| owner.json(&["event", "put", "new", "--name", name, "--status", "live"]);
    let event = id(&put("Café Été"));
    let gate = owner.json(&[
        "gate",
        "put",
        "new",
        "--event",
        "cafe ete",
        "--name",
        "Main Door",
        "--code",
        "M",
        "--status",
        "open",
    ]);
    let gate = id(&gate);
    let device = owner.json(&["device", "register", "door-1", "--name", "Door One"]);
    let scanner = owner.with_token(text(&device, "token"));
    let (start_of_event, end_of_gate) = (start(&event, 18), end(&gate, 8));
    let session = scanner.json(&["session", "start", "--event", "CAFÉ ÉTÉ", "--gate", "main door"]);
    assert_eq!(
        (text(&session, "event_id"), text(&session, "gate_id")),
        (event.as_str(), gate.as_str())
    );
    assert_eq!(
        (text(&session, "event_name"), text(&session, "gate_name")),
        ("Café Été", "Main Door")
    );
    for (gate_name, event_name) in [("m", start_of_event), (end_of_gate, &event), (&gate, "Cafe Ete")] {
        let shown = owner.json(&["gate", "show", gate_name, "--event", event_name]);
        assert_eq!(id(&shown), gate, "{gate_name} {event_name}");
    }
    let session_id = id(&session);
    let end_of_session = end(&session_id, 12);
    let shown = owner.json(&["session", "show", end_of_session]);
    assert_eq!(
        (id(&shown), text(&shown, "device_name")),
        (session_id, "Door One")
    );
    for name in ["door one", "DOOR-1", text(&device, "id")] {
        assert_eq!(
            id(&owner.json(&["device", "show", name])),
            text(&device, "id"),
            "{name}"
        );
        assert_eq!(
            owner.list(&["session", "list", "--device", name]).len(),
            1,
            "{name}"
        );
    }
    let scope = [
        "device",
        "set",
        "door-1",
        "--scope-event",
        "cafe ete",
        "--scope-gate",
        "M",
    ];
    assert_eq!(
        owner.json(&scope)["scope"],
        json!({ "event_ids": [event], "gate_ids": [gate] })
    );

    let unknown = owner.run(&["stats", "Cafe Etage"]).expect(2);
    assert!(
        unknown.stderr.contains("Café Été"),
        "a near name is told: {unknown:?}"
    );
    let twin = id(&put("cafe ete"));
    let both = owner.run(&["stats", "Café Été"]).expect(2);
    assert!(
        both.stderr.contains(&event) && both.stderr.contains(&twin),
        "{both:?}"
    );
    owner.run(&["stats", &event]).expect(0);
    let short = owner.run(&["stats", start(&event, 3)]).expect(2);
    assert!(short.stdout.is_empty(), "{short:?}");
}

#[cfg(unix)]
#[test]
fn a_shell_completes_names_from_the_server_and_nothing_without_it() {
    let server = TestServer::start();
    server.owner.json(&[
        "event",
        "put",
        "new",
        "--name",
        "Summer Night",
        "--status",
        "live",
    ]);
    server.owner.json(&["device", "register", "door-1"]);
    let completed = |cli: &Cli, words: &[&str]| {
        let arguments = [&["--", "voelgoed-scan"], words].concat();
        let mut command = cli.command(&arguments);
        let command = command.env("COMPLETE", "bash").env("_CLAP_IFS", "\n");
        let output = command
            .env("_CLAP_COMPLETE_INDEX", words.len().to_string())
            .output()
            .expect("it runs");
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        String::from_utf8(output.stdout).expect("text")
    };
    let owner = &server.owner;
    assert_eq!(completed(owner, &["stats", "sum"]), "Summer\\ Night");
    assert_eq!(
        completed(owner, &["gate", "list", "--event", "Summer\\ N"]),
        "Summer\\ Night"
    );
    assert_eq!(completed(owner, &["device", "show", "do"]), "door-1");
    assert!(completed(owner, &["che"]).contains("check-in"));
    assert_eq!(completed(&owner.without_token(), &["stats", "sum"]), "");
    assert_eq!(completed(&Cli::without_server(), &["stats", "sum"]), "");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = owner.run(&["completions", shell]).expect(0).stdout;
        assert!(
            script.contains("voelgoed-scan") && script.contains("COMPLETE"),
            "{shell}: {script}"
        );
    }
}

#[test]
fn the_event_of_the_variable_is_meant_where_none_is_said() {
    let server = TestServer::start();
    let owner = &server.owner;
    let (event, _) = server.event_and_gate();
    let other = id(&owner.json(&["event", "put", "new", "--name", "Other", "--status", "live"]));
    owner.run(&["gate", "list"]).expect(2);
    let run = |arguments: &[&str]| {
        let mut command = owner.command(arguments);
        let output = command
            .env("VOELGOED_SCAN_EVENT", "summer")
            .output()
            .expect("it runs");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("text")
    };
    assert!(run(&["gate", "list"]).contains("Main"));
    assert!(run(&["stats"]).contains("Main"));
    assert!(run(&["event", "show", "--output", "json"]).contains(&event));
    assert!(run(&["event", "show", &other, "--output", "json"]).contains(&other));
}

#[test]
fn tables_show_names_local_times_and_masked_codes_and_json_keeps_everything() {
    let server = TestServer::start();
    let owner = &server.owner;
    let (event, gate) = server.event_and_gate();
    let zone = [
        "--time-zone",
        "Africa/Johannesburg",
        "--starts-at",
        "2026-11-29 19:00",
    ];
    let put = owner.json(&[&["event", "put", "summer"], &zone[..]].concat());
    assert_eq!(text(&put, "starts_at"), "2026-11-29T17:00:00.000Z");
    let scanner = server.scanner(&event, &gate);
    let code = server.issue(&event, 1).remove(0);
    scanner.run(&["scan", &server.qr(&event, &code)]).expect(0);
    let table = |arguments: &[&str]| owner.run(arguments).expect(0).stdout;
    let events = table(&["event", "list"]);
    assert!(
        events.contains("2026-11-29 19:00:00") && !events.contains(&event),
        "{events}"
    );
    let events = table(&["event", "list", "--utc", "--ids"]);
    assert!(
        events.contains("2026-11-29T17:00:00.000Z") && events.contains(&event),
        "{events}"
    );

    let scans = table(&["scans", "list", "--event", "Summer"]);
    let masked = format!("••••••••••••{}", end(&code, 4));
    for shown in ["Summer", "Main", "door-1", masked.as_str()] {
        assert!(scans.contains(shown), "{shown}: {scans}");
    }
    for hidden in [&event, &gate, &code] {
        assert!(!scans.contains(hidden.as_str()), "{hidden}: {scans}");
    }
    let scans = table(&["scans", "list", "--ids", "--codes"]);
    for shown in [&event, &gate, &code] {
        assert!(scans.contains(shown.as_str()), "{shown}: {scans}");
    }
    let scans = owner.list(&[
        "scans",
        "list",
        "--gate",
        "main",
        "--from",
        "2026-01-01T00:00:00Z",
    ]);
    assert_eq!(
        (
            text(&scans[0], "ticket_code"),
            text(&scans[0], "event_id"),
            text(&scans[0], "device_name")
        ),
        (code.as_str(), event.as_str(), "door-1")
    );
    let none = ["scans", "list", "--event", "Summer", "--to", "2020-01-01 10:00"];
    assert!(owner.list(&none).is_empty());
    owner
        .run(&["scans", "list", "--to", "2020-01-01 10:00"])
        .expect(2);
    let sessions = table(&["session", "list"]);
    assert!(
        sessions.contains("door-1") && sessions.contains("Summer") && !sessions.contains(&gate),
        "{sessions}"
    );
    for tickets in [
        table(&["ticket", "list", "--event", "summer"]),
        table(&["ticket", "show", &code, "--event", "summer"]),
        table(&["ticket", "search", start(&code, 2), "--event", "summer"]),
    ] {
        assert!(tickets.contains(&masked) && !tickets.contains(&code), "{tickets}");
    }
    let staff = owner.json(&["apikey", "create", "--name", "Desk", "--role", "staff"]);
    let staff = owner.with_token(text(&staff, "key"));
    staff.run(&["scans", "list"]).expect(0);
    staff.run(&["scans", "list", "--codes"]).expect(4);
}
