//! What the metrics show of all organizations.

use voelgoed_scan_core::model::{
    DeviceHealth, DevicePatch, DeviceStatus, EventStatus, GateId, Headcount, Reentry,
};
use voelgoed_scan_core::store::{DeviceCounts, LiveEvent};

use crate::fixture::{Fixture, after, audit, live, open_gate, put_event, put_gate, register};

impl Fixture {
    async fn live_events_at(&self, seconds: i64, limit: u16) -> Vec<LiveEvent> {
        let events = self.store.live_events(after(seconds), limit).await;
        events.expect("the events are read")
    }

    async fn device_counts_at(&self, seconds: i64) -> DeviceCounts {
        let counts = self.store.device_counts(after(seconds)).await;
        counts.expect("the devices are counted")
    }

    /// The event as it is shown, with the people inside at its gates.
    fn shown(&self, capacity: Option<u32>, gates: [(GateId, i64); 2]) -> LiveEvent {
        LiveEvent {
            organization_id: self.organization,
            event_id: self.event,
            capacity,
            gates: gates
                .map(|(gate, inside)| {
                    (
                        gate,
                        Headcount {
                            inside,
                            capacity: None,
                        },
                    )
                })
                .into(),
        }
    }
}

pub(crate) async fn live_events_of_all_organizations_are_shown_with_the_people_inside(fixture: Fixture) {
    let other = fixture.another().await;
    fixture
        .change_event_at(1, |event| event.capacity = Some(20))
        .await;
    for code in [fixture.ticket("{}").await, fixture.ticket("{}").await] {
        fixture.enter(code, 2).await;
    }
    let left = other.ticket("{}").await;
    other.enter(left, 2).await;
    other.leave(left, 3).await;
    other.enter(other.ticket("{}").await, 4).await;
    // An event that is not live is not shown, and a live one without a gate is.
    let mut draft = live();
    draft.status = EventStatus::Draft;
    put_event(&*fixture.store, fixture.organization, &draft).await;
    let shown = fixture.live_events_at(5, 200).await;
    let expected = [
        fixture.shown(Some(20), [(fixture.main_gate, 2), (fixture.side_gate, 0)]),
        other.shown(None, [(other.main_gate, 1), (other.side_gate, 0)]),
    ];
    assert_eq!(shown, expected, "the one that changed last is the first");
}

pub(crate) async fn the_limit_leaves_out_the_gates_of_the_events_that_changed_first(fixture: Fixture) {
    let mut events = Vec::new();
    for seconds in 1..=5 {
        let put = live();
        let event = put_event(&*fixture.store, fixture.organization, &put).await;
        let changed = fixture
            .store
            .put_event(fixture.organization, event, &put, after(seconds), audit())
            .await;
        changed.expect("the event is written");
        put_gate(&*fixture.store, fixture.organization, event, &open_gate("Main")).await;
        events.insert(0, event);
    }
    let shown = fixture.live_events_at(10, 3).await;
    let ids: Vec<_> = shown.iter().map(|event| event.event_id).collect();
    assert_eq!(ids, events[..3]);
    assert_eq!(fixture.live_events_at(10, 200).await.len(), 6);
}

pub(crate) async fn a_new_day_of_an_event_begins_with_nobody_inside_in_the_metrics(fixture: Fixture) {
    fixture
        .change_event(|event| {
            event.reentry = Reentry::Daily;
            event.time_zone = "Europe/Berlin".parse().expect("a zone");
            // An hour after the start of the test.
            event.day_starts_at = "20:00".parse().expect("a time of day");
        })
        .await;
    fixture.enter(fixture.ticket("{}").await, 0).await;
    for (seconds, inside) in [(3599, 1), (3600, 0)] {
        let expected = fixture.shown(None, [(fixture.main_gate, inside), (fixture.side_gate, 0)]);
        assert_eq!(fixture.live_events_at(seconds, 200).await, [expected]);
    }
}

pub(crate) async fn active_devices_are_counted_by_when_they_were_heard_of(fixture: Fixture) {
    let other = fixture.another().await;
    let counts = |[online, idle, silent, never]: [i64; 4], unsent_scans| DeviceCounts {
        online,
        idle,
        silent,
        never,
        unsent_scans,
    };
    assert_eq!(fixture.device_counts_at(0).await, counts([0, 0, 0, 4], 0));
    for (session, waiting) in [(&fixture.main_session, 7), (&other.side_session, 5)] {
        let health = DeviceHealth {
            app: None,
            battery: None,
            waiting: Some(waiting),
        };
        let reported = fixture
            .store
            .report_device(session.organization, session.device, Some(&health), after(0))
            .await;
        assert!(reported.expect("the report is written").is_some());
    }
    for (seconds, expected) in [
        (60, counts([2, 0, 0, 2], 12)),
        (61, counts([0, 2, 0, 2], 12)),
        (300, counts([0, 2, 0, 2], 12)),
        (301, counts([0, 0, 2, 2], 12)),
        (86_400, counts([0, 0, 2, 2], 12)),
        // A device that was not heard of for a day is probably lost, with what it holds.
        (86_401, counts([0, 0, 2, 2], 0)),
    ] {
        assert_eq!(fixture.device_counts_at(seconds).await, expected, "{seconds} s");
    }
    // An inactive device does not count.
    let spare = register(&*fixture.store, fixture.organization, "spare").await;
    assert_eq!(fixture.device_counts_at(1).await.never, 3);
    let patch = DevicePatch {
        status: Some(DeviceStatus::Inactive),
        ..DevicePatch::default()
    };
    let patched = fixture
        .store
        .patch_device(fixture.organization, spare.id, &patch, after(1), audit())
        .await;
    patched.expect("the device is written");
    assert_eq!(fixture.device_counts_at(1).await.never, 2);
}
