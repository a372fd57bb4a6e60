//! Personal data that were planted by every call that takes some are gone from every table, and on SQLite from every file.

use std::fs;

use serde_json::{Value, json};
use voelgoed_scan_core::model::Medium;
use voelgoed_scan_suite::fixture::{Tenant, new_id};
use voelgoed_scan_suite::program::Launch;
use voelgoed_scan_suite::services::query_sql;
use voelgoed_scan_suite::{Client, Fixture, wait_until};

use super::{event_path, import};

/// A text that stands in every field that a person may be named in.
const MARKER: &str = "Qworbachi";
/// The id of a wristband.
const WRISTBAND: &str = "04A1B2C3D4E5F6";

/// What a database holds, as bytes in lower case.
fn content(database_url: &str, directory: &std::path::Path) -> Vec<Vec<u8>> {
    if database_url.starts_with("postgres") {
        let sql = "set xmlbinary to hex; select database_to_xml(true, true, '')";
        return vec![query_sql(database_url, sql).to_lowercase().into_bytes()];
    }
    let mut files = Vec::new();
    for file in fs::read_dir(directory).expect("the directory is there") {
        let path = file.expect("an entry").path();
        if path.is_file() {
            files.push(fs::read(path).expect("readable").to_ascii_lowercase());
        }
    }
    files
}

fn sha256_of_the_wristband() -> [u8; 32] {
    let medium: Medium = format!("nfc:{WRISTBAND}").parse().expect("a medium");
    medium.sha256()
}

/// The personal data that are found in a database.
fn found(database_url: &str, directory: &std::path::Path) -> Vec<&'static str> {
    let content = content(database_url, directory);
    let holds = |text: &[u8]| {
        content
            .iter()
            .any(|bytes| bytes.windows(text.len()).any(|part| part == text))
    };
    let sha256 = sha256_of_the_wristband();
    let shown = sha256.map(|byte| format!("{byte:02x}")).concat();
    let mut found = Vec::new();
    if holds(MARKER.to_lowercase().as_bytes()) {
        found.push("the marker");
    }
    if holds(WRISTBAND.to_lowercase().as_bytes()) {
        found.push("the wristband");
    }
    if holds(&sha256.to_ascii_lowercase()) || holds(shown.as_bytes()) {
        found.push("the hash of the wristband");
    }
    found
}

fn metadata() -> Value {
    json!({ "guest": MARKER, "list": [MARKER] })
}

/// Scans, overrides, undoes, uploads and accepts, with the marker wherever a text may stand.
async fn plant(tenant: &Tenant) -> Planted {
    let webhook = json!({ "url": "https://hook.invalid/", "types": ["scan.*"], "codes": true });
    tenant.owner.post("/api/v1/webhooks", &webhook).await.expect(201);
    for version in 1..=2 {
        let line = json!({ "code": tenant.codes[1], "holder_name": format!("{MARKER} Ann {version}"),
            "order_ref": format!("{MARKER}-{version}"), "note": format!("{MARKER} sits {version}"),
            "seat": { "block": MARKER, "row": version.to_string() }, "media": [format!("nfc:{WRISTBAND}")] });
        import(tenant, &line).await;
    }
    let admitted = json!({ "qr": tenant.qr(1).await, "scan_id": new_id(), "metadata": metadata() });
    tenant.device.scan(&admitted).await.expect(200);
    let denied = json!({ "qr": tenant.qr(1).await, "scan_id": new_id(), "metadata": metadata() });
    assert_eq!(
        tenant.device.scan(&denied).await.expect(200).json()["reason"],
        "already_scanned"
    );
    let settings = json!({ "can_override": true });
    let (steward, _) = tenant.new_device("steward", &settings).await;
    tenant.start_session(&steward, &tenant.gate).await;
    let forced = json!({ "qr": tenant.qr(1).await, "scan_id": new_id(), "metadata": metadata(),
        "override": { "reason": MARKER } });
    assert_eq!(
        steward.scan(&forced).await.expect(200).json()["reason"],
        "overridden"
    );
    let undo = format!("/api/v1/scanning/scans/{}/undo", text(&forced["scan_id"]));
    tenant
        .owner
        .post(&undo, &json!({ "reason": MARKER }))
        .await
        .expect(200);
    upload(tenant, &steward, &[4]).await;
    let (lost, lost_id) = tenant.new_device("lost", &json!({ "can_override": true })).await;
    let path = format!("/api/v1/scanning/devices/{lost_id}");
    tenant.owner.call("DELETE", &path).await.expect(204);
    let quarantined = upload(tenant, &lost, &[5, 6]).await;
    let accept = format!("/api/v1/scanning/conflicts/{}/accept", quarantined[0]);
    tenant
        .owner
        .post(&accept, &json!({ "reason": MARKER }))
        .await
        .expect(200);
    let manifest = format!("/api/v1/scanning/events/{}/manifest", tenant.event);
    tenant.device.get(&manifest).await.expect(200);
    wait_until("the overrides are in the audit log", || async {
        let log = tenant
            .owner
            .get("/api/v1/audit?action=scan.undo")
            .await
            .expect(200);
        log.json()["data"]
            .as_array()
            .is_some_and(|entries| !entries.is_empty())
    })
    .await;
    Planted { admitted, forced }
}

