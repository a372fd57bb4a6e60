//! What the server said of a ticket stays true on the phone until something newer is known.

use super::*;
use crate::client::{Attempt, AttemptOutcome};
use crate::model::{NamedGate, TicketId};
use crate::rules::ConflictKind;
use crate::sync::{NamedDevice, SyncResult, SyncStatus};

/// How long a manifest may lack what the server has answered.
const MARGIN_S: i64 = 5;

pub(super) fn online_verdict(
    number: u8,
    reason: Reason,
    status: TicketStatus,
    scan_count: u32,
    seconds: i64,
) -> Verdict {
    Verdict {
        scan_id: ScanId::from_uuid(Uuid::new_v4()),
        result: reason.result(),
        reason,
        direction: Direction::Entry,
        scanned_at: after(seconds),
        event_id: EventId::from_uuid(uuid(2)),
        gate: NamedGate {
            id: gate_id(MAIN),
            name: "Main".to_owned(),
        },
        ticket: Some(VerdictTicket {
            id: Some(TicketId::from_uuid(uuid(5))),
            code: Some(code(number)),
            status,
            ticket_class: Some(class("Day")),
            seat: None,
            entry_limit: 1,
            scan_count,
            note: None,
        }),
        previous_scan: None,
        occupancy: None,
        decided_by: VerdictSource::Server,
        repeated: false,
        warnings: Vec::new(),
        message: String::new(),
    }
}

/// The admission that a duplicate names: at another gate, by another device.
pub(super) fn elsewhere(seconds: i64) -> VerdictPreviousScan {
    VerdictPreviousScan {
        scan_id: Some(ScanId::from_uuid(uuid(600))),
        scanned_at: after(seconds),
        seconds_ago: 1,
        gate: Some(NamedGate {
            id: gate_id(VIP),
            name: "VIP".to_owned(),
        }),
        device_name: Some("Scanner 3".to_owned()),
        same_device: false,
    }
}

impl Phone {
    pub(super) async fn learn(&self, verdict: &Verdict) {
        self.scanner
            .record_online_verdict(verdict)
            .await
            .expect("it is stored");
    }

    pub(super) async fn reason(&self, scan: OfflineScan) -> Reason {
        self.scan(scan).await.reason
    }
}

#[tokio::test]
async fn a_status_that_the_server_named_bars_the_ticket_offline_and_after_a_restart() {
    let mut test_event = TestEvent::new();
    let mut phone = test_event.phone().await;
    let barred = [
        (1, Reason::TicketVoided, TicketStatus::Voided),
        (2, Reason::TicketRefunded, TicketStatus::Refunded),
        (3, Reason::TicketUsed, TicketStatus::Used),
        // The answer names another reason first, and the status all the same.
        (4, Reason::GateClosed, TicketStatus::Voided),
    ];
    let expected = [
        Reason::TicketVoided,
        Reason::TicketRefunded,
        Reason::TicketUsed,
        Reason::TicketVoided,
    ];
    for (number, reason, status) in barred {
        phone.learn(&online_verdict(number, reason, status, 0, 10)).await;
    }
    let scans = |seconds: i64| {
        (1..5)
            .map(|number| entry(test_event.vg2(number), seconds))
            .collect::<Vec<_>>()
    };
    let (first, second, third) = (scans(20), scans(30), scans(50));
    assert_eq!(phone.reasons(first).await, expected);
    phone = phone.reopened(&test_event).await;
    assert_eq!(phone.reasons(second).await, expected, "after a restart");
    let other_code = entry(test_event.vg1(1), 35);
    assert_eq!(
        phone.reason(other_code).await,
        Reason::TicketVoided,
        "its other QR code"
    );
    // The manifest may have been read before the status was committed.
    let bytes = test_event.later(10 + MARGIN_S);
    phone
        .install(&test_event, bytes, 40)
        .await
        .expect("it is installed");
    assert_eq!(
        phone.reasons(third).await,
        expected,
        "a manifest of the same moment"
    );
    let bytes = test_event.later(11 + MARGIN_S);
    phone
        .install(&test_event, bytes, 55)
        .await
        .expect("it is installed");
    let scans = (1..5).map(|number| entry(test_event.vg2(number), 60));
    assert_eq!(
        phone.reasons(scans).await,
        [Reason::Admitted; 4],
        "a later manifest: the tickets were reactivated"
    );
}

