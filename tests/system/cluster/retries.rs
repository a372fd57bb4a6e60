//! A retry with the same scan id at another node replays the first answer.

use serde_json::{Value, json};
use tokio::time::{Duration, timeout};
use voelgoed_scan_suite::event_stream::EventStream;
use voelgoed_scan_suite::fixture::{Tenant, new_id};
use voelgoed_scan_suite::wait_until;

use super::{Channel, assert_replayed, denied_by, scan, two_nodes, wait_for_bus};

/// Waits until a denial is on record. A cache answers it before.
async fn wait_for_record(tenant: &Tenant, denied: &Value) {
    let path = format!("/api/v1/scanning/scans?event_id={}", tenant.event);
    wait_until("the denial is on record", || async {
        let scans = tenant.owner.get(&path).await.expect(200).json();
        scans["data"]
            .as_array()
            .is_some_and(|data| data.iter().any(|scan| scan["scan_id"] == denied["scan_id"]))
    })
    .await;
}

/// A new node has no scans of the others in memory, and Redis holds their tickets.
#[tokio::test]
async fn a_retry_at_a_node_that_has_just_started_replays_the_first_answer() {
    let (mut cluster, tenant) = two_nodes(Channel::Redis).await;
    let qr = tenant.qr(1).await;
    let admission = json!({ "qr": qr, "scan_id": new_id() });
    let admitted = tenant.device.scan(&admission).await.expect(200).json();
    let (denial, denied) = denied_by(&tenant.device, &qr, "memory").await;
    wait_for_record(&tenant, &denied).await;
    cluster.add_node(0).await;
    let new_node = cluster.client_at(2, &tenant.device);
    wait_for_bus(&cluster, 2).await;
    for (body, first) in [(&denial, &denied), (&admission, &admitted)] {
        let replayed = new_node.scan(body).await.expect(200).json();
        assert_replayed(first, &replayed);
    }
    denied_by(&new_node, &qr, "memory").await;
}

/// The id says nothing about its age. The new node knows all ids for longer than the deduplication window.
#[tokio::test]
async fn a_retry_whose_id_has_no_time_replays_the_first_answer_at_a_new_node() {
    let (mut cluster, tenant) = two_nodes(Channel::Redis).await;
    let qr = tenant.qr(1).await;
    assert_eq!(scan(&tenant.device, &qr).await["reason"], "admitted");
    let denial = json!({ "qr": qr, "scan_id": "5e1f4d5c-9c0b-4f3e-8f62-2f1f0c9a7d31" });
    let denied = tenant.device.scan(&denial).await.expect(200).json();
    assert_eq!(denied["reason"], "already_scanned");
    wait_for_record(&tenant, &denied).await;
    cluster.config.dedup_window = Duration::from_millis(300);
    cluster.add_node(0).await;
    let new_node = cluster.client_at(2, &tenant.device);
    wait_for_bus(&cluster, 2).await;
    denied_by(&new_node, &qr, "memory").await;
    assert_replayed(&denied, &new_node.scan(&denial).await.expect(200).json());
}

#[tokio::test]
async fn a_retry_at_the_other_node_replays_the_first_answer() {
    /// How long to wait for a scan on the stream before the next scan. It limits one attempt, not the test.
    const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);
    for channel in [
        Channel::Redis,
        Channel::Postgres,
        Channel::Counters,
        Channel::RedisAndPooler,
        Channel::PoolerAlone,
    ] {
        let (cluster, tenant) = two_nodes(channel).await;
        let other_node = cluster.client_at(1, &tenant.device);
        let qr = tenant.qr(1).await;
        let body = json!({ "qr": qr, "scan_id": new_id() });
        let first = tenant.device.scan(&body).await.expect(200).json();
        assert_eq!(first["reason"], "admitted");
        let replayed = other_node.scan(&body).await.expect(200).json();
        assert_replayed(&first, &replayed);
        // From now on the other node has cached the ticket and would deny a new scan from its memory.
        assert_eq!(scan(&other_node, &qr).await["result"], "duplicate");
        if matches!(channel, Channel::Counters | Channel::PoolerAlone) {
            // The change counters do not carry denials, so the other node must read the database.
            let denial = json!({ "qr": qr, "scan_id": new_id() });
            let first = tenant.device.scan(&denial).await.expect(200).json();
            assert_eq!(first["reason"], "already_scanned");
            let replayed = other_node.scan(&denial).await.expect(200).json();
            assert_replayed(&first, &replayed);
            continue;
        }
        let mut events = EventStream::open(&cluster.client_at(1, &tenant.owner), &tenant.event).await;
        let denial = json!({ "qr": qr, "scan_id": new_id() });
        let first = tenant.device.scan(&denial).await.expect(200).json();
        assert_eq!(first["reason"], "already_scanned");
        // Nodes receive scans in order: a node that has received a later scan has received this one.
        let mut received = false;
        while !received {
            let later = scan(&tenant.device, &qr).await["scan_id"].clone();
            let receive = async { while events.next_named("scan").await.data["scan_id"] != later {} };
            received = timeout(ATTEMPT_TIMEOUT, receive).await.is_ok();
        }
        let replayed = other_node.scan(&denial).await.expect(200).json();
        assert_replayed(&first, &replayed);
    }
}
