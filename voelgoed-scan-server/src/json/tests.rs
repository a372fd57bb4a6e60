use serde_json::json;
use voelgoed_scan_core::model::{DeviceHealth, EventPut, ScanRequest, SessionStart};

use super::*;

fn parse<T: JsonBody + std::fmt::Debug>(body: &str) -> Result<T, Problem> {
    SchemaValidator::default().parse(body.as_bytes())
}

fn pointers<T: JsonBody + std::fmt::Debug>(body: &str) -> Vec<String> {
    let problem = parse::<T>(body).expect_err(body);
    assert_eq!(problem.code(), Code::ValidationFailed, "{body}");
    problem
        .field_errors()
        .iter()
        .map(|error| error.pointer.clone())
        .collect()
}

const EVENT: &str = "0192f0c1-7a4e-7000-8000-000000000001";

#[test]
fn text_that_is_not_json_is_malformed() {
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
        let problem = parse::<ScanRequest>(body).expect_err(body);
        assert_eq!(problem.code(), Code::MalformedJson, "{body:?}");
    }
    let invalid = SchemaValidator::default().parse::<ScanRequest>(b"{\"qr\":\"\xff\"}");
    assert_eq!(invalid.expect_err("not UTF-8").code(), Code::MalformedJson);
}

#[test]
fn deep_nesting_is_malformed() {
    for bracket in ["[", r#"{"a":"#] {
        let problem = parse::<ScanRequest>(&bracket.repeat(50_000)).expect_err("deep");
        assert_eq!(problem.code(), Code::MalformedJson);
    }
}

#[test]
fn a_body_must_be_an_object() {
    for body in ["[]", "null", "1", "\"text\"", r#"["a","b",false]"#] {
        assert_eq!(pointers::<SessionStart>(body), [""], "{body}");
        assert_eq!(pointers::<ScanRequest>(body), [""], "{body}");
    }
}

#[test]
fn every_missing_and_invalid_field_is_named() {
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
fn errors_inside_an_optional_object_name_the_inner_field() {
    assert_eq!(
        pointers::<DeviceHealth>(r#"{"app":{"name":"gate","version":""},"battery":1.5,"waiting":-1}"#),
        ["/app/platform", "/app/version", "/battery", "/waiting"]
    );
    assert_eq!(pointers::<DeviceHealth>(r#"{"app":"gate"}"#), ["/app"]);
    assert_eq!(pointers::<DeviceHealth>(r#"{"app":["a","b","c"]}"#), ["/app"]);
    assert!(parse::<DeviceHealth>(r#"{"app":null,"battery":null}"#).is_ok());
}

#[test]
fn a_scan_has_exactly_one_of_qr_and_ticket_code() {
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
fn a_scan_names_its_other_invalid_fields() {
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
fn unknown_and_repeated_fields_are_accepted() {
    assert!(parse::<ScanRequest>(r#"{"qr":"a","colour":"red"}"#).is_ok());
    let last = parse::<ScanRequest>(r#"{"qr":"a","qr":"b"}"#).expect("the last value counts");
    assert_eq!(last.reading.text(), "b");
}

#[test]
fn a_message_repeats_nothing_of_the_request() {
    let secret = "VG1.1.3KQR7F924M1XaB0z.VGtaswiiCdSvrK4-qZ36BQ";
    for body in [
        json!({ "qr": [secret] }),
        json!({ "qr": "x", "scan_id": secret }),
        json!({ "qr": "x", "direction": secret }),
        json!({ "qr": "x", "override": secret }),
        json!({ "qr": secret, "ticket_code": secret }),
    ] {
        let problem = parse::<ScanRequest>(&body.to_string()).expect_err("an invalid body");
        let messages = format!("{:?}", problem.field_errors());
        assert!(!messages.contains("3KQR"), "{messages}");
    }
}
