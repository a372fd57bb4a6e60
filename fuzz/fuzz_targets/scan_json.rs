//! Parses arbitrary JSON as a scan request and as an uploaded scan, and checks the canonical form that signatures cover.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use voelgoed_scan_core::model::ScanRequest;
use voelgoed_scan_core::sync::{ReceivedScan, SyncRequest, canonical};

fuzz_target!(|bytes: &[u8]| {
    let _ = serde_json::from_slice::<ScanRequest>(bytes);
    let _ = SyncRequest::read(bytes);
    let _ = ReceivedScan::read_text(bytes);
    let Ok(sent) = serde_json::from_slice::<Value>(bytes) else {
        return;
    };
    let first = canonical(&sent);
    let again: Value = serde_json::from_slice(&first).expect("canonical JSON is JSON");
    assert_eq!(canonical(&again), first);
    let received = ReceivedScan::read(&sent);
    if let Ok(scan) = &received.scan {
        assert_eq!(received.scan_id, Some(scan.scan_id));
    }
});
