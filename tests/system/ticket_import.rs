//! Ticket import: rejected lines, counts, returned codes, permissions.

use serde_json::{Value, json};
use voelgoed_scan_suite::fixture::{Tenant, new_id};
use voelgoed_scan_suite::{Client, Fixture, Response};

#[tokio::test]
async fn a_rejected_line_does_not_stop_the_import() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let long = format!(r#"{{"note":"{}"}}"#, "x".repeat(17_000));
    let lines = [
        r#"{"code":"AAAAAAAAAAAAAAA1","ticket_class":"VIP","entry_limit":2,"seat":{"row":"7"}}"#,
        "",
        "not json",
        r#"{"code":"short"}"#,
        long.as_str(),
        r#"{"code":"AAAAAAAAAAAAAAA2","status":"new"}"#,
        r#"{"code":"AAAAAAAAAAAAAAA3","gate_ids":["0192f0c1-7a4e-7000-8000-00000000dead"]}"#,
        r#"{"entry_limit":0,"valid_from":"soon"}"#,
        r#"["AAAAAAAAAAAAAAA4"]"#,
        "   ",
        r#"{"code":"AAAAAAAAAAAAAAA5"}"#,
    ];
    let counts = tenant
        .owner
        .import(&tenant.event, lines.join("\r\n"))
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&counts["inserted"], &counts["rejected"]),
        (&json!(2), &json!(7)),
        "{counts}"
    );
    let errors = counts["errors"].as_array().expect("errors");
    let numbers: Vec<_> = errors.iter().filter_map(|error| error["line"].as_u64()).collect();
    assert_eq!(numbers, [3, 4, 5, 6, 7, 8, 9]);
    assert!(
        errors[5]["message"]
            .as_str()
            .is_some_and(|text| text.contains("/entry_limit") && text.contains("/valid_from"))
    );
    let again = tenant
        .owner
        .import(&tenant.event, lines[0].to_owned())
        .await
        .expect(200)
        .json();
    assert_eq!(again["unchanged"], 1, "an import can be repeated: {again}");
    let changed = r#"{"code":"AAAAAAAAAAAAAAA1","note":"wheelchair","seat":null}"#;
    let counts = tenant
        .owner
        .import(&tenant.event, changed)
        .await
        .expect(200)
        .json();
    assert_eq!(counts["updated"], 1);
    let path = format!("/api/v1/events/{}/tickets/AAAAAAAAAAAAAAA1", tenant.event);
    let ticket = tenant.owner.get(&path).await.expect(200).json();
    assert_eq!(
        (&ticket["note"], &ticket["seat"], &ticket["entry_limit"]),
        (&json!("wheelchair"), &json!(null), &json!(2))
    );
    let event = tenant
        .owner
        .get(&format!("/api/v1/events/{}", tenant.event))
        .await
        .expect(200)
        .json();
    assert_eq!(
        event["ticket_classes"],
        json!(["VIP"]),
        "the event lists a new class"
    );
}

#[tokio::test]
async fn at_most_a_thousand_errors_are_listed_and_all_are_counted() {
    let fixture = Fixture::new().await;
    let counts = fixture
        .tenant
        .owner
        .import(&fixture.tenant.event, "x\n".repeat(2500))
        .await
        .expect(200)
        .json();
    assert_eq!(counts["rejected"], 2500);
    assert_eq!(counts["errors"].as_array().map(Vec::len), Some(1000));
}

#[tokio::test]
async fn the_codes_are_streamed_and_the_counts_are_the_last_line() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let path = format!("/api/v1/events/{}/tickets?return=codes", tenant.event);
    let lines = format!("{}bad\n{{}}", "{}\n".repeat(2100));
    let response = tenant
        .owner
        .send("POST", &path, Some("application/x-ndjson"), lines)
        .await
        .expect(200);
    let lines = response.lines();
    assert_eq!(lines.len(), 2102);
    let (counts, tickets) = lines.split_last().expect("lines");
    assert_eq!(
        (&counts["inserted"], &counts["rejected"]),
        (&json!(2101), &json!(1))
    );
    assert_eq!(tickets[2100]["line"], 2102);
    assert!(
        tickets
            .iter()
            .all(|ticket| ticket["code"].is_string() && ticket["id"].is_string())
    );
}

