use serde_json::json;
use voelgoed_scan_core::model::{DeviceHealth, EventPut, ScanRequest, SessionStart};

use super::*;

fn read<R: Request + std::fmt::Debug>(body: &str) -> Result<R, Problem> {
    Form::default().read(body.as_bytes())
}

fn pointers<R: Request + std::fmt::Debug>(body: &str) -> Vec<String> {
    let problem = read::<R>(body).expect_err(body);
    assert_eq!(problem.code(), Code::ValidationFailed, "{body}");
    problem
        .faults()
        .iter()
        .map(|fault| fault.pointer.clone())
        .collect()
}

const EVENT: &str = "0192f0c1-7a4e-7000-8000-000000000001";

#[test]
fn what_is_not_json_is_malformed() {
    for body in [
        "",
        " ",
        "{",
        "nonsense",
        r#"{"qr":"x"} more"#,
        r#"{"qr":"x",}"#,
        "\u{feff}{}",
        "NaN",
        r#"{"qr":1e999}"#,
    ] {
        let problem = read::<ScanRequest>(body).expect_err(body);
        assert_eq!(problem.code(), Code::MalformedJson, "{body:?}");
    }
    let invalid = Form::default().read::<ScanRequest>(b"{\"qr\":\"\xff\"}");
    assert_eq!(invalid.expect_err("not UTF-8").code(), Code::MalformedJson);
}

#[test]
fn deep_nesting_is_malformed_and_not_followed() {
    for bracket in ["[", r#"{"a":"#] {
        let problem = read::<ScanRequest>(&bracket.repeat(50_000)).expect_err("deep");
        assert_eq!(problem.code(), Code::MalformedJson);
    }
}

#[test]
fn a_body_is_an_object() {
    for body in ["[]", "null", "1", "\"text\"", r#"["a","b",false]"#] {
        assert_eq!(pointers::<SessionStart>(body), [""], "{body}");
        assert_eq!(pointers::<ScanRequest>(body), [""], "{body}");
    }
}

#[test]
fn every_missing_and_wrong_field_is_named() {
    assert_eq!(pointers::<SessionStart>("{}"), ["/event_id", "/gate_id"]);
    assert_eq!(
        pointers::<SessionStart>(&format!(r#"{{"event_id":"{EVENT}","gate_id":5,"replace":"no"}}"#)),
        ["/gate_id", "/replace"]
    );
    assert_eq!(
        pointers::<SessionStart>(&format!(r#"{{"event_id":"{EVENT}","gate_id":"main"}}"#)),
        ["/gate_id"]
    );
    assert_eq!(
        pointers::<EventPut>(r#"{"name":"","status":"on","capacity":-1,"ticket_classes":["A",7]}"#),
        ["/capacity", "/name", "/status", "/ticket_classes/1"]
    );
}

#[test]
fn what_is_wrong_inside_an_optional_object_is_named_there() {
    assert_eq!(
        pointers::<DeviceHealth>(r#"{"app":{"name":"gate","version":""},"battery":1.5,"waiting":-1}"#),
        ["/app/platform", "/app/version", "/battery", "/waiting"]
    );
    assert_eq!(pointers::<DeviceHealth>(r#"{"app":"gate"}"#), ["/app"]);
    assert_eq!(pointers::<DeviceHealth>(r#"{"app":["a","b","c"]}"#), ["/app"]);
    assert!(read::<DeviceHealth>(r#"{"app":null,"battery":null}"#).is_ok());
}

#[test]
fn a_scan_reads_one_thing() {
    assert_eq!(pointers::<ScanRequest>("{}"), ["/qr", "/ticket_code"]);
    assert_eq!(
        pointers::<ScanRequest>(r#"{"qr":"a","ticket_code":"b"}"#),
        ["/qr", "/ticket_code"]
    );
    assert_eq!(pointers::<ScanRequest>(r#"{"qr":5}"#), ["/qr"]);
    let both_null = json!({ "qr": null, "ticket_code": null }).to_string();
    assert_eq!(pointers::<ScanRequest>(&both_null), ["/qr", "/ticket_code"]);
}

#[test]
fn a_scan_names_what_else_is_wrong() {
    for (rest, pointer) in [
        (r#""scan_id":"no""#, "/scan_id"),
        (r#""scanned_at":"today""#, "/scanned_at"),
        (r#""direction":"up""#, "/direction"),
        (r#""metadata":[]"#, "/metadata"),
        (r#""override":{}"#, "/override/reason"),
        (r#""override":{"reason":" "}"#, "/override/reason"),
        (r#""override":["because"]"#, "/override"),
        (r#""dry_run":"yes""#, "/dry_run"),
    ] {
        assert_eq!(
            pointers::<ScanRequest>(&format!(r#"{{"qr":"x",{rest}}}"#)),
            [pointer],
            "{rest}"
        );
    }
    let dry = format!(r#"{{"qr":"x","dry_run":true,"scan_id":"{EVENT}"}}"#);
    assert_eq!(pointers::<ScanRequest>(&dry), ["/scan_id"]);
    let long = json!({ "qr": "x", "metadata": { "a": "x".repeat(5000) } }).to_string();
    assert_eq!(pointers::<ScanRequest>(&long), ["/metadata"]);
}

#[test]
fn unknown_fields_and_repeated_ones_are_no_fault() {
    assert!(read::<ScanRequest>(r#"{"qr":"a","colour":"red"}"#).is_ok());
    let last = read::<ScanRequest>(r#"{"qr":"a","qr":"b"}"#).expect("the last one counts");
    assert_eq!(last.reading.text(), "b");
}

#[test]
fn a_message_repeats_nothing_of_what_was_sent() {
    let secret = "VG1.1.3KQR7F924M1XaB0z.VGtaswiiCdSvrK4-qZ36BQ";
    for body in [
        json!({ "qr": [secret] }),
        json!({ "qr": "x", "scan_id": secret }),
        json!({ "qr": "x", "direction": secret }),
        json!({ "qr": "x", "override": secret }),
        json!({ "qr": secret, "ticket_code": secret }),
    ] {
        let problem = read::<ScanRequest>(&body.to_string()).expect_err("wrong");
        let said = format!("{:?}", problem.faults());
        assert!(!said.contains("3KQR"), "{said}");
    }
}
