//! Which of two answers about a ticket a phone keeps.

use super::*;
use crate::client::offline::memory::{AdmissionsFact, FactKind, Learned, StatusFact, TicketMemory};

/// A fact that held at a second and that the server told at another one.
fn fact(test_event: &TestEvent, kind: FactKind, json: String, (at, told): (i64, i64)) -> Learned {
    Learned::Fact {
        event: test_event.event.id,
        ticket: key(test_event),
        kind,
        at: after(at),
        known_at: after(told).plus(COMMIT_MARGIN),
        json,
    }
}

fn key(test_event: &TestEvent) -> TicketKey {
    test_event.ticket(1).key
}

fn admissions(test_event: &TestEvent, is_exhausted: bool, times: (i64, i64)) -> Learned {
    let fact_json = serde_json::to_string(&AdmissionsFact {
        is_exhausted,
        ..AdmissionsFact::default()
    });
    fact(test_event, FactKind::Admissions, fact_json.expect("JSON"), times)
}

fn status(test_event: &TestEvent, status: TicketStatus, times: (i64, i64)) -> Learned {
    let json = serde_json::to_string(&StatusFact { status, terms: None });
    fact(test_event, FactKind::Status, json.expect("JSON"), times)
}

/// What a phone remembers after two answers.
async fn remembered(test_event: &TestEvent, answers: [Learned; 2]) -> TicketMemory {
    let phone = test_event.phone().await;
    let mut state = phone.scanner.state.lock().await;
    for answer in &answers {
        let mut transaction = state.log.begin().await.expect("it begins");
        transaction.learn(answer).await.expect("it is stored");
        state.log.commit(transaction).await.expect("it is stored");
    }
    let memory = state
        .log
        .memory(test_event.event.id, Some(key(test_event)), &[0; 32])
        .await;
    memory.expect("it is read")
}

#[tokio::test]
async fn an_answer_about_a_later_time_replaces_the_one_before() {
    let test_event = TestEvent::new();
    for is_exhausted in [false, true] {
        let answers = [
            admissions(&test_event, !is_exhausted, (10, 10)),
            admissions(&test_event, is_exhausted, (20, 20)),
        ];
        let kept = remembered(&test_event, answers).await.admissions.expect("a fact");
        assert_eq!((kept.at, kept.fact.is_exhausted), (after(20), is_exhausted));
    }
}

#[tokio::test]
async fn the_answer_to_an_upload_admits_no_ticket_that_a_later_scan_found_used_up() {
    let test_event = TestEvent::new();
    let answers = [
        admissions(&test_event, true, (90_000, 90_000)),
        admissions(&test_event, true, (10, 90_060)),
    ];
    let kept = remembered(&test_event, answers).await.admissions.expect("a fact");
    assert_eq!(
        kept.at,
        after(90_000),
        "the ticket was used up on the later day too"
    );
}

#[tokio::test]
async fn the_answer_to_an_upload_denies_what_a_later_scan_did_not() {
    let test_event = TestEvent::new();
    let answers = [
        admissions(&test_event, false, (300, 300)),
        admissions(&test_event, true, (10, 360)),
    ];
    let kept = remembered(&test_event, answers).await.admissions.expect("a fact");
    assert!(kept.fact.is_exhausted);
}

#[tokio::test]
async fn a_status_at_an_earlier_time_replaces_no_later_one() {
    let test_event = TestEvent::new();
    let answers = [
        status(&test_event, TicketStatus::Active, (300, 300)),
        status(&test_event, TicketStatus::Voided, (10, 360)),
    ];
    let kept = remembered(&test_event, answers).await.status.expect("a fact");
    assert_eq!(kept.fact.status, TicketStatus::Active);
}

#[tokio::test]
async fn what_a_phone_keeps_of_two_answers_does_not_depend_on_the_order_in_which_they_arrive() {
    let test_event = TestEvent::new();
    let pairs = [
        [
            admissions(&test_event, true, (10, 10)),
            admissions(&test_event, false, (20, 20)),
        ],
        [
            admissions(&test_event, true, (90_000, 90_000)),
            admissions(&test_event, true, (10, 90_060)),
        ],
        [
            admissions(&test_event, false, (300, 300)),
            admissions(&test_event, true, (10, 360)),
        ],
        [
            status(&test_event, TicketStatus::Active, (300, 300)),
            status(&test_event, TicketStatus::Voided, (10, 360)),
        ],
        [
            status(&test_event, TicketStatus::Active, (300, 300)),
            status(&test_event, TicketStatus::Voided, (300, 360)),
        ],
    ];
    for [first, second] in pairs {
        let told = remembered(&test_event, [first.clone(), second.clone()]).await;
        let reversed = remembered(&test_event, [second, first.clone()]).await;
        assert_eq!(told.admissions, reversed.admissions, "{first:?}");
        assert_eq!(told.status, reversed.status, "{first:?}");
    }
}
