use serde_json::json;
use voelgoed_scan_core::model::{DeviceHealth, EventPut, GatePut, ScanRequest, SessionStart};

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
fn a_scan_has_exactly_one_reading() {
    let all = ["/qr", "/ticket_code", "/medium"];
    assert_eq!(pointers::<ScanRequest>("{}"), all);
    let all_null = json!({ "qr": null, "ticket_code": null, "medium": null }).to_string();
    assert_eq!(pointers::<ScanRequest>(&all_null), all);
    for (body, expected) in [
        (r#"{"qr":"a","ticket_code":"b"}"#, &["/qr", "/ticket_code"][..]),
        (r#"{"qr":"a","medium":"nfc:04A1B2C3"}"#, &["/qr", "/medium"]),
        (
            r#"{"ticket_code":"a","medium":"nfc:04A1B2C3"}"#,
            &["/ticket_code", "/medium"],
        ),
        (r#"{"qr":5}"#, &["/qr"]),
        (r#"{"medium":"nfc:04a1b2c3"}"#, &["/medium"]),
    ] {
        assert_eq!(pointers::<ScanRequest>(body), expected, "{body}");
    }
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

#[test]
fn a_whole_number_is_an_integer_however_it_is_written() {
    let validator = SchemaValidator::default();
    for capacity in ["387", "387.0", "3.87e2", "387.000"] {
        let body = format!(r#"{{"name":"G","status":"open","capacity":{capacity}}}"#);
        let gate: GatePut = validator.parse(body.as_bytes()).expect(capacity);
        assert_eq!(gate.capacity, Some(387), "{capacity}");
    }
    for capacity in ["387.5", "-1.0", "2e10", "1e300", "\"387\""] {
        let body = format!(r#"{{"name":"G","status":"open","capacity":{capacity}}}"#);
        let problem = validator.parse::<GatePut>(body.as_bytes()).expect_err(capacity);
        assert_eq!(problem.field_errors()[0].pointer, "/capacity", "{capacity}");
    }
    // Several of them in one body, and one in free-form metadata, which keeps its form.
    let event: EventPut = SchemaValidator::default()
        .parse(br#"{"name":"E","status":"live","capacity":1e3,"manifest_max_age_s":60.0}"#)
        .expect("two whole numbers");
    assert_eq!((event.capacity, event.manifest_max_age_s), (Some(1000), 60));
}

#[test]
fn an_event_that_ends_before_it_starts_is_invalid() {
    let parse = |starts: &str, ends: &str| {
        let body = format!(r#"{{"name":"E","status":"live","starts_at":"{starts}","ends_at":"{ends}"}}"#);
        SchemaValidator::default().parse::<EventPut>(body.as_bytes())
    };
    let problem = parse("2026-11-22T18:00:00.001Z", "2026-11-22T18:00:00Z").expect_err("it is reversed");
    assert_eq!(problem.code(), Code::ValidationFailed);
    assert_eq!(problem.field_errors()[0].pointer, "/ends_at");
    // In other zones the later text may be the earlier time.
    assert!(
        parse("2026-11-22T18:00:00+02:00", "2026-11-22T16:00:00Z").is_ok(),
        "both ends are equal"
    );
    assert!(parse("2026-11-22T18:00:00-02:00", "2026-11-22T19:00:00Z").is_err());
    assert!(parse("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z").is_ok());
}

#[test]
fn doors_that_close_before_they_open_and_unknown_zones_are_invalid() {
    let parse = |fields: &str| {
        let body = format!(r#"{{"name":"E","status":"live",{fields}}}"#);
        SchemaValidator::default().parse::<EventPut>(body.as_bytes())
    };
    for (fields, pointer) in [
        (
            r#""doors_open_at":"2026-11-22T18:00:00.001Z","doors_close_at":"2026-11-22T18:00:00Z""#,
            "/doors_close_at",
        ),
        (r#""time_zone":"Mars/Phobos""#, "/time_zone"),
        (r#""time_zone":"../etc/passwd""#, "/time_zone"),
        (r#""day_starts_at":"24:00""#, "/day_starts_at"),
    ] {
        let problem = parse(fields).expect_err(fields);
        assert_eq!(problem.code(), Code::ValidationFailed);
        let pointers: Vec<_> = problem
            .field_errors()
            .iter()
            .map(|error| &error.pointer)
            .collect();
        assert_eq!(pointers, [pointer], "{fields}");
    }
    let unknown = parse(r#""time_zone":"Mars/Phobos""#).expect_err("an unknown zone");
    let message = &unknown.field_errors()[0].message;
    assert!(message.contains("time zone") && message.len() < 200, "{message}");
    for fields in [
        r#""doors_open_at":"2026-11-22T18:00:00Z","doors_close_at":"2026-11-22T18:00:00Z""#,
        r#""doors_close_at":"0001-01-01T00:00:00Z""#,
        r#""time_zone":"Europe/Berlin","day_starts_at":"23:59""#,
    ] {
        assert!(parse(fields).is_ok(), "{fields}");
    }
}
