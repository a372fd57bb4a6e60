//! A load of scans from several callers, and the check of its answers against the records.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use voelgoed_scan_suite::fixture::{Tenant, new_id};
use voelgoed_scan_suite::wait::CONDITION_TIMEOUT;
use voelgoed_scan_suite::{Client, wait_until};

/// The number of concurrent callers of a load.
pub(crate) const CALLERS: usize = 8;

pub(crate) async fn inside(owner: &Client, event: &str) -> i64 {
    let path = format!("/api/v1/scanning/events/{event}/occupancy");
    let occupancy = owner.get(&path).await.expect(200).json();
    occupancy["event"]["inside"].as_i64().expect("a number")
}

/// Imports tickets and returns their codes. The event accepts codes without a signature.
pub(crate) async fn import_tickets(tenant: &Tenant, count: usize) -> Vec<String> {
    let event = &tenant.event;
    let path = format!("/api/v1/events/{event}");
    let unsigned = json!({ "name": "Show", "status": "live", "allow_unsigned": true });
    tenant.owner.put(&path, &unsigned).await.expect(200);
    let path = format!("{path}/tickets?return=codes");
    let lines = "{}\n".repeat(count);
    let imported = tenant
        .owner
        .send("POST", &path, Some("application/x-ndjson"), lines)
        .await
        .expect(200);
    let lines = imported.lines();
    let codes = lines
        .iter()
        .filter_map(|line| line["code"].as_str().map(str::to_owned));
    codes.collect()
}

/// The result of a load.
#[derive(Default)]
pub(crate) struct LoadResult {
    /// By scan id: the ticket code and the answer.
    pub(crate) answers: BTreeMap<String, (String, Value)>,
    /// The number of attempts without a decision.
    pub(crate) unanswered: usize,
    /// The longest attempt.
    pub(crate) slowest: Duration,
}

/// Scans each ticket twice, by two callers at different nodes. A caller repeats a scan with the same scan id until it
/// gets a decision.
pub(crate) async fn run_load(
    devices: &[Client],
    tickets: &[String],
    started_scans: &AtomicUsize,
) -> LoadResult {
    let next = AtomicUsize::new(0);
    let callers = (0..CALLERS).map(|caller| {
        let next = &next;
        async move {
            let mut result = LoadResult::default();
            loop {
                let scan = next.fetch_add(1, Ordering::Relaxed);
                let Some(ticket) = tickets.get(scan / 2) else {
                    return result;
                };
                started_scans.fetch_add(1, Ordering::Relaxed);
                let id = new_id();
                let body = json!({ "ticket_code": ticket, "scan_id": id });
                let first_attempt = Instant::now();
                let mut attempts = 0;
                let answer = loop {
                    let device = &devices[(caller + scan + attempts) % devices.len()];
                    let started = Instant::now();
                    let response = device.try_scan(&body).await;
                    result.slowest = result.slowest.max(started.elapsed());
                    match response {
                        Some(response) if response.status == 200 => break response.json(),
                        Some(response) => assert_eq!(response.status, 503, "{response:?}"),
                        // A client backs off before it connects again.
                        None => tokio::time::sleep(Duration::from_millis(20)).await,
                    }
                    result.unanswered += 1;
                    attempts += 1;
                    assert!(
                        first_attempt.elapsed() < CONDITION_TIMEOUT,
                        "{body} has no answer"
                    );
                };
                result.answers.insert(id, (ticket.clone(), answer));
            }
        }
    });
    let mut all = LoadResult::default();
    for result in futures_util::future::join_all(callers).await {
        all.answers.extend(result.answers);
        all.unanswered += result.unanswered;
        all.slowest = all.slowest.max(result.slowest);
    }
    all
}

/// Compares the answers with the records: each ticket was admitted exactly once, and every answered admission is on
/// record.
pub(crate) async fn assert_consistent(
    owner: &Client,
    event: &str,
    result: &LoadResult,
    tickets: &[String],
    before: i64,
) {
    let mut admitted: BTreeMap<&str, usize> = BTreeMap::new();
    for (ticket, answer) in result.answers.values() {
        if answer["result"] == "valid" {
            *admitted.entry(ticket).or_default() += 1;
        }
    }
    for ticket in tickets {
        assert_eq!(admitted.get(ticket.as_str()), Some(&1), "{ticket}");
    }
    // Only admissions are compared. A denial served from a cache is written behind, and is lost with a killed node.
    let path = format!("/api/v1/scanning/scans?event_id={event}");
    let export = owner
        .with_header("accept", "application/x-ndjson")
        .get(&path)
        .await
        .expect(200);
    let records: BTreeMap<String, Value> = export
        .lines()
        .into_iter()
        .map(|record| (record["scan_id"].as_str().unwrap_or_default().to_owned(), record))
        .collect();
    for (id, (_, answer)) in &result.answers {
        if answer["result"] == "valid" {
            let record = records
                .get(id)
                .unwrap_or_else(|| panic!("{answer} is not on record"));
            assert_eq!(record["result"], "valid", "{record}");
        }
    }
    let entries = records
        .values()
        .filter(|record| record["result"] == "valid")
        .count();
    assert_eq!(entries, tickets.len() + usize::try_from(before).expect("few"));
    assert_eq!(
        inside(owner, event).await,
        before + i64::try_from(tickets.len()).expect("few")
    );
}

/// Waits until this many scans have started.
pub(crate) async fn wait_for_scans(started_scans: &AtomicUsize, scans: usize) {
    wait_until("the load makes progress", || {
        std::future::ready(started_scans.load(Ordering::Relaxed) >= scans)
    })
    .await;
}
