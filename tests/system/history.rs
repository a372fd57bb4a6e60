//! Exactly as often as it should: random schedules with faults over several nodes, recorded and checked.
//!
//! The seed of a run is reported, and given again by `VOELGOED_SCAN_HISTORY_SEED`; how long it runs, by
//! `VOELGOED_SCAN_HISTORY_SECONDS`. A seed gives the same schedule, not the same timing.

mod check;
mod random;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use voelgoed_scan_suite::cluster::Program;
use voelgoed_scan_suite::services::{Stop, run_sql};
use voelgoed_scan_suite::world::{Tenant, new_id};
use voelgoed_scan_suite::{Client, Cluster, Postgres, Redis};

use check::{Call, Decision, History, Kind, Outcome, Policy, Record, check};
use random::Dice;

/// How long an ordinary run takes.
const SECONDS: u64 = 30;

/// How far one node's clock is off.
const OFF: i64 = 7 * 60_000;

/// The window of re-entry, so short that holders come back within a run.
const WINDOW: Duration = Duration::from_secs(3);

/// Callers at each event.
const CALLERS: usize = 4;

/// Tickets of each event.
const TICKETS: usize = 12;

#[expect(
    clippy::disallowed_methods,
    reason = "the one place where a run learns how it is to be"
)]
fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().expect("a whole number"))
}

/// An event under a policy, with its history.
struct Stage {
    tenant: Tenant,
    tickets: Vec<String>,
    devices: Vec<Client>,
    exits: bool,
    history: Mutex<History>,
}

