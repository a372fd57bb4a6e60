//! Random schedules with faults over several nodes. Every call is recorded, and a checker compares the history with the
//! rules of admission.
//!
//! A run prints its seed. `VOELGOED_SCAN_HISTORY_SEED` repeats a seed, and `VOELGOED_SCAN_HISTORY_SECONDS` sets the length
//! of a run. A seed gives the same schedule, but not the same timing. Readers of streams take part, which must see every
//! state of every record once; `VOELGOED_SCAN_HISTORY_STREAMS` = 0 leaves them out.

mod checker;
mod deployment;
mod interrupted;
pub(crate) mod rng;
mod stream_reader;
mod workload;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use voelgoed_scan_suite::Cluster;
use voelgoed_scan_suite::fixture::new_id;
use voelgoed_scan_suite::services::execute_sql;
use voelgoed_scan_suite::wait::CONDITION_TIMEOUT;

use checker::{CallOutcome, ObservedCall, RunHistory, check, expected_records};
use deployment::Deployment;
use rng::Rng;
use stream_reader::StreamReader;
use workload::{Caller, Workload};

/// How many calls are answered between two faults.
const ANSWERS_BETWEEN_FAULTS: usize = 100;

/// How long they are waited for.
const MAX_TIME_BETWEEN_FAULTS: Duration = Duration::from_secs(5);

/// The length of a run without `VOELGOED_SCAN_HISTORY_SECONDS`.
const DEFAULT_SECONDS: u64 = 30;
const DEFAULT_SECONDS_ON_SQLITE: u64 = 15;

/// The re-entry window. It is short enough that holders come back within a run.
const REENTRY_WINDOW: Duration = Duration::from_secs(3);

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the settings of a run"
)]
fn env_number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().expect("a whole number"))
}

#[expect(clippy::print_stderr, reason = "a person reads what a run did")]
fn log(message: &str) {
    eprintln!("history: {message}");
}

/// How long a run goes on after the start of a day.
const AFTER_BEGIN_OF_DAY: Duration = Duration::from_secs(8);

/// What a schedule contains.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Schedule {
    /// The callers, and faults of nodes and services.
    WithFaults,
    /// The callers alone.
    WithoutFaults,
}

/// The events of a run.
async fn workloads(cluster: &Cluster, schedule: Schedule) -> Vec<Workload> {
    let never = Workload::new(cluster, "Never", "never").await;
    // Two events at the same gates, with scans at both at the same time.
    let shared = never
        .at_the_same_gates(cluster, "Shared gates", "after_exit")
        .await;
    let mut workloads = vec![never, shared];
    for (name, policy) in [
        ("After exit", "after_exit"),
        ("After the window", "after_window"),
        ("Changing rules", "changing"),
        ("Doors", "doors"),
        ("Scopes", "scopes"),
    ] {
        workloads.push(Workload::new(cluster, name, policy).await);
    }
    if schedule == Schedule::WithFaults {
        workloads.push(Workload::new(cluster, "Daily", "daily").await);
    }
    workloads
}

