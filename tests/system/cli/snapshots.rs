//! The outputs that people read, compared with the committed ones in `snapshots/`. `INSTA_UPDATE=always` writes them anew.
//!
//! Ids, times of the run and addresses are replaced by words of the same width.

use std::fs;

use insta::Settings;
use serde_json::json;
use voelgoed_scan_suite::Client;

use super::fixture::{Cli, CommandOutput, TestServer, text};

const EVENT: &str = "0192f0c1-7a4e-7000-8000-000000000001";
const GATE: &str = "0192f0c1-7a4e-7000-8000-000000000002";

/// Compares a text with the committed one of this name.
#[track_caller]
fn compare(name: &str, text: &str) {
    let mut settings = Settings::clone_current();
    settings.set_snapshot_path("snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    for (found, shown) in [
        (r"http://127\.0\.0\.1:\d+", "http://SERVER"),
        (r"/\S*/\.tmp[A-Za-z0-9]+/", "FOLDER/"),
        (
            r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}",
            "........-....-....-....-............",
        ),
        (r"-?\d+ s from the server's", "N s from the server's"),
        (r"\b\d+\.\d+\.\d+, on both sides", "VERSION, on both sides"),
        (r"\bonline\b|\bidle  ", "[seen]"),
        (r"request [0-9a-zA-Z-]{20,}", "request ID"),
    ] {
        settings.add_filter(found, shown);
    }
    // Other times are fixed: those of 2020, of examples and of a test vector.
    if name != "verify" && !name.starts_with("help") {
        for (found, shown) in [
            (
                r"20(2[1-9]|[3-9]\d)-\d\d-\d\dT\d\d:\d\d:\d\d\.\d\d\dZ",
                "YYYY-MM-DDTHH:MM:SS.mmmZ",
            ),
            (
                r"20(2[1-9]|[3-9]\d)-\d\d-\d\d \d\d:\d\d:\d\d",
                "YYYY-MM-DD HH:MM:SS",
            ),
        ] {
            settings.add_filter(found, shown);
        }
    }
    settings.bind(|| insta::assert_snapshot!(name, text));
}

/// A command as it was typed, its exit code and all that it printed.
fn shown(arguments: &[&str], output: &CommandOutput) -> String {
    let typed = arguments.join(" ");
    let mut text = format!(
        "$ voelgoed-scan {typed}\nexit {}\n{}",
        output.exit_code, output.stdout
    );
    if !output.stderr.is_empty() {
        text.push_str("--- standard error\n");
        text.push_str(&output.stderr);
    }
    text.push('\n');
    text
}

/// Runs commands, and compares what they print.
#[track_caller]
fn compare_commands(name: &str, cli: &Cli, commands: &[&[&str]]) {
    let all: Vec<String> = commands.iter().map(|one| shown(one, &cli.run(one))).collect();
    compare(name, &all.join("\n"));
}

