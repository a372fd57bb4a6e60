use super::*;
use crate::model::{
    DecidedBy, Direction, EventId, GateCount, Headcount, Name, NamedGate, Occupancy, PlaceCount,
    ResultCounts, Timestamp,
};

const AT_GATE: [u128; 2] = [1, 2];
const AT: Timestamp = Timestamp::from_millis(0);

fn event() -> EventKey {
    let nil = uuid::Uuid::nil();
    (OrganizationId::from_uuid(nil), EventId::from_uuid(nil))
}

fn gate(number: u128) -> GateId {
    GateId::from_uuid(uuid::Uuid::from_u128(number))
}

fn answer(reason: Reason, at: u128, gate_inside: i64, event_inside: i64) -> ScanAnswer {
    let headcount = |inside| Headcount {
        inside,
        capacity: None,
    };
    ScanAnswer {
        scan_id: None,
        result: reason.result(),
        reason,
        replayed: false,
        direction: Direction::Entry,
        scanned_at: Timestamp::from_millis(0),
        session_id: None,
        event_id: event().1,
        gate: NamedGate {
            id: gate(at),
            name: String::new(),
        },
        ticket: None,
        previous_scan: None,
        occupancy: Occupancy {
            gate: headcount(gate_inside),
            event: headcount(event_inside),
        },
        decided_by: DecidedBy::Database,
        warnings: Vec::new(),
        message: String::new(),
    }
}

fn now() -> Instant {
    Instant::now()
}

fn put(cache: &OccupancyCache, answers: &[ScanAnswer]) {
    cache.put_answers(answers.iter().map(|answer| (event().0, answer)), Instant::now());
}

fn read(first: i64, second: i64) -> EventOccupancy {
    let count = |inside| PlaceCount {
        inside,
        ..PlaceCount::default()
    };
    let gates = [first, second].into_iter().zip(AT_GATE);
    EventOccupancy {
        event: count(first + second),
        gates: gates
            .map(|(inside, number)| GateCount {
                id: gate(number),
                name: Name::new("Gate").expect("a name"),
                count: count(inside),
            })
            .collect(),
        results: ResultCounts::default(),
        scans_per_minute: 0,
    }
}

fn shown(cache: &OccupancyCache) -> [Option<(i64, i64)>; 2] {
    AT_GATE.map(|number| cache.get(event(), gate(number), Timestamp::MIN, None))
}

#[test]
fn a_read_that_began_before_an_admission_does_not_overwrite_its_count() {
    let cache = OccupancyCache::default();
    let began = cache.begin_read();
    put(&cache, &[answer(Reason::Admitted, 1, 5, 9)]);
    assert!(!cache.put_event(event(), &read(4, 4), OccupancySource::Read(began), AT, now()));
    assert_eq!(shown(&cache), [Some((5, 9)), Some((4, 9))]);
    let began = cache.begin_read();
    assert!(cache.put_event(event(), &read(6, 5), OccupancySource::Read(began), AT, now()));
    assert_eq!(shown(&cache), [Some((6, 11)), Some((5, 11))]);
}

#[test]
fn an_earlier_read_does_not_overwrite_a_later_one() {
    let cache = OccupancyCache::default();
    let (earlier, later) = (cache.begin_read(), cache.begin_read());
    assert!(cache.put_event(event(), &read(3, 3), OccupancySource::Read(later), AT, now()));
    assert!(!cache.put_event(event(), &read(2, 3), OccupancySource::Read(earlier), AT, now()));
    assert_eq!(shown(&cache), [Some((3, 6)), Some((3, 6))]);
}

#[test]
fn the_answers_of_one_write_count_in_whatever_order_they_are() {
    let cache = OccupancyCache::default();
    let answers = [
        answer(Reason::Admitted, 1, 7, 12),
        answer(Reason::AlreadyScanned, 2, 5, 12),
        answer(Reason::Admitted, 1, 6, 11),
    ];
    put(&cache, &answers);
    assert_eq!(shown(&cache), [Some((7, 12)), Some((5, 12))]);
    // A later write may show fewer people.
    put(&cache, &[answer(Reason::AlreadyScanned, 1, 4, 9)]);
    assert_eq!(shown(&cache), [Some((4, 9)), Some((5, 9))]);
}

