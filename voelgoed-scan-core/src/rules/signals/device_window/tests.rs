use uuid::Uuid;

use super::*;
use crate::model::SignalSettingsPatch;

const NOW: Timestamp = Timestamp::from_millis(1_795_370_400_000);
const DEVICE: DeviceId = DeviceId::from_uuid(Uuid::from_u128(7));

fn scan(number: u128, at_millis: i64) -> DeviceScan {
    DeviceScan {
        scan_id: ScanId::from_uuid(Uuid::from_u128(number)),
        event_id: EventId::from_uuid(Uuid::from_u128(1)),
        gate_id: GateId::from_uuid(Uuid::from_u128(2)),
        at: NOW.plus_millis(at_millis),
        received_at: NOW.plus_millis(at_millis),
        is_upload: false,
        is_invalid: false,
    }
}

fn observe_with(
    window: &mut DeviceWindow,
    scans: &[DeviceScan],
    settings: &SignalSettings,
) -> WindowFindings {
    let mut ids = 0..;
    let mut next_id = || SignalId::from_uuid(Uuid::from_u128(ids.next().unwrap_or(0)));
    let mut opening = Opening {
        now: NOW,
        next_id: &mut next_id,
    };
    window.observe(DEVICE, scans, settings, &mut opening)
}

fn observe(window: &mut DeviceWindow, scans: &[DeviceScan]) -> Vec<SignalKind> {
    let findings = observe_with(window, scans, &SignalSettings::default());
    findings.opened.iter().map(|signal| signal.kind).collect()
}

/// Scans at equal distances, one page for each.
fn spread(count: u32, total_millis: i64) -> Vec<SignalKind> {
    let mut window = DeviceWindow::default();
    (0..count)
        .flat_map(|number| {
            let at = total_millis * i64::from(number) / i64::from(count - 1);
            observe(&mut window, &[scan(number.into(), at)])
        })
        .collect()
}

#[test]
fn more_than_60_scans_within_60_seconds_are_too_many() {
    for (count, total_millis, expected) in [
        (60, 0, 0),
        (60, 60_000, 0),
        (61, 0, 1),
        (61, 59_999, 1),
        (61, 60_000, 0),
        (62, 59_999, 2),
        // A busy honest gate makes one scan a second for ten minutes.
        (601, 600_000, 0),
    ] {
        let found = spread(count, total_millis);
        assert_eq!(found.len(), expected, "{count} in {total_millis} ms");
        assert!(found.iter().all(|kind| *kind == SignalKind::HighVelocity));
    }
}

#[test]
fn a_scan_that_the_feed_tells_of_again_counts_once() {
    let mut window = DeviceWindow::default();
    let scans: Vec<_> = (0..60).map(|number| scan(number, 0)).collect();
    assert_eq!(observe(&mut window, &scans), []);
    assert_eq!(observe(&mut window, &scans), [], "each was told again");
    let twice = [scan(60, 0), scan(60, 0)];
    assert_eq!(observe(&mut window, &twice), [SignalKind::HighVelocity]);
}

#[test]
fn the_details_count_every_scan_of_the_time() {
    let mut window = DeviceWindow::default();
    let scans: Vec<_> = (0..90).map(|number| scan(number, 500)).collect();
    let findings = observe_with(&mut window, &scans, &SignalSettings::default());
    let [signal] = &findings.opened[..] else {
        panic!("one signal")
    };
    assert_eq!(signal.details.scans, Some(90));
    assert_eq!(signal.device_id, Some(DEVICE));
}

/// Scans of which some are no tickets, at equal distances.
fn with_errors(count: u32, invalid: u32, total_millis: i64) -> Vec<SignalKind> {
    let scans: Vec<_> = (0..count)
        .map(|number| DeviceScan {
            is_invalid: number < invalid,
            ..scan(
                number.into(),
                total_millis * i64::from(number) / i64::from(count - 1),
            )
        })
        .collect();
    observe(&mut DeviceWindow::default(), &scans)
}

#[test]
fn more_than_ten_percent_of_the_last_50_scans_within_an_hour_are_too_many_errors() {
    use SignalKind::DeviceErrors;
    let hour = 3_600_000;
    assert_eq!(with_errors(50, 5, hour), []);
    assert_eq!(with_errors(50, 6, hour), [DeviceErrors]);
    assert_eq!(with_errors(50, 6, hour + 49), [], "not all within an hour");
    assert_eq!(with_errors(49, 49, hour), [], "fewer than 50 scans");
    // The errors are no longer among the last 50 scans at the end, but they were.
    assert_eq!(with_errors(60, 6, hour), [DeviceErrors]);
}