impl Stage {
    async fn new(cluster: &Cluster, name: &str, reentry: &str) -> Self {
        let tenant = cluster.tenant(name).await;
        let window = i64::try_from(cluster.config.dedup_window.as_millis()).expect("a short one");
        let event = format!("/api/v1/events/{}", tenant.event);
        let policy = json!({ "name": name, "status": "live", "allow_unsigned": true, "reentry": reentry });
        tenant.owner.put(&event, &policy).await.expect(200);
        let exits = reentry == "after_exit";
        let mut history = History::default();
        let mut tickets = Vec::new();
        for limit in [1, 3] {
            let lines = format!("{{\"entry_limit\":{limit}}}\n").repeat(TICKETS / 2);
            let path = format!("{event}/tickets?return=codes");
            let made = tenant
                .owner
                .send("POST", &path, Some("application/x-ndjson"), lines)
                .await
                .expect(200);
            for code in made.lines().iter().filter_map(|line| line["code"].as_str()) {
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
            tickets,
            devices,
            exits,
            history: Mutex::new(history),
        }
    }

    fn note(&self, call: Call) {
        self.history
            .lock()
            .expect("a test that failed with the lock")
            .calls
            .push(call);
    }

    /// What is on record when all is over.
    async fn finish(&self, owner: &Client) -> History {
        let mut history = self
            .history
            .lock()
            .expect("a test that failed with the lock")
            .clone();
        let event = &self.tenant.event;
        let path = format!("/api/v1/scanning/scans?event_id={event}");
        let export = owner
            .with_header("accept", "application/x-ndjson")
            .get(&path)
            .await
            .expect(200);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        for line in export.lines() {
            let record = Record {
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
        let counted = owner.get(&path).await.expect(200).json()["event"].clone();
        let number = |name: &str| counted[name].as_i64().expect("a number");
        history.counted = (number("entries"), number("exits"), number("inside"));
        history
    }
}

/// A scan as its client remembers it.
struct Attempt {
    body: Value,
    scan_id: String,
    ticket: String,
    kind: Kind,
    answered: bool,
}

struct Caller<'a> {
    stage: &'a Stage,
    device: &'a Client,
    nodes: &'a [std::net::SocketAddr],
    began: Instant,
    dice: Dice,
    attempts: Vec<Attempt>,
}

impl Caller<'_> {
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    async fn run(&mut self, over: &AtomicBool) {
        while !over.load(Ordering::Relaxed) {
            match (self.dice.below(100), self.attempts.is_empty()) {
                (0..60, _) | (_, true) => self.scan(Kind::Entry).await,
                (60..75, _) if self.stage.exits => self.scan(Kind::Exit).await,
                (60..90, _) => {
                    let recent = self.attempts.len().min(20);
                    let at = self.attempts.len() - 1 - self.dice.below(recent);
                    self.ask(at).await;
                }
                _ => self.undo().await,
            }
        }
        // Whoever got no answer asks until there is one.
        for at in 0..self.attempts.len() {
            let begun = Instant::now();
            while !self.attempts[at].answered {
                assert!(
                    begun.elapsed() < Duration::from_secs(60),
                    "no answer to {}",
                    self.attempts[at].body
                );
                self.ask(at).await;
            }
        }
    }

    async fn scan(&mut self, kind: Kind) {
        let ticket = self.stage.tickets[self.dice.below(self.stage.tickets.len())].clone();
        let scan_id = new_id();
        let direction = if kind == Kind::Exit { "exit" } else { "entry" };
        let body = json!({ "ticket_code": ticket, "scan_id": scan_id, "direction": direction });
        self.attempts.push(Attempt {
            body,
            scan_id,
            ticket,
            kind,
            answered: false,
        });
        self.ask(self.attempts.len() - 1).await;
    }

    async fn ask(&mut self, at: usize) {
        let node = self.dice.below(self.nodes.len());
        let began = self.now();
        let attempt = &self.attempts[at];
        let reply = self.device.at(self.nodes[node]).try_scan(&attempt.body).await;
        let outcome = match reply {
            None => Outcome::Unknown,
            Some(reply) => match (reply.status, reply.json()) {
                (200, answer) => Outcome::Decided(Decision {
                    valid: answer["result"] == "valid",
                    reason: answer["reason"].as_str().unwrap_or_default().to_owned(),
                    scanned_at: answer["scanned_at"].as_str().unwrap_or_default().to_owned(),
                    replayed: answer["replayed"] == true,
                    by_tier: answer["decided_by"] == "memory" || answer["decided_by"] == "redis",
                }),
                (503, _) => Outcome::Unknown,
                (409, problem) if problem["code"] == "scan_undone" => Outcome::ScanUndone,
                (status, problem) => Outcome::Unexpected(format!("{status} {problem}")),
            },
        };
        self.note(at, node, self.attempts[at].kind, began, outcome).await;
    }

    async fn undo(&mut self) {
        let entries: Vec<usize> = (0..self.attempts.len())
            .filter(|at| self.attempts[*at].kind == Kind::Entry)
            .collect();
        let Some(last) = entries.len().checked_sub(1) else {
            return;
        };
        let at = entries[last - self.dice.below(entries.len().min(20))];
        let node = self.dice.below(self.nodes.len());
        let path = format!("/api/v1/scanning/scans/{}/undo", self.attempts[at].scan_id);
        let owner = self.stage.tenant.owner.at(self.nodes[node]);
        let began = self.now();
        let reply = owner
            .try_call("POST", &path, Some(&json!({ "reason": "a check" })))
            .await;
        let outcome = match reply.map(|reply| reply.status) {
            None | Some(503) => Outcome::Unknown,
            Some(200) => Outcome::Undone,
            Some(404 | 409) => Outcome::Refused,
            Some(status) => Outcome::Unexpected(status.to_string()),
        };
        self.note(at, node, Kind::Undo, began, outcome).await;
    }

    async fn note(&mut self, at: usize, node: usize, kind: Kind, began: u64, outcome: Outcome) {
        let unknown = outcome == Outcome::Unknown;
        let ended = self.now();
        let attempt = &mut self.attempts[at];
        attempt.answered |= !unknown && kind != Kind::Undo;
        self.stage.note(Call {
            began,
            ended,
            node,
            kind,
            scan_id: attempt.scan_id.clone(),
            ticket: attempt.ticket.clone(),
            outcome,
        });
        if unknown {
            // A client that got no answer does not ask again at once.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// What the faults happen to.
struct Ground {
    cluster: Cluster,
    postgres: Postgres,
    redis: Redis,
    program: Program,
    port: u16,
}

impl Ground {
    async fn lay(window: Duration) -> Self {
        let postgres = Postgres::start().await;
        let redis = Redis::start().await;
        let mut cluster = Cluster::start(0, postgres.database(), Some(redis.url())).await;
        cluster.config.dedup_window = window;
        cluster.add(0).await;
        cluster.add(OFF).await;
        let port = Cluster::port();
        let program = cluster.program(port).await;
        Self {
            cluster,
            postgres,
            redis,
            program,
            port,
        }
    }

    fn nodes(&self) -> Vec<std::net::SocketAddr> {
        vec![
            self.cluster.address(0),
            self.cluster.address(1),
            self.program.address,
        ]
    }

    async fn fail(&mut self, dice: &mut Dice) -> &'static str {
        match dice.below(4) {
            0 => {
                self.program.kill();
                self.program = self.cluster.program(self.port).await;
                "a node was killed"
            }
            1 => {
                self.redis.command(&["flushall"]);
                "Redis was flushed"
            }
            2 => {
                self.redis.kill();
                self.redis.start_again().await;
                "Redis was killed"
            }
            _ => {
                self.postgres.stop(Stop::Immediate);
                self.postgres.start_again().await;
                "PostgreSQL was restarted"
            }
        }
    }
}

/// Lets a schedule run; what happened at each event.
async fn run(ground: &mut Ground, seed: u64, length: Duration, with_faults: bool) -> Vec<History> {
    let stages = [
        Stage::new(&ground.cluster, "Never", "never").await,
        Stage::new(&ground.cluster, "After exit", "after_exit").await,
        Stage::new(&ground.cluster, "After the window", "after_window").await,
    ];
    // What the making of a tenant scanned is on record and no caller's.
    let before: Vec<History> = {
        let mut all = Vec::new();
        for stage in &stages {
            all.push(stage.finish(&stage.tenant.owner).await);
        }
        all
    };
    let (nodes, began, over) = (ground.nodes(), Instant::now(), AtomicBool::new(false));
    let mut callers: Vec<Caller<'_>> = Vec::new();
    for stage in &stages {
        for device in &stage.devices {
            let dice = Dice::new(seed.wrapping_mul(1000).wrapping_add(callers.len() as u64));
            callers.push(Caller {
                stage,
                device,
                nodes: &nodes,
                began,
                dice,
                attempts: Vec::new(),
            });
        }
    }
    let faults = async {
        let mut dice = Dice::new(seed);
        let mut happened: BTreeMap<&str, usize> = BTreeMap::new();
        while began.elapsed() < length {
            // Faults keep their distance, so that something happens between them.
            tokio::time::sleep(Duration::from_millis(200 + dice.below(1500) as u64)).await;
            if with_faults {
                *happened.entry(ground.fail(&mut dice).await).or_default() += 1;
            }
        }
        over.store(true, Ordering::Relaxed);
        happened
    };
    let asking = futures_util::future::join_all(callers.iter_mut().map(|caller| caller.run(&over)));
    let (happened, _) = tokio::join!(faults, asking);
    tell(&format!("{happened:?}"));
    let mut histories = Vec::new();
    for (stage, before) in stages.iter().zip(before) {
        // Denials of tiers may still be on their way to the record; what is checked of the record are admissions.
        let mut history = stage.finish(&stage.tenant.owner).await;
        let admitted = history.calls.iter().filter(|call| {
            matches!(&call.outcome, Outcome::Decided(decision) if decision.valid && !decision.replayed)
        });
        let unknown = history
            .calls
            .iter()
            .filter(|call| call.outcome == Outcome::Unknown);
        tell(&format!(
            "{} calls, {} admissions and exits, {} without an answer",
            history.calls.len(),
            admitted.count(),
            unknown.count()
        ));
        for scan in before.records.keys() {
            history.records.remove(scan);
        }
        history.counted.0 -= before.counted.0;
        history.counted.1 -= before.counted.1;
        history.counted.2 -= before.counted.2;
        histories.push(history);
    }
    histories
}

#[expect(clippy::print_stderr, reason = "what a run was is for people")]
fn tell(what: &str) {
    eprintln!("history: {what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_with_faults_is_one_that_an_honest_gate_could_have() {
    let seed = setting("VOELGOED_SCAN_HISTORY_SEED").unwrap_or_else(|| {
        let id = new_id().replace('-', "");
        let last = id
            .get(20..)
            .and_then(|digits| u64::from_str_radix(digits, 16).ok());
        last.expect("hexadecimal digits") % 1_000_000
    });
    let seconds = setting("VOELGOED_SCAN_HISTORY_SECONDS").unwrap_or(SECONDS);
    tell(&format!(
        "VOELGOED_SCAN_HISTORY_SEED={seed} VOELGOED_SCAN_HISTORY_SECONDS={seconds}"
    ));
    let mut ground = Ground::lay(WINDOW).await;
    let histories = run(&mut ground, seed, Duration::from_secs(seconds), true).await;
    for history in &histories {
        let faults = check(history);
        assert!(faults.is_empty(), "seed {seed}: {faults:#?}");
    }
}

/// The checker on a real gate with a fault put in: a database that forgets, now and then, that a ticket was used, as
/// it would if the write were not conditional; and one that forgets a scan.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_with_a_fault_put_in_is_found_out() {
    // No tier covers up for the database.
    let mut ground = Ground::lay(Duration::from_millis(1)).await;
    let database = ground.cluster.config.database_url.clone();
    run_sql(
        &database,
        "create function forget() returns trigger language plpgsql as $$ begin \
         if random() < 0.5 then new.ledger = old.ledger; new.status = old.status; \
         new.scan_count = old.scan_count; end if; return new; end $$; \
         create trigger forget before update on tickets for each row execute function forget()",
    );
    let found = faults_of(&mut ground).await;
    assert!(found.contains("too many admissions"), "{found}");
    run_sql(
        &database,
        "drop trigger forget on tickets; \
         create or replace function forget() returns trigger language plpgsql as $$ begin \
         if random() < 0.5 then return null; end if; return new; end $$; \
         create trigger forget before insert on scans for each row \
         when (new.result = 'valid') execute function forget()",
    );
    let found = faults_of(&mut ground).await;
    assert!(found.contains("lost"), "{found}");
}

async fn faults_of(ground: &mut Ground) -> String {
    let histories = run(ground, 1, Duration::from_secs(8), false).await;
    let faults: Vec<String> = histories.iter().flat_map(check).collect();
    for fault in faults.iter().take(3) {
        tell(fault);
    }
    faults.join("\n")
}
