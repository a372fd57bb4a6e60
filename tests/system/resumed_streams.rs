//! Readers of a stream that reconnect at random, while scans are recorded, uploaded and undone: each reader gets every
//! record exactly once, and each undone record once more.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::timeout;
use voelgoed_scan_suite::event_stream::EventStream;
use voelgoed_scan_suite::fixture::{Tenant, new_id};
use voelgoed_scan_suite::services::{shared_database, shared_redis};
use voelgoed_scan_suite::wait::CONDITION_TIMEOUT;
use voelgoed_scan_suite::{Client, Cluster, Fixture, wait_until};

use crate::history::rng::Rng;

const READERS: u64 = 6;
/// How many scans each of two devices makes.
const SCANS: usize = 120;
/// How many uploads the phone makes, and of how many scans each.
const UPLOADS: usize = 12;
const SCANS_PER_UPLOAD: usize = 15;

/// How often each record was sent: as it was recorded, and as undone.
type Seen = BTreeMap<String, (usize, usize)>;

/// The writers and readers of one event.
struct Workload {
    nodes: Vec<SocketAddr>,
    owner: Client,
    event: String,
    gate: String,
    /// The payloads of tickets that nobody has scanned.
    qrs: Vec<String>,
    scanners: Vec<Client>,
    phone: Client,
}

impl Workload {
    async fn new(tenant: &Tenant, nodes: Vec<SocketAddr>) -> Self {
        let path = format!("/api/v1/events/{}", tenant.event);
        let imported = tenant
            .owner
            .send(
                "POST",
                &format!("{path}/tickets?return=codes"),
                Some("application/x-ndjson"),
                "{}\n".repeat(60),
            )
            .await
            .expect(200);
        let mut qrs = Vec::new();
        for line in imported.lines() {
            if let Some(code) = line["code"].as_str() {
                let qr = tenant.owner.get(&format!("{path}/tickets/{code}/qr")).await;
                qrs.push(qr.expect(200).text().to_owned());
            }
        }
        let (second, _) = tenant.new_device("gate-2", &json!({})).await;
        tenant.start_session(&second, &tenant.other_gate).await;
        let (phone, _) = tenant.new_device("phone", &json!({})).await;
        tenant.start_session(&phone, &tenant.gate).await;
        Self {
            nodes,
            owner: tenant.owner.clone(),
            event: tenant.event.clone(),
            gate: tenant.gate.clone(),
            qrs,
            scanners: vec![tenant.device.clone(), second],
            phone,
        }
    }

    /// The client at a random node.
    fn at_random_node(&self, client: &Client, rng: &mut Rng) -> Client {
        let node = self.nodes.get(rng.below(self.nodes.len())).expect("a node");
        client.at(*node)
    }

    /// Scans tickets and forgeries, and undoes some of the admissions. Returns what a reader must see.
    async fn scan(&self, scanner: usize, seed: u64) -> Seen {
        let mut rng = Rng::new(seed);
        let mut seen = Seen::new();
        let device = self.scanners.get(scanner).expect("a scanner");
        for number in 0..SCANS {
            let scan = new_id();
            // Half of the tickets are for the phone.
            let qr = if rng.below(2) == 0 {
                let half = self.qrs.len() / 2;
                self.qrs.get(rng.below(half)).expect("a ticket").clone()
            } else {
                format!("a forgery {number}")
            };
            let body = json!({ "qr": qr, "scan_id": scan });
            let answer = self.at_random_node(device, &mut rng).scan(&body).await;
            let mut undone = 0;
            if answer.expect(200).json()["reason"] == "admitted" && rng.below(2) == 0 {
                let undo = format!("/api/v1/scanning/scans/{scan}/undo");
                let reason = json!({ "reason": "a mistake" });
                let owner = self.at_random_node(&self.owner, &mut rng);
                owner.post(&undo, &reason).await.expect(200);
                undone = 1;
            }
            seen.insert(scan, (1, undone));
        }
        seen
    }

    /// Uploads scans that the phone decided some minutes ago, each batch twice. Returns what a reader must see.
    async fn upload(&self, seed: u64) -> Seen {
        let mut rng = Rng::new(seed);
        let mut seen = Seen::new();
        let mut tickets = self.qrs.iter().skip(self.qrs.len() / 2);
        let device = self.phone.get("/api/v1/scanning/device").await.json();
        for upload in 0..UPLOADS {
            let mut scans = Vec::new();
            for number in 0..SCANS_PER_UPLOAD {
                let (scan, admitted) = (new_id(), tickets.next().filter(|_| number == 0));
                seen.insert(scan.clone(), (1, 0));
                scans.push(json!({
                    "scan_id": scan,
                    "qr": admitted.cloned().unwrap_or_else(|| format!("a forgery {upload} {number}")),
                    "gate_id": self.gate,
                    "scanned_at": "2026-11-20T18:00:00Z",
                    "age_ms": 60_000 * rng.below(20) as u64,
                    "local_result": if admitted.is_some() { "valid" } else { "invalid_token" },
                    "local_reason": if admitted.is_some() { "admitted" } else { "malformed" },
                }));
            }
            let batch = json!({ "batch_id": new_id(), "sent_at": device["server_time"], "scans": scans });
            for _ in 0..2 {
                let phone = self.at_random_node(&self.phone, &mut rng);
                let answer = phone.post("/api/v1/scanning/sync", &batch).await.expect(200);
                assert_eq!(answer.json()["rejected"], 0, "{answer:?}");
            }
        }
        seen
    }

