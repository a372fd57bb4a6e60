//! Tickets in, tickets out: import, issue, look up, change, draw.

use super::prompt::{Place, text};

#[test]
fn an_import_counts_and_names_the_lines_that_it_rejects() {
    let place = Place::open();
    let (event, _) = place.event_and_gate();
    let file = place.path("tickets.ndjson");
    let good = r#"{"code":"3KQR7F924M1XaB0z","ticket_class":"VIP","holder_name":"Ann Bee"}"#;
    std::fs::write(&file, format!("{good}\n{{\"entry_limit\":0}}\nnonsense\n{{}}")).expect("written");
    let import = ["ticket", "import", &file, "--event", &event, "--output", "json"];
    let counts = place.owner.run(&import).expect(1).value();
    assert_eq!(
        (counts["inserted"].as_u64(), counts["rejected"].as_u64()),
        (Some(2), Some(2)),
        "{counts}"
    );
    assert_eq!(counts["errors"][0]["line"], 2);
    std::fs::write(&file, good).expect("written");
    let again = place.owner.run(&import).expect(0).value();
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
    let lines = place
        .owner
        .feed(&piped, "{}\n{\"note\":\"x\"}\n")
        .expect(0)
        .values();
    assert_eq!(lines.len(), 3, "two codes and the counts");
    assert_eq!(text(&lines[1], "code").len(), 16);
    assert_eq!(lines[2]["inserted"], 2);
    place
        .owner
        .run(&["ticket", "import", &place.path("absent"), "--event", &event])
        .expect(1);
}

#[test]
fn an_import_that_is_not_allowed_says_so_whatever_its_size() {
    let place = Place::open();
    let (event, _) = place.event_and_gate();
    let key = place
        .owner
        .json(&["apikey", "create", "--name", "Reader", "--role", "viewer"]);
    let viewer = place.owner.with_token(text(&key, "key"));
    let file = place.path("large.ndjson");
    std::fs::write(&file, "{}\n".repeat(5_000_000)).expect("written");
    for _ in 0..5 {
        viewer
            .run(&["ticket", "import", &file, "--event", &event])
            .expect(4);
    }
    let nobody = "0192f0c1-7a4e-7000-8000-000000000001";
    place
        .owner
        .run(&["ticket", "import", &file, "--event", nobody])
        .expect(1);
}

#[test]
fn issued_tickets_have_codes_and_pictures() {
    let place = Place::open();
    let (event, _) = place.event_and_gate();
    for (drawing, magic) in [("svg", &b"<?xml"[..]), ("png", b"\x89PNG")] {
        let dir = place.path(drawing);
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
            drawing,
            "--format",
            "vg2",
        ];
        let issued = place.owner.list(&issue);
        assert_eq!(issued.len(), 3);
        for ticket in issued {
            let file = std::fs::read(text(&ticket, "file")).expect("a picture");
            assert!(
                file.starts_with(magic) || drawing == "svg" && file.starts_with(b"<svg"),
                "{ticket}"
            );
            assert!(text(&ticket, "file").ends_with(&format!("{}.{drawing}", text(&ticket, "code"))));
        }
    }
    let all = place.owner.list(&["ticket", "list", "--event", &event]);
    assert_eq!(all.len(), 6);
    assert!(
        all.iter()
            .all(|ticket| ticket["entry_limit"] == 4 && ticket["ticket_class"] == "VIP")
    );
}

#[test]
fn a_long_list_comes_whole() {
    let place = Place::open();
    let (event, _) = place.event_and_gate();
    assert_eq!(place.issue(&event, 1203).len(), 1203);
    assert_eq!(
        place.owner.list(&["ticket", "list", "--event", &event]).len(),
        1203
    );
}

#[test]
fn a_ticket_is_looked_up_taken_back_and_lifted() {
    let place = Place::open();
    let owner = &place.owner;
    let (event, _) = place.event_and_gate();
    let line = "{\"code\":\"3KQR7F924M1XaB0z\",\"holder_name\":\"Ann Bee\",\"order_ref\":\"O-1\"}\n";
    owner
        .feed(&["ticket", "import", "-", "--event", &event], line)
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
fn a_qr_code_is_drawn_where_it_is_wanted() {
    let place = Place::open();
    let owner = &place.owner;
    let (event, _) = place.event_and_gate();
    let code = place.issue(&event, 1).remove(0);
    let qr = |more: &[&str]| owner.run(&[&["ticket", "qr", &code, "--event", &event], more].concat());
    let drawn = qr(&[]).expect(0);
    assert!(
        drawn.out.contains('▀') && drawn.out.lines().count() == 20,
        "{drawn:?}"
    );
    assert!(qr(&["--as", "text"]).expect(0).out.starts_with("VG1.1."));
    assert!(qr(&["--as", "svg"]).expect(0).out.contains("<svg"));
    let file = place.path("ticket.png");
    qr(&["--as", "png", "--file", &file]).expect(0);
    assert!(std::fs::read(&file).expect("a picture").starts_with(b"\x89PNG"));
    let json = qr(&["--output", "json"]).expect(0).value();
    assert_eq!(text(&json, "code"), code);
}
