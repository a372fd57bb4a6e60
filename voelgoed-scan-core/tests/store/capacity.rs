//! How many people are let in?

use voelgoed_scan_core::model::{Occupancy, Reason, Reentry};

use crate::attempts::{decided, entry, exit, reasons};
use crate::world::World;

pub(crate) async fn a_capacity_of_zero_is_nobody_and_none_is_no_limit(world: World) {
    let code = world.ticket("{}").await;
    world.change_event(|event| event.capacity = Some(0)).await;
    assert_eq!(world.enter(code, 0).await, Reason::EventFull);
    world
        .change_gate(world.main, |gate| gate.capacity = Some(0))
        .await;
    assert_eq!(
        world.enter(code, 1).await,
        Reason::GateFull,
        "the gate is asked first"
    );
    world.change_gate(world.main, |gate| gate.capacity = None).await;
    world.change_event(|event| event.capacity = None).await;
    assert_eq!(world.enter(code, 2).await, Reason::Admitted);
}

pub(crate) async fn capacity_holds_within_a_batch(world: World) {
    world
        .change_gate(world.main, |gate| gate.capacity = Some(2))
        .await;
    world.change_event(|event| event.capacity = Some(3)).await;
    let mut batch = Vec::new();
    for _ in 0..3 {
        batch.push(entry(&world.post, world.ticket("{}").await, 0));
    }
    for _ in 0..2 {
        batch.push(entry(&world.other_post, world.ticket("{}").await, 0));
    }
    assert_eq!(
        reasons(&world.record(&batch).await),
        [
            Reason::Admitted,
            Reason::Admitted,
            Reason::GateFull,
            Reason::Admitted,
            Reason::EventFull,
        ]
    );
    assert_eq!(world.inside().await, (2, 1, 3));
}

pub(crate) async fn a_batch_with_room_for_all_is_let_in_and_counted_at_each_gate(world: World) {
    world
        .change_gate(world.main, |gate| gate.capacity = Some(2))
        .await;
    world.change_event(|event| event.capacity = Some(3)).await;
    let mut batch = Vec::new();
    for post in [&world.post, &world.other_post, &world.post] {
        batch.push(entry(post, world.ticket("{}").await, 0));
    }
    let recorded = world.record(&batch).await;
    assert_eq!(reasons(&recorded), [Reason::Admitted; 3]);
    assert_eq!(world.inside().await, (2, 1, 3));
    let shown = recorded.into_iter().map(|one| decided(one).answer.occupancy);
    let shown: Vec<_> = shown.collect();
    for occupancy in &shown {
        assert_eq!(occupancy.event.capacity, Some(3));
        assert!((1..=3).contains(&occupancy.event.inside), "{occupancy:?}");
    }
    let most = |count: fn(&Occupancy) -> i64| shown.iter().map(count).max();
    assert_eq!(most(|occupancy| occupancy.event.inside), Some(3));
    assert_eq!(most(|occupancy| occupancy.gate.inside), Some(2));
    let one_more = world.ticket("{}").await;
    assert_eq!(world.enter(one_more, 1).await, Reason::GateFull);
}

pub(crate) async fn a_full_gate_keeps_nobody_out_at_another(world: World) {
    world
        .change_gate(world.main, |gate| gate.capacity = Some(0))
        .await;
    let (one, two) = (world.ticket("{}").await, world.ticket("{}").await);
    let batch = [entry(&world.post, one, 0), entry(&world.other_post, two, 0)];
    assert_eq!(
        reasons(&world.record(&batch).await),
        [Reason::GateFull, Reason::Admitted]
    );
    assert_eq!(world.inside().await, (0, 1, 1));
}

pub(crate) async fn capacity_holds_for_calls_at_once(world: World) {
    world
        .change_gate(world.main, |gate| gate.capacity = Some(5))
        .await;
    world.change_event(|event| event.capacity = Some(9)).await;
    let mut codes = Vec::new();
    for _ in 0..24 {
        codes.push(world.ticket("{}").await);
    }
    let reasons = world
        .all_at_once(24, |number| {
            let post = if number % 2 == 0 {
                &world.post
            } else {
                &world.other_post
            };
            entry(post, codes[number], 0)
        })
        .await;
    let admitted = reasons
        .iter()
        .filter(|reason| **reason == Reason::Admitted)
        .count();
    let (main, side, event) = world.inside().await;
    assert_eq!(admitted, 9, "{reasons:?}");
    assert_eq!(event, 9);
    assert!(main <= 5 && main + side == 9, "{main} and {side}");
}

pub(crate) async fn who_leaves_makes_room(world: World) {
    world.change_event(|event| event.capacity = Some(1)).await;
    let (one, two) = (world.ticket("{}").await, world.ticket("{}").await);
    let batch = [
        entry(&world.post, one, 0),
        entry(&world.post, two, 1),
        exit(&world.other_post, one, 2),
        entry(&world.other_post, two, 3),
    ];
    assert_eq!(
        reasons(&world.record(&batch).await),
        [
            Reason::Admitted,
            Reason::EventFull,
            Reason::Exited,
            Reason::Admitted
        ]
    );
}

pub(crate) async fn who_comes_back_unseen_needs_no_room(world: World) {
    world
        .change_event(|event| {
            event.capacity = Some(1);
            event.reentry = Reentry::AfterWindow;
        })
        .await;
    let code = world.ticket("{}").await;
    assert_eq!(world.enter(code, 0).await, Reason::Admitted);
    assert_eq!(world.enter(code, 301).await, Reason::Readmitted);
    assert_eq!(world.leave(code, 302).await, Reason::Exited);
    let other = world.ticket("{}").await;
    assert_eq!(world.enter(other, 303).await, Reason::Admitted);
    assert_eq!(
        world.enter(code, 700).await,
        Reason::EventFull,
        "now it would add a person"
    );
}