/// Runs a schedule for this long and returns the history of each event.
async fn run(
    deployment: &mut Deployment,
    seed: u64,
    length: Duration,
    schedule: Schedule,
) -> Vec<RunHistory> {
    let workloads = workloads(&deployment.cluster, schedule).await;
    // The creation of a tenant scans a ticket. No caller made this scan, so the check must leave it out.
    let mut initial = Vec::new();
    for workload in &workloads {
        initial.push(workload.read_history(&workload.tenant.owner).await);
    }
    deployment.start_nodes().await;
    let (nodes, killed_node) = (deployment.addresses(), deployment.killed_node());
    let stream_nodes = deployment.addresses_with_right_clocks();
    let mut readers: Vec<StreamReader<'_>> = workloads
        .iter()
        .filter(|_| reads_streams())
        .zip(1..)
        .map(|(workload, number)| {
            let rng = Rng::new(seed.wrapping_mul(2000).wrapping_add(number));
            let (client, event) = (workload.tenant.owner.clone(), workload.tenant.event.clone());
            StreamReader::new(client, event, &stream_nodes, rng)
        })
        .collect();
    for reader in &mut readers {
        reader.connect().await;
    }
    for workload in &workloads {
        workload.set_doors(stream_nodes[0], length).await;
    }
    let (started, stopped, callers_done) = (Instant::now(), AtomicBool::new(false), AtomicBool::new(false));
    let mut callers: Vec<Caller<'_>> = Vec::new();
    for workload in &workloads {
        for number in 0..workload.devices.len() {
            let rng = Rng::new(seed.wrapping_mul(1000).wrapping_add(callers.len() as u64));
            callers.push(Caller::new(workload, number, &nodes, started, rng));
        }
    }
    let faults = async {
        let mut rng = Rng::new(seed);
        let mut injected: BTreeMap<&str, usize> = BTreeMap::new();
        while started.elapsed() < length || !has_begun_second_day(&workloads) {
            // The callers get some time between two faults. The sleep is part of the schedule; it waits for nothing. A busy
            // machine gets more, because a node that is killed before it answers an upload is never done with it.
            let answered = answered_calls(&workloads) + ANSWERS_BETWEEN_FAULTS;
            tokio::time::sleep(Duration::from_millis(200 + rng.below(1500) as u64)).await;
            let waiting = Instant::now();
            while answered_calls(&workloads) < answered && waiting.elapsed() < MAX_TIME_BETWEEN_FAULTS {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            if schedule == Schedule::WithFaults {
                *injected
                    .entry(deployment.inject_fault(&mut rng).await)
                    .or_default() += 1;
            }
        }
        stopped.store(true, Ordering::Relaxed);
        injected
    };
    let calls = async {
        futures_util::future::join_all(callers.iter_mut().map(|caller| caller.run(&stopped))).await;
        callers_done.store(true, Ordering::Relaxed);
    };
    let changes = workloads.iter().map(|workload| {
        let rng = Rng::new(seed.wrapping_add(1));
        workload.change(&nodes, rng, &stopped, started)
    });
    let reads = futures_util::future::join_all(readers.iter_mut().map(|reader| reader.run(&callers_done)));
    let changes = futures_util::future::join_all(changes);
    let (injected, (), _, _) = tokio::join!(faults, calls, changes, reads);
    log(&format!("{injected:?}"));
    let mut streams = readers.into_iter().map(|reader| reader.received);
    let mut histories = Vec::new();
    for (workload, initial) in workloads.iter().zip(initial) {
        let mut history = complete_history(workload, &nodes, killed_node, schedule).await;
        history.streams.extend(streams.next());
        let decided = history.calls.iter().filter(|call| {
            matches!(&call.outcome, CallOutcome::Decided(decision) if decision.valid && !decision.replayed)
        });
        let unknown = history
            .calls
            .iter()
            .filter(|call| call.outcome == CallOutcome::Unknown);
        log(&format!(
            "{} calls, {} admissions and exits, {} without an answer",
            history.calls.len(),
            decided.count(),
            unknown.count()
        ));
        for scan in initial.records.keys() {
            history.records.remove(scan);
        }
        if workload.second_day.is_some() {
            // The people who were counted before have left.
            histories.push(history);
            continue;
        }
        history.occupancy.entries -= initial.occupancy.entries;
        history.occupancy.exits -= initial.occupancy.exits;
        history.occupancy.inside -= initial.occupancy.inside;
        histories.push(history);
    }
    histories
}

/// How many calls had an answer.
fn answered_calls(workloads: &[Workload]) -> usize {
    workloads.iter().map(Workload::answered_calls).sum()
}

/// Whether the second day of a `daily` event has begun on every node some time ago. A run lasts at least as long.
fn has_begun_second_day(workloads: &[Workload]) -> bool {
    let mut begins = workloads.iter().filter_map(|workload| workload.second_day);
    begins.all(|begin| Instant::now() >= begin + AFTER_BEGIN_OF_DAY)
}

/// The history of an event once every scan that was answered is on record: the records of denials that a cache answered
/// follow. After a time the history is returned as it is, and the check reports what is missing.
async fn complete_history(
    workload: &Workload,
    nodes: &[SocketAddr],
    killed_node: usize,
    schedule: Schedule,
) -> RunHistory {
    let started = Instant::now();
    let owner = workload.tenant.owner.at(nodes[0]);
    loop {
        let mut history = workload.read_history(&owner).await;
        history.killed_node = killed_node;
        let expected = expected_records(&history);
        let is_complete = expected.iter().all(|scan| history.records.contains_key(*scan));
        if is_complete || schedule == Schedule::WithoutFaults || started.elapsed() > CONDITION_TIMEOUT {
            return history;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Whether readers of streams take part.
fn reads_streams() -> bool {
    env_number("VOELGOED_SCAN_HISTORY_STREAMS") != Some(0)
}

fn settings(default_seconds: u64) -> (u64, Duration) {
    let seed = env_number("VOELGOED_SCAN_HISTORY_SEED").unwrap_or_else(|| {
        let id = new_id().replace('-', "");
        let last = id
            .get(20..)
            .and_then(|digits| u64::from_str_radix(digits, 16).ok());
        last.expect("hexadecimal digits") % 1_000_000
    });
    let seconds = env_number("VOELGOED_SCAN_HISTORY_SECONDS").unwrap_or(default_seconds);
    log(&format!(
        "VOELGOED_SCAN_HISTORY_SEED={seed} VOELGOED_SCAN_HISTORY_SECONDS={seconds}"
    ));
    (seed, Duration::from_secs(seconds))
}

async fn run_and_check(mut deployment: Deployment, (seed, length): (u64, Duration)) {
    let histories = run(&mut deployment, seed, length, Schedule::WithFaults).await;
    for history in &histories {
        let violations = check(history);
        assert!(violations.is_empty(), "seed {seed}: {violations:#?}");
    }
    // Scans were refused by a narrow scope, and others were admitted.
    let scopes = histories.iter().find(|history| !history.scopes.is_empty());
    let calls = &scopes.expect("an event with changes of scopes").calls;
    let is_out_of_scope = |call: &ObservedCall| call.outcome == CallOutcome::OutOfScope;
    let is_admission =
        |call: &ObservedCall| matches!(&call.outcome, CallOutcome::Decided(decision) if decision.valid);
    assert!(
        calls.iter().any(is_out_of_scope),
        "seed {seed}: no scan was out of scope"
    );
    assert!(calls.iter().any(is_admission), "seed {seed}: nobody was admitted");
    // The doors opened and closed during the run, and entries were scanned before, between and after.
    let doors = histories.iter().find(|history| history.doors.is_some());
    let records = doors.expect("an event with doors").records.values();
    let reasons: BTreeSet<&str> = records.map(|record| record.reason.as_str()).collect();
    for reason in ["doors_not_open", "admitted", "doors_closed"] {
        assert!(reasons.contains(reason), "seed {seed}: no scan was {reason}");
    }
}

/// Three nodes on PostgreSQL and Redis.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_with_faults_violates_no_rule() {
    let deployment = Deployment::start(REENTRY_WINDOW).await;
    run_and_check(deployment, settings(DEFAULT_SECONDS)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_with_faults_on_sqlite_violates_no_rule() {
    let deployment = Deployment::start_on_sqlite(REENTRY_WINDOW).await;
    run_and_check(deployment, settings(DEFAULT_SECONDS_ON_SQLITE)).await;
}

/// Tests the checker against a real server with an injected defect. The first database sometimes drops the update of a
/// used ticket, like a write that is not conditional. The second one sometimes drops the record of a scan.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_checker_finds_an_injected_defect() {
    // The window is so short that no cache hides the defect of the database.
    let mut deployment = Deployment::start(Duration::from_millis(1)).await;
    let database = deployment.cluster.config.database_url.clone();
    execute_sql(
        &database,
        "create function forget() returns trigger language plpgsql as $$ begin \
         if random() < 0.5 then new.ledger = old.ledger; new.status = old.status; \
         new.scan_count = old.scan_count; end if; return new; end $$; \
         create trigger forget before update on tickets for each row execute function forget()",
    );
    expect_violation(&mut deployment, "too many admissions").await;
    execute_sql(
        &database,
        "drop trigger forget on tickets; \
         create or replace function forget() returns trigger language plpgsql as $$ begin \
         if random() < 0.5 then return null; end if; return new; end $$; \
         create trigger forget before insert on scans for each row \
         when (new.result = 'valid') execute function forget()",
    );
    expect_violation(&mut deployment, "lost").await;
}

/// Runs short schedules until the checker reports this violation. Panics when eight seconds of schedules have none.
async fn expect_violation(deployment: &mut Deployment, expected: &str) {
    let mut violations: Vec<String> = Vec::new();
    for seed in 1..=8 {
        let histories = run(deployment, seed, Duration::from_secs(1), Schedule::WithoutFaults).await;
        violations.extend(histories.iter().flat_map(check));
        for violation in violations.iter().take(3) {
            log(violation);
        }
        if violations.iter().any(|violation| violation.contains(expected)) {
            return;
        }
    }
    panic!("no violation contains {expected:?}: {violations:#?}");
}
