//! A full disk: nothing is half written, the phone says what is wrong, and goes on as soon as there is room.
//!
//! The disk is a small tmpfs in a mount namespace of its own, so the test needs no special rights where the system allows
//! user namespaces (`unshare --user --mount`). The work happens in a child process inside the namespace.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;

use super::*;
use crate::client::{Attempt, AttemptOutcome, DeviceRefusal};
use crate::model::NamedGate;

/// The environment variable that passes the small disk to the child process.
const SMALL_DISK: &str = "VOELGOED_SCAN_SMALL_DISK";

/// A file that takes all room on the disk.
struct Ballast(PathBuf);

impl Ballast {
    fn fill(disk: &Path) -> Self {
        let path = disk.join("ballast");
        let mut file = std::fs::File::create(&path).expect("a file");
        let mut size = 64 * 1024;
        while size > 0 {
            if file.write_all(&vec![0; size]).is_err() {
                size /= 2;
            }
        }
        Self(path)
    }

    fn remove(self) {
        std::fs::remove_file(self.0).expect("it is there");
    }
}

/// Every kind of write.
const KINDS: &[&str] = &[
    "decide",
    "begin",
    "finish",
    "abandon",
    "acknowledge",
    "install",
    "session",
    "clock",
    "override",
    "refusal",
    "undo",
    "seen",
];

async fn write(kind: &str, phone: &Phone, test_event: &mut TestEvent, round: u8) -> Result<(), OfflineError> {
    let scanner = &phone.scanner;
    let seconds = i64::from(round) * 100;
    let attempt = Attempt {
        event_id: test_event.event.id,
        scan: entry(test_event.vg2(round), seconds),
    };
    let verdict = |reason: Reason| Verdict {
        scan_id: attempt.scan.scan_id,
        result: reason.result(),
        reason,
        direction: Direction::Entry,
        scanned_at: after(seconds),
        event_id: test_event.event.id,
        gate: NamedGate {
            id: gate_id(MAIN),
            name: "Main".to_owned(),
        },
        ticket: Some(VerdictTicket {
            id: None,
            code: Some(code(round)),
            status: TicketStatus::Scanned,
            ticket_class: None,
            seat: None,
            entry_limit: 1,
            scan_count: 1,
            note: None,
        }),
        previous_scan: None,
        occupancy: None,
        decided_by: VerdictSource::Server,
        repeated: false,
        warnings: Vec::new(),
        message: String::new(),
    };
    match kind {
        "decide" => scanner.decide(attempt.scan).await.map(drop),
        "begin" => scanner.begin_attempt(&attempt).await,
        "finish" => {
            let verdict = verdict(Reason::AlreadyScanned);
            let outcome = AttemptOutcome::Decided(&verdict);
            scanner.finish_attempt(verdict.scan_id, outcome).await
        }
        "abandon" => {
            let unfinished = scanner.unfinished_attempts().await?;
            let first = unfinished.first().expect("one was begun").scan.scan_id;
            scanner.finish_attempt(first, AttemptOutcome::Abandoned).await
        }
        "acknowledge" => {
            let batch = scanner.next_batch(1, after(seconds)).await?.expect("scans wait");
            scanner
                .acknowledge(&upload::recorded(&batch, after(seconds)))
                .await
        }
        "install" => {
            let bytes = test_event.later(seconds);
            phone.install(test_event, bytes, seconds).await.map(drop)
        }
        "session" => {
            let session = PhoneSession {
                event_id: test_event.event.id,
                gate_id: gate_id(MAIN),
                session_id: Some(uuid(round.into()).into()),
            };
            scanner.set_session(Some(session)).await
        }
        "clock" => {
            let now = after(seconds);
            scanner.update_clock_offset(now, now, now).await
        }
        "override" => scanner.set_can_override(round % 2 == 1).await,
        "refusal" => scanner.accept_device().await.map(drop),
        "undo" => {
            scanner
                .record_undo(ScanId::from_uuid(uuid(501)), after(seconds))
                .await
        }
        "seen" => scanner.mark_rejected_seen(&[ScanId::from_uuid(uuid(501))]).await,
        other => panic!("no kind {other}"),
    }
}

