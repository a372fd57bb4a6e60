//! What happens at the gate when a database, Redis or a node fails?

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use voelgoed_scan_suite::cluster::{Program, report};
use voelgoed_scan_suite::services::{LONG, Stop, shared_database};
use voelgoed_scan_suite::world::{Tenant, new_id};
use voelgoed_scan_suite::{Client, Cluster, Postgres, Redis, Reply, until};

/// The contract's bound for a 503, and what a busy machine may add.
const SOON: Duration = Duration::from_secs(2 + 2);

/// How many callers make the load.
const CALLERS: usize = 8;

async fn readiness(nobody: &Client) -> Reply {
    nobody.get("/readyz").await
}

async fn inside(owner: &Client, event: &str) -> i64 {
    let path = format!("/api/v1/scanning/events/{event}/occupancy");
    let occupancy = owner.get(&path).await.expect(200).json();
    occupancy["event"]["inside"].as_i64().expect("a number")
}

/// Payloads of new tickets.
async fn tickets(tenant: &Tenant, count: usize) -> Vec<String> {
    let event = &tenant.event;
    let path = format!("/api/v1/events/{event}");
    let unsigned = json!({ "name": "Show", "status": "live", "allow_unsigned": true });
    tenant.owner.put(&path, &unsigned).await.expect(200);
    let path = format!("{path}/tickets?return=codes");
    let lines = "{}\n".repeat(count);
    let made = tenant
        .owner
        .send("POST", &path, Some("application/x-ndjson"), lines)
        .await
        .expect(200);
    let lines = made.lines();
    let codes = lines
        .iter()
        .filter_map(|line| line["code"].as_str().map(str::to_owned));
    codes.collect()
}

#[tokio::test]
async fn a_stopped_postgresql_is_told_within_two_seconds_and_forgotten_when_it_is_back() {
    let mut postgres = Postgres::start().await;
    let cluster = Cluster::start(1, postgres.database(), None).await;
    let tenant = cluster.tenant("Stopped").await;
    let (qr, other) = (tenant.qr(1).await, tenant.qr(2).await);
    let nobody = Client::new(cluster.address(0));
    let waiting = json!({ "qr": qr, "scan_id": new_id() });

    postgres.stop(Stop::Fast);
    refuses_soon(&tenant.device, &nobody, &waiting).await;
    let started = Instant::now();
    postgres.start_again().await;
    let up = Instant::now();
    serves_again(&tenant, &waiting, "after PostgreSQL is back").await;
    report("PostgreSQL came up in", up - started);

    // A database that says nothing at all: connections stay, and nobody is at their other end.
    let waiting = json!({ "qr": other, "scan_id": new_id() });
    postgres.freeze(true);
    refuses_soon(&tenant.device, &nobody, &waiting).await;
    postgres.freeze(false);
    serves_again(&tenant, &waiting, "after PostgreSQL goes on").await;
    assert_eq!(inside(&tenant.owner, &tenant.event).await, 3);
}

async fn refuses_soon(device: &Client, nobody: &Client, scan: &Value) {
    // Several at once: those who wait behind a write that fails wait no longer than it.
    let scans = (0..6).map(|n| async move {
        tokio::time::sleep(Duration::from_millis(300 * n)).await;
        let started = Instant::now();
        let refused = device.scan(scan).await;
        (refused, started.elapsed())
    });
    for (refused, took) in futures_util::future::join_all(scans).await {
        report("a scan without a database", took);
        let refused = refused.expect_problem(503, "storage_unavailable");
        assert!(refused.header("retry-after").is_some(), "{refused:?}");
        assert!(took < SOON, "{took:?}");
    }
    nobody.get("/healthz").await.expect(200);
    readiness(nobody).await.expect(503);
}

async fn serves_again(tenant: &Tenant, waiting: &Value, when: &str) {
    let mut answer = Value::Null;
    let back = Instant::now();
    loop {
        let reply = tenant.device.scan(waiting).await;
        if reply.status == 200 {
            answer = reply.json();
        }
        if !answer.is_null() {
            break;
        }
        assert!(back.elapsed() < Duration::from_secs(60), "{when}: {reply:?}");
    }
    report(when, back.elapsed());
    assert_eq!(answer["reason"], "admitted", "{answer}");
    let again = tenant.device.scan(waiting).await.expect(200).json();
    assert_eq!(again["replayed"], true, "{again}");
}

