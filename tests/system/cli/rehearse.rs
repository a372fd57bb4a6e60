//! `rehearse`, a load test on a copy of an event. It leaves no active device, session or event behind.

use super::fixture::{TestServer, text};

#[test]
fn a_rehearsal_scans_a_copy_of_the_event_and_archives_it() {
    let server = TestServer::start();
    let (event, _) = server.event_and_gate();
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
        let report = server.owner.json(&[common.as_slice(), more].concat());
        assert!(report["latency_ms"]["p99"].is_number(), "{report}");
        assert!(report["results"]["valid"]["count"].as_u64() > Some(0), "{report}");
        assert_eq!(report["errors"], serde_json::json!({}), "{report}");
        let recommendation = &report["recommendation"];
        assert!(recommendation["scans_per_second"].is_u64(), "{report}");
        assert!(!text(recommendation, "text").is_empty(), "{report}");
        let copy = server
            .owner
            .json(&["event", "show", text(&report["left"], "event_id")]);
        assert_eq!(text(&copy, "status"), "archived");
    }
    let original = server.owner.json(&["stats", &event]);
    assert_eq!(original["event"]["entries"], 0);
    assert!(
        server
            .owner
            .list(&["device", "list", "--status", "active", "--all"])
            .is_empty()
    );
    assert!(
        server
            .owner
            .list(&["session", "list"])
            .iter()
            .all(|session| text(session, "status") == "ended")
    );
}

#[test]
fn a_rehearsal_without_the_master_secret_downloads_its_payloads() {
    let server = TestServer::start();
    let (event, _) = server.event_and_gate();
    let report = server.owner.json(&[
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
