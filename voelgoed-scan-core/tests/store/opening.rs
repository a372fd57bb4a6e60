//! Opening and migrating databases, and several nodes on one database.

use std::sync::Arc;

use voelgoed_scan_core::model::{Reason, ScanId, TicketCode};
use voelgoed_scan_core::store::{OpenError, open};

use crate::attempts::{entry, record_until_answered};
use crate::fixture::{ALL, Fixture, with_identities};

pub(crate) async fn a_reopened_database_keeps_its_contents(fixture: Fixture) {
    let code = fixture.ticket("{}").await;
    assert_eq!(fixture.enter(code, 0).await, Reason::Admitted);
    let again = open(&fixture.database.url, false)
        .await
        .expect("it opens without migrating");
    let facts = again.ticket(fixture.organization, fixture.event, code).await;
    assert_eq!(
        facts.expect("the read succeeds"),
        Some(fixture.ticket_facts(code).await)
    );
}

pub(crate) async fn a_new_database_can_be_opened_concurrently(fixture: Fixture) {
    let database = fixture.database.another().await;
    let refused = open(&database.url, false).await;
    assert!(
        refused.is_err(),
        "an empty database does not open without migrating"
    );
    let calls: Vec<_> = (0..6)
        .map(|_| {
            let url = database.url.clone();
            tokio::spawn(async move { open(&url, true).await })
        })
        .collect();
    for call in calls {
        let store = call
            .await
            .expect("the task completes")
            .expect("the database opens");
        assert_eq!(store.organizations().await.expect("the read succeeds"), []);
    }
    database.drop().await;
}

pub(crate) async fn nodes_sharing_a_database_respect_capacity(fixture: Fixture) {
    fixture.change_event(|event| event.capacity = Some(10)).await;
    let codes = twelve_tickets(&fixture).await;
    assert_eq!(admitted_at_many_nodes(&fixture, &codes).await, 10);
    assert_eq!(fixture.occupancy().await.event.inside, 10);
    for code in codes {
        assert!(fixture.ticket_facts(code).await.ticket.scan_count <= 1);
    }
}

pub(crate) async fn nodes_sharing_a_database_admit_each_ticket_once(fixture: Fixture) {
    let codes = twelve_tickets(&fixture).await;
    assert_eq!(admitted_at_many_nodes(&fixture, &codes).await, 12);
    assert_eq!(fixture.occupancy().await.event.inside, 12);
    for code in codes {
        assert_eq!(fixture.ticket_facts(code).await.ticket.scan_count, 1);
    }
}

async fn twelve_tickets(fixture: &Fixture) -> Vec<TicketCode> {
    let mut codes = Vec::new();
    for _ in 0..12 {
        codes.push(fixture.ticket("{}").await);
    }
    codes
}

/// Records every ticket on every node, in concurrent batches, and returns the number of admissions.
async fn admitted_at_many_nodes(fixture: &Fixture, codes: &[TicketCode]) -> usize {
    let nodes = fixture.open_nodes().await;
    let mut batches = Vec::new();
    for session in [&fixture.main_session, &fixture.side_session] {
        let batch: Vec<_> = codes.iter().map(|code| entry(session, *code, 0)).collect();
        batches.push(with_identities(&*fixture.store, &batch).await);
    }
    // The batches contain the same tickets, each in another order, at either gate.
    let calls: Vec<_> = (0..12)
        .map(|number| {
            let node = Arc::clone(&nodes[number % nodes.len()]);
            let mut batch = batches[number % 2].clone();
            for attempt in &mut batch {
                attempt.scan_id = ScanId::from_uuid(uuid::Uuid::new_v4());
            }
            batch.rotate_left(number);
            if number % 4 > 1 {
                batch.reverse();
            }
            tokio::spawn(async move { record_until_answered(&*node, &batch).await })
        })
        .collect();
    let mut admitted = 0;
    for call in calls {
        let reasons = call.await.expect("the task completes");
        admitted += reasons
            .iter()
            .filter(|reason| **reason == Reason::Admitted)
            .count();
    }
    admitted
}

pub(crate) async fn an_unknown_database_url_is_reported_without_its_secrets(_: Fixture) {
    for url in [
        "",
        "gate.db",
        "mysql://root:hunter2@localhost/gate",
        "sqlite::memory:",
    ] {
        let Err(error) = open(url, true).await else {
            panic!("{url} must not open")
        };
        assert!(matches!(error, OpenError::UnknownUrl { .. }), "{error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

pub(crate) async fn nul_characters_match_nothing_in_a_search_and_are_stored_in_metadata(fixture: Fixture) {
    fixture.ticket(r#"{"holder_name":"Ann"}"#).await;
    let devices = fixture
        .store
        .devices(fixture.organization, Some("scanner\0"), None, &ALL)
        .await;
    assert_eq!(devices.expect("the read succeeds").data, []);
    let tickets = fixture
        .store
        .tickets(fixture.organization, fixture.event, Some("Ann\0"), None, &ALL)
        .await;
    assert_eq!(tickets.expect("the read succeeds").data, []);
    let mut scan = entry(&fixture.main_session, fixture.ticket("{}").await, 0);
    scan.metadata = Some(serde_json::from_str(r#"{"odd":"\u0000 \\u0000 \ud83c\udf9f"}"#).expect("metadata"));
    let record = fixture.decided(scan).await.record;
    assert_eq!(
        fixture.audit_trail().await,
        [record],
        "JSON metadata can contain NUL"
    );
}
