//! The built binary with its environment, and a server for it to call.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use voelgoed_scan_server::{Config, Running};

/// The path of the `voelgoed-scan` binary, which the workspace builds into the same target directory.
pub(super) fn binary() -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    let profile = test
        .parent()
        .and_then(Path::parent)
        .expect("a test is in target/PROFILE/deps");
    let binary = profile.join(format!("voelgoed-scan{}", std::env::consts::EXE_SUFFIX));
    assert!(
        binary.exists(),
        "{} is missing: run `cargo build -p voelgoed-scan-cli`, or `scripts/test`, which builds it",
        binary.display()
    );
    binary
}

/// The result of a command.
#[derive(Debug)]
pub(super) struct CommandOutput {
    pub(super) exit_code: i32,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl CommandOutput {
    /// The single JSON value on standard output. Panics if there is anything else.
    #[track_caller]
    pub(super) fn value(&self) -> Value {
        let values = self.values();
        assert_eq!(values.len(), 1, "one value: {self:?}");
        values.into_iter().next().expect("one")
    }

    /// The JSON values on standard output, one a line. Panics if there is anything else.
    #[track_caller]
    pub(super) fn values(&self) -> Vec<Value> {
        self.stdout
            .lines()
            .map(|line| {
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line:?} of {self:?}"))
            })
            .collect()
    }

    /// Panics unless the command exited with this code and without a panic.
    #[track_caller]
    pub(super) fn expect(self, exit_code: i32) -> Self {
        assert_eq!(self.exit_code, exit_code, "{self:?}");
        assert!(!self.stderr.contains("panicked"), "{self:?}");
        self
    }
}

/// The command line with the address of a server and a credential in its environment.
#[derive(Debug, Clone)]
pub(super) struct Cli {
    server: String,
    token: Option<String>,
}

impl Cli {
    /// A command line without a server.
    pub(super) fn without_server() -> Self {
        // Nothing listens on the discard port.
        Self::for_server("http://127.0.0.1:9")
    }

    /// A command line for a server, without a credential.
    pub(super) fn for_server(server: &str) -> Self {
        Self {
            server: server.to_owned(),
            token: None,
        }
    }

    pub(super) fn with_token(&self, token: &str) -> Self {
        Self {
            token: Some(token.to_owned()),
            ..self.clone()
        }
    }

    /// The credential, or an empty text without one.
    pub(super) fn token(&self) -> &str {
        self.token.as_deref().unwrap_or_default()
    }

    pub(super) fn without_token(&self) -> Self {
        Self {
            token: None,
            ..self.clone()
        }
    }

    /// A command with its environment and with piped output, ready to spawn.
    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        self.program(binary(), arguments)
    }

    /// Another program in the same environment.
    pub(super) fn program(&self, program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).env("VOELGOED_SCAN_SERVER", &self.server);
        for name in [
            "VOELGOED_SCAN_TOKEN",
            "VOELGOED_SCAN_EVENT",
            "VOELGOED_SCAN_SECRET_KEY",
            "VOELGOED_SCAN_DATABASE_URL",
        ] {
            command.env_remove(name);
        }
        if let Some(token) = &self.token {
            command.env("VOELGOED_SCAN_TOKEN", token);
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(super) fn run(&self, arguments: &[&str]) -> CommandOutput {
        self.run_with_input(arguments, "")
    }

    /// Runs a command with this text on its standard input.
    pub(super) fn run_with_input(&self, arguments: &[&str], input: &str) -> CommandOutput {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let mut stdin = child.stdin.take().expect("its input");
        let input = input.to_owned();
        // A command may close its input without reading it.
        let writer = std::thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
        let output = child.wait_with_output().expect("it ends");
        writer.join().expect("the input is written");
        CommandOutput {
            exit_code: output.status.code().expect("it exits by itself"),
            stdout: String::from_utf8(output.stdout).expect("text"),
            stderr: String::from_utf8(output.stderr).expect("text"),
        }
    }

    /// Runs a command with `--output json` and returns the single value that it prints.
    #[track_caller]
    pub(super) fn json(&self, arguments: &[&str]) -> Value {
        let mut all = arguments.to_vec();
        all.extend(["--output", "json"]);
        self.run(&all).expect(0).value()
    }

    /// Runs a command with `--output json` and returns the list that it prints as NDJSON.
    #[track_caller]
    pub(super) fn list(&self, arguments: &[&str]) -> Vec<Value> {
        let mut all = arguments.to_vec();
        all.extend(["--output", "json"]);
        self.run(&all).expect(0).values()
    }
}

