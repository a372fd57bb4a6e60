//! Windows, re-entry, exits, unknown and later-sold tickets.

use voelgoed_scan_core::model::{Direction, Reason, Reentry, SettableStatus, Warning};

use super::{BOTH, Network, Scene, has, later, source};
use crate::office::Kind;
use crate::run;

/// The reason at the first reading of each kind, at the main gate of its event.
const FIRST_READING: [(Kind, Reason); 14] = [
    (Kind::Plain, Reason::Admitted),
    (Kind::PlainVg1, Reason::Admitted),
    (Kind::Group, Reason::Admitted),
    (Kind::Voided, Reason::TicketVoided),
    (Kind::Used, Reason::TicketUsed),
    (Kind::Later, Reason::TokenNotYetValid),
    (Kind::Expired, Reason::TokenExpired),
    (Kind::VipGateOnly, Reason::GateNotAllowed),
    (Kind::OtherEvent, Reason::OtherEvent),
    (Kind::Forged, Reason::BadSignature),
    (Kind::RevokedKey, Reason::KeyRevoked),
    (Kind::Malformed, Reason::Malformed),
    (Kind::UnknownVg1, Reason::TicketNotFound),
    // The server does not know it; see `a_ticket_sold_after_the_manifest_enters_by_its_claims`.
    (Kind::SoldLater, Reason::TicketNotFound),
];

#[test]
fn every_kind_of_ticket_has_its_reason_with_and_without_the_server() {
    run(async |server, clock| {
        let kinds = FIRST_READING.map(|(kind, _)| kind);
        assert_eq!(kinds.len(), Kind::ALL.len());
        for network in BOTH {
            let scene = Scene::new(&server, clock, Reentry::Never, &kinds).await;
            scene.set(0, network);
            for (ticket, (kind, expected)) in FIRST_READING.into_iter().enumerate() {
                if (kind, network) == (Kind::SoldLater, Network::Offline) {
                    continue;
                }
                let verdict = scene.scan(0, ticket, Direction::Entry).await;
                assert_eq!(
                    (verdict.reason, verdict.decided_by),
                    (expected, source(network)),
                    "{kind:?} {network:?}"
                );
            }
        }
    });
}

#[test]
fn a_ticket_enters_from_the_first_moment_of_its_window() {
    run(async |server, clock| {
        for network in BOTH {
            let scene = Scene::new(&server, clock, Reentry::Never, &[Kind::Later]).await;
            scene.set(0, network);
            assert_eq!(scene.enter(0, 0).await, Reason::TokenNotYetValid, "{network:?}");
            later(3500).await;
            assert_eq!(scene.enter(0, 0).await, Reason::TokenNotYetValid, "{network:?}");
            later(100).await;
            assert_eq!(scene.enter(0, 0).await, Reason::Admitted, "{network:?}");
        }
    });
}

#[test]
fn every_policy_of_re_entry_holds_with_and_without_the_server() {
    let once_more = |policy| match policy {
        Reentry::Never | Reentry::Daily => [
            Reason::AlreadyScanned,
            Reason::AlreadyScanned,
            Reason::AlreadyScanned,
        ],
        Reentry::AfterExit => [Reason::AlreadyInside, Reason::Readmitted, Reason::AlreadyInside],
        Reentry::AfterWindow => [Reason::AlreadyScanned, Reason::AlreadyScanned, Reason::Readmitted],
    };
    run(async |server, clock| {
        for &policy in Reentry::ALL {
            for network in BOTH {
                let scene = Scene::new(&server, clock, policy, &[Kind::Plain]).await;
                scene.set(0, network);
                assert_eq!(scene.enter(0, 0).await, Reason::Admitted);
                let inside = scene.enter(0, 0).await;
                assert_eq!(scene.leave(0, 0).await, Reason::Exited, "{policy} {network:?}");
                let after_exit = scene.enter(0, 0).await;
                later(310).await;
                let after_window = scene.enter(0, 0).await;
                assert_eq!(
                    [inside, after_exit, after_window],
                    once_more(policy),
                    "{policy} {network:?}"
                );
            }
        }
    });
}

