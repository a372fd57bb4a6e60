//! What does it mean that a scan is undone?

use std::sync::Arc;
use std::time::Duration;

use voelgoed_scan_core::model::{Reason, Reentry, ScanId, ScanRecord, TicketFacts, TicketStatus};
use voelgoed_scan_core::store::{UndoOutcome, UndoPermission};

use crate::attempts::{entry, exit};
use crate::world::{RULES, World, after};

const QUARTER: Duration = Duration::from_mins(15);

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

pub(crate) async fn an_undone_admission_leaves_the_ticket_as_it_was(world: World) {
    let code = world.ticket("{}").await;
    let scan = world.decided(entry(&world.post, code, 0)).await.record.scan_id;
    let (record, ticket, again) = undone(world.undo(scan, UndoPermission::Member, 5).await);
    assert!(!again);
    assert_eq!(record.undone.as_ref().map(|undone| undone.at), Some(after(5)));
    assert_eq!(
        (ticket.ticket.status, ticket.ticket.scan_count),
        (TicketStatus::Active, 0)
    );
    assert_eq!(world.facts(code).await, ticket);
    assert_eq!(world.inside().await, (0, 0, 0));
    assert_eq!(world.trail().await, [record], "the record stays, marked");
    assert_eq!(world.enter(code, 6).await, Reason::Admitted, "not readmitted");
    assert_eq!(world.inside().await, (1, 0, 1));
}

pub(crate) async fn an_undo_twice_is_the_same_answer(world: World) {
    let code = world.ticket("{}").await;
    let scan = world.decided(entry(&world.post, code, 0)).await.record.scan_id;
    let (first, ..) = undone(world.undo(scan, UndoPermission::Member, 5).await);
    world.enter(code, 6).await;
    let (second, _, again) = undone(world.undo(scan, UndoPermission::Member, 7).await);
    assert!(again);
    assert_eq!(first, second);
    assert_eq!(world.inside().await, (1, 0, 1), "the later admission stands");
}

