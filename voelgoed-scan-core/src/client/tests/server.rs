//! A minimal scan server in memory, behind a network that a test can interrupt.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::client::offline::tests::{MADE_AT, MAIN, TestEvent, gate_id, uuid};
use crate::client::{HttpHeader, HttpMethod, HttpRequest, HttpResponse, Transport, TransportError};
use crate::model::{EventId, GateId, ManifestKey, Timestamp};
use crate::token::Payload;

/// What happens to requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Network {
    /// The server answers.
    Up,
    /// The server is unreachable.
    Down,
    /// The server receives requests, but its responses are lost.
    AnswersLost,
    /// The server is busy.
    Busy,
    /// A captive portal answers in the server's place.
    CaptivePortal,
}

pub(super) struct FakeServer {
    clock: Arc<AtomicI64>,
    state: Mutex<State>,
}

struct State {
    test_event: TestEvent,
    network: Network,
    revoked: bool,
    /// The status of all scans that are uploaded from now on.
    sync_status: &'static str,
    session: bool,
    admitted: HashMap<String, String>,
    answers: HashMap<String, Value>,
    uploaded: Vec<Value>,
    /// The scans that `GET scans` lists.
    listed: Vec<Value>,
    calls: Vec<String>,
    headers: Vec<HttpHeader>,
}

impl FakeServer {
    pub(super) fn new(test_event: TestEvent, clock: Arc<AtomicI64>) -> Self {
        let state = State {
            test_event,
            network: Network::Up,
            revoked: false,
            sync_status: "recorded",
            session: false,
            admitted: HashMap::new(),
            answers: HashMap::new(),
            uploaded: Vec::new(),
            listed: Vec::new(),
            calls: Vec::new(),
            headers: Vec::new(),
        };
        Self {
            clock,
            state: Mutex::new(state),
        }
    }

    fn with<T>(&self, run: impl FnOnce(&mut State) -> T) -> T {
        run(&mut self.state.lock().expect("not poisoned"))
    }

    pub(super) fn event_and_gate(&self) -> (EventId, GateId) {
        (self.with(|state| state.test_event.event.id), gate_id(MAIN))
    }

    pub(super) fn set(&self, network: Network) {
        self.with(|state| state.network = network);
    }

    pub(super) fn revoke(&self) {
        self.with(|state| {
            state.revoked = true;
            state.sync_status = "quarantined";
        });
    }

    /// Sets the scans that the device finds in the list of its own ones.
    pub(super) fn list_scans(&self, scans: Vec<Value>) {
        self.with(|state| state.listed = scans);
    }

    /// Accepts the device again.
    pub(super) fn reactivate(&self) {
        self.with(|state| {
            state.revoked = false;
            state.sync_status = "recorded";
        });
    }

    pub(super) fn answer_syncs(&self, status: &'static str) {
        self.with(|state| state.sync_status = status);
    }

    pub(super) fn change<T>(&self, change: impl FnOnce(&mut TestEvent) -> T) -> T {
        self.with(|state| change(&mut state.test_event))
    }

    pub(super) fn vg2(&self, number: u8) -> String {
        self.with(|state| state.test_event.vg2(number))
    }

    /// Returns the requests since the last call of this method, such as `POST scan`.
    pub(super) fn calls(&self) -> Vec<String> {
        self.with(|state| std::mem::take(&mut state.calls))
    }

    /// Returns a header of the last request.
    pub(super) fn header(&self, name: &str) -> Option<String> {
        let headers = self.with(|state| state.headers.clone());
        headers
            .into_iter()
            .find(|header| header.name == name)
            .map(|header| header.value)
    }

    pub(super) fn uploaded(&self) -> Vec<Value> {
        self.with(|state| state.uploaded.clone())
    }

    pub(super) fn admissions(&self) -> usize {
        self.with(|state| state.admitted.len())
    }
}

#[async_trait]
impl Transport for FakeServer {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        let now = MADE_AT.plus_millis(self.clock.load(Ordering::SeqCst));
        let network = self.with(|state| state.network);
        let answer = match network {
            Network::Down => {
                return Err(TransportError::Unreachable {
                    reason: "the network is down".to_owned(),
                });
            }
            Network::Busy => problem(503, "overloaded"),
            Network::CaptivePortal => HttpResponse {
                status: 200,
                headers: Vec::new(),
                body: b"<h1>Your room number?</h1>".to_vec(),
            },
            Network::Up | Network::AnswersLost => self.with(|state| state.answer(&request, now)),
        };
        if network == Network::AnswersLost {
            std::future::pending::<()>().await;
        }
        Ok(answer)
    }
}

fn reply(status: u16, body: &Value) -> HttpResponse {
    HttpResponse {
        status,
        headers: Vec::new(),
        body: body.to_string().into_bytes(),
    }
}

fn problem(status: u16, code: &str) -> HttpResponse {
    reply(status, &json!({ "code": code, "detail": "no" }))
}

