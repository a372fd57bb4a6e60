//! Searching tickets and changing their status.

use uuid::Uuid;
use voelgoed_scan_core::model::{EventId, SettableStatus, TicketStatus};
use voelgoed_scan_core::store::PageRequest;

use crate::fixture::{ALL, Fixture, START, audit};

pub(crate) async fn a_reactivated_ticket_with_admissions_is_scanned(fixture: Fixture) {
    let fresh = fixture.ticket("{}").await;
    let used = fixture.ticket("{}").await;
    fixture.enter(used, 0).await;
    for (status, stored) in [
        (SettableStatus::Used, TicketStatus::Used),
        (SettableStatus::Voided, TicketStatus::Voided),
        (SettableStatus::Refunded, TicketStatus::Refunded),
    ] {
        assert_eq!(fixture.set_status(fresh, status).await.ticket.status, stored);
        assert_eq!(fixture.ticket_facts(fresh).await.ticket.status, stored);
    }
    assert_eq!(
        fixture
            .set_status(fresh, SettableStatus::Active)
            .await
            .ticket
            .status,
        TicketStatus::Active
    );
    fixture.set_status(used, SettableStatus::Voided).await;
    assert_eq!(
        fixture
            .set_status(used, SettableStatus::Active)
            .await
            .ticket
            .status,
        TicketStatus::Scanned
    );
    let nothing = fixture.store.set_ticket_status(
        fixture.organization,
        EventId::from_uuid(Uuid::new_v4()),
        used,
        SettableStatus::Voided,
        START,
        audit(),
    );
    assert_eq!(
        nothing.await.expect("the read succeeds"),
        None,
        "the ticket belongs to another event"
    );
}

pub(crate) async fn tickets_are_found_by_code_prefix_holder_and_order(fixture: Fixture) {
    fixture
        .import(&[
            r#"{"code":"aaaa000000000000","holder_name":"Éloïse Botha","order_ref":"VG-100"}"#,
            r#"{"code":"aAaa000000000000","holder_name":"Jan van der Merwe","order_ref":"vg-200"}"#,
            r#"{"code":"bbbb000000000000","holder_name":"100% Club_House","order_ref":"X-VG-1"}"#,
            r#"{"code":"cccc000000000000","status":"voided"}"#,
            r#"{"code":"dddd000000000000","holder_name":"Anne-Marie O\u2018Brien"}"#,
            r#"{"code":"eeee000000000000","holder_name":"王伟"}"#,
        ])
        .await;
    let find = async |text: Option<&str>, status| {
        let page = fixture
            .store
            .tickets(fixture.organization, fixture.event, text, status, &ALL)
            .await;
        let codes: Vec<_> = page
            .expect("tickets")
            .data
            .iter()
            .map(|one| one.ticket.code.to_string())
            .collect();
        codes
            .iter()
            .map(|code| code.trim_end_matches('0'))
            .collect::<Vec<_>>()
            .join(" ")
    };
    let table = [
        (None, "aAaa aaaa bbbb cccc dddd eeee"),
        (Some("aaaa"), "aAaa aaaa"),
        (Some("aAaa-0000"), "aAaa aaaa"),
        (Some("BBBB"), "bbbb"),
        (Some("éLOÏse"), "aaaa"),
        (Some("eloise b"), "aaaa"),
        (Some("bo"), "aaaa"),
        (Some("otha"), ""),
        (Some("van der"), "aAaa"),
        (Some(" MERWE "), "aAaa"),
        (Some("vg-"), "aAaa aaaa"),
        (Some("VG-1"), "aaaa"),
        (Some("100% c"), "bbbb"),
        (Some("club_h"), "bbbb"),
        (Some("0% c"), ""),
        (Some("a%a"), ""),
        (Some("%%%"), ""),
        (Some("clubxh"), ""),
        (Some("o'br"), "dddd"),
        (Some("O\u{2019}Brien"), "dddd"),
        (Some("marie"), "dddd"),
        (Some("anne marie o`"), "dddd"),
        (Some("王"), "eeee"),
        (Some("  "), ""),
    ];
    for (text, codes) in table {
        assert_eq!(find(text, None).await, codes, "{text:?}");
    }
    assert_eq!(find(None, Some(TicketStatus::Voided)).await, "cccc");
    assert_eq!(find(Some("aaaa"), Some(TicketStatus::Voided)).await, "");
}

pub(crate) async fn tickets_are_paged_in_code_order(fixture: Fixture) {
    let lines = vec!["{}"; 7];
    fixture.import(&lines).await;
    let mut codes = Vec::new();
    let mut after = None;
    loop {
        let page = PageRequest { limit: 3, after };
        let page = fixture
            .store
            .tickets(fixture.organization, fixture.event, None, None, &page)
            .await
            .expect("a page");
        codes.extend(page.data.iter().map(|one| one.ticket.code.to_string()));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(codes.len(), 7);
    assert!(codes.is_sorted_by(|one, next| one < next), "{codes:?}");
}

pub(crate) async fn a_ticket_is_named_by_code_id_or_both_and_never_by_those_of_two(fixture: Fixture) {
    let (first, second) = (fixture.ticket("{}").await, fixture.ticket("{}").await);
    let id = fixture.ticket_facts(first).await.ticket.id;
    let other = fixture.another().await;
    let named = async |organization, code, id| {
        let found = fixture.store.code_of_named_ticket(organization, code, id).await;
        found.expect("tickets are read")
    };
    let organization = fixture.organization;
    assert_eq!(named(organization, Some(first), None).await, Some(first));
    assert_eq!(named(organization, None, Some(id)).await, Some(first));
    assert_eq!(named(organization, Some(first), Some(id)).await, Some(first));
    assert_eq!(named(organization, Some(second), Some(id)).await, None);
    assert_eq!(named(organization, None, None).await, None);
    assert_eq!(named(other.organization, Some(first), Some(id)).await, None);
}
