//! Personal data that one node deletes are gone at the other node.

use serde_json::{Value, json};

use super::{Channel, denied_by, scan, two_nodes};

#[tokio::test]
async fn no_node_answers_with_deleted_personal_data() {
    for channel in [Channel::Redis, Channel::Postgres, Channel::Counters] {
        let (cluster, tenant) = two_nodes(channel).await;
        let line =
            json!({ "code": tenant.codes[1], "note": "sits", "seat": { "row": "7" }, "holder_name": "Ann" });
        tenant
            .owner
            .import(&tenant.event, line.to_string())
            .await
            .expect(200);
        let qr = tenant.qr(1).await;
        let other = cluster.client_at(1, &tenant.device);
        assert_eq!(scan(&tenant.device, &qr).await["ticket"]["note"], "sits");
        // The memory of the other node holds the ticket with its note.
        assert_eq!(scan(&other, &qr).await["ticket"]["note"], "sits");
        let cache = if matches!(channel, Channel::Counters) {
            None
        } else {
            Some("memory")
        };
        let (body, denied) = if let Some(cache) = cache {
            denied_by(&other, &qr, cache).await
        } else {
            let body = json!({ "qr": qr, "scan_id": voelgoed_scan_suite::fixture::new_id() });
            let answer = other.scan(&body).await.expect(200).json();
            (body, answer)
        };
        assert_eq!(denied["ticket"]["note"], "sits", "{denied}");
        let path = format!("/api/v1/events/{}/personal-data", tenant.event);
        let deleted = tenant.owner.call("DELETE", &path).await.expect(200).json();
        assert_eq!(deleted, json!({ "tickets": 1 }));
        let replayed = other.scan(&body).await.expect(200).json();
        for answer in [replayed, scan(&other, &qr).await, scan(&tenant.device, &qr).await] {
            assert_eq!(answer["reason"], "already_scanned", "{answer}");
            assert_eq!(
                (&answer["ticket"]["note"], &answer["ticket"]["seat"]),
                (&Value::Null, &Value::Null)
            );
        }
    }
}
