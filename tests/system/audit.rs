//! The audit log: every changing route leaves its entry, in one signed chain.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use voelgoed_scan_core::audit::verify_lines;
use voelgoed_scan_core::model::hex;
use voelgoed_scan_suite::fixture::new_id;
use voelgoed_scan_suite::openapi::Operation;
use voelgoed_scan_suite::program::Launch;
use voelgoed_scan_suite::services::{Transaction, query_sql, shared_database};
use voelgoed_scan_suite::{Client, Cluster, Fixture, Response, wait_until};

use crate::operation_calls::{archived_event, path_value, path_variables};

/// The whole log of an organization, oldest first.
async fn log_of(owner: &Client) -> Vec<Value> {
    let lines = owner.with_header("accept", "application/x-ndjson");
    lines.get("/api/v1/audit").await.expect(200).lines()
}

/// Verifies the log with the key that the server shows.
async fn verify(owner: &Client) -> usize {
    let lines = owner.with_header("accept", "application/x-ndjson");
    let log = lines.get("/api/v1/audit").await.expect(200);
    let key = owner.get("/api/v1/audit/key").await.expect(200).json();
    let key: [u8; 32] = hex::decode(key["public_key"].as_str().expect("a key")).expect("hexadecimal");
    let head = verify_lines(log.text().lines(), &key, None).expect("an intact log");
    let head = head.expect("an organization has entries").sequence;
    usize::try_from(head).expect("few")
}

/// The routes that change something and leave no entry of their own: scans, whose overrides, undos and check-ins by hand are
/// entered from their records, and what a device does for itself.
const WITHOUT_ENTRY: &[&str] = &[
    "scan",
    "sync",
    "checkIn",
    "undoScan",
    "startSession",
    "reportOwnDevice",
];

/// What a call needs that changes something.
struct Changes<'a> {
    fixture: &'a Fixture,
    /// A device that may be revoked.
    spare_device: String,
    /// An API key that may be deleted.
    spare_key: String,
    /// A scan in quarantine.
    quarantined: String,
    /// A code that enrols a phone.
    code: String,
    /// A webhook that may be deleted.
    spare_webhook: String,
    /// An archived event that may be deleted.
    archived: String,
    /// A webhook with a delivery.
    webhook: String,
    delivery: String,
}

impl<'a> Changes<'a> {
    async fn new(fixture: &'a Fixture) -> Self {
        let tenant = &fixture.tenant;
        let (revoked, revoked_id) = tenant.new_device("revoked", &json!({})).await;
        let path = format!("/api/v1/scanning/devices/{revoked_id}");
        tenant.owner.call("DELETE", &path).await.expect(204);
        let quarantined = new_id();
        let scan = json!({ "scan_id": quarantined, "ticket_code": tenant.codes[5], "gate_id": tenant.gate,
            "event_id": tenant.event, "scanned_at": "2026-11-22T18:00:00Z", "local_result": "valid",
            "local_reason": "admitted" });
        let batch = json!({ "batch_id": new_id(), "sent_at": "2026-11-22T18:00:01Z", "scans": [scan] });
        revoked.post("/api/v1/scanning/sync", &batch).await.expect(202);
        let (_, spare_device) = tenant.new_device("spare", &json!({})).await;
        let (_, enrolled) = tenant.new_device("enrolled", &json!({})).await;
        let path = format!("/api/v1/scanning/devices/{enrolled}/enrollment");
        let code = tenant.owner.call("POST", &path).await.expect(201).json();
        let key = json!({ "name": "Spare", "role": "viewer" });
        let key = tenant
            .owner
            .post("/api/v1/api-keys", &key)
            .await
            .expect(201)
            .json();
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let new_webhook = async || {
            let body = json!({ "url": "https://hook.invalid/", "types": ["session.*"] });
            let created = tenant.owner.post("/api/v1/webhooks", &body).await.expect(201);
            text(&created.json()["id"])
        };
        let (spare_webhook, webhook) = (new_webhook().await, new_webhook().await);
        let path = format!("/api/v1/webhooks/{webhook}/test");
        let accepted = tenant.owner.call("POST", &path).await.expect(202).json();
        Self {
            fixture,
            spare_device,
            spare_key: text(&key["id"]),
            quarantined,
            code: text(&code["code"]),
            spare_webhook,
            archived: archived_event(tenant).await,
            webhook,
            delivery: text(&accepted["delivery_id"]),
        }
    }

