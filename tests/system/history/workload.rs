//! The callers of a run: they scan, retry and undo at random nodes, and record every call.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use voelgoed_scan_core::model::Timestamp;
use voelgoed_scan_suite::fixture::{Tenant, new_id};
use voelgoed_scan_suite::wait::CONDITION_TIMEOUT;
use voelgoed_scan_suite::{Client, Cluster};

use super::checker::{
    CallKind, CallOutcome, ObservedCall, ObservedDecision, Occupancy, Policy, RecordedScan, RunHistory,
    ScopeChange,
};
use super::interrupted;
use super::rng::Rng;

/// The number of callers at each event.
const CALLERS: usize = 4;

/// The number of tickets of each event.
const TICKETS: usize = 12;

/// An event with a re-entry policy, its callers' devices, and the history of their calls.
pub(super) struct Workload {
    pub(super) tenant: Tenant,
    pub(super) devices: Vec<Client>,
    device_ids: Vec<String>,
    tickets: Vec<String>,
    /// Whether the callers scan exits.
    exits: bool,
    /// Whether the callers override. Not under a window: how many exits a readmission implies then depends on the overrides.
    overrides: bool,
    /// Whether the policy of the event and the limits of its tickets change.
    changes: bool,
    /// When the second day of a `daily` event begins.
    pub(super) second_day: Option<Instant>,
    /// Whether the doors of the event open and close during the run.
    doors: bool,
    /// Whether the scopes of the devices change.
    scopes: bool,
    history: Mutex<RunHistory>,
}

impl Workload {
    /// Creates an event with this re-entry policy at the first node, its tickets and the devices of its callers. With the policy
    /// `changing` it starts with `never`. The policy `doors` is `never` at an event with doors, and `scopes` is `never` with devices
    /// whose scopes change.
    pub(super) async fn new(cluster: &Cluster, name: &str, policy: &str) -> Self {
        Self::at(cluster, cluster.tenant(name).await, name, policy).await
    }

    /// How many of its calls had an answer.
    pub(super) fn answered_calls(&self) -> usize {
        let history = self.history.lock().expect("not poisoned");
        let calls = history.calls.iter();
        calls.filter(|call| call.outcome != CallOutcome::Unknown).count()
    }

    /// Creates an event with this re-entry policy whose gates serve the event of this workload too.
    pub(super) async fn at_the_same_gates(&self, cluster: &Cluster, name: &str, policy: &str) -> Self {
        let tenant = self.tenant.event_at_the_same_gates("first-scan").await;
        Self::at(cluster, tenant, name, policy).await
    }

    async fn at(cluster: &Cluster, tenant: Tenant, name: &str, policy: &str) -> Self {
        let (changes, doors) = (policy == "changing", policy == "doors");
        let scopes = policy == "scopes";
        let reentry = if changes || doors || scopes {
            "never"
        } else {
            policy
        };
        let window = i64::try_from(cluster.config.dedup_window.as_millis()).expect("a short window");
        let event = format!("/api/v1/events/{}", tenant.event);
        let (second_day, begins_at) = next_minute(&tenant).await;
        let text = begins_at.to_string();
        let day_starts_at = text.get(11..16).expect("hours and minutes");
        let settings = json!({
            "name": name, "status": "live", "allow_unsigned": true, "reentry": reentry, "day_starts_at": day_starts_at
        });
        tenant.owner.put(&event, &settings).await.expect(200);
        let mut history = RunHistory::default();
        let mut tickets = Vec::new();
        for limit in [1, 3] {
            let lines = format!("{{\"entry_limit\":{limit}}}\n").repeat(TICKETS / 2);
            let path = format!("{event}/tickets?return=codes");
            let imported = tenant
                .owner
                .send("POST", &path, Some("application/x-ndjson"), lines)
                .await
                .expect(200);
            for code in imported.lines().iter().filter_map(|line| line["code"].as_str()) {
                let policy = match policy {
                    "changing" => Policy::Changing,
                    "after_exit" => Policy::AfterExit(limit),
                    "after_window" => Policy::AfterWindow(limit, window),
                    "daily" => Policy::Daily(limit, begins_at.as_millis()),
                    _ => Policy::Never(limit),
                };
                history.policies.insert(code.to_owned(), policy);
                tickets.push(code.to_owned());
            }
        }
        let (mut devices, mut device_ids) = (Vec::new(), Vec::new());
        for caller in 0..CALLERS {
            let (device, id) = tenant
                .new_device(
                    &format!("caller-{caller}-{}", tenant.event),
                    &json!({ "can_override": true }),
                )
                .await;
            tenant.start_session(&device, gate_of(&tenant, caller)).await;
            devices.push(device);
            device_ids.push(id);
        }
        Self {
            tenant,
            devices,
            device_ids,
            tickets,
            exits: matches!(policy, "after_exit" | "daily") || changes,
            overrides: matches!(policy, "never" | "after_exit" | "daily"),
            changes,
            second_day: (policy == "daily").then_some(second_day),
            doors,
            scopes,
            history: Mutex::new(history),
        }
    }

