//! Scans of one ticket at both nodes.

use std::collections::BTreeMap;

use super::{Channel, denied_by, scan, two_nodes};

#[tokio::test]
async fn the_other_node_denies_a_duplicate_from_redis_and_then_from_memory() {
    let (cluster, tenant) = two_nodes(Channel::Redis).await;
    let other_node = cluster.client_at(1, &tenant.device);
    // The other node uses Redis once it follows the changes of the organization. Each try takes a new ticket, because a
    // denial by the database fills the node's memory.
    let event = format!("/api/v1/events/{}", tenant.event);
    for _ in 0..1000 {
        let lines = Some("application/x-ndjson");
        let path = format!("{event}/tickets?return=codes");
        let imported = tenant.owner.send("POST", &path, lines, "{}\n").await.expect(200);
        let code = imported.lines()[0]["code"].as_str().expect("a code").to_owned();
        let path = format!("{event}/tickets/{code}/qr");
        let qr = tenant.owner.get(&path).await.expect(200).text().to_owned();
        let admitted = scan(&tenant.device, &qr).await;
        assert_eq!(admitted["reason"], "admitted");
        let denied = scan(&other_node, &qr).await;
        if denied["decided_by"] == "database" {
            continue;
        }
        assert_eq!(denied["decided_by"], "redis", "{denied}");
        let (_, from_memory) = denied_by(&other_node, &qr, "memory").await;
        for denied in [denied, from_memory] {
            assert_eq!(denied["reason"], "already_scanned", "{denied}");
            let previous = &denied["previous_scan"]["scan_id"];
            assert_eq!(*previous, admitted["scan_id"], "{denied}");
        }
        return;
    }
    panic!("redis denied no scan");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_24_concurrent_scans_of_a_ticket_at_both_nodes_one_admits() {
    one_of_24_concurrent_scans_admits(Channel::Redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_24_concurrent_scans_of_a_ticket_at_both_nodes_behind_a_pooler_one_admits() {
    one_of_24_concurrent_scans_admits(Channel::RedisAndPooler).await;
    one_of_24_concurrent_scans_admits(Channel::PoolerAlone).await;
}

async fn one_of_24_concurrent_scans_admits(channel: Channel) {
    let (cluster, tenant) = two_nodes(channel).await;
    let (event, tickets) = (&tenant.event, 40);
    let lines = "{}\n".repeat(tickets);
    let path = format!("/api/v1/events/{event}/tickets?return=codes");
    let imported = tenant
        .owner
        .send("POST", &path, Some("application/x-ndjson"), lines)
        .await
        .expect(200);
    let codes = imported.lines();
    let codes = codes.iter().filter_map(|line| line["code"].as_str());
    let mut payloads = Vec::new();
    for code in codes {
        let path = format!("/api/v1/events/{event}/tickets/{code}/qr");
        payloads.push(tenant.owner.get(&path).await.expect(200).text().to_owned());
    }
    assert_eq!(payloads.len(), tickets);
    for qr in &payloads {
        let scans = (0..24).map(|n| {
            let device = cluster.client_at(n % 2, &tenant.device);
            async move { scan(&device, qr).await }
        });
        let mut results = BTreeMap::new();
        for answer in futures_util::future::join_all(scans).await {
            *results
                .entry(answer["result"].as_str().unwrap_or_default().to_owned())
                .or_insert(0) += 1;
        }
        let expected = BTreeMap::from([("valid".to_owned(), 1), ("duplicate".to_owned(), 23)]);
        assert_eq!(results, expected);
    }
    let path = format!("/api/v1/scanning/events/{event}/occupancy");
    let occupancy = cluster
        .client_at(1, &tenant.owner)
        .get(&path)
        .await
        .expect(200)
        .json();
    assert_eq!(occupancy["event"]["inside"], tickets + 1, "{occupancy}");
}
