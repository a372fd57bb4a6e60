//! Crash safety: a child process scans until it is killed. Every verdict that it printed must be on disk.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use super::*;

/// The environment variable that passes the database file to the child process.
const DATABASE_FILE: &str = "VOELGOED_SCAN_KILL_TEST";

fn test_event() -> TestEvent {
    let mut test_event = TestEvent::new();
    test_event.tickets = (0..200).map(|number| test_event.ticket(number)).collect();
    test_event
}

/// Not a test by itself: the process that the test below kills.
#[tokio::test]
async fn child_process_that_scans_until_it_is_killed() {
    let Some(file) = std::env::var_os(DATABASE_FILE) else {
        return;
    };
    let test_event = test_event();
    let scanner = OfflineScanner::open(test_event.setup(Path::new(&file)))
        .await
        .expect("the database opens");
    let mut out = std::io::stdout();
    // Scans every ticket twice: the second scan is a duplicate, even after a kill.
    for round in 0..2_i64 {
        for number in 0..200 {
            let scan = entry(test_event.vg2(number), i64::from(number) * 3 + round * 1000);
            let verdict = scanner.decide(scan).await.expect("a verdict");
            writeln!(out, "shown {} {} {number}", verdict.scan_id, verdict.reason).expect("it is read");
            out.flush().expect("it is read");
        }
    }
}

fn start(file: &Path) -> Child {
    Command::new(std::env::current_exe().expect("this test"))
        .args([
            "--exact",
            "client::offline::tests::kill::child_process_that_scans_until_it_is_killed",
            "--nocapture",
        ])
        .env(DATABASE_FILE, file)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("this test runs again")
}

#[tokio::test]
async fn a_shown_verdict_survives_a_kill_and_no_ticket_is_admitted_twice() {
    let test_event = test_event();
    let mut phone = None;
    for kill_number in 0..200_u64 {
        // A new database from time to time, so that there are always tickets to admit.
        if kill_number % 20 == 0 {
            phone = Some(test_event.phone().await.directory);
        }
        let directory = phone.as_ref().expect("one was made");
        let file = directory.path().join("device.db");
        let mut child = start(&file);
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        // Kills the child after this many verdicts, in the middle of a later scan.
        let mut shown = Vec::new();
        let verdicts = kill_number * 7 % 23;
        while shown.len() < usize::try_from(verdicts).expect("few") {
            let line = lines.next().expect("another verdict").expect("text");
            shown.extend(line.strip_prefix("shown ").map(str::to_owned));
        }
        std::thread::sleep(Duration::from_micros(kill_number * 137 % 3001));
        child.kill().expect("it is running");
        child.wait().expect("it has ended");
        shown.extend(lines.filter_map(|line| Some(line.ok()?.strip_prefix("shown ")?.to_owned())));
        check(&test_event, directory, &shown).await;
    }
}

async fn check(test_event: &TestEvent, directory: &tempfile::TempDir, shown: &[String]) {
    let scanner = test_event.open(directory).await;
    let batch = scanner.next_batch(1000, MADE_AT).await.expect("the log is read");
    let scans = match &batch {
        Some(batch) => {
            let request = SyncRequest::read(&batch.body).expect("a batch");
            request.scans
        }
        None => Vec::new(),
    };
    let mut on_disk = HashMap::new();
    let mut admitted = HashMap::<String, u32>::new();
    let mut last = None;
    for (at, handed) in (1..).zip(&scans) {
        let scan = handed.scan.as_ref().expect("a scan");
        assert_eq!(
            (scan.sequence, scan.prev_hash),
            (Some(at), last),
            "the chain is complete"
        );
        last = Some(handed.link);
        let reason = scan.local_reason.expect("it was decided");
        assert!(
            on_disk.insert(scan.scan_id.to_string(), reason).is_none(),
            "recorded twice"
        );
        if reason == Reason::Admitted {
            *admitted.entry(scan.reading.text().to_owned()).or_default() += 1;
        }
    }
    assert!(admitted.values().all(|&times| times == 1), "admitted twice");
    for line in shown {
        let mut words = line.split(' ');
        let (scan, reason) = (words.next().expect("an id"), words.next().expect("a reason"));
        assert_eq!(
            on_disk.get(scan).map(|reason| reason.as_str()),
            Some(reason),
            "shown but not on disk"
        );
    }
}