#[tokio::test]
async fn a_code_of_another_event_is_rejected_and_a_code_of_another_tenant_is_accepted() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let event = new_id();
    tenant
        .owner
        .put(
            &format!("/api/v1/events/{event}"),
            &json!({ "name": "B", "status": "draft" }),
        )
        .await
        .expect(201);
    let lines = format!(
        "{}\n{}",
        json!({ "code": tenant.codes[0] }),
        json!({ "code": fixture.other_tenant.codes[0] })
    );
    let counts = tenant.owner.import(&event, lines).await.expect(200).json();
    assert_eq!(
        (&counts["inserted"], &counts["rejected"]),
        (&json!(1), &json!(1)),
        "{counts}"
    );
}

#[tokio::test]
async fn a_large_import_that_is_not_allowed_is_404_or_403() {
    let fixture = Fixture::new().await;
    let lines = "{}\n".repeat(100_000);
    let event = new_id();
    fixture
        .tenant
        .owner
        .import(&event, lines.clone())
        .await
        .expect_problem(404, "not_found");
    let viewer = fixture.tenant.member("viewer").await;
    viewer
        .import(&fixture.tenant.event, lines)
        .await
        .expect_problem(403, "forbidden");
}

#[tokio::test]
async fn an_exported_list_is_imported_unchanged() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let lines = r#"{"ticket_class":"VIP","seat":{"row":"7"},"holder_name":"Ann","order_ref":"O-1","note":"x"}
{"status":"voided","valid_from":"2026-11-22T18:00:00.000Z"}"#;
    tenant.owner.import(&tenant.event, lines).await.expect(200);
    let list = format!("/api/v1/events/{}/tickets", tenant.event);
    let exported = tenant.owner.get(&list).await.expect(200).json();
    let rows = exported["data"].as_array().expect("tickets").clone();
    assert_eq!(rows.len(), 12);
    assert!(rows.iter().any(|row| row["status"] == "scanned"));
    let lines: Vec<String> = rows.iter().map(ToString::to_string).collect();
    let counts = tenant
        .owner
        .import(&tenant.event, lines.join("\n"))
        .await
        .expect(200)
        .json();
    assert_eq!(
        (
            &counts["unchanged"],
            &counts["rejected"],
            &counts["ignored_fields"]
        ),
        (&json!(12), &json!(0), &json!([])),
        "{counts}"
    );
    assert_eq!(tenant.owner.get(&list).await.expect(200).json(), exported);
}

#[tokio::test]
async fn an_import_reports_ignored_fields_and_new_classes_and_skips_a_byte_order_mark() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let import = async |lines: &str| {
        let answer = tenant.owner.import(&tenant.event, lines.to_owned()).await;
        answer.expect(200).json()
    };
    let counts = import("\u{feff}{\"ticket_class\":\"VIP\"}\r\n{\"ticket_class\":\"Standard\"}").await;
    assert_eq!(
        (&counts["inserted"], &counts["rejected"]),
        (&json!(2), &json!(0)),
        "{counts}"
    );
    assert_eq!(counts["new_classes"], json!(["VIP", "Standard"]));
    let counts = import(
        "\u{feff}\n{\"ticket_class\":\"VPI\",\"holdername\":\"Ann\",\"\\u0073eats\":1}\n{\"ticket_class\":\"VIP\",\"holdername\":\"Bo\"}",
    )
    .await;
    assert_eq!(
        (&counts["inserted"], &counts["rejected"]),
        (&json!(2), &json!(0)),
        "{counts}"
    );
    assert_eq!(counts["new_classes"], json!(["VPI"]));
    assert_eq!(counts["ignored_fields"], json!(["holdername", "seats"]));
    let counts = import("{}\n\u{feff}{}").await;
    assert_eq!(counts["rejected"], 1, "a mark is only at the start: {counts}");
}

/// Imports with a query, and returns the counts.
async fn import_with(tenant: &Tenant, query: &str, lines: impl Into<String>) -> Value {
    let path = format!("/api/v1/events/{}/tickets?{query}", tenant.event);
    let answer = tenant
        .owner
        .send("POST", &path, Some("application/x-ndjson"), lines.into())
        .await;
    answer.expect(200).json()
}

/// The tickets, the event and the audit log: what an import changes.
async fn stored(tenant: &Tenant) -> (Value, Value, Value) {
    let event = format!("/api/v1/events/{}", tenant.event);
    let owner = &tenant.owner;
    let tickets = owner
        .get(&format!("{event}/tickets?limit=500"))
        .await
        .expect(200)
        .json();
    let log = owner.get("/api/v1/audit?limit=500").await.expect(200).json();
    (tickets, owner.get(&event).await.expect(200).json(), log)
}

