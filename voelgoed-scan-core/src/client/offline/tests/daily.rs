//! The policy `daily` on a phone, which knows the starts of days from its manifest and may be offline for days.
//!
//! The manifest is made at 22:26:40 in Berlin. Days begin at 06:00.

use super::memory::{elsewhere, online_verdict};
use super::*;

/// The starts of the second, the third and the fourth day, in seconds after the manifest was made.
const SECOND: i64 = 27_200;
const THIRD: i64 = SECOND + 86_400;
const FOURTH: i64 = THIRD + 86_400;

fn daily() -> TestEvent {
    let mut test_event = TestEvent::new();
    test_event.event.reentry = Reentry::Daily;
    test_event.event.time_zone = "Europe/Berlin".parse().expect("a zone");
    test_event.event.day_starts_at = "06:00".parse().expect("a time of day");
    test_event
}

#[tokio::test]
async fn a_phone_admits_each_day_and_denies_within_a_day_also_after_a_restart() {
    let test_event = daily();
    let mut phone = test_event.phone().await;
    let qr = test_event.vg2(1);
    let day_one = phone.reasons([entry(&qr, 0), entry(&qr, SECOND - 10)]).await;
    assert_eq!(day_one, [Reason::Admitted, Reason::AlreadyScanned]);
    let day_two = phone.reasons([entry(&qr, SECOND), entry(&qr, SECOND + 10)]).await;
    assert_eq!(day_two, [Reason::Readmitted, Reason::AlreadyScanned]);
    phone = phone.reopened(&test_event).await;
    let later = [
        entry(&qr, THIRD - 10),
        entry(&qr, FOURTH),
        entry(&qr, FOURTH + 60),
    ];
    assert_eq!(
        phone.reasons(later).await,
        [Reason::AlreadyScanned, Reason::Readmitted, Reason::AlreadyScanned]
    );
}

#[tokio::test]
async fn an_exit_of_somebody_admitted_on_an_earlier_day_is_not_inside_on_a_phone() {
    let test_event = daily();
    let phone = test_event.phone().await;
    let qr = test_event.vg2(1);
    let scans = [
        entry(&qr, 0),
        exit(&qr, 10),
        entry(&qr, 20),
        entry(&qr, SECOND),
        exit(&qr, THIRD),
        entry(&qr, THIRD + 10),
        exit(&qr, THIRD + 20),
    ];
    assert_eq!(
        phone.reasons(scans).await,
        [
            Reason::Admitted,
            Reason::Exited,
            Reason::AlreadyScanned,
            Reason::Readmitted,
            Reason::NotInside,
            Reason::Readmitted,
            Reason::Exited,
        ]
    );
}

#[tokio::test]
async fn the_manifest_tells_the_admissions_on_the_day_of_the_last_one() {
    let mut test_event = daily();
    let yesterday = SECOND - 2 * 86_400 + 60;
    for (number, last, admissions, day_admissions, entry_limit) in [
        (1, -60, 1, 1, 1),
        (2, yesterday, 1, 1, 1),
        // Five admissions in all, of which one was today.
        (3, -60, 5, 1, 2),
        (4, -60, 5, 2, 2),
    ] {
        let ticket = &mut test_event.tickets[number - 1];
        ticket.last_admission = Some(after(last));
        ticket.admissions = admissions;
        ticket.day_admissions = day_admissions;
        ticket.inside = 1;
        ticket.entry_limit = entry_limit;
    }
    let phone = test_event.phone().await;
    let scan = |number: u8, seconds| entry(test_event.vg2(number), seconds);
    let scans = [
        scan(1, 0),
        scan(2, 1),
        scan(3, 2),
        scan(3, 10),
        scan(4, 11),
        scan(1, SECOND),
        scan(4, SECOND + 1),
        scan(4, SECOND + 10),
        scan(4, SECOND + 20),
    ];
    assert_eq!(
        phone.reasons(scans).await,
        [
            Reason::AlreadyScanned,
            Reason::Readmitted,
            Reason::Readmitted,
            Reason::EntryLimitReached,
            Reason::EntryLimitReached,
            Reason::Readmitted,
            Reason::Readmitted,
            Reason::Readmitted,
            Reason::EntryLimitReached,
        ]
    );
    let leaving = [exit(test_event.vg2(1), 1), exit(test_event.vg2(2), 2)];
    let other_phone = test_event.phone().await;
    assert_eq!(
        other_phone.reasons(leaving).await,
        [Reason::Exited, Reason::NotInside],
        "the holder who entered yesterday has left"
    );
}