/// The subcommands that a help text lists.
fn subcommands(help: &str) -> Vec<String> {
    help.lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

/// The help of a command and of all commands below it.
fn help(cli: &Cli, path: &[&str], all: &mut String) -> Vec<String> {
    let arguments = [path, &["--help"]].concat();
    let output = cli.run(&arguments).expect(0);
    all.push_str(&shown(&arguments, &output));
    all.push('\n');
    subcommands(&output.stdout)
}

fn help_of_all(cli: &Cli, path: &[&str], all: &mut String) {
    for name in help(cli, path, all) {
        help_of_all(cli, &[path, &[&name]].concat(), all);
    }
}

#[test]
fn the_help_of_every_command_is_the_committed_one() {
    let cli = Cli::without_server();
    let mut root = String::new();
    let commands = help(&cli, &[], &mut root);
    compare("help", &root);
    assert!(commands.len() > 20, "{commands:?}");
    for command in commands {
        let mut all = String::new();
        help_of_all(&cli, &[&command], &mut all);
        compare(&format!("help-{command}"), &all);
    }
}

/// A server with an event and a gate whose ids are fixed.
fn server() -> TestServer {
    let server = TestServer::start();
    let owner = &server.owner;
    owner.json(&[
        "event",
        "put",
        EVENT,
        "--name",
        "Summer Night",
        "--status",
        "live",
        "--allow-unsigned",
        "--time-zone",
        "Africa/Johannesburg",
        "--ticket-classes",
        "VIP",
    ]);
    owner.json(&[
        "gate", "put", GATE, "--event", EVENT, "--name", "Main", "--status", "open",
    ]);
    server
}

fn write(server: &TestServer, name: &str, content: &str) -> String {
    let file = server.path(name);
    fs::write(&file, content).expect("written");
    file
}

#[test]
fn verify_prints_what_a_payload_says_and_why_one_is_refused() {
    let vectors: serde_json::Value =
        serde_json::from_str(include_str!("../../vectors/native_token.json")).expect("JSON");
    let key = vectors["keys"]
        .as_array()
        .and_then(|keys| keys.iter().find_map(|key| key["VG2_public_hex"].as_str()))
        .expect("a public key");
    let cases = vectors["cases"].as_array().expect("cases");
    let signed = cases
        .iter()
        .find(|case| case["name"] == "VG2 kid 1 valid")
        .and_then(|case| case["token"].as_str())
        .expect("a payload");
    let tampered = signed.replace("VG2.", "VG2.A");
    compare_commands(
        "verify",
        &Cli::without_server(),
        &[
            &[
                "verify",
                signed,
                "--public-key",
                key,
                "--at",
                "2026-05-28T21:26:40Z",
            ],
            &[
                "verify",
                signed,
                "--public-key",
                key,
                "--at",
                "2026-05-28T21:26:40Z",
                "--output",
                "json",
            ],
            &[
                "verify",
                signed,
                "--public-key",
                key,
                "--at",
                "2026-05-29T00:00:00Z",
            ],
            &["verify", &tampered, "--public-key", key],
            &["verify", "nonsense", "--public-key", key],
            &["verify", signed, "--public-key", "abc"],
        ],
    );
}

#[test]
fn a_dry_run_prints_what_an_import_would_do() {
    let server = server();
    let first = write(
        &server,
        "first.csv",
        "code,holder_name,ticket_class\nNight00000000001,Ann,VIP\nNight00000000002,Ben,VIP\n",
    );
    let second = write(
        &server,
        "second.csv",
        "code,holder_name,ticket_class,colour\nNight00000000001,Ann,VIP,red\nNight00000000002,Bob,VIP,red\n\
         Night00000000003,Cay,Standing,red\nshort,Dan,VIP,red\n???,Eve,VIP,red\n",
    );
    let import = |file: &str, more: &[&str]| {
        let arguments = [&["ticket", "import", file, "--event", EVENT], more].concat();
        let output = server.owner.run(&arguments);
        shown(&arguments, &output)
    };
    let all = [
        import(&first, &["--dry-run"]),
        import(&first, &[]),
        import(&second, &["--dry-run"]),
        import(&second, &["--dry-run", "--output", "json"]),
        import(&second, &["--dry-run", "--strict"]),
    ];
    compare("ticket-import", &all.join("\n"));
}

#[test]
fn a_report_prints_the_figures_of_a_night() {
    let server = server();
    let lines: String = (1..=4)
        .map(|number| {
            let class = if number < 3 { "VIP" } else { "Standing" };
            json!({ "code": format!("Night{number:011}"), "ticket_class": class, "valid_from": null })
                .to_string()
                + "\n"
        })
        .collect();
    let tickets = write(&server, "tickets.ndjson", &lines);
    server
        .owner
        .run(&["ticket", "import", &tickets, "--event", EVENT])
        .expect(0);
    let scanner = server.scanner(EVENT, GATE);
    let scans: String = [
        ("Night00000000001", "18:02:00", json!(null)),
        ("Night00000000001", "18:09:00", json!(null)),
        ("Night00000000003", "18:16:30", json!(null)),
        ("Night00000000001", "18:20:00", json!({ "reason": "guest of the band" })),
        ("Unknown000000001", "18:21:00", json!(null)),
    ]
    .into_iter()
    .map(|(code, time, forced)| {
        let at = format!("2020-11-01T{time}.000Z");
        json!({ "ticket_code": code, "gate_id": GATE, "event_id": EVENT, "scanned_at": at, "override": forced }).to_string() + "\n"
    })
    .collect();
    let scans = write(&server, "scans.ndjson", &scans);
    let replayed = scanner.run(&["replay", &scans]);
    assert!(replayed.exit_code < 2, "{replayed:?}");
    compare_commands(
        "report",
        &server.owner,
        &[
            &["report", "summer night"],
            &["report", EVENT, "--utc", "--codes", "--ids"],
            &["report", EVENT, "--format", "csv"],
        ],
    );
}

#[test]
fn lists_of_devices_show_their_state() {
    let server = server();
    let owner = &server.owner;
    owner.json(&[
        "device",
        "register",
        "door-1",
        "--name",
        "Door 1",
        "--scope-event",
        EVENT,
    ]);
    owner.json(&[
        "device",
        "register",
        "door-2",
        "--name",
        "Door 2",
        "--can-override",
    ]);
    owner.json(&["device", "register", "door-3", "--name", "Door 3"]);
    owner.run(&["device", "revoke", "door-3", "--yes"]).expect(0);
    let phone = owner.json(&[
        "device", "register", "phone-1", "--name", "Phone 1", "--type", "mobile",
    ]);
    let scanner = owner.with_token(text(&phone, "token"));
    scanner.json(&["session", "start", "--event", EVENT, "--gate", GATE]);
    let health = json!({ "app": { "name": "Gate", "version": "2.1", "platform": "ios" }, "battery": 0.81, "waiting": 4 });
    let client = Client::new(server.socket()).with_token(scanner.token());
    server
        .block_on(client.put("/api/v1/scanning/device", &health))
        .expect(200);
    compare_commands(
        "device-list",
        owner,
        &[
            &["device", "list"],
            &["device", "list", "--status", "inactive"],
            &["device", "list", "--ids", "--utc"],
        ],
    );
}

#[test]
fn doctor_prints_each_finding_with_what_to_do() {
    let server = server();
    let owner = &server.owner;
    owner.json(&["device", "register", "door-1", "--name", "Door 1"]);
    let commands: &[&[&str]] = &[
        &["doctor"],
        &["doctor", "--event", "summer night"],
        &["doctor", "--database-url", "sqlite:///no/such/folder/gate.db"],
    ];
    compare_commands("doctor", owner, commands);
    compare_commands("doctor-without-server", &Cli::without_server(), &[&["doctor"]]);
}

#[test]
fn errors_say_what_is_wrong_and_what_to_do() {
    let server = server();
    let owner = &server.owner;
    owner.json(&[
        "gate", "put", "new", "--event", EVENT, "--name", "Side", "--status", "open", "--code", "main",
    ]);
    let empty = write(&server, "empty.token", "");
    let commands: &[&[&str]] = &[
        &["event", "show", "winter"],
        &["event", "show", "0192f0c1-7a4e-7000-8000-00000000000f"],
        &["gate", "show", "main", "--event", EVENT],
        &["event", "put", "new", "--name", "Show"],
        &["event", "put", "new", "--name", "Show", "--status", "open"],
        &[
            "event",
            "put",
            EVENT,
            "--doors-open-at",
            "2020-11-01 20:00",
            "--doors-close-at",
            "2020-11-01 19:00",
        ],
        &["event", "delete", EVENT, "--yes"],
        &["device", "revoke", "door-9"],
        &["ticket", "show", "short", "--event", EVENT],
        &["ticket", "import", "missing.csv", "--event", EVENT],
        &["replay", "missing.ndjson"],
        &["rehearse"],
        &["event", "list", "--token-file", &empty],
    ];
    compare_commands("errors", owner, commands);
    compare_commands(
        "errors-without-token",
        &owner.without_token(),
        &[&["event", "list"]],
    );
    compare_commands(
        "errors-without-server",
        &Cli::without_server(),
        &[&["event", "list"]],
    );
    compare_commands(
        "errors-of-a-device",
        &server.scanner(EVENT, GATE),
        &[&["apikey", "list"], &["scan", "nonsense"]],
    );
}
