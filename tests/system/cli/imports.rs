//! `ticket import` and `ticket export`: lists of other systems are tried, imported, scanned, exported and imported again.

use serde_json::{Value, json};

use super::fixture::{Cli, CommandOutput, TestServer, text};

/// A server with an event that lets media in, and a scanner at its gate.
struct Event {
    server: TestServer,
    id: String,
    gate: String,
}

impl Event {
    fn new() -> Self {
        let server = TestServer::start();
        let (id, gate) = server.event_and_gate();
        server.owner.json(&["event", "put", &id, "--allow-media"]);
        Self { server, id, gate }
    }

    fn owner(&self) -> &Cli {
        &self.server.owner
    }

    fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let file = self.server.path(name);
        std::fs::write(&file, bytes).expect("written");
        file
    }

    fn import(&self, file: &str, options: &[&str]) -> CommandOutput {
        let arguments = ["ticket", "import", file, "--event", &self.id];
        self.owner().run(&[&arguments, options].concat())
    }

    /// Imports a file and returns the object with the counts.
    #[track_caller]
    fn counts(&self, file: &str, options: &[&str], exit_code: i32) -> Value {
        self.import(file, &[options, &["--output", "json"]].concat())
            .expect(exit_code)
            .value()
    }

    fn tickets(&self) -> Vec<Value> {
        self.owner().list(&["ticket", "list", "--event", &self.id])
    }

    /// A dry run, the import, and both again. `inserted` tickets are new.
    #[track_caller]
    fn try_and_import(&self, file: &str, options: &[&str], inserted: u64) -> Value {
        let dry = self.counts(file, &[options, &["--dry-run"]].concat(), 0);
        assert_eq!(dry["dry_run"], true, "{dry}");
        assert!(self.tickets().is_empty(), "a dry run changes nothing");
        let counts = self.counts(file, options, 0);
        for name in [
            "inserted",
            "updated",
            "unchanged",
            "rejected",
            "errors",
            "new_classes",
            "ignored_fields",
            "left_out",
        ] {
            assert_eq!(dry[name], counts[name], "{name}");
        }
        assert_eq!(
            (&counts["inserted"], &counts["rejected"], &counts["dry_run"]),
            (&json!(inserted), &json!(0), &json!(false)),
            "{counts}"
        );
        self.is_unchanged(file, options, inserted);
        counts
    }

    /// An import of the same file changes nothing.
    #[track_caller]
    fn is_unchanged(&self, file: &str, options: &[&str], tickets: u64) {
        for options in [options.to_vec(), [options, &["--dry-run"]].concat()] {
            let before = self.tickets();
            let again = self.counts(file, &options, 0);
            assert_eq!(
                (
                    &again["unchanged"],
                    &again["inserted"],
                    &again["updated"],
                    &again["rejected"]
                ),
                (&json!(tickets), &json!(0), &json!(0), &json!(0)),
                "{again}"
            );
            assert_eq!(self.tickets(), before);
        }
    }

    /// The reason of the answer to a barcode at the gate.
    #[track_caller]
    fn scan(scanner: &Cli, barcode: &str) -> String {
        let output = scanner.run(&["scan", barcode, "--output", "json"]);
        text(&output.value(), "reason").to_owned()
    }

    /// Both forms of the export are taken back unchanged by a strict import.
    #[track_caller]
    fn export_round_trip(&self, tickets: u64) {
        for format in ["ndjson", "csv"] {
            let exported = self
                .owner()
                .run(&["ticket", "export", &self.id, "--format", format])
                .expect(0);
            let file = self.file(&format!("exported.{format}"), &exported.stdout);
            self.is_unchanged(&file, &["--strict"], tickets);
        }
    }
}

