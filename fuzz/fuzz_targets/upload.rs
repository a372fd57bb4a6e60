//! Reads arbitrary bytes as an upload, and as one item of an upload between two good ones. An item never affects another.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;
use serde_json::Value;
use voelgoed_scan_core::sync::{MAX_BATCH, ReceivedScan, SyncRequest};

const GOOD: &str = r#"{"scan_id":"0192f0c1-6f3a-7c21-9d4e-5b1f0a7c3e88","ticket_code":"3KQR7F924M1XaB0z","gate_id":"0192f000-3333-7abc-8def-0123456789ab","scanned_at":"2026-11-22T18:04:05.120Z","sequence":17}"#;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(batch) = SyncRequest::read(bytes) {
        assert!(batch.scans.len() <= MAX_BATCH);
        if let Ok(value) = serde_json::from_slice::<Value>(bytes) {
            // Of a member that is there twice, serde_json keeps the last one and so does the server.
            let sent = value["scans"].as_array().map_or(0, Vec::len);
            assert_eq!(batch.scans.len(), sent);
        }
    }
    let mut body = br#"{"batch_id":"0192f0c1-7777-7c21-9d4e-5b1f0a7c3e88","sent_at":"2026-11-22T18:30:00Z","scans":["#.to_vec();
    body.extend_from_slice(GOOD.as_bytes());
    body.push(b',');
    body.extend_from_slice(bytes);
    body.push(b',');
    body.extend_from_slice(GOOD.as_bytes());
    body.extend_from_slice(b"]}");
    let read = SyncRequest::read(&body);
    // A single JSON value is one item, whatever it says.
    if serde_json::from_slice::<IgnoredAny>(bytes).is_ok() {
        let batch = read.expect("an item does not make the upload invalid");
        let good = ReceivedScan::read_text(GOOD.as_bytes());
        assert!(good.scan.is_ok());
        assert_eq!(batch.scans.len(), 3);
        assert_eq!(batch.scans.first(), Some(&good));
        assert_eq!(batch.scans.last(), Some(&good));
    }
});
