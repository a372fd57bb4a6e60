//! `event delete-personal-data`, `event delete` and `prune`.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::Path;

use serde_json::Value;

use super::fixture::{Cli, TestServer, id, text};

/// An archived event with three tickets, of which one was scanned twice.
fn archived_event(server: &TestServer) -> String {
    let (event, gate) = server.event_and_gate();
    let codes = server.issue(&event, 3);
    let scanner = server.scanner(&event, &gate);
    let qr = server.qr(&event, &codes[0]);
    scanner.run(&["scan", &qr]).expect(0);
    scanner.run(&["scan", &qr]).expect(3);
    archive(server, &event);
    event
}

fn archive(server: &TestServer, event: &str) {
    server
        .owner
        .json(&["event", "put", event, "--status", "archived"]);
}

fn events(owner: &Cli) -> Vec<String> {
    owner.list(&["event", "list"]).iter().map(id).collect()
}

/// The lines of a file of the archive.
fn archived(directory: &str, file: &str) -> Vec<Value> {
    let path = Path::new(directory).join(file);
    let file = fs::File::open(path).expect("the file is there");
    let text = String::from_utf8(zstd::decode_all(file).expect("a complete file")).expect("text");
    text.lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

#[test]
fn prune_archives_and_deletes_what_is_old_enough() {
    let server = TestServer::start();
    let event = archived_event(&server);
    let (live, _) = server.event_and_gate();
    let directory = server.path("archive");
    let prune = |age: &str, more: &[&str]| {
        let mut arguments = vec!["prune", "--older-than", age, "--archive", &directory];
        arguments.extend(more);
        server.owner.list(&arguments)
    };
    // A directory that is not there is refused before anything is deleted.
    let refused = ["prune", "--older-than", "0s", "--archive", &directory];
    server.owner.run(&refused).expect(1);
    fs::create_dir(&directory).expect("created");
    assert_eq!(prune("1h", &[]), [] as [Value; 0]);
    let dry = prune("0s", &["--dry-run"]);
    assert_eq!(
        (text(&dry[0], "id"), text(&dry[0], "outcome")),
        (event.as_str(), "would_be_deleted")
    );
    assert_eq!(fs::read_dir(&directory).expect("readable").count(), 0);
    assert_eq!(events(&server.owner).len(), 2);

    let pruned = prune("0s", &[]);
    assert_eq!(text(&pruned[0], "outcome"), "deleted");
    assert_eq!(
        (pruned[0]["scans"].as_u64(), pruned[0]["tickets"].as_u64()),
        (Some(2), Some(3))
    );
    assert_eq!(events(&server.owner), [live]);
    let scans = archived(&directory, &format!("{event}.scans.ndjson.zst"));
    let reasons: Vec<_> = scans.iter().map(|scan| text(scan, "reason")).collect();
    assert_eq!(reasons, ["admitted", "already_scanned"]);
    assert_eq!(
        archived(&directory, &format!("{event}.tickets.ndjson.zst")).len(),
        3
    );
    for file in fs::read_dir(&directory).expect("readable") {
        let file = file.expect("an entry");
        let name = file.file_name().to_string_lossy().into_owned();
        assert!(name.ends_with(".ndjson.zst"), "{name}");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = file.metadata().expect("metadata").permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }
}

#[test]
fn nothing_is_deleted_where_the_archive_cannot_be_written() {
    let server = TestServer::start();
    let event = archived_event(&server);
    let file = server.path("file");
    fs::write(&file, "x").expect("written");
    let missing = server.path("missing");
    for directory in [&file, &missing] {
        let prune = ["prune", "--older-than", "0s", "--archive", directory];
        let refused = server.owner.run(&prune).expect(1);
        assert!(refused.stderr.contains(directory.as_str()), "{refused:?}");
        assert_eq!(events(&server.owner), [event.as_str()]);
    }
    // The directory is good, but a folder stands where the file of the tickets has to be.
    let directory = server.path("archive");
    let blocked = Path::new(&directory).join(format!("{event}.tickets.ndjson.zst"));
    fs::create_dir_all(blocked.join("x")).expect("created");
    let prune = ["prune", "--older-than", "0s", "--archive", &directory];
    let failed = server.owner.run(&prune).expect(1);
    assert!(
        failed.stderr.contains(&blocked.display().to_string()),
        "{failed:?}"
    );
    assert_eq!(events(&server.owner), [event.as_str()]);
    // What the failed run left is no obstacle.
    fs::remove_dir_all(&blocked).expect("removed");
    assert_eq!(text(&server.owner.list(&prune)[0], "outcome"), "deleted");
    assert!(events(&server.owner).is_empty());
    assert!(!archived(&directory, &format!("{event}.tickets.ndjson.zst")).is_empty());
}

#[test]
fn prune_needs_an_owner_and_an_age() {
    let server = TestServer::start();
    archived_event(&server);
    let key = server
        .owner
        .json(&["apikey", "create", "--name", "Admin", "--role", "admin"]);
    let admin = server.owner.with_token(text(&key, "key"));
    admin.run(&["prune", "--older-than", "0s"]).expect(4);
    assert_eq!(events(&server.owner).len(), 1);
    for age in ["400", "4w", "-1d", ""] {
        let age = format!("--older-than={age}");
        server.owner.run(&["prune", &age]).expect(2);
    }
    server.owner.run(&["prune"]).expect(2);
}

#[test]
fn deleting_asks_and_names_yes_without_a_terminal() {
    let server = TestServer::start();
    let event = archived_event(&server);
    for command in ["delete-personal-data", "delete"] {
        let refused = server.owner.run(&["event", command, &event]).expect(2);
        assert!(refused.stderr.contains("--yes"), "{refused:?}");
    }
    let file = server.path("names.ndjson");
    let (other, _) = server.event_and_gate();
    fs::write(&file, "{\"holder_name\":\"Ann\"}\n{}\n").expect("written");
    server.owner.json(&["ticket", "import", &file, "--event", &other]);
    let deleted = server
        .owner
        .json(&["event", "delete-personal-data", &other, "--yes"]);
    assert_eq!(deleted["tickets"], 1);
    server.owner.run(&["event", "delete", &other, "--yes"]).expect(1);
    server.owner.json(&["event", "delete", &event, "--yes"]);
    assert_eq!(events(&server.owner), [other]);
    server.owner.run(&["event", "show", &event]).expect(1);
}

/// A server with one archived event, which got a scan while it was exported. Returns its address.
fn server_with_a_late_scan() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut request = String::new();
            let mut reader = BufReader::new(stream.try_clone().expect("the same connection"));
            reader.read_line(&mut request).expect("a request");
            let mut line = String::from("more");
            while !line.trim().is_empty() {
                line.clear();
                reader.read_line(&mut line).expect("a header");
            }
            let (status, body) = if request.starts_with("DELETE") {
                assert!(
                    request.contains("scans=0") && request.contains("tickets=0"),
                    "{request}"
                );
                let problem = r#"{"type":"urn:voelgoed-scan:problem:conflict","title":"Conflict","status":409,"detail":"The counts differ.","code":"conflict","request_id":"r"}"#;
                ("409 Conflict", problem)
            } else if request.contains("archived_before") {
                ("200 OK", EVENTS)
            } else if request.contains("/scans") {
                ("200 OK", "")
            } else {
                ("200 OK", r#"{"data":[],"next_cursor":null}"#)
            };
            let media_type = if status.starts_with('4') {
                "application/problem+json"
            } else {
                "application/json"
            };
            let answer = format!(
                "HTTP/1.1 {status}\r\ncontent-type: {media_type}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).expect("written");
        }
    });
    address
}