/// The export "Order data" of pretix, with invented people.
fn pretix_orders() -> Value {
    let position = |number: u64, item: u64, variation: Option<u64>, secret: &str, more: Value| {
        let mut position = json!({
            "id": number, "positionid": number % 10, "item": item, "variation": variation, "subevent": null, "seat": null,
            "price": "23.00", "tax_rate": "0.00", "tax_value": "0.00", "attendee_name": null, "attendee_email": null,
            "secret": secret, "addon_to": null, "canceled": false, "blocked": null, "valid_from": null,
            "valid_until": null, "answers": [],
        });
        for (key, value) in more.as_object().expect("an object") {
            position[key] = value.clone();
        }
        position
    };
    let order = |code: &str, status: &str, testmode: bool, positions: Vec<Value>| {
        json!({
            "code": code, "status": status, "testmode": testmode, "user": "ada@example.org", "locale": "en",
            "datetime": "2026-10-01T10:00:00Z", "fees": [], "total": "46.00", "positions": positions,
        })
    };
    json!({ "event": {
        "name": "Sample Conference", "slug": "sample",
        "organizer": { "name": "Sample Events", "slug": "sample" }, "categories": [], "questions": [], "quotas": [],
        "items": [
            { "id": 1, "name": "Standard", "admission": true, "variations": [
                { "id": 11, "name": "Adult" }, { "id": 12, "name": "Child" } ] },
            { "id": 2, "name": "VIP", "admission": true, "variations": [] },
        ],
        "orders": [
            order("AAAA1", "p", false, vec![
                position(11, 1, Some(11), "secretaaaaaaaaaaaaaaaaaaaaaaaa01", json!({
                    "attendee_name": "Ada Example", "seat": "A-10-42",
                    "valid_from": "2026-01-01T00:00:00+02:00", "valid_until": "2036-11-23T01:00:00Z" })),
                position(12, 1, Some(12), "secretaaaaaaaaaaaaaaaaaaaaaaaa02", json!({ "addon_to": 11 })),
            ]),
            order("AAAA2", "p", false, vec![
                position(21, 2, None, "secretaaaaaaaaaaaaaaaaaaaaaaaa03", json!({ "canceled": true })),
                position(22, 2, None, "secretaaaaaaaaaaaaaaaaaaaaaaaa04", json!({ "blocked": ["admin"] })),
                position(23, 2, None, "secretaaaaaaaaaaaaaaaaaaaaaaaa05", json!({ "blocked": [] })),
            ]),
            order("AAAA3", "c", false, vec![position(31, 2, None, "secretaaaaaaaaaaaaaaaaaaaaaaaa06", json!({}))]),
            order("AAAA4", "e", false, vec![position(41, 2, None, "secretaaaaaaaaaaaaaaaaaaaaaaaa07", json!({}))]),
            order("AAAA5", "n", false, vec![
                position(51, 2, None, "secretaaaaaaaaaaaaaaaaaaaaaaaa08", json!({})),
                position(52, 2, None, "secretaaaaaaaaaaaaaaaaaaaaaaaa09", json!({})),
            ]),
            order("AAAA6", "p", true, vec![position(61, 2, None, "secretaaaaaaaaaaaaaaaaaaaaaaaa10", json!({}))]),
        ],
        "subevents": [],
    } })
}

