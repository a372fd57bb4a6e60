//! The file of a SQLite database: one server, its permissions, and what happens when it is deleted.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use voelgoed_scan_core::model::Reason;
use voelgoed_scan_core::store::{LockError, OpenError, OpenMode, StoreError, open, open_as};

use crate::attempts::entry;
use crate::database;
use crate::fixture::{ALL, Fixture, RULES, START};

fn url(file: &Path) -> String {
    format!("sqlite://{}", file.display())
}

#[tokio::test]
async fn a_second_server_on_a_file_is_refused_and_told_the_process_of_the_first() {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, link) = (folder.path().join("gate.db"), folder.path().join("link.db"));
    let first = open_as(OpenMode::Server, &url(&file), true)
        .await
        .expect("it opens");
    symlink(&file, &link).expect("a link");
    for path in [&file, &link] {
        let Err(OpenError::Lock(refused)) = open_as(OpenMode::Server, &url(path), true).await else {
            panic!("{} must not open", path.display());
        };
        assert!(matches!(refused, LockError::InUse { .. }), "{refused}");
        let process = std::process::id().to_string();
        assert!(refused.to_string().contains(&process), "{refused}");
    }
    // `init` may run beside the server.
    let beside = open(&url(&file), true).await.expect("it opens");
    assert_eq!(beside.organizations().await.expect("the read succeeds"), []);
    first.release();
    let second = open_as(OpenMode::Server, &url(&file), true)
        .await
        .expect("the file is free");
    drop(second);
    open_as(OpenMode::Server, &url(&file), false)
        .await
        .expect("the file is free");
}

#[tokio::test]
async fn only_the_owner_can_read_the_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("gate.db");
    for round in ["new", "created by an earlier version"] {
        let store = open_as(OpenMode::Server, &url(&file), true)
            .await
            .expect("it opens");
        store.check_writable(START).await.expect("it writes");
        for name in ["gate.db", "gate.db-wal", "gate.db-shm", "gate.db.lock"] {
            let metadata = std::fs::metadata(folder.path().join(name)).expect(name);
            assert_eq!(metadata.permissions().mode() & 0o777, 0o600, "{name}, {round}");
        }
        drop(store);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).expect("changed");
    }
}

#[tokio::test]
async fn a_file_that_was_deleted_or_replaced_takes_no_scans() {
    for suffix in ["", "-wal", "-shm"] {
        let database = database::sqlite().await;
        let fixture = Fixture::new(std::sync::Arc::new(database)).await;
        let path = fixture.database.url.strip_prefix("sqlite://").expect("a file");
        let path = format!("{path}{suffix}");
        let away = format!("{path}.away");
        let code = fixture.ticket("{}").await;
        let scan = [entry(&fixture.main_session, code, 0)];
        for replaced in [false, true] {
            std::fs::rename(&path, &away).expect("moved");
            if replaced {
                std::fs::copy(&away, &path).expect("copied");
            }
            let what = format!("{path}, replaced: {replaced}");
            let scanned = fixture.store.record(&scan, &RULES).await;
            assert!(
                matches!(scanned, Err(StoreError::Unavailable { .. })),
                "{what}: {scanned:?}"
            );
            let probe = fixture.store.check_writable(START).await;
            assert!(
                matches!(probe, Err(StoreError::Unavailable { .. })),
                "{what}: {probe:?}"
            );
            let read = fixture.store.api_keys(fixture.organization, &ALL).await;
            assert!(
                matches!(read, Err(StoreError::Unavailable { .. })),
                "{what}: {read:?}"
            );
            std::fs::rename(&away, &path).expect("moved back");
        }
        assert_eq!(
            fixture.enter(code, 0).await,
            Reason::Admitted,
            "{path}: the file is back"
        );
    }
}

#[tokio::test]
async fn the_files_hold_nothing_of_cleared_personal_data() {
    let database = std::sync::Arc::new(database::sqlite().await);
    let fixture = Fixture::new(std::sync::Arc::clone(&database)).await;
    let marker = |number: usize| format!("Qworbachi{number}");
    let mut codes = Vec::new();
    for chunk in (0..3000).collect::<Vec<usize>>().chunks(500) {
        let lines: Vec<_> = chunk
            .iter()
            .map(|number| {
                let marker = marker(*number);
                format!(
                    r#"{{"holder_name":"{marker} Ann","order_ref":"{marker}","note":"{marker} sits in a chair with {}"
                        ,"seat":{{"block":"{marker}"}}}}"#,
                    "wheels ".repeat(number % 23)
                )
            })
            .collect();
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        for outcome in fixture.import(&lines).await {
            let voelgoed_scan_core::store::ImportOutcome::Inserted(code, _) = outcome else {
                panic!("{outcome:?}");
            };
            codes.push(code);
        }
    }
    // Rows grow by admissions and move between pages; denials and undos follow.
    for (seconds, round) in [0, 1].into_iter().zip(1..) {
        for chunk in codes.chunks(100) {
            let batch: Vec<_> = chunk
                .iter()
                .map(|code| {
                    let mut attempt = entry(&fixture.main_session, *code, seconds);
                    attempt.metadata =
                        serde_json::from_str(&format!(r#"{{"guest":"Qworbachi","round":{round}}}"#)).ok();
                    attempt
                })
                .collect();
            fixture.record(&batch).await;
        }
    }
    let folder = Path::new(database.url.trim_start_matches("sqlite://")).parent();
    let folder = folder.expect("the file is in a folder");
    let found = || {
        let mut found = Vec::new();
        for file in std::fs::read_dir(folder).expect("the folder can be read") {
            let path = file.expect("an entry").path();
            let bytes = std::fs::read(&path).expect("the file can be read");
            let texts = ["Qworbachi", "qworbachi"];
            let times: usize = texts
                .iter()
                .map(|text| {
                    bytes
                        .windows(text.len())
                        .filter(|part| *part == text.as_bytes())
                        .count()
                })
                .sum();
            if times > 0 {
                found.push((path, times));
            }
        }
        found
    };
    assert!(!found().is_empty(), "the marker is in the files");
    let cleared = crate::retention::clear(&*fixture.store, fixture.organization, fixture.event, 500).await;
    assert_eq!(cleared, 3000);
    assert_eq!(found(), []);
    assert_eq!(fixture.audit_trail().await.len(), 500);
}
