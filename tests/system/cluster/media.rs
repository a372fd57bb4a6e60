//! Barcodes and wristbands of one ticket at both nodes.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use voelgoed_scan_suite::Client;
use voelgoed_scan_suite::fixture::{Tenant, new_id};

use super::{Channel, two_nodes};

async fn allow_media(tenant: &Tenant) {
    let event = format!("/api/v1/events/{}", tenant.event);
    let settings = json!({ "name": "Show", "status": "live", "capacity": 1000, "allow_media": true });
    tenant.owner.put(&event, &settings).await.expect(200);
}

/// What can be read of a new ticket of another system: its barcode, the same with what a scanner wraps it in, the barcode
/// and the wristband named outright, and the payload of its own code.
async fn readings(tenant: &Tenant, number: usize) -> Vec<Value> {
    let barcode = format!("40063813{number:05}");
    let band = format!("nfc:04A1B2C3{number:06}");
    let line = json!({ "media": [format!("barcode:{barcode}"), band] });
    let path = format!("/api/v1/events/{}/tickets", tenant.event);
    let imported = tenant
        .owner
        .send(
            "POST",
            &format!("{path}?return=codes"),
            Some("application/x-ndjson"),
            line.to_string(),
        )
        .await
        .expect(200);
    let code = imported.lines()[0]["code"].as_str().expect("a code").to_owned();
    let qr = tenant.owner.get(&format!("{path}/{code}/qr")).await.expect(200);
    vec![
        json!({ "qr": barcode }),
        json!({ "qr": format!("]E0{barcode}\r\n") }),
        json!({ "medium": format!("barcode:{barcode}") }),
        json!({ "medium": band }),
        json!({ "qr": qr.text() }),
    ]
}

async fn scan(device: &Client, reading: &Value) -> Value {
    let mut body = reading.clone();
    body["scan_id"] = json!(new_id());
    device.scan(&body).await.expect(200).json()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_concurrent_scans_of_what_a_ticket_has_at_both_nodes_one_admits() {
    let (cluster, tenant) = two_nodes(Channel::Redis).await;
    allow_media(&tenant).await;
    let tickets = 20;
    for number in 0..tickets {
        let readings = readings(&tenant, number).await;
        let scans = (0..20).map(|n| {
            let device = cluster.client_at(n % 2, &tenant.device);
            let reading = readings[n / 2 % readings.len()].clone();
            async move { scan(&device, &reading).await }
        });
        let mut results = BTreeMap::new();
        for answer in futures_util::future::join_all(scans).await {
            let result = answer["result"].as_str().unwrap_or_default().to_owned();
            *results.entry(result).or_insert(0) += 1;
        }
        let expected = BTreeMap::from([("valid".to_owned(), 1), ("duplicate".to_owned(), 19)]);
        assert_eq!(results, expected);
    }
    let path = format!("/api/v1/scanning/events/{}/occupancy", tenant.event);
    for node in 0..2 {
        let owner = cluster.client_at(node, &tenant.owner);
        let occupancy = owner.get(&path).await.expect(200).json();
        assert_eq!(
            occupancy["event"]["inside"],
            tickets + 1,
            "node {node}: {occupancy}"
        );
    }
}

#[tokio::test]
async fn the_other_node_denies_a_barcode_from_redis_and_its_wristband_from_memory() {
    let (cluster, tenant) = two_nodes(Channel::Redis).await;
    allow_media(&tenant).await;
    let other_node = cluster.client_at(1, &tenant.device);
    // The other node uses Redis once it follows the changes of the organization. Each try takes a new ticket, because a
    // denial by the database fills the node's memory.
    for number in 0..1000 {
        let readings = readings(&tenant, number).await;
        let [barcode, _, _, band, qr] = readings.as_slice() else {
            panic!("five readings: {readings:?}");
        };
        let admitted = scan(&tenant.device, barcode).await;
        assert_eq!(admitted["reason"], "admitted", "{admitted}");
        let denied = scan(&other_node, barcode).await;
        if denied["decided_by"] == "database" {
            continue;
        }
        assert_eq!(denied["decided_by"], "redis", "{denied}");
        for reading in [band, qr] {
            let again = scan(&other_node, reading).await;
            assert_eq!(
                again["decided_by"], "memory",
                "one ticket, whatever is read: {again}"
            );
            assert_eq!(again["reason"], "already_scanned", "{again}");
            assert_eq!(again["previous_scan"]["scan_id"], admitted["scan_id"], "{again}");
        }
        return;
    }
    panic!("redis denied no scan");
}
