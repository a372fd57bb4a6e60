//! The start of a day of a `daily` event: everybody has left on every node and in every stream, and nothing has to run for it.

use serde_json::{Value, json};
use voelgoed_scan_core::model::Timestamp;
use voelgoed_scan_suite::event_stream::EventStream;
use voelgoed_scan_suite::fixture::Tenant;
use voelgoed_scan_suite::services::shared_database;
use voelgoed_scan_suite::{Client, Cluster};

/// How long before the start of a day the nodes start, in milliseconds.
const LEAD: i64 = 20_000;

/// Entries, exits and people inside at the event, as this node shows them.
async fn counted(client: &Client, event: &str) -> [i64; 3] {
    let path = format!("/api/v1/scanning/events/{event}/occupancy");
    let occupancy = client.get(&path).await.expect(200).json();
    let gates = occupancy["gates"].as_array().expect("gates");
    ["entries", "exits", "inside"].map(|name| {
        let of_event = occupancy["event"][name].as_i64().expect("a number");
        let at_gates: i64 = gates.iter().filter_map(|gate| gate[name].as_i64()).sum();
        assert_eq!(of_event, at_gates, "{name}");
        of_event
    })
}

async fn scan(device: &Client, tenant: &Tenant, ticket: usize, direction: &str) -> Value {
    let body = json!({ "qr": tenant.qr(ticket).await, "direction": direction });
    device.scan(&body).await.expect(200).json()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_has_left_when_a_day_begins_on_every_node_and_in_streams() {
    let mut cluster = Cluster::start(1, shared_database(), None).await;
    let tenant = cluster.tenant("Daily").await;
    let own = tenant
        .device
        .get("/api/v1/scanning/device")
        .await
        .expect(200)
        .json();
    let now: Timestamp = own["server_time"]
        .as_str()
        .expect("a time")
        .parse()
        .expect("a time");
    // The clocks of two more nodes are ahead, so that a full minute is near.
    let ahead = 60_000 - (now.as_millis() + LEAD).rem_euclid(60_000);
    cluster.add_node(ahead).await;
    cluster.add_node(ahead).await;
    let begin = now.plus_millis(ahead + LEAD).to_string();
    let [one, two] = [1, 2].map(|node| {
        (
            cluster.client_at(node, &tenant.owner),
            cluster.client_at(node, &tenant.device),
        )
    });
    let settings = json!({
        "name": "Daily", "status": "live", "reentry": "daily", "time_zone": "UTC",
        "day_starts_at": begin.get(11..16).expect("hours and minutes")
    });
    let event = format!("/api/v1/events/{}", tenant.event);
    let put = one.0.put(&event, &settings).await.expect(200).json();
    assert!(
        put["updated_at"].as_str() < Some(&begin),
        "the nodes started too slowly: {put}"
    );

    // The first ticket was admitted when the tenant was created.
    assert_eq!(scan(&one.1, &tenant, 1, "entry").await["reason"], "admitted");
    assert_eq!(
        scan(&two.1, &tenant, 1, "entry").await["reason"],
        "already_scanned"
    );
    for (owner, _) in [&one, &two] {
        assert_eq!(counted(owner, &tenant.event).await, [2, 0, 2]);
    }
    let mut stream = EventStream::open(&two.0, &tenant.event).await;
    let mut shown = stream.next_named("occupancy").await.data;
    assert_eq!(shown["event"]["inside"], 2);
    // No scan is made until the stream tells that the day has begun.
    while shown["event"]["inside"] != 0 {
        shown = stream.next_named("occupancy").await.data;
    }
    assert_eq!(shown["event"]["entries"], 0);
    for (owner, _) in [&one, &two] {
        assert_eq!(counted(owner, &tenant.event).await, [0, 0, 0]);
    }
    assert_eq!(scan(&one.1, &tenant, 1, "exit").await["reason"], "not_inside");
    let again = scan(&one.1, &tenant, 1, "entry").await;
    assert_eq!(
        (&again["reason"], &again["occupancy"]["event"]["inside"]),
        (&json!("readmitted"), &json!(1))
    );
    assert_eq!(
        scan(&two.1, &tenant, 1, "entry").await["reason"],
        "already_scanned"
    );
    for (owner, _) in [&one, &two] {
        assert_eq!(counted(owner, &tenant.event).await, [1, 0, 1]);
    }
    while shown["event"]["inside"] != 1 {
        shown = stream.next_named("occupancy").await.data;
    }
}
