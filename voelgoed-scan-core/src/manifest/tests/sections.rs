//! The sections of a manifest: unknown ones, missing ones, and every way to damage them.

use super::*;

/// A manifest with every section.
fn full() -> Vec<u8> {
    let event = Event {
        reentry: Reentry::Daily,
        ..event_with_all_times()
    };
    body_with_messages(&messages::custom("nl", "admitted", "Welkom"), &event)
}

fn body_for(event: &Event) -> Vec<u8> {
    body_with_messages(CustomMessages::NONE, event)
}

fn body_with_messages(messages: &CustomMessages, event: &Event) -> Vec<u8> {
    let tickets = [
        ticket(1),
        ManifestTicket {
            gate_ids: Some(vec![gate(11).id]),
            admissions: 1,
            inside: 1,
            last_admission: Some(MADE),
            ..ticket(2)
        },
        ManifestTicket {
            ticket_class: Some(class("Late")),
            media: vec![media::key(event, "barcode:4006381333931")],
            ..ticket(3)
        },
    ];
    let mut body = signed_with_messages(messages, event, 5, None, &tickets);
    body.truncate(body.len() - 64);
    body
}

/// An event that needs every section for times.
fn event_with_all_times() -> Event {
    Event {
        status: EventStatus::Postponed,
        doors_open_at: Some(MADE.plus_millis(1)),
        doors_close_at: Some(MADE.plus_millis(2)),
        rescheduled_at: Some(MADE.plus_millis(3)),
        allow_media: true,
        ..event(2)
    }
}

/// The sections that a manifest may lack.
const ABSENT_WHERE_NOT_NEEDED: [u8; 4] = [16, 17, 19, 21];

fn error_of(body: Vec<u8>) -> Option<ManifestError> {
    read(signed_again(body)).err()
}

/// The rows of the table of sections in `docs/manifest.md`: tag, name, and whether the flag says "required".
fn documented_sections() -> Vec<(u8, &'static str, bool, bool)> {
    let page = include_str!("../../../../docs/manifest.md");
    let mut rows = Vec::new();
    for line in page.lines() {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        if let [tag, name, kind, _] = cells[..]
            && let Ok(tag) = tag.parse()
        {
            let is_required = kind.starts_with("required");
            assert!(is_required || kind.starts_with("optional"), "{line}");
            rows.push((
                tag,
                name.trim_matches('`'),
                is_required,
                kind.ends_with("reserved"),
            ));
        }
    }
    rows
}

/// The documentation is the list that never changes: a section that is moved or renumbered differs from it.
#[test]
fn the_tags_and_flags_of_the_sections_never_change() {
    let documented = documented_sections();
    assert!(documented.iter().map(|row| row.0).is_sorted(), "{documented:?}");
    let in_use: Vec<_> = documented.iter().filter(|row| !row.3).collect();
    let declared: Vec<_> = Section::ALL
        .iter()
        .map(|section| (section.tag(), format!("{section:?}")))
        .collect();
    let named: Vec<_> = in_use.iter().map(|row| (row.0, row.1.to_owned())).collect();
    assert_eq!(declared, named);
    let written: Vec<_> = sections_of(&full())
        .into_iter()
        .map(|(tag, is_required, _)| (tag, is_required))
        .collect();
    let flags: Vec<_> = in_use.iter().map(|row| (row.0, row.2)).collect();
    assert_eq!(written, flags);
    let reserved: Vec<_> = documented.iter().filter(|row| row.3).map(|row| row.0).collect();
    assert_eq!(reserved, [0_u8; 0]);
}

#[test]
fn an_unknown_section_is_skipped_or_refused_as_its_flag_says() {
    let body = body_for(&event(2));
    let plain = in_use(signed_again(body.clone()));
    let skipped = with_section(&with_section(&body, 77, false, b"any bytes"), 200, false, b"");
    let manifest = in_use(signed_again(skipped));
    assert_eq!(manifest.head(), plain.head());
    assert!(manifest.tickets().eq(plain.tickets()));
    for tag in [10, 15, 255] {
        assert_eq!(
            error_of(with_section(&body, tag, true, b"x")),
            Some(ManifestError::UnknownSection { tag })
        );
    }
    let between = with_section(&with_section(&body, 77, false, b"x"), 78, true, b"y");
    assert_eq!(error_of(between), Some(ManifestError::UnknownSection { tag: 78 }));
}

#[test]
fn a_delta_with_a_skipped_section_merges_without_it() {
    let installed = in_use(signed(1, None, &[ticket(1)]));
    let mut delta = signed(2, Some(1), &[ticket(2)]);
    delta.truncate(delta.len() - 64);
    let delta = read(signed_again(with_section(&delta, 77, false, b"newer"))).expect("it is skipped");
    let merged = delta.into_manifest(Some(&installed)).expect("the base fits");
    assert_eq!(merged.len(), 2);
}

