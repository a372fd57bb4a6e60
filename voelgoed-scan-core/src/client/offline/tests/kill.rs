//! A phone that dies at any moment: a child process scans until it is killed; what it showed must be on the disk.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use super::*;
use crate::sync::ReceivedScan;

/// Tells the child where to scan.
const PLACE: &str = "VOELGOED_SCAN_KILL_TEST";

fn world() -> World {
    let mut world = World::new();
    world.tickets = (0..200).map(|number| world.ticket(number)).collect();
    world
}

/// Not a test of its own: the process that is killed.
#[tokio::test]
async fn child_that_scans_until_it_is_killed() {
    let Some(place) = std::env::var_os(PLACE) else {
        return;
    };
    let world = world();
    let gate = OfflineGate::open(world.setup(Path::new(&place)))
        .await
        .expect("it opens");
    let mut out = std::io::stdout();
    // Every ticket twice: the second is a duplicate, also across deaths.
    for round in 0..2_i64 {
        for number in 0..200 {
            let scan = entry(world.vg2(number), i64::from(number) * 3 + round * 1000);
            let verdict = gate.decide(scan).await.expect("a verdict");
            writeln!(out, "shown {} {} {number}", verdict.scan_id, verdict.reason).expect("it is read");
            out.flush().expect("it is read");
        }
    }
}

fn start(place: &Path) -> Child {
    Command::new(std::env::current_exe().expect("this test"))
        .args([
            "--exact",
            "offline::tests::kill::child_that_scans_until_it_is_killed",
            "--nocapture",
        ])
        .env(PLACE, place)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("this test runs again")
}

#[tokio::test]
async fn whatever_was_shown_is_on_the_disk_and_nobody_is_let_in_twice() {
    let world = world();
    let mut phone = None;
    for death in 0..200_u64 {
        // A new event now and then, so that there is always somebody to let in.
        if death % 20 == 0 {
            phone = Some(world.phone().await.directory);
        }
        let directory = phone.as_ref().expect("one was made");
        let place = directory.path().join("device.db");
        let mut child = start(&place);
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        // After so many verdicts, and then in the midst of the next.
        let mut shown = Vec::new();
        let verdicts = death * 7 % 23;
        while shown.len() < usize::try_from(verdicts).expect("few") {
            let line = lines.next().expect("it scans on").expect("text");
            shown.extend(line.strip_prefix("shown ").map(str::to_owned));
        }
        std::thread::sleep(Duration::from_micros(death * 137 % 3001));
        child.kill().expect("it lives");
        child.wait().expect("it died");
        shown.extend(lines.filter_map(|line| Some(line.ok()?.strip_prefix("shown ")?.to_owned())));
        check(&world, directory, &shown).await;
    }
}

async fn check(world: &World, directory: &tempfile::TempDir, shown: &[String]) {
    let gate = world.open(directory).await;
    let batch = gate.next_batch(1000, MADE).await.expect("the log is read");
    let scans = match &batch {
        Some(batch) => {
            let request: SyncRequest<ReceivedScan> = serde_json::from_slice(&batch.body).expect("JSON");
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
            "no gap, no break"
        );
        last = Some(LinkHash::of(&handed.sent));
        let reason = scan.local_reason.expect("it was decided");
        assert!(
            on_disk.insert(scan.scan_id.to_string(), reason).is_none(),
            "twice"
        );
        if reason == Reason::Admitted {
            *admitted.entry(scan.reading.text().to_owned()).or_default() += 1;
        }
    }
    assert!(admitted.values().all(|&times| times == 1), "let in twice");
    for line in shown {
        let mut string_enum = line.split(' ');
        let (scan, reason) = (
            string_enum.next().expect("an id"),
            string_enum.next().expect("a reason"),
        );
        assert_eq!(
            on_disk.get(scan).map(|reason| reason.as_str()),
            Some(reason),
            "shown and not on the disk"
        );
    }
}