#[tokio::test]
async fn a_manifest_of_the_same_moment_bars_what_the_answer_allowed() {
    let mut test_event = TestEvent::new();
    let phone = test_event.phone().await;
    phone
        .learn(&online_verdict(
            1,
            Reason::GateClosed,
            TicketStatus::Active,
            0,
            10,
        ))
        .await;
    test_event.tickets[0].status = TicketStatus::Voided;
    let bytes = test_event.later(12);
    phone
        .install(&test_event, bytes, 12)
        .await
        .expect("it is installed");
    assert_eq!(
        phone.reason(entry(test_event.vg2(1), 20)).await,
        Reason::TicketVoided
    );
}

#[tokio::test]
async fn a_duplicate_that_the_server_named_stays_one_until_a_later_manifest_knows_better() {
    let mut test_event = TestEvent::new();
    let mut phone = test_event.phone().await;
    let duplicate = Verdict {
        previous_scan: Some(elsewhere(5)),
        ..online_verdict(1, Reason::AlreadyScanned, TicketStatus::Scanned, 1, 10)
    };
    phone.learn(&duplicate).await;
    phone = phone.reopened(&test_event).await;
    let verdict = phone.scan(entry(test_event.vg2(1), 25)).await;
    assert_eq!(verdict.reason, Reason::AlreadyScanned);
    let previous = verdict.previous_scan.expect("the server named it");
    assert_eq!(
        (previous.scan_id, previous.seconds_ago, previous.same_device),
        (Some(ScanId::from_uuid(uuid(600))), 20, false)
    );
    assert_eq!(previous.device_name.as_deref(), Some("Scanner 3"));
    assert_eq!(previous.gate.map(|gate| gate.name).as_deref(), Some("VIP"));
    // The office undid the admission.
    let bytes = test_event.later(60);
    phone
        .install(&test_event, bytes, 60)
        .await
        .expect("it is installed");
    assert_eq!(phone.reason(entry(test_event.vg2(1), 70)).await, Reason::Admitted);
}

#[tokio::test]
async fn admissions_of_other_devices_that_an_answer_counts_use_up_the_ticket() {
    let mut test_event = TestEvent::new();
    test_event.tickets[0].entry_limit = 3;
    for (scan_count, expected) in [
        (
            1,
            vec![Reason::Admitted, Reason::Admitted, Reason::EntryLimitReached],
        ),
        (2, vec![Reason::Admitted, Reason::EntryLimitReached]),
        (3, vec![Reason::EntryLimitReached]),
    ] {
        let phone = test_event.phone().await;
        let mut admitted = online_verdict(1, Reason::Admitted, TicketStatus::Scanned, scan_count, 10);
        if let Some(ticket) = &mut admitted.ticket {
            ticket.entry_limit = 3;
        }
        phone.learn(&admitted).await;
        phone.learn(&admitted).await;
        let scans = (0..expected.len()).map(|index| {
            let seconds = 20 + 10 * i64::try_from(index).expect("few");
            entry(test_event.vg2(1), seconds)
        });
        assert_eq!(phone.reasons(scans).await, expected, "{scan_count}");
    }
}

#[tokio::test]
async fn a_later_answer_replaces_an_earlier_one_and_a_replay_does_not() {
    let test_event = TestEvent::new();
    let phone = test_event.phone().await;
    let voided = online_verdict(1, Reason::TicketVoided, TicketStatus::Voided, 0, 10);
    let reactivated = online_verdict(1, Reason::GateClosed, TicketStatus::Active, 0, 20);
    phone.learn(&voided).await;
    phone.learn(&reactivated).await;
    // The answer to an attempt that is asked again is the first one.
    phone.learn(&voided).await;
    assert_eq!(phone.reason(entry(test_event.vg2(1), 30)).await, Reason::Admitted);
    let duplicate = online_verdict(2, Reason::AlreadyScanned, TicketStatus::Scanned, 1, 10);
    let undone = online_verdict(2, Reason::GateClosed, TicketStatus::Active, 0, 20);
    phone.learn(&duplicate).await;
    phone.learn(&undone).await;
    assert_eq!(phone.reason(entry(test_event.vg2(2), 30)).await, Reason::Admitted);
}

