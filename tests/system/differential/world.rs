//! One history: an organization at the server, the same in the model, and the steps that both take.

use std::net::SocketAddr;

use serde_json::{Value, json};
use voelgoed_scan_core::model::Timestamp;
use voelgoed_scan_server::Running;
use voelgoed_scan_suite::fixture::{Tenant, new_id};
use voelgoed_scan_suite::{Client, Response};

use crate::history::rng::Rng;
use crate::model::{
    Answer, Attempt, BrokenRule, Decision, Device, Event, Gate, Headcount, Model, Policy, Reading, Status,
    Ticket, Times,
};

const WINDOW_MILLIS: i64 = 300_000;
const CLASSES: [&str; 2] = ["VIP", "Standard"];
const TICKETS: usize = 9;

#[derive(Debug, Clone)]
pub(super) struct WorldSettings {
    pub(super) seed: u64,
    /// Whether policies and entry limits change in the middle of the history.
    pub(super) rule_changes: bool,
    /// The policy of the first event; any without one.
    pub(super) policy: Option<Policy>,
    pub(super) broken: Option<BrokenRule>,
}

/// A text that a device can read, and what it is worth.
#[derive(Debug, Clone)]
struct Readable {
    /// The field of the request.
    field: &'static str,
    text: String,
    reading: Reading,
}

pub(super) struct World {
    settings: WorldSettings,
    rng: Rng,
    model: Model,
    tenant: Tenant,
    staff: Client,
    devices: Vec<Client>,
    sessions: Vec<Option<String>>,
    events: Vec<String>,
    gates: Vec<String>,
    codes: Vec<String>,
    readable: Vec<Readable>,
    /// The attempts with an id that were sent, with the field of their text.
    sent: Vec<(Attempt, &'static str)>,
    /// The latest time of the server that an answer showed.
    now: i64,
    log: Vec<String>,
    difference: Option<String>,
}

impl World {
    /// Creates the organization with its events, gates, tickets and devices.
    pub(super) async fn new(server: &Running, settings: WorldSettings) -> Self {
        let anonymous = Client::new(server.address());
        let tenant = Tenant::new(server, &anonymous, "Differential").await;
        let staff = tenant.member("staff").await;
        let mut model = Model::new(WINDOW_MILLIS);
        model.broken = settings.broken;
        let mut world = Self {
            rng: Rng::new(settings.seed),
            settings,
            model,
            tenant,
            staff,
            devices: Vec::new(),
            sessions: Vec::new(),
            events: vec![new_id(), new_id()],
            gates: Vec::new(),
            codes: Vec::new(),
            readable: Vec::new(),
            sent: Vec::new(),
            now: 0,
            log: Vec::new(),
            difference: None,
        };
        world.now = world.server_time().await;
        world.gates = (0..3).map(|_| new_id()).collect();
        // The gate of the second event is the first gate of the first event: one door serves both.
        world.gates.push(world.gates[0].clone());
        for event in 0..2 {
            let any = world.any_policy();
            let policy = world.settings.policy.filter(|_| event == 0).unwrap_or(any);
            world.model.events.push(Event {
                status: "live",
                times: Times::default(),
                policy,
                allow_unsigned: world.rng.below(4) > 0,
                capacity: None,
            });
            world.put_event(event).await;
        }
        for gate in 0..4 {
            world.model.gates.push(Gate {
                event: usize::from(gate == 3),
                open: true,
                capacity: None,
                classes: None,
            });
            world.put_gate(gate).await;
        }
        for index in 0..TICKETS {
            world.add_ticket(index).await;
        }
        world.add_bad_payloads();
        for index in 0..4 {
            world.add_device(index).await;
        }
        world
    }

    async fn server_time(&self) -> i64 {
        let device = self
            .tenant
            .device
            .get("/api/v1/scanning/device")
            .await
            .expect(200);
        millis(&device.json()["server_time"])
    }

    fn any_policy(&mut self) -> Policy {
        match self.rng.below(3) {
            0 => Policy::Never,
            1 => Policy::AfterWindow,
            _ => Policy::AfterExit,
        }
    }

