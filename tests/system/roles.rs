//! Who may make which call.

use voelgoed_scan_suite::{Client, World};

use crate::tenants::{make, value_of, variables};

const EVERYBODY: &str = "device owner admin staff viewer";
const READERS: &str = "owner admin staff viewer";
const ADMINS: &str = "owner admin";

/// Who may, by the contract.
fn allowed(operation: &str) -> &'static str {
    match operation {
        "startSession" | "scan" | "sync" | "showOwnDevice" | "reportOwnDevice" | "showManifest" => "device",
        "endSession" | "undoScan" => "device owner admin staff",
        "showSession" | "showOccupancy" | "listEvents" | "showEvent" | "listGates" | "showGate" => EVERYBODY,
        "listSessions" | "listScans" | "listConflicts" | "listDevices" | "showDevice" | "watchEvent"
        | "showTicket" | "showTicketQr" | "listSigningKeys" => READERS,
        "registerDevice" | "changeDevice" | "revokeDevice" | "rotateDeviceToken" | "beginEnrollment"
        | "putEvent" | "putGate" | "importTickets" | "listTickets" | "changeTicket" | "addSigningKey"
        | "changeSigningKey" => ADMINS,
        "createApiKey" | "listApiKeys" | "deleteApiKey" => "owner",
        other => panic!("who may call {other}?"),
    }
}

#[tokio::test]
async fn every_call_lets_in_whom_the_contract_names_and_nobody_else() {
    let world = World::new().await;
    let tenant = &world.here;
    let mut callers: Vec<(&str, Client)> = vec![("device", tenant.device.clone())];
    for role in ["owner", "admin", "staff", "viewer", "scanner_only"] {
        callers.push((role, tenant.member(role).await));
    }
    let guarded: Vec<_> = world
        .book
        .operations()
        .into_iter()
        .filter(|operation| operation.guarded)
        .collect();
    assert!(guarded.len() > 30);
    for operation in &guarded {
        let mut path = operation.path.clone();
        for variable in variables(&operation.path) {
            path = path.replace(
                &format!("{{{variable}}}"),
                &value_of(operation, &variable, tenant).await,
            );
        }
        let may = allowed(&operation.name);
        for (role, caller) in callers
            .iter()
            .filter(|(role, _)| !may.split(' ').any(|one| one == *role))
        {
            let reply = make(caller, operation, &path, tenant).await;
            assert_eq!(reply.status, 403, "{} by {role}: {reply:?}", operation.name);
            reply.expect_problem(403, "forbidden");
        }
        // What changes the world is tried below; a stream has no end.
        if operation.method != "GET" || operation.name == "watchEvent" {
            continue;
        }
        for (role, caller) in callers
            .iter()
            .filter(|(role, _)| may.split(' ').any(|one| one == *role))
        {
            let reply = make(caller, operation, &path, tenant).await;
            assert_eq!(reply.status, 200, "{} by {role}: {reply:?}", operation.name);
        }
    }
    let last = ["rotateDeviceToken", "revokeDevice", "deleteApiKey"];
    let changes = guarded
        .iter()
        .filter(|operation| operation.method != "GET" && !last.contains(&operation.name.as_str()));
    for operation in changes {
        let mut path = operation.path.clone();
        for variable in variables(&operation.path) {
            path = path.replace(
                &format!("{{{variable}}}"),
                &value_of(operation, &variable, tenant).await,
            );
        }
        for (role, caller) in &callers {
            if allowed(&operation.name).split(' ').any(|one| one == *role) {
                let reply = make(caller, operation, &path, tenant).await;
                assert!(
                    matches!(reply.status, 200 | 201 | 409),
                    "{} by {role}: {reply:?}",
                    operation.name
                );
            }
        }
    }
}

#[tokio::test]
async fn tickets_are_searched_by_staff_and_by_devices_that_may() {
    let world = World::new().await;
    let tenant = &world.here;
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
    // Personal data appear there and nowhere else.
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

#[tokio::test]
async fn a_device_sees_and_ends_its_own_session_alone() {
    let world = World::new().await;
    let tenant = &world.here;
    let (other, _) = tenant.new_device("gate-2", &serde_json::json!({})).await;
    let path = format!("/api/v1/scanning/sessions/{}", tenant.session_id);
    other.get(&path).await.expect_problem(403, "forbidden");
    other
        .call("PUT", &format!("{path}/end"))
        .await
        .expect_problem(403, "forbidden");
    assert_eq!(tenant.device.get(&path).await.expect(200).json()["scan_count"], 1);
    let ended = tenant
        .member("staff")
        .await
        .call("PUT", &format!("{path}/end"))
        .await
        .expect(200)
        .json();
    assert_eq!(ended["status"], "ended");
    let again = tenant
        .device
        .call("PUT", &format!("{path}/end"))
        .await
        .expect(200)
        .json();
    assert_eq!(again, ended, "an ended session is returned unchanged");
}
