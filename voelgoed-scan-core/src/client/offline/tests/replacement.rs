//! A database that cannot be used is set aside, and what can be read of it is taken over.

use std::fs;
use std::path::PathBuf;

use super::*;
use crate::client::{Attempt, StorageReplacement};

async fn state(phone: &Phone) -> OfflineState {
    phone.scanner.state().await.expect("a state")
}

/// A phone with an uploaded admission of ticket 1, waiting ones of tickets 2 and 3, and an attempt for ticket 4. It is
/// closed, so that its database is one file.
async fn closed_phone(test_event: &TestEvent) -> (tempfile::TempDir, PathBuf) {
    let phone = test_event.phone().await;
    phone.scan(entry(test_event.vg2(1), 1)).await;
    let batch = phone
        .scanner
        .next_batch(10, after(2))
        .await
        .expect("a batch")
        .expect("one");
    phone
        .scanner
        .acknowledge(&upload::recorded(&batch, after(2)))
        .await
        .expect("it is stored");
    phone.scan(entry(test_event.vg2(2), 10)).await;
    phone.scan(entry(test_event.vg2(3), 11)).await;
    let attempt = Attempt {
        event_id: test_event.event.id,
        scan: entry(test_event.vg2(4), 12),
    };
    phone.scanner.begin_attempt(&attempt).await.expect("it is stored");
    let Phone { scanner, directory } = phone;
    scanner.close().await.expect("it closes");
    let file = directory.path().join("device.db");
    (directory, file)
}

async fn opened(test_event: &TestEvent, directory: tempfile::TempDir) -> Phone {
    Phone {
        scanner: test_event.open(&directory).await,
        directory,
    }
}

fn only(state: OfflineState) -> StorageReplacement {
    let [replacement] = <[_; 1]>::try_from(state.replaced).expect("one was set aside");
    replacement
}