    async fn path(&self, operation: &Operation) -> String {
        let mut path = operation.path.clone();
        for variable in path_variables(&operation.path) {
            let value = match (operation.name.as_str(), variable.as_str()) {
                ("revokeDevice", "id") => self.spare_device.clone(),
                ("deleteApiKey", "id") => self.spare_key.clone(),
                ("acceptScan", "scan_id") => self.quarantined.clone(),
                ("deleteWebhook", "id") => self.spare_webhook.clone(),
                ("deleteEvent", "id") => self.archived.clone(),
                (_, "id") if operation.path.contains("/webhooks/") => self.webhook.clone(),
                (_, "delivery") => self.delivery.clone(),
                (_, variable) => path_value(operation, variable, &self.fixture.tenant).await,
            };
            path = path.replace(&format!("{{{variable}}}"), &value);
        }
        path
    }

    /// Calls an operation so that it changes something.
    async fn call(&self, operation: &Operation, owner: &Client) -> Response {
        let path = self.path(operation).await;
        let body = match operation.name.as_str() {
            "importTickets" => {
                return owner
                    .send(
                        "POST",
                        &path,
                        Some("application/x-ndjson"),
                        "{}\n{\"status\":\"x\"}\n",
                    )
                    .await;
            }
            "revokeDevice"
            | "rotateDeviceToken"
            | "beginEnrollment"
            | "deleteApiKey"
            | "endSession"
            | "rotateWebhookSecret"
            | "testWebhook"
            | "redeliverWebhookDelivery"
            | "deleteWebhook"
            | "deletePersonalData"
            | "deleteEvent" => {
                return owner.call(&operation.method, &path).await;
            }
            "enroll" => {
                let app = json!({ "name": "Gate", "version": "1.0.0", "platform": "android" });
                json!({ "code": self.code, "app": app })
            }
            "registerDevice" => json!({ "device_id": new_id(), "name": "Jane's phone" }),
            "changeDevice" => json!({ "name": "Jane's other phone" }),
            "putEvent" => json!({ "name": "Show", "status": "live", "capacity": 77 }),
            "putGate" => json!({ "name": "Main", "status": "open", "capacity": 33 }),
            "changeTicket" => json!({ "status": "voided" }),
            "addSigningKey" => json!({ "kid": "77", "format": "vg2" }),
            "changeSigningKey" => json!({ "status": "verify_only" }),
            "createApiKey" => json!({ "name": "Jane", "role": "staff" }),
            "acceptScan" => json!({ "reason": "Jane was seen at the gate" }),
            "createWebhook" => json!({ "url": "https://other.invalid/", "types": ["scan.*"] }),
            "changeWebhook" => json!({ "types": ["scan.admitted"] }),
            "changeSignalSettings" => json!({ "duplicate_spam": { "limit": 7 } }),
            "changeMessages" => json!({ "nl": { "admitted": "Welkom" } }),
            other => panic!("{other} changes something: say here how, and what entry it leaves"),
        };
        owner.call_with(&operation.method, &path, &body).await
    }
}

