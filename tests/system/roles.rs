//! The permissions of devices and of each role, for every operation.

use voelgoed_scan_suite::event_stream::EventStream;
use voelgoed_scan_suite::fixture::new_id;
use voelgoed_scan_suite::{Client, Fixture};

use crate::operation_calls::{call_operation, path_value, path_variables};

const ALL: &str = "device owner admin staff viewer";
const READERS: &str = "owner admin staff viewer";
const ADMINS: &str = "owner admin";

/// The callers that may call an operation.
pub(crate) fn allowed_callers(operation: &str) -> &'static str {
    match operation {
        "startSession" | "scan" | "sync" | "showOwnDevice" | "reportOwnDevice" | "showManifest" => "device",
        "endSession" | "undoScan" => "device owner admin staff",
        "listSignals" | "showSignalSettings" | "checkIn" => "owner admin staff",
        "showSession" | "showOccupancy" | "listScans" | "listEvents" | "showEvent" | "listGates"
        | "showGate" | "showMessages" => ALL,
        "listSessions" | "listConflicts" | "listDevices" | "showDevice" | "watchEvent" | "showTicket"
        | "showActivity" | "showOrganization" | "listSigningKeys" | "showReport" => READERS,
        "registerDevice"
        | "changeDevice"
        | "revokeDevice"
        | "rotateDeviceToken"
        | "beginEnrollment"
        | "putEvent"
        | "putGate"
        | "importTickets"
        | "listTickets"
        | "changeTicket"
        | "showTicketQr"
        | "addSigningKey"
        | "changeSigningKey"
        | "acceptScan"
        | "deletePersonalData"
        | "listAuditEntries"
        | "showAuditKey"
        | "changeSignalSettings"
        | "changeMessages"
        | "createWebhook"
        | "listWebhooks"
        | "showWebhook"
        | "changeWebhook"
        | "deleteWebhook"
        | "rotateWebhookSecret"
        | "testWebhook"
        | "listWebhookDeliveries"
        | "redeliverWebhookDelivery" => ADMINS,
        "createApiKey" | "listApiKeys" | "deleteApiKey" | "deleteEvent" => "owner",
        other => panic!("{other} has no permissions here"),
    }
}

#[tokio::test]
async fn every_operation_allows_exactly_the_callers_of_the_contract() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let mut clients: Vec<(&str, Client)> = vec![("device", tenant.device.clone())];
    for role in ["owner", "admin", "staff", "viewer", "scanner_only"] {
        clients.push((role, tenant.member(role).await));
    }
    let operations: Vec<_> = fixture
        .openapi
        .operations()
        .into_iter()
        .filter(|operation| operation.requires_credential)
        .collect();
    assert!(operations.len() > 30);
    for operation in &operations {
        let mut path = operation.path.clone();
        for variable in path_variables(&operation.path) {
            path = path.replace(
                &format!("{{{variable}}}"),
                &path_value(operation, &variable, tenant).await,
            );
        }
        let allowed = allowed_callers(&operation.name);
        for (role, client) in clients
            .iter()
            .filter(|(role, _)| !allowed.split(' ').any(|one| one == *role))
        {
            let response = call_operation(client, operation, &path, tenant).await;
            assert_eq!(response.status, 403, "{} by {role}: {response:?}", operation.name);
            response.expect_problem(403, "forbidden");
        }
        // Operations that change something follow below. A stream has no end.
        if operation.method != "GET" || operation.name == "watchEvent" {
            continue;
        }
        for (role, client) in clients
            .iter()
            .filter(|(role, _)| allowed.split(' ').any(|one| one == *role))
        {
            let response = call_operation(client, operation, &path, tenant).await;
            assert_eq!(response.status, 200, "{} by {role}: {response:?}", operation.name);
        }
    }
    let last = [
        "rotateDeviceToken",
        "revokeDevice",
        "deleteApiKey",
        "deleteWebhook",
    ];
    let changes = operations
        .iter()
        .filter(|operation| operation.method != "GET" && !last.contains(&operation.name.as_str()));
    for operation in changes {
        let mut path = operation.path.clone();
        for variable in path_variables(&operation.path) {
            path = path.replace(
                &format!("{{{variable}}}"),
                &path_value(operation, &variable, tenant).await,
            );
        }
        for (role, client) in &clients {
            if allowed_callers(&operation.name)
                .split(' ')
                .any(|one| one == *role)
            {
                let response = call_operation(client, operation, &path, tenant).await;
                assert!(
                    matches!(response.status, 200 | 201 | 202 | 409),
                    "{} by {role}: {response:?}",
                    operation.name
                );
            }
        }
    }
}

