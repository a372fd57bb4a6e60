//! The messages of an organization apply at every node, over every channel.

use serde_json::json;
use voelgoed_scan_suite::wait::report_duration;
use voelgoed_scan_suite::wait_until;

use super::{Channel, two_nodes};

const MESSAGES: &str = "/api/v1/organization/messages";

async fn messages_apply_at_the_other_node(channel: Channel) {
    let (cluster, tenant) = two_nodes(channel).await;
    let other_node = cluster.client_at(1, &tenant.device);
    let dry_run = json!({ "qr": tenant.qr(1).await, "dry_run": true });
    let message = async || other_node.scan(&dry_run).await.expect(200).json()["message"].clone();
    assert_eq!(
        message().await,
        "Admitted",
        "the other node has the messages in its memory"
    );
    for text in [json!("Walk in"), json!("Run in"), json!(null)] {
        let texts = json!({ "en": { "admitted": text } });
        tenant.owner.put(MESSAGES, &texts).await.expect(200);
        let at_once = tenant.device.scan(&dry_run).await.expect(200).json();
        let expected = if text.is_null() { json!("Admitted") } else { text };
        assert_eq!(at_once["message"], expected);
        let duration = wait_until("the other node shows the text", || async {
            message().await == expected
        })
        .await;
        report_duration("a message", duration);
    }
}

#[tokio::test]
async fn messages_apply_at_the_other_node_over_redis() {
    messages_apply_at_the_other_node(Channel::Redis).await;
}

#[tokio::test]
async fn messages_apply_at_the_other_node_over_postgresql() {
    messages_apply_at_the_other_node(Channel::Postgres).await;
}

#[tokio::test]
async fn messages_apply_at_the_other_node_without_a_bus() {
    messages_apply_at_the_other_node(Channel::Counters).await;
}