#[tokio::test]
async fn an_answer_without_an_admission_forgets_none_that_the_server_lacks() {
    let test_event = TestEvent::new();
    let phone = test_event.phone().await;
    assert_eq!(phone.reason(entry(test_event.vg2(1), 10)).await, Reason::Admitted);
    phone
        .learn(&online_verdict(
            1,
            Reason::GateClosed,
            TicketStatus::Active,
            0,
            20,
        ))
        .await;
    assert_eq!(
        phone.reason(entry(test_event.vg2(1), 30)).await,
        Reason::AlreadyScanned,
        "this phone has not uploaded its admission"
    );
}

#[tokio::test]
async fn a_denial_because_of_the_gate_says_nothing_about_the_ticket() {
    let test_event = TestEvent::new();
    let phone = test_event.phone().await;
    for (number, reason) in [
        (1, Reason::GateNotAllowed),
        (2, Reason::GateFull),
        (3, Reason::EventNotLive),
        (4, Reason::TicketNotYetValid),
    ] {
        phone
            .learn(&online_verdict(number, reason, TicketStatus::Active, 0, 10))
            .await;
        let verdict = phone.scan(entry(test_event.vg2(number), 20)).await;
        assert_eq!(verdict.reason, Reason::Admitted, "{reason}");
    }
}

#[tokio::test]
async fn who_is_inside_is_known_from_the_answer() {
    let mut test_event = TestEvent::new();
    test_event.event.reentry = Reentry::AfterExit;
    test_event.tickets[1].admissions = 1;
    test_event.tickets[1].inside = 1;
    test_event.tickets[1].last_admission = Some(after(-60));
    let phone = test_event.phone().await;
    phone
        .learn(&online_verdict(
            1,
            Reason::AlreadyInside,
            TicketStatus::Scanned,
            1,
            10,
        ))
        .await;
    let not_inside = Verdict {
        direction: Direction::Exit,
        ..online_verdict(2, Reason::NotInside, TicketStatus::Scanned, 1, 10)
    };
    phone.learn(&not_inside).await;
    let (one, two) = (test_event.vg2(1), test_event.vg2(2));
    let reasons = phone
        .reasons([
            entry(&one, 20),
            exit(&one, 30),
            entry(&one, 40),
            exit(&two, 50),
            entry(&two, 60),
        ])
        .await;
    assert_eq!(
        reasons,
        [
            Reason::AlreadyInside,
            Reason::Exited,
            Reason::Readmitted,
            Reason::NotInside,
            Reason::Readmitted,
        ]
    );
}

/// The server's answer to an attempt with this payload.
async fn answered(phone: &Phone, qr: String, seconds: i64, verdict: Verdict) {
    let scan = entry(qr, seconds);
    let verdict = Verdict {
        scan_id: scan.scan_id,
        ..verdict
    };
    let attempt = Attempt {
        event_id: verdict.event_id,
        scan,
    };
    phone.scanner.begin_attempt(&attempt).await.expect("it is stored");
    phone
        .scanner
        .finish_attempt(verdict.scan_id, AttemptOutcome::Decided(&verdict))
        .await
        .expect("it is stored");
}

fn refused(reason: Reason, seconds: i64) -> Verdict {
    Verdict {
        ticket: None,
        ..online_verdict(1, reason, TicketStatus::Active, 0, seconds)
    }
}

#[tokio::test]
async fn a_payload_that_the_server_refused_stays_refused_and_its_ticket_does_not() {
    let test_event = TestEvent::new();
    let mut phone = test_event.phone().await;
    // A phone cannot check the signature of this format.
    let forged = format!("{}A", test_event.vg1(1).split_at(test_event.vg1(1).len() - 1).0);
    let forged = if forged == test_event.vg1(1) {
        forged.replace("VG1.1.", "VG1.2.")
    } else {
        forged
    };
    assert_ne!(forged, test_event.vg1(1));
    for (reason, qr) in [
        (Reason::BadSignature, forged.clone()),
        (Reason::KeyRevoked, test_event.vg1(2)),
        (Reason::UnknownKey, test_event.vg1(3)),
    ] {
        answered(&phone, qr.clone(), 10, refused(reason, 10)).await;
        phone = phone.reopened(&test_event).await;
        assert_eq!(phone.reason(entry(qr, 20)).await, reason);
    }
    assert_eq!(
        phone.reason(entry(test_event.vg1(1), 30)).await,
        Reason::Admitted,
        "the holder's own code"
    );
    assert!(
        phone
            .scanner
            .unfinished_attempts()
            .await
            .expect("a list")
            .is_empty(),
        "each has an outcome"
    );
}

