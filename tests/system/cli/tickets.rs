//! Commands for tickets: import, issue, search, status changes, QR codes.

use super::fixture::{TestServer, text};

#[test]
fn an_import_reports_its_counts_and_the_rejected_lines() {
    let server = TestServer::start();
    let (event, _) = server.event_and_gate();
    let file = server.path("tickets.ndjson");
    let good = r#"{"code":"3KQR7F924M1XaB0z","ticket_class":"VIP","holder_name":"Ann Bee"}"#;
    std::fs::write(&file, format!("{good}\n{{\"entry_limit\":0}}\nnonsense\n{{}}")).expect("written");
    let import = ["ticket", "import", &file, "--event", &event, "--output", "json"];
    let counts = server.owner.run(&import).expect(1).value();
    assert_eq!(
        (counts["inserted"].as_u64(), counts["rejected"].as_u64()),
        (Some(2), Some(2)),
        "{counts}"
    );
    assert_eq!(counts["errors"][0]["line"], 2);
    std::fs::write(&file, good).expect("written");
    let again = server.owner.run(&import).expect(0).value();
    assert_eq!(again["unchanged"], 1);
    let piped = [
        "ticket",
        "import",
        "-",
        "--event",
        &event,
        "--return-codes",
        "--output",
        "json",
    ];
    let lines = server
        .owner
        .run_with_input(&piped, "{}\n{\"note\":\"x\"}\n")
        .expect(0)
        .values();
    assert_eq!(lines.len(), 3, "two codes and the counts");
    assert_eq!(text(&lines[1], "code").len(), 16);
    assert_eq!(lines[2]["inserted"], 2);
    server
        .owner
        .run(&["ticket", "import", &server.path("absent"), "--event", &event])
        .expect(1);
}

#[test]
fn a_ticket_of_another_system_is_imported_scanned_shown_and_exported() {
    let server = TestServer::start();
    let owner = &server.owner;
    let (event, gate) = server.event_and_gate();
    owner.json(&["event", "put", &event, "--allow-media"]);
    let media = ["barcode:4006381333931", "nfc:04A1B2C3D4E5F6"];
    let line = serde_json::json!({ "media": media, "ticket_class": "Partner" });
    let import = [
        "ticket",
        "import",
        "-",
        "--event",
        &event,
        "--return-codes",
        "--output",
        "json",
    ];
    let imported = owner
        .run_with_input(&import, &line.to_string())
        .expect(0)
        .values();
    assert_eq!(imported[1]["inserted"], 1, "{imported:?}");
    let code = text(&imported[0], "code");
    let again = owner
        .run_with_input(&import, &line.to_string())
        .expect(0)
        .values();
    assert_eq!(text(&again[0], "code"), code, "the medium names the ticket");
    let scanner = server.scanner(&event, &gate);
    let scan = |arguments: &[&str], exit_code: i32| {
        let all = [&["scan"], arguments, &["--output", "json"]].concat();
        scanner.run(&all).expect(exit_code).value()
    };
    let admitted = scan(&["]E04006381333931"], 0);
    assert_eq!(text(&admitted["ticket"], "code"), code);
    assert_eq!(text(&admitted["ticket"], "ticket_class"), "Partner");
    let denied = scan(&["--medium", media[1]], 3);
    assert_eq!(text(&denied, "reason"), "already_scanned");
    assert_eq!(text(&scan(&["4006381333948"], 3), "reason"), "ticket_not_found");

    let shown = owner.json(&["ticket", "show", code, "--event", &event]);
    assert_eq!(
        (&shown["media"], text(&shown, "status")),
        (&serde_json::json!(media), "scanned")
    );
    let listed = owner.list(&["ticket", "list", "--event", &event]);
    assert_eq!(listed[0]["media"], serde_json::json!(media));
    let unchanged = owner
        .run_with_input(&import, &listed[0].to_string())
        .expect(0)
        .values();
    assert_eq!(unchanged[1]["unchanged"], 1, "{unchanged:?}");
    let exported = owner.run(&["scans", "export", "--event", &event]).expect(0);
    let admission = exported
        .values()
        .into_iter()
        .find(|line| line["result"] == "valid");
    let admission = admission.expect("the admission");
    assert!(
        text(&admission, "qr").starts_with(&format!("VG1.1.{code}.")),
        "{admission}"
    );
    assert!(!exported.stdout.contains("4006381333931"), "{exported:?}");
}

