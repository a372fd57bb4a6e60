//! Pagination of every list.

use serde_json::json;
use voelgoed_scan_suite::Fixture;

#[tokio::test]
async fn the_pages_of_a_list_hold_each_row_once() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    for number in 0..5 {
        tenant.new_device(&format!("scanner-{number}"), &json!({})).await;
    }
    let gates = format!("/api/v1/events/{}/gates", tenant.event);
    let tickets = format!("/api/v1/events/{}/tickets", tenant.event);
    for _ in 0..3 {
        let webhook = json!({ "url": "https://hook.invalid/", "types": ["session.*"] });
        tenant.owner.post("/api/v1/webhooks", &webhook).await.expect(201);
    }
    for (path, rows) in [
        ("/api/v1/scanning/devices", 6),
        ("/api/v1/events", 1),
        ("/api/v1/scanning/sessions", 1),
        ("/api/v1/scanning/scans", 1),
        ("/api/v1/signing-keys", 2),
        ("/api/v1/api-keys", 1),
        ("/api/v1/webhooks", 3),
        (gates.as_str(), 2),
        (tickets.as_str(), 10),
    ] {
        let mut seen = Vec::new();
        let mut query = "?limit=1".to_owned();
        loop {
            let page = tenant
                .owner
                .get(&format!("{path}{query}"))
                .await
                .expect(200)
                .json();
            seen.extend(
                page["data"]
                    .as_array()
                    .expect("rows")
                    .iter()
                    .map(ToString::to_string),
            );
            match page["next_cursor"].as_str() {
                Some(cursor) => query = format!("?limit=1&cursor={cursor}"),
                None => break,
            }
        }
        let total = seen.len();
        seen.sort();
        seen.dedup();
        assert_eq!((seen.len(), total), (rows, rows), "{path}");
        let unpaged = tenant.owner.get(path).await.expect(200).json();
        assert_eq!(unpaged["data"].as_array().map(Vec::len), Some(rows), "{path}");
        assert!(unpaged["next_cursor"].is_null(), "{path}");
    }
}