    /// The gate of a caller.
    fn gate_of(&self, caller: usize) -> &str {
        gate_of(&self.tenant, caller)
    }

    fn push(&self, call: ObservedCall) {
        self.history.lock().expect("not poisoned").calls.push(call);
    }

    /// Lets the doors open after a quarter of the run that begins now, and close after three quarters of it.
    pub(super) async fn set_doors(&self, node: SocketAddr, length: Duration) {
        if !self.doors {
            return;
        }
        let own = self.tenant.device.at(node).get("/api/v1/scanning/device").await;
        let own = own.expect(200).json();
        let now: Timestamp = own["server_time"]
            .as_str()
            .and_then(|text| text.parse().ok())
            .expect("a time");
        let (open, close) = (now.plus(length / 4), now.plus(length * 3 / 4));
        let settings = json!({
            "name": "Doors", "status": "live", "allow_unsigned": true, "doors_open_at": open, "doors_close_at": close
        });
        let event = format!("/api/v1/events/{}", self.tenant.event);
        self.tenant
            .owner
            .at(node)
            .put(&event, &settings)
            .await
            .expect(200);
        let mut history = self.history.lock().expect("not poisoned");
        history.doors = Some((open.as_millis(), close.as_millis()));
    }

    /// Makes the changes of the workload, if it has any, until the run stops.
    pub(super) async fn change(
        &self,
        nodes: &[SocketAddr],
        rng: Rng,
        stopped: &AtomicBool,
        started: Instant,
    ) {
        if self.scopes {
            self.change_scopes(nodes, rng, stopped, started).await;
        } else {
            self.change_rules(nodes, rng, stopped).await;
        }
    }

    /// Takes the gate of a device out of its scope for a time, one device after the other.
    async fn change_scopes(
        &self,
        nodes: &[SocketAddr],
        mut rng: Rng,
        stopped: &AtomicBool,
        started: Instant,
    ) {
        let now = || u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        let mut is_inside = [true; CALLERS];
        while !stopped.load(Ordering::Relaxed) {
            // The callers get some time between two changes. The sleep is part of the schedule; it waits for nothing.
            tokio::time::sleep(Duration::from_millis(50 + rng.below(500) as u64)).await;
            let device = rng.below(CALLERS);
            let gate = self.gate_of(device);
            let scope = match (is_inside[device], rng.below(3)) {
                (true, 0) => json!({ "gate_ids": [] }),
                (true, 1) => json!({ "event_ids": [new_id()], "gate_ids": [gate] }),
                (true, _) => {
                    json!({ "event_ids": [self.tenant.event], "gate_ids": [self.gate_of(device + 1)] })
                }
                (false, 0) => json!({}),
                (false, _) => json!({ "event_ids": [self.tenant.event], "gate_ids": [gate, new_id()] }),
            };
            let owner = self.tenant.owner.at(nodes[rng.below(nodes.len())]);
            let path = format!("/api/v1/scanning/devices/{}", self.device_ids[device]);
            let began = now();
            let patch = json!({ "scope": scope });
            let response = owner.try_call("PATCH", &path, Some(&patch)).await;
            let is_done = response.is_some_and(|response| response.status == 200);
            let change = ScopeChange {
                device,
                began,
                ended: is_done.then(now),
                inside: !is_inside[device],
            };
            self.history.lock().expect("not poisoned").scopes.push(change);
            // A change without an answer is made again: it may have taken effect, or not.
            if is_done {
                is_inside[device] = !is_inside[device];
            }
        }
    }