#[test]
fn a_scan_that_may_move_somebody_at_another_gate_makes_the_counts_unknown() {
    for reason in [Reason::Exited, Reason::Readmitted] {
        let cache = OccupancyCache::default();
        let began = cache.begin_read();
        cache.put_event(event(), &read(5, 5), OccupancySource::Read(began), AT, now());
        put(&cache, &[answer(reason, 2, 6, 10)]);
        assert_eq!(shown(&cache), [None, None], "{reason:?}");
        assert!(!cache.put_event(event(), &read(5, 5), OccupancySource::Read(began), AT, now()));
        assert_eq!(shown(&cache), [None, None], "{reason:?}");
    }
}

#[test]
fn a_read_from_before_an_undo_does_not_count_after_it() {
    let cache = OccupancyCache::default();
    let began = cache.begin_read();
    cache.remove_event(event());
    assert!(!cache.put_event(event(), &read(5, 5), OccupancySource::Read(began), AT, now()));
    assert!(!cache.put_event(event(), &read(5, 5), OccupancySource::OtherNode, AT, now()));
    assert_eq!(shown(&cache), [None, None]);
    cache.put_event(
        event(),
        &read(4, 5),
        OccupancySource::Read(cache.begin_read()),
        AT,
        now(),
    );
    assert_eq!(shown(&cache), [Some((4, 9)), Some((5, 9))]);
    cache.remove_organization(event().0);
    assert_eq!(shown(&cache), [None, None]);
}

#[test]
fn the_counts_of_another_node_do_not_hide_what_this_node_answered_within_the_last_second() {
    let (cache, start) = (OccupancyCache::default(), now());
    let later = start + MAX_AGE;
    let just_before = later.checked_sub(Duration::from_millis(1)).expect("a time");
    assert!(cache.put_event(event(), &read(1, 1), OccupancySource::OtherNode, AT, start));
    let admitted = answer(Reason::Admitted, 1, 2, 3);
    cache.put_answers([(event().0, &admitted)].into_iter(), start);
    assert!(!cache.put_event(event(), &read(1, 2), OccupancySource::OtherNode, AT, just_before));
    assert_eq!(shown(&cache), [Some((2, 3)), Some((2, 3))]);
    assert!(cache.put_event(event(), &read(2, 2), OccupancySource::OtherNode, AT, later));
    assert_eq!(shown(&cache), [Some((2, 4)), Some((2, 4))]);
}

#[test]
fn counts_expire_where_no_message_tells_of_other_nodes() {
    let (cache, start) = (OccupancyCache::default(), now());
    cache.put_event(
        event(),
        &read(1, 1),
        OccupancySource::Read(cache.begin_read()),
        AT,
        start,
    );
    let shown_at = |at| cache.get(event(), gate(1), Timestamp::MIN, at);
    assert_eq!(shown_at(Some(start)), Some((1, 2)));
    assert_eq!(shown_at(Some(start + MAX_AGE)), None);
    assert_eq!(shown_at(None), Some((1, 2)));
}

#[test]
fn counts_of_an_earlier_day_are_not_shown() {
    let cache = OccupancyCache::default();
    let began = cache.begin_read();
    cache.put_event(event(), &read(5, 4), OccupancySource::Read(began), AT, now());
    let shown_since = |since| cache.get(event(), gate(1), Timestamp::from_millis(since), None);
    assert_eq!(shown_since(0), Some((5, 9)));
    assert_eq!(shown_since(1), None, "a day began after the read");
    // The answers of one write on both sides of the day's begin.
    let at = |inside, millis| ScanAnswer {
        scanned_at: Timestamp::from_millis(millis),
        ..answer(Reason::Admitted, 1, inside, inside)
    };
    put(&cache, &[at(1, 1001), at(700, 999)]);
    assert_eq!(shown_since(1000), None);
    put(&cache, &[at(2, 1002)]);
    assert_eq!(shown_since(1000), Some((2, 2)));
}
