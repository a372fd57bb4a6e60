//! The activity of an event: its scans by gate and minute.

use voelgoed_scan_core::model::{ActivityMinutes, EventActivity, EventId};
use voelgoed_scan_core::store::UndoPermission;

use crate::attempts::{entry, exit};
use crate::fixture::{Fixture, after};

/// The activity of the fixture's event in its first three minutes.
async fn activity(fixture: &Fixture) -> EventActivity {
    fixture
        .store
        .activity(
            fixture.organization,
            fixture.event,
            ActivityMinutes::until(after(120), 3),
        )
        .await
        .expect("the activity is read")
}

pub(crate) async fn activity_counts_the_scans_of_each_gate_by_minute(fixture: Fixture) {
    let twice = fixture.ticket(r#"{"entry_limit":2}"#).await;
    let once = fixture.ticket("{}").await;
    let undone = entry(&fixture.main_session, once, 61);
    let undone_id = undone.scan_id;
    fixture
        .record(&[
            // Before the minutes.
            entry(&fixture.side_session, twice, -1),
            entry(&fixture.main_session, twice, 0),
            entry(&fixture.side_session, twice, 59),
            exit(&fixture.side_session, twice, 60),
            undone,
            entry(&fixture.main_session, once, 62),
        ])
        .await;
    fixture
        .undo(undone_id, UndoPermission::Member, 63)
        .await
        .expect("the scan exists");
    fixture
        .record(&[
            entry(&fixture.main_session, once, 179),
            // After the minutes.
            entry(&fixture.main_session, once, 180),
        ])
        .await;
    let activity = activity(&fixture).await;
    assert_eq!((activity.from, activity.to), (after(0), after(180)));
    let names: Vec<_> = activity.gates.iter().map(|gate| gate.name.as_str()).collect();
    assert_eq!(names, ["Main", "Side"]);
    let [main, side] = &activity.gates[..] else {
        panic!("two gates: {activity:?}");
    };
    assert_eq!(main.entries, [1, 0, 1], "{main:?}");
    assert_eq!(main.exits, [0, 0, 0], "{main:?}");
    assert_eq!(main.denials, [0, 1, 0], "{main:?}");
    assert_eq!(side.entries, [0, 0, 0], "{side:?}");
    assert_eq!(side.exits, [0, 1, 0], "{side:?}");
    assert_eq!(side.denials, [1, 0, 0], "{side:?}");
    assert_eq!((main.results.valid, main.results.duplicate), (3, 2), "{main:?}");
    assert_eq!((side.results.valid, side.results.duplicate), (2, 1), "{side:?}");
}

pub(crate) async fn activity_stays_within_the_event_and_the_organization(fixture: Fixture) {
    let other = fixture.another().await;
    let code = other.ticket("{}").await;
    other.record(&[entry(&other.main_session, code, 0)]).await;
    assert_eq!(activity(&other).await.gates[0].entries, [1, 0, 0]);
    for gate in activity(&fixture).await.gates {
        assert_eq!(gate.entries, [0, 0, 0], "{gate:?}");
    }
    let minutes = ActivityMinutes::until(after(0), 1);
    for event in [other.event, EventId::from_uuid(uuid::Uuid::new_v4())] {
        let foreign = fixture
            .store
            .activity(fixture.organization, event, minutes)
            .await
            .expect("the activity is read");
        assert_eq!(foreign.gates, [], "{event}");
    }
}
