//! Which check decides where several fail? The first of the contract's list.

use uuid::Uuid;
use voelgoed_scan_core::model::{
    Attempt, Claims, EventStatus, Format, GateStatus, OrganizationId, Reason, SettableStatus, TicketCode,
    TicketId, Verification, Window,
};

use crate::attempts::{entry, forced};
use crate::world::{START, World, live, numbered, put_event};

/// The reasons of checks 2 to 12, in their order; each scan passes all before its own and fails all from there on.
const CHECKS: [Reason; 11] = [
    Reason::UnsignedNotAllowed,
    Reason::TokenExpired,
    Reason::TicketNotFound,
    Reason::OtherEvent,
    Reason::EventNotLive,
    Reason::GateClosed,
    Reason::GateNotAllowed,
    Reason::TicketVoided,
    Reason::TicketExpired,
    Reason::AlreadyScanned,
    Reason::GateFull,
];

pub(crate) async fn the_first_check_that_fails_decides(world: World) {
    let other_event = put_event(&*world.store, world.organization, &live()).await;
    for (from, expected) in CHECKS.iter().enumerate() {
        let fails = |reason: Reason| CHECKS.iter().position(|check| *check == reason) >= Some(from);
        world.change_event(|_| {}).await;
        world.change_gate(world.main, |_| {}).await;
        let code = if fails(Reason::OtherEvent) && !fails(Reason::TicketNotFound) {
            let code = TicketCode::generate();
            let lines = numbered(&[&format!(r#"{{"code":"{code}"}}"#)]);
            world
                .store
                .import(world.organization, other_event, &lines, START)
                .await
                .expect("written");
            code
        } else if fails(Reason::TicketNotFound) {
            TicketCode::generate()
        } else {
            let code = world.ticket("{}").await;
            if fails(Reason::AlreadyScanned) {
                assert_eq!(world.enter(code, 0).await, Reason::Admitted);
            }
            if fails(Reason::TicketExpired) {
                let line = format!(r#"{{"code":"{code}","valid_until":"2020-01-01T00:00:00Z"}}"#);
                world.import(&[&line]).await;
            }
            if fails(Reason::TicketVoided) {
                world.set_status(code, SettableStatus::Voided).await;
            }
            if fails(Reason::GateNotAllowed) {
                world
                    .import(&[&format!(r#"{{"code":"{code}","gate_ids":["{}"]}}"#, world.side)])
                    .await;
            }
            code
        };
        world
            .change_gate(world.main, |gate| {
                gate.capacity = fails(Reason::GateFull).then_some(0);
                if fails(Reason::GateClosed) {
                    gate.status = GateStatus::Closed;
                }
            })
            .await;
        world
            .change_event(|event| {
                event.capacity = fails(Reason::GateFull).then_some(0);
                event.allow_unsigned = !fails(Reason::UnsignedNotAllowed);
                if fails(Reason::EventNotLive) {
                    event.status = EventStatus::Ended;
                }
            })
            .await;
        let mut scan = entry(&world.post, code, 5);
        scan.fingerprint.format = Some(Format::Bare);
        let not_after = fails(Reason::TokenExpired).then_some(START);
        scan.verification = Verification::Verified(Claims {
            ticket_code: Some(code),
            window: Window::new(None, not_after),
            ..Claims::default()
        });
        let decided = world.decided(scan).await;
        assert_eq!(decided.answer.reason, *expected);
        let shows_ticket = from > 3;
        assert_eq!(decided.answer.ticket.is_some(), shows_ticket, "{expected}");
    }
}

pub(crate) async fn the_event_s_capacity_is_asked_after_the_gate_s(world: World) {
    let code = world.ticket("{}").await;
    world.change_event(|event| event.capacity = Some(0)).await;
    assert_eq!(world.enter(code, 0).await, Reason::EventFull);
    world
        .change_gate(world.main, |gate| gate.capacity = Some(0))
        .await;
    assert_eq!(world.enter(code, 1).await, Reason::GateFull);
}

pub(crate) async fn an_exit_passes_all_but_the_ticket_and_its_event(world: World) {
    let other_event = put_event(&*world.store, world.organization, &live()).await;
    let elsewhere = TicketCode::generate();
    let lines = numbered(&[&format!(r#"{{"code":"{elsewhere}"}}"#)]);
    world
        .store
        .import(world.organization, other_event, &lines, START)
        .await
        .expect("written");
    assert_eq!(
        world.leave(TicketCode::generate(), 0).await,
        Reason::TicketNotFound
    );
    assert_eq!(world.leave(elsewhere, 0).await, Reason::OtherEvent);
    let code = world.ticket("{}").await;
    world.enter(code, 0).await;
    world
        .import(&[&format!(
            r#"{{"code":"{code}","status":"refunded","valid_until":"2020-01-01T00:00:00Z","gate_ids":["{}"]}}"#,
            world.side
        )])
        .await;
    world
        .change_event(|event| event.status = EventStatus::Archived)
        .await;
    let mut scan = crate::attempts::exit(&world.post, code, 1);
    scan.verification = Verification::Verified(Claims {
        ticket_code: Some(code),
        window: Window::new(None, Some(START)),
        ..Claims::default()
    });
    assert_eq!(world.reason(scan).await, Reason::Exited);
}

pub(crate) async fn claims_that_name_another_ticket_find_none(world: World) {
    let code = world.ticket("{}").await;
    let other = world.facts(world.ticket("{}").await).await.ticket;
    let own = world.facts(code).await.ticket;
    let stranger = OrganizationId::from_uuid(Uuid::new_v4());
    let base = Claims::default();
    let table = [
        (
            Claims {
                ticket_code: Some(code),
                ticket_id: Some(other.id),
                ..base
            },
            Reason::TicketNotFound,
        ),
        (
            Claims {
                ticket_code: Some(code),
                organization_id: Some(stranger),
                ..base
            },
            Reason::TicketNotFound,
        ),
        (
            Claims {
                ticket_id: Some(TicketId::from_uuid(Uuid::new_v4())),
                ..base
            },
            Reason::TicketNotFound,
        ),
        (
            Claims {
                ticket_id: Some(own.id),
                event_id: Some(put_event(&*world.store, world.organization, &live()).await),
                ..base
            },
            Reason::OtherEvent,
        ),
        (
            Claims {
                ticket_id: Some(own.id),
                ticket_code: Some(code),
                event_id: Some(world.event),
                organization_id: Some(world.organization),
                ..base
            },
            Reason::Admitted,
        ),
        (
            Claims {
                ticket_id: Some(other.id),
                ..base
            },
            Reason::Admitted,
        ),
    ];
    for (claims, expected) in table {
        let scan = Attempt {
            verification: Verification::Verified(claims),
            ..entry(&world.post, code, 0)
        };
        let decided = world.decided(scan).await;
        assert_eq!(decided.answer.reason, expected, "{claims:?}");
        if expected == Reason::Admitted {
            assert_eq!(
                decided.answer.ticket.map(|ticket| ticket.id),
                decided.record.ticket_id
            );
        }
    }
}

pub(crate) async fn a_gate_lets_in_by_the_ticket_s_list_and_by_its_own(world: World) {
    let vip = world.ticket(r#"{"ticket_class":"VIP"}"#).await;
    let plain = world.ticket(r#"{"ticket_class":"Plain"}"#).await;
    let classless = world.ticket("{}").await;
    let nowhere = world.ticket(r#"{"ticket_class":"VIP","gate_ids":[]}"#).await;
    let here = world
        .ticket(&format!(
            r#"{{"ticket_class":"VIP","gate_ids":["{}","{}"]}}"#,
            world.side, world.main
        ))
        .await;
    world
        .change_gate(world.main, |gate| {
            gate.ticket_classes = Some(vec!["VIP".parse().expect("a class")]);
        })
        .await;
    let table = [
        (vip, Reason::Admitted),
        (plain, Reason::GateNotAllowed),
        (classless, Reason::GateNotAllowed),
        (nowhere, Reason::GateNotAllowed),
        (here, Reason::Admitted),
    ];
    for (code, expected) in table {
        assert_eq!(world.enter(code, 0).await, expected);
    }
    assert_eq!(
        world.reason(forced(&world.post, plain, 1)).await,
        Reason::GateNotAllowed
    );
}

pub(crate) async fn windows_include_both_ends(world: World) {
    let line =
        r#"{"entry_limit":9,"valid_from":"2026-11-22T18:00:00Z","valid_until":"2026-11-22T18:00:02Z"}"#;
    let code = world.ticket(line).await;
    let from = "2026-11-22T18:00:00Z".parse().expect("a time");
    for (millis, expected) in [
        (-1, Reason::TicketNotYetValid),
        (0, Reason::Admitted),
        (2000, Reason::Admitted),
        (2001, Reason::TicketExpired),
    ] {
        let mut scan = entry(&world.post, code, 0);
        scan.now = voelgoed_scan_core::model::Timestamp::plus_millis(from, millis);
        assert_eq!(world.reason(scan).await, expected, "{millis}");
    }
}
