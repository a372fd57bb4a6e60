//! Check 6: whether an event takes entries, by its status, its doors and its new date.
//!
//! Invariant: a pure function of the event and the time. The database path, the fast path, the caches, the phone and uploads
//! ask it; nothing else reads an event's status to decide a scan.

use crate::model::{Event, EventStatus, Reason, Timestamp};

/// Check 6. All bounds include their own moment.
pub fn check_event(event: &Event, now: Timestamp) -> Result<(), Reason> {
    match event.status {
        EventStatus::Live => check_doors(event, now),
        EventStatus::Postponed => check_new_date(event, now),
        EventStatus::Cancelled => Err(Reason::EventCancelled),
        EventStatus::Draft | EventStatus::Published | EventStatus::Ended | EventStatus::Archived => {
            Err(Reason::EventNotLive)
        }
    }
}

fn check_doors(event: &Event, now: Timestamp) -> Result<(), Reason> {
    if event.doors_open_at.is_some_and(|open| now < open) {
        Err(Reason::DoorsNotOpen)
    } else if event.doors_close_at.is_some_and(|close| now > close) {
        Err(Reason::DoorsClosed)
    } else {
        Ok(())
    }
}

/// A postponed event takes entries from its new start for as long as it was meant to last. The doors are those of the old
/// date, so they do not count.
fn check_new_date(event: &Event, now: Timestamp) -> Result<(), Reason> {
    let Some(start) = event.rescheduled_at.filter(|start| *start <= now) else {
        return Err(Reason::EventPostponed);
    };
    let length = event
        .starts_at
        .zip(event.ends_at)
        .map(|(starts, ends)| ends.millis_since(starts));
    if length.is_some_and(|length| now > start.plus_millis(length)) {
        Err(Reason::EventNotLive)
    } else {
        Ok(())
    }
}

/// The event by which a dry run is judged: a published one as if it were live, its doors left out, so that devices can be
/// tried the day before. `None` if the event is judged as it is.
pub(super) fn event_of_dry_run(event: &Event) -> Option<Event> {
    (event.status == EventStatus::Published).then(|| Event {
        status: EventStatus::Live,
        doors_open_at: None,
        doors_close_at: None,
        ..event.clone()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::decision::tests::{NOW, event};

    #[expect(clippy::unnecessary_wraps, reason = "it is the value of a field")]
    fn at(seconds: i64) -> Option<Timestamp> {
        Some(NOW.plus_millis(seconds * 1000))
    }

    /// Results by status: without doors, before them, within, after them.
    const BY_STATUS: [(EventStatus, [Result<(), Reason>; 4]); 7] = {
        use EventStatus as Status;
        const NOT_LIVE: [Result<(), Reason>; 4] = [Err(Reason::EventNotLive); 4];
        [
            (Status::Draft, NOT_LIVE),
            (Status::Published, NOT_LIVE),
            (
                Status::Live,
                [
                    Ok(()),
                    Err(Reason::DoorsNotOpen),
                    Ok(()),
                    Err(Reason::DoorsClosed),
                ],
            ),
            (Status::Ended, NOT_LIVE),
            (Status::Cancelled, [Err(Reason::EventCancelled); 4]),
            (Status::Postponed, [Err(Reason::EventPostponed); 4]),
            (Status::Archived, NOT_LIVE),
        ]
    };

    #[test]
    fn the_status_comes_before_the_doors_and_only_a_live_event_has_doors() {
        let doors = [(None, None), (at(1), at(9)), (at(-1), at(1)), (at(-9), at(-1))];
        for (status, expected) in BY_STATUS {
            for ((open, close), expected) in doors.into_iter().zip(expected) {
                let event = Event {
                    status,
                    doors_open_at: open,
                    doors_close_at: close,
                    ..event()
                };
                assert_eq!(
                    check_event(&event, NOW),
                    expected,
                    "{status}, {open:?} to {close:?}"
                );
            }
        }
    }

    #[test]
    fn doors_include_both_bounds_and_one_of_them_may_be_absent() {
        let opens = Event {
            doors_open_at: at(0),
            ..event()
        };
        assert_eq!(
            check_event(&opens, NOW.plus_millis(-1)),
            Err(Reason::DoorsNotOpen)
        );
        assert_eq!(check_event(&opens, NOW), Ok(()));
        assert_eq!(check_event(&opens, NOW.plus_millis(i64::MAX)), Ok(()));
        let closes = Event {
            doors_close_at: at(0),
            ..event()
        };
        assert_eq!(check_event(&closes, NOW.plus_millis(i64::MIN)), Ok(()));
        assert_eq!(check_event(&closes, NOW), Ok(()));
        assert_eq!(check_event(&closes, NOW.plus_millis(1)), Err(Reason::DoorsClosed));
    }

    #[test]
    fn a_postponed_event_takes_entries_for_its_length_from_its_new_start() {
        let postponed = |starts_at, ends_at, rescheduled_at| Event {
            status: EventStatus::Postponed,
            starts_at,
            ends_at,
            rescheduled_at,
            // The doors of the old date.
            doors_open_at: at(-7000),
            doors_close_at: at(-6000),
            ..event()
        };
        let found = |event: &Event, millis| check_event(event, NOW.plus_millis(millis));
        let whole = postponed(at(-7200), at(-3600), at(0));
        assert_eq!(found(&whole, -1), Err(Reason::EventPostponed));
        assert_eq!(found(&whole, 0), Ok(()));
        assert_eq!(found(&whole, 3_600_000), Ok(()), "both ends are included");
        assert_eq!(found(&whole, 3_600_001), Err(Reason::EventNotLive));
        for open_ended in [
            postponed(None, at(-3600), at(0)),
            postponed(at(-7200), None, at(0)),
            postponed(None, None, at(0)),
        ] {
            assert_eq!(found(&open_ended, -1), Err(Reason::EventPostponed));
            assert_eq!(found(&open_ended, i64::MAX), Ok(()));
        }
        let no_date_yet = postponed(at(-7200), at(-3600), None);
        assert_eq!(found(&no_date_yet, i64::MAX), Err(Reason::EventPostponed));
        let to_the_end_of_time = postponed(at(0), at(3600), Some(Timestamp::from_millis(i64::MAX)));
        assert_eq!(found(&to_the_end_of_time, i64::MAX), Ok(()));
    }

    #[test]
    fn a_dry_run_judges_a_published_event_as_live_without_doors() {
        for &status in EventStatus::ALL {
            let event = Event {
                status,
                doors_open_at: at(1),
                doors_close_at: at(2),
                ..event()
            };
            let judged = event_of_dry_run(&event).map(|event| check_event(&event, NOW));
            let expected = (status == EventStatus::Published).then_some(Ok(()));
            assert_eq!(judged, expected, "{status}");
        }
    }
}
