//! The door of the languages' stories: the real server with an event in it, and a network that can be cut.
//!
//! `cargo run --example door PROGRAMS` starts the project's own programs from that folder, and says on stdout what there
//! is: a name and a value a line, up to an empty line. Then each line from stdin is answered by one:
//!
//! | line | does, and says |
//! |---|---|
//! | `pair DEVICE` | has the operator pair `gate-a` or `gate-b`: the URI that the phone reads |
//! | `cut` | takes the network away |
//! | `deafen` | lets calls through to the server, and no answer back |
//! | `mend` | gives the network back |
//! | `inside` | asks the server how many people are inside |
//! | `conflicts` | asks the server how many scans are at odds |
//!
//! It ends, and the server with it, when stdin does.

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

/// When the ids of this story were made.
const BEGINNING: Timestamp = Timestamp::from_millis(1_790_000_000_000);

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let programs = PathBuf::from(std::env::args_os().nth(1).ok_or("where are the programs?")?);
    let folder = tempfile::tempdir()?;
    let database = format!("sqlite://{}", folder.path().join("gate.db").display());

    let made = Command::new(programs.join("voelgoed-scan"))
        .args(["--output", "json", "init", "--organization", "Harbour Theatre"])
        .args(["--database-url", &database])
        .output()?;
    let made: Value = serde_json::from_slice(&made.stdout)?;
    let (_server, address) = start(&programs.join("voelgoed-scan-server"), &database)?;
    let network = Network::before(address.clone()).await?;
    let house = House {
        address,
        network: network.address.clone(),
        key: text(&made, "/api_key")?,
        http: HttpTransport::new()?,
        event: EventId::generate(BEGINNING),
    };
    for (name, value) in house.furnish().await? {
        say(&format!("{name}\t{value}"));
    }
    say("");

    let mut lines = tokio::io::BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let answer = match line.split_once(' ').unwrap_or((&line, "")) {
            ("pair", device) => house.pair(device).await?,
            ("cut", _) => network.is(Way::Cut).await?,
            ("deafen", _) => network.is(Way::Deaf).await?,
            ("mend", _) => network.is(Way::Whole).await?,
            ("inside", _) => house.number("occupancy", "/event/inside").await?,
            ("conflicts", _) => house.conflicts().await?,
            _ => return Err(format!("what is {line:?}?").into()),
        };
        say(&answer);
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "that is how the tests are told")]
fn say(line: &str) {
    println!("{line}");
}

fn text(value: &Value, pointer: &str) -> Result<String, Failure> {
    let found = value.pointer(pointer).and_then(Value::as_str);
    found
        .map(str::to_owned)
        .ok_or_else(|| format!("no {pointer} in {value}").into())
}

/// A program that goes when this one does.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself: then there is nothing to end.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Starts the server on a port that is free, which it tells in its log.
fn start(server: &Path, database: &str) -> Result<(Program, String), Failure> {
    let mut program = Command::new(server)
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
    let log = program.stderr.take().ok_or("the server has no log")?;
    let program = Program(program);
    let mut lines = BufReader::new(log).lines();
    for line in &mut lines {
        let line = line?;
        if let Some((_, address)) = line.split_once("listening on http://") {
            let address = address.split(|end: char| end != '.' && end != ':' && !end.is_ascii_digit());
            let address = address.take(1).collect();
            // Read on, or the server would wait for room in its log.
            std::thread::spawn(move || lines.count());
            return Ok((program, address));
        }
    }
    Err("the server did not start".into())
}

/// What the network does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Whole,
    Deaf,
    Cut,
}

/// The way to the server: an address of its own, whose connections are carried on or not.
struct Network {
    address: String,
    orders: mpsc::Sender<Order>,
}

/// What the network is to do, and whom to tell that it does.
type Order = (Way, oneshot::Sender<()>);

impl Network {
    async fn before(server: String) -> Result<Self, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let (orders, taken) = mpsc::channel(1);
        tokio::spawn(carry_all(listener, server, taken));
        Ok(Self { address, orders })
    }

    /// Makes it so; once this is answered no connection is left that goes another way.
    async fn is(&self, way: Way) -> Result<String, Failure> {
        let (done, waiting) = oneshot::channel();
        self.orders.send((way, done)).await?;
        waiting.await?;
        Ok("done".to_owned())
    }
}

async fn carry_all(listener: TcpListener, server: String, mut orders: mpsc::Receiver<Order>) {
    let way = watch::Sender::new(Way::Whole);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((phone, _)) = listener.accept() => {
                if *way.borrow() != Way::Cut {
                    connections.spawn(carry(phone, server.clone(), way.subscribe()));
                }
            }
            Some((new, done)) = orders.recv() => {
                way.send_replace(new);
                if new == Way::Cut {
                    connections.shutdown().await;
                }
                // Nobody waits any more: the program ends.
                if done.send(()).is_err() {
                    return;
                }
            }
            Some(_) = connections.join_next() => {}
            else => return,
        }
    }
}

