//! Webhooks under faults: two nodes that are killed ten times under load, and a receiver that fails three attempts of ten. It
//! verifies each delivery with the package `standardwebhooks` (`tests/webhooks`).

use std::collections::{HashMap, HashSet};
use std::future::ready;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use voelgoed_scan_suite::cluster::ServerProcess;
use voelgoed_scan_suite::fixture::{Tenant, new_id};
use voelgoed_scan_suite::services::{free_port, postgres_program, shared_database};
use voelgoed_scan_suite::{Client, Cluster, wait_until};

/// How often a node is killed.
const KILLS: usize = 10;

/// How many scans are acknowledged between two kills.
const SCANS_PER_KILL: usize = 30;

/// How many devices scan at a time.
const CALLERS: usize = 4;

/// How many tickets each of them scans in turn.
const TICKETS: usize = 12;

/// How long the receiver may take to start. It installs a package the first time.
const INSTALL_TIMEOUT: Duration = Duration::from_mins(5);

/// The receiver as a process of its own.
struct Receiver {
    child: Child,
    port: u16,
    attempts: Arc<Mutex<Vec<Value>>>,
}

impl Receiver {
    fn start(secret: &str, database_url: &str) -> Self {
        let mut child = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/webhooks/receiver"))
            .args(["20261129", "0.3", secret])
            .arg(postgres_program("psql"))
            .arg(database_url)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the receiver starts");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        let attempts = Arc::new(Mutex::new(Vec::new()));
        let (sender, port) = mpsc::channel();
        let all = Arc::clone(&attempts);
        thread::spawn(move || {
            let mut lines = output.lines().map_while(Result::ok);
            if let Some(port) = lines.next() {
                sender.send(port).expect("the test waits");
            }
            for line in lines {
                let attempt = serde_json::from_str(&line).expect("an attempt");
                all.lock().expect("not poisoned").push(attempt);
            }
        });
        let port = port.recv_timeout(INSTALL_TIMEOUT).expect("the receiver listens");
        Self {
            child,
            port: port.parse().expect("a port"),
            attempts,
        }
    }

    fn attempts(&self) -> Vec<Value> {
        self.attempts.lock().expect("not poisoned").clone()
    }