    fn one_in(&mut self, number: usize) -> bool {
        self.rng.below(number) == 0
    }

    async fn put_event(&mut self, index: usize) {
        let event = &self.model.events[index];
        let time = |at: Option<i64>| at.map(|at| Timestamp::from_millis(at).to_string());
        let (status, times) = (event.status, event.times);
        let reentry = match event.policy {
            Policy::Never => "never",
            Policy::AfterWindow => "after_window",
            Policy::AfterExit => "after_exit",
        };
        let body = json!({
            "name": "Show", "status": status, "reentry": reentry, "capacity": event.capacity,
            "allow_unsigned": event.allow_unsigned, "starts_at": time(times.starts), "ends_at": time(times.ends),
            "doors_open_at": time(times.doors_open), "doors_close_at": time(times.doors_close),
            "rescheduled_at": time(times.rescheduled)
        });
        let path = format!("/api/v1/events/{}", self.events[index]);
        self.log.push(format!("PUT event {index} {body}"));
        let response = self.tenant.owner.put(&path, &body).await;
        assert!(matches!(response.status, 200 | 201), "{response:?}");
    }

    async fn put_gate(&mut self, index: usize) {
        let gate = &self.model.gates[index];
        let status = if gate.open { "open" } else { "closed" };
        let body = json!({
            "name": "Main", "status": status, "capacity": gate.capacity, "ticket_classes": gate.classes
        });
        let event = &self.events[gate.event];
        let path = format!("/api/v1/events/{event}/gates/{}", self.gates[index]);
        self.log.push(format!("PUT gate {index} {body}"));
        let response = self.tenant.owner.put(&path, &body).await;
        assert!(matches!(response.status, 200 | 201), "{response:?}");
    }

    async fn add_ticket(&mut self, index: usize) {
        // Codes are unique in an organization, so every history has the same ones.
        let code = format!("{:0>16}", index + 1);
        // The last ticket belongs to the other event.
        let mut ticket = Ticket::new(usize::from(index + 1 == TICKETS), 1 + self.rng.below(3) / 2 * 2);
        ticket.class = match self.rng.below(3) {
            0 => None,
            other => Some(CLASSES[other - 1]),
        };
        if ticket.event == 0 && self.one_in(4) {
            let first = self.rng.below(3);
            ticket.gates = Some(vec![first, (first + 1) % 3]);
        }
        // Whole seconds, as VG2 claims have them. The clock is moved past some of them.
        let seconds = self.now / 1000 * 1000;
        match self.rng.below(6) {
            0 => ticket.valid_from = Some(seconds + 250_000),
            1 => ticket.valid_until = Some(seconds + 250_000),
            _ => {}
        }
        self.codes.push(code.clone());
        self.model.tickets.push(ticket);
        self.import(index).await;
        let path = format!("{}/{code}/qr", self.tickets_path(index));
        let vg1 = self.tenant.owner.get(&path).await.expect(200).text().to_owned();
        let vg2 = self
            .tenant
            .owner
            .get(&format!("{path}?format=vg2"))
            .await
            .expect(200);
        let held = &self.model.tickets[index];
        let by_claims = Reading::SignedUntil(index, held.valid_from, held.valid_until);
        let grouped: Vec<_> = code.as_bytes().chunks(4).map(String::from_utf8_lossy).collect();
        for (field, text, reading) in [
            ("qr", vg1.clone(), Reading::Signed(index)),
            ("qr", vg1, Reading::Signed(index)),
            ("qr", vg2.text().to_owned(), by_claims),
            ("ticket_code", code.clone(), Reading::Bare(Some(index))),
            ("ticket_code", grouped.join("-"), Reading::Bare(Some(index))),
        ] {
            self.readable.push(Readable { field, text, reading });
        }
    }

    fn tickets_path(&self, ticket: usize) -> String {
        let event = &self.events[self.model.tickets[ticket].event];
        format!("/api/v1/events/{event}/tickets")
    }

