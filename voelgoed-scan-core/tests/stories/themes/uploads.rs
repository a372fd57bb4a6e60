//! The queue: its order, restarts, full disks, damaged files, conflicts.

use voelgoed_scan_core::client::VerdictSource;
use voelgoed_scan_core::model::{Direction, Reason, Reentry, ScanResult};
use voelgoed_scan_core::rules::ConflictKind;

use super::{Network, Scene, later};
use crate::link::Weather;
use crate::office::Kind;
use crate::run;

#[test]
fn scans_are_handed_in_once_and_in_the_order_of_their_decision() {
    run(async |server, clock| {
        let kinds = [Kind::Plain; 12];
        let mut scene = Scene::new(&server, clock, Reentry::Never, &kinds).await;
        scene.set(0, Network::Offline);
        for ticket in 0..12 {
            assert_eq!(scene.enter(0, ticket).await, Reason::Admitted);
            if ticket == 6 {
                scene.restart(0).await;
            }
        }
        // The answers to the first attempts are lost.
        scene.phones[0].link.set(Weather::LosesAnswers);
        later(120).await;
        assert!(scene.phones[0].client.sync().await.is_err());
        scene.phones[0].link.set(Weather::Clear);
        later(120).await;
        scene.phones[0].link.take_delivered();
        let report = scene.sync(0).await;
        assert_eq!(report.recorded + report.replayed, 12);
        let sent: Vec<u64> = scene.phones[0]
            .link
            .take_delivered()
            .iter()
            .filter_map(|exchange| exchange.request["scans"].as_array().cloned())
            .flatten()
            .filter_map(|scan| scan["sequence"].as_u64())
            .collect();
        assert_eq!(sent, (1..=12).collect::<Vec<_>>());
        assert_eq!(scene.office.records().await.len(), 12);
        assert_eq!(scene.phones[0].client.state().await.expect("a state").waiting, 0);
    });
}

#[test]
fn a_ticket_at_two_phones_that_cannot_talk_is_a_conflict_and_two_people() {
    run(async |server, clock| {
        let mut scene = Scene::new(&server, clock, Reentry::Never, &[Kind::Plain]).await;
        scene.add_phone().await;
        for phone in [0, 1] {
            scene.set(phone, Network::Offline);
            assert_eq!(scene.enter(phone, 0).await, Reason::Admitted, "phone {phone}");
        }
        for phone in [0, 1] {
            scene.set(phone, Network::Online);
        }
        later(120).await;
        // The loser uploads last and is told at once.
        assert_eq!(scene.sync(0).await.conflicts, 0);
        assert_eq!(scene.sync(1).await.conflicts, 1);
        let conflicts = scene.office.conflicts().await;
        assert_eq!(conflicts.len(), 1);
        assert_eq!(conflicts[0].kind, ConflictKind::DoubleEntry);
        assert_eq!(
            scene.phones[1].client.conflicts().await.expect("conflicts").len(),
            1
        );
        let records = scene.office.records().await;
        assert!(
            records
                .iter()
                .all(|record| record.local_result == Some(ScanResult::Valid))
        );
        // After the upload both phones deny it, with the server and without it.
        for network in [Network::Online, Network::Offline] {
            for phone in [0, 1] {
                scene.set(phone, network);
                assert_eq!(
                    scene.enter(phone, 0).await,
                    Reason::AlreadyScanned,
                    "{network:?} {phone}"
                );
            }
        }
    });
}

#[test]
fn a_full_disk_shows_nothing_that_is_not_stored_and_is_forgotten_once_there_is_room() {
    run(async |server, clock| {
        let mut scene = Scene::new(&server, clock, Reentry::Never, &[Kind::Plain, Kind::Plain]).await;
        scene.set(0, Network::Offline);
        scene.phones[0].fill_disk(true).await.expect("it opens");
        let code = scene.error(0, 0).await;
        assert!(code.starts_with("storage"), "{code}");
        scene.phones[0].fill_disk(false).await.expect("it opens");
        assert_eq!(scene.enter(0, 0).await, Reason::Admitted);
        assert_eq!(scene.enter(0, 0).await, Reason::AlreadyScanned);
        scene.set(0, Network::Online);
        later(120).await;
        assert_eq!(scene.sync(0).await.recorded, 2);
        assert_eq!(scene.enter(0, 1).await, Reason::Admitted);
    });
}

#[test]
fn a_phone_whose_disk_is_full_still_asks_the_server() {
    run(async |server, clock| {
        let mut scene = Scene::new(&server, clock, Reentry::Never, &[Kind::Plain, Kind::Voided]).await;
        let full = scene.phones[0].fill_disk(true).await;
        full.expect("it opens");
        for (ticket, expected) in [
            (0, Reason::Admitted),
            (0, Reason::AlreadyScanned),
            (1, Reason::TicketVoided),
        ] {
            let verdict = scene.scan(0, ticket, Direction::Entry).await;
            assert_eq!(
                (verdict.reason, verdict.decided_by),
                (expected, VerdictSource::Server)
            );
        }
    });
}

#[test]
fn what_a_phone_is_told_while_its_disk_is_full_holds() {
    for revoked in [false, true] {
        run(async move |server, clock| {
            let mut scene = Scene::new(&server, clock, Reentry::Never, &[Kind::Plain]).await;
            scene.phones[0].fill_disk(true).await.expect("it opens");
            let device = scene.phones[0].device;
            let expected = if revoked {
                scene.office.revoke(device).await;
                "device_inactive"
            } else {
                scene.office.end_session(device).await;
                "no_active_session"
            };
            later(5).await;
            assert_eq!(scene.error(0, 0).await, expected, "the server says so");
            let state = scene.phones[0].client.state().await.expect("a state");
            let problem = state.problem.map(|problem| problem.code.as_str());
            assert_eq!(problem, Some(expected), "the state names it");
            scene.set(0, Network::Offline);
            assert_eq!(scene.error(0, 0).await, expected, "it holds");
        });
    }
}

#[test]
fn a_damaged_file_is_set_aside_and_the_phone_goes_on() {
    run(async |server, clock| {
        let mut scene = Scene::new(&server, clock, Reentry::Never, &[Kind::Plain, Kind::Plain]).await;
        assert_eq!(scene.enter(0, 0).await, Reason::Admitted);
        let reopened = scene.phones[0].kill_and_reopen(true).await;
        reopened.expect("it opens");
        let place = scene.office.places[0];
        let started = scene.phones[0]
            .client
            .start_session(place.event, place.main, true)
            .await;
        started.expect("a session");
        assert_eq!(scene.enter(0, 1).await, Reason::Admitted);
        assert_eq!(
            scene.enter(0, 0).await,
            Reason::AlreadyScanned,
            "the server remembers"
        );
    });
}
