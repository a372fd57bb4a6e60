//! What former versions wrote to a phone's database and sent to the server: scans with their hashes, verdicts, and a signed
//! batch.

use serde_json::{Value, json};

use super::*;
use crate::golden;
use crate::model::{BatchId, ScanResult};
use crate::sync::ReceivedScan;

fn scan_id(number: u128) -> ScanId {
    ScanId::from_uuid(uuid(100 + number))
}

/// A scan with the reason, as the phone uploads it.
fn scan(number: u128, reason: Reason, previous: Option<LinkHash>) -> SyncScan {
    SyncScan {
        scan_id: scan_id(number),
        reading: Reading::Qr(format!("VG1.1.{}.{number}", code(1))),
        event_id: None,
        gate_id: gate_id(MAIN),
        direction: Direction::Entry,
        scanned_at: MADE_AT.plus_millis(i64::try_from(number).expect("it is small") * 1001),
        age_ms: None,
        local_result: Some(reason.result()),
        local_reason: Some(reason),
        sequence: Some(u64::try_from(number).expect("it is small")),
        override_: None,
        metadata: None,
        prev_hash: previous,
    }
}

/// Every reason. Those that came later are at the end, so that the lines of former versions keep their bytes.
fn reasons() -> Vec<Reason> {
    let later = [
        Reason::EventCancelled,
        Reason::EventPostponed,
        Reason::DoorsNotOpen,
        Reason::DoorsClosed,
    ];
    let all = Reason::ALL.iter().copied();
    all.filter(|reason| !later.contains(reason))
        .chain(later)
        .collect()
}

/// A log with every reason, and with every field that a scan can have.
fn log() -> Vec<SyncScan> {
    let mut log = Vec::new();
    let mut previous = None;
    for (number, reason) in (1..).zip(reasons()) {
        let mut next = scan(number, reason, previous);
        match number {
            2 => {
                next.direction = Direction::Exit;
                next.reading = Reading::TicketCode(code(2).to_string());
            }
            3 => {
                next.event_id = Some(TestEvent::new().event.id);
                next.override_ =
                    serde_json::from_value(json!({ "reason": "Checked by hand" })).expect("an override");
                next.metadata = serde_json::from_value(json!({ "lane": 4, "note": "ünïcode \"quoted\"" }))
                    .expect("an object");
            }
            4 => {
                next.local_result = None;
                next.local_reason = None;
                next.age_ms = Some(86_400_123);
            }
            _ => {}
        }
        previous = Some(link(&next));
        log.push(next);
    }
    log
}

fn text(scan: &SyncScan) -> String {
    serde_json::to_string(scan).expect("JSON")
}

fn link(scan: &SyncScan) -> LinkHash {
    LinkHash::of(&serde_json::from_str(&text(scan)).expect("JSON"))
}

/// A line for each scan: its hash, and the scan as it is sent.
fn log_file(log: &[SyncScan]) -> Vec<u8> {
    let lines = log.iter().map(|scan| format!("{} {}\n", link(scan), text(scan)));
    lines.collect::<String>().into_bytes()
}

fn batch(log: Vec<SyncScan>) -> Vec<u8> {
    let test_event = TestEvent::new();
    let (batch_id, sent_at) = (BatchId::from_uuid(uuid(900)), MADE_AT.plus_millis(3_600_000));
    let links: Vec<_> = log.iter().map(link).collect();
    let ages: Vec<_> = log.iter().map(|scan| scan.age_ms).collect();
    let organization = test_event.event.organization_id;
    let bytes = signed_bytes(
        organization,
        DeviceId::from_uuid(uuid(7)),
        batch_id,
        sent_at,
        &links,
        &ages,
    );
    let request = SyncRequest {
        batch_id,
        sent_at,
        scans: log,
        signature: Some(DeviceSecret::from_seed(&[9; 32]).sign(&bytes)),
    };
    serde_json::to_vec(&request).expect("JSON")
}

#[test]
fn logs_and_batches_of_former_versions_are_written_and_read_alike() {
    let [lines, body] = golden::check([
        ("device_log.txt", &log_file(&log())),
        ("sync_batch.json", &batch(log())),
    ]);
    let lines = String::from_utf8(lines).expect("text");
    assert_eq!(lines.lines().count(), Reason::ALL.len());
    for (line, expected) in lines.lines().zip(log()) {
        let (hash, sent) = line.split_once(' ').expect("a hash and a scan");
        let read: SyncScan = serde_json::from_str(sent).expect("a scan");
        assert_eq!(read, expected);
        let value: Value = serde_json::from_str(sent).expect("JSON");
        assert_eq!(LinkHash::of(&value).to_string(), hash);
    }
    let request = SyncRequest::<ReceivedScan>::read(&body).expect("a batch");
    assert_eq!(request.batch_id, BatchId::from_uuid(uuid(900)));
    assert_eq!(request.sent_at, MADE_AT.plus_millis(3_600_000));
    assert_eq!(request.scans.len(), Reason::ALL.len());
    // The server verifies what it received, not what this version would have sent.
    let links: Vec<_> = request.scans.iter().map(|scan| scan.link).collect();
    let ages: Vec<_> = log().iter().map(|scan| scan.age_ms).collect();
    let bytes = signed_bytes(
        TestEvent::new().event.organization_id,
        DeviceId::from_uuid(uuid(7)),
        request.batch_id,
        request.sent_at,
        &links,
        &ages,
    );
    let key = DeviceSecret::from_seed(&[9; 32]).public();
    let signature = request.signature.expect("it is signed");
    assert!(key.verifies(&bytes, signature.as_bytes()));
}

