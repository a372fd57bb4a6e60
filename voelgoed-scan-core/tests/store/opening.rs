//! How does a database begin, and who may share it?

use std::sync::Arc;

use voelgoed_scan_core::model::{Reason, ScanId, TicketCode};
use voelgoed_scan_core::store::{OpenError, open};

use crate::attempts::entry;
use crate::world::{ALL, RULES, World, informed};

pub(crate) async fn an_opened_database_has_what_was_written_before(world: World) {
    let code = world.ticket("{}").await;
    assert_eq!(world.enter(code, 0).await, Reason::Admitted);
    let again = open(&world.database.url, false)
        .await
        .expect("it opens without migrating");
    let facts = again.ticket(world.organization, world.event, code).await;
    assert_eq!(facts.expect("read"), Some(world.facts(code).await));
}

pub(crate) async fn several_may_open_a_new_database_at_once(world: World) {
    let database = world.database.another().await;
    let refused = open(&database.url, false).await;
    assert!(refused.is_err(), "without migrations it is of no use");
    let calls: Vec<_> = (0..6)
        .map(|_| {
            let url = database.url.clone();
            tokio::spawn(async move { open(&url, true).await })
        })
        .collect();
    for call in calls {
        let store = call.await.expect("the call ends").expect("the database opens");
        assert_eq!(store.organizations().await.expect("read"), []);
    }
    database.drop().await;
}

pub(crate) async fn nodes_that_share_a_database_admit_no_more_than_fit(world: World) {
    world.change_event(|event| event.capacity = Some(10)).await;
    let codes = twelve_tickets(&world).await;
    assert_eq!(admitted_at_many_nodes(&world, &codes).await, 10);
    assert_eq!(world.occupancy().await.event.inside, 10);
    for code in codes {
        assert!(world.facts(code).await.ticket.scan_count <= 1);
    }
}

pub(crate) async fn nodes_that_share_a_database_admit_once(world: World) {
    let codes = twelve_tickets(&world).await;
    assert_eq!(admitted_at_many_nodes(&world, &codes).await, 12);
    assert_eq!(world.occupancy().await.event.inside, 12);
    for code in codes {
        assert_eq!(world.facts(code).await.ticket.scan_count, 1);
    }
}

async fn twelve_tickets(world: &World) -> Vec<TicketCode> {
    let mut codes = Vec::new();
    for _ in 0..12 {
        codes.push(world.ticket("{}").await);
    }
    codes
}

/// How many are admitted where nodes are shown all tickets at once.
async fn admitted_at_many_nodes(world: &World, codes: &[TicketCode]) -> usize {
    let nodes = world.nodes().await;
    let mut batches = Vec::new();
    for post in [&world.post, &world.other_post] {
        let batch: Vec<_> = codes.iter().map(|code| entry(post, *code, 0)).collect();
        batches.push(informed(&*world.store, &batch).await);
    }
    // Every node is shown every ticket, in batches that share tickets, each in another order and at either gate.
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
            tokio::spawn(async move { node.record(&batch, &RULES).await.expect("recorded") })
        })
        .collect();
    let mut admitted = 0;
    for call in calls {
        let reasons = crate::attempts::reasons(&call.await.expect("the call ends"));
        admitted += reasons
            .iter()
            .filter(|reason| **reason == Reason::Admitted)
            .count();
    }
    admitted
}

pub(crate) async fn a_url_of_no_known_database_is_told_without_its_secrets(_: World) {
    for url in [
        "",
        "gate.db",
        "mysql://root:hunter2@localhost/gate",
        "sqlite::memory:",
    ] {
        let Err(error) = open(url, true).await else {
            panic!("{url} opens")
        };
        assert!(matches!(error, OpenError::UnknownUrl { .. }), "{error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

pub(crate) async fn a_text_that_no_row_can_hold_finds_nothing(world: World) {
    world.ticket(r#"{"holder_name":"Ann"}"#).await;
    let devices = world
        .store
        .devices(world.organization, Some("scanner\0"), None, &ALL)
        .await;
    assert_eq!(devices.expect("read").data, []);
    let tickets = world
        .store
        .tickets(world.organization, world.event, Some("Ann\0"), None, &ALL)
        .await;
    assert_eq!(tickets.expect("read").data, []);
    let mut scan = entry(&world.post, world.ticket("{}").await, 0);
    scan.metadata = Some(serde_json::from_str(r#"{"odd":"\u0000 \\u0000 \ud83c\udf9f"}"#).expect("metadata"));
    let record = world.decided(scan).await.record;
    assert_eq!(world.trail().await, [record], "but JSON can hold every text");
}
