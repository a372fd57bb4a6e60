//! Media: what an import gives to tickets, and how a ticket is found by them.

use std::sync::Arc;

use voelgoed_scan_core::model::{Media, Medium, MediumTicket, OrganizationId, TicketCode};
use voelgoed_scan_core::store::ImportOutcome;

use crate::fixture::{ALL, Fixture, after, live, put_event};

const EAN: &str = "barcode:4006381333931";
const BAND: &str = "nfc:04A1B2C3D4E5F6";

fn medium(text: &str) -> Medium {
    text.parse().expect("a medium")
}

async fn media(fixture: &Fixture, code: TicketCode) -> Vec<String> {
    let media = fixture
        .store
        .media_of(fixture.organization, fixture.event, code)
        .await;
    media.expect("media").iter().map(ToString::to_string).collect()
}

async fn owners_in(fixture: &Fixture, organization: OrganizationId, text: &str) -> Vec<MediumTicket> {
    let found = fixture
        .store
        .tickets_by_media(organization, &[medium(text).sha256()])
        .await;
    found.expect("tickets")
}

/// The codes of the tickets of the fixture's organization that have a medium.
async fn owners(fixture: &Fixture, text: &str) -> Vec<TicketCode> {
    let owners = owners_in(fixture, fixture.organization, text).await;
    owners.into_iter().map(|owner| owner.ticket_code).collect()
}

fn rejected(outcomes: &[ImportOutcome]) -> Vec<&str> {
    let mut reasons = Vec::new();
    for outcome in outcomes {
        reasons.push(match outcome {
            ImportOutcome::Rejected(why) => why.as_str(),
            _ => "",
        });
    }
    reasons
}

