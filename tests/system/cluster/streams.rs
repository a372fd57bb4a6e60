//! Streams and subscribers of one node receive the scans of the other node.

use std::time::Instant;

use serde_json::json;
use tokio::time::timeout;
use voelgoed_scan_suite::event_stream::EventStream;
use voelgoed_scan_suite::fixture::new_id;
use voelgoed_scan_suite::services::{Redis, shared_database};
use voelgoed_scan_suite::wait::{READ_TIMEOUT, report_duration};
use voelgoed_scan_suite::{Cluster, wait_until};

use super::{Channel, scan, two_nodes};

// A scan that is not delivered at first is never delivered, so the timeouts here only detect a lost scan. The 250 ms
// of `docs/http-api.md` are measured and reported.

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_redis_subscriber_receives_every_later_scan() {
    let redis = Redis::start().await;
    let cluster = Cluster::start(1, shared_database(), Some(redis.url())).await;
    let tenant = cluster.tenant("Subscribed").await;
    let qr = tenant.qr(1).await;
    for round in 0..3 {
        // Scans without a subscriber.
        for _ in 0..5 {
            scan(&tenant.device, &qr).await;
        }
        let mut subscriber = redis.subscribe("scans:org:*");
        let scans: Vec<String> = (0..20).map(|_| new_id()).collect();
        for scan in &scans {
            let body = json!({ "qr": qr, "scan_id": scan });
            tenant.device.scan(&body).await.expect(200);
        }
        let received = tokio::task::spawn_blocking(move || {
            for scan in &scans {
                subscriber.wait_for(|line| line.contains(scan.as_str()));
            }
            scans.last().cloned().unwrap_or_default()
        });
        let last = timeout(READ_TIMEOUT, received)
            .await
            .expect("the subscriber receives every scan")
            .expect("the output of redis-cli");
        wait_until(
            &format!("round {round}: Redis stores the latest scan"),
            || async {
                let key = redis.execute(&["keys", "voelgoed-scan:org:*:scans:recent"]);
                redis.execute(&["lindex", key.trim(), "0"]).contains(&last)
            },
        )
        .await;
    }
}

#[tokio::test]
async fn a_stream_sends_the_scans_of_the_other_node() {
    for channel in [Channel::Redis, Channel::Postgres, Channel::PoolerAlone] {
        let (cluster, tenant) = two_nodes(channel).await;
        // A stream sends every scan that follows its first event, however soon: the first stream of the node does, and
        // so does each later one.
        for ticket in 1..=5 {
            let mut events = EventStream::open(&cluster.client_at(1, &tenant.owner), &tenant.event).await;
            events.next_named("occupancy").await;
            let qr = tenant.qr(ticket).await;
            let started = Instant::now();
            let answer = scan(&tenant.device, &qr).await;
            // The occupancy may come before the scan. The stream may send earlier scans as well.
            let received = async {
                let (mut is_sent, mut is_counted) = (false, false);
                while !is_sent || !is_counted {
                    let event = events.next().await.expect("an event");
                    match event.name.as_str() {
                        "scan" => is_sent |= event.data["scan_id"] == answer["scan_id"],
                        "occupancy" => is_counted |= event.data["event"]["inside"] == ticket + 1,
                        _ => {}
                    }
                }
            };
            timeout(READ_TIMEOUT, received)
                .await
                .expect("the stream sends the scan and the occupancy");
            report_duration(
                "a scan and its occupancy at the other node's stream",
                started.elapsed(),
            );
        }
    }
}

#[tokio::test]
async fn a_stream_works_while_the_bus_is_down() {
    let (_cluster, tenant) = two_nodes(Channel::Counters).await;
    let mut events = EventStream::open(&tenant.owner, &tenant.event).await;
    events.next_named("occupancy").await;
    let answer = scan(&tenant.device, &tenant.qr(1).await).await;
    let received = events.next_named("scan").await.data;
    assert_eq!(received["scan_id"], answer["scan_id"], "{received}");
}
