use proptest::prelude::*;

use super::*;

fn rules(zone: &str, day_starts_at: &str) -> EventRules {
    EventRules {
        reentry: Reentry::Daily,
        time_zone: zone.parse().expect("a zone"),
        day_starts_at: day_starts_at.parse().expect("a time of day"),
    }
}

fn event(rules: &EventRules) -> Event {
    let EventRules {
        reentry,
        time_zone,
        day_starts_at,
    } = rules.clone();
    Event {
        time_zone,
        day_starts_at,
        reentry,
        ..crate::rules::decision::tests::event()
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().expect(text)
}

/// A zone, the local time at which days begin, and the starts of consecutive days with the length of each in minutes.
type ConsecutiveDays = (&'static str, &'static str, &'static [(&'static str, i64)]);

const fn hours(hours: i64) -> i64 {
    hours * 60
}

/// The days follow from the rules of the zones.
const DAYS: &[ConsecutiveDays] = &[
    // The clocks change from 02:00 to 03:00 on 29 March 2026.
    (
        "Europe/Berlin",
        "00:00",
        &[
            ("2026-03-27T23:00:00Z", hours(24)),
            ("2026-03-28T23:00:00Z", hours(23)),
            ("2026-03-29T22:00:00Z", hours(24)),
        ],
    ),
    // 02:30 does not exist on that day: it begins at 03:00.
    (
        "Europe/Berlin",
        "02:30",
        &[
            ("2026-03-28T01:30:00Z", hours(24) - 30),
            ("2026-03-29T01:00:00Z", hours(24) - 30),
            ("2026-03-30T00:30:00Z", hours(24)),
        ],
    ),
    // The clocks change from 03:00 to 02:00 on 25 October 2026: 02:30 comes twice, and the first counts.
    (
        "Europe/Berlin",
        "02:30",
        &[
            ("2026-10-24T00:30:00Z", hours(24)),
            ("2026-10-25T00:30:00Z", hours(25)),
            ("2026-10-26T01:30:00Z", hours(24)),
        ],
    ),
    (
        "Europe/Berlin",
        "06:00",
        &[
            ("2026-10-24T04:00:00Z", hours(25)),
            ("2026-10-25T05:00:00Z", hours(24)),
        ],
    ),
    // Until 2019 the clocks of Brazil changed at midnight: 4 November 2018 began at 01:00.
    (
        "America/Sao_Paulo",
        "00:00",
        &[
            ("2018-11-03T03:00:00Z", hours(24)),
            ("2018-11-04T03:00:00Z", hours(23)),
            ("2018-11-05T02:00:00Z", hours(24)),
        ],
    ),
    // On 18 February 2018 midnight became 23:00, so 17 February has 25 hours, and 23:30 of it comes twice.
    (
        "America/Sao_Paulo",
        "00:00",
        &[
            ("2018-02-17T02:00:00Z", hours(25)),
            ("2018-02-18T03:00:00Z", hours(24)),
        ],
    ),
    (
        "America/Sao_Paulo",
        "23:30",
        &[
            ("2018-02-17T01:30:00Z", hours(24)),
            ("2018-02-18T01:30:00Z", hours(25)),
            ("2018-02-19T02:30:00Z", hours(24)),
        ],
    ),
    // Lord Howe Island: ten and a half hours ahead, eleven in summer, from 4 October 2026 at 02:00.
    (
        "Australia/Lord_Howe",
        "00:00",
        &[
            ("2026-10-02T13:30:00Z", hours(24)),
            ("2026-10-03T13:30:00Z", hours(24) - 30),
            ("2026-10-04T13:00:00Z", hours(24)),
        ],
    ),
    (
        "Australia/Lord_Howe",
        "02:15",
        &[
            ("2026-10-02T15:45:00Z", hours(24) - 15),
            ("2026-10-03T15:30:00Z", hours(24) - 15),
            ("2026-10-04T15:15:00Z", hours(24)),
        ],
    ),
    // From 5 April 2026 at 02:00 it is 01:30 again: that day has 24 hours and a half.
    (
        "Australia/Lord_Howe",
        "01:45",
        &[
            ("2026-04-03T14:45:00Z", hours(24)),
            ("2026-04-04T14:45:00Z", hours(24) + 30),
            ("2026-04-05T15:15:00Z", hours(24)),
        ],
    ),
    // Samoa had no 30 December 2011: its start is that of 31 December.
    (
        "Pacific/Apia",
        "00:00",
        &[
            ("2011-12-29T10:00:00Z", hours(24)),
            ("2011-12-30T10:00:00Z", hours(24)),
        ],
    ),
    (
        "Asia/Kolkata",
        "06:00",
        &[
            ("2026-11-28T00:30:00Z", hours(24)),
            ("2026-11-29T00:30:00Z", hours(24)),
        ],
    ),
];

#[test]
fn days_begin_at_the_local_time_and_have_23_or_25_hours_where_the_clocks_change() {
    for (zone, starts, begins) in DAYS {
        let rules = rules(zone, starts);
        for (begin, minutes) in *begins {
            let begin = at(begin);
            let day = Day {
                from: begin,
                until: begin.plus_millis(minutes * 60_000),
            };
            for inside in [begin, begin.plus_millis(1), day.until.plus_millis(-1)] {
                assert_eq!(rules.day(inside), Some(day), "{zone} {starts} {inside}");
            }
            let before = rules.day(begin.plus_millis(-1)).expect("a day");
            assert_eq!(before.until, begin, "{zone} {starts} before {begin}");
        }
    }
}

