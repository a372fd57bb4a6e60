//! The policy `daily` on every path of a server: online, from a cache, in a dry run, and for scans that are uploaded. The days
//! are those on which the clocks change. `client/offline/tests/daily.rs` has the phone.
//!
//! The expected times are written out. Nothing here computes them.

use voelgoed_scan_core::model::{
    DecidedBy, EventPut, EventStatus, Name, Reason, Reentry, ScanResult, Timestamp,
};
use voelgoed_scan_core::rules::ConflictKind;

use super::Scene;
use super::event_states::Door;
use crate::office::Kind;
use crate::run;

use Reason::{Admitted, AlreadyScanned, Exited, NotInside, Readmitted};

/// Days: zone, start of days, the first instant of the day, and the first of the next one. They follow one another, because
/// a change of the rules begins after every scan on record.
const DAYS: [(&str, &str, &str, &str); 9] = [
    // The clocks of Brazil changed at midnight: on 18 February 2018 it was 23:00 of the day before again, and
    // 4 November 2018 began at 01:00.
    (
        "America/Sao_Paulo",
        "00:00",
        "2018-02-17T02:00:00Z",
        "2018-02-18T03:00:00Z",
    ),
    (
        "America/Sao_Paulo",
        "00:00",
        "2018-11-04T03:00:00Z",
        "2018-11-05T02:00:00Z",
    ),
    // On 5 April 2026 the clocks of Lord Howe Island went back by half an hour, from 02:00 to 01:30.
    (
        "Australia/Lord_Howe",
        "01:45",
        "2026-04-04T14:45:00Z",
        "2026-04-05T15:15:00Z",
    ),
    (
        "Asia/Kolkata",
        "06:00",
        "2026-11-29T00:30:00Z",
        "2026-11-30T00:30:00Z",
    ),
    // On 28 March 2027 and on 26 March 2028 it is 03:00 in Berlin after 01:59, on 31 October 2027 and on 29 October 2028 it is
    // 02:00 again after 02:59.
    (
        "Europe/Berlin",
        "00:00",
        "2027-03-27T23:00:00Z",
        "2027-03-28T22:00:00Z",
    ),
    (
        "Europe/Berlin",
        "00:00",
        "2027-10-30T22:00:00Z",
        "2027-10-31T23:00:00Z",
    ),
    (
        "Europe/Berlin",
        "02:30",
        "2028-03-26T01:00:00Z",
        "2028-03-27T00:30:00Z",
    ),
    (
        "Europe/Berlin",
        "02:30",
        "2028-10-29T00:30:00Z",
        "2028-10-30T01:30:00Z",
    ),
    ("UTC", "06:00", "2028-11-02T06:00:00Z", "2028-11-03T06:00:00Z"),
];

/// The tickets of a day, each for a path of its own.
const TICKETS: usize = 5;

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn daily(zone: &str, day_starts_at: &str) -> EventPut {
    EventPut {
        reentry: Reentry::Daily,
        time_zone: zone.parse().expect("a zone"),
        day_starts_at: day_starts_at.parse().expect("a time of day"),
        ..EventPut::new(Name::new("Kirkwood Fees").expect("a name"), EventStatus::Live)
    }
}

/// Scans one ticket at several times, and checks the reason and what decided.
async fn check_scans(door: &Door<'_>, ticket: usize, scans: &[(Timestamp, Reason, DecidedBy)]) {
    for (now, reason, decided_by) in scans {
        let answer = door.scan(ticket, *now).await;
        assert_eq!(
            (answer.reason, answer.decided_by),
            (*reason, *decided_by),
            "{now}"
        );
    }
}

