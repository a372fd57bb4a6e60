//! Scans beside other work: an organization whose rows are locked, uploads and imports delay or fail no scan of another.

use serde_json::{Value, json};
use tokio::task::JoinSet;
use voelgoed_scan_suite::fixture::new_id;
use voelgoed_scan_suite::services::{Transaction, query_sql, shared_database};
use voelgoed_scan_suite::{Cluster, Fixture, wait_until};

/// The number of sessions that wait for a lock.
const WAITING_SESSIONS: &str = "select count(*) from pg_stat_activity where datname = current_database() and \
                                wait_event_type = 'Lock'";

#[tokio::test]
async fn a_locked_organization_delays_no_scan_of_another() {
    let database = shared_database();
    let cluster = Cluster::start(1, database.clone(), None).await;
    let locked = cluster.tenant("Locked").await;
    let other = cluster.tenant("Other").await;
    let qr = locked.qr(1).await;
    let mut qrs = Vec::new();
    for index in 1..10 {
        qrs.push(other.qr(index).await);
    }
    let lock = Transaction::begin(
        &database,
        &format!(
            "select 1 from occupancy where event_id = '{}' for update",
            locked.event
        ),
    );
    let stuck_scan = json!({ "qr": qr, "scan_id": new_id() });
    let stuck = tokio::spawn({
        let (device, body) = (locked.device.clone(), stuck_scan.clone());
        async move { device.try_scan(&body).await }
    });
    wait_until("the scan waits for the lock", || async {
        query_sql(&database, WAITING_SESSIONS) != "0"
    })
    .await;
    let mut scans = JoinSet::new();
    for qr in qrs {
        let device = other.device.clone();
        scans.spawn(async move {
            let body = json!({ "qr": qr, "scan_id": new_id() });
            device.scan(&body).await.expect(200).json()
        });
    }
    while let Some(answer) = scans.join_next().await {
        let answer = answer.expect("no panic");
        assert_eq!(answer["reason"], "admitted", "{answer}");
    }
    // The lock is held until the other organization's scans are answered.
    lock.commit();
    let _ = stuck.await;
    let answer = locked.device.scan(&stuck_scan).await.expect(200).json();
    assert_eq!(answer["reason"], "admitted", "{answer}");
}

fn upload_of(scans: usize, gate: &str) -> Value {
    let scan = |number: usize| {
        json!({
            "scan_id": new_id(), "qr": format!("not a ticket {number}"), "gate_id": gate,
            "scanned_at": "2026-11-20T18:00:00Z", "local_result": "invalid_token", "local_reason": "malformed"
        })
    };
    let scans: Vec<_> = (0..scans).map(scan).collect();
    json!({ "batch_id": new_id(), "sent_at": "2026-11-20T18:00:01Z", "scans": scans })
}

#[tokio::test]
async fn scans_are_answered_while_devices_upload_and_an_import_runs() {
    const DEVICES: usize = 8;
    const SCANS: usize = 1000;
    const LINES: usize = 3000;
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let mut work = JoinSet::new();
    for number in 0..DEVICES {
        let (device, _) = tenant.new_device(&format!("phone-{number}"), &json!({})).await;
        let upload = upload_of(SCANS, &tenant.gate);
        work.spawn(async move {
            let answer = device.post("/api/v1/scanning/sync", &upload).await.expect(200);
            let recorded = answer.json()["recorded"].as_u64();
            ("uploaded", recorded)
        });
    }
    let (owner, event) = (tenant.owner.clone(), tenant.event.clone());
    work.spawn(async move {
        let counts = owner.import(&event, "{}\n".repeat(LINES)).await.expect(200);
        ("imported", counts.json()["inserted"].as_u64())
    });
    let mut done = Vec::new();
    let mut number = 0;
    while !work.is_empty() {
        for scanning in [&fixture.other_tenant, tenant] {
            let body = json!({ "qr": format!("a forgery {number}"), "scan_id": new_id() });
            let answer = scanning.device.scan(&body).await.expect(200).json();
            assert_eq!(answer["result"], "invalid_token", "{answer}");
            number += 1;
        }
        while let Some(one) = work.try_join_next() {
            done.push(one.expect("no panic"));
        }
    }
    done.sort_unstable();
    let mut expected = vec![("imported", Some(LINES as u64))];
    expected.extend([("uploaded", Some(SCANS as u64)); DEVICES]);
    assert_eq!(done, expected);
}
