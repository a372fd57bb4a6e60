//! Ticket imports: what each line inserts, updates or rejects.

use std::sync::Arc;

use uuid::Uuid;
use voelgoed_scan_core::model::{EventId, Reason, TicketCode, TicketListing, TicketStatus, Timestamp};
use voelgoed_scan_core::store::{ImportDryRun, ImportOutcome};

use crate::attempts::entry;
use crate::fixture::{ALL, Fixture, START, after, live, numbered, put_event};

const CODE: &str = "3KQR7F924M1XaB0z";

fn code(text: &str) -> TicketCode {
    text.parse().expect("a code")
}

async fn listing(fixture: &Fixture, code: TicketCode) -> TicketListing {
    let page = fixture
        .store
        .tickets(
            fixture.organization,
            fixture.event,
            Some(&code.to_string()),
            None,
            &ALL,
        )
        .await;
    page.expect("tickets").data.remove(0)
}

pub(crate) async fn a_line_inserts_updates_or_leaves_a_ticket_unchanged(fixture: Fixture) {
    let full = format!(
        r#"{{"code":"{CODE}","id":"0192f0c1-7a4e-7000-8000-000000000001","status":"active","ticket_class":"VIP",
        "gate_ids":["{}"],"seat":{{"block":"A","row":"10","number":"42"}},"valid_from":"2026-11-22T10:00:00Z",
        "valid_until":"2026-11-23T10:00:00Z","entry_limit":4,"note":"Aisle","holder_name":"Éloïse","order_ref":"VG-1",
        "media":["nfc:04A1B2C3","barcode:1"]}}"#,
        fixture.main_gate
    );
    let [outcome] = &fixture.import(&[&full]).await[..] else {
        panic!("one outcome for one line")
    };
    let ImportOutcome::Inserted(inserted, id) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(
        (inserted.to_string().as_str(), id.to_string().as_str()),
        (CODE, "0192f0c1-7a4e-7000-8000-000000000001")
    );
    let first = listing(&fixture, code(CODE)).await;
    let as_line = serde_json::to_value(&first).expect("a listing");
    for (field, value) in serde_json::from_str::<serde_json::Map<_, _>>(&full).expect("a line") {
        let stored = &as_line[&field];
        let same_time = value
            .as_str()
            .zip(stored.as_str())
            .is_some_and(|(given, stored)| stored.replace(".000Z", "Z") == given);
        assert!(*stored == value || same_time, "{field}: {stored} for {value}");
    }
    let again = fixture.import_at(&[&full], after(60)).await;
    assert_eq!(again, [ImportOutcome::Unchanged(*inserted, *id)]);
    assert_eq!(listing(&fixture, code(CODE)).await, first, "nothing was written");
    let note = format!(r#"{{"code":"{CODE}","note":"Stairs"}}"#);
    assert_eq!(
        fixture.import_at(&[&note], after(60)).await,
        [ImportOutcome::Updated(*inserted, *id)]
    );
    let second = listing(&fixture, code(CODE)).await;
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
        "absent fields keep their values"
    );
}

pub(crate) async fn null_clears_a_field(fixture: Fixture) {
    let gate = fixture.main_gate;
    fixture
        .import(&[&format!(
            r#"{{"code":"{CODE}","status":"voided","ticket_class":"VIP","gate_ids":["{gate}"],"seat":{{"row":"1"}},
            "valid_from":"2026-11-22T10:00:00Z","valid_until":"2026-11-23T10:00:00Z","entry_limit":4,"note":"x",
            "holder_name":"y","order_ref":"z","media":["barcode:1"]}}"#
        )])
        .await;
    fixture
        .import(&[&format!(
            r#"{{"code":"{CODE}","status":null,"ticket_class":null,"gate_ids":null,"seat":null,"valid_from":null,
            "valid_until":null,"entry_limit":null,"note":null,"holder_name":null,"order_ref":null,"media":null}}"#
        )])
        .await;
    let TicketListing {
        ticket,
        holder_name,
        order_ref,
        media,
    } = listing(&fixture, code(CODE)).await;
    assert!(media.is_some_and(|media| media.is_empty()));
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

