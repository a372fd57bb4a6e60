//! What does an import make of its lines?

use std::sync::Arc;

use uuid::Uuid;
use voelgoed_scan_core::model::{EventId, Reason, TicketCode, TicketListing, TicketStatus};
use voelgoed_scan_core::store::ImportOutcome;

use crate::world::{ALL, START, World, after, live, numbered, put_event};

const CODE: &str = "3KQR7F924M1XaB0z";

fn code(text: &str) -> TicketCode {
    text.parse().expect("a code")
}

async fn listing(world: &World, code: TicketCode) -> TicketListing {
    let page = world
        .store
        .tickets(
            world.organization,
            world.event,
            Some(&code.to_string()),
            None,
            &ALL,
        )
        .await;
    page.expect("tickets").data.remove(0)
}

pub(crate) async fn a_line_inserts_updates_or_changes_nothing(world: World) {
    let full = format!(
        r#"{{"code":"{CODE}","id":"0192f0c1-7a4e-7000-8000-000000000001","status":"active","ticket_class":"VIP",
        "gate_ids":["{}"],"seat":{{"block":"A","row":"10","number":"42"}},"valid_from":"2026-11-22T10:00:00Z",
        "valid_until":"2026-11-23T10:00:00Z","entry_limit":4,"note":"Aisle","holder_name":"Éloïse","order_ref":"VG-1"}}"#,
        world.main
    );
    let [outcome] = &world.import(&[&full]).await[..] else {
        panic!("one outcome a line")
    };
    let ImportOutcome::Inserted(inserted, id) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(
        (inserted.to_string().as_str(), id.to_string().as_str()),
        (CODE, "0192f0c1-7a4e-7000-8000-000000000001")
    );
    let first = listing(&world, code(CODE)).await;
    let as_line = serde_json::to_value(&first).expect("a listing");
    for (field, value) in serde_json::from_str::<serde_json::Map<_, _>>(&full).expect("a line") {
        let stored = &as_line[&field];
        let same_time = value
            .as_str()
            .zip(stored.as_str())
            .is_some_and(|(given, kept)| kept.replace(".000Z", "Z") == given);
        assert!(*stored == value || same_time, "{field}: {stored} for {value}");
    }
    let again = world.import_at(&[&full], after(60)).await;
    assert_eq!(again, [ImportOutcome::Unchanged(*inserted, *id)]);
    assert_eq!(listing(&world, code(CODE)).await, first, "nothing was written");
    let note = format!(r#"{{"code":"{CODE}","note":"Stairs"}}"#);
    assert_eq!(
        world.import_at(&[&note], after(60)).await,
        [ImportOutcome::Updated(*inserted, *id)]
    );
    let second = listing(&world, code(CODE)).await;
    assert_eq!(
        second
            .ticket
            .note
            .as_ref()
            .map(voelgoed_scan_core::model::Note::as_str),
        Some("Stairs")
    );
    assert_eq!(
        (second.ticket.inserted_at, second.ticket.updated_at),
        (START, after(60))
    );
    assert_eq!(
        (second.holder_name, second.ticket.seat),
        (first.holder_name, first.ticket.seat),
        "absent fields stay"
    );
}

pub(crate) async fn null_clears_a_field(world: World) {
    let gate = world.main;
    world
        .import(&[&format!(
            r#"{{"code":"{CODE}","status":"voided","ticket_class":"VIP","gate_ids":["{gate}"],"seat":{{"row":"1"}},
            "valid_from":"2026-11-22T10:00:00Z","valid_until":"2026-11-23T10:00:00Z","entry_limit":4,"note":"x",
            "holder_name":"y","order_ref":"z"}}"#
        )])
        .await;
    world
        .import(&[&format!(
            r#"{{"code":"{CODE}","status":null,"ticket_class":null,"gate_ids":null,"seat":null,"valid_from":null,
            "valid_until":null,"entry_limit":null,"note":null,"holder_name":null,"order_ref":null}}"#
        )])
        .await;
    let TicketListing {
        ticket,
        holder_name,
        order_ref,
    } = listing(&world, code(CODE)).await;
    assert_eq!((ticket.status, ticket.entry_limit), (TicketStatus::Active, 1));
    assert_eq!(
        (ticket.ticket_class, ticket.gate_ids, ticket.seat, ticket.note),
        (None, None, None, None)
    );
    assert_eq!(
        (ticket.valid_from, ticket.valid_until, holder_name, order_ref),
        (None, None, None, None)
    );
}