pub(crate) async fn a_line_without_a_code_is_the_ticket_that_has_its_medium(fixture: Fixture) {
    let line = format!(r#"{{"media":["{EAN}","{BAND}"],"holder_name":"Ada"}}"#);
    let outcomes = fixture.import(&[&line, &line]).await;
    let [ImportOutcome::Inserted(code, id), ref again] = outcomes[..] else {
        panic!("{outcomes:?}")
    };
    assert_eq!(*again, ImportOutcome::Unchanged(code, id), "within one import");
    assert_eq!(
        fixture.import(&[&line]).await,
        [ImportOutcome::Unchanged(code, id)],
        "sent again"
    );
    let changed = format!(r#"{{"media":["{BAND}"],"note":"Aisle"}}"#);
    assert_eq!(
        fixture.import(&[&changed]).await,
        [ImportOutcome::Updated(code, id)]
    );
    assert_eq!(media(&fixture, code).await, [BAND]);
    assert_eq!(owners(&fixture, EAN).await, []);
    assert_eq!(owners(&fixture, BAND).await, [code]);
}

pub(crate) async fn an_absent_list_keeps_media_and_null_or_an_empty_one_clears_them(fixture: Fixture) {
    for clearing in ["null", "[]"] {
        let code = fixture.ticket(&format!(r#"{{"media":["{EAN}"]}}"#)).await;
        let before = fixture
            .store
            .ticket(fixture.organization, fixture.event, code)
            .await;
        let version = before.expect("a ticket").expect("a ticket").version;
        fixture
            .import(&[&format!(r#"{{"code":"{code}","note":"x"}}"#)])
            .await;
        assert_eq!(media(&fixture, code).await, [EAN], "absent keeps");
        fixture
            .import(&[&format!(r#"{{"code":"{code}","media":{clearing}}}"#)])
            .await;
        assert_eq!(
            media(&fixture, code).await,
            Vec::<String>::new(),
            "{clearing} clears"
        );
        assert_eq!(owners(&fixture, EAN).await, [], "{clearing} clears");
        let after = fixture
            .store
            .ticket(fixture.organization, fixture.event, code)
            .await;
        assert_eq!(after.expect("a ticket").expect("a ticket").version, version + 2);
    }
}

pub(crate) async fn a_line_that_names_another_tickets_medium_is_rejected(fixture: Fixture) {
    let first = fixture.ticket(&format!(r#"{{"media":["{EAN}"]}}"#)).await;
    let other = format!(r#"{{"code":"3KQR7F924M1XaB0z","media":["{BAND}","{EAN}"]}}"#);
    let taken = "media: is a medium of another ticket";
    assert_eq!(
        rejected(&fixture.import(&[&other]).await),
        [taken],
        "of a ticket before"
    );
    assert_eq!(
        owners(&fixture, BAND).await,
        [],
        "a rejected line changes nothing"
    );
    let within = fixture
        .import(&[
            &format!(r#"{{"code":"3KQR7F924M1XaB0z","media":["{BAND}"]}}"#),
            &format!(r#"{{"code":"zzzzzzzzzzzzzzzz","media":["{BAND}"]}}"#),
            &format!(r#"{{"media":["{BAND}","{EAN}"]}}"#),
        ])
        .await;
    assert_eq!(rejected(&within), ["", taken, taken], "within one import");
    assert_eq!(owners(&fixture, EAN).await, [first]);

    let elsewhere = put_event(&*fixture.store, fixture.organization, &live()).await;
    let lines = crate::fixture::numbered(&[&format!(r#"{{"media":["{EAN}"]}}"#)]);
    let imported = fixture
        .store
        .import(fixture.organization, elsewhere, &lines, after(1), None)
        .await;
    let imported = imported.expect("an import").expect("the event exists");
    assert!(
        matches!(imported[..], [ImportOutcome::Inserted(..)]),
        "at another event: {imported:?}"
    );
    assert_eq!(owners(&fixture, EAN).await.len(), 2);
}

pub(crate) async fn a_medium_moves_to_another_ticket_in_the_order_of_the_lines(fixture: Fixture) {
    let first = fixture.ticket(&format!(r#"{{"media":["{EAN}"]}}"#)).await;
    let second = fixture.ticket(&format!(r#"{{"media":["{BAND}"]}}"#)).await;
    let outcomes = fixture
        .import(&[
            &format!(r#"{{"code":"{first}","media":null}}"#),
            &format!(r#"{{"code":"{second}","media":["{EAN}","{BAND}"]}}"#),
        ])
        .await;
    assert!(
        matches!(
            outcomes[..],
            [ImportOutcome::Updated(..), ImportOutcome::Updated(..)]
        ),
        "{outcomes:?}"
    );
    assert_eq!(owners(&fixture, EAN).await, [second]);
    assert_eq!(media(&fixture, second).await, [EAN, BAND]);
    assert_eq!(media(&fixture, first).await, Vec::<String>::new());
}

pub(crate) async fn concurrent_imports_give_a_medium_to_one_ticket(fixture: Fixture) {
    let fixture = Arc::new(fixture);
    let imports: Vec<_> = (0..8)
        .map(|number| {
            let fixture = Arc::clone(&fixture);
            tokio::spawn(async move {
                let line = format!(r#"{{"media":["{EAN}","barcode:{number}"]}}"#);
                fixture.import(&[&line]).await.remove(0)
            })
        })
        .collect();
    let mut codes = Vec::new();
    for import in imports {
        match import.await.expect("an import") {
            ImportOutcome::Inserted(code, _) | ImportOutcome::Updated(code, _) => codes.push(code),
            other => panic!("{other:?}"),
        }
    }
    codes.dedup();
    assert_eq!(codes.len(), 1, "every line is the same ticket: {codes:?}");
    let page = fixture
        .store
        .tickets(fixture.organization, fixture.event, None, None, &ALL)
        .await;
    assert_eq!(page.expect("tickets").data.len(), 1);
}

pub(crate) async fn a_medium_of_another_organization_is_not_found(fixture: Fixture) {
    let other = fixture.another().await;
    let code = fixture.ticket(&format!(r#"{{"media":["{EAN}"]}}"#)).await;
    assert_eq!(owners_in(&fixture, other.organization, EAN).await, []);
    let own = other.ticket(&format!(r#"{{"media":["{EAN}"]}}"#)).await;
    assert_eq!(owners(&fixture, EAN).await, [code]);
    assert_eq!(owners(&other, EAN).await, [own]);
    let seen = other
        .store
        .media_of(other.organization, fixture.event, code)
        .await;
    assert_eq!(seen.expect("media"), Media::default());
}

pub(crate) async fn invalid_media_reject_the_line(fixture: Fixture) {
    let nine: Vec<String> = (0..9).map(|number| format!("\"barcode:{number}\"")).collect();
    for list in [
        r#"["nfc:04a1b2c3"]"#,
        r#"["nfc:04A1"]"#,
        r#"["barcode:"]"#,
        r#"["4006381333931"]"#,
        r#""barcode:1""#,
        &format!("[{}]", nine.join(",")),
    ] {
        let line = format!(r#"{{"media":{list}}}"#);
        let parsed = serde_json::from_str::<voelgoed_scan_core::model::TicketLine>(&line);
        assert!(parsed.is_err(), "{line}");
    }
    let eight = format!(r#"{{"media":[{}]}}"#, nine[..8].join(","));
    let code = fixture.ticket(&eight).await;
    assert_eq!(media(&fixture, code).await.len(), 8);
}
