//! Capacities of gates and events.

use voelgoed_scan_core::model::{Occupancy, Reason, Reentry};

use crate::attempts::{decided, entry, exit, reasons};
use crate::fixture::Fixture;

pub(crate) async fn capacity_zero_admits_nobody_and_no_capacity_is_no_limit(fixture: Fixture) {
    let code = fixture.ticket("{}").await;
    fixture.change_event(|event| event.capacity = Some(0)).await;
    assert_eq!(fixture.enter(code, 0).await, Reason::EventFull);
    fixture
        .change_gate(fixture.main_gate, |gate| gate.capacity = Some(0))
        .await;
    assert_eq!(
        fixture.enter(code, 1).await,
        Reason::GateFull,
        "the gate is checked first"
    );
    fixture
        .change_gate(fixture.main_gate, |gate| gate.capacity = None)
        .await;
    fixture.change_event(|event| event.capacity = None).await;
    assert_eq!(fixture.enter(code, 2).await, Reason::Admitted);
}

pub(crate) async fn capacity_limits_a_batch(fixture: Fixture) {
    fixture
        .change_gate(fixture.main_gate, |gate| gate.capacity = Some(2))
        .await;
    fixture.change_event(|event| event.capacity = Some(3)).await;
    let mut batch = Vec::new();
    for _ in 0..3 {
        batch.push(entry(&fixture.main_session, fixture.ticket("{}").await, 0));
    }
    for _ in 0..2 {
        batch.push(entry(&fixture.side_session, fixture.ticket("{}").await, 0));
    }
    assert_eq!(
        reasons(&fixture.record(&batch).await),
        [
            Reason::Admitted,
            Reason::Admitted,
            Reason::GateFull,
            Reason::Admitted,
            Reason::EventFull,
        ]
    );
    assert_eq!(fixture.inside().await, (2, 1, 3));
}

pub(crate) async fn a_batch_within_capacity_is_admitted_and_counted_at_each_gate(fixture: Fixture) {
    fixture
        .change_gate(fixture.main_gate, |gate| gate.capacity = Some(2))
        .await;
    fixture.change_event(|event| event.capacity = Some(3)).await;
    let mut batch = Vec::new();
    for session in [
        &fixture.main_session,
        &fixture.side_session,
        &fixture.main_session,
    ] {
        batch.push(entry(session, fixture.ticket("{}").await, 0));
    }
    let recorded = fixture.record(&batch).await;
    assert_eq!(reasons(&recorded), [Reason::Admitted; 3]);
    assert_eq!(fixture.inside().await, (2, 1, 3));
    let occupancies = recorded.into_iter().map(|one| decided(one).answer.occupancy);
    let occupancies: Vec<_> = occupancies.collect();
    for occupancy in &occupancies {
        assert_eq!(occupancy.event.capacity, Some(3));
        assert!((1..=3).contains(&occupancy.event.inside), "{occupancy:?}");
    }
    let max = |count: fn(&Occupancy) -> i64| occupancies.iter().map(count).max();
    assert_eq!(max(|occupancy| occupancy.event.inside), Some(3));
    assert_eq!(max(|occupancy| occupancy.gate.inside), Some(2));
    let one_more = fixture.ticket("{}").await;
    assert_eq!(fixture.enter(one_more, 1).await, Reason::GateFull);
}

pub(crate) async fn a_full_gate_does_not_affect_other_gates(fixture: Fixture) {
    fixture
        .change_gate(fixture.main_gate, |gate| gate.capacity = Some(0))
        .await;
    let (one, two) = (fixture.ticket("{}").await, fixture.ticket("{}").await);
    let batch = [
        entry(&fixture.main_session, one, 0),
        entry(&fixture.side_session, two, 0),
    ];
    assert_eq!(
        reasons(&fixture.record(&batch).await),
        [Reason::GateFull, Reason::Admitted]
    );
    assert_eq!(fixture.inside().await, (0, 1, 1));
}

pub(crate) async fn capacity_limits_concurrent_calls(fixture: Fixture) {
    fixture
        .change_gate(fixture.main_gate, |gate| gate.capacity = Some(5))
        .await;
    fixture.change_event(|event| event.capacity = Some(9)).await;
    let mut codes = Vec::new();
    for _ in 0..24 {
        codes.push(fixture.ticket("{}").await);
    }
    let reasons = fixture
        .record_concurrently(24, |number| {
            let session = if number % 2 == 0 {
                &fixture.main_session
            } else {
                &fixture.side_session
            };
            entry(session, codes[number], 0)
        })
        .await;
    let admitted = reasons
        .iter()
        .filter(|reason| **reason == Reason::Admitted)
        .count();
    let (main, side, event) = fixture.inside().await;
    assert_eq!(admitted, 9, "{reasons:?}");
    assert_eq!(event, 9);
    assert!(main <= 5 && main + side == 9, "{main} and {side}");
}

pub(crate) async fn an_exit_frees_capacity(fixture: Fixture) {
    fixture.change_event(|event| event.capacity = Some(1)).await;
    let (one, two) = (fixture.ticket("{}").await, fixture.ticket("{}").await);
    let batch = [
        entry(&fixture.main_session, one, 0),
        entry(&fixture.main_session, two, 1),
        exit(&fixture.side_session, one, 2),
        entry(&fixture.side_session, two, 3),
    ];
    assert_eq!(
        reasons(&fixture.record(&batch).await),
        [
            Reason::Admitted,
            Reason::EventFull,
            Reason::Exited,
            Reason::Admitted
        ]
    );
}

pub(crate) async fn a_readmission_without_an_exit_uses_no_capacity(fixture: Fixture) {
    fixture
        .change_event(|event| {
            event.capacity = Some(1);
            event.reentry = Reentry::AfterWindow;
        })
        .await;
    let code = fixture.ticket("{}").await;
    assert_eq!(fixture.enter(code, 0).await, Reason::Admitted);
    assert_eq!(fixture.enter(code, 301).await, Reason::Readmitted);
    assert_eq!(fixture.leave(code, 302).await, Reason::Exited);
    let other = fixture.ticket("{}").await;
    assert_eq!(fixture.enter(other, 303).await, Reason::Admitted);
    assert_eq!(
        fixture.enter(code, 700).await,
        Reason::EventFull,
        "the holder has left, so a readmission adds a person"
    );
}