pub(crate) async fn a_line_that_cannot_be_is_rejected_by_field(world: World) {
    let id = "0192f0c1-7a4e-7000-8000-000000000001";
    let taken = "0000000000000000";
    world
        .import(&[
            &format!(r#"{{"code":"{CODE}","id":"{id}","valid_until":"2026-11-22T10:00:00Z"}}"#),
            &format!(r#"{{"code":"{taken}"}}"#),
        ])
        .await;
    let other_event = put_event(&*world.store, world.organization, &live()).await;
    let elsewhere = "1111111111111111";
    let lines = numbered(&[&format!(r#"{{"code":"{elsewhere}"}}"#)]);
    world
        .store
        .import(world.organization, other_event, &lines, START)
        .await
        .expect("written");
    let stranger = Uuid::new_v4();
    let lines = [
        (format!(r#"{{"code":"{elsewhere}"}}"#), "code:"),
        (format!(r#"{{"code":"{CODE}","id":"{stranger}"}}"#), "id:"),
        (format!(r#"{{"code":"2222222222222222","id":"{id}"}}"#), "id:"),
        (format!(r#"{{"id":"{id}"}}"#), "id:"),
        (format!(r#"{{"gate_ids":["{}","{stranger}"]}}"#, world.main), "gate_ids:"),
        (format!(r#"{{"code":"{CODE}","valid_from":"2026-11-22T10:00:00.001Z"}}"#), "valid_until:"),
        (r#"{"valid_from":"2026-11-23T10:00:00Z","valid_until":"2026-11-22T10:00:00Z","ticket_class":"New"}"#.to_owned(), "valid_until:"),
    ];
    let texts: Vec<_> = lines.iter().map(|(line, _)| line.as_str()).collect();
    let outcomes = world.import(&texts).await;
    for ((line, field), outcome) in lines.iter().zip(&outcomes) {
        let ImportOutcome::Rejected(why) = outcome else {
            panic!("{line}: {outcome:?}")
        };
        assert!(why.starts_with(field), "{line}: {why}");
        assert!(!why.contains(&world.organization.to_string()), "{why}");
    }
    let all = world
        .store
        .tickets(world.organization, world.event, None, None, &ALL)
        .await
        .expect("tickets")
        .data;
    assert_eq!(all.len(), 2);
    assert!(
        all.iter()
            .all(|one| one.ticket.updated_at == one.ticket.inserted_at)
    );
    let event = world
        .store
        .event(world.organization, world.event)
        .await
        .expect("read")
        .expect("there");
    assert_eq!(event.ticket_classes, [], "a rejected line's class does not join");
    let nowhere = EventId::from_uuid(Uuid::new_v4());
    let missing = world
        .store
        .import(world.organization, nowhere, &numbered(&["{}"]), START)
        .await;
    assert_eq!(missing.expect("read"), None);
}

pub(crate) async fn unknown_classes_join_the_event_s_list_in_their_order(world: World) {
    world
        .change_event(|event| event.ticket_classes = Some(vec!["A".parse().expect("a class")]))
        .await;
    world
        .import(&[
            r#"{"ticket_class":"C"}"#,
            r#"{"ticket_class":"A"}"#,
            r#"{"ticket_class":"B"}"#,
            r#"{"ticket_class":"C"}"#,
        ])
        .await;
    let event = world
        .store
        .event(world.organization, world.event)
        .await
        .expect("read")
        .expect("there");
    let classes: Vec<_> = event
        .ticket_classes
        .iter()
        .map(voelgoed_scan_core::model::ClassName::as_str)
        .collect();
    assert_eq!(classes, ["A", "C", "B"]);
}

pub(crate) async fn imports_at_once_lose_no_class_and_no_ticket(world: World) {
    let calls: Vec<_> = (0..8)
        .map(|number| {
            let (store, organization, event) = (Arc::clone(&world.store), world.organization, world.event);
            // Every import brings one ticket of its own and one that all bring.
            let own = format!(r#"{{"code":"000000000000000{number}","ticket_class":"Class {number}"}}"#);
            let shared = format!(r#"{{"code":"{CODE}","ticket_class":"Shared"}}"#);
            tokio::spawn(async move {
                store
                    .import(organization, event, &numbered(&[&own, &shared]), START)
                    .await
            })
        })
        .collect();
    let mut inserted = 0;
    for call in calls {
        let outcomes = call
            .await
            .expect("the call ends")
            .expect("written")
            .expect("the event is there");
        inserted += outcomes
            .iter()
            .filter(|one| matches!(one, ImportOutcome::Inserted(..)))
            .count();
    }
    assert_eq!(inserted, 9);
    let event = world
        .store
        .event(world.organization, world.event)
        .await
        .expect("read")
        .expect("there");
    assert_eq!(event.ticket_classes.len(), 9);
}

pub(crate) async fn a_code_goes_to_one_of_two_events_that_import_it_at_once(world: World) {
    let other = put_event(&*world.store, world.organization, &live()).await;
    let codes: Vec<_> = (0..40).map(|_| TicketCode::generate().to_string()).collect();
    let calls: Vec<_> = [world.event, other]
        .into_iter()
        .map(|event| {
            let (store, organization) = (Arc::clone(&world.store), world.organization);
            let lines: Vec<_> = codes
                .iter()
                .map(|code| format!(r#"{{"code":"{code}"}}"#))
                .collect();
            let lines = numbered(&lines.iter().map(String::as_str).collect::<Vec<_>>());
            tokio::spawn(async move { store.import(organization, event, &lines, START).await })
        })
        .collect();
    let (mut inserted, mut rejected) = (0, 0);
    for call in calls {
        for outcome in call
            .await
            .expect("the call ends")
            .expect("written")
            .expect("the event is there")
        {
            match outcome {
                ImportOutcome::Inserted(..) => inserted += 1,
                ImportOutcome::Rejected(why) => {
                    assert!(why.starts_with("code:"), "{why}");
                    rejected += 1;
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!((inserted, rejected), (40, 40));
}

pub(crate) async fn two_lines_of_one_code_apply_in_their_order(world: World) {
    let id = "0192f0c1-7a4e-7000-8000-000000000001";
    let outcomes = world
        .import(&[
            &format!(r#"{{"code":"{CODE}","id":"{id}","note":"one","holder_name":"Ann"}}"#),
            &format!(r#"{{"code":"{CODE}","note":"two"}}"#),
            &format!(r#"{{"code":"{CODE}","note":"two"}}"#),
            &format!(r#"{{"code":"2222222222222222","id":"{id}"}}"#),
        ])
        .await;
    assert!(
        matches!(
            outcomes[..],
            [
                ImportOutcome::Inserted(..),
                ImportOutcome::Updated(..),
                ImportOutcome::Unchanged(..),
                ImportOutcome::Rejected(_)
            ]
        ),
        "{outcomes:?}"
    );
    let stored = listing(&world, code(CODE)).await;
    assert_eq!(
        stored.ticket.note.map(|note| note.to_string()),
        Some("two".to_owned())
    );
    assert_eq!(
        stored.holder_name.map(|name| name.to_string()),
        Some("Ann".to_owned())
    );
}

pub(crate) async fn an_import_never_un_scans_a_ticket(world: World) {
    world
        .import(&[&format!(r#"{{"code":"{CODE}","entry_limit":2}}"#)])
        .await;
    world.enter(code(CODE), 0).await;
    let steps = [
        (r#""status":"active""#, TicketStatus::Scanned, 2),
        (r#""status":null"#, TicketStatus::Scanned, 2),
        (r#""entry_limit":1"#, TicketStatus::Scanned, 1),
        (r#""status":"refunded""#, TicketStatus::Refunded, 1),
        (r#""note":"x""#, TicketStatus::Refunded, 1),
        (r#""status":"active""#, TicketStatus::Scanned, 1),
    ];
    for (field, status, entry_limit) in steps {
        world.import(&[&format!(r#"{{"code":"{CODE}",{field}}}"#)]).await;
        let facts = world.facts(code(CODE)).await;
        assert_eq!(
            (facts.ticket.status, facts.ticket.entry_limit),
            (status, entry_limit),
            "{field}"
        );
        assert_eq!(
            (facts.ticket.scan_count, facts.ledger.inside()),
            (1, 1),
            "{field}"
        );
    }
    assert_eq!(world.enter(code(CODE), 1).await, Reason::AlreadyScanned);
    world
        .import(&[&format!(r#"{{"code":"{CODE}","entry_limit":2}}"#)])
        .await;
    assert_eq!(world.enter(code(CODE), 2).await, Reason::Admitted);
}
