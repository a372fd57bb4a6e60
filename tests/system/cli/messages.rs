//! `messages`, `messages set` and `messages reset`.

use serde_json::json;
use voelgoed_scan_core::model::{Language, Reason};

use super::fixture::{Cli, TestServer, text};

#[test]
fn every_text_of_a_language_is_listed_without_a_server() {
    let cli = Cli::without_server();
    for language in Language::ALL {
        let rows = cli.list(&["messages", "--lang", language.as_str()]);
        let shown: Vec<_> = rows
            .iter()
            .map(|row| {
                (
                    text(row, "reason").to_owned(),
                    text(row, "message").to_owned(),
                    row["language"].clone(),
                )
            })
            .collect();
        let expected: Vec<_> = Reason::ALL
            .iter()
            .map(|reason| {
                let message = language.message(*reason).to_owned();
                (reason.as_str().to_owned(), message, json!(language))
            })
            .collect();
        assert_eq!(shown, expected);
        assert!(rows.iter().all(|row| row["custom"] == false), "{rows:?}");
    }
    let table = cli.run(&["messages", "--lang", "nl"]).expect(0);
    assert!(table.stdout.contains("Al gescand"), "{table:?}");
    let english = cli.list(&["messages"]);
    assert_eq!(text(&english[0], "message"), "Admitted");
    let unknown = cli.run(&["messages", "--lang", "zu"]).expect(2);
    assert!(
        unknown.stderr.contains("en, af, nl, de, fr, es, pt"),
        "{unknown:?}"
    );
}

#[test]
fn an_organization_replaces_a_text_and_takes_it_back() {
    let server = TestServer::start();
    let owner = &server.owner;
    let set = owner.list(&["messages", "set", "gate_full", "Neem ingang B", "--lang", "nl"]);
    assert_eq!(set.len(), 1, "{set:?}");
    assert_eq!(
        set[0],
        json!({
            "language": "nl", "result": "refused", "reason": "gate_full",
            "message": "Neem ingang B", "custom": true
        })
    );
    let listed = owner.list(&["messages", "--lang", "nl"]);
    assert_eq!(listed.len(), Reason::ALL.len());
    let own: Vec<_> = listed.iter().filter(|row| row["custom"] == true).collect();
    assert_eq!(own, [&set[0]]);
    let table = owner.run(&["messages", "--lang", "nl"]).expect(0);
    let line = table.stdout.lines().find(|line| line.contains("gate_full"));
    assert!(line.is_some_and(|line| line.ends_with("yes")), "{table:?}");
    let reset = owner.list(&["messages", "reset", "gate_full", "--lang", "nl"]);
    assert_eq!(
        (text(&reset[0], "message"), &reset[0]["custom"]),
        ("Deze ingang is vol", &json!(false))
    );
    owner.run(&["messages", "set", "welcome", "x"]).expect(2);
    let long = "x".repeat(121);
    let refused = owner.run(&["messages", "set", "admitted", &long]).expect(2);
    assert!(refused.stderr.contains("at most 120 characters"), "{refused:?}");
    server
        .owner
        .without_token()
        .run(&["messages", "set", "admitted", "Hello"])
        .expect(4);
}