    /// The deliveries of scans that were accepted, each when it was accepted first: the type and the scan.
    fn accepted(&self) -> Vec<(String, String)> {
        let mut seen = HashSet::new();
        let attempts = self.attempts();
        let accepted = attempts.iter().filter(|attempt| attempt["accepted"] == true);
        accepted
            .filter(|attempt| seen.insert(attempt["id"].to_string()))
            .map(|attempt| (text(&attempt["type"]), text(&attempt["data"]["scan_id"])))
            .collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// What a ticket's deliveries have to tell, in this order.
type Story = Vec<(String, String)>;

/// The nodes, of which each answers at its own port before and after it was killed.
struct Nodes {
    clients: [Client; 2],
    acknowledged: AtomicUsize,
    is_over: AtomicBool,
}

impl Nodes {
    /// Sends a call to the nodes in turn until one answers it.
    async fn call(&self, token: &str, path: &str, body: &Value) -> Value {
        let mut nodes = self.clients.iter().cycle().skip(body.to_string().len() % 2);
        loop {
            let node = nodes.next().expect("a node").with_token(token);
            match node.try_call("POST", path, Some(body)).await {
                Some(response) if response.status == 200 => {
                    self.acknowledged.fetch_add(1, Ordering::SeqCst);
                    return response.json();
                }
                Some(response) => assert!(response.status >= 500, "{response:?}"),
                None => tokio::task::yield_now().await,
            }
        }
    }

    async fn scan(&self, token: &str, code: &str, direction: &str) -> String {
        let scan_id = new_id();
        let body = json!({ "qr": code, "scan_id": scan_id, "direction": direction });
        let answer = self.call(token, "/api/v1/scanning/scan", &body).await;
        assert_eq!(answer["result"], "valid", "{answer}");
        scan_id
    }

    /// Scans tickets in and out until the test ends, and undoes the last admission of each. Returns their stories.
    async fn work(&self, device: &str, owner: &str, codes: &[String]) -> Vec<Story> {
        let mut stories = vec![Story::new(); codes.len()];
        while !self.is_over.load(Ordering::SeqCst) {
            for (code, story) in codes.iter().zip(&mut stories) {
                for (direction, kind) in [("entry", "scan.admitted"), ("exit", "scan.exited")] {
                    let scan_id = self.scan(device, code, direction).await;
                    story.push((kind.to_owned(), scan_id));
                }
            }
        }
        for (code, story) in codes.iter().zip(&mut stories) {
            let scan_id = self.scan(device, code, "entry").await;
            let undo = format!("/api/v1/scanning/scans/{scan_id}/undo");
            self.call(owner, &undo, &json!({ "reason": "a mistake" })).await;
            story.push(("scan.admitted".to_owned(), scan_id.clone()));
            story.push(("scan.undone".to_owned(), scan_id));
        }
        stories
    }
}

/// An event where tickets may come again, tickets, and devices. Returns the tokens with the codes that they scan.
async fn callers(tenant: &Tenant) -> Vec<(String, Vec<String>)> {
    let event = format!("/api/v1/events/{}", tenant.event);
    let settings = json!({
        "name": "Show", "status": "live", "allow_unsigned": true, "reentry": "after_exit"
    });
    tenant.owner.put(&event, &settings).await.expect(200);
    let lines = "{\"entry_limit\":100}\n".repeat(CALLERS * TICKETS);
    let imported = tenant
        .owner
        .send(
            "POST",
            &format!("{event}/tickets?return=codes"),
            Some("application/x-ndjson"),
            lines,
        )
        .await
        .expect(200);
    let lines = imported.lines();
    let codes: Vec<_> = lines.iter().filter_map(|line| line["code"].as_str()).collect();
    let mut callers = Vec::new();
    for (number, codes) in codes.chunks(TICKETS).enumerate() {
        let (device, _) = tenant.new_device(&format!("caller-{number}"), &json!({})).await;
        tenant.start_session(&device, &tenant.gate).await;
        let codes = codes.iter().map(|code| (*code).to_owned()).collect();
        callers.push((device.token().to_owned(), codes));
    }
    callers
}

/// Kills the nodes in turn under load.
async fn kill_nodes(cluster: &Cluster, servers: &mut [ServerProcess; 2], nodes: &Nodes) {
    for kill in 0..KILLS {
        let goal = nodes.acknowledged.load(Ordering::SeqCst) + SCANS_PER_KILL;
        wait_until("scans are acknowledged", || {
            ready(nodes.acknowledged.load(Ordering::SeqCst) >= goal)
        })
        .await;
        let server = &mut servers[kill % 2];
        let port = server.address.port();
        server.kill();
        *server = cluster.spawn_server(port).await;
    }
    nodes.is_over.store(true, Ordering::SeqCst);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_admission_is_delivered_in_order_though_nodes_are_killed_and_the_receiver_fails() {
    let mut cluster = Cluster::start(0, shared_database(), None).await;
    cluster.config.webhook_allow_private = true;
    cluster.add_node(0).await;
    let tenant = cluster.tenant("Here").await;
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let receiver = Receiver::start(secret, &cluster.config.database_url);
    let callers = callers(&tenant).await;
    let webhook = json!({
        "url": format!("http://127.0.0.1:{}/hook", receiver.port), "types": ["scan.*"], "secret": secret
    });
    tenant.owner.post("/api/v1/webhooks", &webhook).await.expect(201);
    cluster.stop().await;
    let ports = [free_port(), free_port()];
    let mut servers = [
        cluster.spawn_server(ports[0]).await,
        cluster.spawn_server(ports[1]).await,
    ];
    let nodes = Arc::new(Nodes {
        clients: [0, 1].map(|node: usize| Client::new(servers[node].address)),
        acknowledged: AtomicUsize::new(0),
        is_over: AtomicBool::new(false),
    });
    let mut workers = Vec::new();
    for (device, codes) in callers {
        let (nodes, owner) = (Arc::clone(&nodes), tenant.owner.token().to_owned());
        workers.push(tokio::spawn(
            async move { nodes.work(&device, &owner, &codes).await },
        ));
    }
    kill_nodes(&cluster, &mut servers, &nodes).await;
    let mut stories = Vec::new();
    for worker in workers {
        stories.extend(worker.await.expect("the worker ends"));
    }
    let expected: usize = stories.iter().map(Vec::len).sum();
    let mut accepted = receiver.accepted().len();
    while accepted < expected {
        wait_until("one more delivery is accepted", || {
            ready(receiver.accepted().len() > accepted)
        })
        .await;
        accepted = receiver.accepted().len();
    }

    let attempts = receiver.attempts();
    let told = receiver.accepted();
    let ticket_of: HashMap<_, _> = stories
        .iter()
        .enumerate()
        .flat_map(|(ticket, story)| story.iter().map(move |(_, scan)| (scan.clone(), ticket)))
        .collect();
    let mut told_of = vec![Story::new(); stories.len()];
    for (kind, scan) in told {
        let ticket = ticket_of.get(&scan).expect("a scan of this test");
        told_of[*ticket].push((kind, scan));
    }
    assert_eq!(told_of, stories, "each is told, in the order of its ticket");
    for attempt in &attempts {
        assert_eq!(attempt["verified"], true, "{attempt}");
        assert_eq!(attempt["recorded"], true, "{attempt}");
    }
    let failures = attempts
        .iter()
        .filter(|attempt| attempt["accepted"] == false)
        .count();
    assert!(failures > expected / 10, "the receiver failed {failures} times");
}
