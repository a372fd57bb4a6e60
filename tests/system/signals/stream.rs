//! Signals on the stream of an event.

use serde_json::{Value, json};
use voelgoed_scan_suite::event_stream::EventStream;
use voelgoed_scan_suite::fixture::new_id;

use super::{Gate, change, ended, opened, scan, scan_times};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_sends_staff_each_signal_of_its_event_as_it_opens_and_ends() {
    let gate = Gate::new().await;
    let tenant = gate.tenant();
    let staff = tenant.member("staff").await;
    let viewer = tenant.member("viewer").await;
    let mut stream = EventStream::open(&staff, &tenant.event).await;
    let mut of_viewer = EventStream::open(&viewer, &tenant.event).await;
    stream.next_named("occupancy").await;
    of_viewer.next_named("occupancy").await;
    let qr = tenant.qr(0).await;
    scan_times(&tenant.device, &qr, 6).await;
    let sent = stream.next_named("signal").await.data;
    assert_eq!(sent, opened(&tenant.owner, "duplicate_spam").await);
    gate.advance(600);
    let closed = ended(&tenant.owner, "duplicate_spam").await;
    assert_eq!(stream.next_named("signal").await.data, closed);
    let last = scan(&tenant.device, &tenant.qr(1).await).await;
    loop {
        let event = of_viewer.next().await.expect("an event");
        assert_ne!(event.name, "signal", "a viewer sees no signals");
        if event.name == "scan" && event.data["scan_id"] == last["scan_id"] {
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_resumes_sends_the_signals_that_changed_meanwhile() {
    let gate = Gate::new().await;
    let tenant = gate.tenant();
    change(&tenant.owner, json!({ "duplicate_spam": { "limit": 1 } })).await;
    let mut stream = EventStream::open(&tenant.owner, &tenant.event).await;
    scan_times(&tenant.device, &tenant.qr(0).await, 2).await;
    let first = stream.next_named("signal").await;
    drop(stream);
    gate.advance(60);
    scan_times(&tenant.device, &tenant.qr(1).await, 3).await;
    super::wait_until("both are open", || async {
        super::open_signals(&tenant.owner, "duplicate_spam").await.len() == 2
    })
    .await;
    let id = first.id.expect("an id");
    let mut resumed = EventStream::open(&tenant.owner.with_header("last-event-id", &id), &tenant.event).await;
    let mut seen: Vec<Value> = Vec::new();
    while seen.iter().all(|signal| signal["id"] == first.data["id"]) {
        seen.push(resumed.next_named("signal").await.data);
    }
    // The first one is within the last ten seconds before the break, so it may come again. Nothing comes twice.
    assert!(seen.len() <= 2, "{seen:?}");
    let second = seen.pop().expect("the second signal");
    scan_times(&tenant.device, &tenant.qr(2).await, 3).await;
    let third = resumed.next_named("signal").await.data;
    assert_ne!(third["id"], second["id"]);
    assert_ne!(third["id"], first.data["id"]);

    // A stream that begins anew sends only what changes from then on.
    let mut fresh = EventStream::open(&tenant.owner, &tenant.event).await;
    let body = json!({ "qr": tenant.qr(3).await, "scan_id": new_id() });
    tenant.device.scan(&body).await.expect(200);
    let mut names = Vec::new();
    loop {
        let event = fresh.next().await.expect("an event");
        if event.name == "scan" {
            break;
        }
        names.push(event.name);
    }
    assert!(!names.contains(&"signal".to_owned()), "{names:?}");
}
