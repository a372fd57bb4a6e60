use serde_json::json;

use super::*;

fn patch(json: serde_json::Value) -> SignalSettingsPatch {
    serde_json::from_value(json).expect("a patch")
}

#[test]
fn the_defaults_are_those_of_the_table() {
    let settings = serde_json::to_value(SignalSettings::default()).expect("JSON");
    let rule = |limit: Option<u32>, within_s: Option<u32>, close_s: Option<u32>| json!({ "enabled": true, "limit": limit, "within_s": within_s, "close_s": close_s });
    assert_eq!(
        settings,
        json!({
            "device_silent": rule(None, Some(300), None),
            "occupancy_90": rule(Some(90), None, None),
            "occupancy_100": rule(Some(100), None, None),
            "impossible_travel": rule(None, Some(300), Some(600)),
            "duplicate_spam": rule(Some(5), Some(3600), Some(600)),
            "high_velocity": rule(Some(60), Some(60), Some(600)),
            "device_errors": rule(Some(10), Some(3600), Some(600)),
            "late_batch": rule(None, Some(28_800), None),
            "sync_waiting": rule(Some(100), None, None),
        })
    );
}

#[test]
fn a_change_keeps_absent_kinds_and_fields_and_ignores_what_the_kind_does_not_have() {
    let mut kept = patch(json!({ "duplicate_spam": { "limit": 9, "close_s": 60 }, "unknown": 1 }));
    kept.merge(&patch(json!({
        "duplicate_spam": { "limit": 7, "enabled": false, "within_s": null },
        "device_silent": { "limit": 4, "within_s": 90 },
    })));
    let settings = SignalSettings::with(&kept);
    let duplicates = settings.rule(SignalKind::DuplicateSpam);
    assert_eq!(
        duplicates,
        SignalRule {
            enabled: false,
            limit: Some(7),
            within_s: Some(3600),
            close_s: Some(60),
        }
    );
    let silent = settings.rule(SignalKind::DeviceSilent);
    assert_eq!((silent.limit, silent.within_s), (None, Some(90)));
    let untouched = settings.rule(SignalKind::HighVelocity);
    assert_eq!(untouched, SignalKind::HighVelocity.default_rule());
    let read = serde_json::to_value(&settings).expect("JSON");
    assert_eq!(
        SignalSettings::with(&patch(read)),
        settings,
        "what is shown can be sent back"
    );
}

#[test]
fn every_default_is_in_its_range() {
    for kind in SignalKind::ALL {
        let figures = kind.figures();
        for figure in [figures.limit, figures.within_s, figures.close_s]
            .into_iter()
            .flatten()
        {
            assert!((figure.min..=figure.max).contains(&figure.default), "{kind}");
        }
    }
}
