//! The server of the stories: the real node on SQLite, behind the routes that a phone calls.
//!
//! The node runs on a runtime of its own, in real time. Its answers take no virtual time: the paused clock of a story stands
//! still while a call runs on a blocking thread.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use voelgoed_scan_core::client::{HttpHeader, HttpMethod, HttpRequest, HttpResponse};
use voelgoed_scan_core::manifest::MANIFEST_MEDIA_TYPE;
use voelgoed_scan_core::model::{
    AuditContext, AuthenticatedDevice, DeviceHealth, DeviceSelf, DeviceStatus, DeviceToken, EnrollRequest,
    EventId, ManifestKey, ScanRequest, SessionStart, Timestamp, UndoRequest,
};
use voelgoed_scan_core::node::{
    Admin, ManifestResponse, Precondition, ScanError, Scanner, Setup, SignedManifest, UndoActor,
};
use voelgoed_scan_core::store::{StartOutcome, StoreError, open};
use voelgoed_scan_core::sync::{ReceivedScan, SyncRequest};
use voelgoed_scan_core::token::MasterSecret;

/// The address of the server in the stories.
pub(crate) const ORIGIN: &str = "https://scan.example.org";

/// The deduplication window.
pub(crate) const WINDOW: Duration = Duration::from_mins(5);

/// A node with its database.
pub(crate) struct Server {
    runtime: Runtime,
    pub(crate) scanner: Scanner,
    pub(crate) admin: Admin,
    _directory: TempDir,
}

/// A directory in memory where the system has one. Databases sync at every commit, and a story has thousands of them.
pub(crate) fn directory() -> TempDir {
    let memory = PathBuf::from("/dev/shm");
    let made = if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    };
    made.expect("a directory")
}

pub(crate) fn master() -> MasterSecret {
    MasterSecret::from_hex(&"42".repeat(32)).expect("a master secret")
}