/// Carries a connection on until either side has enough of it.
async fn carry(
    mut phone: TcpStream,
    server: String,
    way: watch::Receiver<Way>,
) -> Result<(), std::io::Error> {
    let mut server = TcpStream::connect(server).await?;
    let (mut from_phone, mut to_phone) = phone.split();
    let (mut from_server, mut to_server) = server.split();
    let there = async { tokio::io::copy(&mut from_phone, &mut to_server).await.map(drop) };
    let back = async {
        let mut bytes = vec![0; 16 * 1024];
        loop {
            match from_server.read(&mut bytes).await? {
                0 => return Ok(()),
                _ if *way.borrow() != Way::Whole => return Ok(()),
                read => to_phone.write_all(bytes.get(..read).unwrap_or_default()).await?,
            }
        }
    };
    tokio::select! {
        done = there => done,
        done = back => done,
    }
}

/// The operator's side, whose own way to the server is never cut.
struct House {
    address: String,
    network: String,
    key: String,
    http: HttpTransport,
    event: EventId,
}

impl House {
    /// An event with two gates, tickets of every kind, two devices; what there is by name.
    async fn furnish(&self) -> Result<Vec<(&'static str, String)>, Failure> {
        let event = self.event.to_string();
        let (main, vip) = (
            GateId::generate(BEGINNING).to_string(),
            GateId::generate(BEGINNING).to_string(),
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
        let mut there = vec![
            ("server", format!("http://{}", self.network)),
            ("event", event.clone()),
            ("gate_main", main),
            ("gate_vip", vip),
        ];
        let names = ["first", "second", "third", "fourth", "unheard", "both", "voided"];
        there.extend(self.sell(&event, &names).await?);
        let other = EventId::generate(BEGINNING).to_string();
        self.put(&format!("events/{other}"), &show).await?;
        there.extend(self.sell(&other, &["elsewhere"]).await?);
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
        Ok(there)
    }

    /// Makes tickets of these names and fetches what their QR codes say.
    async fn sell(
        &self,
        event: &str,
        names: &[&'static str],
    ) -> Result<Vec<(&'static str, String)>, Failure> {
        let mut sold = Vec::new();
        for name in names {
            let code = TicketCode::generate().to_string();
            let status = if *name == "voided" { "voided" } else { "active" };
            let line = json!({ "code": code, "ticket_class": "Day", "status": status });
            let path = format!("events/{event}/tickets");
            self.call(HttpMethod::Post, &path, "application/x-ndjson", line.to_string())
                .await?;
            let path = format!("{path}/{code}/qr?format=vg2&as=text");
            let payload = self
                .call(HttpMethod::Get, &path, "text/plain", String::new())
                .await?;
            sold.push((*name, payload.trim().to_owned()));
        }
        Ok(sold)
    }

    /// What the QR code on the operator's screen says.
    async fn pair(&self, device: &str) -> Result<String, Failure> {
        let found: Value =
            serde_json::from_str(&self.get(&format!("scanning/devices?device_id={device}")).await?)?;
        let path = format!("scanning/devices/{}/enrollment", text(&found, "/data/0/id")?);
        let shown = self
            .call(HttpMethod::Post, &path, "application/json", String::new())
            .await?;
        // The server names itself as the operator reaches it; a phone goes by the network.
        let mut uri: EnrollmentUri = text(&serde_json::from_str(&shown)?, "/uri")?.parse()?;
        uri.server = format!("http://{}", self.network);
        Ok(uri.reveal())
    }

    async fn conflicts(&self) -> Result<String, Failure> {
        let path = format!("scanning/conflicts?event_id={}", self.event);
        let listed: Value = serde_json::from_str(&self.get(&path).await?)?;
        let conflicts = listed
            .pointer("/data")
            .and_then(Value::as_array)
            .ok_or("no list")?;
        Ok(conflicts.len().to_string())
    }

    async fn number(&self, what: &str, pointer: &str) -> Result<String, Failure> {
        let answer: Value = serde_json::from_str(
            &self
                .get(&format!("scanning/events/{}/{what}", self.event))
                .await?,
        )?;
        answer
            .pointer(pointer)
            .map(Value::to_string)
            .ok_or_else(|| "no such number".into())
    }

    async fn get(&self, path: &str) -> Result<String, Failure> {
        self.call(HttpMethod::Get, path, "application/json", String::new())
            .await
    }

    async fn put(&self, path: &str, body: &Value) -> Result<String, Failure> {
        self.call(HttpMethod::Put, path, "application/json", body.to_string())
            .await
    }

    async fn call(
        &self,
        method: HttpMethod,
        path: &str,
        content: &str,
        body: String,
    ) -> Result<String, Failure> {
        let header = |name: &str, value: String| HttpHeader {
            name: name.to_owned(),
            value,
        };
        let request = HttpRequest {
            method,
            url: format!("http://{}/api/v1/{path}", self.address),
            headers: vec![
                header("Authorization", format!("Bearer {}", self.key)),
                header("Content-Type", content.to_owned()),
            ],
            body: body.into_bytes(),
            timeout: Duration::from_mins(1),
        };
        let answer = self.http.send(request).await?;
        let body = String::from_utf8(answer.body)?;
        if (200..300).contains(&answer.status) {
            Ok(body)
        } else {
            Err(format!("{path}: {} {body}", answer.status).into())
        }
    }
}