#[tokio::test]
async fn a_ticket_that_the_server_did_not_find_is_denied_until_a_later_manifest_lists_it() {
    let mut test_event = TestEvent::new();
    let phone = test_event.phone().await;
    let unlisted = test_event.vg2(50);
    answered(&phone, unlisted.clone(), 10, refused(Reason::TicketNotFound, 10)).await;
    assert_eq!(phone.reason(entry(&unlisted, 20)).await, Reason::TicketNotFound);
    let bytes = test_event.later(60);
    phone
        .install(&test_event, bytes, 60)
        .await
        .expect("it is installed");
    assert_eq!(
        phone.reason(entry(&unlisted, 70)).await,
        Reason::TicketNotFound,
        "the manifest does not list it either"
    );
    let imported = test_event.ticket(50);
    test_event.tickets.push(imported);
    let bytes = test_event.later(80);
    phone
        .install(&test_event, bytes, 80)
        .await
        .expect("it is installed");
    assert_eq!(phone.reason(entry(&unlisted, 90)).await, Reason::Admitted);
}

#[tokio::test]
async fn a_payload_that_the_server_accepts_later_is_accepted() {
    let test_event = TestEvent::new();
    let phone = test_event.phone().await;
    let vg1 = test_event.vg1(1);
    answered(&phone, vg1.clone(), 10, refused(Reason::UnknownKey, 10)).await;
    let closed = online_verdict(1, Reason::GateClosed, TicketStatus::Active, 0, 20);
    answered(&phone, vg1.clone(), 20, closed).await;
    assert_eq!(phone.reason(entry(vg1, 30)).await, Reason::Admitted);
}

/// Uploads everything with this change of the last result.
async fn upload_with(phone: &Phone, seconds: i64, change: impl FnOnce(&mut SyncResult)) {
    let batch = phone
        .scanner
        .next_batch(100, after(seconds))
        .await
        .expect("a batch")
        .expect("scans wait");
    let mut answer = upload::recorded(&batch, after(seconds));
    change(answer.results.last_mut().expect("scans wait"));
    phone.scanner.acknowledge(&answer).await.expect("it is stored");
}

fn conflict(kind: ConflictKind, winner: Option<ScanId>, other: ScanId, times: [i64; 2]) -> Conflict {
    let named = |number: u128, name: &str| NamedGate {
        id: gate_id(number),
        name: name.to_owned(),
    };
    let device = |number, name: &str| NamedDevice {
        id: DeviceId::from_uuid(uuid(number)),
        name: name.to_owned(),
    };
    Conflict {
        kind,
        winner_scan_id: winner,
        other_scan_id: other,
        ticket_code: Some(code(1)),
        gates: vec![named(VIP, "VIP"), named(MAIN, "Main")],
        devices: vec![device(8, "Phone 8"), device(7, "Phone 7")],
        times: times.map(after).to_vec(),
    }
}

#[tokio::test]
async fn a_scan_that_lost_at_the_upload_has_used_up_its_ticket() {
    let mut test_event = TestEvent::new();
    test_event.tickets[0].entry_limit = 2;
    let mut phone = test_event.phone().await;
    let vg2 = test_event.vg2(1);
    assert_eq!(phone.reason(entry(&vg2, 10)).await, Reason::Admitted);
    upload_with(&phone, 20, |result| {
        let own = result.scan_id.expect("an id");
        result.result = Some(ScanResult::Duplicate);
        result.reason = Some(Reason::EntryLimitReached);
        let winner = Some(ScanId::from_uuid(uuid(700)));
        result.conflict = Some(conflict(ConflictKind::DoubleEntry, winner, own, [5, 10]));
    })
    .await;
    phone = phone.reopened(&test_event).await;
    assert_eq!(
        phone.reason(entry(&vg2, 30)).await,
        Reason::EntryLimitReached,
        "two others had come in"
    );
}

#[tokio::test]
async fn a_scan_that_won_at_the_upload_leaves_no_place_either() {
    let mut test_event = TestEvent::new();
    test_event.event.reentry = Reentry::AfterExit;
    let phone = test_event.phone().await;
    let vg2 = test_event.vg2(1);
    assert_eq!(phone.reason(entry(&vg2, 10)).await, Reason::Admitted);
    upload_with(&phone, 20, |result| {
        let own = result.scan_id;
        let other = ScanId::from_uuid(uuid(700));
        result.conflict = Some(conflict(ConflictKind::DoubleEntry, own, other, [10, 15]));
    })
    .await;
    let reasons = phone
        .reasons([exit(&vg2, 30), entry(&vg2, 40), exit(&vg2, 50), entry(&vg2, 60)])
        .await;
    assert_eq!(
        reasons,
        [
            Reason::Exited,
            Reason::AlreadyInside,
            Reason::Exited,
            Reason::Readmitted
        ],
        "two people are inside on one ticket"
    );
}

