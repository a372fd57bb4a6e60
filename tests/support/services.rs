//! A PostgreSQL and a Redis: those that `scripts/services` started, and throwaway ones that a test may stop.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::cluster::until;
use crate::world::new_id;

/// A variable that `scripts/services run` sets.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where a system test learns of the services"
)]
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: scripts/services run sets it"))
}

/// Whether tests of one server are to be run on PostgreSQL and Redis this time.
pub fn on_postgresql() -> bool {
    std::env::var_os("VOELGOED_SCAN_TEST_WORLD").is_some_and(|world| world == "postgres")
}

/// The URL of a new database on the PostgreSQL that all tests share.
pub fn shared_database() -> String {
    new_database(&variable("VOELGOED_SCAN_TEST_POSTGRES_URL"))
}

/// The URL of the Redis that all tests share.
pub fn shared_redis() -> String {
    variable("VOELGOED_SCAN_TEST_REDIS_URL")
}

fn new_database(server: &str) -> String {
    let name = format!("system_{}", new_id().replace('-', ""));
    run_sql(server, &format!("create database {name}"));
    let (host, _) = server.rsplit_once('/').expect("the URL of a database");
    format!("{host}/{name}")
}

/// Runs SQL on a database, past the gate.
pub fn run_sql(database: &str, sql: &str) {
    let psql = PathBuf::from(variable("VOELGOED_SCAN_TEST_POSTGRES_BIN")).join("psql");
    let done = Command::new(psql)
        .args(["--no-psqlrc", "--quiet", "--dbname", database, "--command", sql])
        .status()
        .expect("psql runs");
    assert!(done.success(), "{sql}");
}