#[test]
fn a_ticket_admits_once_a_day_on_every_path_also_where_the_clocks_change() {
    use DecidedBy::{Database, Memory};

    run(async |server, clock| {
        let kinds = vec![Kind::Plain; DAYS.len() * TICKETS];
        let scene = Scene::new(&server, clock, Reentry::Never, &kinds).await;
        let door = Door::open(&scene.office).await;
        for (row, (zone, starts_at, from, until)) in DAYS.into_iter().enumerate() {
            let (from, until) = (at(from), at(until));
            let first = row * TICKETS;
            let [whole_day, at_the_end, before, undecided, let_in] =
                [first, first + 1, first + 2, first + 3, first + 4];
            door.put(daily(zone, starts_at), from.plus_millis(-3_600_000))
                .await;

            // The day before ends as this one begins.
            check_scans(
                &door,
                before,
                &[
                    (from.plus_millis(-1), Admitted, Database),
                    (from, Readmitted, Database),
                    (from.plus_millis(1), AlreadyScanned, Memory),
                ],
            )
            .await;
            check_scans(&door, whole_day, &[(from, Admitted, Database)]).await;
            // A cache denies until five seconds before the day ends.
            check_scans(
                &door,
                at_the_end,
                &[
                    (until.plus_millis(-60_000), Admitted, Database),
                    (until.plus_millis(-5_001), AlreadyScanned, Memory),
                    (until.plus_millis(-5_000), AlreadyScanned, Database),
                    (until.plus_millis(-1), AlreadyScanned, Database),
                ],
            )
            .await;
            let dry_run = |now| door.request(whole_day, now, true);
            assert_eq!(
                dry_run(until.plus_millis(-1)).await.reason,
                AlreadyScanned,
                "{until}"
            );
            assert_eq!(dry_run(until).await.reason, Readmitted, "{until}");
            check_scans(
                &door,
                whole_day,
                &[
                    (until.plus_millis(-1), AlreadyScanned, Database),
                    (until, Readmitted, Database),
                ],
            )
            .await;
            check_scans(
                &door,
                at_the_end,
                &[
                    (until, Readmitted, Database),
                    (until.plus_millis(1), AlreadyScanned, Memory),
                ],
            )
            .await;

            // The same times for scans that arrive an hour later: undecided ones, and those that the device let in.
            let times = [from, until.plus_millis(-1), until];
            let arrival = until.plus_millis(3_600_000);
            for (ticket, local) in [(undecided, None), (let_in, Some(ScanResult::Valid))] {
                let items = times.map(|time| door.item(ticket, time, local));
                let results = door.upload(&items, arrival).await;
                let reasons: Vec<_> = results.iter().map(|result| result.reason).collect();
                assert_eq!(
                    reasons,
                    [Some(Admitted), Some(AlreadyScanned), Some(Readmitted)],
                    "{zone} {from} {local:?}"
                );
                let conflicts = results.iter().filter_map(|result| result.conflict.as_ref());
                let kinds: Vec<_> = conflicts.map(|conflict| conflict.kind).collect();
                // A double entry is named at the scan that won and at the one that lost.
                let expected = match local {
                    Some(_) => vec![ConflictKind::DoubleEntry; 2],
                    None => Vec::new(),
                };
                assert_eq!(kinds, expected, "{zone} {from} {local:?}");
            }
        }
    });
}

#[test]
fn a_cache_answers_only_on_the_day_of_the_last_admission() {
    run(async |server, clock| {
        let scene = Scene::new(&server, clock, Reentry::Never, &[Kind::Plain; 2]).await;
        let door = Door::open(&scene.office).await;
        let begin = at("2026-11-23T05:00:00Z");
        door.put(daily("Europe/Berlin", "06:00"), begin.plus_millis(-7_200_000))
            .await;
        assert_eq!(door.scan(0, begin.plus_millis(-30_000)).await.reason, Admitted);
        // Ten seconds into the next day the cache still has the ticket, and the counts of the day before.
        let answer = door.request(0, begin.plus_millis(10_000), true).await;
        assert_eq!(answer.reason, Readmitted);
        let answer = door.scan(0, begin.plus_millis(10_000)).await;
        assert_eq!(
            (answer.reason, answer.decided_by),
            (Readmitted, DecidedBy::Database)
        );
        assert_eq!(answer.occupancy.event.inside, 1);
        let answer = door.scan(0, begin.plus_millis(11_000)).await;
        assert_eq!(
            (answer.reason, answer.decided_by),
            (AlreadyScanned, DecidedBy::Memory)
        );
        assert_eq!(answer.occupancy.event.inside, 1);
    });
}

#[test]
fn people_of_an_earlier_day_have_left() {
    run(async |server, clock| {
        let scene = Scene::new(&server, clock, Reentry::Never, &[Kind::Plain; 2]).await;
        let door = Door::open(&scene.office).await;
        let begin = at("2026-11-23T05:00:00Z");
        door.put(daily("Europe/Berlin", "06:00"), begin.plus_millis(-7_200_000))
            .await;
        assert_eq!(door.scan(0, begin.plus_millis(-2)).await.reason, Admitted);
        assert_eq!(door.scan(1, begin).await.reason, Admitted);
        let shown = door.leave(0, begin.plus_millis(1)).await;
        assert_eq!((shown.reason, shown.occupancy.event.inside), (NotInside, 1));
        assert!(shown.previous_scan.is_some());
        let shown = door.leave(1, begin.plus_millis(2)).await;
        assert_eq!((shown.reason, shown.occupancy.event.inside), (Exited, 0));
        assert_eq!(door.scan(1, begin.plus_millis(3)).await.reason, AlreadyScanned);
    });
}