#[tokio::test]
async fn a_barred_status_that_an_upload_reveals_bars_the_ticket() {
    let mut test_event = TestEvent::new();
    for ticket in &mut test_event.tickets {
        ticket.entry_limit = 2;
    }
    let phone = test_event.phone().await;
    assert_eq!(phone.reason(entry(test_event.vg2(1), 10)).await, Reason::Admitted);
    upload_with(&phone, 20, |result| {
        let own = result.scan_id.expect("an id");
        result.conflict = Some(conflict(ConflictKind::LetInDespiteStatus, None, own, [10, 10]));
    })
    .await;
    assert_eq!(
        phone.reason(entry(test_event.vg2(1), 30)).await,
        Reason::TicketVoided
    );
    // The server had denied the attempt; the answer was lost and the phone admitted.
    assert_eq!(phone.reason(entry(test_event.vg2(2), 40)).await, Reason::Admitted);
    upload_with(&phone, 50, |result| {
        result.status = SyncStatus::Replayed;
        result.result = Some(ScanResult::Refused);
        result.reason = Some(Reason::TicketRefunded);
    })
    .await;
    assert_eq!(
        phone.reason(entry(test_event.vg2(2), 60)).await,
        Reason::TicketRefunded
    );
}

#[tokio::test]
async fn an_undone_admission_admits_again_on_this_phone() {
    let mut test_event = TestEvent::new();
    test_event.tickets[1].admissions = 1;
    test_event.tickets[1].last_admission = Some(after(5));
    let mut phone = test_event.phone().await;
    let admitted = online_verdict(1, Reason::Admitted, TicketStatus::Scanned, 1, 10);
    phone.learn(&admitted).await;
    assert_eq!(
        phone.reason(entry(test_event.vg2(1), 20)).await,
        Reason::AlreadyScanned
    );
    phone
        .scanner
        .record_undo(admitted.scan_id, after(30))
        .await
        .expect("it is stored");
    phone = phone.reopened(&test_event).await;
    let reasons = phone
        .reasons([
            entry(test_event.vg2(1), 40),
            entry(test_event.vg2(1), 50),
            entry(test_event.vg2(2), 60),
        ])
        .await;
    assert_eq!(
        reasons,
        [Reason::Admitted, Reason::AlreadyScanned, Reason::AlreadyScanned]
    );
    phone
        .scanner
        .record_undo(ScanId::from_uuid(uuid(999)), after(70))
        .await
        .expect("an unknown scan changes nothing");
}

#[tokio::test]
async fn the_undo_of_an_admission_that_the_manifest_counts_holds_until_a_later_manifest() {
    let mut test_event = TestEvent::new();
    let phone = test_event.phone().await;
    let admitted = online_verdict(1, Reason::Admitted, TicketStatus::Scanned, 1, 10);
    phone.learn(&admitted).await;
    test_event.tickets[0].admissions = 1;
    test_event.tickets[0].inside = 1;
    test_event.tickets[0].status = TicketStatus::Scanned;
    test_event.tickets[0].last_admission = Some(after(10));
    let bytes = test_event.later(20);
    phone
        .install(&test_event, bytes, 20)
        .await
        .expect("it is installed");
    phone
        .scanner
        .record_undo(admitted.scan_id, after(30))
        .await
        .expect("it is stored");
    assert_eq!(phone.reason(entry(test_event.vg2(1), 40)).await, Reason::Admitted);
}

#[tokio::test]
async fn a_person_who_left_may_come_back_although_another_phone_had_let_them_in() {
    let mut test_event = TestEvent::new();
    test_event.event.reentry = Reentry::AfterExit;
    let phone = test_event.phone().await;
    let exited = Verdict {
        direction: Direction::Exit,
        ..online_verdict(1, Reason::Exited, TicketStatus::Scanned, 1, 10)
    };
    phone.learn(&exited).await;
    let vg2 = test_event.vg2(1);
    let reasons = phone.reasons([entry(&vg2, 20), entry(&vg2, 30)]).await;
    assert_eq!(reasons, [Reason::Readmitted, Reason::AlreadyInside]);
}
