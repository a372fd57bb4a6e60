//! A minimal scan server in memory, behind a network that a test can interrupt.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::sync::watch;

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

/// Changes the response to a request such as `POST scan`.
type Tamper = fn(&str, HttpResponse) -> HttpResponse;

pub(super) struct FakeServer {
    clock: Arc<AtomicI64>,
    /// The server's clock minus the phone's, in milliseconds.
    ahead: AtomicI64,
    state: Mutex<State>,
    /// The number of scans received.
    scans: watch::Sender<usize>,
    /// Whether responses to scans wait.
    holds_scans: watch::Sender<bool>,
}

struct State {
    test_event: TestEvent,
    network: Network,
    /// The number of the device that an enrolment code is for.
    device: u128,
    revoked: bool,
    /// Whether the device may work nowhere.
    out_of_scope: bool,
    /// The status of all scans that are uploaded from now on.
    sync_status: &'static str,
    session: bool,
    /// Whether scans are answered as by a node that does not know the session yet.
    is_behind: bool,
    tamper: Option<Tamper>,
    admitted: HashMap<String, String>,
    /// The codes of the tickets whose people are inside.
    inside: HashSet<String>,
    answers: HashMap<String, Value>,
    /// The bodies of all scans.
    scanned: Vec<Value>,
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
            device: 7,
            revoked: false,
            sync_status: "recorded",
            session: false,
            is_behind: false,
            tamper: None,
            out_of_scope: false,
            admitted: HashMap::new(),
            inside: HashSet::new(),
            scanned: Vec::new(),
            answers: HashMap::new(),
            uploaded: Vec::new(),
            listed: Vec::new(),
            calls: Vec::new(),
            headers: Vec::new(),
        };
        Self {
            clock,
            ahead: AtomicI64::new(0),
            state: Mutex::new(state),
            scans: watch::Sender::new(0),
            holds_scans: watch::Sender::new(false),
        }
    }

    /// Sets the server's clock relative to the phone's.
    pub(super) fn set_ahead(&self, ahead: std::time::Duration) {
        let millis = i64::try_from(ahead.as_millis()).expect("not in a million years");
        self.ahead.store(millis, Ordering::SeqCst);
    }

    pub(super) fn now(&self) -> Timestamp {
        MADE_AT.plus_millis(self.clock.load(Ordering::SeqCst) + self.ahead.load(Ordering::SeqCst))
    }

    /// Makes the responses to scans wait, or sends those that wait. The server decides at once.
    pub(super) fn hold_scans(&self, hold: bool) {
        self.holds_scans.send_replace(hold);
    }

    /// Waits until the server has received this number of scans.
    pub(super) async fn received_scans(&self, number: usize) {
        let mut scans = self.scans.subscribe();
        scans
            .wait_for(|received| *received >= number)
            .await
            .expect("the server owns the sender");
    }

    /// The office ends the session.
    pub(super) fn end_session(&self) {
        self.with(|state| state.session = false);
    }

    pub(super) fn set_behind(&self, is_behind: bool) {
        self.with(|state| state.is_behind = is_behind);
    }

    pub(super) fn tamper(&self, tamper: Option<Tamper>) {
        self.with(|state| state.tamper = tamper);
    }

    /// Returns the bodies of all scans.
    pub(super) fn scanned(&self) -> Vec<Value> {
        self.with(|state| state.scanned.clone())
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

    /// Takes every gate out of the device's scope, or puts it back.
    pub(super) fn narrow_scope(&self, is_narrow: bool) {
        self.with(|state| state.out_of_scope = is_narrow);
    }

    /// Accepts the device again.
    pub(super) fn reactivate(&self) {
        self.with(|state| {
            state.revoked = false;
            state.sync_status = "recorded";
        });
    }

    /// From now on enrolment codes are for another device.
    pub(super) fn set_device(&self, number: u128) {
        self.with(|state| state.device = number);
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
        let now = self.now();
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
        let answered = matches!(network, Network::Up | Network::AnswersLost);
        if answered && request.url.ends_with("/scan") {
            self.scans.send_modify(|scans| *scans += 1);
            let mut holds = self.holds_scans.subscribe();
            holds
                .wait_for(|holds| !holds)
                .await
                .expect("the server owns the sender");
        }
        if network == Network::AnswersLost {
            std::future::pending::<()>().await;
        }
        Ok(answer)
    }
}

pub(super) fn reply(status: u16, body: &Value) -> HttpResponse {
    HttpResponse {
        status,
        headers: Vec::new(),
        body: body.to_string().into_bytes(),
    }
}

