//! A server with something in it: two organizations, each with a live event, two gates, a device in session, tickets.

use std::sync::Arc;

use serde_json::{Value, json};
use tempfile::TempDir;
use voelgoed_scan_core::model::{Name, Timestamp};
use voelgoed_scan_server::config::Config;
use voelgoed_scan_server::{Running, start};

use crate::Client;
use crate::book::Book;
use crate::services::{on_postgresql, shared_database, shared_redis};

/// When the organizations of a test were made.
const BEGINNING: Timestamp = Timestamp::from_millis(1_790_000_000_000);

/// A server and two tenants.
pub struct World {
    /// The server.
    pub server: Running,
    /// A caller without a credential.
    pub nobody: Client,
    /// The server's OpenAPI document.
    pub book: Arc<Book>,
    /// The tenant that a test is about.
    pub here: Tenant,
    /// Another tenant.
    pub elsewhere: Tenant,
    /// The database.
    pub database_url: String,
    /// Where the database is, if it is a file.
    pub folder: TempDir,
}

/// An organization with all that a gate needs.
pub struct Tenant {
    /// Its owner's API key.
    pub owner: Client,
    /// A device with an active session at the first gate.
    pub device: Client,
    /// The device's id.
    pub device_id: String,
    /// The device's active session.
    pub session_id: String,
    /// A live event.
    pub event: String,
    /// Its first gate.
    pub gate: String,
    /// Its second gate.
    pub other_gate: String,
    /// Codes of its tickets.
    pub codes: Vec<String>,
    /// A scan that admitted the first ticket.
    pub scan_id: String,
}

/// A new UUID, different each time.
pub fn new_id() -> String {
    let id = voelgoed_scan_core::model::ScanId::generate(BEGINNING);
    id.to_string()
}

impl World {
    /// A server without a limit on calls.
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// A server that is set up otherwise.
    pub async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut config =
            Config::on_free_port(format!("sqlite://{}", folder.path().join("gate.db").display()));
        config.rate_limit = 0;
        if on_postgresql() {
            let secret = folder.path().join("secret");
            std::fs::write(&secret, "42".repeat(32)).expect("written");
            config.secrets.secret_key_file = Some(secret);
            config.database_url = shared_database();
            config.redis_url = Some(shared_redis());
        }
        change(&mut config);
        let database_url = config.database_url.clone();
        let server = start(config).await.expect("a server");
        let bare = Client::new(server.address());
        let document = bare.get("/openapi.json").await.expect(200).json();
        let book = Arc::new(Book::new(document));
        let nobody = bare.with_book(Arc::clone(&book));
        let here = Tenant::new(&server, &nobody, "Here").await;
        let elsewhere = Tenant::new(&server, &nobody, "Elsewhere").await;
        Self {
            server,
            nobody,
            book,
            here,
            elsewhere,
            database_url,
            folder,
        }
    }
}

impl Tenant {
    /// Makes one on a server.
    pub async fn new(server: &Running, nobody: &Client, name: &str) -> Self {
        let name = Name::new(name).expect("a name");
        let made = server.admin().create_organization(name, BEGINNING).await;
        let (_, _, secret) = made.expect("an organization");
        let owner = nobody.with_token(secret.reveal());
        let (event, gate, other_gate) = (new_id(), new_id(), new_id());
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
        let (device, device_id) = tenant.new_device("gate-1", &json!({})).await;
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

    /// Registers another device.
    pub async fn new_device(&self, label: &str, settings: &Value) -> (Client, String) {
        let body = json!({ "device_id": label, "name": label, "settings": settings });
        let made = self
            .owner
            .post("/api/v1/scanning/devices", &body)
            .await
            .expect(201)
            .json();
        let token = made["token"].as_str().expect("a token");
        (
            self.owner.with_token(token),
            made["id"].as_str().expect("an id").to_owned(),
        )
    }

    /// Starts a session of a device.
    pub async fn start_session(&self, device: &Client, gate: &str) -> String {
        let body = json!({ "event_id": self.event, "gate_id": gate });
        let started = device
            .post("/api/v1/scanning/sessions", &body)
            .await
            .expect(201)
            .json();
        started["id"].as_str().expect("an id").to_owned()
    }

    /// An API key of a role.
    pub async fn member(&self, role: &str) -> Client {
        let body = json!({ "name": role, "role": role });
        let made = self
            .owner
            .post("/api/v1/api-keys", &body)
            .await
            .expect(201)
            .json();
        self.owner.with_token(made["key"].as_str().expect("a key"))
    }

    /// The signed payload of the n-th ticket.
    pub async fn qr(&self, at: usize) -> String {
        let code = self.codes.get(at).expect("a ticket");
        let path = format!("/api/v1/events/{}/tickets/{code}/qr", self.event);
        self.owner.get(&path).await.expect(200).text().to_owned()
    }
}