/// The actions of the entries that a call leaves.
fn expected_actions(operation: &str) -> &'static [&'static str] {
    match operation {
        "endSession" => &["session.end"],
        "registerDevice" => &["device.create"],
        "changeDevice" => &["device.update"],
        "revokeDevice" => &["device.revoke"],
        "rotateDeviceToken" => &["device.rotate_token"],
        "beginEnrollment" => &["device.begin_enrollment"],
        "enroll" => &["device.enroll"],
        "putEvent" => &["event.update"],
        "putGate" => &["gate.update"],
        "importTickets" => &["ticket.import_begin", "ticket.import_end"],
        "changeTicket" => &["ticket.update"],
        "addSigningKey" => &["signing_key.create"],
        "changeSigningKey" => &["signing_key.update"],
        "createApiKey" => &["api_key.create"],
        "deleteApiKey" => &["api_key.delete"],
        "acceptScan" => &["scan.accept"],
        "createWebhook" => &["webhook.create"],
        "changeWebhook" => &["webhook.update"],
        "rotateWebhookSecret" => &["webhook.rotate"],
        "testWebhook" => &["webhook.test"],
        "redeliverWebhookDelivery" => &["webhook.redeliver"],
        "deleteWebhook" => &["webhook.delete"],
        "changeSignalSettings" | "changeMessages" => &["organization.update"],
        "deletePersonalData" => &["event.delete_personal_data"],
        "deleteEvent" => &["event.delete"],
        other => panic!("{other} has no entry here"),
    }
}

#[tokio::test]
async fn every_changing_route_leaves_its_entry() {
    let fixture = Fixture::new().await;
    let changes = Changes::new(&fixture).await;
    let owner = &fixture.tenant.owner;
    let key = owner.get("/api/v1/api-keys").await.expect(200).json()["data"][0].clone();
    let mut unused: BTreeSet<&str> = WITHOUT_ENTRY.iter().copied().collect();
    let mut called = 0;
    for operation in fixture.openapi.operations() {
        let name = operation.name.as_str();
        if ["GET", "HEAD", "OPTIONS"].contains(&operation.method.as_str()) || unused.remove(name) {
            continue;
        }
        called += 1;
        let before = log_of(owner).await.len();
        let request_id = format!("call-of-{name}");
        let client = if operation.requires_credential {
            owner
        } else {
            &fixture.anonymous
        };
        let response = changes
            .call(&operation, &client.with_header("x-request-id", &request_id))
            .await;
        assert!((200..300).contains(&response.status), "{name}: {response:?}");
        let entries = log_of(owner).await.split_off(before);
        let actions: Vec<_> = entries
            .iter()
            .map(|entry| entry["action"].as_str().expect("an action"))
            .collect();
        assert_eq!(actions, expected_actions(name), "{name}");
        for entry in &entries {
            assert_eq!(entry["request_id"], request_id, "{name}: {entry}");
            assert_eq!(entry["address"], "127.0.0.1", "{name}: {entry}");
            let actor = &entry["actor"];
            if name == "enroll" {
                assert_eq!(
                    (&actor["kind"], &actor["name"]),
                    (&json!("device"), &json!("enrolled"))
                );
                assert_eq!(actor["id"], entry["subject"]["id"]);
            } else {
                assert_eq!(
                    actor,
                    &json!({ "kind": "api_key", "id": key["id"], "name": "Owner" }),
                    "{name}"
                );
            }
            assert!(!entry["changes"].to_string().contains("Jane"), "{name}: {entry}");
        }
        // The same state again is no change.
        if [
            "putEvent",
            "putGate",
            "changeDevice",
            "changeTicket",
            "changeSigningKey",
            "endSession",
        ]
        .contains(&name)
        {
            changes.call(&operation, owner).await.expect(200);
            assert_eq!(log_of(owner).await.len(), before + 1, "{name} again");
        }
    }
    assert!(called > 14, "{called}");
    assert!(unused.is_empty(), "no such routes: {unused:?}");
    let log = log_of(owner).await;
    assert_eq!(log[0]["sequence"], 1);
    assert_eq!(log[0]["previous_hash"], Value::Null);
    assert_eq!(
        (&log[0]["action"], &log[0]["actor"]["kind"]),
        (&json!("organization.create"), &json!("cli"))
    );
    let import = log.iter().find(|entry| {
        entry["action"] == "ticket.import_end" && entry["request_id"] == "call-of-importTickets"
    });
    assert_eq!(
        import.expect("the end of the import")["changes"],
        json!({ "inserted": [null, 1], "updated": [null, 0], "unchanged": [null, 0], "rejected": [null, 1] })
    );
    assert_eq!(verify(owner).await, log.len());
}

