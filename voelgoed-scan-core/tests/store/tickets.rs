//! How does the box office find and change tickets?

use uuid::Uuid;
use voelgoed_scan_core::model::{EventId, SettableStatus, TicketStatus};
use voelgoed_scan_core::store::PageRequest;

use crate::world::{ALL, START, World};

pub(crate) async fn a_status_that_is_lifted_reads_scanned_where_admissions_are_left(world: World) {
    let fresh = world.ticket("{}").await;
    let used = world.ticket("{}").await;
    world.enter(used, 0).await;
    for (status, stored) in [
        (SettableStatus::Used, TicketStatus::Used),
        (SettableStatus::Voided, TicketStatus::Voided),
        (SettableStatus::Refunded, TicketStatus::Refunded),
    ] {
        assert_eq!(world.set_status(fresh, status).await.ticket.status, stored);
        assert_eq!(world.facts(fresh).await.ticket.status, stored);
    }
    assert_eq!(
        world
            .set_status(fresh, SettableStatus::Active)
            .await
            .ticket
            .status,
        TicketStatus::Active
    );
    world.set_status(used, SettableStatus::Voided).await;
    assert_eq!(
        world.set_status(used, SettableStatus::Active).await.ticket.status,
        TicketStatus::Scanned
    );
    let nothing = world.store.set_ticket_status(
        world.organization,
        EventId::from_uuid(Uuid::new_v4()),
        used,
        SettableStatus::Voided,
        START,
    );
    assert_eq!(nothing.await.expect("read"), None, "of another event");
}

pub(crate) async fn tickets_are_found_by_start_of_code_by_holder_and_by_order(world: World) {
    world
        .import(&[
            r#"{"code":"aaaa000000000000","holder_name":"Éloïse Botha","order_ref":"VG-100"}"#,
            r#"{"code":"aAaa000000000000","holder_name":"Jan van der Merwe","order_ref":"vg-200"}"#,
            r#"{"code":"bbbb000000000000","holder_name":"100% Club_House","order_ref":"X-VG-1"}"#,
            r#"{"code":"cccc000000000000","status":"voided"}"#,
        ])
        .await;
    let found = async |wanted: Option<&str>, status| {
        let page = world
            .store
            .tickets(world.organization, world.event, wanted, status, &ALL)
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
        (None, "aAaa aaaa bbbb cccc"),
        (Some("aaaa"), "aaaa"),
        (Some("aAaa-0000"), "aAaa"),
        (Some("AAAA"), ""),
        (Some("éLOÏse"), "aaaa"),
        (Some("van der"), "aAaa"),
        (Some("vg-"), "aAaa aaaa"),
        (Some("VG-1"), "aaaa"),
        (Some("0% c"), "bbbb"),
        (Some("b_h"), "bbbb"),
        (Some("a%a"), ""),
        (Some("%%%"), ""),
        (Some("b_o"), ""),
    ];
    for (wanted, codes) in table {
        assert_eq!(found(wanted, None).await, codes, "{wanted:?}");
    }
    assert_eq!(found(None, Some(TicketStatus::Voided)).await, "cccc");
    assert_eq!(found(Some("aaaa"), Some(TicketStatus::Voided)).await, "");
}

pub(crate) async fn tickets_come_in_pages_in_the_order_of_their_codes(world: World) {
    let lines = vec!["{}"; 7];
    world.import(&lines).await;
    let mut codes = Vec::new();
    let mut after = None;
    loop {
        let page = PageRequest { limit: 3, after };
        let page = world
            .store
            .tickets(world.organization, world.event, None, None, &page)
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
