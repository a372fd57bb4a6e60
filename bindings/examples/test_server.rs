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

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use voelgoed_scan_core::client::{HttpHeader, HttpMethod, HttpRequest, HttpTransport, Transport as _};
use voelgoed_scan_core::model::{EnrollmentUri, EventId, GateId, TicketCode, Timestamp};

type Failure = Box<dyn std::error::Error>;

/// The tickets of the event. Each has its name as the holder's name.
const TICKETS: &[&str] = &[
    "first",
    "second",
    "third",
    "fourth",
    "answer_lost",
    "both",
    "voided",
];

/// The time at which the ids of the fixture are generated.
const ID_TIME: Timestamp = Timestamp::from_millis(1_790_000_000_000);

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

/// What the proxy does with connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Forward,
    /// Forwards each response late.
    Delay(Duration),
    DropResponses,
    Disconnected,
    /// Forwards nothing on the connections that are open now. New ones are forwarded.
    Freeze,
    CaptivePortal,
}

/// The page of a captive portal, as a complete response.
const PORTAL: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 26\r\nConnection: close\r\n\r\n\
<h1>Your room number?</h1>";

/// A TCP proxy in front of the server.
struct Proxy {
    address: String,
    changes: mpsc::Sender<ModeChange>,
}

/// A new mode, and a channel that confirms it.
type ModeChange = (Mode, oneshot::Sender<()>);

impl Proxy {
    async fn start(server: String) -> Result<Self, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let (changes, receiver) = mpsc::channel(1);
        tokio::spawn(accept_connections(listener, server, receiver));
        Ok(Self { address, changes })
    }

    /// Sets the mode. When this returns, no connection runs in another mode.
    async fn set_mode(&self, mode: Mode) -> Result<String, Failure> {
        let (confirm, confirmed) = oneshot::channel();
        self.changes.send((mode, confirm)).await?;
        confirmed.await?;
        Ok("done".to_owned())
    }
}

async fn accept_connections(listener: TcpListener, server: String, mut changes: mpsc::Receiver<ModeChange>) {
    let mode = watch::Sender::new(Mode::Forward);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((phone, _)) = listener.accept() => {
                let now = *mode.borrow();
                match now {
                    Mode::Disconnected => {}
                    Mode::CaptivePortal => {
                        connections.spawn(answer_as_portal(phone));
                    }
                    // A connection that is newer than the freeze.
                    Mode::Freeze => {
                        let forward_all = watch::Sender::new(Mode::Forward);
                        connections.spawn(forward(phone, server.clone(), forward_all.subscribe()));
                    }
                    Mode::Forward | Mode::Delay(_) | Mode::DropResponses => {
                        connections.spawn(forward(phone, server.clone(), mode.subscribe()));
                    }
                }
            }
            Some((new, confirm)) = changes.recv() => {
                let closes = matches!(new, Mode::Disconnected | Mode::CaptivePortal)
                    || matches!(*mode.borrow(), Mode::Freeze | Mode::CaptivePortal);
                mode.send_replace(new);
                if closes {
                    connections.shutdown().await;
                }
                // The receiver is gone only when the program exits.
                if confirm.send(()).is_err() {
                    return;
                }
            }
            Some(_) = connections.join_next() => {}
            else => return,
        }
    }
}

/// Reads the head of one request and answers it with a web page.
async fn answer_as_portal(mut phone: TcpStream) -> Result<(), std::io::Error> {
    let mut bytes = vec![0; 16 * 1024];
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match phone.read(&mut bytes).await? {
            0 => return Ok(()),
            read => head.extend_from_slice(bytes.get(..read).unwrap_or_default()),
        }
    }
    phone.write_all(PORTAL).await?;
    phone.shutdown().await
}

/// Forwards a connection until either side closes it.
async fn forward(
    mut phone: TcpStream,
    server: String,
    mode: watch::Receiver<Mode>,
) -> Result<(), std::io::Error> {
    let mut server = TcpStream::connect(server).await?;
    let (mut from_phone, mut to_phone) = phone.split();
    let (mut from_server, mut to_server) = server.split();
    let requests = async {
        let mut bytes = vec![0; 16 * 1024];
        loop {
            let read = from_phone.read(&mut bytes).await?;
            if read == 0 {
                return Ok(());
            }
            if *mode.borrow() == Mode::Freeze {
                std::future::pending::<()>().await;
            }
            to_server.write_all(bytes.get(..read).unwrap_or_default()).await?;
        }
    };
    let responses = async {
        let mut bytes = vec![0; 16 * 1024];
        loop {
            let read = from_server.read(&mut bytes).await?;
            if read == 0 {
                return Ok(());
            }
            let now = *mode.borrow();
            match now {
                Mode::Forward | Mode::CaptivePortal => {}
                Mode::Delay(delay) => tokio::time::sleep(delay).await,
                Mode::Freeze => std::future::pending::<()>().await,
                Mode::DropResponses | Mode::Disconnected => return Ok(()),
            }
            to_phone.write_all(bytes.get(..read).unwrap_or_default()).await?;
        }
    };
    tokio::select! {
        done = requests => done,
        done = responses => done,
    }
}