impl State {
    fn answer(&mut self, request: &HttpRequest, now: Timestamp) -> HttpResponse {
        let path = request
            .url
            .strip_prefix("https://scan.example.org/api/v1/scanning/");
        let path = path.expect("the server's own address");
        self.headers.clone_from(&request.headers);
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let (call, query) = path.split_once('?').unwrap_or((path, ""));
        let call = format!("{} {call}", request.method.as_str());
        self.calls
            .push(call.split(&self.test_event.event.id.to_string()).collect());
        let token = request
            .headers
            .iter()
            .any(|header| header.value.starts_with("Bearer vgd_"));
        if call != "POST enroll" && !token {
            return problem(401, "missing_token");
        }
        if self.revoked && call != "POST sync" {
            return problem(401, "device_inactive");
        }
        match &*call {
            "POST enroll" => reply(201, &self.enroll(&body, now)),
            "PUT device" => reply(200, &self.device(now)),
            "POST sessions" => {
                self.session = true;
                reply(201, &self.session(now))
            }
            "POST scan" => self.scan(&body, now),
            "POST sync" if request.body.windows(6).any(|part| part == b"poison") => {
                problem(422, "validation_failed")
            }
            "POST sync" => reply(200, &self.sync(&body, now)),
            _ if call.ends_with("/end") && request.method == HttpMethod::Put => {
                self.session = false;
                reply(200, &self.session(now))
            }
            "GET scans" => {
                assert!(query.contains("result=duplicate") && query.contains("from="));
                // A page for each scan.
                let at = query
                    .split_once("cursor=")
                    .map_or(0, |(_, at)| at.parse().expect("a number"));
                let next = (at + 1 < self.listed.len()).then(|| (at + 1).to_string());
                let page: Vec<_> = self.listed.get(at).into_iter().collect();
                reply(200, &json!({ "data": page, "next_cursor": next }))
            }
            _ if call.ends_with("/manifest") => self.manifest(request, query),
            _ => problem(404, "not_found"),
        }
    }

    fn enroll(&self, body: &Value, now: Timestamp) -> Value {
        assert!(body["device_key"].is_string() && body["app"]["name"] == "Gate");
        let mut answer = self.device(now);
        answer["token"] = json!(crate::model::DeviceToken::generate().reveal());
        answer
    }

    fn device(&self, now: Timestamp) -> Value {
        let key = self.test_event.keyring().manifest_key().expect("a server");
        json!({
            "device": {
                "id": uuid(7), "organization_id": self.test_event.event.organization_id, "device_id": "phone-7",
                "name": "Phone 7", "device_type": "mobile", "status": "active", "last_seen_at": null,
                "settings": { "can_override": true }, "app": null, "battery": null, "waiting": null,
                "inserted_at": now, "updated_at": now
            },
            "session": self.session.then(|| self.session(now)),
            "server_time": now,
            "manifest_key": ManifestKey::new(key)
        })
    }

    fn session(&self, now: Timestamp) -> Value {
        json!({
            "id": uuid(77), "organization_id": self.test_event.event.organization_id, "device_id": uuid(7),
            "event_id": self.test_event.event.id, "gate_id": gate_id(MAIN), "status": "active", "started_at": now,
            "ended_at": null, "scan_count": 0
        })
    }

    fn scan(&mut self, body: &Value, now: Timestamp) -> HttpResponse {
        if !self.session {
            return problem(409, "no_active_session");
        }
        let id = body["scan_id"].as_str().expect("a scan_id").to_owned();
        let qr = body["qr"].as_str().expect("a camera read it");
        if let Some(known) = self.answers.get(&id) {
            return reply(200, known);
        }
        let payload = Payload::parse(qr).expect("a ticket");
        let code = payload
            .unverified_claims()
            .expect("claims")
            .ticket_code
            .expect("a code");
        let first = !self.admitted.contains_key(&code.to_string());
        if first {
            self.admitted.insert(code.to_string(), id.clone());
        }
        let (result, reason) = if first {
            ("valid", "admitted")
        } else {
            ("duplicate", "already_scanned")
        };
        let headcount = json!({ "inside": 1, "capacity": null });
        let answer = json!({
            "scan_id": id, "result": result, "reason": reason, "replayed": false, "direction": "entry",
            "scanned_at": now, "session_id": uuid(77), "event_id": self.test_event.event.id,
            "gate": { "id": gate_id(MAIN), "name": "Main" },
            "ticket": { "id": uuid(5), "code": code, "status": "scanned", "ticket_class": "Day", "seat": null,
                        "entry_limit": 1, "scan_count": 1, "note": null },
            "previous_scan": null, "occupancy": { "gate": headcount, "event": headcount },
            "decided_by": "database", "warnings": [], "message": "…"
        });
        self.answers.insert(id, answer.clone());
        reply(200, &answer)
    }

    fn sync(&mut self, body: &Value, now: Timestamp) -> Value {
        let scans = body["scans"].as_array().expect("scans").clone();
        assert!(body["signature"].is_string());
        let results: Vec<Value> = scans
            .iter()
            .map(|scan| {
                let id = scan["scan_id"].as_str().expect("an id");
                let status = if self.answers.contains_key(id) {
                    "replayed"
                } else {
                    self.sync_status
                };
                let on_record = matches!(status, "recorded" | "replayed").then_some(());
                json!({
                    "scan_id": id, "status": status, "result": on_record.map(|()| "valid"),
                    "reason": on_record.map(|()| "admitted"), "conflict": null
                })
            })
            .collect();
        self.uploaded.extend(scans);
        let count = |status| results.iter().filter(|one| one["status"] == status).count();
        json!({
            "batch_id": body["batch_id"], "recorded": count("recorded"), "replayed": count("replayed"),
            "rejected": count("rejected"), "conflicts": 0, "missing_sequences": [], "server_time": now,
            "results": results
        })
    }

    fn manifest(&self, request: &HttpRequest, query: &str) -> HttpResponse {
        let etag = format!("\"{}\"", self.test_event.version);
        let header = |name: &str, value: &str| HttpHeader {
            name: name.to_owned(),
            value: value.to_owned(),
        };
        if request.headers.contains(&header("If-None-Match", &etag)) {
            return HttpResponse {
                status: 304,
                headers: Vec::new(),
                body: Vec::new(),
            };
        }
        let body = match query.strip_prefix("since=") {
            Some(base) => self.test_event.delta(base.parse().expect("a version"), &[1]),
            None => self.test_event.manifest(),
        };
        HttpResponse {
            status: 200,
            headers: vec![header("etag", &etag)],
            body,
        }
    }
}
