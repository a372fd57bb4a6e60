//! `signals` and `signals settings`.

use super::fixture::{TestServer, text};

#[test]
fn signals_are_listed_for_an_event_and_filtered() {
    let server = TestServer::start();
    let (event, _) = server.event_and_gate();
    assert_eq!(
        server.owner.list(&["signals", &event]),
        [serde_json::Value::Null; 0]
    );
    let filtered = ["signals", &event, "--open", "--kind", "late_batch"];
    assert_eq!(server.owner.list(&filtered), [serde_json::Value::Null; 0]);
    server.owner.run(&["signals"]).expect(2);
    server
        .owner
        .run(&["signals", &event, "--kind", "unknown"])
        .expect(2);
}

#[test]
fn the_rules_of_signals_are_shown_and_changed_by_kind() {
    let server = TestServer::start();
    let owner = &server.owner;
    let shown = owner.list(&["signals", "settings"]);
    assert_eq!(shown.len(), 9, "{shown:?}");
    let change = ["signals", "settings", "duplicate_spam", "--limit", "10"];
    let changed = owner.list(&change);
    assert_eq!(changed.len(), 1, "{changed:?}");
    assert_eq!(text(&changed[0], "kind"), "duplicate_spam");
    assert_eq!(
        (&changed[0]["limit"], &changed[0]["within_s"]),
        (&10.into(), &3600.into())
    );
    let off = owner.list(&["signals", "settings", "late_batch", "--enabled", "false"]);
    assert_eq!(off[0]["enabled"], false);
    let shown = owner.list(&["signals", "settings", "duplicate_spam"]);
    assert_eq!(shown, changed);
    owner.run(&["signals", "settings", "--limit", "10"]).expect(2);
    owner
        .run(&["signals", "settings", "device_silent", "--within-s", "59"])
        .expect(1);
}