    async fn import(&mut self, index: usize) {
        let ticket = &self.model.tickets[index];
        let gates = ticket.gates.as_ref().map(|gates| {
            gates
                .iter()
                .map(|gate| self.gates[*gate].clone())
                .collect::<Vec<_>>()
        });
        let time = |at: Option<i64>| at.map(|at| Timestamp::from_millis(at).to_string());
        let line = json!({
            "code": self.codes[index], "entry_limit": ticket.limit, "ticket_class": ticket.class, "gate_ids": gates,
            "valid_from": time(ticket.valid_from), "valid_until": time(ticket.valid_until)
        });
        self.log.push(format!("IMPORT ticket {index} {line}"));
        let event = &self.events[ticket.event];
        let imported = self
            .tenant
            .owner
            .import(event, format!("{line}\n"))
            .await
            .expect(200);
        assert_eq!(imported.json()["rejected"], 0, "{imported:?}");
    }

    fn add_bad_payloads(&mut self) {
        let signed = self.readable[0].text.clone();
        let (head, tag) = signed.rsplit_once('.').expect("a VG1 payload");
        let first = if tag.starts_with('A') { 'B' } else { 'A' };
        let forged = format!("{head}.{first}{}", tag.chars().skip(1).collect::<String>());
        for (field, text, reading) in [
            ("qr", "nonsense".to_owned(), Reading::Malformed),
            ("qr", signed.replacen("VG1.1.", "VG1.9.", 1), Reading::UnknownKey),
            ("qr", forged, Reading::BadSignature),
            ("ticket_code", "zzzzzzzzzzzzzzzz".to_owned(), Reading::Bare(None)),
            ("ticket_code", "too short".to_owned(), Reading::Malformed),
        ] {
            self.readable.push(Readable { field, text, reading });
        }
    }

    async fn add_device(&mut self, index: usize) {
        let can_override = index == 1;
        let settings = json!({ "can_override": can_override });
        let (device, _) = self
            .tenant
            .new_device(&format!("device-{index}"), &settings)
            .await;
        self.devices.push(device);
        self.sessions.push(None);
        self.model.devices.push(Device {
            gate: None,
            can_override,
        });
        // The last device has no session at first.
        if index < 3 {
            self.start_session(index, index).await;
        }
    }

    async fn start_session(&mut self, device: usize, gate: usize) {
        let event = &self.events[self.model.gates[gate].event];
        let body = json!({ "event_id": event, "gate_id": self.gates[gate], "replace": true });
        self.log
            .push(format!("SESSION of device {device} at gate {gate}"));
        let started = self.devices[device]
            .post("/api/v1/scanning/sessions", &body)
            .await
            .expect(201)
            .json();
        self.sessions[device] = started["id"].as_str().map(str::to_owned);
        self.model.devices[device].gate = Some(gate);
    }

    /// Continues with a server that was started again, whose clock was moved.
    pub(super) fn continue_at(&mut self, address: SocketAddr, clock_step: i64) {
        self.log.push(format!("CLOCK +{clock_step}"));
        self.now += clock_step;
        self.tenant.owner = self.tenant.owner.at(address);
        self.staff = self.staff.at(address);
        self.devices = self.devices.iter().map(|device| device.at(address)).collect();
    }

    /// The number of steps taken.
    pub(super) fn steps(&self) -> usize {
        self.log.len()
    }

    /// The first difference between the server and the model, with the steps before it.
    pub(super) fn into_difference(self) -> Option<String> {
        self.difference
    }

    /// Takes steps until the server and the model differ, then compares their states.
    pub(super) async fn run(&mut self, steps: usize) {
        for _ in 0..steps {
            if self.difference.is_some() {
                return;
            }
            match self.rng.below(100) {
                0..=61 => self.scan().await,
                62..=71 => self.repeat().await,
                72..=79 => self.undo().await,
                80..=85 => self.change_ticket().await,
                86..=90 => self.change_gate().await,
                91..=93 => self.change_event().await,
                94..=97 => self.move_device().await,
                _ => self.compare_states().await,
            }
        }
        if self.difference.is_none() {
            self.compare_states().await;
        }
    }