pub(crate) async fn undos_at_once_take_one_admission_back(world: World) {
    let code = world.ticket(r#"{"entry_limit":2}"#).await;
    let scan = world.decided(entry(&world.post, code, 0)).await.record.scan_id;
    world.enter(code, 1).await;
    let (organization, reason) = (world.organization, crate::world::why("twice"));
    let undos: Vec<_> = (0..12)
        .map(|_| {
            let (store, reason) = (Arc::clone(&world.store), reason.clone());
            tokio::spawn(async move {
                store
                    .undo(
                        organization,
                        scan,
                        UndoPermission::Member,
                        &reason,
                        after(2),
                        &RULES,
                    )
                    .await
            })
        })
        .collect();
    let mut first_times = 0;
    for undo in undos {
        let (.., again) = undone(undo.await.expect("the call ends").expect("the undo is written"));
        first_times += usize::from(!again);
    }
    assert_eq!(first_times, 1);
    assert_eq!(world.facts(code).await.ticket.scan_count, 1);
    assert_eq!(world.inside().await, (1, 0, 1));
}

pub(crate) async fn an_undone_readmission_opens_the_older_admission_again(world: World) {
    world
        .change_event(|event| event.reentry = Reentry::AfterWindow)
        .await;
    let code = world.ticket("{}").await;
    world.enter(code, 0).await;
    let again = world.decided(entry(&world.other_post, code, 301)).await;
    assert_eq!(again.answer.reason, Reason::Readmitted);
    assert_eq!(world.inside().await, (0, 1, 1));
    let (_, ticket, _) = undone(
        world
            .undo(again.record.scan_id, UndoPermission::Member, 302)
            .await,
    );
    assert_eq!(
        (ticket.ticket.status, ticket.ticket.scan_count),
        (TicketStatus::Scanned, 1)
    );
    assert_eq!(world.inside().await, (1, 0, 1), "back at the old gate");
    assert_eq!(world.leave(code, 303).await, Reason::Exited);
    assert_eq!(world.inside().await, (0, 0, 0));
}

pub(crate) async fn an_undo_counts_by_the_policy_of_the_scans_not_of_today(world: World) {
    world
        .change_event(|event| event.reentry = Reentry::AfterWindow)
        .await;
    let code = world.ticket("{}").await;
    world.enter(code, 0).await;
    let again = world
        .decided(entry(&world.other_post, code, 301))
        .await
        .record
        .scan_id;
    world.change_event(|event| event.reentry = Reentry::Never).await;
    world
        .import(&[&format!(r#"{{"code":"{code}","entry_limit":3}}"#)])
        .await;
    undone(world.undo(again, UndoPermission::Member, 302).await);
    assert_eq!(world.inside().await, (1, 0, 1));
    assert_eq!(world.facts(code).await.ledger.inside(), 1);
}

pub(crate) async fn an_undo_keeps_scans_of_one_moment_in_their_order(world: World) {
    for _ in 0..8 {
        let code = world.ticket(r#"{"entry_limit":2}"#).await;
        // The second node's clock is behind: its scans fall on the moment of the first's.
        let batch = [
            entry(&world.post, code, 9),
            exit(&world.other_post, code, 5),
            entry(&world.other_post, code, 5),
        ];
        let last = crate::attempts::decided(world.record(&batch).await.remove(2))
            .record
            .scan_id;
        assert_eq!(world.inside().await, (0, 1, 1));
        undone(world.undo(last, UndoPermission::Member, 10).await);
        assert_eq!(world.inside().await, (0, 0, 0));
        assert_eq!(world.facts(code).await.ledger.inside(), 0);
    }
}

pub(crate) async fn only_an_open_admission_can_be_undone(world: World) {
    let code = world.ticket("{}").await;
    let admitted = world.decided(entry(&world.post, code, 0)).await.record.scan_id;
    let denied = world.decided(entry(&world.post, code, 1)).await.record.scan_id;
    let exited = world.decided(exit(&world.post, code, 2)).await.record.scan_id;
    let unknown = world
        .decided(entry(
            &world.post,
            voelgoed_scan_core::model::TicketCode::generate(),
            3,
        ))
        .await;
    for scan in [admitted, denied, exited, unknown.record.scan_id] {
        assert_eq!(
            world.undo(scan, UndoPermission::Member, 4).await,
            Some(UndoOutcome::NotOpen)
        );
    }
    let nothing = ScanId::from_uuid(uuid::Uuid::new_v4());
    assert_eq!(world.undo(nothing, UndoPermission::Member, 4).await, None);
}

pub(crate) async fn a_device_undoes_its_own_scans_for_a_quarter_of_an_hour(world: World) {
    let code = world.ticket("{}").await;
    let scan = world.decided(entry(&world.post, code, 0)).await.record.scan_id;
    let own = UndoPermission::Device(world.post.device, QUARTER);
    let others = UndoPermission::Device(world.other_post.device, QUARTER);
    assert_eq!(world.undo(scan, others, 1).await, Some(UndoOutcome::NotAllowed));
    assert_eq!(world.undo(scan, own, 901).await, Some(UndoOutcome::NotAllowed));
    let (record, ..) = undone(world.undo(scan, own, 900).await);
    assert_eq!(
        record.undone.and_then(|undone| undone.device_id),
        Some(world.post.device)
    );
    undone(world.undo(scan, own, 5000).await);
    assert_eq!(
        world.undo(scan, others, 1).await,
        Some(UndoOutcome::NotAllowed),
        "nor is it told of"
    );
}

pub(crate) async fn an_undo_leaves_a_voided_ticket_voided(world: World) {
    let code = world.ticket("{}").await;
    let scan = world.decided(entry(&world.post, code, 0)).await.record.scan_id;
    world
        .set_status(code, voelgoed_scan_core::model::SettableStatus::Voided)
        .await;
    let (_, ticket, _) = undone(world.undo(scan, UndoPermission::Member, 1).await);
    assert_eq!(
        (ticket.ticket.status, ticket.ticket.scan_count),
        (TicketStatus::Voided, 0)
    );
}