/// What is read when PostgreSQL says nothing at all, or says nothing any more while it is being asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_postgresql_is_told_to_whoever_only_reads_too() {
    let postgres = Postgres::start().await;
    let cluster = Cluster::start(1, postgres.database(), None).await;
    let tenant = cluster.tenant("Frozen").await;
    // Nobody has asked with it: who calls is for the database to say.
    let (unknown, _) = tenant.new_device("gate-2", &json!({})).await;
    let scan = json!({ "qr": tenant.qr(1).await, "scan_id": new_id() });
    let event = &tenant.event;
    let lists = [
        "/api/v1/events".to_owned(),
        "/api/v1/scanning/devices".to_owned(),
        format!("/api/v1/events/{event}/tickets"),
        format!("/api/v1/scanning/scans?event_id={event}"),
        format!("/api/v1/scanning/events/{event}/occupancy"),
    ];
    // Devices cannot be read: whoever asks for them is under way when the database freezes.
    let mut locked = postgres.hold(&cluster.config.database_url, "lock table devices");
    let under_way = tenant.owner.get("/api/v1/scanning/devices");
    let freeze = async {
        postgres.awaits_a_lock(&cluster.config.database_url).await;
        postgres.freeze(true);
        let mut asked = Vec::new();
        for path in &lists {
            let started = Instant::now();
            asked.push((path.as_str(), tenant.owner.get(path).await, started.elapsed()));
        }
        let started = Instant::now();
        let auth = unknown.scan(&scan).await;
        asked.push(("a device that is not known yet", auth, started.elapsed()));
        asked
    };
    let started = Instant::now();
    let under_way = async {
        let reply = under_way.await;
        ("a list that was under way", reply, started.elapsed())
    };
    let (under_way, mut asked) = tokio::join!(under_way, freeze);
    asked.push(under_way);
    postgres.freeze(false);
    for (what, reply, took) in asked {
        report(what, took);
        let refused = reply.expect_problem(503, "storage_unavailable");
        assert!(refused.header("retry-after").is_some(), "{refused:?}");
        assert!(took < SOON, "{what}: {took:?}");
    }
    locked.kill().expect("killed");
    locked.wait().expect("it ends");
    for path in &lists {
        until("a list is there again", || async {
            tenant.owner.get(path).await.status == 200
        })
        .await;
    }
}

/// What callers under load know of: by scan id, the ticket and whether it was let in.
#[derive(Default)]
struct Known {
    answers: BTreeMap<String, (String, Value)>,
    unanswered: usize,
    slowest: Duration,
}

/// Scans each ticket twice, by two callers at different nodes, and asks again with the same scan id until there is an
/// answer; what was answered, by scan id.
async fn load(devices: &[Client], tickets: &[String], begun: &AtomicUsize) -> Known {
    let next = AtomicUsize::new(0);
    let callers = (0..CALLERS).map(|caller| {
        let next = &next;
        async move {
            let mut known = Known::default();
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(ticket) = tickets.get(at / 2) else {
                    return known;
                };
                begun.fetch_add(1, Ordering::Relaxed);
                let id = new_id();
                let body = json!({ "ticket_code": ticket, "scan_id": id });
                let began = Instant::now();
                let mut tries = 0;
                let answer = loop {
                    let device = &devices[(caller + at + tries) % devices.len()];
                    let started = Instant::now();
                    let reply = device.try_scan(&body).await;
                    known.slowest = known.slowest.max(started.elapsed());
                    match reply {
                        Some(reply) if reply.status == 200 => break reply.json(),
                        Some(reply) => assert_eq!(reply.status, 503, "{reply:?}"),
                        None => tokio::time::sleep(Duration::from_millis(20)).await,
                    }
                    known.unanswered += 1;
                    tries += 1;
                    assert!(began.elapsed() < Duration::from_secs(60), "{body} has no answer");
                };
                known.answers.insert(id, (ticket.clone(), answer));
            }
        }
    });
    let mut all = Known::default();
    for known in futures_util::future::join_all(callers).await {
        all.answers.extend(known.answers);
        all.unanswered += known.unanswered;
        all.slowest = all.slowest.max(known.slowest);
    }
    all
}