/// Returns the name under which the fixture has the code of a ticket.
fn code_name(ticket: &str) -> Option<&'static str> {
    match ticket {
        "first" => Some("first_code"),
        "second" => Some("second_code"),
        _ => None,
    }
}

/// The operator's API client. It calls the server directly and not through the proxy.
struct Operator {
    server_address: String,
    proxy_address: String,
    api_key: String,
    http: HttpTransport,
    event: EventId,
}

impl Operator {
    /// Creates an event with two gates, several tickets and two devices. Returns the fixture's names and values.
    async fn create_fixture(&self) -> Result<Vec<(&'static str, String)>, Failure> {
        let event = self.event.to_string();
        let (main, vip) = (
            GateId::generate(ID_TIME).to_string(),
            GateId::generate(ID_TIME).to_string(),
        );
        let show = json!({ "name": "Opening night", "status": "live", "ticket_classes": ["Day", "VIP"] });
        let gate =
            |name: &str, classes: Value| json!({ "name": name, "status": "open", "ticket_classes": classes });
        let path = format!("events/{event}");
        self.put(&path, &show).await?;
        self.put(&format!("{path}/gates/{main}"), &gate("Main", Value::Null))
            .await?;
        self.put(&format!("{path}/gates/{vip}"), &gate("VIP", json!(["VIP"])))
            .await?;
        let mut fixture = vec![
            ("server", format!("http://{}", self.proxy_address)),
            ("event", event.clone()),
            ("gate_main", main),
            ("gate_vip", vip),
        ];
        fixture.extend(self.create_tickets(&event, TICKETS).await?);
        let other = EventId::generate(ID_TIME).to_string();
        self.put(&format!("events/{other}"), &show).await?;
        fixture.extend(self.create_tickets(&other, &["other_event"]).await?);
        for device in ["gate-a", "gate-b"] {
            let new = json!({ "device_id": device, "name": device, "device_type": "mobile" });
            self.call(
                HttpMethod::Post,
                "scanning/devices",
                "application/json",
                new.to_string(),
            )
            .await?;
        }
        Ok(fixture)
    }