    async fn scan(&mut self) {
        let readable = {
            let index = self.rng.below(self.readable.len());
            self.readable[index].clone()
        };
        let dry_run = self.one_in(12);
        let exit = self.one_in(4);
        let attempt = Attempt {
            device: self.rng.below(self.devices.len()),
            text: readable.text,
            reading: readable.reading,
            exit,
            scan_id: (!dry_run && !self.one_in(5)).then(new_id),
            with_override: !exit && self.one_in(6),
            dry_run,
        };
        self.send(attempt, readable.field).await;
    }

    /// Sends a scan again, sometimes with another payload, direction or device.
    async fn repeat(&mut self) {
        if self.sent.is_empty() {
            return;
        }
        let index = self.rng.below(self.sent.len());
        let (mut attempt, mut field) = self.sent[index].clone();
        match self.rng.below(10) {
            0 => attempt.device = self.rng.below(self.devices.len()),
            1 => attempt.exit = !attempt.exit,
            2 => {
                let other = self.rng.below(self.readable.len());
                field = self.readable[other].field;
                attempt.text.clone_from(&self.readable[other].text);
                attempt.reading = self.readable[other].reading;
            }
            _ => {}
        }
        attempt.with_override &= !attempt.exit;
        self.send(attempt, field).await;
    }

    async fn send(&mut self, attempt: Attempt, field: &'static str) {
        let mut body =
            json!({ field: attempt.text, "direction": if attempt.exit { "exit" } else { "entry" } });
        if let Some(id) = &attempt.scan_id {
            body["scan_id"] = json!(id);
        }
        if attempt.with_override {
            body["override"] = json!({ "reason": "Seen by the steward" });
        }
        if attempt.dry_run {
            body["dry_run"] = json!(true);
        }
        let response = self.devices[attempt.device].scan(&body).await;
        self.log.push(format!(
            "SCAN by device {} of {:?}: {body} -> {}",
            attempt.device,
            attempt.reading,
            response.text()
        ));
        let answer = if response.status == 200 {
            response.json()
        } else {
            Value::Null
        };
        let at = match &answer["scanned_at"] {
            Value::String(_) => millis(&answer["scanned_at"]),
            _ => self.now,
        };
        self.now = self.now.max(at);
        let expected = self.model.scan(&attempt, at, answer["scan_id"].as_str());
        // A dry run does not say what the occupancy would be.
        let detail = if attempt.dry_run {
            Detail::Decision
        } else {
            Detail::Everything
        };
        let told = told_by_response(&response, detail);
        self.compare("scan", &told, &told_by_model(&expected, detail));
        if attempt.scan_id.is_some() && response.status == 200 {
            self.sent.push((attempt, field));
        }
    }

    async fn undo(&mut self) {
        if self.sent.is_empty() {
            return;
        }
        let index = self.rng.below(self.sent.len());
        let attempt = self.sent[index].0.clone();
        let scan_id = attempt.scan_id.unwrap_or_default();
        let device = match self.rng.below(3) {
            0 => None,
            1 => Some(attempt.device),
            _ => Some(self.rng.below(self.devices.len())),
        };
        // The documentation leaves open who may repeat an undo.
        let device = device.filter(|_| !self.model.was_undone(&scan_id));
        let client = match device {
            Some(device) => &self.devices[device],
            None => &self.staff,
        };
        let path = format!("/api/v1/scanning/scans/{scan_id}/undo");
        let response = client.post(&path, &json!({ "reason": "By mistake" })).await;
        self.log
            .push(format!("UNDO {scan_id} by {device:?} -> {}", response.text()));
        let expected = self.model.undo(&scan_id, device, self.now);
        let told = match response.status {
            200 => "undone".to_owned(),
            status => format!("{status} {}", response.code()),
        };
        self.compare("undo", &told, &told_by_model(&expected, Detail::Decision));
    }