/// Holds what was answered against what is on record: each ticket in exactly once, and nothing answered is missing.
async fn settle(owner: &Client, event: &str, known: &Known, tickets: &[String], before: i64) {
    let mut admitted: BTreeMap<&str, usize> = BTreeMap::new();
    for (ticket, answer) in known.answers.values() {
        if answer["result"] == "valid" {
            *admitted.entry(ticket).or_default() += 1;
        }
    }
    for ticket in tickets {
        assert_eq!(admitted.get(ticket.as_str()), Some(&1), "{ticket}");
    }
    // Denials that a tier answered may follow a moment later; those whose node was killed do not.
    let path = format!("/api/v1/scanning/scans?event_id={event}");
    let export = owner
        .with_header("accept", "application/x-ndjson")
        .get(&path)
        .await
        .expect(200);
    let records: BTreeMap<String, Value> = export
        .lines()
        .into_iter()
        .map(|record| (record["scan_id"].as_str().unwrap_or_default().to_owned(), record))
        .collect();
    for (id, (_, answer)) in &known.answers {
        if answer["result"] == "valid" {
            let record = records
                .get(id)
                .unwrap_or_else(|| panic!("{answer} is not on record"));
            assert_eq!(record["result"], "valid", "{record}");
        }
    }
    let entries = records
        .values()
        .filter(|record| record["result"] == "valid")
        .count();
    assert_eq!(entries, tickets.len() + usize::try_from(before).expect("few"));
    assert_eq!(
        inside(owner, event).await,
        before + i64::try_from(tickets.len()).expect("few")
    );
}

