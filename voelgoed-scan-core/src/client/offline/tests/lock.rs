//! One scanner at a time uses a database file.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use super::*;

/// The environment variable that passes the database file to the child process.
const DATABASE_FILE: &str = "VOELGOED_SCAN_LOCK_TEST";

#[tokio::test]
async fn a_second_scanner_on_the_same_file_is_refused_until_the_first_is_gone() {
    let test_event = TestEvent::new();
    let phone = test_event.phone().await;
    let setup = test_event.setup(&phone.directory.path().join("device.db"));
    for _ in 0..2 {
        let error = OfflineScanner::open(setup.clone())
            .await
            .expect_err("it is in use");
        assert_eq!(error.code(), "database_in_use");
    }
    let scan = phone.scan(entry(test_event.vg2(1), 0)).await;
    assert_eq!(scan.reason, Reason::Admitted, "the first goes on");
    // An app that reads the file, for a backup, releases nothing.
    std::fs::read(&setup.file).expect("it is read");
    let error = OfflineScanner::open(setup).await.expect_err("it is still in use");
    assert_eq!(error.code(), "database_in_use");
    let phone = phone.reopened(&test_event).await;
    assert_eq!(
        phone.reasons([entry(test_event.vg2(1), 10)]).await,
        [Reason::AlreadyScanned]
    );
}

/// Not a test by itself: the process that the test below kills while it has the database.
#[tokio::test]
async fn child_process_that_holds_the_database() {
    let Some(file) = std::env::var_os(DATABASE_FILE) else {
        return;
    };
    let scanner = OfflineScanner::open(TestEvent::new().setup(Path::new(&file)))
        .await
        .expect("it is free");
    writeln!(std::io::stdout(), "held").expect("it is read");
    std::future::pending::<()>().await;
    drop(scanner);
}

#[tokio::test]
async fn a_process_that_dies_releases_the_database() {
    let test_event = TestEvent::new();
    let directory = tempfile::tempdir().expect("a directory");
    let setup = test_event.setup(&directory.path().join("device.db"));
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args([
            "--exact",
            "client::offline::tests::lock::child_process_that_holds_the_database",
            "--nocapture",
        ])
        .env(DATABASE_FILE, &setup.file)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("this test runs again");
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let held = lines.any(|line| line.is_ok_and(|line| line.ends_with("held")));
    assert!(held);
    let error = OfflineScanner::open(setup.clone())
        .await
        .expect_err("another process has it");
    assert_eq!(error.code(), "database_in_use");
    child.kill().expect("it is running");
    child.wait().expect("it has ended");
    OfflineScanner::open(setup).await.expect("it is free");
}
