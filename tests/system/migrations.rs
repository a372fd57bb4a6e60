//! Migrating a database: by itself, by several processes at once, and while one of them is killed.

use std::collections::BTreeSet;
use std::fs::File;
use std::future::ready;
use std::process::{Child, Output, Stdio};

use voelgoed_scan_suite::Client;
use voelgoed_scan_suite::program::Launch;
use voelgoed_scan_suite::services::{Transaction, query_sql, shared_database, signal};
use voelgoed_scan_suite::wait::wait_until;

const LATEST: &str = "select max(version) from _sqlx_migrations";

/// A program that migrates and exits.
fn migrator(database_url: &str) -> Launch {
    Launch::new(database_url).with(["--migrate-only"])
}

fn run(launch: &Launch) -> Output {
    launch.command().output().expect("it runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The numbers of the migrations that a program says it applied.
fn applied(output: &Output) -> Vec<u32> {
    let text = text(&output.stdout);
    let numbers = text
        .lines()
        .filter_map(|line| line.strip_prefix("applied ")?.split(' ').next());
    numbers.map(|number| number.parse().expect("a number")).collect()
}

#[tokio::test]
async fn migrating_only_says_what_it_did_and_does_nothing_the_second_time() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("gate.db");
    for url in [shared_database(), format!("sqlite://{}", file.display())] {
        let first = run(&migrator(&url));
        assert!(first.status.success(), "{}", text(&first.stderr));
        let numbers = applied(&first);
        let count = numbers.len();
        assert!(count >= 18, "{numbers:?}");
        let sorted: BTreeSet<_> = numbers.iter().copied().collect();
        assert!(sorted.iter().eq(&numbers), "{numbers:?}");
        let latest = numbers.last().expect("a migration");
        let end = format!("{count} migrations applied, the database is at {latest:04} ");
        let output = text(&first.stdout);
        assert!(
            output.lines().last().is_some_and(|line| line.starts_with(&end)),
            "{output}"
        );

        let second = run(&migrator(&url));
        assert!(second.status.success(), "{}", text(&second.stderr));
        let expected = format!("the database is up to date, at migration {latest:04} ");
        let output = text(&second.stdout);
        assert!(
            output.starts_with(&expected) && output.lines().count() == 1,
            "{output}"
        );
    }
    // It needs no secret, and makes none.
    assert!(file.exists());
    assert!(!directory.path().join("gate.db.secret").exists());
}

#[tokio::test]
async fn a_database_that_was_migrated_by_itself_serves_a_server_that_must_not_migrate() {
    let url = shared_database();
    let server = Launch::new(&url)
        .with(["--no-migrate"])
        .variable("VOELGOED_SCAN_SECRET_KEY", &"5e".repeat(32));
    let refused = server.fail();
    assert!(refused.contains("has no migration 1"), "{refused}");
    assert!(run(&migrator(&url)).status.success());
    let program = server.start().await;
    Client::new(program.address()).get("/readyz").await.expect(200);
}

#[test]
fn contradicting_flags_are_wrong_usage() {
    let url = shared_database();
    for launch in [
        migrator(&url).with(["--no-migrate"]),
        migrator(&url).variable("VOELGOED_SCAN_NO_MIGRATE", "true"),
    ] {
        let output = run(&launch);
        assert_eq!(output.status.code(), Some(2));
        let message = text(&output.stderr);
        assert!(
            message.contains("--no-migrate") && message.contains("--migrate-only"),
            "{message}"
        );
    }
    let tables = "select count(*) from pg_tables where schemaname = 'public'";
    assert_eq!(query_sql(&url, tables), "0");
    // A switch that is off contradicts nothing.
    let output = run(&migrator(&url).variable("VOELGOED_SCAN_NO_MIGRATE", "false"));
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn a_missing_file_beside_its_secret_is_not_made_anew() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("gate.db");
    std::fs::write(directory.path().join("gate.db.secret"), "5e".repeat(32)).expect("written");
    let url = format!("sqlite://{}", file.display());
    let output = run(&migrator(&url));
    assert!(!output.status.success());
    assert!(!file.exists(), "{}", text(&output.stderr));
    assert!(run(&migrator(&url).with(["--create"])).status.success());
    assert!(file.exists());
}

/// Starts a program that migrates.
fn start(database_url: &str) -> Child {
    let mut command = migrator(database_url).command();
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("it starts")
}

/// The process that holds the lock of the migrations while it waits for another lock, and that is not `killed`.
async fn stuck_migrator(database_url: &str, killed: u32) -> u32 {
    let query = format!(
        "select coalesce(max(application_name), '') from pg_stat_activity
         where datname = current_database() and wait_event_type = 'Lock' and application_name like 'process %'
             and application_name not like 'process {killed} on %'"
    );
    let mut name = String::new();
    wait_until("a process is in the middle of migrating", || {
        name = query_sql(database_url, &query);
        ready(!name.is_empty())
    })
    .await;
    let process = name.split(' ').nth(1).expect("a process id");
    process.parse().expect("a process id")
}

#[tokio::test]
async fn processes_that_start_together_migrate_once_also_when_one_is_killed_in_the_middle() {
    let url = shared_database();
    // Creates a table of a later migration, which nobody else can create until this transaction ends.
    let obstacle = Transaction::begin(&url, "create table webhooks (id integer)");
    let mut processes: Vec<Child> = (0..4).map(|_| start(&url)).collect();
    let stuck = stuck_migrator(&url, 0).await;
    let version: u32 = query_sql(&url, LATEST).parse().expect("a number");
    signal(stuck, "KILL");
    let killed = processes.iter().position(|process| process.id() == stuck);
    let killed = processes.remove(killed.expect("one of the processes"));
    let killed = killed.wait_with_output().expect("it ended");
    assert!(!killed.status.success());
    // The others go on while the transaction is still there, and one of them holds the lock then.
    stuck_migrator(&url, stuck).await;
    drop(obstacle);
    let mut numbers = Vec::new();
    for process in processes {
        let output = process.wait_with_output().expect("it ended");
        assert!(output.status.success(), "{}", text(&output.stderr));
        numbers.extend(applied(&output));
    }
    // What the killed one had committed is not applied again, and all that follows is applied once.
    numbers.retain(|number| *number > version);
    numbers.sort_unstable();
    let latest: u32 = query_sql(&url, LATEST).parse().expect("a number");
    assert_eq!(numbers, (version + 1..=latest).collect::<Vec<_>>());
    let count = "select count(*) || ' ' || count(*) filter (where success) from _sqlx_migrations";
    assert_eq!(query_sql(&url, count), format!("{latest} {latest}"));
}

#[tokio::test]
async fn who_waits_for_a_migration_names_the_process_and_the_host_that_hold_the_lock() {
    let url = shared_database();
    let obstacle = Transaction::begin(&url, "create table webhooks (id integer)");
    let mut holder = start(&url);
    let stuck = stuck_migrator(&url, 0).await;
    assert_eq!(stuck, holder.id());
    let directory = tempfile::tempdir().expect("a directory");
    let log = directory.path().join("log");
    let mut waiting = migrator(&url)
        .command()
        .stdout(Stdio::null())
        .stderr(File::create(&log).expect("a file"))
        .spawn()
        .expect("it starts");
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("a host");
    let name = format!("process {stuck} on {}", host.trim());
    wait_until("the other process says who migrates", || {
        let log = std::fs::read_to_string(&log).expect("text");
        ready(log.contains("waiting until another process has migrated") && log.contains(&name))
    })
    .await;
    drop(obstacle);
    assert!(holder.wait().expect("it ends").success());
    assert!(waiting.wait().expect("it ends").success());
}