struct Planted {
    admitted: Value,
    forced: Value,
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

/// Uploads a scan with an override of each of these tickets. Returns the ids of the scans.
async fn upload(tenant: &Tenant, device: &Client, tickets: &[usize]) -> Vec<String> {
    let own = tenant
        .device
        .get("/api/v1/scanning/device")
        .await
        .expect(200)
        .json();
    let scans: Vec<_> = tickets
        .iter()
        .map(|ticket| {
            json!({ "scan_id": new_id(), "ticket_code": tenant.codes[*ticket], "event_id": tenant.event,
                "gate_id": tenant.gate, "scanned_at": own["server_time"], "local_result": "valid",
                "local_reason": "overridden", "metadata": metadata(), "override": { "reason": MARKER } })
        })
        .collect();
    let batch = json!({ "batch_id": new_id(), "sent_at": own["server_time"], "scans": scans });
    let uploaded = device.post("/api/v1/scanning/sync", &batch).await;
    assert!([200, 202].contains(&uploaded.status), "{uploaded:?}");
    assert_eq!(uploaded.json()["rejected"], 0, "{uploaded:?}");
    scans
        .iter()
        .map(|scan| text(&scan["scan_id"]).to_owned())
        .collect()
}

#[tokio::test]
async fn no_table_and_no_file_holds_personal_data_that_were_deleted() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let (url, directory) = (&fixture.database_url, fixture.directory.path());
    let planted = plant(tenant).await;
    let all = ["the marker", "the wristband", "the hash of the wristband"];
    assert_eq!(found(url, directory), all);
    let path = format!("{}/personal-data", event_path(tenant));
    let occupancy = format!("/api/v1/scanning/events/{}/occupancy", tenant.event);
    let before = tenant.owner.get(&occupancy).await.expect(200).json();
    let deleted = tenant.owner.call("DELETE", &path).await.expect(200).json();
    assert_eq!(deleted, json!({ "tickets": 1 }));
    assert_eq!(found(url, directory), [""; 0]);
    // Decisions, counts and the audit stay.
    let after = tenant.owner.get(&occupancy).await.expect(200).json();
    assert_eq!(after["event"], before["event"]);
    let scans = format!("/api/v1/scanning/scans?ticket_code={}", tenant.codes[1]);
    let scans = tenant.owner.get(&scans).await.expect(200).json();
    let record = |scan: &Value| {
        let records = scans["data"].as_array().expect("records");
        let found = records.iter().find(|record| record["scan_id"] == scan["scan_id"]);
        found.expect("the record stays").clone()
    };
    assert_eq!(record(&planted.admitted)["reason"], "admitted");
    let forced = record(&planted.forced);
    assert_eq!(forced["reason"], "overridden");
    assert_eq!(forced["override"]["reason"], Value::Null);
    assert!(forced["undone"]["at"].is_string(), "{forced}");
    assert_eq!(forced["undone"]["reason"], Value::Null);
    let log = tenant
        .owner
        .get("/api/v1/audit?action=scan.undo")
        .await
        .expect(200)
        .json();
    assert_eq!(log["data"].as_array().map(Vec::len), Some(1), "{log}");
}