/// Waits until so many scans were begun.
async fn after(begun: &AtomicUsize, scans: usize) {
    until("the load", || {
        std::future::ready(begun.load(Ordering::Relaxed) >= scans)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_that_fails_over_under_load_loses_no_admission_and_gives_none_twice() {
    let mut postgres = Postgres::start().await;
    let redis = Redis::start().await;
    let mut cluster = Cluster::start(2, postgres.database(), Some(redis.url())).await;
    let tenant = cluster.tenant("Failing over").await;
    let tickets = tickets(&tenant, 300).await;
    let devices = [tenant.device.clone(), cluster.at(1, &tenant.device)];
    let begun = AtomicUsize::new(0);
    let faults = async {
        for scans in [100, 300] {
            after(&begun, scans).await;
            postgres.stop(Stop::Immediate);
            postgres.start_again().await;
        }
    };
    let (known, ()) = tokio::join!(load(&devices, &tickets, &begun), faults);
    report("the slowest answer", known.slowest);
    assert!(known.unanswered > 0, "PostgreSQL was away");
    assert!(known.slowest < SOON, "{:?}", known.slowest);
    settle(&tenant.owner, &tenant.event, &known, &tickets, 1).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_away_frozen_flushed_or_full_fails_no_scan_and_admits_nobody_twice() {
    let mut redis = Redis::start().await;
    let cluster = Cluster::start(2, shared_database(), Some(redis.url())).await;
    let tenant = cluster.tenant("No Redis").await;
    let nobody = [0, 1].map(|node| Client::new(cluster.address(node)));
    let tickets = tickets(&tenant, 500).await;
    let devices = [tenant.device.clone(), cluster.at(1, &tenant.device)];
    let begun = AtomicUsize::new(0);
    let faults = async {
        after(&begun, 100).await;
        redis.kill();
        for node in &nobody {
            until("a node without Redis is degraded", || async {
                readiness(node).await.expect(200).json()["status"] == "degraded"
            })
            .await;
        }
        after(&begun, 200).await;
        redis.start_again().await;
        healed(&nobody, "a Redis that is back").await;
        after(&begun, 300).await;
        redis.freeze(true);
        after(&begun, 400).await;
        redis.freeze(false);
        healed(&nobody, "a Redis that goes on").await;
        after(&begun, 500).await;
        redis.command(&["flushall"]);
        after(&begun, 600).await;
        redis.command(&["config", "set", "maxmemory-policy", "noeviction"]);
        redis.command(&["config", "set", "maxmemory", "1"]);
        after(&begun, 700).await;
        redis.command(&["config", "set", "maxmemory", "0"]);
        healed(&nobody, "a Redis with room").await;
    };
    let (known, ()) = tokio::join!(load(&devices, &tickets, &begun), faults);
    report("the slowest answer", known.slowest);
    assert_eq!(known.unanswered, 0, "no scan failed");
    settle(&tenant.owner, &tenant.event, &known, &tickets, 1).await;
}

async fn healed(nobody: &[Client], what: &str) {
    for node in nobody {
        let took = until(what, || async {
            readiness(node).await.expect(200).json()["status"] == "ok"
        })
        .await;
        report(what, took);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_killed_on_sqlite_has_every_acknowledged_admission_after_its_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("gate.db");
    killed_under_load(format!("sqlite://{}", file.display()), 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_killed_on_postgresql_has_every_acknowledged_admission_after_its_start() {
    killed_under_load(shared_database(), 2).await;
}

async fn killed_under_load(database: String, nodes: usize) {
    let mut cluster = Cluster::start(1, database, None).await;
    let tenant = cluster.tenant("Killed").await;
    let tickets = tickets(&tenant, 200).await;
    cluster.stop().await;
    let ports: Vec<u16> = (0..nodes).map(|_| Cluster::port()).collect();
    let mut programs: Vec<Program> = Vec::new();
    for port in &ports {
        programs.push(cluster.program(*port).await);
    }
    let devices: Vec<Client> = programs.iter().map(|one| tenant.device.at(one.address)).collect();
    let begun = AtomicUsize::new(0);
    let over = AtomicBool::new(false);
    let faults = async {
        for scans in [60, 160, 260] {
            after(&begun, scans).await;
            let port = ports[0];
            programs[0].kill();
            programs[0] = cluster.program(port).await;
        }
        over.store(true, Ordering::Relaxed);
    };
    let (known, ()) = tokio::join!(load(&devices, &tickets, &begun), faults);
    assert!(over.load(Ordering::Relaxed));
    assert!(known.unanswered > 0, "a node was away");
    let owner = tenant.owner.at(programs[0].address);
    settle(&owner, &tenant.event, &known, &tickets, 1).await;
}

/// A collector of logs that hangs must not make the gate hang: its lines are dropped, and counted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_nobody_reads_stops_nobody() {
    const CALLS: usize = 12_000;
    let mut cluster = Cluster::start(1, shared_database(), None).await;
    let tenant = cluster.tenant("Unread").await;
    let scan = json!({ "qr": tenant.qr(1).await, "scan_id": new_id() });
    cluster.stop().await;
    let mut program = cluster.unread_program(Cluster::port()).await;
    let nobody = Client::new(program.address);
    // More lines than a pipe holds, and than wait for it.
    let calls = (0..CALLERS).map(|_| async {
        for _ in 0..CALLS / CALLERS {
            nobody.get("/healthz").await.expect(200);
        }
    });
    let calls = futures_util::future::join_all(calls);
    tokio::time::timeout(LONG, calls)
        .await
        .expect("every call is answered");
    let answer = tenant.device.at(program.address).scan(&scan).await;
    assert_eq!(answer.expect(200).json()["result"], "valid");

    let metrics = nobody.get("/metrics").await.expect(200);
    let dropped = metrics.text().lines().find_map(|line| {
        let number = line.strip_prefix("voelgoed_scan_log_lines_dropped_total ")?;
        number.parse::<usize>().ok()
    });
    let dropped = dropped.expect("it is measured");
    assert!((1..CALLS).contains(&dropped), "{dropped}");
    assert!(program.end().await, "it ends well");
}
