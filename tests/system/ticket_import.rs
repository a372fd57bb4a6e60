//! Ticket import: rejected lines, counts, returned codes, permissions.

use serde_json::json;
use voelgoed_scan_suite::Fixture;
use voelgoed_scan_suite::fixture::new_id;

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
            &counts["unknown_fields"]
        ),
        (&json!(12), &json!(0), &json!([])),
        "{counts}"
    );
    assert_eq!(tenant.owner.get(&list).await.expect(200).json(), exported);
}

#[tokio::test]
async fn an_import_reports_unknown_fields_and_new_classes_and_skips_a_byte_order_mark() {
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
    assert_eq!(counts["new_ticket_classes"], json!(["VIP", "Standard"]));
    let counts = import(
        "\u{feff}\n{\"ticket_class\":\"VPI\",\"holdername\":\"Ann\",\"\\u0073eats\":1}\n{\"ticket_class\":\"VIP\",\"holdername\":\"Bo\"}",
    )
    .await;
    assert_eq!(
        (&counts["inserted"], &counts["rejected"]),
        (&json!(2), &json!(0)),
        "{counts}"
    );
    assert_eq!(counts["new_ticket_classes"], json!(["VPI"]));
    assert_eq!(counts["unknown_fields"], json!(["holdername", "seats"]));
    let counts = import("{}\n\u{feff}{}").await;
    assert_eq!(counts["rejected"], 1, "a mark is only at the start: {counts}");
}