    /// Changes the re-entry policy of the event, or the entry limit of one of its tickets, until the run stops.
    async fn change_rules(&self, nodes: &[SocketAddr], mut rng: Rng, stopped: &AtomicBool) {
        if !self.changes {
            return;
        }
        let event = format!("/api/v1/events/{}", self.tenant.event);
        while !stopped.load(Ordering::Relaxed) {
            // The callers get some time between two changes. The sleep is part of the schedule; it waits for nothing.
            tokio::time::sleep(Duration::from_millis(50 + rng.below(500) as u64)).await;
            let owner = self.tenant.owner.at(nodes[rng.below(nodes.len())]);
            if rng.below(2) == 0 {
                let reentry = ["never", "after_exit", "after_window"][rng.below(3)];
                let settings = json!({ "name": "Changing", "status": "live", "allow_unsigned": true, "reentry": reentry });
                // A change that does not get through is no change, or one whose answer was lost.
                let _ = owner.try_call("PUT", &event, Some(&settings)).await;
            } else {
                let code = &self.tickets[rng.below(self.tickets.len())];
                let line = json!({ "code": code, "entry_limit": 1 + rng.below(3) });
                let path = format!("{event}/tickets");
                let body = format!("{line}\n");
                let _ = owner
                    .try_open("POST", &path, Some("application/x-ndjson"), body.into())
                    .await;
            }
        }
    }

    /// The calls so far, with the records and the occupancy that the server reports now.
    pub(super) async fn read_history(&self, owner: &Client) -> RunHistory {
        let mut history = self.history.lock().expect("not poisoned").clone();
        let event = &self.tenant.event;
        let path = format!("/api/v1/scanning/scans?event_id={event}");
        let export = owner
            .with_header("accept", "application/x-ndjson")
            .get(&path)
            .await
            .expect(200);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        for line in export.lines() {
            let record = RecordedScan {
                ticket: text(&line["ticket_code"]),
                exit: line["direction"] == "exit",
                valid: line["result"] == "valid",
                reason: text(&line["reason"]),
                undone: !line["undone"].is_null(),
                scanned_at: text(&line["scanned_at"]),
            };
            history.records.insert(text(&line["scan_id"]), record);
        }
        let path = format!("/api/v1/scanning/events/{event}/occupancy");
        let occupancy = owner.get(&path).await.expect(200).json()["event"].clone();
        let number = |name: &str| occupancy[name].as_i64().expect("a number");
        history.occupancy = Occupancy {
            entries: number("entries"),
            exits: number("exits"),
            inside: number("inside"),
        };
        history
    }
}

/// The next full minute by the clock of the first node, at least ten seconds from now: when a day may begin.
async fn next_minute(tenant: &Tenant) -> (Instant, Timestamp) {
    let asked = Instant::now();
    let device = tenant
        .device
        .get("/api/v1/scanning/device")
        .await
        .expect(200)
        .json();
    let text = device["server_time"].as_str().expect("a time");
    let now: Timestamp = text.parse().expect("a time");
    let soonest = now.as_millis() + 10_000;
    let begin = Timestamp::from_millis(soonest + 60_000 - soonest.rem_euclid(60_000));
    let left = u64::try_from(begin.millis_since(now)).expect("it is later");
    (asked + Duration::from_millis(left), begin)
}

/// The gate of a caller.
fn gate_of(tenant: &Tenant, caller: usize) -> &str {
    if caller.is_multiple_of(2) {
        &tenant.gate
    } else {
        &tenant.other_gate
    }
}

/// A scan that a caller has sent at least once.
struct SentScan {
    body: Value,
    /// `None` while the server has not made one.
    scan_id: Option<String>,
    ticket: String,
    kind: CallKind,
    answered: bool,
}

/// A caller with a device of its own.
pub(super) struct Caller<'a> {
    workload: &'a Workload,
    /// The index of its device.
    number: usize,
    device: &'a Client,
    nodes: &'a [SocketAddr],
    /// The start of the run, from which the times of the calls count.
    started: Instant,
    rng: Rng,
    sent: Vec<SentScan>,
}