    /// Creates tickets and returns the payload of each by name.
    async fn create_tickets(
        &self,
        event: &str,
        names: &[&'static str],
    ) -> Result<Vec<(&'static str, String)>, Failure> {
        let mut payloads = Vec::new();
        for name in names {
            let code = TicketCode::generate().to_string();
            let status = if *name == "voided" { "voided" } else { "active" };
            let line = json!({
                "code": code, "ticket_class": "Day", "status": status, "holder_name": format!("Guest {name}"),
                "order_ref": "order-1"
            });
            let path = format!("events/{event}/tickets");
            self.call(HttpMethod::Post, &path, "application/x-ndjson", line.to_string())
                .await?;
            let path = format!("{path}/{code}/qr?format=vg2&as=text");
            let payload = self
                .call(HttpMethod::Get, &path, "text/plain", String::new())
                .await?;
            payloads.push((*name, payload.trim().to_owned()));
            if let Some(name) = code_name(name) {
                payloads.push((name, code));
            }
        }
        Ok(payloads)
    }

    /// Returns the id of a device.
    async fn device_id(&self, device: &str) -> Result<String, Failure> {
        let found = self.get(&format!("scanning/devices?device_id={device}")).await?;
        text(&serde_json::from_str(&found)?, "/data/0/id")
    }

    async fn change_messages(&self, messages: &str) -> Result<String, Failure> {
        self.call_by_name(
            "PUT",
            "organization/messages",
            "application/json",
            messages.to_owned(),
        )
        .await?;
        Ok("done".to_owned())
    }

    async fn change_device(&self, field: &str, device_and_value: &str) -> Result<String, Failure> {
        let (device, value) = device_and_value.split_once(' ').ok_or("DEVICE JSON")?;
        let body = json!({ (field): serde_json::from_str::<Value>(value)? });
        let path = format!("scanning/devices/{}", self.device_id(device).await?);
        self.call_by_name("PATCH", &path, "application/json", body.to_string())
            .await?;
        Ok("done".to_owned())
    }

    async fn revoke(&self, device: &str) -> Result<String, Failure> {
        let path = format!("scanning/devices/{}", self.device_id(device).await?);
        self.call_by_name("DELETE", &path, "application/json", String::new())
            .await?;
        Ok("done".to_owned())
    }

    async fn set_status(&self, ticket_and_status: &str) -> Result<String, Failure> {
        let (code, status) = ticket_and_status.split_once(' ').ok_or("status TICKET STATUS")?;
        let path = format!("events/{}/tickets/{code}", self.event);
        let body = json!({ "status": status });
        self.call_by_name("PATCH", &path, "application/json", body.to_string())
            .await?;
        Ok("done".to_owned())
    }

    async fn end_session(&self, device: &str) -> Result<String, Failure> {
        let device = self.device_id(device).await?;
        let found = self
            .get(&format!("scanning/sessions?device_id={device}&status=active"))
            .await?;
        let session = text(&serde_json::from_str(&found)?, "/data/0/id")?;
        self.call(
            HttpMethod::Put,
            &format!("scanning/sessions/{session}/end"),
            "application/json",
            String::new(),
        )
        .await?;
        Ok("done".to_owned())
    }

    /// Returns the scans on record.
    async fn scans(&self) -> Result<Vec<Value>, Failure> {
        let path = format!("scanning/scans?event_id={}&limit=500", self.event);
        let page: Value = serde_json::from_str(&self.get(&path).await?)?;
        let scans = page.pointer("/data").and_then(Value::as_array).ok_or("no list")?;
        Ok(scans.clone())
    }

    async fn metadata(&self, field: &str) -> Result<String, Failure> {
        let scans = self.scans().await?;
        let mut values: Vec<_> = scans
            .iter()
            .filter_map(|scan| Some(scan.get("metadata")?.get(field)?.to_string()))
            .collect();
        values.sort();
        Ok(values.join(","))
    }

    /// Issues an enrolment code and returns its URI.
    async fn issue_enrollment(&self, device: &str) -> Result<String, Failure> {
        let path = format!("scanning/devices/{}/enrollment", self.device_id(device).await?);
        let issued = self
            .call(HttpMethod::Post, &path, "application/json", String::new())
            .await?;
        // The URI contains the address that the operator used. A phone must use the proxy.
        let mut uri: EnrollmentUri = text(&serde_json::from_str(&issued)?, "/uri")?.parse()?;
        uri.server = format!("http://{}", self.proxy_address);
        Ok(uri.reveal())
    }

    async fn count_conflicts(&self) -> Result<String, Failure> {
        let path = format!("scanning/conflicts?event_id={}", self.event);
        let page: Value = serde_json::from_str(&self.get(&path).await?)?;
        let conflicts = page.pointer("/data").and_then(Value::as_array).ok_or("no list")?;
        Ok(conflicts.len().to_string())
    }

    async fn people_inside(&self) -> Result<String, Failure> {
        let path = format!("scanning/events/{}/occupancy", self.event);
        let occupancy: Value = serde_json::from_str(&self.get(&path).await?)?;
        occupancy
            .pointer("/event/inside")
            .map(Value::to_string)
            .ok_or_else(|| "no occupancy".into())
    }

    async fn get(&self, path: &str) -> Result<String, Failure> {
        self.call(HttpMethod::Get, path, "application/json", String::new())
            .await
    }

    async fn put(&self, path: &str, body: &Value) -> Result<String, Failure> {
        self.call(HttpMethod::Put, path, "application/json", body.to_string())
            .await
    }

    /// Calls with a method that phones do not use.
    async fn call_by_name(
        &self,
        method: &str,
        path: &str,
        content_type: &str,
        body: String,
    ) -> Result<String, Failure> {
        let mut server = TcpStream::connect(&self.server_address).await?;
        let head = format!(
            "{method} /api/v1/{path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: {content_type}\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.server_address,
            self.api_key,
            body.len()
        );
        server.write_all(head.as_bytes()).await?;
        let mut answer = String::new();
        server.read_to_string(&mut answer).await?;
        match answer.split(' ').nth(1) {
            Some(status) if status.starts_with('2') => Ok(answer),
            _ => Err(format!("{method} {path}: {answer}").into()),
        }
    }

    async fn call(
        &self,
        method: HttpMethod,
        path: &str,
        content_type: &str,
        body: String,
    ) -> Result<String, Failure> {
        let header = |name: &str, value: String| HttpHeader {
            name: name.to_owned(),
            value,
        };
        let request = HttpRequest {
            method,
            url: format!("http://{}/api/v1/{path}", self.server_address),
            headers: vec![
                header("Authorization", format!("Bearer {}", self.api_key)),
                header("Content-Type", content_type.to_owned()),
            ],
            body: body.into_bytes(),
            timeout: Duration::from_mins(1),
        };
        let response = self.http.send(request).await?;
        let body = String::from_utf8(response.body)?;
        if (200..300).contains(&response.status) {
            Ok(body)
        } else {
            Err(format!("{path}: {} {body}", response.status).into())
        }
    }
}