#[tokio::test]
async fn staff_and_devices_with_can_search_may_search_tickets() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let line = r#"{"holder_name":"Annemarie Botha","order_ref":"ORD-778"}"#;
    tenant.owner.import(&tenant.event, line).await.expect(200);
    let (searcher, _) = tenant
        .new_device("desk", &serde_json::json!({ "can_search": true }))
        .await;
    let tickets = format!("/api/v1/events/{}/tickets", tenant.event);
    for (role, status) in [
        ("admin", 200),
        ("staff", 200),
        ("viewer", 403),
        ("scanner_only", 403),
    ] {
        tenant
            .member(role)
            .await
            .get(&format!("{tickets}?q=Annem"))
            .await
            .expect(status);
    }
    searcher.get(&tickets).await.expect_problem(403, "forbidden");
    tenant
        .device
        .get(&format!("{tickets}?q=Annem"))
        .await
        .expect_problem(403, "forbidden");
    let code: String = tenant.codes[3].chars().take(6).collect();
    for (query, rows) in [
        ("Annem", 1),
        ("annem", 1),
        ("botha", 1),
        ("%C3%80NNEM", 1),
        ("nnem", 0),
        ("ORD-778", 1),
        ("ord-77", 1),
        (code.as_str(), 1),
        ("Nobody", 0),
        ("%E7%8E%8B", 0),
    ] {
        let found = searcher
            .get(&format!("{tickets}?q={query}"))
            .await
            .expect(200)
            .json();
        assert_eq!(found["data"].as_array().map(Vec::len), Some(rows), "{query}");
    }
    searcher.get(&format!("{tickets}?q=bo")).await.expect(200);
    let all = tenant.owner.get(&tickets).await.expect(200);
    assert!(all.text().contains("Annemarie"));
    // Only the search and the list return personal data.
    let code = all.json()["data"]
        .as_array()
        .expect("rows")
        .iter()
        .find(|row| row["order_ref"] == "ORD-778")
        .expect("it")["code"]
        .as_str()
        .expect("a code")
        .to_owned();
    let shown = tenant.owner.get(&format!("{tickets}/{code}")).await.expect(200);
    assert!(!shown.text().contains("Annemarie") && !shown.text().contains("ORD-778"));
}

/// Calls every operation that a viewer may read, and looks for the code and the payload of a ticket.
#[tokio::test]
async fn a_viewer_gets_no_ticket_code_and_no_payload_from_any_operation() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let viewer = tenant.member("viewer").await;
    let staff = tenant.member("staff").await;
    let code = &tenant.codes[0];
    // A second phone admitted the first ticket offline: there is a conflict about it.
    let (phone, _) = tenant.new_device("phone", &serde_json::json!({})).await;
    tenant.start_session(&phone, &tenant.gate).await;
    let sent_at = server_time(&tenant.device).await;
    let batch = serde_json::json!({
        "batch_id": new_id(),
        "sent_at": sent_at,
        "scans": [{
            "scan_id": new_id(),
            "qr": tenant.qr(0).await,
            "gate_id": tenant.gate,
            "scanned_at": sent_at,
            "local_result": "valid",
            "local_reason": "admitted",
        }],
    });
    phone.post("/api/v1/scanning/sync", &batch).await.expect(200);
    let mut shown_to_staff = 0;
    for operation in fixture.openapi.operations() {
        if operation.method != "GET" || !operation.requires_credential || operation.name == "watchEvent" {
            continue;
        }
        let mut path = operation.path.clone();
        for variable in path_variables(&operation.path) {
            let value = match variable.as_str() {
                "code" => code.clone(),
                _ => path_value(&operation, &variable, tenant).await,
            };
            path = path.replace(&format!("{{{variable}}}"), &value);
        }
        let answer = viewer.get(&path).await;
        assert!(
            !answer.text().contains(code.as_str()),
            "{}: {answer:?}",
            operation.name
        );
        let answer = staff.get(&path).await;
        shown_to_staff += usize::from(answer.text().contains(code.as_str()));
    }
    // The same calls do show the code to staff: the ticket, the audit trail, the conflicts and the report.
    assert_eq!(shown_to_staff, 4);
    let export = viewer
        .with_header("accept", "application/x-ndjson")
        .get("/api/v1/scanning/scans")
        .await
        .expect(200);
    assert!(!export.text().contains(code.as_str()), "{export:?}");
    assert!(
        export.lines().iter().all(|line| line["qr"].is_null()),
        "{export:?}"
    );
    let ticket = format!("/api/v1/events/{}/tickets/{code}", tenant.event);
    for refused in ["", "?format=vg1&as=svg", "?format=vg2&as=png"] {
        let path = format!("{ticket}/qr{refused}");
        viewer.get(&path).await.expect_problem(403, "forbidden");
        staff.get(&path).await.expect_problem(403, "forbidden");
    }
}

#[tokio::test]
async fn a_viewers_stream_has_no_ticket_codes() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let viewer = tenant.member("viewer").await;
    let mut events = EventStream::open(&viewer, &tenant.event).await;
    let mut staff_events = EventStream::open(&tenant.member("staff").await, &tenant.event).await;
    tenant
        .device
        .scan(&serde_json::json!({ "qr": tenant.qr(1).await }))
        .await
        .expect(200);
    let scan = events.next_named("scan").await;
    assert_eq!(scan.data["result"], "valid");
    assert!(scan.data["ticket_code"].is_null(), "{:?}", scan.data);
    assert_eq!(
        staff_events.next_named("scan").await.data["ticket_code"],
        *tenant.codes[1]
    );
    // Nor has a stream that repeats the scans since an event.
    let seen = scan.id.expect("an id");
    drop(events);
    tenant
        .device
        .scan(&serde_json::json!({ "qr": tenant.qr(2).await }))
        .await
        .expect(200);
    let mut events = EventStream::open(&viewer.with_header("last-event-id", &seen), &tenant.event).await;
    let repeated = events.next_named("scan").await;
    assert_eq!(repeated.data["result"], "valid");
    assert!(repeated.data["ticket_code"].is_null(), "{:?}", repeated.data);
}

/// The server's time, as a device sees it.
async fn server_time(device: &Client) -> serde_json::Value {
    let own = device.get("/api/v1/scanning/device").await.expect(200).json();
    own["server_time"].clone()
}