#[test]
fn a_missing_or_repeated_or_misplaced_section_is_malformed() {
    let body = full();
    for (tag, _, content) in sections_of(&body) {
        let without = [&body[..content.start - 6], &body[content.end..]].concat();
        let error = (!ABSENT_WHERE_NOT_NEEDED.contains(&tag)).then_some(ManifestError::Malformed);
        assert_eq!(error_of(without.clone()), error, "without {tag}");
        let again = with_section(&body, tag, true, &body[content.clone()]);
        assert_eq!(error_of(again), Some(ManifestError::Malformed), "{tag} twice");
        if tag != 21 {
            let moved = with_section(&without, tag, true, &body[content.clone()]);
            assert_eq!(
                error_of(moved),
                Some(ManifestError::Malformed),
                "{tag} at the end"
            );
        }
        let mut flagged = body.clone();
        flagged[content.start - 5] |= 2;
        assert_eq!(
            error_of(flagged),
            Some(ManifestError::Malformed),
            "an unknown flag of {tag}"
        );
    }
}

#[test]
fn a_section_that_is_one_byte_longer_or_shorter_is_malformed() {
    let body = full();
    for (tag, _, content) in sections_of(&body) {
        for longer in [true, false] {
            let mut changed = body[content.clone()].to_vec();
            if longer {
                changed.push(0);
            } else {
                changed.pop();
            }
            let length = u32::try_from(changed.len()).expect("it is small").to_be_bytes();
            let before = &body[..content.start - 4];
            let whole = [before, &length, &changed, &body[content.end..]].concat();
            let error = error_of(whole);
            assert_eq!(
                error,
                Some(ManifestError::Malformed),
                "section {tag}, longer: {longer}"
            );
        }
    }
}

#[test]
fn a_length_beyond_the_end_is_malformed_and_allocates_nothing() {
    let body = full();
    for (_, _, content) in sections_of(&body) {
        for length in [u32::MAX, u32::MAX / 2, 1 << 30] {
            let mut changed = body.clone();
            changed[content.start - 4..content.start].copy_from_slice(&length.to_be_bytes());
            assert_eq!(error_of(changed), Some(ManifestError::Malformed));
        }
    }
}

#[test]
fn every_changed_bit_is_refused() {
    let genuine = signed_again(body_for(&event_with_all_times()));
    for at in 0..genuine.len() {
        for bit in 0..8 {
            let mut changed = genuine.clone();
            changed[at] ^= 1 << bit;
            assert!(read(changed).is_err(), "bit {bit} of byte {at}");
        }
    }
}

#[test]
fn a_manifest_that_is_cut_anywhere_is_refused() {
    let body = body_for(&event_with_all_times());
    let genuine = signed_again(body.clone());
    for length in 0..genuine.len() {
        assert!(
            read(genuine[..length].to_vec()).is_err(),
            "the first {length} bytes"
        );
    }
    // Even if the organization itself signs the part: no part of a manifest is a manifest, except for all sections before one
    // that another event does not need.
    let whole_without_rest: Vec<_> = sections_of(&body)
        .into_iter()
        .filter(|(tag, ..)| ABSENT_WHERE_NOT_NEEDED.contains(tag))
        .map(|(_, _, content)| content.start - 6)
        .collect();
    for length in 21..body.len() {
        let error = error_of(body[..length].to_vec());
        let is_part = !whole_without_rest.contains(&length);
        assert_eq!(
            error,
            is_part.then_some(ManifestError::Malformed),
            "the first {length} bytes, signed"
        );
    }
    // A daily event needs its days and the admissions of a day. The messages come last, and an organization may have none.
    let body = full();
    for (tag, _, content) in sections_of(&body) {
        let error = error_of(body[..content.start - 6].to_vec());
        let expected = (tag != 21).then_some(ManifestError::Malformed);
        assert_eq!(error, expected, "up to section {tag}");
    }
}

#[test]
fn an_event_has_its_doors_and_its_new_start_in_sections_of_their_own() {
    let tags = |event: &Event| {
        let mut body = signed_for_event(event, 5, None, &[]);
        body.truncate(body.len() - 64);
        let tags = sections_of(&body).into_iter().map(|(tag, _, _)| tag);
        tags.filter(|tag| matches!(tag, 16 | 17)).collect::<Vec<_>>()
    };
    let read_back = |event: &Event| {
        let installed = in_use(signed_for_event(event, 5, None, &[]));
        let read = installed.head().event.clone();
        (read.doors_open_at, read.doors_close_at, read.rescheduled_at)
    };
    let all = event_with_all_times();
    let (open, close, start) = (all.doors_open_at, all.doors_close_at, all.rescheduled_at);
    assert_eq!(tags(&all), [16, 17]);
    assert_eq!(read_back(&all), (open, close, start));
    let live = Event {
        status: EventStatus::Live,
        ..all.clone()
    };
    assert_eq!(tags(&live), [16], "only a postponed event has a new start");
    assert_eq!(read_back(&live), (open, close, None));
    let only_closing = Event {
        doors_open_at: None,
        ..live.clone()
    };
    assert_eq!(read_back(&only_closing), (None, close, None));
    let without_doors = Event {
        doors_open_at: None,
        doors_close_at: None,
        ..all
    };
    assert_eq!(tags(&without_doors), [17]);
    assert_eq!(read_back(&without_doors), (None, None, start));
    assert!(tags(&event(2)).is_empty());
}