/// What a phone's database keeps of its scans and passages, after a few scans at fixed times.
async fn database_rows() -> Value {
    use sqlx::{Connection as _, Row as _};

    let test_event = TestEvent::new();
    let phone = test_event.phone().await;
    let scans = [
        entry(test_event.vg2(1), 10),
        entry(test_event.vg2(1), 20),
        exit(test_event.vg2(1), 30),
        entry(test_event.vg1(2), 40),
        entry("nothing", 50),
    ];
    for (number, scan) in (1..).zip(scans) {
        let scan_id = scan_id(number);
        phone.scan(OfflineScan { scan_id, ..scan }).await;
    }
    let Phone { scanner, directory } = phone;
    scanner.close().await.expect("it closes");
    let file = directory.path().join("device.db");
    let mut database = sqlx::SqliteConnection::connect(&format!("sqlite://{}", file.display()))
        .await
        .expect("the database opens");
    let scans =
        sqlx::query("select sequence, hex(scan_id) as id, direction, verdict from scans order by sequence")
            .fetch_all(&mut database)
            .await
            .expect("the scans");
    let passages = sqlx::query(
        "select hex(scan_id) as id, hex(ticket_key) as ticket, direction, reason, at, gate_name from passages order by at",
    )
    .fetch_all(&mut database)
    .await
    .expect("the passages");
    let scans: Vec<_> = scans
        .iter()
        .map(|row| {
            let verdict: Value = serde_json::from_str(row.get("verdict")).expect("JSON");
            json!({
                "sequence": row.get::<i64, _>("sequence"), "id": row.get::<String, _>("id"),
                "direction": row.get::<String, _>("direction"), "verdict": verdict
            })
        })
        .collect();
    let passages: Vec<_> = passages
        .iter()
        .map(|row| {
            json!({
                "id": row.get::<String, _>("id"), "ticket": row.get::<String, _>("ticket"),
                "direction": row.get::<String, _>("direction"), "reason": row.get::<String, _>("reason"),
                "at": row.get::<i64, _>("at"), "gate_name": row.get::<String, _>("gate_name")
            })
        })
        .collect();
    json!({ "scans": scans, "passages": passages })
}

/// Whether a value has every member and item of another one.
fn contains(value: &Value, other: &Value) -> bool {
    match (value, other) {
        (Value::Object(members), Value::Object(others)) => others
            .iter()
            .all(|(name, other)| members.get(name).is_some_and(|value| contains(value, other))),
        (Value::Array(items), Value::Array(others)) => {
            items.len() == others.len()
                && items
                    .iter()
                    .zip(others)
                    .all(|(item, other)| contains(item, other))
        }
        _ => value == other,
    }
}

#[tokio::test]
async fn rows_of_former_versions_are_written_and_read_alike() {
    let rows = database_rows().await;
    let [golden] = golden::load([(
        "device_rows.json",
        &serde_json::to_vec_pretty(&rows).expect("JSON"),
    )]);
    let golden: Value = serde_json::from_slice(&golden).expect("JSON");
    // A newer version may add fields: an older row has them not, and is read without them.
    assert!(contains(&rows, &golden), "{rows:#}");
    let verdicts: Vec<Verdict> = golden["scans"]
        .as_array()
        .expect("scans")
        .iter()
        .map(|row| serde_json::from_value(row["verdict"].clone()).expect("a verdict"))
        .collect();
    let shown: Vec<_> = verdicts
        .iter()
        .map(|verdict| (verdict.result, verdict.reason, verdict.direction))
        .collect();
    assert_eq!(
        shown,
        [
            (ScanResult::Valid, Reason::Admitted, Direction::Entry),
            (ScanResult::Duplicate, Reason::AlreadyScanned, Direction::Entry),
            (ScanResult::Valid, Reason::Exited, Direction::Exit),
            (ScanResult::Valid, Reason::Admitted, Direction::Entry),
            (ScanResult::InvalidToken, Reason::Malformed, Direction::Entry),
        ]
    );
    assert_eq!(verdicts[3].warnings, [Warning::SignatureUnchecked]);
    assert_eq!(verdicts[0].scanned_at, after(10));
    assert_eq!(
        verdicts[1].previous_scan.as_ref().map(|scan| scan.seconds_ago),
        Some(10)
    );
}