/// A session of PostgreSQL that has locked or written a row has the id of a transaction.
#[tokio::test]
async fn a_change_holds_no_row_while_it_waits_for_the_head_of_the_log() {
    let secret = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(secret.path(), "42".repeat(32)).expect("written");
    let fixture = Fixture::with_config(|config| {
        config.secrets.secret_key_file = Some(secret.path().to_owned());
        config.database_url = shared_database();
    })
    .await;
    let changes = Changes::new(&fixture).await;
    let waiting = |condition: &str| {
        query_sql(
            &fixture.database_url,
            &format!(
                "select count(*) from pg_stat_activity \
                 where datname = current_database() and wait_event_type = 'Lock' {condition}"
            ),
        )
    };
    let mut called = 0;
    for operation in fixture.openapi.operations() {
        let name = operation.name.as_str();
        if ["GET", "HEAD", "OPTIONS"].contains(&operation.method.as_str()) || WITHOUT_ENTRY.contains(&name) {
            continue;
        }
        called += 1;
        let client = if operation.requires_credential {
            &fixture.tenant.owner
        } else {
            &fixture.anonymous
        };
        let head = Transaction::begin(
            &fixture.database_url,
            "select sequence from audit_heads for update",
        );
        let mut call = std::pin::pin!(changes.call(&operation, client));
        let waits = wait_until("the change waits for the head", || async { waiting("") != "0" });
        tokio::select! {
            response = &mut call => panic!("{name} does not wait for the head: {response:?}"),
            _ = waits => {}
        }
        assert_eq!(waiting("and backend_xid is not null"), "0", "{name} holds a row");
        head.commit();
        let response = call.await;
        assert!((200..300).contains(&response.status), "{name}: {response:?}");
    }
    assert!(called > 14, "{called}");
    verify(&fixture.tenant.owner).await;
}

#[tokio::test]
async fn an_import_has_one_entry_at_its_begin_and_one_with_the_counts_of_all_chunks() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let before = log_of(&tenant.owner).await.len();
    let path = format!("/api/v1/events/{}/tickets", tenant.event);
    for (lines, rejected) in [(2500, 0), (1000, 0), (0, 0), (3, 2)] {
        for suffix in ["", "?return=codes"] {
            let body = format!("{}{}", "{}\n".repeat(lines), "nonsense\n".repeat(rejected));
            let path = format!("{path}{suffix}");
            tenant
                .owner
                .send("POST", &path, Some("application/x-ndjson"), body)
                .await
                .expect(200);
        }
    }
    let entries = log_of(&tenant.owner).await.split_off(before);
    let mut found = Vec::new();
    for pair in entries.chunks(2) {
        assert_eq!(pair[0]["action"], "ticket.import_begin");
        assert_eq!(pair[1]["action"], "ticket.import_end");
        assert_eq!(pair[1]["subject"], json!({ "kind": "event", "id": tenant.event }));
        let count = |field: &str| pair[1]["changes"][field][1].as_u64().expect("a number");
        found.push((count("inserted"), count("rejected")));
    }
    let twice = |counts| [counts, counts];
    let expected = [twice((2500, 0)), twice((1000, 0)), twice((0, 0)), twice((3, 2))].concat();
    assert_eq!(found, expected);
    let missing = format!("/api/v1/events/{}/tickets", new_id());
    tenant
        .owner
        .send("POST", &missing, Some("application/x-ndjson"), "{}\n")
        .await
        .expect(404);
    assert_eq!(log_of(&tenant.owner).await.len(), before + entries.len());
}

