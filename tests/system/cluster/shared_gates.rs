//! A gate that serves two events, under load on two nodes.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use voelgoed_scan_suite::fixture::{Tenant, new_id};
use voelgoed_scan_suite::{Client, Cluster};

use super::{Channel, scan, two_nodes, wait_for_reason};

/// The tickets of each event.
const TICKETS: usize = 60;

/// How many people the second event takes.
const CAPACITY: usize = 40;

/// The payloads of new tickets of an event.
async fn payloads(tenant: &Tenant) -> Vec<String> {
    let event = format!("/api/v1/events/{}", tenant.event);
    let (path, lines) = (format!("{event}/tickets?return=codes"), "{}\n".repeat(TICKETS));
    let imported = tenant
        .owner
        .send("POST", &path, Some("application/x-ndjson"), lines)
        .await;
    let mut payloads = Vec::new();
    for line in imported.expect(200).lines() {
        if let Some(code) = line["code"].as_str() {
            let path = format!("{event}/tickets/{code}/qr");
            payloads.push(tenant.owner.get(&path).await.expect(200).text().to_owned());
        }
    }
    assert_eq!(payloads.len(), TICKETS);
    payloads
}

/// The counts of the shared gate and of the event, as a node reports them.
async fn counts(cluster: &Cluster, node: usize, tenant: &Tenant) -> (Value, Value) {
    let path = format!("/api/v1/scanning/events/{}/occupancy", tenant.event);
    let occupancy = cluster
        .client_at(node, &tenant.owner)
        .get(&path)
        .await
        .expect(200)
        .json();
    let gates = occupancy["gates"].as_array().expect("gates");
    let gate = gates
        .iter()
        .find(|gate| gate["id"] == json!(tenant.gate))
        .expect("the gate");
    (gate["inside"].clone(), occupancy["event"]["inside"].clone())
}

/// The scans of an event at its gate, by result.
async fn results(tenant: &Tenant) -> BTreeMap<String, usize> {
    let path = format!(
        "/api/v1/scanning/scans?event_id={}&gate_id={}",
        tenant.event, tenant.gate
    );
    let export = tenant
        .owner
        .with_header("accept", "application/x-ndjson")
        .get(&path)
        .await;
    let mut results = BTreeMap::new();
    for record in export.expect(200).lines() {
        assert_eq!(record["event_id"], json!(tenant.event));
        let result = record["result"].as_str().expect("a result").to_owned();
        *results.entry(result).or_insert(0) += 1;
    }
    results
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_events_at_one_gate_are_counted_exactly_under_load_on_two_nodes() {
    let (cluster, first) = two_nodes(Channel::Redis).await;
    let second = first.event_at_the_same_gates("second").await;
    let event = format!("/api/v1/events/{}", second.event);
    // The tenant's own first ticket is inside already.
    let settings = json!({ "name": "Second", "status": "live", "capacity": CAPACITY + 1 });
    second.owner.put(&event, &settings).await.expect(200);
    let (of_first, of_second) = (payloads(&first).await, payloads(&second).await);
    // Every ticket at both nodes, in pairs of one scan at each event; one node goes from the last ticket to the first.
    let scan_all = async |node: usize| {
        let devices: [Client; 2] = [&first, &second].map(|tenant| cluster.client_at(node, &tenant.device));
        let mut answers = Vec::new();
        let order = (0..TICKETS).map(|at| if node == 0 { at } else { TICKETS - 1 - at });
        for tickets in order.collect::<Vec<_>>().chunks(6) {
            let scans = tickets
                .iter()
                .flat_map(|at| [(&devices[0], &of_first[*at]), (&devices[1], &of_second[*at])]);
            let scans = scans.map(|(device, qr)| scan(device, qr));
            answers.extend(futures_util::future::join_all(scans).await);
        }
        answers
    };
    let (here, there) = tokio::join!(scan_all(0), scan_all(1));
    let admitted = |tenant: &Tenant| {
        let of_event = |answer: &&Value| answer["event_id"] == json!(tenant.event);
        let answers = here.iter().chain(&there).filter(of_event);
        answers.filter(|answer| answer["result"] == "valid").count()
    };
    assert_eq!((admitted(&first), admitted(&second)), (TICKETS, CAPACITY));
    for node in 0..2 {
        let inside = (
            counts(&cluster, node, &first).await,
            counts(&cluster, node, &second).await,
        );
        let (first, second) = (json!(TICKETS + 1), json!(CAPACITY + 1));
        assert_eq!(
            inside,
            ((first.clone(), first), (second.clone(), second)),
            "node {node}"
        );
    }
    for (tenant, valid) in [(&first, TICKETS + 1), (&second, CAPACITY + 1)] {
        let results = results(tenant).await;
        assert_eq!(results["valid"], valid, "{results:?}");
        assert_eq!(results.values().sum::<usize>(), 2 * TICKETS + 1, "{results:?}");
    }
}

#[tokio::test]
async fn a_gate_closed_at_one_event_stays_open_at_the_other_on_every_node() {
    let (cluster, first) = two_nodes(Channel::Redis).await;
    let second = first.event_at_the_same_gates("second").await;
    let gate = format!("/api/v1/events/{}/gates/{}", second.event, second.gate);
    let closed = json!({ "name": "Main", "status": "closed" });
    second.owner.put(&gate, &closed).await.expect(200);
    let at_other_node = cluster.client_at(1, &second.device);
    let qr = second.qr(2).await;
    wait_for_reason(
        "the other node closes the gate",
        &at_other_node,
        &qr,
        "gate_closed",
    )
    .await;
    for (node, index) in [(0, 3), (1, 4)] {
        let device = cluster.client_at(node, &first.device);
        let body = json!({ "qr": first.qr(index).await, "scan_id": new_id() });
        let answer = device.scan(&body).await.expect(200).json();
        assert_eq!(answer["reason"], "admitted", "{answer}");
    }
}
