//! A server with two organizations. Each has a live event, two gates, tickets and a device with an active session.

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::{Value, json};
use tempfile::TempDir;
use voelgoed_scan_core::model::{AuditContext, Name, Timestamp};
use voelgoed_scan_server::config::Config;
use voelgoed_scan_server::{Running, start};

use crate::Client;
use crate::openapi::OpenApiDocument;
use crate::services::{runs_on_postgresql, shared_database, shared_redis};

/// The time at which the organizations of a test are created.
const CREATED_AT: Timestamp = Timestamp::from_millis(1_790_000_000_000);

/// A server with two tenants.
pub struct Fixture {
    /// The running server.
    pub server: Running,
    /// A client without a credential.
    pub anonymous: Client,
    /// The server's OpenAPI document.
    pub openapi: Arc<OpenApiDocument>,
    /// The tenant under test.
    pub tenant: Tenant,
    /// A second tenant, for tests of isolation.
    pub other_tenant: Tenant,
    /// The URL of the database.
    pub database_url: String,
    /// The directory of the database file and of the secrets.
    pub directory: TempDir,
}

/// An organization that is ready to scan.
pub struct Tenant {
    /// A client with an API key of the role `owner`.
    pub owner: Client,
    /// A client with the token of a device that has an active session at the first gate.
    pub device: Client,
    /// The id of the device.
    pub device_id: String,
    /// The id of the device's active session.
    pub session_id: String,
    /// The id of a live event.
    pub event: String,
    /// The id of its first gate.
    pub gate: String,
    /// The id of its second gate.
    pub other_gate: String,
    /// The codes of its ten tickets.
    pub codes: Vec<String>,
    /// The id of the scan that admitted the first ticket.
    pub scan_id: String,
}

/// A new UUID.
pub fn new_id() -> String {
    let id = voelgoed_scan_core::model::ScanId::generate(CREATED_AT);
    id.to_string()
}

impl Fixture {
    /// Starts a server without a rate limit.
    pub async fn new() -> Self {
        Self::with_config(|_| {}).await
    }

    /// Starts a server after `change` has adjusted its configuration.
    pub async fn with_config(change: impl FnOnce(&mut Config)) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let mut config =
            Config::on_free_port(format!("sqlite://{}", directory.path().join("gate.db").display()));
        config.rate_limit = 0;
        if runs_on_postgresql() {
            let secret = directory.path().join("secret");
            std::fs::write(&secret, "42".repeat(32)).expect("written");
            config.secrets.secret_key_file = Some(secret);
            config.database_url = shared_database();
            config.redis_url = Some(shared_redis());
        }
        change(&mut config);
        let database_url = config.database_url.clone();
        let server = start(config).await.expect("a server");
        let unchecked = Client::new(server.address());
        let document = unchecked.get("/openapi.json").await.expect(200).json();
        let openapi = Arc::new(OpenApiDocument::new(document));
        let anonymous = unchecked.with_openapi(Arc::clone(&openapi));
        let tenant = Tenant::new(&server, &anonymous, "Here").await;
        let other_tenant = Tenant::new(&server, &anonymous, "Elsewhere").await;
        Self {
            server,
            anonymous,
            openapi,
            tenant,
            other_tenant,
            database_url,
            directory,
        }
    }
}

impl Tenant {
    /// Creates an organization on a server, with an event, gates, tickets and a device, and admits its first ticket.
    pub async fn new(server: &Running, anonymous: &Client, name: &str) -> Self {
        let name = Name::new(name).expect("a name");
        let created = server
            .admin()
            .create_organization(name, &AuditContext::cli(), CREATED_AT)
            .await;
        let (_, _, secret) = created.expect("an organization");
        let owner = anonymous.with_token(secret.reveal());
        Self::with_event(owner, new_id(), new_id(), "gate-1").await
    }

    /// The same organization at another server.
    #[must_use]
    pub fn at(self, address: SocketAddr) -> Self {
        Self {
            owner: self.owner.at(address),
            device: self.device.at(address),
            ..self
        }
    }

    /// Another live event of the organization whose gates have the ids of this one's, with tickets and a device of its own.
    pub async fn event_at_the_same_gates(&self, label: &str) -> Self {
        Self::with_event(
            self.owner.clone(),
            self.gate.clone(),
            self.other_gate.clone(),
            label,
        )
        .await
    }

    /// Creates an event with these gates, tickets and a device with this label, and admits its first ticket.
    async fn with_event(owner: Client, gate: String, other_gate: String, label: &str) -> Self {
        let event = new_id();
        let path = format!("/api/v1/events/{event}");
        owner
            .put(
                &path,
                &json!({ "name": "Show", "status": "live", "capacity": 1000 }),
            )
            .await
            .expect(201);
        for (id, name) in [(&gate, "Main"), (&other_gate, "Side")] {
            let path = format!("{path}/gates/{id}");
            owner
                .put(&path, &json!({ "name": name, "status": "open" }))
                .await
                .expect(201);
        }
        let lines = "{}\n".repeat(10);
        let imported = owner
            .send(
                "POST",
                &format!("{path}/tickets?return=codes"),
                Some("application/x-ndjson"),
                lines,
            )
            .await
            .expect(200);
        let codes = imported
            .lines()
            .iter()
            .filter_map(|line| line["code"].as_str().map(str::to_owned))
            .collect::<Vec<_>>();
        assert_eq!(codes.len(), 10, "{imported:?}");
        let mut tenant = Self {
            device: owner.clone(),
            device_id: String::new(),
            session_id: String::new(),
            scan_id: new_id(),
            owner,
            event,
            gate,
            other_gate,
            codes,
        };
        let (device, device_id) = tenant.new_device(label, &json!({})).await;
        tenant.session_id = tenant.start_session(&device, &tenant.gate).await;
        (tenant.device, tenant.device_id) = (device, device_id);
        let first = tenant.qr(0).await;
        let scanned = tenant
            .device
            .scan(&json!({ "qr": first, "scan_id": tenant.scan_id }))
            .await
            .expect(200);
        assert_eq!(scanned.json()["reason"], "admitted", "{scanned:?}");
        tenant
    }

    /// Registers another device. Returns a client with its token, and its id.
    pub async fn new_device(&self, label: &str, settings: &Value) -> (Client, String) {
        let body = json!({ "device_id": label, "name": label, "settings": settings });
        let created = self
            .owner
            .post("/api/v1/scanning/devices", &body)
            .await
            .expect(201)
            .json();
        let token = created["token"].as_str().expect("a token");
        (
            self.owner.with_token(token),
            created["id"].as_str().expect("an id").to_owned(),
        )
    }

    /// Starts a session of a device and returns its id.
    pub async fn start_session(&self, device: &Client, gate: &str) -> String {
        let body = json!({ "event_id": self.event, "gate_id": gate });
        let started = device
            .post("/api/v1/scanning/sessions", &body)
            .await
            .expect(201)
            .json();
        started["id"].as_str().expect("an id").to_owned()
    }

    /// Creates an API key of this role and returns a client with it.
    pub async fn member(&self, role: &str) -> Client {
        let body = json!({ "name": role, "role": role });
        let created = self
            .owner
            .post("/api/v1/api-keys", &body)
            .await
            .expect(201)
            .json();
        self.owner.with_token(created["key"].as_str().expect("a key"))
    }

    /// The signed QR payload of a ticket.
    pub async fn qr(&self, index: usize) -> String {
        let code = self.codes.get(index).expect("a ticket");
        let path = format!("/api/v1/events/{}/tickets/{code}/qr", self.event);
        self.owner.get(&path).await.expect(200).text().to_owned()
    }
}