#[tokio::test]
async fn overrides_and_undos_are_entered_soon_with_their_calls() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let (device, device_id) = tenant
        .new_device("override", &json!({ "can_override": true }))
        .await;
    tenant.start_session(&device, &tenant.gate).await;
    let before = log_of(&tenant.owner).await.len();
    let qr = tenant.qr(0).await;
    let (forced, online) = (new_id(), device.with_header("x-request-id", "forced"));
    let body = json!({ "qr": qr, "scan_id": forced, "override": { "reason": "Jane is the promoter" } });
    for _ in 0..2 {
        assert_eq!(
            online.scan(&body).await.expect(200).json()["reason"],
            "overridden"
        );
    }
    let uploaded = new_id();
    let scan = json!({ "scan_id": uploaded, "qr": qr, "gate_id": tenant.gate, "event_id": tenant.event,
        "scanned_at": "2026-11-22T18:00:00Z", "age_ms": 1000, "local_result": "valid", "local_reason": "overridden",
        "override": { "reason": "Jane again" } });
    let batch = json!({ "batch_id": new_id(), "sent_at": "2026-11-22T18:00:01Z", "scans": [scan] });
    for _ in 0..2 {
        let synced = device
            .with_header("x-request-id", "uploaded")
            .post("/api/v1/scanning/sync", &batch)
            .await;
        assert_eq!(synced.expect(200).json()["rejected"], 0);
    }
    let staff = tenant.member("staff").await;
    let undo = format!("/api/v1/scanning/scans/{forced}/undo");
    let reason = json!({ "reason": "Jane left" });
    for _ in 0..2 {
        staff
            .with_header("x-request-id", "undone")
            .post(&undo, &reason)
            .await
            .expect(200);
    }
    // Besides them, the API key of the member was created.
    wait_until("the acts are entered", || async {
        log_of(&tenant.owner).await.len() >= before + 4
    })
    .await;
    let entries = log_of(&tenant.owner).await.split_off(before);
    assert_eq!(entries.len(), 4, "{entries:?}");
    let find = |action: &str, scan: &str| {
        let is = |entry: &&Value| {
            entry["action"] == action && entry["subject"] == json!({ "kind": "scan", "id": scan })
        };
        entries
            .iter()
            .find(is)
            .unwrap_or_else(|| panic!("{action} {scan}: {entries:?}"))
    };
    let actor = json!({ "kind": "device", "id": device_id, "name": "override" });
    for (entry, request) in [
        (find("scan.override", &forced), "forced"),
        (find("scan.override", &uploaded), "uploaded"),
    ] {
        assert_eq!(
            (&entry["actor"], &entry["request_id"]),
            (&actor, &json!(request)),
            "{entry}"
        );
        assert_eq!(entry["address"], "127.0.0.1");
    }
    assert_eq!(
        find("scan.override", &forced)["changes"],
        json!({ "reason": ["already_scanned", "overridden"] })
    );
    let undone = find("scan.undo", &forced);
    assert_eq!(
        (&undone["actor"]["kind"], &undone["actor"]["name"]),
        (&json!("api_key"), &json!("staff"))
    );
    assert_eq!(
        (&undone["request_id"], &undone["address"]),
        (&json!("undone"), &json!("127.0.0.1"))
    );
    assert!(!json!(entries).to_string().contains("Jane"));
    verify(&tenant.owner).await;
}

#[tokio::test]
async fn the_address_is_that_of_the_client_behind_trusted_proxies() {
    let fixture = Fixture::with_config(|config| {
        config.trusted_proxies = vec!["127.0.0.0/8".parse().expect("a network")];
    })
    .await;
    let owner = fixture
        .tenant
        .owner
        .with_header("x-forwarded-for", "198.51.100.1, 192.0.2.7");
    owner
        .post("/api/v1/api-keys", &json!({ "name": "New", "role": "viewer" }))
        .await
        .expect(201);
    let log = log_of(&fixture.tenant.owner).await;
    assert_eq!(log.last().expect("an entry")["address"], "192.0.2.7");
    assert_eq!(log[log.len() - 2]["address"], "127.0.0.1");
}