    async fn change_ticket(&mut self) {
        let ticket = self.rng.below(TICKETS);
        if self.settings.rule_changes && self.one_in(2) {
            self.model.tickets[ticket].limit = 1 + self.rng.below(3);
            self.import(ticket).await;
            return;
        }
        // Most tickets stay active, so that the later checks are reached.
        let (status, word) = match self.rng.below(6) {
            0 => (Status::Used, "used"),
            1 => (Status::Voided, "voided"),
            2 => (Status::Refunded, "refunded"),
            _ => (Status::Active, "active"),
        };
        self.model.tickets[ticket].status = status;
        let path = format!("{}/{}", self.tickets_path(ticket), self.codes[ticket]);
        self.log.push(format!("PATCH ticket {ticket} {word}"));
        let body = json!({ "status": word });
        let response = self
            .tenant
            .owner
            .call_with("PATCH", &path, &body)
            .await
            .expect(200);
        let (expected, _) = self.model.shown(ticket);
        let told = response.json()["status"].as_str().unwrap_or_default().to_owned();
        self.compare("change of a ticket", &told, expected);
    }

    fn any_capacity(&mut self) -> Option<i64> {
        match self.rng.below(4) {
            0 => i64::try_from(self.rng.below(8)).ok(),
            _ => None,
        }
    }

    async fn change_gate(&mut self) {
        let index = self.rng.below(self.gates.len());
        let (open, capacity) = (!self.one_in(4), self.any_capacity());
        let classes = match self.rng.below(4) {
            0 => Some(vec![CLASSES[0]]),
            1 => Some(CLASSES.to_vec()),
            _ => None,
        };
        let gate = &mut self.model.gates[index];
        (gate.open, gate.capacity, gate.classes) = (open, capacity, classes);
        self.put_gate(index).await;
    }

    async fn change_event(&mut self) {
        let index = self.rng.below(self.events.len());
        let status = match self.rng.below(12) {
            0 => ["draft", "published", "ended", "cancelled", "archived"][self.rng.below(5)],
            1 | 2 => "postponed",
            _ => "live",
        };
        let times = self.any_times();
        let (allow_unsigned, capacity) = (!self.one_in(3), self.any_capacity());
        let policy = if self.settings.rule_changes {
            self.any_policy()
        } else {
            self.model.events[index].policy
        };
        self.model.events[index] = Event {
            status,
            times,
            policy,
            allow_unsigned,
            capacity,
        };
        self.put_event(index).await;
    }

    /// Times about now. The clock is moved past some of them.
    fn any_times(&mut self) -> Times {
        let now = self.now;
        let mut about_now = |one_in: usize| {
            let at = now + [-250_000, -1_000, 1_000, 250_000][self.rng.below(4)];
            (self.rng.below(one_in) == 0).then_some(at)
        };
        let (starts, doors_open, rescheduled) = (about_now(1), about_now(4), about_now(1));
        let mut later = |from: Option<i64>, one_in: usize| {
            let at = from.unwrap_or(now) + [1_000, 250_000, 500_000][self.rng.below(3)];
            (self.rng.below(one_in) == 0).then_some(at)
        };
        Times {
            starts,
            ends: later(starts, 1),
            doors_open,
            doors_close: later(doors_open, 4),
            rescheduled,
        }
    }

    async fn move_device(&mut self) {
        let device = self.rng.below(self.devices.len());
        match self.sessions[device].clone() {
            Some(session) if self.one_in(4) => {
                self.log.push(format!("END of the session of device {device}"));
                let path = format!("/api/v1/scanning/sessions/{session}/end");
                self.devices[device].call("PUT", &path).await.expect(200);
                self.sessions[device] = None;
                self.model.devices[device].gate = None;
            }
            _ => {
                let gate = self.rng.below(self.gates.len());
                self.start_session(device, gate).await;
            }
        }
    }

