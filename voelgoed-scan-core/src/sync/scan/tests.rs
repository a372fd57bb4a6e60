use serde_json::json;

use super::*;

fn scan() -> Value {
    json!({
        "scan_id": "0192f0c1-7a4e-7000-8000-000000000001", "qr": "VG1.1.x.y",
        "gate_id": "0192f0c1-7a4e-7000-8000-000000000002", "scanned_at": "2026-11-22T18:04:05.120Z"
    })
}

fn with(field: &str, value: Value) -> Value {
    let mut scan = scan();
    scan[field] = value;
    scan
}

#[test]
fn four_fields_are_enough_and_a_scan_is_written_as_it_was_read() {
    let received = ReceivedScan::read(&scan());
    let read = received.scan.expect("a scan");
    assert_eq!((read.direction, read.local_result), (Direction::Entry, None));
    let again = serde_json::to_value(&*read).expect("JSON");
    assert_eq!(again, with("direction", json!("entry")));
}

#[test]
fn an_error_names_its_field() {
    for (sent, pointer) in [
        (json!([]), ""),
        (json!({}), "/scan_id"),
        (with("scan_id", json!("x")), "/scan_id"),
        (with("qr", Value::Null), "/qr"),
        (with("ticket_code", json!("3KQR7F924M1XaB0z")), "/qr"),
        (with("direction", json!("up")), "/direction"),
        (with("scanned_at", json!("now")), "/scanned_at"),
        (with("local_result", json!("maybe")), "/local_result"),
        (with("local_reason", json!("admitted")), "/local_reason"),
        (with("sequence", json!(0)), "/sequence"),
        (with("sequence", json!(-1)), "/sequence"),
        (with("override", json!({ "reason": "" })), "/override/reason"),
        (with("prev_hash", json!("AA")), "/prev_hash"),
        (with("event_id", json!("x")), "/event_id"),
        (with("age_ms", json!(-1)), "/age_ms"),
        (with("age_ms", json!("17")), "/age_ms"),
        (with("age_ms", json!(1_u64 << 53)), "/age_ms"),
    ] {
        let received = ReceivedScan::read(&sent);
        let fault = received.scan.expect_err("a fault");
        assert_eq!(fault.pointer, pointer, "{sent}: {}", fault.message);
    }
    assert!(
        ReceivedScan::read(&with("direction", json!("up")))
            .scan_id
            .is_some()
    );
}

#[test]
fn a_reason_must_belong_to_its_result() {
    let mut sent = with("local_result", json!("duplicate"));
    sent["local_reason"] = json!("already_scanned");
    assert!(ReceivedScan::read(&sent).scan.is_ok());
    sent["local_reason"] = json!("admitted");
    assert!(ReceivedScan::read(&sent).scan.is_err());
}
