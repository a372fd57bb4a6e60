//! A prompt: the built binary, a server, a credential.
#![expect(clippy::expect_used, reason = "a test fails by panicking, and says where")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use voelgoed_scan_server::{Config, Running};

/// The binary that the workspace built beside this test.
pub(super) fn binary() -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    let profile = test
        .parent()
        .and_then(Path::parent)
        .expect("a test lies in target/PROFILE/deps");
    let binary = profile.join(format!("voelgoed-scan{}", std::env::consts::EXE_SUFFIX));
    assert!(
        binary.exists(),
        "{} is missing: run `cargo build -p voelgoed-scan-cli`, or `scripts/test`, which builds it",
        binary.display()
    );
    binary
}

/// What a command did.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) code: i32,
    pub(super) out: String,
    pub(super) err: String,
}

impl Done {
    /// The one JSON value that it printed, and nothing else.
    #[track_caller]
    pub(super) fn value(&self) -> Value {
        let values = self.values();
        assert_eq!(values.len(), 1, "one value: {self:?}");
        values.into_iter().next().expect("one")
    }

    /// The JSON values that it printed, one a line, and nothing else.
    #[track_caller]
    pub(super) fn values(&self) -> Vec<Value> {
        self.out
            .lines()
            .map(|line| {
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line:?} of {self:?}"))
            })
            .collect()
    }

    #[track_caller]
    pub(super) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        assert!(!self.err.contains("panicked"), "{self:?}");
        self
    }
}

/// Who types, and to which server.
#[derive(Debug, Clone)]
pub(super) struct Prompt {
    server: String,
    token: Option<String>,
}

impl Prompt {
    /// A prompt without a server.
    pub(super) fn alone() -> Self {
        // Nothing listens on the discard port.
        Self::at("http://127.0.0.1:9")
    }

    /// A prompt that talks to a server, without a credential.
    pub(super) fn at(server: &str) -> Self {
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

    pub(super) fn without_token(&self) -> Self {
        Self {
            token: None,
            ..self.clone()
        }
    }

    /// The command with its environment, ready to run.
    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.args(arguments).env("VOELGOED_SCAN_SERVER", &self.server);
        for name in [
            "VOELGOED_SCAN_TOKEN",
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

    pub(super) fn run(&self, arguments: &[&str]) -> Done {
        self.feed(arguments, "")
    }

    /// Runs a command with a text on its standard input.
    pub(super) fn feed(&self, arguments: &[&str], input: &str) -> Done {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let mut stdin = child.stdin.take().expect("its input");
        let input = input.to_owned();
        // A command that does not read its input closes it: that is no fault.
        let feeder = std::thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
        let output = child.wait_with_output().expect("it ends");
        feeder.join().expect("the input is written");
        Done {
            code: output.status.code().expect("it exits by itself"),
            out: String::from_utf8(output.stdout).expect("text"),
            err: String::from_utf8(output.stderr).expect("text"),
        }
    }

    /// Runs a command that should print one JSON value, and does.
    #[track_caller]
    pub(super) fn json(&self, arguments: &[&str]) -> Value {
        let mut all = arguments.to_vec();
        all.extend(["--output", "json"]);
        self.run(&all).expect(0).value()
    }

    /// Runs a command that should print a list as NDJSON, and does.
    #[track_caller]
    pub(super) fn list(&self, arguments: &[&str]) -> Vec<Value> {
        let mut all = arguments.to_vec();
        all.extend(["--output", "json"]);
        self.run(&all).expect(0).values()
    }
}

/// A server with an organization that `init` made beside it.
pub(super) struct Place {
    pub(super) folder: TempDir,
    pub(super) owner: Prompt,
    pub(super) url: String,
    pub(super) organization: String,
    // Dropped in this order: the server first, then what runs it.
    _running: Running,
    _runtime: tokio::runtime::Runtime,
}

impl Place {
    pub(super) fn open() -> Self {
        Self::open_in(tempfile::tempdir().expect("a folder"), &[])
    }

    /// Another server, with nothing yet but this one's organization id and master secret.
    pub(super) fn open_anew(&self) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let secret = "gate.db.secret";
        std::fs::copy(self.path(secret), folder.path().join(secret)).expect("copied");
        Self::open_in(folder, &["--organization-id", &self.organization])
    }

    fn open_in(folder: TempDir, more: &[&str]) -> Self {
        let url = format!("sqlite://{}", folder.path().join("gate.db").display());
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let running = runtime
            .block_on(voelgoed_scan_server::start(Config::on_free_port(&url)))
            .expect("a server");
        let alone = Prompt::at(&format!("http://{}", running.address()));
        let init = ["init", "--database-url", &url, "--organization", "Voelgoed"];
        let made = alone.json(&[&init, more].concat());
        Self {
            folder,
            owner: alone.with_token(made["api_key"].as_str().expect("a key")),
            url,
            organization: made["organization_id"].as_str().expect("an id").to_owned(),
            _running: running,
            _runtime: runtime,
        }
    }

    pub(super) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// A live event with an open gate.
    pub(super) fn event_and_gate(&self) -> (String, String) {
        let event = id(&self
            .owner
            .json(&["event", "put", "new", "--name", "Summer", "--status", "live"]));
        let gate = id(&self.owner.json(&[
            "gate", "put", "new", "--event", &event, "--name", "Main", "--status", "open",
        ]));
        (event, gate)
    }

    /// A device with a session at the gate.
    pub(super) fn scanner(&self, event: &str, gate: &str) -> Prompt {
        let device = self
            .owner
            .json(&["device", "register", "door-1", "--can-override"]);
        let scanner = self.owner.with_token(text(&device, "token"));
        scanner.json(&["session", "start", "--event", event, "--gate", gate]);
        scanner
    }

    /// So many new tickets; their codes.
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

    /// What the holder of a ticket shows.
    pub(super) fn qr(&self, event: &str, code: &str) -> String {
        let signed = self.owner.json(&["ticket", "qr", code, "--event", event]);
        text(&signed, "qr").to_owned()
    }
}

#[track_caller]
pub(super) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name]
        .as_str()
        .unwrap_or_else(|| panic!("a text {name}: {value}"))
}

#[track_caller]
pub(super) fn id(value: &Value) -> String {
    text(value, "id").to_owned()
}
