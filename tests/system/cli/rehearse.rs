//! A load test leaves nothing behind that could scan or admit.

use super::prompt::{Place, text};

#[test]
fn a_rehearsal_scans_a_copy_and_puts_it_away() {
    let place = Place::open();
    let (event, _) = place.event_and_gate();
    let common = [
        "rehearse",
        "--event",
        &event,
        "--warm-up",
        "0s",
        "--duration",
        "300ms",
    ];
    for more in [
        ["--devices", "5", "--rate", "100", "--duplicates", "50%"].as_slice(),
        ["--closed", "--concurrency", "3", "--tickets", "40"].as_slice(),
    ] {
        let report = place.owner.json(&[common.as_slice(), more].concat());
        assert!(report["latency_ms"]["p99"].is_number(), "{report}");
        assert!(report["results"]["valid"]["count"].as_u64() > Some(0), "{report}");
        assert_eq!(report["errors"], serde_json::json!({}), "{report}");
        let copy = place
            .owner
            .json(&["event", "show", text(&report["left"], "event_id")]);
        assert_eq!(text(&copy, "status"), "archived");
    }
    let original = place.owner.json(&["stats", &event]);
    assert_eq!(original["event"]["entries"], 0);
    assert!(
        place
            .owner
            .list(&["device", "list", "--status", "active"])
            .is_empty()
    );
    assert!(
        place
            .owner
            .list(&["session", "list"])
            .iter()
            .all(|session| text(session, "status") == "ended")
    );
}

#[test]
fn a_rehearsal_without_the_master_secret_fetches_its_payloads() {
    let place = Place::open();
    let (event, _) = place.event_and_gate();
    let report = place.owner.json(&[
        "rehearse",
        "--event",
        &event,
        "--warm-up",
        "0s",
        "--duration",
        "100ms",
        "--devices",
        "2",
        "--rate",
        "50",
    ]);
    assert_eq!(
        report["results"]["valid"]["count"], report["latency_ms"]["count"],
        "{report}"
    );
}
