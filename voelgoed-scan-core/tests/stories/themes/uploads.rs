//! The queue: its order, restarts, full disks, damaged files, conflicts.

use voelgoed_scan_core::model::{Reason, Reentry, ScanResult};
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
        // The loser hands in last and is told at once.
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
