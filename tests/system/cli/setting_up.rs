//! What the platform pushes, by hand: organizations, events, gates, devices, keys.

use super::prompt::{Place, id, text};

#[test]
fn a_lost_owner_key_is_made_anew_beside_a_running_server() {
    let place = Place::open();
    let init = |organization: &str| {
        let url = [
            "init",
            "--database-url",
            &place.url,
            "--new-owner-key",
            organization,
            "--output",
            "json",
        ];
        place.owner.without_token().run(&url)
    };
    let made = init(&place.organization).expect(0).value();
    assert_eq!(text(&made, "organization_id"), place.organization);
    let owner = place.owner.with_token(text(&made, "api_key"));
    assert_eq!(owner.list(&["apikey", "list"]).len(), 2);
    init("0192f0c1-7a4e-7000-8000-000000000001").expect(1);
}

#[test]
fn an_event_is_put_by_flags_or_file_and_flags_alone_change_what_they_name() {
    let place = Place::open();
    let owner = &place.owner;
    let put = [
        "event",
        "put",
        "new",
        "--name",
        "Summer",
        "--status",
        "live",
        "--capacity",
        "500",
        "--reentry",
        "after_exit",
    ];
    let event = id(&owner.json(&put));
    let changed = owner.json(&["event", "put", &event, "--status", "ended"]);
    assert_eq!(changed["capacity"], 500);
    assert_eq!(text(&changed, "reentry"), "after_exit");
    let lifted = owner.json(&[
        "event",
        "put",
        &event,
        "--capacity",
        "none",
        "--ticket-classes",
        "VIP,Standard",
    ]);
    assert!(lifted["capacity"].is_null());
    assert_eq!(lifted["ticket_classes"][1], "Standard");
    let file = place.path("event.json");
    std::fs::write(&file, r#"{"name":"Winter","status":"draft"}"#).expect("written");
    let replaced = owner.json(&["event", "put", &event, &file, "--status", "live"]);
    assert_eq!(
        (text(&replaced, "name"), text(&replaced, "status")),
        ("Winter", "live")
    );
    assert_eq!(text(&replaced, "reentry"), "never");
    let from_input = owner.feed(
        &["event", "put", "new", "-", "--output", "json"],
        r#"{"name":"X","status":"draft"}"#,
    );
    let other = id(&from_input.expect(0).value());
    assert_eq!(owner.list(&["event", "list"]).len(), 2);
    assert_eq!(owner.json(&["event", "show", &other])["name"], "X");
}

#[test]
fn a_gate_is_put_listed_and_closed() {
    let place = Place::open();
    let owner = &place.owner;
    let (event, gate) = place.event_and_gate();
    let vip = [
        "gate",
        "put",
        "new",
        "--event",
        &event,
        "--name",
        "VIP",
        "--status",
        "open",
        "--capacity",
        "0",
        "--ticket-classes",
        "VIP",
        "--code",
        "V",
    ];
    assert_eq!(owner.json(&vip)["ticket_classes"][0], "VIP");
    let closed = owner.json(&["gate", "put", &gate, "--event", &event, "--status", "closed"]);
    assert_eq!(
        (text(&closed, "name"), text(&closed, "status")),
        ("Main", "closed")
    );
    assert_eq!(owner.list(&["gate", "list", "--event", &event]).len(), 2);
    assert_eq!(
        owner.json(&["gate", "show", &gate, "--event", &event])["status"],
        "closed"
    );
}

#[test]
fn a_device_is_found_by_either_name_rotated_and_revoked() {
    let place = Place::open();
    let owner = &place.owner;
    let device = owner.json(&[
        "device",
        "register",
        "door-1",
        "--name",
        "Door 1",
        "--type",
        "mobile",
        "--can-search",
    ]);
    assert_eq!(device["settings"]["can_search"], true);
    assert!(text(&device, "token").starts_with("vgd_"));
    owner.run(&["device", "register", "door-1"]).expect(1);
    assert_eq!(owner.json(&["device", "show", "door-1"])["id"], device["id"]);
    assert_eq!(
        owner.json(&["device", "show", text(&device, "id")])["device_id"],
        "door-1"
    );
    let rotated = owner.json(&["device", "rotate", "door-1"]);
    let (event, gate) = place.event_and_gate();
    let start = ["session", "start", "--event", &event, "--gate", &gate];
    owner.with_token(text(&device, "token")).run(&start).expect(4);
    owner.with_token(text(&rotated, "token")).run(&start).expect(0);
    assert_eq!(owner.json(&["device", "revoke", "door-1"])["status"], "inactive");
    owner.with_token(text(&rotated, "token")).run(&start).expect(4);
    assert_eq!(owner.list(&["device", "list", "--status", "inactive"]).len(), 1);
    owner.run(&["device", "show", "door-2"]).expect(1);
}

#[test]
fn an_api_key_works_until_it_is_revoked() {
    let place = Place::open();
    let owner = &place.owner;
    let key = owner.json(&["apikey", "create", "--name", "Shop", "--role", "admin"]);
    let shop = owner.with_token(text(&key, "key"));
    assert!(shop.list(&["event", "list"]).is_empty());
    shop.run(&["apikey", "list"]).expect(4);
    assert!(
        owner
            .list(&["apikey", "list"])
            .iter()
            .all(|key| key["key"].is_null())
    );
    owner.json(&["apikey", "revoke", text(&key, "id")]);
    shop.run(&["event", "list"]).expect(4);
}

#[test]
fn a_rotated_key_signs_and_the_old_one_still_verifies_until_it_is_revoked() {
    let place = Place::open();
    let owner = &place.owner;
    let (event, gate) = place.event_and_gate();
    let scanner = place.scanner(&event, &gate);
    let codes = place.issue(&event, 3);
    let old: Vec<_> = codes.iter().map(|code| place.qr(&event, code)).collect();
    let rotated = owner.json(&["key", "rotate", "--format", "vg1"]);
    assert_eq!(text(&rotated["active"], "kid"), "2");
    assert_eq!(text(&rotated["verify_only"][0], "kid"), "1");
    assert!(place.qr(&event, &codes[0]).starts_with("VG1.2."));
    scanner.run(&["scan", &old[0]]).expect(0);
    owner.json(&["key", "revoke", "--format", "vg1", "--kid", "1"]);
    let denied = scanner
        .run(&["scan", &old[1], "--output", "json"])
        .expect(3)
        .value();
    assert_eq!(text(&denied, "reason"), "key_revoked");
    owner.json(&["key", "create", "--format", "vg2", "--kid", "b"]);
    assert_eq!(owner.list(&["key", "list"]).len(), 4);
    owner
        .run(&["key", "create", "--format", "vg2", "--kid", "b"])
        .expect(1);
}

#[test]
fn the_doctor_finds_a_healthy_place_and_a_missing_credential() {
    let place = Place::open();
    let findings = place.owner.list(&["doctor"]);
    assert!(
        findings.iter().all(|finding| finding["ok"] == true),
        "{findings:?}"
    );
    assert!(findings.len() >= 4);
    place.owner.without_token().run(&["doctor"]).expect(4);
    super::prompt::Prompt::alone().run(&["doctor"]).expect(5);
}

#[test]
fn a_phone_is_paired_by_a_code_that_is_shown_as_a_qr() {
    let place = Place::open();
    let owner = &place.owner;
    let device = owner.json(&["device", "register", "phone-7"]);
    let begun = owner.json(&["device", "enroll", "phone-7"]);
    let uri = text(&begun, "uri");
    assert!(
        uri.starts_with("voelgoed-scan://enroll?server=http%3A%2F%2F127.0.0.1"),
        "{uri}"
    );
    assert!(uri.ends_with(text(&begun, "code")), "{uri}");
    let shown = owner.run(&["device", "enroll", text(&device, "id")]).expect(0);
    assert!(
        shown.out.contains('█') && shown.out.contains("makes a phone phone-7"),
        "{shown:?}"
    );
    assert!(shown.err.contains("--public-url"), "{shown:?}");
    owner.run(&["device", "revoke", "phone-7"]).expect(0);
    owner.run(&["device", "enroll", "phone-7"]).expect(1);
    owner.run(&["device", "enroll", "phone-8"]).expect(1);
}
