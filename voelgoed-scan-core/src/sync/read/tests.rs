use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const BATCH: &str = "0192f0c1-7a4e-7000-8000-0000000000ff";

fn scan(number: u32) -> Value {
    json!({
        "scan_id": format!("0192f0c1-7a4e-7000-8000-{number:012}"), "qr": "VG1.1.x.y",
        "gate_id": "0192f0c1-7a4e-7000-8000-000000000002", "scanned_at": "2026-11-22T18:04:05.120Z",
        "sequence": number
    })
}

/// A batch with these texts as its scans.
fn batch(scans: &[&[u8]]) -> Vec<u8> {
    let mut body =
        format!(r#"{{"batch_id":"{BATCH}","sent_at":"2026-11-22T18:04:05.120Z","scans":["#).into_bytes();
    body.extend_from_slice(&scans.join(&b','));
    body.extend_from_slice(b"]}");
    body
}

/// The text of scan 7 with this text as the value of one more member.
fn with(name: &str, value: &[u8]) -> Vec<u8> {
    let mut fields = scan(7);
    let fields = fields.as_object_mut().expect("an object");
    fields.remove(name);
    let mut text = serde_json::to_vec(&fields).expect("JSON");
    text.pop();
    text.extend_from_slice(format!(r#","{name}":"#).as_bytes());
    text.extend_from_slice(value);
    text.push(b'}');
    text
}

#[test]
fn a_scan_that_cannot_be_read_is_invalid_alone_and_keeps_its_id_and_number() {
    let nested = format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200)).into_bytes();
    let long = format!("\"{}\"", "x".repeat(70_000)).into_bytes();
    let (first, last) = (scan(1).to_string(), scan(2).to_string());
    let cases: &[(&str, &[u8], &str)] = &[
        ("qr", br#""\ud83d""#, "/qr"),
        ("qr", br#""\ude00\ud83d""#, "/qr"),
        ("qr", br#""\x41""#, "/qr"),
        ("qr", b"\"\xff\"", "/qr"),
        ("qr", b"\"\x1d\"", "/qr"),
        ("qr", b"7", "/qr"),
        ("metadata", br#"{"\udc00":1}"#, "/metadata"),
        ("metadata", br#"{"a":1e400}"#, "/metadata"),
        ("metadata", br#"{"a":-1e400}"#, "/metadata"),
        ("metadata", br#"{"a":01}"#, "/metadata"),
        ("metadata", br#"{"a":NaN}"#, "/metadata"),
        ("metadata", b"{\"a\" 1}", "/metadata"),
        ("metadata", &nested, "/metadata"),
        ("note", &nested, "/note"),
        ("note", &long, ""),
        ("metadata", b"[]", "/metadata"),
        ("direction", b"1", "/direction"),
        ("scanned_at", b"1768161845", "/scanned_at"),
        ("gate_id", b"{}", "/gate_id"),
        ("override", br#"["reason"]"#, "/override"),
        ("prev_hash", b"1", "/prev_hash"),
    ];
    for (name, value, pointer) in cases {
        let text = with(name, value);
        let batch = SyncRequest::read(&batch(&[first.as_bytes(), &text, last.as_bytes()]));
        let scans = batch.expect("a batch").scans;
        assert_eq!(scans.len(), 3, "{name}");
        assert!(scans[0].scan.is_ok() && scans[2].scan.is_ok(), "{name}");
        let fault = scans[1].scan.as_ref().expect_err("a fault");
        assert_eq!(
            fault.pointer,
            *pointer,
            "{}",
            String::from_utf8_lossy(&text[text.len().min(200)..])
        );
        assert_eq!(
            scans[1].scan_id.map(|id| id.to_string()),
            scan(7)["scan_id"].as_str().map(str::to_owned),
            "{name}"
        );
        assert_eq!(scans[1].sequence, Some(7), "{name}");
    }
    // Numbers as texts, and an id that is none.
    for (name, value, id) in [
        ("sequence", &b"\"7\""[..], true),
        ("scan_id", b"7", false),
        ("scan_id", b"\"\xff\"", false),
    ] {
        let text = with(name, value);
        let scans = SyncRequest::read(&batch(&[&text])).expect("a batch").scans;
        let fault = scans[0].scan.as_ref().expect_err("a fault");
        assert_eq!(fault.pointer, format!("/{name}"));
        assert_eq!(scans[0].scan_id.is_some(), id);
    }
}

#[test]
fn an_item_that_is_not_an_object_is_invalid_alone() {
    let valid = scan(1).to_string();
    for item in [
        "7",
        "null",
        "\"x\"",
        "[]",
        "nope",
        "{\"a\" 1}",
        "[[[[[]]]]]",
        "{,}",
    ] {
        let batch = SyncRequest::read(&batch(&[item.as_bytes(), valid.as_bytes()]));
        let scans = batch.expect("a batch").scans;
        assert_eq!(scans[0].scan.as_ref().expect_err("a fault").pointer, "", "{item}");
        assert_eq!(scans[0].scan_id, None);
        assert!(scans[1].scan.is_ok(), "{item}");
    }
}

#[test]
fn an_item_without_a_canonical_form_has_a_hash_of_its_own() {
    let one = ReceivedScan::read_text(&with("qr", br#""\ud83d""#));
    let other = ReceivedScan::read_text(&with("qr", br#""\ud83c""#));
    assert_ne!(one.link, other.link);
    assert_eq!(one, ReceivedScan::read_text(&with("qr", br#""\ud83d""#)));
}

#[test]
fn reading_stops_at_the_first_scan_past_the_limit() {
    let text = scan(1).to_string();
    let full = vec![text.as_bytes(); MAX_BATCH];
    assert_eq!(
        SyncRequest::read(&batch(&full)).expect("a batch").scans.len(),
        MAX_BATCH
    );
    let mut body = batch(&vec![&b"{\"a\":{}}"[..]; MAX_BATCH + 1]);
    // What follows is not read: not even an end is missed.
    body.truncate(body.len() - 2);
    let fault = SyncRequest::read(&body).expect_err("a fault");
    let rule = "must have at most 1000 items";
    assert_eq!(fault, BatchFault::Invalid(vec![ScanFault::new("/scans", rule)]));
}

#[test]
fn the_fields_of_a_batch_are_named_and_unknown_ones_are_ignored() {
    let pointers = |body: &str| match SyncRequest::read(body.as_bytes()) {
        Ok(_) => vec!["valid".to_owned()],
        Err(BatchFault::NotJson) => vec!["not JSON".to_owned()],
        Err(BatchFault::Invalid(faults)) => faults.into_iter().map(|fault| fault.pointer).collect(),
    };
    let time = "2026-11-22T18:04:05.120Z";
    assert_eq!(pointers("{}"), ["/batch_id", "/sent_at", "/scans"]);
    assert_eq!(pointers("[]"), [""]);
    assert_eq!(pointers("7"), [""]);
    for broken in [
        "",
        "{",
        "x",
        "{\"scans\":[{]}",
        "{\"scans\":[]",
        "{}x",
        "{\"note\":nope}",
        "{\"sent_at\":nope}",
    ] {
        assert_eq!(pointers(broken), ["not JSON"], "{broken}");
    }
    for (fields, expected) in [
        (r#""scans":[],"signature":null,"note":[1e400]"#, "valid"),
        (r#""scans":null"#, "/scans"),
        (r#""scans":{}"#, "/scans"),
        (r#""scans":[],"signature":7"#, "/signature"),
        (r#""scans":[],"batch_id":"x""#, "/batch_id"),
        (r#""scans":[],"sent_at":0"#, "/sent_at"),
        (r#""scans":"x","scans":[]"#, "valid"),
    ] {
        let body = format!(r#"{{"batch_id":"{BATCH}","sent_at":"{time}",{fields}}}"#);
        assert_eq!(pointers(&body), [expected], "{fields}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(
        bytes in proptest::collection::vec(
            prop_oneof![proptest::sample::select(&b"[]{}\",:\\u0d 1e"[..]), any::<u8>()], 0..200),
        cut in 0_usize..400,
    ) {
        let _ = SyncRequest::read(&bytes);
        let _ = ReceivedScan::read_text(&bytes);
        // A batch whose one scan is any bytes: the others are read, or the batch is refused as a whole.
        let valid = scan(1).to_string();
        let body = batch(&[valid.as_bytes(), &bytes, valid.as_bytes()]);
        if let Ok(read) = SyncRequest::read(&body) {
            prop_assert!(read.scans.first().is_some_and(|scan| scan.scan.is_ok()));
            prop_assert!(read.scans.last().is_some_and(|scan| scan.scan.is_ok()));
        }
        let _ = SyncRequest::read(&body[..cut.min(body.len())]);
    }
}