impl<'a> Caller<'a> {
    pub(super) fn new(
        workload: &'a Workload,
        number: usize,
        nodes: &'a [SocketAddr],
        started: Instant,
        rng: Rng,
    ) -> Self {
        Self {
            workload,
            number,
            device: &workload.devices[number],
            nodes,
            started,
            rng,
            sent: Vec::new(),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Makes random calls until the run stops, and then repeats every scan without an answer until it has one.
    pub(super) async fn run(&mut self, stopped: &AtomicBool) {
        while !stopped.load(Ordering::Relaxed) {
            match (self.rng.below(100), self.sent.is_empty()) {
                (0..60, _) | (_, true) => self.scan(CallKind::Entry).await,
                (60..75, _) if self.workload.exits => self.scan(CallKind::Exit).await,
                // An upload outside the scope is quarantined. Other tests check that.
                (60..65, _) if !self.workload.scopes => self.upload().await,
                (65..90, _) => {
                    let recent = self.sent.len().min(20);
                    let index = self.sent.len() - 1 - self.rng.below(recent);
                    self.send(index).await;
                }
                _ => self.undo().await,
            }
        }
        for index in 0..self.sent.len() {
            let first_attempt = Instant::now();
            while !self.sent[index].answered {
                assert!(
                    first_attempt.elapsed() < CONDITION_TIMEOUT,
                    "no answer to {}",
                    self.sent[index].body
                );
                self.send(index).await;
            }
        }
    }

    fn random_ticket(&mut self) -> String {
        self.workload.tickets[self.rng.below(self.workload.tickets.len())].clone()
    }

    /// Makes an id for a scan: as a client does now, or one whose time says nothing.
    fn make_id(&mut self) -> String {
        if self.rng.below(2) == 0 {
            return new_id();
        }
        // A UUID of version 4.
        let (high, low) = (self.rng.next(), self.rng.next());
        let (first, second, third) = (high >> 32, (high >> 16) & 0xffff, high & 0xfff);
        let (fourth, last) = (((low >> 48) & 0x3fff) | 0x8000, low & 0xffff_ffff_ffff);
        format!("{first:08x}-{second:04x}-4{third:03x}-{fourth:04x}-{last:012x}")
    }

    async fn scan(&mut self, kind: CallKind) {
        let ticket = self.random_ticket();
        let direction = if kind == CallKind::Exit { "exit" } else { "entry" };
        let mut body = json!({ "ticket_code": ticket, "direction": direction });
        let scan_id = (self.rng.below(8) > 0).then(|| self.make_id());
        if let Some(scan_id) = &scan_id {
            body["scan_id"] = json!(scan_id);
        }
        self.sent.push(SentScan {
            body,
            scan_id,
            ticket,
            kind,
            answered: false,
        });
        let index = self.sent.len() - 1;
        self.send(index).await;
        if self.sent[index].scan_id.is_none() {
            // Without an answer, nobody knows the id.
            self.sent.pop();
        }
    }

    /// Uploads a denial that the device decided offline, until the upload is answered. From then on every node must replay it.
    async fn upload(&mut self) {
        let (ticket, scan_id) = (self.random_ticket(), self.make_id());
        let gate = self.workload.gate_of(self.number).to_owned();
        // The device's clock is wrong, and tells so: the scan counts at its arrival.
        let at = "2026-11-20T18:00:00Z";
        // Old phones name no event. The server then finds it by the gate, or by the session where the gate serves two.
        let event = (self.rng.below(2) == 0).then(|| self.workload.tenant.event.clone());
        let batch = json!({ "batch_id": new_id(), "sent_at": at, "scans": [{
            "scan_id": scan_id, "event_id": event, "ticket_code": ticket, "gate_id": gate, "direction": "entry", "scanned_at": at,
            "local_result": "duplicate", "local_reason": "already_scanned"
        }] });
        let first_attempt = Instant::now();
        let began = self.now();
        // What the server said when it did not answer, with how often.
        let mut refusals: BTreeMap<String, u32> = BTreeMap::new();
        loop {
            assert!(
                first_attempt.elapsed() < CONDITION_TIMEOUT,
                "no answer to {batch}: {refusals:?}"
            );
            let node = self.rng.below(self.nodes.len());
            let device = self.device.at(self.nodes[node]);
            let response = device
                .try_call("POST", "/api/v1/scanning/sync", Some(&batch))
                .await;
            let outcome = match response.map(|response| (response.status, response)) {
                Some((200, response)) => {
                    let result = response.json()["results"][0].clone();
                    let status = result["status"].as_str().unwrap_or_default();
                    if matches!(status, "recorded" | "replayed") && result["result"] == "duplicate" {
                        CallOutcome::Decided(ObservedDecision {
                            valid: false,
                            reason: result["reason"].as_str().unwrap_or_default().to_owned(),
                            // The answer to an upload has no time.
                            scanned_at: String::new(),
                            replayed: status == "replayed",
                            from_cache: false,
                        })
                    } else {
                        CallOutcome::Unexpected(format!("an upload: {result}"))
                    }
                }
                Some((429 | 503, refused)) => {
                    let code = refused.json()["code"].as_str().unwrap_or_default().to_owned();
                    *refusals.entry(code).or_default() += 1;
                    // A client backs off before it tries again.
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                }
                None => {
                    *refusals.entry("no response".to_owned()).or_default() += 1;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                }
                Some((status, response)) => {
                    CallOutcome::Unexpected(format!("an upload: {status} {}", response.text()))
                }
            };
            self.sent.push(SentScan {
                body: json!({ "ticket_code": ticket, "direction": "entry", "scan_id": scan_id }),
                scan_id: Some(scan_id),
                ticket,
                kind: CallKind::Entry,
                answered: false,
            });
            let index = self.sent.len() - 1;
            self.finish_call(index, node, CallKind::Upload, began, outcome)
                .await;
            return;
        }
    }

    /// Sends a scan to a random node. Every time the client may have changed its mind about an override.
    async fn send(&mut self, index: usize) {
        let node = self.rng.below(self.nodes.len());
        let began = self.now();
        let device = self.device.at(self.nodes[node]);
        let scan = &self.sent[index];
        let mut body = scan.body.clone();
        let overrides = self.workload.overrides && scan.kind == CallKind::Entry;
        if overrides && self.rng.below(8) == 0 {
            body["override"] = json!({ "reason": "a guest of honour" });
        }
        if scan.scan_id.is_some() && self.rng.below(6) == 0 {
            interrupted::scan_and_reset(&device, &body, &mut self.rng).await;
            let kind = self.sent[index].kind;
            self.finish_call(index, node, kind, began, CallOutcome::Unknown)
                .await;
            return;
        }
        let response = device.try_scan(&body).await;
        if let Some(response) = response.as_ref().filter(|response| response.status == 200) {
            let made = response.json()["scan_id"].as_str().unwrap_or_default().to_owned();
            let scan = &mut self.sent[index];
            if scan.scan_id.is_none() {
                scan.body["scan_id"] = json!(made);
                scan.scan_id = Some(made);
            }
        }
        let outcome = match response {
            None => CallOutcome::Unknown,
            Some(response) => match (response.status, response.json()) {
                (200, answer) => CallOutcome::Decided(ObservedDecision {
                    valid: answer["result"] == "valid",
                    reason: answer["reason"].as_str().unwrap_or_default().to_owned(),
                    scanned_at: answer["scanned_at"].as_str().unwrap_or_default().to_owned(),
                    replayed: answer["replayed"] == true,
                    from_cache: answer["decided_by"] == "memory" || answer["decided_by"] == "redis",
                }),
                (503, _) => CallOutcome::Unknown,
                (409, problem) if problem["code"] == "scan_undone" => CallOutcome::ScanUndone,
                (403, problem) if problem["code"] == "out_of_scope" && self.workload.scopes => {
                    CallOutcome::OutOfScope
                }
                (status, problem) => CallOutcome::Unexpected(format!("{status} {problem}")),
            },
        };
        self.finish_call(index, node, self.sent[index].kind, began, outcome)
            .await;
    }

    async fn undo(&mut self) {
        let entries: Vec<usize> = (0..self.sent.len())
            .filter(|index| self.sent[*index].kind == CallKind::Entry)
            .collect();
        let Some(last) = entries.len().checked_sub(1) else {
            return;
        };
        let index = entries[last - self.rng.below(entries.len().min(20))];
        let node = self.rng.below(self.nodes.len());
        let Some(scan_id) = &self.sent[index].scan_id else {
            return;
        };
        let path = format!("/api/v1/scanning/scans/{scan_id}/undo");
        let owner = self.workload.tenant.owner.at(self.nodes[node]);
        let began = self.now();
        let response = owner
            .try_call("POST", &path, Some(&json!({ "reason": "a check" })))
            .await;
        let outcome = match response.map(|response| response.status) {
            None | Some(503) => CallOutcome::Unknown,
            Some(200) => CallOutcome::Undone,
            Some(404 | 409) => CallOutcome::UndoRejected,
            Some(status) => CallOutcome::Unexpected(status.to_string()),
        };
        self.finish_call(index, node, CallKind::Undo, began, outcome)
            .await;
    }

    async fn finish_call(
        &mut self,
        index: usize,
        node: usize,
        kind: CallKind,
        began: u64,
        outcome: CallOutcome,
    ) {
        let unknown = outcome == CallOutcome::Unknown;
        let ended = self.now();
        let scan = &mut self.sent[index];
        scan.answered |= !unknown && kind != CallKind::Undo;
        if let Some(scan_id) = scan.scan_id.clone() {
            self.workload.push(ObservedCall {
                began,
                ended,
                node,
                device: self.number,
                kind,
                scan_id,
                ticket: scan.ticket.clone(),
                outcome,
            });
        }
        if unknown {
            // A client backs off before it tries again.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
