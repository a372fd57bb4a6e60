//! The command `audit`: the list, and the verification of a copy without a server.

use serde_json::Value;

use super::fixture::{Cli, CommandOutput, TestServer, text};

/// A copy of a log on disk, with the key that verifies it.
struct Copy {
    server: TestServer,
    lines: Vec<String>,
    key: String,
}

impl Copy {
    fn new() -> Self {
        let server = TestServer::start();
        let (event, _) = server.event_and_gate();
        server.issue(&event, 3);
        for status in ["ended", "live", "ended"] {
            server.owner.json(&["event", "put", &event, "--status", status]);
        }
        let listed = server.owner.run(&["audit", "list", "--output", "json"]).expect(0);
        let lines: Vec<_> = listed.stdout.lines().map(str::to_owned).collect();
        assert!(lines.len() > 7, "{listed:?}");
        let key = text(&server.owner.json(&["audit", "key"]), "public_key").to_owned();
        Self { server, lines, key }
    }

    /// Verifies these lines.
    fn verify(&self, lines: &[String], arguments: &[&str]) -> CommandOutput {
        let file = self.server.path("audit.ndjson");
        std::fs::write(&file, lines.join("\n")).expect("written");
        let verify = [
            "audit",
            "verify",
            &file,
            "--public-key",
            &self.key,
            "--output",
            "json",
        ];
        Cli::without_server().run(&[&verify, arguments].concat())
    }

    /// The fault of these lines, with the first entry that it names.
    fn fault(&self, lines: &[String], arguments: &[&str]) -> (String, i64) {
        let broken = self.verify(lines, arguments).expect(1).value();
        assert_eq!(broken["intact"], false);
        (
            text(&broken, "fault").to_owned(),
            broken["sequence"].as_i64().unwrap_or_default(),
        )
    }
}

fn fault(name: &str, sequence: i64) -> (String, i64) {
    (name.to_owned(), sequence)
}

#[test]
fn verify_names_the_first_entry_that_is_not_as_the_server_wrote_it() {
    let copy = Copy::new();
    let lines = &copy.lines;
    let intact = copy.verify(lines, &[]).expect(0).value();
    let count = i64::try_from(lines.len()).expect("few");
    assert_eq!(
        (&intact["intact"], intact["entries"].as_i64()),
        (&Value::Bool(true), Some(count))
    );
    let last: Value = serde_json::from_str(&lines[lines.len() - 1]).expect("JSON");
    let head = format!("{count}:{}", text(&last, "hash"));
    assert_eq!(text(&intact, "head"), head);
    copy.verify(lines, &["--head", &head]).expect(0);

    let mut changed = lines.clone();
    changed[3] = changed[3].replacen("\"request_id\":\"", "\"request_id\":\"x", 1);
    assert_ne!(&changed, lines);
    assert_eq!(copy.fault(&changed, &[]), fault("changed", 4));
    let mut cut = lines.clone();
    cut.remove(4);
    assert_eq!(copy.fault(&cut, &[]), fault("cut_out", 5));
    let mut put_in = lines.clone();
    put_in.insert(2, changed[3].clone());
    assert_eq!(copy.fault(&put_in, &[]), fault("put_in", 4));
    let mut swapped = lines.clone();
    swapped.swap(1, 2);
    assert_eq!(copy.fault(&swapped, &[]), fault("swapped", 2));
    let tail = &lines[..lines.len() - 2];
    copy.verify(tail, &[]).expect(0);
    assert_eq!(
        copy.fault(tail, &["--head", &head]),
        fault("missing_tail", count - 1)
    );
    let message = copy.verify(tail, &["--head", &head]).value();
    assert!(
        text(&message, "message").contains("the tail is missing"),
        "{message}"
    );
}

#[test]
fn verify_reads_standard_input_and_refuses_another_key() {
    let copy = Copy::new();
    let log = copy.lines.join("\n");
    let verify = |key: &str| {
        let arguments = ["audit", "verify", "-", "--public-key", key];
        Cli::without_server().run_with_input(&arguments, &log)
    };
    let intact = verify(&copy.key).expect(0);
    assert!(intact.stdout.contains("entries are intact"), "{intact:?}");
    let other = TestServer::start();
    let other_key = text(&other.owner.json(&["audit", "key"]), "public_key").to_owned();
    let refused = verify(&other_key).expect(1);
    assert!(
        refused.stdout.contains("no entry is signed by this public key"),
        "{refused:?}"
    );
    verify("12").expect(2);
    Cli::without_server()
        .run(&["audit", "verify", "/nonexistent", "--public-key", &copy.key])
        .expect(1);
}

#[test]
fn the_list_shows_who_did_what() {
    let copy = Copy::new();
    let owner = &copy.server.owner;
    let table = owner
        .run(&["audit", "list", "--action", "event.*"])
        .expect(0)
        .stdout;
    assert!(
        table.contains("event.update") && table.contains("api_key Owner"),
        "{table}"
    );
    assert!(table.contains("status: \"live\" -> \"ended\""), "{table}");
    let all = owner.list(&["audit", "list"]);
    assert_eq!(
        (text(&all[0], "action"), text(&all[1], "action")),
        ("organization.create", "api_key.create")
    );
    assert_eq!(
        (text(&all[0]["actor"], "kind"), text(&all[1]["actor"], "kind")),
        ("cli", "cli")
    );
    let url = [
        "init",
        "--database-url",
        &copy.server.url,
        "--new-owner-key",
        &copy.server.organization,
    ];
    owner.without_token().run(&url).expect(0);
    let last = owner.list(&["audit", "list"]).pop().expect("an entry");
    assert_eq!(
        (text(&last, "action"), text(&last["actor"], "kind")),
        ("api_key.create", "cli")
    );
    let viewer = owner.json(&["apikey", "create", "--name", "Viewer", "--role", "viewer"]);
    let viewer = owner.with_token(text(&viewer, "key"));
    viewer.run(&["audit", "list"]).expect(4);
}
