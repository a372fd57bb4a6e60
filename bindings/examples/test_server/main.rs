//! The test server of the end-to-end tests in Kotlin, Swift and Python: the real scan server with an event, behind a
//! network that a test can interrupt.
//!
//! `cargo run --example test_server PROGRAMS` starts the project's programs from that folder. It prints the fixture on
//! stdout, one name and value per line, ended by an empty line. Then it reads commands from stdin, one per line, and
//! answers each with one line:
//!
//! | command | action and answer |
//! |---|---|
//! | `enroll DEVICE` | issues an enrolment code for `gate-a` or `gate-b` and prints its URI |
//! | `disconnect` | closes all connections and accepts no new ones |
//! | `drop_responses` | forwards requests to the server, but no responses |
//! | `delay MS` | forwards everything, each response so many milliseconds late |
//! | `freeze` | forwards nothing on the present connections, which stay open; new ones work |
//! | `captive_portal` | closes all connections, and answers each request with a web page |
//! | `reconnect` | forwards everything again, on new connections |
//! | `messages JSON` | replaces messages of the organization |
//! | `settings DEVICE JSON` | replaces the settings of a device |
//! | `scope DEVICE JSON` | replaces the scope of a device |
//! | `revoke DEVICE` | revokes a device |
//! | `status TICKET STATUS` | sets the status of a ticket, such as `voided` |
//! | `end_session DEVICE` | ends the active session of a device |
//! | `inside` | prints the number of people inside, as the server counts them |
//! | `scans` | prints the number of scans on record |
//! | `metadata FIELD` | prints this field of the metadata of all scans, in the order of their values |
//! | `conflicts` | prints the number of conflicts on the server |
//!
//! It stops the server and exits when stdin ends.

mod operator;
mod proxy;

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::io::AsyncBufReadExt as _;
use voelgoed_scan_core::client::HttpTransport;
use voelgoed_scan_core::model::EventId;

use operator::{ID_TIME, Operator};
use proxy::{Mode, Proxy};

type Failure = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let programs = PathBuf::from(std::env::args_os().nth(1).ok_or("usage: test_server PROGRAMS")?);
    let folder = tempfile::tempdir()?;
    let database = format!("sqlite://{}", folder.path().join("gate.db").display());

    let init = Command::new(programs.join("voelgoed-scan"))
        .args(["--output", "json", "init", "--organization", "Harbour Theatre"])
        .args(["--database-url", &database])
        .output()?;
    let init: Value = serde_json::from_slice(&init.stdout)?;
    let (_server, address) = start_server(&programs.join("voelgoed-scan-server"), &database)?;
    let proxy = Proxy::start(address.clone()).await?;
    let operator = Operator {
        server_address: address,
        proxy_address: proxy.address.clone(),
        api_key: text(&init, "/api_key")?,
        http: HttpTransport::new()?,
        event: EventId::generate(ID_TIME),
    };
    for (name, value) in operator.create_fixture().await? {
        print_line(&format!("{name}\t{value}"));
    }
    print_line("");

    let mut lines = tokio::io::BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let answer = match line.split_once(' ').unwrap_or((&line, "")) {
            ("enroll", device) => operator.issue_enrollment(device).await?,
            ("disconnect", _) => proxy.set_mode(Mode::Disconnected).await?,
            ("drop_responses", _) => proxy.set_mode(Mode::DropResponses).await?,
            ("delay", millis) => {
                let delay = Duration::from_millis(millis.parse()?);
                proxy.set_mode(Mode::Delay(delay)).await?
            }
            ("freeze", _) => proxy.set_mode(Mode::Freeze).await?,
            ("captive_portal", _) => proxy.set_mode(Mode::CaptivePortal).await?,
            ("reconnect", _) => proxy.set_mode(Mode::Forward).await?,
            ("messages", rest) => operator.change_messages(rest).await?,
            ("settings", rest) => operator.change_device("settings", rest).await?,
            ("scope", rest) => operator.change_device("scope", rest).await?,
            ("revoke", device) => operator.revoke(device).await?,
            ("status", rest) => operator.set_status(rest).await?,
            ("end_session", device) => operator.end_session(device).await?,
            ("inside", _) => operator.people_inside().await?,
            ("scans", _) => operator.scans().await?.len().to_string(),
            ("metadata", field) => operator.metadata(field).await?,
            ("conflicts", _) => operator.count_conflicts().await?,
            _ => return Err(format!("unknown command: {line:?}").into()),
        };
        print_line(&answer);
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the tests read stdout")]
fn print_line(line: &str) {
    println!("{line}");
}

fn text(value: &Value, pointer: &str) -> Result<String, Failure> {
    let found = value.pointer(pointer).and_then(Value::as_str);
    found
        .map(str::to_owned)
        .ok_or_else(|| format!("no {pointer} in {value}").into())
}

/// A child process that is killed when this is dropped.
struct ChildProcess(Child);

impl Drop for ChildProcess {
    fn drop(&mut self) {
        // Both fail if the process has already exited, which is fine.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Starts the server on a free port and reads the address from its log.
fn start_server(program: &Path, database: &str) -> Result<(ChildProcess, String), Failure> {
    let mut child = Command::new(program)
        .args([
            "--listen",
            "127.0.0.1:0",
            "--rate-limit",
            "0",
            "--database-url",
            database,
        ])
        .args(["--log", "info", "--log-format", "json"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let log = child.stderr.take().ok_or("the server has no log")?;
    let child = ChildProcess(child);
    let mut lines = BufReader::new(log).lines();
    for line in &mut lines {
        let line = line?;
        if let Some((_, address)) = line.split_once("listening on http://") {
            let address = address.split(|end: char| end != '.' && end != ':' && !end.is_ascii_digit());
            let address = address.take(1).collect();
            // Reads the rest of the log, because a full pipe would block the server.
            std::thread::spawn(move || lines.count());
            return Ok((child, address));
        }
    }
    Err("the server did not start".into())
}