impl Server {
    pub(crate) fn start() -> Arc<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let directory = directory();
        let url = format!("sqlite://{}", directory.path().join("gate.db").display());
        let (scanner, admin) = runtime.block_on(async {
            let setup = Setup {
                store: open(&url, true).await.expect("a database"),
                master: master(),
                phoenix: None,
                window: WINDOW,
                redis: None,
            };
            setup.open().await.expect("a node")
        });
        Arc::new(Self {
            runtime,
            scanner,
            admin,
            _directory: directory,
        })
    }

    /// Runs a call of the node. The clock of the story stands still meanwhile.
    pub(crate) async fn run<T, F>(self: &Arc<Self>, call: impl FnOnce(Arc<Self>) -> F + Send + 'static) -> T
    where
        T: Send + 'static,
        F: Future<Output = T>,
    {
        let server = Arc::clone(self);
        let called = tokio::task::spawn_blocking(move || {
            let call = call(Arc::clone(&server));
            server.runtime.block_on(call)
        });
        called.await.expect("the node does not panic")
    }

    /// Answers a request of a phone.
    pub(crate) async fn answer(&self, request: &HttpRequest, now: Timestamp) -> HttpResponse {
        self.respond(request, now)
            .await
            .unwrap_or_else(|Problem(status, code)| problem(status, code))
    }

    async fn respond(&self, request: &HttpRequest, now: Timestamp) -> Result<HttpResponse, Problem> {
        let path = request.url.strip_prefix(ORIGIN).expect("the server's address");
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let path = path.strip_prefix("/api/v1/").ok_or(NOT_FOUND)?;
        let segments: Vec<&str> = path.split('/').collect();
        if segments == ["scanning", "enroll"] {
            let enroll: EnrollRequest = body(request)?;
            let answer = self
                .admin
                .enroll(&enroll, &AuditContext::cli(), now)
                .await?
                .ok_or(NOT_FOUND)?;
            return Ok(reply(201, &answer));
        }
        let token = header(request, "Authorization").and_then(|value| value.strip_prefix("Bearer "));
        let hash = token.and_then(|token| DeviceToken::hash_of(token).ok());
        let hash = hash.ok_or(Problem(401, "missing_token"))?;
        let device = self.scanner.authenticate(&hash).await?;
        let device = device.ok_or(Problem(401, "invalid_token"))?;
        let is_sync = segments == ["scanning", "sync"];
        if device.device.status != DeviceStatus::Active && !is_sync {
            return Err(INACTIVE);
        }
        match (request.method, segments.as_slice()) {
            (HttpMethod::Post, ["scanning", "scan"]) => {
                let scan: ScanRequest = body(request)?;
                let answer = self.scanner.scan(&device, scan, now).await?;
                Ok(json_response(200, answer.to_json().into_bytes()))
            }
            (HttpMethod::Post, ["scanning", "sync"]) => self.sync(&device, request, now).await,
            (HttpMethod::Put, ["scanning", "device"]) => {
                let health: DeviceHealth = body(request)?;
                self.own_device(&device, Some(&health), now).await
            }
            (HttpMethod::Get, ["scanning", "device"]) => self.own_device(&device, None, now).await,
            (HttpMethod::Post, ["scanning", "sessions"]) => {
                let start: SessionStart = body(request)?;
                match self.scanner.start_session(&device, &start, now).await? {
                    StartOutcome::Started(session) => Ok(reply(201, &session)),
                    StartOutcome::AlreadyActive(_) => Err(Problem(409, "session_already_active")),
                    StartOutcome::Missing => Err(NOT_FOUND),
                    StartOutcome::DeviceInactive => Err(INACTIVE),
                    StartOutcome::OutOfScope => Err(OUT_OF_SCOPE),
                }
            }
            (_, ["scanning", "sessions", id, rest @ ..]) => {
                let id = id.parse().map_err(|_| NOT_FOUND)?;
                let organization = device.device.organization_id;
                let session = match (request.method, rest) {
                    (HttpMethod::Put, ["end"]) => {
                        self.scanner.end_session(organization, id, None, now).await?
                    }
                    (HttpMethod::Get, []) => self.scanner.store().session(organization, id).await?,
                    _ => None,
                };
                let session = session.filter(|session| session.device_id == device.device.id);
                Ok(reply(200, &session.ok_or(NOT_FOUND)?))
            }
            (HttpMethod::Post, ["scanning", "scans", id, "undo"]) => {
                let undo: UndoRequest = body(request)?;
                let id = id.parse().map_err(|_| NOT_FOUND)?;
                let actor = UndoActor::Device(device.device.id);
                let organization = device.device.organization_id;
                let undone = self
                    .scanner
                    .undo(organization, id, actor, &undo.reason, &AuditContext::cli(), now)
                    .await?;
                Ok(reply(200, &undone))
            }
            (HttpMethod::Get, ["scanning", "events", event, "manifest"]) => {
                let event = event.parse().map_err(|_| NOT_FOUND)?;
                self.manifest(&device, event, request, query, now).await
            }
            _ => Err(NOT_FOUND),
        }
    }

    async fn sync(
        &self,
        device: &AuthenticatedDevice,
        request: &HttpRequest,
        now: Timestamp,
    ) -> Result<HttpResponse, Problem> {
        let batch = SyncRequest::<ReceivedScan>::read(&request.body);
        let batch = batch.map_err(|_| Problem(422, "validation_failed"))?;
        let answer = self.scanner.sync(device, batch, None, now).await?;
        let status = match device.device.status {
            DeviceStatus::Active => 200,
            DeviceStatus::Inactive => 202,
        };
        Ok(reply(status, &answer))
    }

    async fn own_device(
        &self,
        device: &AuthenticatedDevice,
        health: Option<&DeviceHealth>,
        now: Timestamp,
    ) -> Result<HttpResponse, Problem> {
        let organization = device.device.organization_id;
        let reported = self
            .admin
            .report_device(organization, device.device.id, health, now)
            .await?;
        let session = match &device.active_session {
            Some(active) => {
                self.scanner
                    .store()
                    .session(organization, active.session.id)
                    .await?
            }
            None => None,
        };
        let manifest_key = self.admin.manifest_key(organization).await?;
        Ok(reply(
            200,
            &DeviceSelf {
                device: reported.ok_or(Problem(401, "invalid_token"))?,
                session,
                server_time: now,
                manifest_key: ManifestKey::new(manifest_key),
            },
        ))
    }

    async fn manifest(
        &self,
        device: &AuthenticatedDevice,
        event: EventId,
        request: &HttpRequest,
        query: &str,
        now: Timestamp,
    ) -> Result<HttpResponse, Problem> {
        let precondition = Precondition {
            delta_base: query.strip_prefix("since=").and_then(|base| base.parse().ok()),
            none_match: header(request, "If-None-Match").and_then(SignedManifest::version_of_tag),
        };
        let organization = device.device.organization_id;
        let response = self.admin.manifest(organization, event, precondition, now).await;
        let response = response.map_err(|_| Problem(503, "storage_unavailable"))?;
        let (status, tag, body) = match response.ok_or(NOT_FOUND)? {
            ManifestResponse::NotModified(version) => (304, format!("W/\"{version}\""), Vec::new()),
            ManifestResponse::Manifest(manifest) => (200, manifest.tag(), manifest.bytes().to_vec()),
        };
        let header = |name: &str, value: &str| HttpHeader {
            name: name.to_owned(),
            value: value.to_owned(),
        };
        Ok(HttpResponse {
            status,
            headers: vec![header("etag", &tag), header("content-type", MANIFEST_MEDIA_TYPE)],
            body,
        })
    }
}

