//! Checking in by hand and undoing at the prompt, and pairing a phone.

use std::io::{BufRead as _, BufReader};

use serde_json::{Value, json};

use super::fixture::{TestServer, id, text};

#[test]
fn a_ticket_is_checked_in_by_hand_and_the_admission_undone() {
    let server = TestServer::start();
    let owner = &server.owner;
    let (event, _) = server.event_and_gate();
    let codes = server.issue(&event, 2);
    let key = owner.json(&["apikey", "create", "--name", "Desk", "--role", "staff"]);
    let staff = owner.with_token(text(&key, "key"));
    // The only live event needs no name.
    let check_in = ["check-in", &codes[0], "--gate", "main", "--reason", "no phone"];
    let admitted = staff.json(&check_in);
    assert_eq!(
        (text(&admitted, "reason"), text(&admitted, "decided_by")),
        ("admitted", "database")
    );
    assert!(admitted["session_id"].is_null());
    let denied = staff.run(&check_in).expect(3);
    assert!(
        denied.stdout.contains("DUPLICATE") && denied.stdout.contains("by Desk"),
        "{denied:?}"
    );
    let scan = text(&admitted, "scan_id");
    let listed = owner.list(&["scans", "list", "--event", "summer"]);
    let record = listed
        .iter()
        .find(|record| record["scan_id"] == scan)
        .expect("the record");
    assert_eq!(
        (
            text(record, "source"),
            text(record, "event_name"),
            text(record, "gate_name")
        ),
        ("desk", "Summer", "Main")
    );
    assert_eq!(record["metadata"], json!({ "reason": "no phone" }));
    assert!(record["device_name"].is_null() && record["api_key_id"].is_string());

    let undo = ["undo", scan, "--reason", "the wrong person"];
    let undone = staff.json(&undo);
    assert_eq!(text(&undone["undone"], "reason"), "the wrong person");
    staff.run(&undo).expect(0);
    let table = owner.run(&["scans", "list", "--event", &event]).expect(0).stdout;
    let row = table.lines().find(|line| line.contains(scan)).expect("the row");
    assert!(row.contains("undone, by hand") && row.contains("desk"), "{row}");
    let again = staff.json(&check_in);
    assert_eq!(text(&again, "reason"), "admitted", "the ticket admits again");
    let exit = [&check_in[..], &["--direction", "exit"]].concat();
    assert_eq!(text(&staff.json(&exit), "reason"), "exited");
    staff
        .run(&["undo", text(&again, "scan_id"), "--reason", "too late"])
        .expect(1);
    staff.run(&["check-in", &codes[0], "--gate", "Main"]).expect(2);
    staff
        .run(&["check-in", &codes[0], "--gate", "Side", "--reason", "x"])
        .expect(2);
    let unknown = ["check-in", "0123456789abcdef", "--gate", "Main", "--reason", "x"];
    staff.run(&unknown).expect(1);
    let viewer = owner.json(&["apikey", "create", "--name", "V", "--role", "viewer"]);
    owner.with_token(text(&viewer, "key")).run(&check_in).expect(4);
    owner.json(&["event", "put", "new", "--name", "Other", "--status", "live"]);
    let two = staff.run(&check_in).expect(2);
    assert!(two.stderr.contains("--event"), "{two:?}");
}

#[test]
fn enroll_prints_the_code_first_and_ends_when_the_phone_has_paired() {
    let server = TestServer::start();
    let device = server.owner.json(&["device", "register", "phone-7"]);
    let mut child = server
        .owner
        .command(&["device", "enroll", "phone-7", "--output", "json"])
        .spawn()
        .expect("the binary runs");
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let mut line = || -> Value {
        let line = lines.next().expect("a line").expect("text");
        serde_json::from_str(&line).expect("JSON")
    };
    let code = line();
    assert_eq!(child.try_wait().expect("its state"), None, "it waits");
    let phone = voelgoed_scan_suite::Client::new(server.socket());
    let app = json!({ "name": "Gate", "version": "2.1", "platform": "android" });
    let body = json!({ "code": text(&code, "code"), "app": app });
    server
        .block_on(phone.post("/api/v1/scanning/enroll", &body))
        .expect(201);
    let paired = line();
    assert_eq!((id(&paired), &paired["app"]), (id(&device), &app));
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}
