//! How often does a ticket admit?

use voelgoed_scan_core::model::{Reason, TicketStatus};

use crate::attempts::{entry, exit, forced, reasons};
use crate::world::{World, name};

pub(crate) async fn a_ticket_admits_once(world: World) {
    let code = world.ticket("{}").await;
    let first = world.decided(entry(&world.post, code, 0)).await;
    assert_eq!(first.answer.reason, Reason::Admitted);
    assert_eq!(first.answer.previous_scan, None);
    let second = world.decided(entry(&world.other_post, code, 7)).await;
    assert_eq!(second.answer.reason, Reason::AlreadyScanned);
    let previous = second.answer.previous_scan.expect("the scan before");
    assert_eq!(Some(previous.scan_id), first.answer.scan_id);
    assert_eq!((previous.seconds_ago, previous.same_device), (7, false));
    assert_eq!(
        (previous.gate.id, &*previous.gate.name, &*previous.device_name),
        (world.main, "Main", "scanner-1")
    );
    let facts = world.facts(code).await;
    assert_eq!(
        (facts.ticket.status, facts.ticket.scan_count),
        (TicketStatus::Scanned, 1)
    );
    assert_eq!(world.inside().await, (1, 0, 1));
}

pub(crate) async fn a_gate_is_told_by_its_name_whatever_stands_in_it(world: World) {
    let told = r#"Süd \ "A" {1},"n":0"#;
    world.change_gate(world.main, |gate| gate.name = name(told)).await;
    let code = world.ticket("{}").await;
    let first = world.decided(entry(&world.post, code, 0)).await;
    assert_eq!(
        (first.answer.reason, &*first.answer.gate.name),
        (Reason::Admitted, told)
    );
    let second = world.decided(entry(&world.other_post, code, 7)).await;
    let previous = second.answer.previous_scan.expect("the scan before");
    assert_eq!(&*previous.gate.name, told);
}

pub(crate) async fn one_of_24_calls_at_once_admits(world: World) {
    let code = world.ticket("{}").await;
    let reasons = world.all_at_once(24, |_| entry(&world.post, code, 0)).await;
    let admitted = reasons
        .iter()
        .filter(|reason| **reason == Reason::Admitted)
        .count();
    let denied = reasons
        .iter()
        .filter(|reason| **reason == Reason::AlreadyScanned)
        .count();
    assert_eq!((admitted, denied), (1, 23));
    assert_eq!(world.inside().await, (1, 0, 1));
    assert_eq!(world.occupancy().await.results.duplicate, 23);
}