#[test]
fn the_orders_of_pretix_are_tried_imported_scanned_exported_and_imported_unchanged() {
    let event = Event::new();
    let file = event.file(
        "pretix.json",
        serde_json::to_string_pretty(&pretix_orders()).expect("JSON"),
    );
    let pretix = ["--preset", "pretix"];
    let counts = event.try_and_import(&file, &pretix, 7);
    assert_eq!(
        counts["new_classes"],
        json!(["Standard – Adult", "Standard – Child", "VIP"])
    );
    assert_eq!(
        counts["left_out"],
        json!({ "unpaid": { "orders": 1, "tickets": 2 }, "test_mode": { "orders": 1, "tickets": 1 } })
    );
    let said = event.import(&file, &pretix).expect(0).stdout;
    assert!(
        said.contains("1 unpaid orders with 2 tickets") && said.contains("1 test-mode orders"),
        "{said}"
    );
    let tickets = event.tickets();
    let by_order = |order: &str| {
        let found = tickets.iter().find(|ticket| ticket["order_ref"] == order);
        found.unwrap_or_else(|| panic!("{order} in {tickets:?}")).clone()
    };
    let first = by_order("AAAA1-1");
    for (field, value) in [
        ("holder_name", json!("Ada Example")),
        ("ticket_class", json!("Standard – Adult")),
        ("status", json!("active")),
        ("seat", json!({ "block": null, "row": null, "number": "A-10-42" })),
        ("valid_from", json!("2025-12-31T22:00:00.000Z")),
        ("valid_until", json!("2036-11-23T01:00:00.000Z")),
        ("media", json!(["barcode:secretaaaaaaaaaaaaaaaaaaaaaaaa01"])),
    ] {
        assert_eq!(first[field], value, "{field}");
    }
    assert_eq!(
        by_order("AAAA1-2")["holder_name"],
        "Ada Example",
        "an add-on has the name of its ticket"
    );
    for (order, status) in [
        ("AAAA2-1", "voided"),
        ("AAAA2-2", "voided"),
        ("AAAA2-3", "active"),
        ("AAAA3-1", "voided"),
        ("AAAA4-1", "voided"),
    ] {
        assert_eq!(by_order(order)["status"], status, "{order}");
    }
    let scanner = event.server.scanner(&event.id, &event.gate);
    for (number, reason) in [
        ("01", "admitted"),
        ("01", "already_scanned"),
        ("02", "admitted"),
        ("03", "ticket_voided"),
        ("04", "ticket_voided"),
        ("05", "admitted"),
        ("06", "ticket_voided"),
        ("07", "ticket_voided"),
        ("08", "ticket_not_found"),
        ("10", "ticket_not_found"),
    ] {
        let secret = format!("secretaaaaaaaaaaaaaaaaaaaaaaaa{number}");
        assert_eq!(Event::scan(&scanner, &secret), reason, "{secret}");
    }
    event.is_unchanged(&file, &pretix, 7);
    event.export_round_trip(7);
    // A ticket that was voided here stays voided, whatever the shop says.
    let code = text(&by_order("AAAA2-3"), "code").to_owned();
    event
        .owner()
        .json(&["ticket", "void", &code, "--event", &event.id]);
    event.is_unchanged(&file, &pretix, 7);
}

