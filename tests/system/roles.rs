//! The permissions of devices and of each role, for every operation.

use voelgoed_scan_suite::{Client, Fixture};

use crate::operation_calls::{call_operation, path_value, path_variables};

const ALL: &str = "device owner admin staff viewer";
const READERS: &str = "owner admin staff viewer";
const ADMINS: &str = "owner admin";

/// The callers that the contract allows to call an operation.
fn allowed_callers(operation: &str) -> &'static str {
    match operation {
        "startSession" | "scan" | "sync" | "showOwnDevice" | "reportOwnDevice" | "showManifest" => "device",
        "endSession" | "undoScan" => "device owner admin staff",
        "showSession" | "showOccupancy" | "listEvents" | "showEvent" | "listGates" | "showGate" => ALL,
        "listSessions" | "listScans" | "listConflicts" | "listDevices" | "showDevice" | "watchEvent"
        | "showTicket" | "showTicketQr" | "listSigningKeys" => READERS,
        "registerDevice" | "changeDevice" | "revokeDevice" | "rotateDeviceToken" | "beginEnrollment"
        | "putEvent" | "putGate" | "importTickets" | "listTickets" | "changeTicket" | "addSigningKey"
        | "changeSigningKey" | "acceptScan" => ADMINS,
        "createApiKey" | "listApiKeys" | "deleteApiKey" => "owner",
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
    let last = ["rotateDeviceToken", "revokeDevice", "deleteApiKey"];
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
                    matches!(response.status, 200 | 201 | 409),
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
    for (query, rows) in [("Annem", 1), ("ORD-778", 1), (code.as_str(), 1), ("Nobody", 0)] {
        let found = searcher
            .get(&format!("{tickets}?q={query}"))
            .await
            .expect(200)
            .json();
        assert_eq!(found["data"].as_array().map(Vec::len), Some(rows), "{query}");
    }
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