#[test]
fn an_ended_signal_opens_again_only_by_a_new_scan() {
    let mut window = DeviceWindow::default();
    let scans: Vec<_> = (0..61).map(|number| scan(number, 0)).collect();
    assert_eq!(observe(&mut window, &scans), [SignalKind::HighVelocity]);
    assert_eq!(observe(&mut window, &[]), []);
    assert_eq!(
        observe(&mut window, &[scan(61, 60_000)]),
        [],
        "the new one is alone"
    );
    assert_eq!(
        observe(&mut window, &[scan(62, 59_999)]),
        [SignalKind::HighVelocity]
    );
}

#[test]
fn uploaded_scans_count_at_the_time_at_which_they_were_made() {
    let mut window = DeviceWindow::default();
    let slow: Vec<_> = (0..100)
        .map(|number| DeviceScan {
            is_upload: true,
            received_at: NOW,
            ..scan(number, -120_000 * i64::try_from(number).expect("small"))
        })
        .collect();
    assert_eq!(observe(&mut window, &slow), []);
    let quick: Vec<_> = (200..270)
        .map(|number| DeviceScan {
            is_upload: true,
            received_at: NOW,
            ..scan(number, -7_000_000)
        })
        .collect();
    assert_eq!(observe(&mut window, &quick[..40]), []);
    assert_eq!(
        observe(&mut window, &quick[40..]),
        [SignalKind::HighVelocity],
        "the rest comes with the next page"
    );
}

#[test]
fn an_upload_of_scans_older_than_eight_hours_opens_once_and_counts_all_of_them() {
    let age = 8 * 3_600_000;
    let old = |number: u128, age: i64| DeviceScan {
        is_upload: true,
        received_at: NOW,
        ..scan(number, -age)
    };
    let mut window = DeviceWindow::default();
    assert_eq!(
        observe(&mut window, &[old(1, age)]),
        [],
        "not more than eight hours"
    );
    let settings = SignalSettings::default();
    let first = observe_with(&mut window, &[old(2, age + 1), old(3, age + 5)], &settings);
    let [signal] = &first.opened[..] else {
        panic!("one signal")
    };
    assert_eq!(signal.kind, SignalKind::LateBatch);
    assert_eq!((signal.opened_at, signal.closed_at), (NOW, Some(NOW)));
    assert_eq!(signal.details.scans, Some(2));
    let more = observe_with(&mut window, &[old(4, age + 9)], &settings);
    assert_eq!(more.opened, []);
    let grown = more.grown.expect("the batch goes on");
    assert_eq!((grown.signal, grown.details.scans), (signal.id, Some(3)));
    assert_eq!(grown.details.first_at, Some(NOW.plus_millis(-age - 9)));
    let another = DeviceScan {
        received_at: NOW.plus_millis(1),
        ..old(5, age)
    };
    assert_eq!(observe(&mut window, &[another]), [SignalKind::LateBatch]);
    let online = DeviceScan {
        is_upload: false,
        ..old(6, age + 1)
    };
    assert_eq!(observe(&mut window, &[online]), []);
}

#[test]
fn a_disabled_kind_is_not_found_and_a_changed_figure_counts() {
    let settings = |json| {
        let patch: SignalSettingsPatch = serde_json::from_value(json).expect("a patch");
        SignalSettings::with(&patch)
    };
    let scans: Vec<_> = (0..4).map(|number| scan(number, 0)).collect();
    let found = |settings: &SignalSettings| {
        observe_with(&mut DeviceWindow::default(), &scans, settings)
            .opened
            .len()
    };
    let limit = settings(serde_json::json!({ "high_velocity": { "limit": 3 } }));
    assert_eq!(found(&limit), 1);
    let limit = settings(serde_json::json!({ "high_velocity": { "limit": 4 } }));
    assert_eq!(found(&limit), 0);
    let off = settings(serde_json::json!({ "high_velocity": { "limit": 3, "enabled": false } }));
    assert_eq!(found(&off), 0);
}

#[test]
fn a_window_is_bounded_and_survives_being_stored() {
    let mut window = DeviceWindow::default();
    for page in 0..10 {
        let scans: Vec<_> = (0..100)
            .map(|number| {
                scan(
                    page * 100 + number,
                    -100_000 * i64::try_from(page).expect("small"),
                )
            })
            .collect();
        observe(&mut window, &scans);
        assert!(window.scans.len() <= 200, "{}", window.scans.len());
    }
    let text = serde_json::to_string(&window).expect("JSON");
    assert_eq!(
        serde_json::from_str::<DeviceWindow>(&text).expect("a window"),
        window
    );
}
