//! The order of the checks: when several fail, the first one in the list of `docs/results.md` decides.

use uuid::Uuid;
use voelgoed_scan_core::model::{
    Attempt, Claims, EventStatus, Format, GateStatus, OrganizationId, Reason, SettableStatus, TicketCode,
    TicketId, Timestamp, Verification, Window,
};

use crate::attempts::{entry, overriding_entry};
use crate::fixture::{Fixture, START, live, numbered, put_event};

/// The reasons of checks 2 to 12 in order. The test scans once for each of them: that scan passes all earlier checks
/// and fails this one and all later ones.
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

pub(crate) async fn the_first_failing_check_decides(fixture: Fixture) {
    let other_event = put_event(&*fixture.store, fixture.organization, &live()).await;
    for (from, expected) in CHECKS.iter().enumerate() {
        let fails = |reason: Reason| CHECKS.iter().position(|check| *check == reason) >= Some(from);
        fixture.change_event(|_| {}).await;
        fixture.change_gate(fixture.main_gate, |_| {}).await;
        let code = if fails(Reason::OtherEvent) && !fails(Reason::TicketNotFound) {
            let code = TicketCode::generate();
            let lines = numbered(&[&format!(r#"{{"code":"{code}"}}"#)]);
            fixture
                .store
                .import(fixture.organization, other_event, &lines, START, None)
                .await
                .expect("the write succeeds");
            code
        } else if fails(Reason::TicketNotFound) {
            TicketCode::generate()
        } else {
            let code = fixture.ticket("{}").await;
            if fails(Reason::AlreadyScanned) {
                assert_eq!(fixture.enter(code, 0).await, Reason::Admitted);
            }
            if fails(Reason::TicketExpired) {
                let line = format!(r#"{{"code":"{code}","valid_until":"2020-01-01T00:00:00Z"}}"#);
                fixture.import(&[&line]).await;
            }
            if fails(Reason::TicketVoided) {
                fixture.set_status(code, SettableStatus::Voided).await;
            }
            if fails(Reason::GateNotAllowed) {
                fixture
                    .import(&[&format!(
                        r#"{{"code":"{code}","gate_ids":["{}"]}}"#,
                        fixture.side_gate
                    )])
                    .await;
            }
            code
        };
        fixture
            .change_gate(fixture.main_gate, |gate| {
                gate.capacity = fails(Reason::GateFull).then_some(0);
                if fails(Reason::GateClosed) {
                    gate.status = GateStatus::Closed;
                }
            })
            .await;
        fixture
            .change_event(|event| {
                event.capacity = fails(Reason::GateFull).then_some(0);
                event.allow_unsigned = !fails(Reason::UnsignedNotAllowed);
                if fails(Reason::EventNotLive) {
                    event.status = EventStatus::Ended;
                }
            })
            .await;
        let mut scan = entry(&fixture.main_session, code, 5);
        scan.fingerprint.format = Some(Format::Bare);
        let not_after = fails(Reason::TokenExpired).then_some(START);
        scan.verification = Verification::Verified(Claims {
            ticket_code: Some(code),
            window: Window::new(None, not_after),
            ..Claims::default()
        });
        let decided = fixture.decided(scan).await;
        assert_eq!(decided.answer.reason, *expected);
        let shows_ticket = from > 3;
        assert_eq!(decided.answer.ticket.is_some(), shows_ticket, "{expected}");
    }
}

pub(crate) async fn gate_capacity_is_checked_before_event_capacity(fixture: Fixture) {
    let code = fixture.ticket("{}").await;
    fixture.change_event(|event| event.capacity = Some(0)).await;
    assert_eq!(fixture.enter(code, 0).await, Reason::EventFull);
    fixture
        .change_gate(fixture.main_gate, |gate| gate.capacity = Some(0))
        .await;
    assert_eq!(fixture.enter(code, 1).await, Reason::GateFull);
}

pub(crate) async fn an_exit_checks_only_the_ticket_and_its_event(fixture: Fixture) {
    let other_event = put_event(&*fixture.store, fixture.organization, &live()).await;
    let code_of_other_event = TicketCode::generate();
    let lines = numbered(&[&format!(r#"{{"code":"{code_of_other_event}"}}"#)]);
    fixture
        .store
        .import(fixture.organization, other_event, &lines, START, None)
        .await
        .expect("the write succeeds");
    assert_eq!(
        fixture.leave(TicketCode::generate(), 0).await,
        Reason::TicketNotFound
    );
    assert_eq!(fixture.leave(code_of_other_event, 0).await, Reason::OtherEvent);
    let code = fixture.ticket("{}").await;
    fixture.enter(code, 0).await;
    fixture
        .import(&[&format!(
            r#"{{"code":"{code}","status":"refunded","valid_until":"2020-01-01T00:00:00Z","gate_ids":["{}"]}}"#,
            fixture.side_gate
        )])
        .await;
    fixture
        .change_event(|event| event.status = EventStatus::Archived)
        .await;
    let mut scan = crate::attempts::exit(&fixture.main_session, code, 1);
    scan.verification = Verification::Verified(Claims {
        ticket_code: Some(code),
        window: Window::new(None, Some(START)),
        ..Claims::default()
    });
    assert_eq!(fixture.reason(scan).await, Reason::Exited);
}

pub(crate) async fn claims_that_do_not_match_the_ticket_are_denied(fixture: Fixture) {
    let code = fixture.ticket("{}").await;
    let other = fixture.ticket_facts(fixture.ticket("{}").await).await.ticket;
    let own = fixture.ticket_facts(code).await.ticket;
    let other_organization = OrganizationId::from_uuid(Uuid::new_v4());
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
                organization_id: Some(other_organization),
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
                event_id: Some(put_event(&*fixture.store, fixture.organization, &live()).await),
                ..base
            },
            Reason::OtherEvent,
        ),
        (
            Claims {
                ticket_id: Some(own.id),
                ticket_code: Some(code),
                event_id: Some(fixture.event),
                organization_id: Some(fixture.organization),
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
            ..entry(&fixture.main_session, code, 0)
        };
        let decided = fixture.decided(scan).await;
        assert_eq!(decided.answer.reason, expected, "{claims:?}");
        if expected == Reason::Admitted {
            assert_eq!(
                decided.answer.ticket.map(|ticket| ticket.id),
                decided.record.ticket_id
            );
        }
    }
}

pub(crate) async fn the_gates_of_a_ticket_and_the_classes_of_a_gate_both_apply(fixture: Fixture) {
    let vip = fixture.ticket(r#"{"ticket_class":"VIP"}"#).await;
    let plain = fixture.ticket(r#"{"ticket_class":"Plain"}"#).await;
    let without_class = fixture.ticket("{}").await;
    let no_gates = fixture.ticket(r#"{"ticket_class":"VIP","gate_ids":[]}"#).await;
    let both_gates = fixture
        .ticket(&format!(
            r#"{{"ticket_class":"VIP","gate_ids":["{}","{}"]}}"#,
            fixture.side_gate, fixture.main_gate
        ))
        .await;
    fixture
        .change_gate(fixture.main_gate, |gate| {
            gate.ticket_classes = Some(vec!["VIP".parse().expect("a class")]);
        })
        .await;
    let table = [
        (vip, Reason::Admitted),
        (plain, Reason::GateNotAllowed),
        (without_class, Reason::GateNotAllowed),
        (no_gates, Reason::GateNotAllowed),
        (both_gates, Reason::Admitted),
    ];
    for (code, expected) in table {
        assert_eq!(fixture.enter(code, 0).await, expected);
    }
    assert_eq!(
        fixture
            .reason(overriding_entry(&fixture.main_session, plain, 1))
            .await,
        Reason::GateNotAllowed
    );
}

pub(crate) async fn validity_windows_include_both_ends(fixture: Fixture) {
    let line =
        r#"{"entry_limit":9,"valid_from":"2026-11-22T18:00:00Z","valid_until":"2026-11-22T18:00:02Z"}"#;
    let code = fixture.ticket(line).await;
    let from: Timestamp = "2026-11-22T18:00:00Z".parse().expect("a time");
    for (millis, expected) in [
        (-1, Reason::TicketNotYetValid),
        (0, Reason::Admitted),
        (2000, Reason::Admitted),
        (2001, Reason::TicketExpired),
    ] {
        let mut scan = entry(&fixture.main_session, code, 0);
        scan.now = from.plus_millis(millis);
        assert_eq!(fixture.reason(scan).await, expected, "{millis}");
    }
}