#[test]
fn a_large_import_that_is_not_allowed_exits_4_or_1() {
    let server = TestServer::start();
    let (event, _) = server.event_and_gate();
    let key = server
        .owner
        .json(&["apikey", "create", "--name", "Reader", "--role", "viewer"]);
    let viewer = server.owner.with_token(text(&key, "key"));
    let file = server.path("large.ndjson");
    std::fs::write(&file, "{}\n".repeat(5_000_000)).expect("written");
    for _ in 0..5 {
        viewer
            .run(&["ticket", "import", &file, "--event", &event])
            .expect(4);
    }
    let unknown = "0192f0c1-7a4e-7000-8000-000000000001";
    server
        .owner
        .run(&["ticket", "import", &file, "--event", unknown])
        .expect(1);
}

#[test]
fn issued_tickets_have_codes_and_qr_images() {
    let server = TestServer::start();
    let (event, _) = server.event_and_gate();
    for (format, magic) in [("svg", &b"<?xml"[..]), ("png", b"\x89PNG")] {
        let dir = server.path(format);
        let issue = [
            "ticket",
            "issue",
            "--event",
            &event,
            "--count",
            "3",
            "--class",
            "VIP",
            "--entry-limit",
            "4",
            "--qr-dir",
            &dir,
            "--as",
            format,
            "--format",
            "vg2",
        ];
        let issued = server.owner.list(&issue);
        assert_eq!(issued.len(), 3);
        for ticket in issued {
            let file = std::fs::read(text(&ticket, "file")).expect("an image");
            assert!(
                file.starts_with(magic) || format == "svg" && file.starts_with(b"<svg"),
                "{ticket}"
            );
            assert!(text(&ticket, "file").ends_with(&format!("{}.{format}", text(&ticket, "code"))));
        }
    }
    let all = server.owner.list(&["ticket", "list", "--event", &event]);
    assert_eq!(all.len(), 6);
    assert!(
        all.iter()
            .all(|ticket| ticket["entry_limit"] == 4 && ticket["ticket_class"] == "VIP")
    );
}

#[test]
fn a_list_of_several_pages_is_complete() {
    let server = TestServer::start();
    let (event, _) = server.event_and_gate();
    assert_eq!(server.issue(&event, 1203).len(), 1203);
    assert_eq!(
        server.owner.list(&["ticket", "list", "--event", &event]).len(),
        1203
    );
}

#[test]
fn a_ticket_is_found_voided_refunded_and_reactivated() {
    let server = TestServer::start();
    let owner = &server.owner;
    let (event, _) = server.event_and_gate();
    let line = "{\"code\":\"3KQR7F924M1XaB0z\",\"holder_name\":\"Ann Bee\",\"order_ref\":\"O-1\"}\n";
    owner
        .run_with_input(&["ticket", "import", "-", "--event", &event], line)
        .expect(0);
    let grouped = "3KQR-7F92-4M1X-aB0z";
    let ticket = |command: &str| owner.json(&["ticket", command, grouped, "--event", &event]);
    assert_eq!(text(&ticket("show"), "status"), "active");
    assert_eq!(text(&ticket("void"), "status"), "voided");
    assert_eq!(text(&ticket("refund"), "status"), "refunded");
    assert_eq!(text(&ticket("reactivate"), "status"), "active");
    let found = owner.list(&["ticket", "search", "Ann B", "--event", &event]);
    assert_eq!(text(&found[0], "holder_name"), "Ann Bee");
    assert!(
        owner
            .list(&["ticket", "list", "--event", &event, "--status", "voided"])
            .is_empty()
    );
    owner
        .run(&["ticket", "show", "3KQR-7F92-4M1X", "--event", &event])
        .expect(2);
    owner
        .run(&["ticket", "show", "0000-0000-0000-0000", "--event", &event])
        .expect(1);
}

#[test]
fn a_qr_code_is_printed_or_written_to_a_file() {
    let server = TestServer::start();
    let owner = &server.owner;
    let (event, _) = server.event_and_gate();
    let code = server.issue(&event, 1).remove(0);
    let qr = |more: &[&str]| owner.run(&[&["ticket", "qr", &code, "--event", &event], more].concat());
    let drawn = qr(&[]).expect(0);
    // A payload with many digits fits into a smaller code.
    assert!(
        drawn.stdout.contains('▀') && [18, 20].contains(&drawn.stdout.lines().count()),
        "{drawn:?}"
    );
    assert!(qr(&["--as", "text"]).expect(0).stdout.starts_with("VG1.1."));
    assert!(qr(&["--as", "svg"]).expect(0).stdout.contains("<svg"));
    let file = server.path("ticket.png");
    qr(&["--as", "png", "--file", &file]).expect(0);
    assert!(std::fs::read(&file).expect("an image").starts_with(b"\x89PNG"));
    let json = qr(&["--output", "json"]).expect(0).value();
    assert_eq!(text(&json, "code"), code);
}