/// Not a test by itself: what the test below runs on a small disk.
#[tokio::test]
async fn child_process_on_a_small_disk() {
    let Some(disk) = std::env::var_os(SMALL_DISK).map(PathBuf::from) else {
        return;
    };
    for (round, kind) in (1..).zip(KINDS) {
        let mut test_event = TestEvent::new();
        test_event.tickets = (1..100).map(|number| test_event.ticket(number)).collect();
        let directory = tempfile::tempdir_in(&disk).expect("a directory");
        let scanner = test_event.open(&directory).await;
        let mut phone = Phone { scanner, directory };
        let bytes = test_event.manifest();
        phone.install(&test_event, bytes, 0).await.expect("there is room");
        let admitted = OfflineScan {
            scan_id: ScanId::from_uuid(uuid(501)),
            ..entry(test_event.vg2(90), 0)
        };
        phone.scan(admitted).await;
        let attempt = Attempt {
            event_id: test_event.event.id,
            scan: entry(test_event.vg2(91), 0),
        };
        phone
            .scanner
            .begin_attempt(&attempt)
            .await
            .expect("there is room");
        if *kind == "refusal" {
            let refusal = DeviceRefusal::Inactive;
            phone
                .scanner
                .refuse_device(refusal, MADE_AT)
                .await
                .expect("there is room");
        }
        let waiting = if *kind == "seen" {
            phone
                .scanner
                .mark_rejected(ScanId::from_uuid(uuid(501)), "validation_failed")
                .await
                .expect("there is room");
            0
        } else {
            1
        };
        if *kind == "override" {
            phone
                .scanner
                .set_can_override(false)
                .await
                .expect("there is room");
        }

        let ballast = Ballast::fill(&disk);
        for again in 0..3_u8 {
            let error = write(kind, &phone, &mut test_event, round)
                .await
                .expect_err("the disk is full");
            assert_eq!(error.code(), "storage_full", "{kind}, {again}: {error}");
            let state = phone.scanner.state().await.expect("the phone still reads");
            assert!(state.is_disk_full, "{kind}");
            assert_eq!(state.waiting, waiting, "{kind}: nothing is half written");
        }
        phone = phone.reopened(&test_event).await;
        assert_eq!(
            phone.scanner.state().await.expect("it reads").waiting,
            waiting,
            "{kind}: it opens on a full disk"
        );
        let error = write(kind, &phone, &mut test_event, round)
            .await
            .expect_err("the disk is still full");
        assert_eq!(error.code(), "storage_full", "{kind}: {error}");

        ballast.remove();
        write(kind, &phone, &mut test_event, round)
            .await
            .unwrap_or_else(|error| panic!("{kind}: there is room again: {error}"));
        assert!(
            !phone.scanner.state().await.expect("a state").is_disk_full,
            "{kind}"
        );
        phone.scanner.accept_device().await.expect("there is room");
        let shown = phone.scan(entry(test_event.vg2(95), 5000)).await;
        assert_eq!(shown.reason, Reason::Admitted, "{kind}: no restart is needed");
        let repeated = phone.scan(entry(test_event.vg2(90), 5001)).await.reason;
        let expected = if *kind == "undo" {
            Reason::Admitted
        } else {
            Reason::AlreadyScanned
        };
        assert_eq!(
            repeated, expected,
            "{kind}: what was recorded before is still there"
        );
    }
    device_facts_hold_on_a_full_disk(&disk).await;
    writeln!(std::io::stdout(), "every kind of write was tried").expect("it is read");
}