/// A port that is free now, below those that the kernel hands out by itself: a server that is stopped finds it again.
pub fn free_port() -> u16 {
    for _ in 0..100 {
        let id = new_id();
        let random = id.rsplit('-').next().and_then(|last| last.get(8..));
        let random = random.and_then(|digits| u16::from_str_radix(digits, 16).ok());
        let port = 20_000 + random.expect("hexadecimal digits") % 12_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free");
}

/// A program that PostgreSQL's own user runs: it refuses to be run by root. It ends with the thread that started it.
fn as_server(program: &std::path::Path) -> Command {
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

/// A folder of the servers' user, where that user can reach it.
fn folder() -> TempDir {
    let folder = tempfile::Builder::new()
        .prefix("voelgoed-scan.")
        .tempdir_in("/tmp")
        .expect("a folder");
    give_to_server(folder.path());
    folder
}

fn give_to_server(path: &std::path::Path) {
    if is_root() {
        let given = Command::new("chown").arg("postgres:postgres").arg(path).status();
        assert!(given.expect("chown runs").success());
    }
}

fn only_for_server(path: &std::path::Path) {
    give_to_server(path);
    let closed = Command::new("chmod").arg("600").arg(path).status();
    assert!(closed.expect("chmod runs").success());
}

/// Sends a signal to a process.
pub fn signal(process: u32, name: &str) {
    let sent = Command::new("kill")
        .args(["-s", name, &process.to_string()])
        .status();
    assert!(sent.expect("kill runs").success(), "{name} for {process}");
}

/// How PostgreSQL is stopped.
#[derive(Debug, Clone, Copy)]
pub enum Stop {
    /// Transactions are rolled back, data is flushed.
    Fast,
    /// As if the power had failed.
    Immediate,
}

/// A PostgreSQL of one test's own.
pub struct Postgres {
    folder: TempDir,
    port: u16,
    running: Option<Child>,
}

impl Postgres {
    /// Makes and starts one.
    pub async fn start() -> Self {
        let folder = folder();
        let bin = PathBuf::from(variable("VOELGOED_SCAN_TEST_POSTGRES_BIN"));
        let made = as_server(&bin.join("initdb"))
            .arg("--pgdata")
            .arg(folder.path().join("data"))
            .args([
                "--username=postgres",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C",
            ])
            .args(["--no-sync", "--no-instructions"])
            .current_dir(folder.path())
            .status()
            .expect("initdb runs");
        assert!(made.success(), "initdb");
        let mut postgres = Self {
            folder,
            port: free_port(),
            running: None,
        };
        postgres.start_again().await;
        postgres
    }

    /// Takes connections over TLS alone from its next start on, with a certificate and its key in PEM.
    pub fn ask_for_tls(&self, certificate: &str, key: &str) {
        let data = self.folder.path().join("data");
        let settings = "ssl = on\n";
        for (file, text) in [
            ("server.crt", certificate),
            ("server.key", key),
            ("postgresql.auto.conf", settings),
            ("pg_hba.conf", "hostssl all all 127.0.0.1/32 trust\n"),
        ] {
            let path = data.join(file);
            std::fs::write(&path, text).expect("written");
            only_for_server(&path);
        }
    }

    /// Starts it where it was stopped.
    pub async fn start_again(&mut self) {
        let bin = PathBuf::from(variable("VOELGOED_SCAN_TEST_POSTGRES_BIN"));
        let child = as_server(&bin.join("postgres"))
            .arg("-D")
            .arg(self.folder.path().join("data"))
            .args(["-p", &self.port.to_string(), "-c", "listen_addresses=127.0.0.1"])
            .args(["-c", "max_connections=200", "-c"])
            .arg(format!(
                "unix_socket_directories={}",
                self.folder.path().display()
            ))
            .current_dir(self.folder.path())
            .spawn()
            .expect("postgres starts");
        self.running = Some(child);
        let ready = bin.join("pg_isready");
        let port = self.port.to_string();
        until("PostgreSQL takes connections", || {
            let asked = Command::new(&ready)
                .args(["--quiet", "--host=127.0.0.1", "--port", &port])
                .status();
            std::future::ready(asked.expect("pg_isready runs").success())
        })
        .await;
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    fn server(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// The URL of a new database on it.
    pub fn database(&self) -> String {
        new_database(&self.server())
    }

    fn process(&self) -> u32 {
        self.running.as_ref().expect("it runs").id()
    }

    /// Stops it and waits for its end.
    pub fn stop(&mut self, how: Stop) {
        let name = match how {
            Stop::Fast => "INT",
            Stop::Immediate => "QUIT",
        };
        signal(self.process(), name);
        let mut child = self.running.take().expect("it runs");
        child.wait().expect("it ends");
    }

    /// Runs SQL in a transaction that stays open until the process is killed.
    pub fn hold(&self, database: &str, sql: &str) -> Child {
        let psql = PathBuf::from(variable("VOELGOED_SCAN_TEST_POSTGRES_BIN")).join("psql");
        let mut holding = Command::new(psql)
            .args(["--no-psqlrc", "--quiet", "--dbname", database])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("psql runs");
        let prompt = holding.stdin.as_mut().expect("it was piped");
        writeln!(prompt, "begin; {sql};\n\\echo held").expect("psql reads");
        let told = holding.stdout.as_mut().expect("it was piped");
        let mut line = [0; 5];
        told.read_exact(&mut line).expect("it is held");
        holding
    }

    /// Waits until a call waits for a lock that is held.
    pub async fn awaits_a_lock(&self, database: &str) {
        let psql = PathBuf::from(variable("VOELGOED_SCAN_TEST_POSTGRES_BIN")).join("psql");
        let asked = "select count(*) from pg_stat_activity \
                     where datname = current_database() and wait_event_type = 'Lock'";
        until("somebody waits for a lock", || {
            let told = Command::new(&psql)
                .args(["--no-psqlrc", "--tuples-only", "--no-align"])
                .args(["--dbname", database, "--command", asked])
                .output()
                .expect("psql runs");
            std::future::ready(told.stdout.trim_ascii() != b"0")
        })
        .await;
    }

    /// Freezes it, all its processes, or lets it go on: connections stay, nothing is answered.
    pub fn freeze(&self, frozen: bool) {
        let name = if frozen { "-STOP" } else { "-CONT" };
        let postmaster = self.process().to_string();
        let one = Command::new("pkill")
            .args([name, "--parent", &postmaster])
            .status();
        assert!(one.expect("pkill runs").success());
        signal(self.process(), name.trim_start_matches('-'));
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(child) = &mut self.running {
            // Its processes leave when the first of them is gone.
            signal(child.id(), "CONT");
            signal(child.id(), "QUIT");
            let _ = child.wait();
        }
    }
}

/// A Redis of one test's own.
pub struct Redis {
    folder: TempDir,
    port: u16,
    running: Option<Child>,
}

impl Redis {
    /// Starts one.
    pub async fn start() -> Self {
        let mut redis = Self {
            folder: folder(),
            port: free_port(),
            running: None,
        };
        redis.start_again().await;
        redis
    }

    /// Starts it, empty, where it was killed.
    pub async fn start_again(&mut self) {
        let program = PathBuf::from(variable("VOELGOED_SCAN_TEST_REDIS_BIN")).join("redis-server");
        let child = as_server(&program)
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(self.folder.path())
            .spawn()
            .expect("redis-server starts");
        self.running = Some(child);
        let port = self.port;
        until("Redis takes connections", || async move {
            TcpStream::connect(("127.0.0.1", port)).await.is_ok()
        })
        .await;
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    fn process(&self) -> u32 {
        self.running.as_ref().expect("it runs").id()
    }

    /// Kills it.
    pub fn kill(&mut self) {
        let mut child = self.running.take().expect("it runs");
        child.kill().expect("killed");
        child.wait().expect("it ends");
    }

    /// Freezes it, or lets it go on.
    pub fn freeze(&self, frozen: bool) {
        signal(self.process(), if frozen { "STOP" } else { "CONT" });
    }

    /// Listens to channels that a pattern fits; it is subscribed when this returns. Each message is a line, between others.
    pub fn listen(&self, pattern: &str) -> Listener {
        let program = PathBuf::from(variable("VOELGOED_SCAN_TEST_REDIS_BIN")).join("redis-cli");
        let mut child = Command::new(program)
            .args(["-e", "-h", "127.0.0.1", "-p", &self.port.to_string()])
            .args(["psubscribe", pattern])
            .stdout(Stdio::piped())
            .spawn()
            .expect("redis-cli runs");
        let said = BufReader::new(child.stdout.take().expect("its output"));
        let mut listener = Listener { child, said };
        listener.until(|line| line == "1");
        listener
    }

    /// Gives it a command.
    pub fn command(&self, words: &[&str]) -> String {
        let program = PathBuf::from(variable("VOELGOED_SCAN_TEST_REDIS_BIN")).join("redis-cli");
        let done = Command::new(program)
            .args(["-e", "-h", "127.0.0.1", "-p", &self.port.to_string()])
            .args(words)
            .output()
            .expect("redis-cli runs");
        assert!(done.status.success(), "{words:?}: {done:?}");
        String::from_utf8_lossy(&done.stdout).into_owned()
    }
}

/// Who listens to a [`Redis`].
pub struct Listener {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Listener {
    /// Reads until a line is the one that is waited for.
    pub fn until(&mut self, is_it: impl Fn(&str) -> bool) {
        loop {
            let mut line = String::new();
            let read = self.said.read_line(&mut line).expect("a line");
            assert_ne!(read, 0, "redis-cli ended");
            if is_it(line.trim_end()) {
                return;
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if let Some(child) = &mut self.running {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// How long a service may take to come up.
pub const LONG: Duration = Duration::from_secs(60);