/// A running server with an organization that `init` created.
pub(super) struct TestServer {
    directory: TempDir,
    pub(super) owner: Cli,
    pub(super) url: String,
    pub(super) address: String,
    pub(super) organization: String,
    // Fields are dropped in this order: the server before its runtime.
    running: Running,
    runtime: tokio::runtime::Runtime,
}

impl TestServer {
    pub(super) fn start() -> Self {
        Self::start_in(tempfile::tempdir().expect("a directory"), &[])
    }

    /// Starts another server with an empty database, the same organization id and the same master secret.
    pub(super) fn start_with_same_keys(&self) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let secret = "gate.db.secret";
        std::fs::copy(self.path(secret), directory.path().join(secret)).expect("copied");
        Self::start_in(directory, &["--organization-id", &self.organization])
    }

    fn start_in(directory: TempDir, extra_arguments: &[&str]) -> Self {
        let url = format!("sqlite://{}", directory.path().join("gate.db").display());
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let running = runtime
            .block_on(voelgoed_scan_server::start(Config {
                // The secret may be there already.
                create: true,
                ..Config::on_free_port(&url)
            }))
            .expect("a server");
        let address = format!("http://{}", running.address());
        let anonymous = Cli::for_server(&address);
        let init = ["init", "--database-url", &url, "--organization", "Voelgoed"];
        let created = anonymous.json(&[&init, extra_arguments].concat());
        Self {
            directory,
            owner: anonymous.with_token(created["api_key"].as_str().expect("a key")),
            url,
            address,
            organization: created["organization_id"].as_str().expect("an id").to_owned(),
            running,
            runtime,
        }
    }

    /// The address of the server.
    pub(super) fn socket(&self) -> std::net::SocketAddr {
        self.running.address()
    }

    /// Runs a call to the server to its end.
    pub(super) fn block_on<T>(&self, call: impl Future<Output = T>) -> T {
        self.runtime.block_on(call)
    }

    /// A path in the directory of the server.
    pub(super) fn path(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    /// Creates a live event with an open gate, and returns their ids.
    pub(super) fn event_and_gate(&self) -> (String, String) {
        let event = id(&self
            .owner
            .json(&["event", "put", "new", "--name", "Summer", "--status", "live"]));
        let gate = id(&self.owner.json(&[
            "gate", "put", "new", "--event", &event, "--name", "Main", "--status", "open",
        ]));
        (event, gate)
    }

    /// Registers a device, starts a session at the gate, and returns a command line with the device's token.
    pub(super) fn scanner(&self, event: &str, gate: &str) -> Cli {
        let device = self
            .owner
            .json(&["device", "register", "door-1", "--can-override"]);
        let scanner = self.owner.with_token(text(&device, "token"));
        scanner.json(&["session", "start", "--event", event, "--gate", gate]);
        scanner
    }

    /// Issues tickets and returns their codes.
    pub(super) fn issue(&self, event: &str, count: usize) -> Vec<String> {
        let count = count.to_string();
        let issued = self
            .owner
            .list(&["ticket", "issue", "--event", event, "--count", &count]);
        issued
            .iter()
            .map(|ticket| text(ticket, "code").to_owned())
            .collect()
    }

    /// The signed QR payload of a ticket.
    pub(super) fn qr(&self, event: &str, code: &str) -> String {
        let signed = self.owner.json(&["ticket", "qr", code, "--event", event]);
        text(&signed, "qr").to_owned()
    }
}

/// A text field of an object.
#[track_caller]
pub(super) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name]
        .as_str()
        .unwrap_or_else(|| panic!("a text {name}: {value}"))
}

/// The `id` of an object.
#[track_caller]
pub(super) fn id(value: &Value) -> String {
    text(value, "id").to_owned()
}