#[test]
fn only_daily_has_days() {
    for reentry in Reentry::ALL {
        let rules = EventRules {
            reentry: *reentry,
            ..rules("Europe/Berlin", "06:00")
        };
        let is_daily = *reentry == Reentry::Daily;
        assert_eq!(rules.day(at("2026-03-29T12:00:00Z")).is_some(), is_daily);
        let begins = event(&rules).day_begins(at("2026-03-29T12:00:00Z"));
        assert_eq!(begins.is_empty(), !is_daily);
    }
}

#[test]
fn a_manifest_holds_the_begins_of_400_days_from_yesterday() {
    let begins = event(&rules("Europe/Berlin", "06:00")).day_begins(at("2026-03-29T12:00:00Z"));
    assert_eq!(begins.len(), 400);
    assert_eq!(begins[0], at("2026-03-28T05:00:00Z"));
    assert_eq!(begins[1], at("2026-03-29T04:00:00Z"));
    assert_eq!(begins[399], at("2027-05-01T04:00:00Z"));
    let instants = event(&rules("Europe/Berlin", "06:00")).day_begins(at("2026-03-29T03:59:59Z"));
    assert_eq!(
        instants[0],
        at("2026-03-27T05:00:00Z"),
        "the day before began the evening before"
    );
}

#[test]
fn the_days_of_the_first_and_the_last_year_have_an_end() {
    for zone in ["Pacific/Kiritimati", "Pacific/Pago_Pago", "UTC"] {
        let rules = rules(zone, "12:00");
        for time in [Timestamp::MIN, Timestamp::MAX] {
            let day = rules.day(time).expect("a day");
            assert!(day.from <= time && time <= day.until, "{zone} {day:?}");
        }
    }
}

#[test]
fn people_are_counted_from_the_begin_of_the_day_unless_daily_began_after_it() {
    let (rules, never) = (rules("UTC", "06:00"), EventRules::constant(Reentry::Never));
    let (today, now) = (at("2026-11-29T06:00:00Z"), at("2026-11-29T10:00:00Z"));
    let earlier = at("2026-11-27T06:00:00Z");
    let found = |rules: &EventRules, since| ScanDay::new(rules.day(now), since, earlier);
    let day = |from, counted_since| ScanDay { from, counted_since };
    assert_eq!(found(&rules, Timestamp::MIN), day(today, today));
    assert_eq!(found(&rules, today), day(today, today));
    assert_eq!(found(&rules, today.plus_millis(1)), day(today, earlier));
    assert_eq!(found(&never, Timestamp::MIN), day(Timestamp::MIN, earlier));
}

#[test]
fn beyond_the_begins_that_a_phone_knows_days_have_24_hours() {
    let begins = [
        at("2026-03-28T05:00:00Z"),
        at("2026-03-29T04:00:00Z"),
        at("2026-03-30T04:00:00Z"),
    ];
    for (time, from) in [
        ("2026-03-26T05:00:00Z", "2026-03-26T05:00:00Z"),
        ("2026-03-28T04:59:59Z", "2026-03-27T05:00:00Z"),
        ("2026-03-28T05:00:00Z", "2026-03-28T05:00:00Z"),
        ("2026-03-29T03:59:59Z", "2026-03-28T05:00:00Z"),
        ("2026-03-29T04:00:00Z", "2026-03-29T04:00:00Z"),
        ("2026-03-31T03:59:59Z", "2026-03-30T04:00:00Z"),
        ("2026-04-03T05:00:00Z", "2026-04-03T04:00:00Z"),
    ] {
        let from = at(from);
        let expected = ScanDay {
            from,
            counted_since: from,
        };
        assert_eq!(ScanDay::of_begins(&begins, at(time)), expected, "{time}");
    }
    assert_eq!(ScanDay::of_begins(&[], begins[0]), ScanDay::ENDLESS);
}

proptest! {
    #[test]
    fn days_follow_one_another_without_gaps(
        zone in prop::sample::select(vec![
            "Europe/Berlin", "America/Sao_Paulo", "Australia/Lord_Howe", "America/Havana", "Africa/Casablanca",
            "Pacific/Apia", "Asia/Kolkata", "America/St_Johns", "Atlantic/Azores",
        ]),
        minutes in 0..1440_u16,
        seconds in 0..2_000_000_000_i64,
    ) {
        let rules = rules(zone, &format!("{:02}:{:02}", minutes / 60, minutes % 60));
        let time = Timestamp::from_seconds(seconds);
        let day = rules.day(time).expect("a day");
        prop_assert!(day.from <= time && time < day.until);
        prop_assert_eq!(rules.day(day.until.plus_millis(-1)), Some(day));
        let next = rules.day(day.until).expect("a day");
        prop_assert_eq!(next.from, day.until);
        let hours = day.until.millis_since(day.from) / 3_600_000;
        prop_assert!((20..=49).contains(&hours), "{} hours", hours);
        let begins = event(&rules).day_begins(time);
        prop_assert_eq!(ScanDay::of_begins(&begins, time).from, day.from);
    }
}