pub(crate) async fn a_ticket_for_three_admits_three_of_24_at_once(world: World) {
    let code = world.ticket(r#"{"entry_limit":3}"#).await;
    let reasons = world.all_at_once(24, |_| entry(&world.post, code, 0)).await;
    let admitted = reasons
        .iter()
        .filter(|reason| **reason == Reason::Admitted)
        .count();
    let denied = reasons
        .iter()
        .filter(|reason| **reason == Reason::EntryLimitReached)
        .count();
    assert_eq!((admitted, denied), (3, 21));
    assert_eq!(world.facts(code).await.ticket.scan_count, 3);
}

pub(crate) async fn scans_of_one_ticket_in_one_batch_are_decided_in_their_order(world: World) {
    world
        .change_event(|event| event.reentry = voelgoed_scan_core::model::Reentry::AfterExit)
        .await;
    let code = world.ticket("{}").await;
    let other = world.ticket("{}").await;
    let batch = [
        exit(&world.post, code, 0),
        entry(&world.post, code, 1),
        entry(&world.post, other, 1),
        entry(&world.other_post, code, 2),
        exit(&world.other_post, code, 3),
        entry(&world.other_post, code, 4),
    ];
    assert_eq!(
        reasons(&world.record(&batch).await),
        [
            Reason::NotInside,
            Reason::Admitted,
            Reason::Admitted,
            Reason::AlreadyInside,
            Reason::Exited,
            Reason::Readmitted,
        ]
    );
    assert_eq!(world.inside().await, (1, 1, 2));
}

pub(crate) async fn never_counts_admissions_whoever_left(world: World) {
    let code = world.ticket("{}").await;
    assert_eq!(world.enter(code, 0).await, Reason::Admitted);
    assert_eq!(world.leave(code, 1).await, Reason::Exited);
    assert_eq!(world.enter(code, 1_000_000).await, Reason::AlreadyScanned);
    assert_eq!(world.inside().await, (0, 0, 0));
}

pub(crate) async fn after_exit_readmits_who_left(world: World) {
    world
        .change_event(|event| event.reentry = voelgoed_scan_core::model::Reentry::AfterExit)
        .await;
    let code = world.ticket(r#"{"entry_limit":2}"#).await;
    let steps = [
        ("in", Reason::Admitted),
        ("in", Reason::Admitted),
        ("in", Reason::EntryLimitReached),
        ("out", Reason::Exited),
        ("in", Reason::Readmitted),
        ("in", Reason::EntryLimitReached),
        ("out", Reason::Exited),
        ("out", Reason::Exited),
        ("out", Reason::NotInside),
    ];
    for (seconds, (way, expected)) in (0..).zip(steps) {
        let reason = match way {
            "in" => world.enter(code, seconds).await,
            _ => world.leave(code, seconds).await,
        };
        assert_eq!(reason, expected, "step {seconds}");
    }
    assert_eq!(world.facts(code).await.ticket.scan_count, 3);
}

pub(crate) async fn after_window_readmits_past_both_ends_of_the_window(world: World) {
    world
        .change_event(|event| event.reentry = voelgoed_scan_core::model::Reentry::AfterWindow)
        .await;
    let code = world.ticket("{}").await;
    assert_eq!(world.enter(code, 0).await, Reason::Admitted);
    assert_eq!(world.enter(code, 200).await, Reason::AlreadyScanned);
    assert_eq!(
        world.enter(code, 300).await,
        Reason::AlreadyScanned,
        "the window's end is in it"
    );
    let again = world.decided(entry(&world.other_post, code, 301)).await;
    assert_eq!(
        again.answer.reason,
        Reason::Readmitted,
        "denials do not extend it"
    );
    assert_eq!(
        world.inside().await,
        (0, 1, 1),
        "the holder left unseen by the old gate"
    );
    assert_eq!(again.answer.occupancy.event.inside, 1);
}

pub(crate) async fn an_exit_ends_the_latest_entry_at_its_own_gate_first(world: World) {
    let code = world.ticket(r#"{"entry_limit":3}"#).await;
    for (post, seconds) in [(&world.post, 0), (&world.other_post, 1), (&world.post, 2)] {
        assert_eq!(world.reason(entry(post, code, seconds)).await, Reason::Admitted);
    }
    assert_eq!(world.inside().await, (2, 1, 3));
    for (seconds, left) in [(3, (2, 0, 2)), (4, (1, 0, 1)), (5, (0, 0, 0))] {
        assert_eq!(
            world.reason(exit(&world.other_post, code, seconds)).await,
            Reason::Exited
        );
        assert_eq!(world.inside().await, left);
    }
}

pub(crate) async fn nothing_but_not_being_inside_keeps_a_person_in(world: World) {
    let code = world.ticket("{}").await;
    let unknown = world.decided(exit(&world.post, code, 0)).await;
    assert_eq!(
        (unknown.answer.reason, unknown.answer.previous_scan),
        (Reason::NotInside, None)
    );
    assert_eq!(world.enter(code, 1).await, Reason::Admitted);
    world
        .set_status(code, voelgoed_scan_core::model::SettableStatus::Voided)
        .await;
    world
        .change_gate(world.main, |gate| {
            gate.status = voelgoed_scan_core::model::GateStatus::Closed;
        })
        .await;
    world
        .change_event(|event| event.status = voelgoed_scan_core::model::EventStatus::Ended)
        .await;
    assert_eq!(world.leave(code, 2).await, Reason::Exited);
    let gone = world.decided(exit(&world.post, code, 9)).await;
    assert_eq!(gone.answer.reason, Reason::NotInside);
    assert_eq!(
        gone.answer.previous_scan.map(|seen| seen.seconds_ago),
        Some(7),
        "since the exit"
    );
}

pub(crate) async fn an_override_forces_duplicates_and_refusals_and_nothing_else(world: World) {
    let code = world.ticket("{}").await;
    let unforced = world.decided(forced(&world.post, code, 0)).await;
    assert_eq!(unforced.answer.reason, Reason::Admitted, "it is valid anyway");
    assert_eq!(unforced.record.would_have_been, None);
    let twice = world.decided(forced(&world.post, code, 1)).await;
    assert_eq!(twice.answer.reason, Reason::Overridden);
    let would = twice
        .record
        .would_have_been
        .expect("the reason it would have had");
    assert_eq!(would.reason, Reason::AlreadyScanned);
    assert_eq!(twice.answer.ticket.map(|ticket| ticket.scan_count), Some(2));
    world.change_event(|event| event.capacity = Some(0)).await;
    let full = world.ticket("{}").await;
    assert_eq!(world.enter(full, 2).await, Reason::EventFull);
    assert_eq!(
        world.reason(forced(&world.post, full, 3)).await,
        Reason::Overridden
    );
    assert_eq!(world.inside().await, (3, 0, 3), "above capacity");
    let elsewhere = world
        .ticket(&format!(r#"{{"gate_ids":["{}"]}}"#, world.side))
        .await;
    assert_eq!(
        world.reason(forced(&world.post, elsewhere, 4)).await,
        Reason::GateNotAllowed
    );
    let exit = voelgoed_scan_core::model::Attempt {
        direction: voelgoed_scan_core::model::Direction::Exit,
        ..forced(&world.post, elsewhere, 5)
    };
    assert_eq!(world.reason(exit).await, Reason::NotInside, "only entries");
    let record = world
        .trail()
        .await
        .into_iter()
        .find(|scan| scan.scan_id == twice.record.scan_id);
    assert_eq!(record, Some(twice.record), "the trail keeps it");
}

pub(crate) async fn the_version_of_a_ticket_rises_with_every_change(world: World) {
    let code = world.ticket("{}").await;
    let mut last = world.facts(code).await.version;
    let mut risen = async |what: &str| {
        let version = world.facts(code).await.version;
        assert!(version > last, "{what}: {last} -> {version}");
        last = version;
    };
    let admitted = world.decided(entry(&world.post, code, 0)).await;
    risen("admission").await;
    world
        .undo(
            admitted.record.scan_id,
            voelgoed_scan_core::store::UndoPermission::Member,
            1,
        )
        .await;
    risen("undo").await;
    world.enter(code, 2).await;
    risen("another admission").await;
    world.leave(code, 3).await;
    risen("exit").await;
    world
        .set_status(code, voelgoed_scan_core::model::SettableStatus::Voided)
        .await;
    risen("status").await;
    world
        .import(&[&format!(r#"{{"code":"{code}","note":"wheelchair"}}"#)])
        .await;
    risen("import").await;
    let version = world.facts(code).await.version;
    world.enter(code, 4).await;
    world
        .import(&[&format!(r#"{{"code":"{code}","note":"wheelchair"}}"#)])
        .await;
    world
        .set_status(code, voelgoed_scan_core::model::SettableStatus::Voided)
        .await;
    assert_eq!(
        world.facts(code).await.version,
        version,
        "a denial, and lines that change nothing"
    );
}
