//! The callers of a run: they scan, retry and undo at random nodes, and record every call.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use voelgoed_scan_suite::fixture::{Tenant, new_id};
use voelgoed_scan_suite::wait::CONDITION_TIMEOUT;
use voelgoed_scan_suite::{Client, Cluster};

use super::checker::{
    CallKind, CallOutcome, ObservedCall, ObservedDecision, Occupancy, Policy, RecordedScan, RunHistory,
};
use super::rng::Rng;

/// The number of callers at each event.
const CALLERS: usize = 4;

/// The number of tickets of each event.
const TICKETS: usize = 12;

/// An event with a re-entry policy, its callers' devices, and the history of their calls.
pub(super) struct Workload {
    pub(super) tenant: Tenant,
    pub(super) devices: Vec<Client>,
    tickets: Vec<String>,
    /// Whether the callers scan exits.
    exits: bool,
    history: Mutex<RunHistory>,
}

impl Workload {
    pub(super) async fn new(cluster: &Cluster, name: &str, reentry: &str) -> Self {
        let tenant = cluster.tenant(name).await;
        let window = i64::try_from(cluster.config.dedup_window.as_millis()).expect("a short window");
        let event = format!("/api/v1/events/{}", tenant.event);
        let settings = json!({ "name": name, "status": "live", "allow_unsigned": true, "reentry": reentry });
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
                let policy = match reentry {
                    "after_exit" => Policy::AfterExit(limit),
                    "after_window" => Policy::AfterWindow(limit, window),
                    _ => Policy::Never(limit),
                };
                history.policies.insert(code.to_owned(), policy);
                tickets.push(code.to_owned());
            }
        }
        let mut devices = Vec::new();
        for caller in 0..CALLERS {
            let (device, _) = tenant.new_device(&format!("caller-{caller}"), &json!({})).await;
            let gate = if caller % 2 == 0 {
                &tenant.gate
            } else {
                &tenant.other_gate
            };
            tenant.start_session(&device, gate).await;
            devices.push(device);
        }
        Self {
            tenant,
            devices,
            tickets,
            exits: reentry == "after_exit",
            history: Mutex::new(history),
        }
    }

    fn push(&self, call: ObservedCall) {
        self.history.lock().expect("not poisoned").calls.push(call);
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

/// A scan that a caller has sent at least once.
struct SentScan {
    body: Value,
    scan_id: String,
    ticket: String,
    kind: CallKind,
    answered: bool,
}

/// A caller with a device of its own.
pub(super) struct Caller<'a> {
    workload: &'a Workload,
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
        device: &'a Client,
        nodes: &'a [SocketAddr],
        started: Instant,
        rng: Rng,
    ) -> Self {
        Self {
            workload,
            device,
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
                (60..90, _) => {
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

    async fn scan(&mut self, kind: CallKind) {
        let ticket = self.workload.tickets[self.rng.below(self.workload.tickets.len())].clone();
        let scan_id = new_id();
        let direction = if kind == CallKind::Exit { "exit" } else { "entry" };
        let body = json!({ "ticket_code": ticket, "scan_id": scan_id, "direction": direction });
        self.sent.push(SentScan {
            body,
            scan_id,
            ticket,
            kind,
            answered: false,
        });
        self.send(self.sent.len() - 1).await;
    }

    async fn send(&mut self, index: usize) {
        let node = self.rng.below(self.nodes.len());
        let began = self.now();
        let scan = &self.sent[index];
        let response = self.device.at(self.nodes[node]).try_scan(&scan.body).await;
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
        let path = format!("/api/v1/scanning/scans/{}/undo", self.sent[index].scan_id);
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
        self.workload.push(ObservedCall {
            began,
            ended,
            node,
            kind,
            scan_id: scan.scan_id.clone(),
            ticket: scan.ticket.clone(),
            outcome,
        });
        if unknown {
            // A client backs off before it tries again.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