pub(crate) async fn an_invalid_line_is_rejected_and_names_the_field(fixture: Fixture) {
    let id = "0192f0c1-7a4e-7000-8000-000000000001";
    let taken = "0000000000000000";
    fixture
        .import(&[
            &format!(r#"{{"code":"{CODE}","id":"{id}","valid_until":"2026-11-22T10:00:00Z"}}"#),
            &format!(r#"{{"code":"{taken}"}}"#),
        ])
        .await;
    let other_event = put_event(&*fixture.store, fixture.organization, &live()).await;
    let code_of_other_event = "1111111111111111";
    let lines = numbered(&[&format!(r#"{{"code":"{code_of_other_event}"}}"#)]);
    fixture
        .store
        .import(fixture.organization, other_event, &lines, START, None)
        .await
        .expect("the write succeeds");
    let stranger = Uuid::new_v4();
    let lines = [
        (format!(r#"{{"code":"{code_of_other_event}"}}"#), "code:"),
        (format!(r#"{{"code":"{CODE}","id":"{stranger}"}}"#), "id:"),
        (format!(r#"{{"code":"2222222222222222","id":"{id}"}}"#), "id:"),
        (format!(r#"{{"id":"{id}"}}"#), "id:"),
        (format!(r#"{{"gate_ids":["{}","{stranger}"]}}"#, fixture.main_gate), "gate_ids:"),
        (format!(r#"{{"code":"{CODE}","valid_from":"2026-11-22T10:00:00.001Z"}}"#), "valid_until:"),
        (r#"{"valid_from":"2026-11-23T10:00:00Z","valid_until":"2026-11-22T10:00:00Z","ticket_class":"New"}"#.to_owned(), "valid_until:"),
    ];
    let texts: Vec<_> = lines.iter().map(|(line, _)| line.as_str()).collect();
    let outcomes = fixture.import(&texts).await;
    for ((line, field), outcome) in lines.iter().zip(&outcomes) {
        let ImportOutcome::Rejected(reason) = outcome else {
            panic!("{line}: {outcome:?}")
        };
        assert!(reason.starts_with(field), "{line}: {reason}");
        assert!(!reason.contains(&fixture.organization.to_string()), "{reason}");
    }
    let all = fixture
        .store
        .tickets(fixture.organization, fixture.event, None, None, &ALL)
        .await
        .expect("tickets")
        .data;
    assert_eq!(all.len(), 2);
    assert!(
        all.iter()
            .all(|one| one.ticket.updated_at == one.ticket.inserted_at)
    );
    let event = fixture
        .store
        .event(fixture.organization, fixture.event)
        .await
        .expect("the read succeeds")
        .expect("it exists");
    assert_eq!(
        event.ticket_classes,
        [],
        "the class of a rejected line is not added"
    );
    let nowhere = EventId::from_uuid(Uuid::new_v4());
    let missing = fixture
        .store
        .import(fixture.organization, nowhere, &numbered(&["{}"]), START, None)
        .await;
    assert_eq!(missing.expect("the read succeeds"), None);
}

pub(crate) async fn unknown_classes_are_appended_to_the_event_in_order(fixture: Fixture) {
    fixture
        .change_event(|event| event.ticket_classes = Some(vec!["A".parse().expect("a class")]))
        .await;
    fixture
        .import(&[
            r#"{"ticket_class":"C"}"#,
            r#"{"ticket_class":"A"}"#,
            r#"{"ticket_class":"B"}"#,
            r#"{"ticket_class":"C"}"#,
        ])
        .await;
    let event = fixture
        .store
        .event(fixture.organization, fixture.event)
        .await
        .expect("the read succeeds")
        .expect("it exists");
    let classes: Vec<_> = event
        .ticket_classes
        .iter()
        .map(voelgoed_scan_core::model::ClassName::as_str)
        .collect();
    assert_eq!(classes, ["A", "C", "B"]);
}

pub(crate) async fn concurrent_imports_lose_no_class_and_no_ticket(fixture: Fixture) {
    let calls: Vec<_> = (0..8)
        .map(|number| {
            let (store, organization, event) =
                (Arc::clone(&fixture.store), fixture.organization, fixture.event);
            // Every import has one ticket of its own and one that all imports share.
            let own = format!(r#"{{"code":"000000000000000{number}","ticket_class":"Class {number}"}}"#);
            let shared = format!(r#"{{"code":"{CODE}","ticket_class":"Shared"}}"#);
            tokio::spawn(async move {
                store
                    .import(organization, event, &numbered(&[&own, &shared]), START, None)
                    .await
            })
        })
        .collect();
    let mut inserted = 0;
    for call in calls {
        let outcomes = call
            .await
            .expect("the task completes")
            .expect("the write succeeds")
            .expect("the event exists");
        inserted += outcomes
            .iter()
            .filter(|one| matches!(one, ImportOutcome::Inserted(..)))
            .count();
    }
    assert_eq!(inserted, 9);
    let event = fixture
        .store
        .event(fixture.organization, fixture.event)
        .await
        .expect("the read succeeds")
        .expect("it exists");
    assert_eq!(event.ticket_classes.len(), 9);
}

pub(crate) async fn a_code_imported_concurrently_by_two_events_belongs_to_one(fixture: Fixture) {
    let other = put_event(&*fixture.store, fixture.organization, &live()).await;
    let codes: Vec<_> = (0..40).map(|_| TicketCode::generate().to_string()).collect();
    let calls: Vec<_> = [fixture.event, other]
        .into_iter()
        .map(|event| {
            let (store, organization) = (Arc::clone(&fixture.store), fixture.organization);
            let lines: Vec<_> = codes
                .iter()
                .map(|code| format!(r#"{{"code":"{code}"}}"#))
                .collect();
            let lines = numbered(&lines.iter().map(String::as_str).collect::<Vec<_>>());
            tokio::spawn(async move { store.import(organization, event, &lines, START, None).await })
        })
        .collect();
    let (mut inserted, mut rejected) = (0, 0);
    for call in calls {
        for outcome in call
            .await
            .expect("the task completes")
            .expect("the write succeeds")
            .expect("the event exists")
        {
            match outcome {
                ImportOutcome::Inserted(..) => inserted += 1,
                ImportOutcome::Rejected(reason) => {
                    assert!(reason.starts_with("code:"), "{reason}");
                    rejected += 1;
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!((inserted, rejected), (40, 40));
}

pub(crate) async fn lines_with_the_same_code_apply_in_order(fixture: Fixture) {
    let id = "0192f0c1-7a4e-7000-8000-000000000001";
    let outcomes = fixture
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
    let stored = listing(&fixture, code(CODE)).await;
    assert_eq!(
        stored.ticket.note.map(|note| note.to_string()),
        Some("two".to_owned())
    );
    assert_eq!(
        stored.holder_name.map(|name| name.to_string()),
        Some("Ann".to_owned())
    );
}

pub(crate) async fn an_import_never_resets_admissions(fixture: Fixture) {
    fixture
        .import(&[&format!(r#"{{"code":"{CODE}","entry_limit":2}}"#)])
        .await;
    fixture.enter(code(CODE), 0).await;
    let steps = [
        (r#""status":"active""#, TicketStatus::Scanned, 2),
        (r#""status":null"#, TicketStatus::Scanned, 2),
        (r#""entry_limit":1"#, TicketStatus::Scanned, 1),
        (r#""status":"refunded""#, TicketStatus::Refunded, 1),
        (r#""note":"x""#, TicketStatus::Refunded, 1),
        (r#""status":"active""#, TicketStatus::Scanned, 1),
    ];
    for (field, status, entry_limit) in steps {
        fixture
            .import(&[&format!(r#"{{"code":"{CODE}",{field}}}"#)])
            .await;
        let facts = fixture.ticket_facts(code(CODE)).await;
        assert_eq!(
            (facts.ticket.status, facts.ticket.entry_limit),
            (status, entry_limit),
            "{field}"
        );
        assert_eq!(
            (facts.ticket.scan_count, facts.ledger.inside(Timestamp::MIN)),
            (1, 1),
            "{field}"
        );
    }
    assert_eq!(fixture.enter(code(CODE), 1).await, Reason::AlreadyScanned);
    fixture
        .import(&[&format!(r#"{{"code":"{CODE}","entry_limit":2}}"#)])
        .await;
    assert_eq!(fixture.enter(code(CODE), 2).await, Reason::Admitted);
}

pub(crate) async fn an_imported_status_scanned_keeps_the_status(fixture: Fixture) {
    let line = |code: TicketCode| format!(r#"{{"code":"{code}","status":"scanned"}}"#);
    let scanned = fixture.ticket("{}").await;
    assert_eq!(fixture.enter(scanned, 0).await, Reason::Admitted);
    let voided = fixture.ticket(r#"{"status":"voided"}"#).await;
    let new = TicketCode::generate();
    let active = fixture.ticket("{}").await;
    for (code, status) in [
        (scanned, TicketStatus::Scanned),
        (voided, TicketStatus::Voided),
        (active, TicketStatus::Active),
        (new, TicketStatus::Active),
    ] {
        let outcomes = fixture.import(&[&line(code)]).await;
        assert!(!matches!(outcomes[0], ImportOutcome::Rejected(_)), "{outcomes:?}");
        assert_eq!(fixture.ticket_facts(code).await.ticket.status, status);
    }
    assert_eq!(fixture.enter(scanned, 1).await, Reason::AlreadyScanned);
    assert_eq!(fixture.enter(new, 1).await, Reason::Admitted);
}

/// What a line would do, without the ids that only a ticket in the database has.
fn kind(outcome: &ImportOutcome) -> String {
    match outcome {
        ImportOutcome::Inserted(..) => "inserted".to_owned(),
        ImportOutcome::Updated(..) => "updated".to_owned(),
        ImportOutcome::Unchanged(..) => "unchanged".to_owned(),
        ImportOutcome::Rejected(why) => why.clone(),
    }
}

pub(crate) async fn a_dry_run_has_the_outcomes_of_the_import_and_changes_nothing(fixture: Fixture) {
    let other = put_event(&*fixture.store, fixture.organization, &live()).await;
    let taken = numbered(&[r#"{"code":"1111111111111111","media":["barcode:1"]}"#]);
    let taken = fixture
        .store
        .import(fixture.organization, other, &taken, START, None)
        .await;
    taken.expect("the write succeeds");
    let id = "0192f0c1-7a4e-7000-8000-000000000001";
    fixture
        .import(&[
            &format!(r#"{{"code":"{CODE}","ticket_class":"VIP","media":["barcode:1","barcode:2"]}}"#),
            r#"{"media":["barcode:3"],"note":"a"}"#,
        ])
        .await;
    fixture
        .record_one(entry(&fixture.main_session, code(CODE), 1))
        .await;
    let gate = Uuid::new_v4();
    // Each line depends on those before it: by its code, its id, its media or its class.
    let lines = [
        format!(r#"{{"code":"{CODE}","status":"active","media":["barcode:2"]}}"#),
        format!(r#"{{"code":"{CODE}","note":"x","holder_name":"Ada"}}"#),
        format!(r#"{{"code":"{CODE}","note":"x"}}"#),
        r#"{"media":["barcode:1"],"ticket_class":"Gold"}"#.to_owned(),
        r#"{"media":["barcode:1"],"ticket_class":"Gold"}"#.to_owned(),
        r#"{"media":["barcode:1","barcode:3"]}"#.to_owned(),
        r#"{"media":["barcode:3"],"note":"a"}"#.to_owned(),
        format!(r#"{{"code":"2222222222222222","id":"{id}","ticket_class":"Silver"}}"#),
        format!(r#"{{"code":"3333333333333333","id":"{id}"}}"#),
        r#"{"code":"2222222222222222","entry_limit":3}"#.to_owned(),
        r#"{"code":"2222222222222222","entry_limit":3,"media":["barcode:2"]}"#.to_owned(),
        format!(r#"{{"code":"{CODE}","media":[]}}"#),
        r#"{"code":"2222222222222222","entry_limit":3,"media":["barcode:2"]}"#.to_owned(),
        r#"{"code":"1111111111111111"}"#.to_owned(),
        format!(r#"{{"gate_ids":["{gate}"]}}"#),
        r#"{"code":"2222222222222222","valid_from":"2026-11-23T10:00:00Z"}"#.to_owned(),
        r#"{"code":"2222222222222222","valid_until":"2026-11-22T10:00:00Z"}"#.to_owned(),
    ];
    let lines: Vec<_> = lines.iter().map(String::as_str).collect();
    let before = everything(&fixture).await;
    let mut expected = Vec::new();
    // The size of a chunk changes nothing.
    for size in [1, 4, lines.len()] {
        let mut dry_run = ImportDryRun::default();
        let mut outcomes = Vec::new();
        for lines in lines.chunks(size) {
            let numbered = numbered(lines);
            let store = &fixture.store;
            let dry = store.import_dry_run(
                fixture.organization,
                fixture.event,
                &numbered,
                START,
                &mut dry_run,
            );
            outcomes.extend(dry.await.expect("it is read").expect("the event exists"));
        }
        let outcomes: Vec<_> = outcomes.iter().map(kind).collect();
        let classes: Vec<_> = dry_run.new_classes().iter().map(ToString::to_string).collect();
        assert_eq!(classes, ["Gold", "Silver"]);
        let fields: Vec<_> = dry_run
            .updated_fields()
            .iter()
            .map(|(name, count)| (*name, *count))
            .collect();
        let counts = [
            ("entry_limit", 1),
            ("holder_name", 1),
            ("media", 3),
            ("note", 1),
            ("valid_from", 1),
        ];
        assert_eq!(fields, counts);
        assert_eq!(everything(&fixture).await, before, "a dry run changes nothing");
        expected.push(outcomes);
    }
    let imported: Vec<_> = fixture.import(&lines).await.iter().map(kind).collect();
    assert_eq!(
        imported[..5],
        ["updated", "updated", "unchanged", "inserted", "unchanged"]
    );
    for outcomes in expected {
        assert_eq!(outcomes, imported);
    }
    assert_ne!(everything(&fixture).await, before, "the import does");
}

/// What an import may change: the tickets, the event and the change counters.
async fn everything(fixture: &Fixture) -> impl PartialEq + std::fmt::Debug {
    let store = &fixture.store;
    let organization = fixture.organization;
    let tickets = store
        .tickets(organization, fixture.event, None, None, &ALL)
        .await
        .expect("tickets");
    let event = store
        .event(organization, fixture.event)
        .await
        .expect("the event is read");
    let counters = store.change_counters().await.expect("counters");
    let own: Vec<_> = counters
        .into_iter()
        .filter(|of| of.organization_id == organization)
        .collect();
    (tickets.data, event, own)
}