#[tokio::test]
async fn the_list_is_filtered_and_wrong_filters_are_named() {
    let fixture = Fixture::new().await;
    let (tenant, owner) = (&fixture.tenant, &fixture.tenant.owner);
    let log = log_of(owner).await;
    let count = async |query: &str| {
        let path = format!("/api/v1/audit?{query}");
        let list = owner.get(&path).await.expect(200).json();
        let rows = list["data"].as_array().expect("rows").clone();
        let mut sequences: Vec<_> = rows
            .iter()
            .map(|row| row["sequence"].as_i64().expect("a number"))
            .collect();
        sequences.reverse();
        assert!(sequences.is_sorted(), "newest first: {query}");
        let streamed = owner
            .with_header("accept", "application/x-ndjson")
            .get(&path)
            .await
            .expect(200);
        assert_eq!(streamed.lines().len(), rows.len(), "{query}");
        rows.len()
    };
    let of = |test: &dyn Fn(&Value) -> bool| log.iter().filter(|entry| test(entry)).count();
    assert_eq!(count("").await, log.len());
    assert_eq!(
        count("actor=cli").await,
        of(&|entry| entry["actor"]["kind"] == "cli")
    );
    let key = log.last().expect("an entry")["actor"]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    for query in [
        format!("actor={key}"),
        format!("actor=api_key:{key}"),
        "actor=api_key".to_owned(),
    ] {
        assert_eq!(
            count(&query).await,
            of(&|entry| entry["actor"]["id"] == key),
            "{query}"
        );
    }
    assert_eq!(count("action=gate.*").await, 2);
    assert_eq!(count("action=event.create").await, 1);
    for query in [
        format!("subject={}", tenant.event),
        format!("subject=event:{}", tenant.event),
        "subject=event".to_owned(),
    ] {
        assert_eq!(
            count(&query).await,
            of(&|entry| entry["subject"]["id"] == tenant.event),
            "{query}"
        );
    }
    assert_eq!(count(&format!("subject=gate:{}", tenant.gate)).await, 1);
    assert_eq!(count(&format!("subject={}", fixture.other_tenant.event)).await, 0);
    assert_eq!(count("from=2100-01-01T00:00:00Z").await, 0);
    assert_eq!(count("to=2100-01-01T00:00:00Z").await, log.len());
    for (query, pointer) in [
        ("actor=nobody", "/actor"),
        ("actor=api_key:x", "/actor"),
        ("action=event.rename", "/action"),
        ("action=*", "/action"),
        ("subject=", "/subject"),
        ("from=x", "/from"),
        ("from=2026-11-23T00:00:00Z&to=2026-11-22T00:00:00Z", "/to"),
    ] {
        let refused = owner
            .get(&format!("/api/v1/audit?{query}"))
            .await
            .expect_problem(422, "validation_failed");
        assert_eq!(refused.pointers(), [pointer], "{query}");
    }
}

#[tokio::test]
async fn concurrent_changes_on_two_nodes_make_one_chain() {
    let mut cluster = Cluster::start(2, shared_database(), None).await;
    let tenant = cluster.tenant("Here").await;
    let before = log_of(&tenant.owner).await.len();
    let calls: Vec<_> = (0..40)
        .map(|number| {
            let owner = cluster.client_at(number % 2, &tenant.owner);
            tokio::spawn(async move {
                let body = json!({ "name": format!("Key {number}"), "role": "viewer" });
                owner.post("/api/v1/api-keys", &body).await.status
            })
        })
        .collect();
    let mut created = 0;
    for call in calls {
        created += usize::from(call.await.expect("an answer") == 201);
    }
    assert!(created > 0);
    assert_eq!(verify(&tenant.owner).await, before + created);
    cluster.stop().await;
}

