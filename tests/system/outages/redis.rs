//! Redis is killed, suspended, flushed or full.

use std::sync::atomic::AtomicUsize;

use voelgoed_scan_suite::services::shared_database;
use voelgoed_scan_suite::wait::report_duration;
use voelgoed_scan_suite::{Client, Cluster, Redis, wait_until};

use super::load::{assert_consistent, import_tickets, run_load, wait_for_scans};
use super::readiness;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_redis_fails_no_scan_and_repeats_no_admission() {
    let mut redis = Redis::start().await;
    let cluster = Cluster::start(2, shared_database(), Some(redis.url())).await;
    let tenant = cluster.tenant("No Redis").await;
    let anonymous = [0, 1].map(|node| Client::new(cluster.address(node)));
    let tickets = import_tickets(&tenant, 500).await;
    let devices = [tenant.device.clone(), cluster.client_at(1, &tenant.device)];
    let started_scans = AtomicUsize::new(0);
    let faults = async {
        wait_for_scans(&started_scans, 100).await;
        redis.kill();
        for node in &anonymous {
            wait_until("a node without Redis is degraded", || async {
                readiness(node).await.expect(200).json()["status"] == "degraded"
            })
            .await;
        }
        wait_for_scans(&started_scans, 200).await;
        redis.start_process().await;
        wait_until_healthy(&anonymous, "recovery after Redis started").await;
        wait_for_scans(&started_scans, 300).await;
        redis.suspend();
        wait_for_scans(&started_scans, 400).await;
        redis.resume();
        wait_until_healthy(&anonymous, "recovery after Redis resumed").await;
        wait_for_scans(&started_scans, 500).await;
        redis.execute(&["flushall"]);
        wait_for_scans(&started_scans, 600).await;
        redis.execute(&["config", "set", "maxmemory-policy", "noeviction"]);
        redis.execute(&["config", "set", "maxmemory", "1"]);
        wait_for_scans(&started_scans, 700).await;
        redis.execute(&["config", "set", "maxmemory", "0"]);
        wait_until_healthy(&anonymous, "recovery after Redis was full").await;
    };
    let (result, ()) = tokio::join!(run_load(&devices, &tickets, &started_scans), faults);
    report_duration("the slowest attempt", result.slowest);
    assert_eq!(result.unanswered, 0, "no scan failed");
    assert_consistent(&tenant.owner, &tenant.event, &result, &tickets, 1).await;
}

async fn wait_until_healthy(anonymous: &[Client], what: &str) {
    for node in anonymous {
        let duration = wait_until(what, || async {
            readiness(node).await.expect(200).json()["status"] == "ok"
        })
        .await;
        report_duration(what, duration);
    }
}