    /// Compares occupancy and tickets as the API shows them.
    async fn compare_states(&mut self) {
        for index in 0..self.events.len() {
            let path = format!("/api/v1/scanning/events/{}/occupancy", self.events[index]);
            let occupancy = self.tenant.owner.get(&path).await.expect(200).json();
            for shown in occupancy["gates"].as_array().cloned().unwrap_or_default() {
                let is_shown =
                    |gate: &usize| shown["id"] == self.gates[*gate] && self.model.gates[*gate].event == index;
                let gate = (0..self.gates.len()).find(is_shown).expect("a gate");
                let count = self.model.count(gate);
                let told = format!("{} - {} = {}", shown["entries"], shown["exits"], shown["inside"]);
                let expected = format!(
                    "{} - {} = {}",
                    count.entries,
                    count.exits,
                    count.entries - count.exits
                );
                self.compare(&format!("occupancy of gate {gate}"), &told, &expected);
            }
        }
        for ticket in 0..TICKETS {
            let path = format!("{}/{}", self.tickets_path(ticket), self.codes[ticket]);
            let shown = self.tenant.owner.get(&path).await.expect(200).json();
            let (status, admissions) = self.model.shown(ticket);
            let told = format!(
                "{} {}",
                shown["status"].as_str().unwrap_or_default(),
                shown["scan_count"]
            );
            self.compare(
                &format!("state of ticket {ticket}"),
                &told,
                &format!("{status} {admissions}"),
            );
        }
    }

    /// Keeps the first difference, with the last steps before it.
    fn compare(&mut self, what: &str, told: &str, expected: &str) {
        if told == expected || self.difference.is_some() {
            return;
        }
        let steps = self.log.iter().skip(self.log.len().saturating_sub(60));
        let steps: Vec<&str> = steps.map(String::as_str).collect();
        self.difference = Some(format!(
            "history {}, step {}: {what}\n  server: {told}\n  model:  {expected}\n{}",
            self.settings.seed,
            self.log.len(),
            steps.join("\n")
        ));
    }
}

fn millis(time: &Value) -> i64 {
    let text = time.as_str().expect("a time");
    text.parse::<Timestamp>().expect("a time").as_millis()
}

/// How much of an answer is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Detail {
    /// Result and reason, as a dry run has them.
    Decision,
    /// The ticket and the people inside as well.
    Everything,
}

/// What an answer says, as one line.
fn told_by_response(response: &Response, detail: Detail) -> String {
    if response.status != 200 {
        return format!("{} {}", response.status, response.code());
    }
    let answer = response.json();
    let decision = format!("{} {}", text(&answer["result"]), text(&answer["reason"]));
    if detail == Detail::Decision {
        return decision;
    }
    let ticket = match &answer["ticket"] {
        Value::Null => "no ticket".to_owned(),
        ticket => format!("{} {}", text(&ticket["status"]), ticket["scan_count"]),
    };
    let decision = format!("{decision}, replayed {}, {ticket}", answer["replayed"]);
    let headcount = |count: &Value| format!("{} of {}", count["inside"], count["capacity"]);
    format!(
        "{decision}, gate {}, event {}",
        headcount(&answer["occupancy"]["gate"]),
        headcount(&answer["occupancy"]["event"])
    )
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The same line for an answer of the model.
fn told_by_model(answer: &Answer, detail: Detail) -> String {
    let decision = match answer {
        Answer::Problem(status, code) => return format!("{status} {code}"),
        Answer::Undone => return "undone".to_owned(),
        Answer::Decision(decision) => decision,
    };
    let Decision {
        reason,
        result,
        replayed,
        ticket,
        gate,
        event,
    } = decision;
    if detail == Detail::Decision {
        return format!("{result} {reason}");
    }
    let ticket = match ticket {
        None => "no ticket".to_owned(),
        Some((status, admissions)) => format!("{status} {admissions}"),
    };
    let decision = format!("{result} {reason}, replayed {replayed}, {ticket}");
    let headcount = |count: &Headcount| {
        let capacity = count
            .capacity
            .map_or("null".to_owned(), |capacity| capacity.to_string());
        format!("{} of {capacity}", count.inside)
    };
    format!("{decision}, gate {}, event {}", headcount(gate), headcount(event))
}