/// What the server says of the device holds at once, and survives a restart as soon as there is room.
async fn device_facts_hold_on_a_full_disk(disk: &Path) {
    let test_event = TestEvent::new();
    let directory = tempfile::tempdir_in(disk).expect("a directory");
    let scanner = test_event.open(&directory).await;
    let mut phone = Phone { scanner, directory };
    let session = PhoneSession {
        event_id: test_event.event.id,
        gate_id: gate_id(MAIN),
        session_id: Some(uuid(600).into()),
    };
    let started = phone.scanner.set_session(Some(session)).await;
    started.expect("there is room");
    let ballast = Ballast::fill(disk);
    let ended = phone.scanner.set_session(None).await;
    assert_eq!(ended.expect_err("the disk is full").code(), "storage_full");
    let refusal = DeviceRefusal::Inactive;
    let refused = phone.scanner.refuse_device(refusal, MADE_AT).await;
    assert_eq!(refused.expect_err("the disk is full").code(), "storage_full");
    let told = (None, Some((refusal, MADE_AT)));
    let known = async |phone: &Phone| {
        (
            phone.scanner.session().await,
            phone.scanner.device_refusal().await,
        )
    };
    assert_eq!(known(&phone).await, told);
    phone.scanner.store_unsaved().await;
    assert_eq!(known(&phone).await, told, "the disk is still full");
    ballast.remove();
    phone.scanner.store_unsaved().await;
    phone = phone.reopened(&test_event).await;
    assert_eq!(known(&phone).await, told);
}

#[test]
fn every_write_on_a_full_disk_fails_cleanly_and_works_once_there_is_room() {
    let disk = tempfile::tempdir().expect("a directory");
    let script = "mount -t tmpfs -o size=2m tmpfs \"$1\" && exec \"$2\" --exact \
                  client::offline::tests::disk::child_process_on_a_small_disk --nocapture";
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"])
        .arg(disk.path())
        .arg(std::env::current_exe().expect("this test"))
        .env(SMALL_DISK, disk.path())
        .output()
        .expect("unshare (util-linux) is installed");
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && shown.contains("every kind of write was tried"),
        "{shown}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The same by a limit of SQLite, on every system: the write fails within the transaction instead of at its end.
#[tokio::test]
async fn a_write_beyond_the_limit_of_the_database_fails_cleanly() {
    let test_event = TestEvent::new();
    let mut phone = test_event.phone().await;
    phone.scan(entry(test_event.vg2(1), 0)).await;
    phone.scanner.limit_pages(1).await;
    let mut failed = 0;
    for number in 2..10 {
        match phone
            .scanner
            .decide(entry(test_event.vg2(number), number.into()))
            .await
        {
            Ok(_) => {}
            Err(error) => {
                assert_eq!(error.code(), "storage_full", "{error}");
                failed += 1;
            }
        }
    }
    assert!(failed > 0, "the database reaches its limit");
    assert!(phone.scanner.state().await.expect("it reads").is_disk_full);
    phone = phone.reopened(&test_event).await;
    let shown = phone.scan(entry(test_event.vg2(9), 100)).await;
    assert_eq!(shown.reason, Reason::Admitted);
    assert_eq!(
        phone.reasons([entry(test_event.vg2(1), 200)]).await,
        [Reason::AlreadyScanned]
    );
}

#[tokio::test]
async fn what_the_server_said_while_the_disk_was_full_is_written_later() {
    let mut test_event = TestEvent::new();
    test_event.tickets = (0..200).map(|number| test_event.ticket(number)).collect();
    let mut phone = test_event.phone().await;
    let mut denied = phone.scan(entry(test_event.vg2(0), 0)).await;
    denied.reason = Reason::TicketVoided;
    denied.result = denied.reason.result();
    phone.scanner.limit_pages(1).await;
    let mut unwritten = Vec::new();
    for number in 1..200 {
        let ticket = denied.ticket.clone().map(|ticket| VerdictTicket {
            code: Some(code(number)),
            status: TicketStatus::Voided,
            ..ticket
        });
        let verdict = Verdict {
            scan_id: ScanId::from_uuid(Uuid::new_v4()),
            ticket,
            ..denied.clone()
        };
        if let Err(error) = phone.scanner.record_online_verdict(&verdict).await {
            assert_eq!(error.code(), "storage_full");
            unwritten.push(number);
        }
    }
    assert!(unwritten.len() > 1, "the database reaches its limit");
    phone.scanner.limit_pages(1_000_000).await;
    let first = phone.scan(entry(test_event.vg2(unwritten[0]), 100)).await;
    assert_eq!(first.reason, Reason::TicketVoided);
    phone = phone.reopened(&test_event).await;
    for number in unwritten {
        let verdict = phone.scan(entry(test_event.vg2(number), 200)).await;
        assert_eq!(verdict.reason, Reason::TicketVoided, "{number}");
    }
}
