//! Undoing admissions.

use std::sync::Arc;
use std::time::Duration;

use voelgoed_scan_core::model::{Reason, Reentry, ScanId, ScanRecord, TicketFacts, TicketStatus, Timestamp};
use voelgoed_scan_core::store::{UndoOutcome, UndoPermission};

use crate::attempts::{entry, exit};
use crate::fixture::{Fixture, RULES, after, audit};

/// How long a device may undo its own scans.
const UNDO_LIMIT: Duration = Duration::from_mins(15);

fn undone(outcome: Option<UndoOutcome>) -> (ScanRecord, TicketFacts, bool) {
    match outcome {
        Some(UndoOutcome::Undone {
            record,
            ticket,
            again,
        }) => (*record, *ticket.expect("a ticket"), again),
        other => panic!("not undone: {other:?}"),
    }
}

pub(crate) async fn undoing_an_admission_restores_the_ticket(fixture: Fixture) {
    let code = fixture.ticket("{}").await;
    let scan = fixture
        .decided(entry(&fixture.main_session, code, 0))
        .await
        .record
        .scan_id;
    let (record, ticket, again) = undone(fixture.undo(scan, UndoPermission::Member, 5).await);
    assert!(!again);
    assert_eq!(record.undone.as_ref().map(|undone| undone.at), Some(after(5)));
    assert_eq!(
        (ticket.ticket.status, ticket.ticket.scan_count),
        (TicketStatus::Active, 0)
    );
    assert_eq!(fixture.ticket_facts(code).await, ticket);
    assert_eq!(fixture.inside().await, (0, 0, 0));
    assert_eq!(
        fixture.audit_trail().await,
        [record],
        "the record is kept and marked as undone"
    );
    assert_eq!(
        fixture.enter(code, 6).await,
        Reason::Admitted,
        "an admission, not a readmission"
    );
    assert_eq!(fixture.inside().await, (1, 0, 1));
}

pub(crate) async fn a_repeated_undo_gets_the_same_answer(fixture: Fixture) {
    let code = fixture.ticket("{}").await;
    let scan = fixture
        .decided(entry(&fixture.main_session, code, 0))
        .await
        .record
        .scan_id;
    let (first, ..) = undone(fixture.undo(scan, UndoPermission::Member, 5).await);
    fixture.enter(code, 6).await;
    let (second, _, again) = undone(fixture.undo(scan, UndoPermission::Member, 7).await);
    assert!(again);
    assert_eq!(first, second);
    assert_eq!(
        fixture.inside().await,
        (1, 0, 1),
        "the later admission is not undone"
    );
}