#[tokio::test]
async fn what_the_server_said_of_a_ticket_holds_for_its_day() {
    let test_event = daily();
    let phone = test_event.phone().await;
    // The server denied ticket 1, which another device had admitted, and admitted ticket 2 at this phone's gate.
    let denied = Verdict {
        previous_scan: Some(elsewhere(5)),
        ..online_verdict(1, Reason::AlreadyScanned, TicketStatus::Scanned, 1, 10)
    };
    phone.learn(&denied).await;
    phone
        .learn(&online_verdict(
            2,
            Reason::Readmitted,
            TicketStatus::Scanned,
            4,
            10,
        ))
        .await;
    for (number, reason) in [(1, Reason::AlreadyScanned), (2, Reason::AlreadyScanned)] {
        let scan = entry(test_event.vg2(number), 60);
        assert_eq!(phone.reason(scan).await, reason, "{number} today");
        let scan = entry(test_event.vg2(number), SECOND + 60);
        assert_eq!(phone.reason(scan).await, Reason::Readmitted, "{number} tomorrow");
        let scan = entry(test_event.vg2(number), SECOND + 120);
        assert_eq!(phone.reason(scan).await, reason, "{number} tomorrow again");
    }
}

#[tokio::test]
async fn a_new_manifest_counts_the_phones_own_admissions_once() {
    let mut test_event = daily();
    let phone = test_event.phone().await;
    let qr = test_event.vg2(1);
    assert_eq!(phone.reasons([entry(&qr, 0)]).await, [Reason::Admitted]);
    // Another device admitted the ticket on the second day, and the manifest has that and not the phone's own scan.
    let ticket = &mut test_event.tickets[0];
    (ticket.admissions, ticket.day_admissions, ticket.inside) = (1, 1, 1);
    ticket.last_admission = Some(after(SECOND + 5));
    let bytes = test_event.later(SECOND + 100);
    phone
        .install(&test_event, bytes, SECOND + 100)
        .await
        .expect("it is newer");
    let scans = [
        entry(&qr, SECOND + 110),
        entry(&qr, THIRD),
        entry(&qr, THIRD + 60),
    ];
    assert_eq!(
        phone.reasons(scans).await,
        [Reason::AlreadyScanned, Reason::Readmitted, Reason::AlreadyScanned]
    );
}

#[tokio::test]
async fn a_ticket_that_the_manifest_does_not_list_is_admitted_each_day() {
    let test_event = daily();
    let phone = test_event.phone().await;
    let qr = test_event.vg2(90);
    let scans = [
        entry(&qr, 0),
        entry(&qr, 60),
        entry(&qr, SECOND),
        entry(&qr, SECOND + 60),
    ];
    assert_eq!(
        phone.reasons(scans).await,
        [
            Reason::Admitted,
            Reason::AlreadyScanned,
            Reason::Readmitted,
            Reason::AlreadyScanned,
        ]
    );
}

#[tokio::test]
async fn a_phone_knows_the_days_on_which_the_clocks_change() {
    let test_event = daily();
    let phone = test_event.phone().await;
    let qr = test_event.vg2(1);
    let seconds = |text: &str| {
        let at: Timestamp = text.parse().expect("a time");
        at.millis_since(MADE_AT) / 1000
    };
    // In Berlin 06:00 is 04:00 UTC in summer and 05:00 UTC in winter: the day before 25 October has 25 hours, and the one
    // before 28 March 23.
    for (begin, last, next) in [
        (
            "2026-10-24T04:00:00Z",
            "2026-10-25T04:59:50Z",
            "2026-10-25T05:00:00Z",
        ),
        (
            "2027-03-27T05:00:00Z",
            "2027-03-28T03:59:50Z",
            "2027-03-28T04:00:00Z",
        ),
    ] {
        let [begin, last, next] = [begin, last, next].map(seconds);
        let scans = [entry(&qr, begin), entry(&qr, last), entry(&qr, next)];
        let reasons = phone.reasons(scans).await;
        assert_eq!(
            reasons[1..],
            [Reason::AlreadyScanned, Reason::Readmitted],
            "{begin}"
        );
        assert_eq!(reasons[0].result(), ScanResult::Valid);
    }
}