/// The worst transaction of an administrator: one that has the head of the log and does not end.
#[tokio::test]
async fn no_scan_waits_for_the_head_of_the_log() {
    let mut cluster = Cluster::start(2, shared_database(), None).await;
    let tenant = cluster.tenant("Here").await;
    let (device, _) = tenant
        .new_device("override", &json!({ "can_override": true }))
        .await;
    tenant.start_session(&device, &tenant.gate).await;
    let mut codes = Vec::new();
    for index in 1..4 {
        codes.push(tenant.qr(index).await);
    }
    let database = cluster.config.database_url.clone();
    let administrator = Transaction::begin(&database, "select sequence from audit_heads for update");
    let owner = tenant.owner.clone();
    let waiting = tokio::spawn(async move {
        let body = json!({ "name": "Late", "role": "viewer" });
        // A call that has waited for too long is answered with 503.
        while owner.post("/api/v1/api-keys", &body).await.status != 201 {}
    });
    wait_until("the change waits for the head", || async {
        query_sql(
            &database,
            "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
        ) != "0"
    })
    .await;
    for (number, qr) in codes.iter().enumerate() {
        let device = cluster.client_at(number % 2, &device);
        let admitted = device
            .scan(&json!({ "qr": qr, "scan_id": new_id() }))
            .await
            .expect(200)
            .json();
        assert_eq!(admitted["reason"], "admitted");
        let again = json!({ "qr": qr, "scan_id": new_id(), "override": { "reason": "x" } });
        assert_eq!(
            device.scan(&again).await.expect(200).json()["reason"],
            "overridden"
        );
    }
    let undo = format!("/api/v1/scanning/scans/{}/undo", tenant.scan_id);
    tenant
        .owner
        .post(&undo, &json!({ "reason": "x" }))
        .await
        .expect(200);
    assert!(!waiting.is_finished(), "the change has no entry yet");
    administrator.commit();
    waiting.await.expect("the key is created");
    wait_until("the acts are entered", || async {
        let log = log_of(&tenant.owner).await;
        let is_act = |entry: &&Value| entry["action"] == "scan.override" || entry["action"] == "scan.undo";
        log.iter().filter(is_act).count() == 4
    })
    .await;
    verify(&tenant.owner).await;
    cluster.stop().await;
}

#[tokio::test]
async fn a_tenant_reads_only_its_own_log() {
    let fixture = Fixture::new().await;
    let log = fixture
        .tenant
        .owner
        .get("/api/v1/audit?limit=500")
        .await
        .expect(200);
    let other = &fixture.other_tenant;
    for id in [&other.event, &other.device_id, &other.session_id] {
        assert!(!log.text().contains(id.as_str()));
    }
    assert_ne!(
        fixture
            .tenant
            .owner
            .get("/api/v1/audit/key")
            .await
            .expect(200)
            .json(),
        other.owner.get("/api/v1/audit/key").await.expect(200).json()
    );
}

#[tokio::test]
async fn the_request_log_names_the_actor_and_no_secret() {
    let (launch, stopped) = Launch::instead_of(Fixture::new().await).await;
    let program = launch.start().await;
    let owner = stopped.tenant.owner.at(program.address());
    let device = stopped.tenant.device.at(program.address());
    let keys = owner.get("/api/v1/api-keys").await.expect(200).json();
    device.get("/api/v1/scanning/device").await.expect(200);
    let key = keys["data"][0]["id"].as_str().expect("an id").to_owned();
    for actor in [
        format!("api_key:{key}"),
        format!("device:{}", stopped.tenant.device_id),
    ] {
        let field = format!("actor={actor}");
        wait_until("the request is logged", || {
            std::future::ready(program.has_logged(&field))
        })
        .await;
    }
    assert!(!program.has_logged(owner.token()));
    assert!(!program.has_logged(device.token()));
}