    /// Opens the stream at a random node, after the last event that the reader has.
    async fn open(&self, last: Option<&str>, rng: &mut Rng) -> EventStream {
        let mut client = self.at_random_node(&self.owner, rng);
        if let Some(last) = last {
            client = client.with_header("last-event-id", last);
        }
        EventStream::open(&client, &self.event).await
    }

    /// Reads until the record `last_scan`, over connections that break off at random.
    async fn read(
        &self,
        mut events: EventStream,
        mut last: Option<String>,
        last_scan: &str,
        seed: u64,
    ) -> Seen {
        let mut rng = Rng::new(seed);
        let mut seen = Seen::new();
        loop {
            let mut left = rng.below(25);
            // Before the first id there is nothing to resume from.
            while left > 0 || last.is_none() {
                let event = events.next().await.expect("the stream goes on");
                if event.id.is_some() {
                    last = event.id;
                }
                assert_ne!(event.name, "reset", "reader {seed}");
                if event.name != "scan" {
                    continue;
                }
                left = left.saturating_sub(1);
                let scan = event.data["scan_id"].as_str().expect("an id");
                if scan == last_scan {
                    return seen;
                }
                let (recorded, undone) = seen.entry(scan.to_owned()).or_default();
                match &event.data["undone"] {
                    Value::Null => *recorded += 1,
                    _ => *undone += 1,
                }
            }
            drop(events);
            events = self.open(last.as_deref(), &mut rng).await;
        }
    }

    /// Runs writers and readers, and compares what the readers saw with what was recorded.
    async fn run(self) {
        let workload = std::sync::Arc::new(self);
        let last_scan = new_id();
        let mut readers = JoinSet::new();
        for seed in 0..READERS {
            let mut rng = Rng::new(seed);
            let mut events = workload.open(None, &mut rng).await;
            let last = events.next_named("occupancy").await.id;
            let (workload, last_scan) = (std::sync::Arc::clone(&workload), last_scan.clone());
            readers.spawn(async move {
                let read = workload.read(events, last, &last_scan, seed);
                let seen = timeout(2 * CONDITION_TIMEOUT, read).await;
                (seed, seen.expect("the reader gets the last scan"))
            });
        }
        let mut writers = JoinSet::new();
        for scanner in 0..workload.scanners.len() {
            let workload = std::sync::Arc::clone(&workload);
            writers.spawn(async move { workload.scan(scanner, 100 + scanner as u64).await });
        }
        let uploading = std::sync::Arc::clone(&workload);
        writers.spawn(async move { uploading.upload(200).await });
        let mut expected = Seen::new();
        while let Some(written) = writers.join_next().await {
            expected.extend(written.expect("no panic"));
        }
        // Denials that a cache answered are recorded within 100 ms, and the last scan must be recorded after them.
        let path = format!("/api/v1/scanning/scans?limit=500&event_id={}", workload.event);
        wait_until("all scans are recorded", || async {
            recorded(&workload.owner, &path).await > expected.len()
        })
        .await;
        let body = json!({ "qr": "the last scan", "scan_id": last_scan });
        workload
            .scanners
            .first()
            .expect("a scanner")
            .scan(&body)
            .await
            .expect(200);
        while let Some(read) = readers.join_next().await {
            let (reader, seen) = read.expect("no panic");
            let differences: HashMap<_, _> = seen
                .iter()
                .chain(&expected)
                .filter(|(scan, _)| seen.get(*scan) != expected.get(*scan))
                .map(|(scan, _)| (scan, (seen.get(scan), expected.get(scan))))
                .collect();
            assert!(
                differences.is_empty(),
                "reader {reader}: of {} records {} differ (seen, recorded): {differences:?}",
                expected.len(),
                differences.len()
            );
        }
    }
}

/// How many scans the audit trail holds.
async fn recorded(owner: &Client, path: &str) -> usize {
    let (mut count, mut cursor) = (0, String::new());
    loop {
        let page = owner.get(&format!("{path}{cursor}")).await.expect(200).json();
        count += page["data"].as_array().map_or(0, Vec::len);
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return count,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_reconnects_at_random_gets_every_record_once() {
    let fixture = Fixture::new().await;
    let nodes = vec![fixture.server.address()];
    Workload::new(&fixture.tenant, nodes).await.run().await;
}

async fn readers_between_two_nodes(redis: Option<String>) {
    let cluster = Cluster::start(2, shared_database(), redis).await;
    let tenant = cluster.tenant("Readers").await;
    let nodes = vec![cluster.address(0), cluster.address(1)];
    Workload::new(&tenant, nodes).await.run().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_between_two_nodes_gets_every_record_once_over_redis() {
    readers_between_two_nodes(Some(shared_redis())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_between_two_nodes_gets_every_record_once_over_postgresql() {
    readers_between_two_nodes(None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_between_two_nodes_gets_every_record_once_without_a_bus() {
    readers_between_two_nodes(Some("redis://127.0.0.1:1/0".to_owned())).await;
}
