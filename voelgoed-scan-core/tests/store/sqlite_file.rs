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