/// The sequence numbers and the links of the scans that wait.
async fn waiting(phone: &Phone) -> Vec<(u64, Option<LinkHash>, LinkHash)> {
    let batch = phone.scanner.next_batch(1000, after(100)).await.expect("a batch");
    let Some(batch) = batch else { return Vec::new() };
    let request = SyncRequest::read(&batch.body).expect("a batch");
    let scans = request.scans.iter().map(|received| {
        let scan = received.scan.as_ref().expect("a scan");
        (scan.sequence.expect("a number"), scan.prev_hash, received.link)
    });
    scans.collect()
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_set_aside_and_taken_over_completely() {
    let test_event = TestEvent::new();
    let (directory, file) = closed_phone(&test_event).await;
    let mut log = DeviceLog::open(&file, &test_event.setup(&file))
        .await
        .expect("it opens");
    log.pretend_newer().await;
    log.close().await.expect("it closes");
    let mut phone = opened(&test_event, directory).await;
    let replacement = only(state(&phone).await);
    assert_eq!(
        (replacement.code.as_str(), replacement.rescued),
        ("newer_database", 2)
    );
    assert!(replacement.complete);
    assert!(replacement.path.exists(), "it is never deleted");
    assert_eq!(state(&phone).await.waiting, 2);
    let unfinished = phone.scanner.unfinished_attempts().await.expect("a list");
    assert_eq!(unfinished.len(), 1, "the scan under way");
    let scans = [1, 2, 3, 5].map(|number| entry(test_event.vg2(number), 60));
    assert_eq!(
        phone.reasons(scans).await,
        [
            Reason::AlreadyScanned,
            Reason::AlreadyScanned,
            Reason::AlreadyScanned,
            Reason::Admitted
        ]
    );
    let verdict = phone.scan(entry(test_event.vg2(6), 61)).await;
    assert!(
        verdict.warnings.is_empty(),
        "nothing is unknown: {:?}",
        verdict.warnings
    );
    // The chain goes on where the old log ended.
    let scans = waiting(&phone).await;
    let sequences: Vec<_> = scans.iter().map(|(sequence, ..)| *sequence).collect();
    assert_eq!(sequences, [2, 3, 4, 5, 6, 7, 8]);
    assert!(scans.windows(2).all(|pair| pair[1].1 == Some(pair[0].2)));
    phone = phone.reopened(&test_event).await;
    assert_eq!(
        only(state(&phone).await),
        replacement,
        "it is reported until it is confirmed"
    );
    phone.scanner.confirm_replacements().await.expect("it is stored");
    assert!(state(&phone).await.replaced.is_empty());
    assert!(replacement.path.exists());
}

/// A flipped bit can change the type of a value. SQLite then finds the database damaged, and yet reads the row.
#[tokio::test]
async fn a_row_with_values_of_another_type_costs_only_itself() {
    let test_event = TestEvent::new();
    let (directory, file) = closed_phone(&test_event).await;
    let mut log = DeviceLog::open(&file, &test_event.setup(&file))
        .await
        .expect("it opens");
    log.pretend_newer().await;
    for statement in [
        "pragma writable_schema = on",
        "update sqlite_schema set sql = replace(sql, ' strict', '') where name = 'passages'",
        "pragma writable_schema = reset",
        "update passages set at = 'damaged' where known_at is not null",
    ] {
        log.execute_text(statement).await;
    }
    log.close().await.expect("it closes");
    let phone = opened(&test_event, directory).await;
    let replacement = only(state(&phone).await);
    assert!(!replacement.complete, "a row is lost");
    assert_eq!(replacement.rescued, 2);
    let scans = [2, 3].map(|number| entry(test_event.vg2(number), 60));
    assert_eq!(phone.reasons(scans).await, [Reason::AlreadyScanned; 2]);
}

#[tokio::test]
async fn a_database_that_cannot_be_used_is_closed_before_its_error_is_returned() {
    let test_event = TestEvent::new();
    for _ in 0..20 {
        let (_directory, file) = closed_phone(&test_event).await;
        let setup = test_event.setup(&file);
        let mut log = DeviceLog::open(&file, &setup).await.expect("it opens");
        log.pretend_newer().await;
        log.close().await.expect("it closes");
        let error = DeviceLog::open(&file, &setup).await.expect_err("it is newer");
        // A close in the background would remove the WAL of the database that replaces this one.
        let wal = file.with_extension("db-wal");
        assert!(!wal.exists(), "it is open after {error}");
    }
}

#[tokio::test]
async fn a_write_that_is_cancelled_leaves_no_open_connection_behind() {
    let test_event = TestEvent::new();
    let (_directory, file) = closed_phone(&test_event).await;
    let setup = test_event.setup(&file);
    let mut log = DeviceLog::open(&file, &setup).await.expect("it opens");
    let wal = file.with_extension("db-wal");
    for _ in 0..20 {
        let transaction = log.begin().await.expect("it begins");
        assert!(wal.exists());
        drop(transaction);
        log.disconnect().await;
        assert!(!wal.exists());
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_is_set_aside_and_the_new_log_repeats_no_number() {
    let test_event = TestEvent::new();
    let (directory, file) = closed_phone(&test_event).await;
    fs::write(&file, b"what a failing flash card returns".repeat(1000)).expect("it is written");
    let phone = opened(&test_event, directory).await;
    let replacement = only(state(&phone).await);
    assert_eq!(
        (
            replacement.code.as_str(),
            replacement.rescued,
            replacement.complete
        ),
        ("damaged_database", 0, false)
    );
    let kept = fs::read(&replacement.path).expect("it is there");
    assert!(kept.starts_with(b"what a failing flash card"), "it is as it was");
    let error = phone
        .scanner
        .decide(entry(test_event.vg2(1), 60))
        .await
        .expect_err("the manifest is lost");
    assert_eq!(error.code(), "no_manifest");
    phone
        .install(&test_event, test_event.manifest(), 60)
        .await
        .expect("it is installed");
    phone.scanner.confirm_replacements().await.expect("it is stored");
    let verdict = phone.scan(entry(test_event.vg2(1), 61)).await;
    assert_eq!(
        (verdict.reason, verdict.warnings.as_slice()),
        (Reason::Admitted, [Warning::StorageReplaced].as_slice()),
        "the phone says that it may have admitted it before, although the loss was confirmed"
    );
    let scans = waiting(&phone).await;
    assert!(
        scans[0].0 > 1_000_000_000 && scans[0].1.is_some(),
        "a gap, not the first scan of a log: {scans:?}"
    );
}

#[tokio::test]
async fn the_warning_ends_with_a_manifest_that_was_made_later() {
    let test_event = TestEvent::new();
    let (directory, file) = closed_phone(&test_event).await;
    fs::write(&file, b"damaged").expect("it is written");
    let phone = opened(&test_event, directory).await;
    let replaced_at = only(state(&phone).await).replaced_at;
    let mut later = TestEvent::new();
    later.version = 2;
    later.made_at = replaced_at.plus_millis(6000);
    phone
        .scanner
        .install(later.event.id, later.manifest(), later.made_at)
        .await
        .expect("it is installed");
    let scan = OfflineScan {
        scanned_at: later.made_at.plus_millis(1000),
        ..entry(test_event.vg2(1), 0)
    };
    assert_eq!(phone.scan(scan).await.warnings, []);
}

#[tokio::test]
async fn what_a_damaged_page_leaves_is_taken_over() {
    let test_event = TestEvent::new();
    let phone = test_event.phone().await;
    for number in 0..60_u8 {
        let qr = format!("not a ticket {number} {}", "x".repeat(500));
        phone.scan(entry(qr, i64::from(number) * 10)).await;
    }
    let Phone { scanner, directory } = phone;
    scanner.close().await.expect("it closes");
    let file = directory.path().join("device.db");
    // Overwrites one page that holds scans in the middle of the log.
    let mut bytes = fs::read(&file).expect("it is read");
    let at = bytes
        .windows(16)
        .position(|window| window == b"not a ticket 30 ")
        .expect("the scan is in the file");
    let page = at / 4096 * 4096;
    bytes[page..page + 4096].fill(0x5a);
    fs::write(&file, bytes).expect("it is written");
    let phone = opened(&test_event, directory).await;
    let replacement = only(state(&phone).await);
    assert!(!replacement.complete);
    assert!(
        (45..60).contains(&replacement.rescued),
        "all but those of the page: {}",
        replacement.rescued
    );
    assert_eq!(state(&phone).await.waiting, replacement.rescued);
    let numbers: Vec<_> = waiting(&phone)
        .await
        .iter()
        .map(|(sequence, ..)| *sequence)
        .collect();
    assert_eq!(
        (numbers.first(), numbers.last()),
        (Some(&1), Some(&60)),
        "from both ends"
    );
    phone.scan(entry(test_event.vg2(1), 1000)).await;
    let last = waiting(&phone).await.last().map(|(sequence, ..)| *sequence);
    assert_eq!(last, Some(61), "the log goes on");
    let again = phone.scanner.rescued_scans().await.expect("it is read again");
    assert_eq!((again.scans, again.complete), (0, false), "nothing comes twice");
}

#[tokio::test]
async fn a_database_that_is_damaged_while_it_is_in_use_is_replaced_without_a_restart() {
    let test_event = TestEvent::new();
    let (directory, file) = closed_phone(&test_event).await;
    let phone = opened(&test_event, directory).await;
    // The cached pages go with the connection.
    phone.scanner.state.lock().await.log.disconnect().await;
    fs::write(&file, b"overwritten".repeat(1000)).expect("it is written");
    let error = phone
        .scanner
        .decide(entry(test_event.vg2(7), 60))
        .await
        .map(|verdict| verdict.warnings);
    // The manifest is still in memory.
    assert_eq!(error.expect("a verdict"), [Warning::StorageReplaced]);
    assert_eq!(only(state(&phone).await).code, "damaged_database");
    assert_eq!(state(&phone).await.waiting, 1);
}

/// What the client asks the database before it asks the server.
#[tokio::test]
async fn a_database_whose_damage_is_found_before_the_server_is_asked_is_replaced() {
    let test_event = TestEvent::new();
    for asks_for_earlier_verdict in [true, false] {
        let (directory, file) = closed_phone(&test_event).await;
        let phone = opened(&test_event, directory).await;
        phone.scanner.state.lock().await.log.disconnect().await;
        fs::write(&file, b"overwritten".repeat(1000)).expect("it is written");
        let attempt = Attempt {
            event_id: test_event.event.id,
            scan: entry(test_event.vg2(7), 60),
        };
        if asks_for_earlier_verdict {
            let earlier = phone.scanner.earlier_verdict(&attempt.scan).await;
            assert_eq!(earlier.expect("the new database is read"), None);
        } else {
            let decides = phone.scanner.must_decide(&attempt).await;
            assert!(!decides.expect("the new database is read"));
        }
        assert_eq!(only(state(&phone).await).code, "damaged_database");
    }
}

#[tokio::test]
async fn a_kill_during_a_replacement_loses_nothing() {
    let test_event = TestEvent::new();
    let name = "device.db.20261129T000000000Z.replaced";
    // Killed after this many steps: the marker, the WAL, the database, an empty new database.
    for steps in 1..5 {
        let (directory, file) = closed_phone(&test_event).await;
        let at = |name: &str| directory.path().join(name);
        fs::write(at("device.db-wal"), b"the newest scans").expect("it is written");
        let marker = format!("damaged_database 1780000000000 {name}");
        fs::write(at("device.db.replacing"), marker).expect("it is written");
        if steps > 1 {
            fs::rename(at("device.db-wal"), at(&format!("{name}-wal"))).expect("it is moved");
        }
        if steps > 2 {
            fs::rename(&file, at(name)).expect("it is moved");
        }
        if steps > 3 {
            let log = DeviceLog::open(&file, &test_event.setup(&file))
                .await
                .expect("it is new");
            log.close().await.expect("it closes");
        }
        let mut phone = opened(&test_event, directory).await;
        for _ in 0..2 {
            let replacement = only(state(&phone).await);
            assert_eq!(
                (replacement.replaced_at, replacement.rescued),
                (MADE_AT, 2),
                "{steps}"
            );
            assert!(replacement.path.ends_with(name) && replacement.path.exists());
            let directory = phone.directory.path();
            assert!(!directory.join("device.db.replacing").exists(), "{steps}");
            phone = phone.reopened(&test_event).await;
        }
        phone.scan(entry(test_event.vg2(5), 60)).await;
        let numbers: Vec<_> = waiting(&phone)
            .await
            .iter()
            .map(|(sequence, ..)| *sequence)
            .collect();
        assert_eq!(numbers, [2, 3, 4], "{steps}: the log goes on");
    }
}

#[tokio::test]
async fn a_log_that_is_lost_twice_repeats_no_number_even_if_the_clock_is_wrong() {
    let test_event = TestEvent::new();
    let (directory, file) = closed_phone(&test_event).await;
    let mut phone = opened(&test_event, directory).await;
    let mut used = std::collections::HashSet::new();
    for seconds in [0, 0, 1_780_000_000, 1_780_000_001] {
        let Phone { scanner, directory } = phone;
        scanner.close().await.expect("it closes");
        fs::write(&file, "damaged").expect("it is written");
        let written = fs::File::options().write(true).open(&file).expect("it is there");
        let moment = std::time::UNIX_EPOCH + Duration::from_secs(seconds);
        written.set_modified(moment).expect("the time is set");
        phone = opened(&test_event, directory).await;
        phone
            .install(&test_event, test_event.manifest(), 0)
            .await
            .expect("it is installed");
        for number in 1..4 {
            phone.scan(entry(test_event.vg2(number), number.into())).await;
        }
        for (sequence, prev, _) in waiting(&phone).await {
            assert!(used.insert(sequence), "{sequence} twice");
            assert!(prev.is_some() && sequence < 1 << 53);
        }
    }
}

#[tokio::test]
async fn a_second_replacement_overwrites_no_earlier_one() {
    let test_event = TestEvent::new();
    let (directory, file) = closed_phone(&test_event).await;
    let mut phone = opened(&test_event, directory).await;
    for number in 1..4 {
        let Phone { scanner, directory } = phone;
        scanner.close().await.expect("it closes");
        fs::write(&file, format!("damaged {number}")).expect("it is written");
        // All in the same moment.
        let written = fs::File::options().write(true).open(&file).expect("it is there");
        let moment = std::time::UNIX_EPOCH + Duration::from_secs(1_780_000_000);
        written.set_modified(moment).expect("the time is set");
        phone = opened(&test_event, directory).await;
    }
    let kept = fs::read_dir(phone.directory.path())
        .expect("a directory")
        .filter_map(|file| file.expect("a file").file_name().into_string().ok())
        .filter(|name| name.ends_with(".replaced"))
        .count();
    assert_eq!(kept, 3);
}

#[tokio::test]
async fn a_database_of_another_device_and_one_in_use_are_never_set_aside() {
    let test_event = TestEvent::new();
    let (directory, file) = closed_phone(&test_event).await;
    let mut setup = test_event.setup(&file);
    setup.device_id = DeviceId::from_uuid(uuid(8));
    let error = OfflineScanner::open(setup).await.expect_err("another device's");
    assert_eq!(error.code(), "other_device");
    let phone = opened(&test_event, directory).await;
    let error = OfflineScanner::open(test_event.setup(&file))
        .await
        .expect_err("it is in use");
    assert_eq!(error.code(), "database_in_use");
    assert_eq!(state(&phone).await.waiting, 2);
    assert!(state(&phone).await.replaced.is_empty());
}
