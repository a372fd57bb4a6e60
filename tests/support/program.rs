//! The server program as a process of its own, with the arguments, variables and limits that a test gives it.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::Fixture;
use crate::services::{runs_on_postgresql, shared_redis, signal};
use crate::wait::wait_until;

/// The number of log lines that are kept.
const MAX_LINES: usize = 10_000;

/// How to start the program.
#[derive(Clone)]
pub struct Launch {
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
    limits: String,
}

/// The program. It is killed when this value is dropped.
pub struct Program {
    child: Child,
    address: SocketAddr,
    log: Log,
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<VecDeque<String>>>);

impl Launch {
    /// A program on this database and a free port.
    pub fn new(database_url: &str) -> Self {
        Self {
            arguments: vec!["--database-url".to_owned(), database_url.to_owned()],
            variables: Vec::new(),
            limits: String::new(),
        }
        .with(["--listen", "127.0.0.1:0"])
        .with(["--rate-limit", "0"])
    }

    /// Stops the server of a fixture. The program takes its place.
    pub async fn instead_of(fixture: Fixture) -> (Self, StoppedFixture) {
        let mut launch = Self::new(&fixture.database_url);
        if runs_on_postgresql() {
            let secret = fixture.directory.path().join("secret");
            launch = launch.with(["--redis-url", &shared_redis()]);
            launch = launch.with(["--secret-key-file", &secret.display().to_string()]);
        }
        fixture.server.stop().await;
        let stopped = StoppedFixture {
            tenant: fixture.tenant,
            other_tenant: fixture.other_tenant,
            directory: fixture.directory,
        };
        (launch, stopped)
    }

    /// Adds arguments. A later one of the same name replaces an earlier one.
    #[must_use]
    pub fn with<'a>(mut self, arguments: impl IntoIterator<Item = &'a str>) -> Self {
        let arguments: Vec<_> = arguments.into_iter().map(str::to_owned).collect();
        if let Some(at) = arguments
            .first()
            .and_then(|name| self.arguments.iter().position(|given| given == name))
        {
            self.arguments.drain(at..at + arguments.len());
        }
        self.arguments.extend(arguments);
        self
    }

    /// Removes an argument and its value.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        if let Some(at) = self.arguments.iter().position(|given| given == name) {
            self.arguments.drain(at..at + 2);
        }
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets a limit, in the words of the shell's `ulimit`.
    #[must_use]
    pub fn limit(mut self, limit: &str) -> Self {
        self.limits = format!("{}ulimit {limit} && ", self.limits);
        self
    }

    /// The command that runs the program. Its process is that of the program.
    pub fn command(&self) -> Command {
        let mut command = Command::new("sh");
        command
            .args(["-c", &format!("{}exec \"$0\" \"$@\"", self.limits)])
            .arg(server_binary())
            .args(&self.arguments)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    /// Starts the program with its log in a pipe.
    fn spawn_with_log(&self) -> Child {
        self.command()
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server starts")
    }

    /// Starts the program and waits until it listens.
    pub async fn start(&self) -> Program {
        let mut child = self.spawn_with_log();
        let log = Log::default();
        let output = BufReader::new(child.stderr.take().expect("a pipe"));
        thread::spawn({
            let log = log.clone();
            move || {
                for line in output.lines().map_while(Result::ok) {
                    log.push(line);
                }
            }
        });
        wait_until("the server listens", || {
            let ended = child.try_wait().expect("the state of the process");
            assert!(ended.is_none(), "the server ended: {:?}", log.lines());
            std::future::ready(log.address().is_some())
        })
        .await;
        let address = log.address().expect("it listens");
        Program { child, address, log }
    }

    /// The help of the program.
    pub fn help() -> String {
        let output = Command::new(server_binary()).arg("--help").output();
        String::from_utf8(output.expect("it runs").stdout).expect("text")
    }

    /// Starts the program, which fails. Returns what it writes.
    pub fn fail(&self) -> String {
        match self.end() {
            Ok((status, text)) => {
                assert!(!status.success(), "{text}");
                text
            }
            Err(text) => panic!("the server runs, and is expected to refuse: {text}"),
        }
    }

    /// Starts the program, which fails because of what it finds in Redis. It starts without a Redis that is too slow to
    /// answer, as it may be on a busy machine; then it is started again.
    pub fn fail_by_redis(&self) -> String {
        for _ in 0..10 {
            match self.end() {
                Ok((status, text)) => {
                    assert!(!status.success(), "{text}");
                    return text;
                }
                Err(text) => assert!(text.contains("Redis did not answer at the start"), "{text}"),
            }
        }
        panic!("Redis never answered in time");
    }

    /// Starts the program. Returns how it ended and what it wrote, or what it wrote until it listened: then it is killed.
    fn end(&self) -> Result<(ExitStatus, String), String> {
        let mut child = self.spawn_with_log();
        let log = Log::default();
        let output = BufReader::new(child.stderr.take().expect("a pipe"));
        for line in output.lines().map_while(Result::ok) {
            log.push(line);
            if log.address().is_some() {
                child.kill().expect("killed");
                child.wait().expect("the process ends");
                return Err(log.lines().join("\n"));
            }
        }
        let status = child.wait().expect("the process ends");
        Ok((status, log.lines().join("\n")))
    }
}