#[test]
fn a_page_of_orders_of_the_pretix_api_is_read_as_well() {
    let event = Event::new();
    let page = json!({ "count": 1, "next": null, "previous": null, "results": [{
        "code": "BBBB1", "event": "sample", "status": "p", "testmode": false, "secret": "orderlink",
        "invoice_address": { "name": "Bo Example" },
        "positions": [{
            "id": 1, "order": "BBBB1", "positionid": 1, "item": { "id": 7, "name": { "de": "Karte", "en": "Ticket" } },
            "variation": null, "attendee_name": "", "secret": "z3fsn8jyufm5kpk768q69gkbyr5f4h6w", "addon_to": null,
            "seat": { "id": 1, "name": "Seat", "zone_name": "Stalls", "row_name": "C", "seat_number": "4", "seat_guid": "C4" },
        }],
    }, {
        "code": "BBBB2", "status": "n", "valid_if_pending": true, "testmode": false,
        "positions": [{ "positionid": 3, "item": 7, "secret": "valid-although-pending" }],
    }] });
    let file = event.file("page.json", page.to_string());
    event.try_and_import(&file, &["--preset", "pretix"], 2);
    let tickets = event.tickets();
    let ticket = tickets
        .iter()
        .find(|ticket| ticket["order_ref"] == "BBBB1-1")
        .expect("the ticket");
    assert_eq!(
        (&ticket["holder_name"], &ticket["ticket_class"], &ticket["seat"]),
        (
            &json!("Bo Example"),
            &json!("Ticket"),
            &json!({ "block": "Stalls", "row": "C", "number": "4" })
        )
    );
    let wrong = event.file("wrong.json", r#"{"tickets":[]}"#);
    let output = event.import(&wrong, &["--preset", "pretix"]).expect(2);
    assert!(output.stderr.contains("holds no orders"), "{output:?}");
}

#[test]
fn an_attendee_list_of_pretix_is_tried_imported_scanned_exported_and_imported_unchanged() {
    let event = Event::new();
    let list = "\u{feff}Order code,Attendee name,Product,Price,Checked in,Automatically checked in,Paid,Secret,E-mail,Company,\
        Voucher code,Order date,Requires special attention,Comment,Seat ID,Seat name,Seat zone,Seat row,Seat number\r\n\
        CCCC1,Ada Example,Standard – Adult,23.00,,No,Yes,secretcsv01,ada@example.org,,,2026-10-01,No,,C4,\"Stalls, Row C\",Stalls,C,4\r\n\
        CCCC1,\"Bo \"\"B\"\" Example\",VIP,23.00,,No,Yes,secretcsv02,,,,2026-10-01,No,\"first line\nsecond line\",,,,,\r\n\
        CCCC2,Cy Example,VIP,23.00,,No,No,secretcsv03,,,,2026-10-01,No,,,,,,\r\n";
    let file = event.file("checkin.csv", list);
    let pretix = ["--preset", "pretix"];
    let counts = event.try_and_import(&file, &pretix, 2);
    assert_eq!(
        counts["ignored_fields"],
        json!([]),
        "the columns of pretix are known"
    );
    assert_eq!(counts["left_out"]["unpaid"], json!({ "orders": 1, "tickets": 1 }));
    let scanner = event.server.scanner(&event.id, &event.gate);
    for (secret, reason) in [
        ("secretcsv01", "admitted"),
        ("secretcsv02", "admitted"),
        ("secretcsv02", "already_scanned"),
        ("secretcsv03", "ticket_not_found"),
    ] {
        assert_eq!(Event::scan(&scanner, secret), reason, "{secret}");
    }
    let tickets = event.tickets();
    assert!(
        tickets
            .iter()
            .any(|ticket| ticket["holder_name"] == "Bo \"B\" Example" && ticket["order_ref"] == "CCCC1")
    );
    event.is_unchanged(&file, &pretix, 2);
    event.export_round_trip(2);
    // The list is strict where its classes are known; a column of a question is not.
    event.is_unchanged(&file, &["--preset", "pretix", "--strict"], 2);
    let question = event.file(
        "question.csv",
        "Order code,Product,Secret,Shoe size\nCCCC1,VIP,secretcsv01,38\n",
    );
    let output = event
        .import(&question, &["--preset", "pretix", "--strict"])
        .expect(2);
    assert!(output.stderr.contains("Shoe size"), "{output:?}");
}

#[test]
fn a_list_of_eans_is_tried_imported_scanned_exported_and_imported_unchanged() {
    let event = Event::new();
    let file = event.file("eans.csv", "EAN\n4006381333931\n4006381333948\n");
    event.try_and_import(&file, &["--preset", "attendees"], 2);
    let scanner = event.server.scanner(&event.id, &event.gate);
    assert_eq!(Event::scan(&scanner, "4006381333931"), "admitted");
    assert_eq!(Event::scan(&scanner, "4006381333931"), "already_scanned");
    assert_eq!(Event::scan(&scanner, "4006381333955"), "ticket_not_found");
    event.export_round_trip(2);
    event.is_unchanged(&file, &["--preset", "attendees"], 2);
    // Another event of the organization may have the same barcodes: they are other tickets.
    let (other, _) = event.server.event_and_gate();
    let import = [
        "ticket",
        "import",
        &file,
        "--event",
        &other,
        "--preset",
        "attendees",
        "--output",
        "json",
    ];
    assert_eq!(event.owner().run(&import).expect(0).value()["inserted"], 2);
    let codes = |id: &str| -> Vec<Value> {
        let tickets = event.owner().list(&["ticket", "list", "--event", id]);
        tickets.iter().map(|ticket| ticket["code"].clone()).collect()
    };
    assert!(
        codes(&event.id).iter().all(|code| !codes(&other).contains(code)),
        "a code is no function of the barcode"
    );
}

#[test]
fn a_utf16_file_with_semicolons_is_tried_imported_scanned_exported_and_imported_unchanged() {
    let list = "Barcode;First name;Last name;Ticket type;Seat\r\nB-1;Zoë;van der Merwe;Golden Circle;12\r\nB-2;王;伟;;\r\n";
    for (mark, to_bytes) in [
        (b"\xff\xfe", u16::to_le_bytes as fn(u16) -> [u8; 2]),
        (b"\xfe\xff", u16::to_be_bytes),
    ] {
        let event = Event::new();
        let bytes: Vec<u8> = mark
            .iter()
            .copied()
            .chain(list.encode_utf16().flat_map(to_bytes))
            .collect();
        let file = event.file("guests.csv", bytes);
        let counts = event.try_and_import(&file, &["--preset", "attendees"], 2);
        assert_eq!(counts["new_classes"], json!(["Golden Circle"]));
        let scanner = event.server.scanner(&event.id, &event.gate);
        assert_eq!(Event::scan(&scanner, "B-2"), "admitted");
        let found = event
            .owner()
            .list(&["ticket", "search", "Zoë van", "--event", &event.id]);
        assert_eq!(found[0]["media"], json!(["barcode:B-1"]));
        event.export_round_trip(2);
        event.is_unchanged(&file, &["--preset", "attendees"], 2);
    }
}

#[test]
fn mapped_columns_a_json_array_and_ndjson_bring_the_same_tickets() {
    let event = Event::new();
    let csv = event.file(
        "list.csv",
        "Barcode\tFirst name\tLast name\tFrom\tStatus\n3KQR-7F92-4M1X-aB0z\tAda\tExample\t2026-11-29 19:00\tgone\n",
    );
    let map = [
        "--map",
        r#"code=Barcode,holder_name="First name"+"Last name","#,
        "--map",
        "valid_from=From,status=",
    ];
    let counts = event.try_and_import(&csv, &map, 1);
    assert_eq!(counts["ignored_fields"], json!(["Status"]));
    let line =
        r#"{"code":"3KQR7F924M1XaB0z","holder_name":"Ada Example","valid_from":"2026-11-29T19:00:00Z"}"#;
    let array = event.file(
        "list.json",
        format!("\u{feff}[\n{},\n{line}\n]\n", line.replace(',', ",\n  ")),
    );
    event.is_unchanged(&array, &[], 2);
    let lines = event.file("list.ndjson", format!("\u{feff}{line}\n\n{line}\r\n"));
    event.is_unchanged(&lines, &[], 2);
    let keys = event.file(
        "keys.json",
        r#"[{"Barcode":"3KQR7F924M1XaB0z","First name":"Ada","Last name":"Example","From":null}]"#,
    );
    event.is_unchanged(&keys, &map, 1);
    let cut = event.file("cut.json", format!("[{line},"));
    let output = event.import(&cut, &[]).expect(1);
    assert!(output.stderr.contains("cut off"), "{output:?}");
}

#[test]
fn a_header_that_lacks_what_is_needed_and_an_unknown_column_exit_2_and_change_nothing() {
    let event = Event::new();
    let file = event.file("list.csv", "Foo,Bar\n1,2\n");
    for (options, shown) in [
        (&[][..], "code, id, status"),
        (&["--preset", "attendees"], "Barcode, Name, Ticket type, Order"),
        (
            &["--preset", "pretix"],
            "Order code, Product, Attendee name, Secret",
        ),
        (&["--map", "code=Ticket"], "Ticket"),
    ] {
        let output = event.import(&file, options).expect(2);
        assert!(
            output.stderr.contains("Foo, Bar") && output.stderr.contains(shown),
            "{output:?}"
        );
    }
    event.import(&file, &["--map", "colour=Foo"]).expect(2);
    let file = event.file("more.csv", "code,Price\n3KQR7F924M1XaB0z,5\n");
    let output = event.import(&file, &["--strict"]).expect(2);
    assert!(output.stderr.contains("Price"), "{output:?}");
    assert!(event.tickets().is_empty());
    assert_eq!(event.counts(&file, &[], 0)["ignored_fields"], json!(["Price"]));
    let binary = event.file("list.xlsx", b"PK\x03\x04\0\0\0\0");
    let output = event.import(&binary, &[]).expect(1);
    assert!(output.stderr.contains("is not text"), "{output:?}");
}

#[test]
fn rejected_lines_are_grouped_numbered_as_in_the_file_and_written_with_their_reasons() {
    let event = Event::new();
    let lines = [
        "code,entry_limit,note",
        "AAAAAAAAAAAAAAA1,0,a",
        "AAAAAAAAAAAAAAA2,2,\"two",
        "lines\"",
        "",
        "AAAAAAAAAAAAAAA3,300,c",
        "AAAAAAAAAAAAAAA4,3",
        "short,1,d",
        "AAAAAAAAAAAAAAA5,999,\"quoted, \"\"e\"\"\"",
        "AAAAAAAAAAAAAAA6,1,\"open",
        "AAAAAAAAAAAAAAA7,1,f",
    ];
    let file = event.file("list.csv", lines.join("\r\n"));
    let rejected = event.server.path("rejected.csv");
    for more in [&["--dry-run"][..], &[]] {
        let counts = event.counts(&file, &[&["--errors", &rejected], more].concat(), 1);
        assert_eq!(
            (&counts["inserted"], &counts["rejected"]),
            (&json!(2), &json!(6)),
            "{counts}"
        );
        let errors = counts["errors"].as_array().expect("errors");
        let numbers: Vec<_> = errors.iter().filter_map(|error| error["line"].as_u64()).collect();
        assert_eq!(numbers, [2, 6, 7, 8, 9, 10]);
        let written = std::fs::read_to_string(&rejected).expect("the file");
        let mut written = written.lines();
        assert_eq!(written.next(), Some("code,entry_limit,note,reason"));
        for (line, error) in [1, 5, 6, 7, 8, 9].into_iter().zip(errors) {
            let expected = format!("{},\"{}\"", lines[line], text(error, "message"));
            assert_eq!(written.next(), Some(expected.as_str()));
        }
        assert_eq!(written.next(), None);
        is_private(&rejected);
    }
    let said = event.import(&file, &[]).expect(1).stdout;
    assert!(
        said.contains("2 lines (6, 9): /entry_limit must be at most 255"),
        "{said}"
    );
    assert!(said.contains("line 10: has a quote that is not closed"), "{said}");
    // The file of rejected lines is imported as it is, once it is corrected.
    let corrected = std::fs::read_to_string(&rejected)
        .expect("the file")
        .replace(",0,", ",1,")
        .replace(",300,", ",3,");
    let corrected = event.file("corrected.csv", corrected);
    assert_eq!(event.counts(&corrected, &["--strict"], 1)["inserted"], 2);
}

#[test]
fn rejected_objects_are_written_with_their_reasons_and_unknown_classes_are_rejected_strictly() {
    let event = Event::new();
    event.counts(&event.file("first.ndjson", r#"{"ticket_class":"VIP"}"#), &[], 0);
    let lines = [
        r#"{"ticket_class":"VIP","note":"a"}"#,
        r#"{"ticket_class":"VPI"}"#,
        "nonsense",
        r#"{"ticket_class":"VIP","holdername":"Ada"}"#,
    ];
    let file = event.file("list.ndjson", lines.join("\n"));
    let rejected = event.server.path("rejected.ndjson");
    let counts = event.counts(&file, &["--strict", "--errors", &rejected], 1);
    assert_eq!(
        (&counts["inserted"], &counts["rejected"]),
        (&json!(1), &json!(3)),
        "{counts}"
    );
    let written = std::fs::read_to_string(&rejected).expect("the file");
    let expected = [
        "# line 2: ticket_class: VPI is not a class of this event",
        lines[1],
        "# line 3: is not JSON",
        lines[2],
        "# line 4: holdername: is not a field of a ticket",
        lines[3],
    ];
    assert_eq!(written.lines().collect::<Vec<_>>(), expected);
    let again = event.counts(&rejected, &[], 1);
    assert_eq!(
        (&again["inserted"], &again["rejected"]),
        (&json!(2), &json!(1)),
        "the notes are skipped: {again}"
    );
}

#[test]
fn a_dry_run_prints_what_would_change() {
    let event = Event::new();
    event.counts(
        &event.file("first.csv", "barcode,holder_name,note\nB1,Ada,x\nB2,Bo,y\n"),
        &[],
        0,
    );
    let file = event.file(
        "second.csv",
        "barcode,holder_name,note,ticket_class,Price\nB1,Ada,changed,,1\nB2,Bea,changed,VIP,1\nB3,Cy,,VIP,1\n,,,,\nB4,x\n",
    );
    let said = event.import(&file, &["--dry-run"]).expect(1).stdout;
    for part in [
        "dry run, nothing was changed: 1 inserted, 2 updated, 0 unchanged, 1 rejected",
        "updated fields: holder_name 1, note 2, ticket_class 1",
        "line 6: has 2 cells, and the header has 5",
        "new ticket classes: VIP",
        "ignored columns and fields: Price",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let json = event.counts(&file, &["--dry-run"], 1);
    assert_eq!(
        json["updated_fields"],
        json!({ "holder_name": 1, "note": 2, "ticket_class": 1 })
    );
    assert_eq!(event.tickets().len(), 2);
}

#[test]
fn an_export_is_private_and_only_for_those_who_may_see_codes() {
    let event = Event::new();
    let lines = r#"{"media":["barcode:a,\"b\" ;","nfc:04A1B2C3"],"seat":{"row":"7"},"note":"=1+1, \"x\"","valid_from":"2026-11-22T18:00:00Z","ticket_class":"VIP"}
{"status":"voided","entry_limit":3,"holder_name":"Zoë","order_ref":"O-1"}"#;
    event.counts(&event.file("list.ndjson", lines), &[], 0);
    event.export_round_trip(2);
    for (format, first) in [("ndjson", "{"), ("csv", "code,id,status,ticket_class,")] {
        let file = event.file(&format!("tickets.{format}"), "what was there before");
        let export = ["ticket", "export", &event.id, "--format", format, "--file", &file];
        let written = event.owner().json(&export);
        assert_eq!(
            (&written["tickets"], text(&written, "file")),
            (&json!(2), file.as_str())
        );
        is_private(&file);
        let exported = std::fs::read_to_string(&file).expect("the export");
        assert!(exported.starts_with(first), "{exported}");
        event.is_unchanged(&file, &["--strict"], 2);
    }
    let voided = event
        .owner()
        .run(&["ticket", "export", &event.id, "--status", "voided"])
        .expect(0)
        .values();
    assert_eq!((voided.len(), text(&voided[0], "holder_name")), (1, "Zoë"));
    for (role, exit_code) in [("admin", 0), ("staff", 4), ("viewer", 4)] {
        let key = event
            .owner()
            .json(&["apikey", "create", "--name", role, "--role", role]);
        let member = event.owner().with_token(text(&key, "key"));
        member.run(&["ticket", "export", &event.id]).expect(exit_code);
    }
}

/// Whether only the owner of a file can read it.
fn is_private(file: &str) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(file).expect("the file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}