pub(crate) async fn concurrent_undos_reverse_one_admission(fixture: Fixture) {
    let code = fixture.ticket(r#"{"entry_limit":2}"#).await;
    let scan = fixture
        .decided(entry(&fixture.main_session, code, 0))
        .await
        .record
        .scan_id;
    fixture.enter(code, 1).await;
    let (organization, reason) = (fixture.organization, crate::fixture::reason_text("twice"));
    let undos: Vec<_> = (0..12)
        .map(|_| {
            let (store, reason) = (Arc::clone(&fixture.store), reason.clone());
            tokio::spawn(async move {
                store
                    .undo(
                        organization,
                        scan,
                        UndoPermission::Member,
                        &reason,
                        audit().context,
                        after(2),
                        &RULES,
                    )
                    .await
            })
        })
        .collect();
    let mut first_times = 0;
    for undo in undos {
        let (.., again) = undone(
            undo.await
                .expect("the task completes")
                .expect("the undo is written"),
        );
        first_times += usize::from(!again);
    }
    assert_eq!(first_times, 1);
    assert_eq!(fixture.ticket_facts(code).await.ticket.scan_count, 1);
    assert_eq!(fixture.inside().await, (1, 0, 1));
}

pub(crate) async fn undoing_a_readmission_reopens_the_older_admission(fixture: Fixture) {
    fixture
        .change_event(|event| event.reentry = Reentry::AfterWindow)
        .await;
    let code = fixture.ticket("{}").await;
    fixture.enter(code, 0).await;
    let again = fixture.decided(entry(&fixture.side_session, code, 301)).await;
    assert_eq!(again.answer.reason, Reason::Readmitted);
    assert_eq!(fixture.inside().await, (0, 1, 1));
    let (_, ticket, _) = undone(
        fixture
            .undo(again.record.scan_id, UndoPermission::Member, 302)
            .await,
    );
    assert_eq!(
        (ticket.ticket.status, ticket.ticket.scan_count),
        (TicketStatus::Scanned, 1)
    );
    assert_eq!(
        fixture.inside().await,
        (1, 0, 1),
        "the older admission is open again"
    );
    assert_eq!(fixture.leave(code, 303).await, Reason::Exited);
    assert_eq!(fixture.inside().await, (0, 0, 0));
}

pub(crate) async fn an_undo_applies_the_policy_that_its_scans_were_decided_by(fixture: Fixture) {
    fixture
        .change_event(|event| event.reentry = Reentry::AfterWindow)
        .await;
    let code = fixture.ticket("{}").await;
    fixture.enter(code, 0).await;
    let again = fixture
        .decided(entry(&fixture.side_session, code, 301))
        .await
        .record
        .scan_id;
    fixture.change_event(|event| event.reentry = Reentry::Never).await;
    fixture
        .import(&[&format!(r#"{{"code":"{code}","entry_limit":3}}"#)])
        .await;
    undone(fixture.undo(again, UndoPermission::Member, 302).await);
    assert_eq!(fixture.inside().await, (1, 0, 1));
    assert_eq!(fixture.ticket_facts(code).await.ledger.inside(Timestamp::MIN), 1);
}

pub(crate) async fn an_undo_keeps_the_order_of_simultaneous_scans(fixture: Fixture) {
    for _ in 0..8 {
        let code = fixture.ticket(r#"{"entry_limit":2}"#).await;
        // The clock of the second node is behind, so that its scans get times next to the first one's.
        let batch = [
            entry(&fixture.main_session, code, 9),
            exit(&fixture.side_session, code, 5),
            entry(&fixture.side_session, code, 5),
        ];
        let last = crate::attempts::decided(fixture.record(&batch).await.remove(2))
            .record
            .scan_id;
        assert_eq!(fixture.inside().await, (0, 1, 1));
        undone(fixture.undo(last, UndoPermission::Member, 10).await);
        assert_eq!(fixture.inside().await, (0, 0, 0));
        assert_eq!(fixture.ticket_facts(code).await.ledger.inside(Timestamp::MIN), 0);
    }
}

pub(crate) async fn only_an_open_admission_can_be_undone(fixture: Fixture) {
    let code = fixture.ticket("{}").await;
    let admitted = fixture
        .decided(entry(&fixture.main_session, code, 0))
        .await
        .record
        .scan_id;
    let denied = fixture
        .decided(entry(&fixture.main_session, code, 1))
        .await
        .record
        .scan_id;
    let exited = fixture
        .decided(exit(&fixture.main_session, code, 2))
        .await
        .record
        .scan_id;
    let unknown = fixture
        .decided(entry(
            &fixture.main_session,
            voelgoed_scan_core::model::TicketCode::generate(),
            3,
        ))
        .await;
    for scan in [admitted, denied, exited, unknown.record.scan_id] {
        assert_eq!(
            fixture.undo(scan, UndoPermission::Member, 4).await,
            Some(UndoOutcome::NotOpen)
        );
    }
    let unknown_scan = ScanId::from_uuid(uuid::Uuid::new_v4());
    assert_eq!(fixture.undo(unknown_scan, UndoPermission::Member, 4).await, None);
}

pub(crate) async fn a_device_can_undo_only_its_own_scans_of_the_last_15_minutes(fixture: Fixture) {
    let code = fixture.ticket("{}").await;
    let scan = fixture
        .decided(entry(&fixture.main_session, code, 0))
        .await
        .record
        .scan_id;
    let own = UndoPermission::Device(fixture.main_session.device, UNDO_LIMIT);
    let by_other_device = UndoPermission::Device(fixture.side_session.device, UNDO_LIMIT);
    assert_eq!(
        fixture.undo(scan, by_other_device, 1).await,
        Some(UndoOutcome::NotAllowed)
    );
    assert_eq!(fixture.undo(scan, own, 901).await, Some(UndoOutcome::NotAllowed));
    let (record, ..) = undone(fixture.undo(scan, own, 900).await);
    assert_eq!(
        record.undone.and_then(|undone| undone.device_id),
        Some(fixture.main_session.device)
    );
    undone(fixture.undo(scan, own, 5000).await);
    assert_eq!(
        fixture.undo(scan, by_other_device, 1).await,
        Some(UndoOutcome::NotAllowed),
        "the undo is not revealed to other devices"
    );
}

pub(crate) async fn an_undo_leaves_a_voided_ticket_voided(fixture: Fixture) {
    let code = fixture.ticket("{}").await;
    let scan = fixture
        .decided(entry(&fixture.main_session, code, 0))
        .await
        .record
        .scan_id;
    fixture
        .set_status(code, voelgoed_scan_core::model::SettableStatus::Voided)
        .await;
    let (_, ticket, _) = undone(fixture.undo(scan, UndoPermission::Member, 1).await);
    assert_eq!(
        (ticket.ticket.status, ticket.ticket.scan_count),
        (TicketStatus::Voided, 0)
    );
}