/// What is left of a fixture whose server stopped.
pub struct StoppedFixture {
    /// The tenant under test.
    pub tenant: crate::fixture::Tenant,
    /// A second tenant.
    pub other_tenant: crate::fixture::Tenant,
    /// The directory of the database file and of the secrets.
    pub directory: tempfile::TempDir,
}

impl Log {
    fn push(&self, line: String) {
        let mut lines = self.0.lock().expect("not poisoned");
        if lines.len() == MAX_LINES {
            // The first lines name the address.
            lines.remove(MAX_LINES / 2);
        }
        lines.push_back(line);
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().expect("not poisoned").iter().cloned().collect()
    }

    fn address(&self) -> Option<SocketAddr> {
        self.lines().iter().find_map(|line| {
            let (_, url) = line.split_once("listening on http")?;
            let (_, address) = url.split_once("://")?;
            address.split_whitespace().next()?.parse().ok()
        })
    }
}

impl Program {
    /// The address that the program listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether a line of the log contains a text.
    pub fn has_logged(&self, text: &str) -> bool {
        self.log.lines().iter().any(|line| line.contains(text))
    }

    /// The number of lines of the log that contain a text.
    pub fn count_logged(&self, text: &str) -> usize {
        self.log.lines().iter().filter(|line| line.contains(text)).count()
    }

    /// Sends a signal.
    pub fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// Whether the program runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("the state of the process").is_none()
    }

    /// Waits for the end of the program.
    pub async fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("the server ends", || {
            status = self.child.try_wait().expect("the state of the process");
            std::future::ready(status.is_some())
        })
        .await;
        status.expect("it has ended")
    }

    /// The resident memory of the program, in KiB.
    pub fn memory_kib(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).expect("the process runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next());
        kib.expect("a size").parse().expect("a number")
    }

    /// The processor time that the program has used, in clock ticks.
    pub fn processor_ticks(&self) -> u64 {
        let path = format!("/proc/{}/stat", self.child.id());
        let stat = std::fs::read_to_string(path).expect("the process runs");
        // The fields after the name in parentheses; user and system time are the 14th and 15th of all.
        let (_, fields) = stat.rsplit_once(')').expect("a name");
        let fields: Vec<_> = fields.split_whitespace().collect();
        let ticks = |at: usize| fields[at].parse::<u64>().expect("a number");
        ticks(11) + ticks(12)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The path of the server program that was built with the tests.
fn server_binary() -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    let profile = test.parent().and_then(Path::parent);
    let binary = profile
        .expect("a test is in target/PROFILE/deps")
        .join(format!("voelgoed-scan-server{}", std::env::consts::EXE_SUFFIX));
    assert!(
        binary.exists(),
        "{} is missing: run `cargo build --workspace --bins`, or `scripts/test`, which builds it",
        binary.display()
    );
    binary
}