#[tokio::test]
async fn a_dry_run_answers_what_the_import_answers_and_changes_nothing() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    // More lines than a chunk has: a line of the last chunk repeats the code, the medium or the id of one of the first.
    let mut lines: Vec<String> = (0..7000)
        .map(|n| json!({ "media": [format!("barcode:{n}")], "ticket_class": "VIP" }).to_string())
        .collect();
    lines.push(format!(
        r#"{{"code":"{}","note":"x","holder_name":"Ann"}}"#,
        tenant.codes[0]
    ));
    lines.push(r#"{"media":["barcode:0"],"ticket_class":"VIP"}"#.to_owned());
    lines.push(r#"{"media":["barcode:1"],"ticket_class":"Gold","colour":"red"}"#.to_owned());
    lines.push(r#"{"media":["barcode:2","barcode:3"]}"#.to_owned());
    lines.push("nonsense".to_owned());
    lines.push(format!(r#"{{"code":"{}","note":"x"}}"#, tenant.codes[0]));
    let lines = format!("\u{feff}{}", lines.join("\n"));
    let before = stored(tenant).await;
    let dry = import_with(tenant, "dry_run=true", lines.clone()).await;
    assert_eq!(stored(tenant).await, before, "a dry run changes nothing");
    let expected = json!({
        "dry_run": true, "inserted": 7000, "updated": 2, "unchanged": 2, "rejected": 2,
        "errors": [
            { "line": 7004, "message": "media: is a medium of another ticket" },
            { "line": 7005, "message": "is not JSON" },
        ],
        "new_classes": ["VIP", "Gold"], "ignored_fields": ["colour"],
        "updated_fields": { "holder_name": 1, "note": 1, "ticket_class": 1 },
    });
    assert_eq!(dry, expected);
    let mut real = import_with(tenant, "dry_run=false", lines).await;
    assert_eq!(real["dry_run"], false);
    real["dry_run"] = json!(true);
    real["updated_fields"] = expected["updated_fields"].clone();
    assert_eq!(real, expected, "the import does what the dry run said");
}

#[tokio::test]
async fn a_dry_run_streams_no_code_that_it_made() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let path = format!(
        "/api/v1/events/{}/tickets?return=codes&dry_run=true",
        tenant.event
    );
    let lines = format!("{}\n{{\"code\":\"{}\"}}", "{}", tenant.codes[0]);
    let answer = tenant
        .owner
        .send("POST", &path, Some("application/x-ndjson"), lines)
        .await;
    let lines = answer.expect(200).lines();
    assert_eq!(lines[0], json!({ "line": 1, "code": null, "id": null }));
    assert_eq!(lines[1]["code"], json!(tenant.codes[0]));
    assert_eq!(
        (&lines[2]["inserted"], &lines[2]["unchanged"]),
        (&json!(1), &json!(1))
    );
}

#[tokio::test]
async fn a_strict_import_rejects_unknown_fields_and_classes() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    import_with(tenant, "", r#"{"ticket_class":"VIP"}"#).await;
    let lines = [
        r#"{"ticket_class":"VIP","note":"x"}"#,
        r#"{"ticket_class":"VPI"}"#,
        r#"{"holdername":"Ann","ticket_class":"Gold"}"#,
        r#"{"seat":{"row":"1"},"scan_count":0,"organization_id":"x"}"#,
    ];
    let before = stored(tenant).await;
    let dry = import_with(tenant, "strict=true&dry_run=true", lines.join("\n")).await;
    assert_eq!(stored(tenant).await, before);
    let counts = import_with(tenant, "strict=true", lines.join("\n")).await;
    assert_eq!(
        (&counts["inserted"], &counts["rejected"]),
        (&json!(2), &json!(2)),
        "{counts}"
    );
    assert_eq!(
        counts["errors"],
        json!([
            { "line": 2, "message": "ticket_class: VPI is not a class of this event" },
            { "line": 3, "message": "holdername: is not a field of a ticket; ticket_class: Gold is not a class of this event" },
        ])
    );
    assert_eq!(
        (&dry["errors"], &dry["inserted"]),
        (&counts["errors"], &counts["inserted"])
    );
    assert_eq!(
        (&counts["new_classes"], &counts["ignored_fields"]),
        (&json!([]), &json!([]))
    );
    let event = tenant
        .owner
        .get(&format!("/api/v1/events/{}", tenant.event))
        .await;
    assert_eq!(
        event.expect(200).json()["ticket_classes"],
        json!(["VIP"]),
        "no class is added"
    );
}

#[tokio::test]
async fn line_breaks_in_texts_become_spaces() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let code = "AAAAAAAAAAAAAAA1";
    let line = json!({
        "code": code, "ticket_class": "Golden\nCircle", "note": "first\r\nsecond\rthird\n", "holder_name": "Ann\nBee",
        "order_ref": "O\n1", "seat": { "block": "A\nB" },
    });
    let counts = import_with(tenant, "", line.to_string()).await;
    assert_eq!(counts["inserted"], 1, "{counts}");
    assert_eq!(counts["new_classes"], json!(["Golden Circle"]));
    let exported = export(&tenant.owner, &format!("/api/v1/events/{}/tickets", tenant.event)).await;
    let exported = exported.expect(200).lines();
    let ticket = exported
        .iter()
        .find(|ticket| ticket["code"] == code)
        .expect("the ticket");
    for (field, value) in [
        ("note", json!("first second third")),
        ("holder_name", json!("Ann Bee")),
        ("order_ref", json!("O 1")),
        ("seat", json!({ "block": "A B", "row": null, "number": null })),
    ] {
        assert_eq!(ticket[field], value, "{field}");
    }
    let again = import_with(tenant, "", line.to_string()).await;
    assert_eq!(again["unchanged"], 1, "{again}");
}

#[tokio::test]
async fn every_rejected_line_is_streamed_and_the_counts_are_the_last_line() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let path = format!("/api/v1/events/{}/tickets?return=errors", tenant.event);
    let lines = format!("{}{{\"entry_limit\":0}}", "{}\nx\n".repeat(4000));
    let answer = tenant
        .owner
        .send("POST", &path, Some("application/x-ndjson"), lines)
        .await;
    let lines = answer.expect(200).lines();
    let (counts, errors) = lines.split_last().expect("lines");
    assert_eq!(
        (&counts["inserted"], &counts["rejected"]),
        (&json!(4000), &json!(4001))
    );
    let numbers: Vec<_> = errors.iter().filter_map(|error| error["line"].as_u64()).collect();
    let expected: Vec<u64> = (1..=4000).map(|n| 2 * n).chain([8001]).collect();
    assert_eq!(numbers, expected);
    assert!(errors.iter().all(|error| error["message"].is_string()));
}

#[tokio::test]
async fn the_tickets_are_streamed_as_lines_that_a_strict_import_takes_back_unchanged() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let lines: Vec<String> = (0..1200)
        .map(|n| {
            let medium = format!("barcode:{n},\" ;");
            json!({ "media": [medium, format!("nfc:{n:08X}")], "ticket_class": "VIP", "holder_name": "Ann \"Bee\"" })
                .to_string()
        })
        .collect();
    let counts = import_with(tenant, "", lines.join("\n")).await;
    assert_eq!(counts["inserted"], 1200, "{counts}");
    let path = format!("/api/v1/events/{}/tickets", tenant.event);
    let exported = export(&tenant.owner, &path).await.expect(200);
    assert_eq!(exported.lines().len(), 1200 + tenant.codes.len());
    let before = stored(tenant).await.0;
    let counts = import_with(tenant, "strict=true", exported.text()).await;
    let expected = json!(1200 + tenant.codes.len());
    assert_eq!(
        (&counts["unchanged"], &counts["rejected"]),
        (&expected, &json!(0)),
        "{counts}"
    );
    assert_eq!(stored(tenant).await.0, before);
    let voided = export(&tenant.owner, &format!("{path}?status=voided"))
        .await
        .expect(200);
    let is_voided = |line: &Value| line["status"] == "voided";
    assert!(voided.lines().iter().all(is_voided));
    // Who may see codes decides: owner and admin; another organization sees no such event.
    for (role, status) in [
        ("admin", 200),
        ("staff", 403),
        ("viewer", 403),
        ("scanner_only", 403),
    ] {
        export(&tenant.member(role).await, &path).await.expect(status);
    }
    export(&fixture.other_tenant.owner, &path)
        .await
        .expect_problem(404, "not_found");
}

/// Reads a list as lines.
async fn export(client: &Client, path: &str) -> Response {
    client
        .with_header("accept", "application/x-ndjson")
        .get(path)
        .await
}
