//! The command `webhook`.

use super::fixture::{TestServer, id, text};

const URL: &str = "https://hook.invalid/gate";

#[test]
fn a_webhook_is_managed_from_the_command_line() {
    let server = TestServer::start();
    let owner = &server.owner;
    let (event, _) = server.event_and_gate();
    let created = owner.json(&[
        "webhook",
        "create",
        "--url",
        URL,
        "--types",
        "scan.*,conflict.opened",
        "--event",
        &event,
        "--codes",
        "--description",
        "Shop",
    ]);
    let webhook = id(&created);
    assert!(text(&created, "secret").starts_with("whsec_"));
    assert_eq!(created["types"][1], "conflict.opened");
    assert_eq!(created["event_ids"][0], event);
    assert_eq!(created["codes"], true);
    let secret_file = server.path("webhook.secret");
    std::fs::write(&secret_file, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").expect("written");
    let other = owner.json(&[
        "webhook",
        "create",
        "--url",
        URL,
        "--types",
        "session.*",
        "--secret-file",
        &secret_file,
    ]);
    assert_eq!(text(&other, "secret"), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    assert_eq!(owner.list(&["webhook", "list"]).len(), 2);
    let shown = owner.json(&["webhook", "show", &webhook]);
    assert!(shown.get("secret").is_none(), "{shown}");
    let updated = owner.json(&[
        "webhook",
        "update",
        &webhook,
        "--all-events",
        "--description",
        "none",
        "--types",
        "scan.*",
    ]);
    assert!(
        updated["event_ids"].is_null() && updated["description"].is_null(),
        "{updated}"
    );
    assert_eq!(updated["types"].as_array().map(Vec::len), Some(1));
    let rotated = owner.json(&["webhook", "rotate", &webhook]);
    assert_ne!(text(&rotated, "secret"), text(&created, "secret"));
    let accepted = owner.json(&["webhook", "test", &webhook]);
    let delivery = text(&accepted, "delivery_id");
    let rows = owner.list(&["webhook", "deliveries", &webhook]);
    assert_eq!(rows.len(), 1);
    assert_eq!(
        (text(&rows[0], "id"), text(&rows[0], "type")),
        (delivery, "webhook.test")
    );
    assert_eq!(
        owner
            .list(&["webhook", "deliveries", &webhook, "--status", "delivered"])
            .len(),
        0
    );
    let again = owner.json(&["webhook", "redeliver", &webhook, delivery]);
    assert_eq!(text(&again, "delivery_id"), delivery);
    let disabled = owner.json(&["webhook", "update", &webhook, "--status", "disabled"]);
    assert_eq!(text(&disabled, "status"), "disabled");
    let failed = owner.list(&["webhook", "deliveries", &webhook, "--status", "failed"]);
    assert_eq!(failed.len(), 1);
    owner.json(&["webhook", "delete", &webhook]);
    assert_eq!(owner.list(&["webhook", "list"]).len(), 1);
    owner.run(&["webhook", "show", &webhook]).expect(1);
    owner.run(&["webhook", "update", &id(&other)]).expect(2);
    owner
        .run(&["webhook", "create", "--url", URL, "--types", "scan.unknown"])
        .expect(2);
    owner
        .run(&["webhook", "create", "--url", "https://a b/", "--types", "scan.*"])
        .expect(2);
}