#[test]
fn a_delta_replaces_the_doors() {
    let installed = in_use(signed_for_event(&event_with_all_times(), 1, None, &[ticket(1)]));
    let other = Event {
        doors_open_at: Some(MADE.plus_millis(9)),
        doors_close_at: None,
        rescheduled_at: None,
        ..event_with_all_times()
    };
    for event in [other, event(2)] {
        let delta = read(signed_for_event(&event, 2, Some(1), &[])).expect("a valid signature");
        let merged = delta.into_manifest(Some(&installed)).expect("the base fits");
        let read = &merged.head().event;
        assert_eq!(
            (read.doors_open_at, read.doors_close_at, read.rescheduled_at),
            (event.doors_open_at, event.doors_close_at, event.rescheduled_at)
        );
    }
}

fn daily() -> Event {
    Event {
        reentry: Reentry::Daily,
        time_zone: "Europe/Berlin".parse().expect("a zone"),
        day_starts_at: "06:00".parse().expect("a time of day"),
        ..event(2)
    }
}

/// A ticket with three admissions, of which two were on the day of the last one.
fn with_history(number: u128) -> ManifestTicket {
    ManifestTicket {
        entry_limit: 3,
        admissions: 3,
        inside: 1,
        last_admission: Some(MADE),
        day_admissions: 2,
        ..ticket(number)
    }
}

#[test]
fn a_daily_event_has_the_begins_of_its_days_and_the_admissions_of_a_day() {
    let installed = in_use(signed_for_event(&daily(), 5, None, &[ticket(1), with_history(2)]));
    let head = installed.head();
    assert_eq!(head.days, daily().day_begins(MADE));
    assert_eq!(head.days.len(), 400);
    // It was made on 28 May 2026 at 22:26 in Berlin. The day began at 06:00, which is 04:00 UTC.
    let at = |text: &str| text.parse::<Timestamp>().expect(text);
    assert_eq!(head.days[0], at("2026-05-27T04:00:00Z"));
    for (time, begin) in [
        ("2026-05-28T20:26:40Z", "2026-05-28T04:00:00Z"),
        ("2026-05-29T03:59:59.999Z", "2026-05-28T04:00:00Z"),
        ("2026-05-29T04:00:00Z", "2026-05-29T04:00:00Z"),
        ("2026-10-25T06:00:00Z", "2026-10-25T05:00:00Z"),
    ] {
        assert_eq!(head.day(at(time)).from, at(begin), "{time}");
    }
    let found: Vec<_> = installed.tickets().collect();
    assert_eq!(found, last_by_key(&[ticket(1), with_history(2)]));
}

#[test]
fn days_that_do_not_ascend_or_counts_that_do_not_fit_are_malformed() {
    let mut body = signed_for_event(&daily(), 5, None, &[with_history(1)]);
    body.truncate(body.len() - 64);
    let (days, counts) = (content_of(&body, 18), content_of(&body, 20));
    let replaced = |range: &std::ops::Range<usize>, tag: u8, content: &[u8]| {
        let without = [&body[..range.start - 6], &body[range.end..]].concat();
        with_section(&without, tag, true, content)
    };
    let mut turned = body[days.clone()].to_vec();
    turned.rotate_left(8);
    let malformed = Some(ManifestError::Malformed);
    for days_of in [&b""[..], &turned, &body[days.start..days.end - 1]] {
        let without_counts = replaced(&counts, 20, &body[counts.clone()]);
        let start = content_of(&without_counts, 18);
        let cut = [
            &without_counts[..start.start - 6],
            &without_counts[start.end..content_of(&without_counts, 20).start - 6],
        ]
        .concat();
        let again = with_section(
            &with_section(&cut, 18, true, days_of),
            20,
            true,
            &body[counts.clone()],
        );
        assert_eq!(error_of(again), malformed);
    }
    for content in [&b""[..], &[0; 3], &[0; 8]] {
        assert_eq!(error_of(replaced(&counts, 20, content)), malformed);
    }
}

#[test]
fn a_delta_onto_a_manifest_without_days_takes_all_admissions_for_those_of_the_last_day() {
    let never = Event {
        reentry: Reentry::Never,
        ..daily()
    };
    let installed = in_use(signed_for_event(
        &never,
        1,
        None,
        &[with_history(1), with_history(2)],
    ));
    let delta = read(signed_for_event(&daily(), 2, Some(1), &[with_history(2)])).expect("a valid signature");
    let merged = delta.into_manifest(Some(&installed)).expect("the base fits");
    assert_eq!(merged.head().days.len(), 400);
    let of_day = |number| {
        let listed = merged.find(ticket(number).key).listed().expect("it is listed");
        listed.day_admissions
    };
    assert_eq!((of_day(1), of_day(2)), (3, 2));
}
