//! PostgreSQL and Redis for tests: the shared servers that `scripts/services` starts, and servers of one test that the
//! test can stop.

mod pgbouncer;
mod postgres;
mod redis;

pub use self::pgbouncer::{PgBouncer, PoolMode, pooled};
pub use self::postgres::{Postgres, ShutdownMode};
pub use self::redis::{MASTER, Redis, Sentinel, Subscriber};

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use tempfile::TempDir;

use crate::fixture::new_id;
use crate::wait::wait_until;

/// The value of a variable that `scripts/services run` sets.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where a system test reads the addresses of the services"
)]
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: scripts/services run sets it"))
}

/// Whether the tests of one server run on PostgreSQL and Redis instead of on SQLite.
pub fn runs_on_postgresql() -> bool {
    std::env::var_os("VOELGOED_SCAN_TEST_DATABASE").is_some_and(|database| database == "postgres")
}

/// Creates a database on the PostgreSQL that all tests share and returns its URL. A server that needs more than
/// `create database` gets it from [`preparation`].
pub fn shared_database() -> String {
    let url = create_database(&variable("VOELGOED_SCAN_TEST_POSTGRES_URL"));
    if let Some(program) = preparation() {
        let status = Command::new(program).arg(&url).status();
        assert!(status.expect("the program runs").success(), "{url}");
    }
    url
}

/// The program that prepares each database of the shared server, such as one that distributes its tables. The environment
/// names it for a server that no test starts.
pub fn preparation() -> Option<OsString> {
    std::env::var_os("VOELGOED_SCAN_TEST_PREPARE_DATABASE")
}

/// The URL of the Redis that all tests share.
pub fn shared_redis() -> String {
    variable("VOELGOED_SCAN_TEST_REDIS_URL")
}

fn create_database(server_url: &str) -> String {
    let name = format!("system_{}", new_id().replace('-', ""));
    execute_sql(server_url, &format!("create database {name}"));
    let (host, _) = server_url.rsplit_once('/').expect("the URL of a database");
    format!("{host}/{name}")
}

/// Executes SQL on a database directly, without a server of this project.
pub fn execute_sql(database_url: &str, sql: &str) {
    let psql = postgres_program("psql");
    let status = Command::new(psql)
        .args([
            "--no-psqlrc",
            "--quiet",
            "--output",
            "/dev/null",
            "--dbname",
            database_url,
            "--command",
            sql,
        ])
        .status()
        .expect("psql runs");
    assert!(status.success(), "{sql}");
}

/// The single value that a query on a database returns, as text.
pub fn query_sql(database_url: &str, sql: &str) -> String {
    let output = Command::new(postgres_program("psql"))
        .args([
            "--no-psqlrc",
            "--quiet",
            "--tuples-only",
            "--no-align",
            "--dbname",
            database_url,
            "--command",
            sql,
        ])
        .output()
        .expect("psql runs");
    assert!(output.status.success(), "{sql}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// An open transaction in a session of its own, which holds locks.
pub struct Transaction(Child);

impl Transaction {
    /// Opens a transaction and executes a statement in it. Returns when the statement has its locks.
    pub fn begin(database_url: &str, sql: &str) -> Self {
        let mut session = Command::new(postgres_program("psql"))
            .args([
                "--no-psqlrc",
                "--quiet",
                "--set",
                "ON_ERROR_STOP=1",
                "--output",
                "/dev/null",
                "--dbname",
                database_url,
            ])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("psql runs");
        let input = session.stdin.as_mut().expect("a pipe");
        writeln!(input, "begin;\n{sql};\n\\warn locked").expect("psql reads");
        let output = session.stderr.take().expect("a pipe");
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).expect("psql writes");
        assert_eq!(line.trim_end(), "locked", "{sql}");
        Self(session)
    }

    /// Commits the transaction and ends the session.
    pub fn commit(mut self) {
        let mut input = self.0.stdin.take().expect("a pipe");
        writeln!(input, "commit;").expect("psql reads");
        drop(input);
        assert!(self.0.wait().expect("psql ends").success());
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        // A failed test leaves the session open. An ended one is not found.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The path of a program of PostgreSQL.
pub fn postgres_program(name: &str) -> PathBuf {
    PathBuf::from(variable("VOELGOED_SCAN_TEST_POSTGRES_BIN")).join(name)
}

fn redis_program(name: &str) -> PathBuf {
    PathBuf::from(variable("VOELGOED_SCAN_TEST_REDIS_BIN")).join(name)
}

/// A port that is free now, and that no other test of this process has been given. It is below the ephemeral range of the
/// kernel, so that a restarted server can bind it again.
pub fn free_port() -> u16 {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    for _ in 0..100 {
        let id = new_id();
        let random = id.rsplit('-').next().and_then(|last| last.get(8..));
        let random = random.and_then(|digits| u16::from_str_radix(digits, 16).ok());
        let port = 20_000 + random.expect("hexadecimal digits") % 12_000;
        let is_free = TcpListener::bind(("127.0.0.1", port)).is_ok();
        if is_free && GIVEN.lock().expect("not poisoned").insert(port) {
            return port;
        }
    }
    panic!("no port is free");
}

/// Waits until a server is ready. `false` if its process ends first, which counts also if somebody else has its port.
async fn is_ready<F: Future<Output = bool>>(process: &mut Child, mut ready: impl FnMut() -> F) -> bool {
    let mut has_ended = false;
    wait_until("a server is ready", || {
        has_ended = process.try_wait().expect("the state of the process").is_some();
        let ready = ready();
        async move { has_ended || ready.await }
    })
    .await;
    !has_ended && process.try_wait().expect("the state of the process").is_none()
}

/// A command that runs a database server as the user `postgres`, because PostgreSQL refuses to run as root. The kernel
/// kills the server when the thread that started it ends.
fn server_command(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    if is_root() {
        command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]);
    }
    command.args(["--pdeathsig=KILL", "--"]).arg(program);
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .stdin(Stdio::null());
    command
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().expect("id runs");
    id.stdout.starts_with(b"0\n")
}

/// A temporary directory that the server's user owns and can reach.
fn server_directory() -> TempDir {
    let directory = tempfile::Builder::new()
        .prefix("voelgoed-scan.")
        .tempdir_in("/tmp")
        .expect("a directory");
    change_owner_to_server(directory.path());
    directory
}

fn change_owner_to_server(path: &Path) {
    if is_root() {
        let status = Command::new("chown").arg("postgres:postgres").arg(path).status();
        assert!(status.expect("chown runs").success());
    }
}

/// Sends a signal to a process.
pub fn signal(process_id: u32, name: &str) {
    let status = Command::new("kill")
        .args(["-s", name, &process_id.to_string()])
        .status();
    assert!(status.expect("kill runs").success(), "{name} for {process_id}");
}
