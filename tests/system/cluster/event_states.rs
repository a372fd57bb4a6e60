//! Check 6 in the Redis tier: a node that finds a used ticket in Redis gives the reason that the database would give.
//!
//! The expected reasons are those of `docs/results.md`, written out. The other paths are in the stories of the core.

use serde_json::{Value, json};
use voelgoed_scan_core::model::Timestamp;
use voelgoed_scan_suite::wait_until;

use super::{Channel, scan, two_nodes};

const HOUR: i64 = 3_600_000;

/// The seven states, and for each the reason without doors, before, within and after them.
const STATES: [(&str, [&str; 4]); 7] = [
    ("draft", ["event_not_live"; 4]),
    ("published", ["event_not_live"; 4]),
    (
        "live",
        [
            "already_scanned",
            "doors_not_open",
            "already_scanned",
            "doors_closed",
        ],
    ),
    ("ended", ["event_not_live"; 4]),
    ("cancelled", ["event_cancelled"; 4]),
    ("postponed", ["event_postponed"; 4]),
    ("archived", ["event_not_live"; 4]),
];

/// The doors: hours from now to their opening and closing.
const DOORS: [Option<(i64, i64)>; 4] = [None, Some((1, 2)), Some((-1, 1)), Some((-2, -1))];

/// A postponed event of three hours: hours from now to its new start, and the reason, whatever the doors are.
const NEW_DATES: [(i64, &str); 3] = [
    (1, "event_postponed"),
    (-1, "already_scanned"),
    (-4, "event_not_live"),
];

/// How many tickets a row may need. Redis misses a ticket that it took too long to store.
const TICKETS_A_ROW: usize = 10;

/// The settings of every row with its reason.
fn rows(now: Timestamp) -> Vec<(Value, &'static str)> {
    let at = |hours: i64| now.plus_millis(hours * HOUR);
    let with_doors = |mut settings: Value, doors: Option<(i64, i64)>| {
        settings["name"] = json!("Show");
        if let Some((open, close)) = doors {
            settings["doors_open_at"] = json!(at(open));
            settings["doors_close_at"] = json!(at(close));
        }
        settings
    };
    let mut rows = Vec::new();
    for (status, reasons) in STATES {
        for (doors, reason) in DOORS.into_iter().zip(reasons) {
            rows.push((with_doors(json!({ "status": status }), doors), reason));
        }
    }
    for (hours, reason) in NEW_DATES {
        for doors in DOORS {
            let moved = json!({
                "status": "postponed", "starts_at": at(-100), "ends_at": at(-97), "rescheduled_at": at(hours)
            });
            rows.push((with_doors(moved, doors), reason));
        }
    }
    rows
}

#[tokio::test]
async fn a_ticket_in_redis_is_denied_for_the_state_and_the_doors_of_the_event() {
    let (cluster, tenant) = two_nodes(Channel::Redis).await;
    let other_node = cluster.client_at(1, &tenant.device);
    let own = tenant
        .device
        .get("/api/v1/scanning/device")
        .await
        .expect(200)
        .json();
    let now: Timestamp = own["server_time"]
        .as_str()
        .and_then(|text| text.parse().ok())
        .expect("a time");
    let rows = rows(now);
    // This node admits all tickets, so that Redis has them and the other node has seen none.
    let event = format!("/api/v1/events/{}", tenant.event);
    let lines = "{}\n".repeat(rows.len() * TICKETS_A_ROW);
    let path = format!("{event}/tickets?return=codes");
    let imported = tenant
        .owner
        .send("POST", &path, Some("application/x-ndjson"), lines);
    let settings = json!({ "name": "Show", "status": "live", "allow_unsigned": true });
    let imported = imported.await.expect(200).lines();
    tenant.owner.put(&event, &settings).await.expect(200);
    let mut codes = Vec::new();
    for code in imported.iter().filter_map(|line| line["code"].as_str()) {
        let admitted = tenant
            .device
            .scan(&json!({ "ticket_code": code }))
            .await
            .expect(200);
        assert_eq!(admitted.json()["reason"], "admitted");
        codes.push(code);
    }
    let probe = tenant.qr(0).await;
    let mut codes = codes.into_iter();
    for (settings, reason) in rows {
        let mut body = settings.clone();
        body["allow_unsigned"] = json!(true);
        tenant.owner.put(&event, &body).await.expect(200);
        // A ticket that the other node knows shows when the change has arrived there.
        wait_until(&settings.to_string(), || async {
            scan(&other_node, &probe).await["reason"] == reason
        })
        .await;
        let mut is_by_redis = false;
        for code in codes.by_ref().take(TICKETS_A_ROW) {
            let answer = other_node
                .scan(&json!({ "ticket_code": code }))
                .await
                .expect(200)
                .json();
            assert_eq!(answer["reason"], reason, "{settings}: {answer}");
            is_by_redis = answer["decided_by"] == "redis";
            if is_by_redis {
                break;
            }
        }
        assert!(is_by_redis, "{settings}: redis decided no scan");
    }
}