/// A problem document: status and code.
struct Problem(u16, &'static str);

const NOT_FOUND: Problem = Problem(404, "not_found");
const INACTIVE: Problem = Problem(401, "device_inactive");
const OUT_OF_SCOPE: Problem = Problem(403, "out_of_scope");

impl From<StoreError> for Problem {
    fn from(_: StoreError) -> Self {
        Self(503, "storage_unavailable")
    }
}

impl From<ScanError> for Problem {
    fn from(error: ScanError) -> Self {
        match error {
            ScanError::NoActiveSession => Self(409, "no_active_session"),
            ScanError::ScanIdReused => Self(409, "scan_id_reused"),
            ScanError::ScanUndone => Self(409, "scan_undone"),
            ScanError::OverrideNotAllowed | ScanError::NotAllowed => Self(403, "forbidden"),
            ScanError::DeviceInactive => INACTIVE,
            ScanError::OutOfScope => OUT_OF_SCOPE,
            ScanError::NotOpen | ScanError::NotQuarantined | ScanError::NotAcceptable => {
                Self(409, "conflict")
            }
            ScanError::NotFound => NOT_FOUND,
            ScanError::Overloaded => Self(503, "overloaded"),
            ScanError::Store(_) => Self(503, "storage_unavailable"),
        }
    }
}

fn header<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    let found = request
        .headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case(name))?;
    Some(&found.value)
}

fn body<T: serde::de::DeserializeOwned>(request: &HttpRequest) -> Result<T, Problem> {
    serde_json::from_slice(&request.body).map_err(|_| Problem(422, "validation_failed"))
}

fn json_response(status: u16, body: Vec<u8>) -> HttpResponse {
    HttpResponse {
        status,
        headers: vec![HttpHeader {
            name: "content-type".to_owned(),
            value: "application/json".to_owned(),
        }],
        body,
    }
}

fn reply(status: u16, body: &impl Serialize) -> HttpResponse {
    json_response(status, serde_json::to_vec(body).expect("an answer is JSON"))
}

/// The problem document of the server for a code.
pub(crate) fn problem(status: u16, code: &str) -> HttpResponse {
    let document: Value = json!({
        "type": format!("urn:voelgoed-scan:problem:{code}"), "title": code, "status": status, "detail": code,
        "code": code, "request_id": "story"
    });
    HttpResponse {
        headers: vec![HttpHeader {
            name: "content-type".to_owned(),
            value: "application/problem+json".to_owned(),
        }],
        ..reply(status, &document)
    }
}