#[test]
fn a_group_ticket_enters_as_often_as_it_has_people() {
    run(async |server, clock| {
        for network in BOTH {
            let scene = Scene::new(&server, clock, Reentry::Never, &[Kind::Group]).await;
            scene.set(0, network);
            for _ in 0..3 {
                assert_eq!(scene.enter(0, 0).await, Reason::Admitted, "{network:?}");
            }
            assert_eq!(scene.enter(0, 0).await, Reason::EntryLimitReached, "{network:?}");
        }
    });
}

#[test]
fn people_of_one_group_count_across_an_outage() {
    run(async |server, clock| {
        let scene = Scene::new(&server, clock, Reentry::Never, &[Kind::Group]).await;
        assert_eq!(scene.enter(0, 0).await, Reason::Admitted);
        scene.set(0, Network::Offline);
        assert_eq!(scene.enter(0, 0).await, Reason::Admitted);
        scene.set(0, Network::Online);
        later(120).await;
        assert_eq!(scene.enter(0, 0).await, Reason::Admitted);
        scene.set(0, Network::Offline);
        assert_eq!(scene.enter(0, 0).await, Reason::EntryLimitReached);
    });
}

#[test]
fn only_the_people_inside_leave_and_nothing_else_keeps_them_in() {
    run(async |server, clock| {
        for network in BOTH {
            let kinds = [Kind::Plain, Kind::Voided, Kind::OtherEvent, Kind::Plain];
            let mut scene = Scene::new(&server, clock, Reentry::AfterExit, &kinds).await;
            assert_eq!(scene.enter(0, 3).await, Reason::Admitted);
            assert!(scene.office.set_status(3, SettableStatus::Voided).await);
            scene.set(0, network);
            assert_eq!(scene.leave(0, 0).await, Reason::NotInside, "{network:?}");
            assert_eq!(scene.leave(0, 1).await, Reason::NotInside, "{network:?}");
            assert_eq!(scene.leave(0, 2).await, Reason::OtherEvent, "{network:?}");
            assert_eq!(scene.leave(0, 3).await, Reason::Exited, "{network:?}");
            assert_eq!(scene.leave(0, 3).await, Reason::NotInside, "{network:?}");
        }
    });
}

#[test]
fn a_ticket_sold_after_the_manifest_enters_by_its_claims() {
    run(async |server, clock| {
        let mut scene = Scene::new(
            &server,
            clock,
            Reentry::Never,
            &[Kind::SoldLater, Kind::SoldLater],
        )
        .await;
        scene.set(0, Network::Offline);
        let verdict = scene.scan(0, 0, Direction::Entry).await;
        assert_eq!(verdict.reason, Reason::Admitted);
        assert!(has(&verdict, Warning::NotInManifest));
        assert_eq!(scene.enter(0, 0).await, Reason::AlreadyScanned);
        scene.office.sell().await;
        scene.set(0, Network::Online);
        later(120).await;
        let report = scene.sync(0).await;
        assert_eq!((report.recorded, report.conflicts), (2, 0));
        scene.refresh(0).await;
        scene.set(0, Network::Offline);
        let verdict = scene.scan(0, 1, Direction::Entry).await;
        assert_eq!(verdict.reason, Reason::Admitted);
        assert!(
            !has(&verdict, Warning::NotInManifest),
            "the manifest lists it now"
        );
        assert_eq!(
            scene.enter(0, 0).await,
            Reason::AlreadyScanned,
            "sold later, entered before"
        );
    });
}

#[test]
fn a_steward_forces_only_duplicates_and_refusals() {
    run(async |server, clock| {
        let kinds = [
            Kind::Plain,
            Kind::Voided,
            Kind::OtherEvent,
            Kind::Forged,
            Kind::VipGateOnly,
        ];
        for network in BOTH {
            let scene = Scene::new(&server, clock, Reentry::Never, &kinds).await;
            scene.set(0, network);
            assert_eq!(scene.enter(0, 0).await, Reason::Admitted);
            assert_eq!(scene.force(0, 0).await, Reason::Overridden, "{network:?}");
            assert_eq!(scene.force(0, 1).await, Reason::Overridden, "{network:?}");
            assert_eq!(scene.force(0, 2).await, Reason::OtherEvent, "{network:?}");
            assert_eq!(scene.force(0, 3).await, Reason::BadSignature, "{network:?}");
            assert_eq!(scene.force(0, 4).await, Reason::GateNotAllowed, "{network:?}");
        }
    });
}