/// Enough tickets that their deletion takes a while.
const TICKETS: usize = 5000;

#[tokio::test]
async fn a_deletion_of_personal_data_that_a_crash_ended_is_made_again() {
    let fixture = Fixture::new().await;
    let url = fixture.database_url.clone();
    let lines: Vec<_> = (0..TICKETS)
        .map(|number| json!({ "holder_name": format!("{MARKER} {number}") }).to_string())
        .collect();
    let imported = fixture
        .tenant
        .owner
        .import(&fixture.tenant.event, lines.join("\n"))
        .await
        .expect(200);
    assert_eq!(imported.json()["rejected"], 0, "{imported:?}");
    let (launch, stopped) = Launch::instead_of(fixture).await;
    let mut program = launch.start().await;
    let mut owner = stopped.tenant.owner.at(program.address());
    let device = stopped.tenant.device.at(program.address());
    let qr = owner
        .get(&format!(
            "/api/v1/events/{}/tickets/{}/qr",
            stopped.tenant.event, stopped.tenant.codes[1]
        ))
        .await
        .expect(200)
        .text()
        .to_owned();
    let scan = json!({ "qr": qr, "scan_id": new_id(), "metadata": metadata() });
    device.scan(&scan).await.expect(200);
    let event = format!("/api/v1/events/{}", stopped.tenant.event);
    let path = format!("{event}/personal-data");
    let call = tokio::spawn({
        let (owner, path) = (owner.clone(), path.clone());
        async move { owner.try_call("DELETE", &path, None).await }
    });
    let entries = "/api/v1/audit?action=event.delete_personal_data";
    wait_until("the deletion has begun", || async {
        let log = owner.get(entries).await.expect(200).json();
        log["data"].as_array().is_some_and(|entries| !entries.is_empty())
    })
    .await;
    program.signal("KILL");
    program.wait().await;
    call.await.expect("the call ends");
    program = launch.start().await;
    owner = owner.at(program.address());
    owner.call("DELETE", &path).await.expect(200);
    assert_eq!(found(&url, stopped.directory.path()), [""; 0]);
    assert_eq!(
        owner.call("DELETE", &path).await.expect(200).json(),
        json!({ "tickets": 0 }),
        "nothing is left"
    );
    let ticket = format!("{event}/tickets/{}", stopped.tenant.codes[1]);
    assert_eq!(owner.get(&ticket).await.expect(200).json()["scan_count"], 1);
}

#[tokio::test]
async fn the_rows_of_a_deleted_event_go_though_the_server_was_killed() {
    let fixture = Fixture::new().await;
    let url = fixture.database_url.clone();
    plant(&fixture.tenant).await;
    let archived = json!({ "name": "Show", "status": "archived" });
    let event = event_path(&fixture.tenant);
    fixture.tenant.owner.put(&event, &archived).await.expect(200);
    let (launch, stopped) = Launch::instead_of(fixture).await;
    let mut program = launch.start().await;
    let owner = stopped.tenant.owner.at(program.address());
    owner.call("DELETE", &event).await.expect(202);
    program.signal("KILL");
    program.wait().await;
    let program = launch.start().await;
    let owner = owner.at(program.address());
    owner.get(&event).await.expect_problem(404, "not_found");
    owner.put(&event, &archived).await.expect_problem(409, "conflict");
    if url.starts_with("postgres") {
        wait_until("no table holds what was planted", || async {
            found(&url, stopped.directory.path()).is_empty()
        })
        .await;
    }
    let scans = format!("/api/v1/scanning/scans?event_id={}", stopped.tenant.event);
    wait_until("the scans are gone", || async {
        owner.get(&scans).await.expect(200).json()["data"] == json!([])
    })
    .await;
}