const EVENTS: &str = r#"{"data":[{"id":"0192f0c1-7a4e-7000-8000-000000000001","organization_id":"0192f0c1-7a4e-7000-8000-000000000002","name":"Late","status":"archived","starts_at":null,"ends_at":null,"doors_open_at":null,"doors_close_at":null,"rescheduled_at":null,"time_zone":"UTC","day_starts_at":"00:00","capacity":null,"reentry":"never","allow_unsigned":false,"allow_media":false,"ticket_classes":[],"stale_manifest":"warn","manifest_max_age_s":43200,"inserted_at":"2025-01-01T00:00:00.000Z","updated_at":"2025-01-01T00:00:00.000Z"}],"next_cursor":null}"#;

#[test]
fn an_event_that_got_something_after_its_export_is_left_and_said() {
    let owner = Cli::for_server(&server_with_a_late_scan()).with_token(&format!("vgk_{}", "a".repeat(43)));
    let directory = tempfile::tempdir().expect("a directory");
    let directory = directory.path().display().to_string();
    let prune = ["prune", "--older-than", "400d", "--archive", &directory];
    let left = owner.run(&prune).expect(1);
    assert!(left.stdout.contains("Left Late"), "{left:?}");
    assert!(left.stdout.contains("The counts differ."), "{left:?}");
    let json = [
        "prune",
        "--older-than",
        "400d",
        "--archive",
        &directory,
        "--output",
        "json",
    ];
    assert_eq!(text(&owner.run(&json).expect(1).value(), "outcome"), "kept");
}
