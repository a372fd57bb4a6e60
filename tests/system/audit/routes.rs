//! Every changing route leaves its entry, and holds no row while it waits for the log.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use voelgoed_scan_suite::fixture::new_id;
use voelgoed_scan_suite::openapi::Operation;
use voelgoed_scan_suite::services::{Transaction, query_sql, shared_database};
use voelgoed_scan_suite::{Client, Fixture, Response, wait_until};

use super::{log_of, verify};
use crate::operation_calls::{archived_event, path_value, path_variables};

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