pub(super) fn problem(status: u16, code: &str) -> HttpResponse {
    let problem = format!("urn:voelgoed-scan:problem:{code}");
    reply(
        status,
        &json!({ "type": problem, "title": "No", "status": status, "code": code, "detail": "no" }),
    )
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
        let answer = self.route(request, &call, query, &body, now);
        match self.tamper {
            Some(tamper) => tamper(&call, answer),
            None => answer,
        }
    }

    fn route(
        &mut self,
        request: &HttpRequest,
        call: &str,
        query: &str,
        body: &Value,
        now: Timestamp,
    ) -> HttpResponse {
        match call {
            "POST enroll" => reply(201, &self.enroll(body, now)),
            "PUT device" => reply(200, &self.device(now)),
            "POST sessions" => {
                self.session = true;
                reply(201, &self.session(now))
            }
            "POST scan" => self.scan(body, now),
            "POST sync" if request.body.windows(6).any(|part| part == b"poison") => {
                problem(422, "validation_failed")
            }
            "POST sync" => reply(200, &self.sync(body, now)),
            _ if call.starts_with("GET sessions/") => reply(200, &self.session(now)),
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
                "id": uuid(self.device), "organization_id": self.test_event.event.organization_id, "device_id": "phone-7",
                "name": "Phone 7", "device_type": "mobile", "status": "active", "last_seen_at": null,
                "settings": { "can_override": true },
                "scope": { "event_ids": null, "gate_ids": self.out_of_scope.then(Vec::<Value>::new) }, "app": null, "battery": null, "waiting": null,
                "inserted_at": now, "updated_at": now
            },
            "session": (self.session && !self.is_behind).then(|| self.session(now)),
            "server_time": now,
            "manifest_key": ManifestKey::new(key)
        })
    }

    fn session(&self, now: Timestamp) -> Value {
        json!({
            "id": uuid(77), "organization_id": self.test_event.event.organization_id, "device_id": uuid(self.device),
            "event_id": self.test_event.event.id, "gate_id": gate_id(MAIN), "status": if self.session { "active" } else { "ended" }, "started_at": now,
            "ended_at": (!self.session).then_some(now), "scan_count": 0
        })
    }

    fn scan(&mut self, body: &Value, now: Timestamp) -> HttpResponse {
        self.scanned.push(body.clone());
        let id = body["scan_id"].as_str().expect("a scan_id").to_owned();
        let qr = body["qr"].as_str().expect("a camera read it");
        if let Some(known) = self.answers.get(&id) {
            return reply(200, known);
        }
        if self.out_of_scope {
            return problem(403, "out_of_scope");
        }
        if !self.session || self.is_behind {
            return problem(409, "no_active_session");
        }
        let payload = Payload::parse(qr).expect("a ticket");
        let code = payload
            .unverified_claims()
            .expect("claims")
            .ticket_code
            .expect("a code");
        let (result, reason) = self.decide(&code.to_string(), &id, body);
        let scanned_at: Timestamp = serde_json::from_value(body["scanned_at"].clone()).expect("a time");
        let is_skewed = scanned_at.millis_since(now).abs() > 300_000;
        let warnings: &[&str] = if is_skewed { &["clock_skew"] } else { &[] };
        let headcount = json!({ "inside": 1, "capacity": null });
        let answer = json!({
            "scan_id": id, "result": result, "reason": reason, "replayed": false, "direction": body["direction"],
            "scanned_at": now, "session_id": uuid(77), "event_id": self.test_event.event.id,
            "gate": { "id": gate_id(MAIN), "name": "Main" },
            "ticket": { "id": uuid(5), "code": code, "status": "scanned", "ticket_class": "Day", "seat": null,
                        "entry_limit": 1, "scan_count": 1, "note": null },
            "previous_scan": null, "occupancy": { "gate": headcount, "event": headcount },
            "decided_by": "database", "warnings": warnings, "message": "…"
        });
        self.answers.insert(id, answer.clone());
        reply(200, &answer)
    }

    /// Decides by the policy `after_exit`, for tickets of one person.
    fn decide(&mut self, code: &str, id: &str, body: &Value) -> (&'static str, &'static str) {
        let is_inside = self.inside.contains(code);
        if body["direction"] == "exit" {
            return if self.inside.remove(code) {
                ("valid", "exited")
            } else {
                ("refused", "not_inside")
            };
        }
        if is_inside && body["override"].is_null() {
            return ("duplicate", "already_scanned");
        }
        self.inside.insert(code.to_owned());
        let earlier = self.admitted.insert(code.to_owned(), id.to_owned());
        match (earlier, is_inside) {
            (_, true) => ("valid", "overridden"),
            (Some(_), false) => ("valid", "readmitted"),
            (None, false) => ("valid", "admitted"),
        }
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
        for (scan, result) in scans.iter().zip(&results) {
            if result["status"] == "recorded" && scan["local_result"] == "valid" {
                self.take(scan);
            }
        }
        self.uploaded.extend(scans);
        let count = |status| results.iter().filter(|one| one["status"] == status).count();
        json!({
            "batch_id": body["batch_id"], "recorded": count("recorded"), "replayed": count("replayed"),
            "rejected": count("rejected"), "conflicts": 0, "missing_sequences": [], "server_time": now,
            "results": results
        })
    }

    /// Takes an admission or exit that a phone decided.
    fn take(&mut self, scan: &Value) {
        let payload = Payload::parse(scan["qr"].as_str().expect("a camera read it")).expect("a ticket");
        let code = payload
            .unverified_claims()
            .expect("claims")
            .ticket_code
            .expect("a code");
        let (code, id) = (code.to_string(), scan["scan_id"].as_str().expect("an id"));
        if scan["direction"] == "exit" {
            self.inside.remove(&code);
        } else {
            self.inside.insert(code.clone());
            self.admitted.insert(code, id.to_owned());
        }
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
