//! What a phone believes: keys, denials that the server told it, its device, its session, its clock, foreign answers.

use std::time::Duration;

use tokio::time::sleep;
use voelgoed_scan_core::model::{KeyStatus, Reason, Reentry, SettableStatus};

use super::{Network, Scene, later};
use crate::link::Weather;
use crate::office::Kind;
use crate::run;

#[test]
fn a_key_revoked_by_the_office_is_refused_from_the_next_manifest() {
    run(async |server, clock| {
        let scene = Scene::new(&server, clock, Reentry::Never, &[Kind::Plain, Kind::Plain]).await;
        scene.set(0, Network::Offline);
        assert_eq!(scene.enter(0, 0).await, Reason::Admitted);
        scene.office.set_key("1", KeyStatus::Revoked).await;
        scene.set(0, Network::Online);
        later(120).await;
        scene.sync(0).await;
        scene.refresh(0).await;
        scene.set(0, Network::Offline);
        assert_eq!(scene.enter(0, 1).await, Reason::KeyRevoked);
    });
}

#[test]
fn a_denial_that_the_server_told_holds_without_it() {
    run(async |server, clock| {
        let mut scene = Scene::new(
            &server,
            clock,
            Reentry::Never,
            &[Kind::Plain, Kind::Plain, Kind::Plain],
        )
        .await;
        scene.add_phone().await;
        // Another phone admits the first ticket, and the office bars the second: this phone learns it from the server alone.
        assert_eq!(scene.enter(1, 0).await, Reason::Admitted);
        assert!(scene.office.set_status(1, SettableStatus::Voided).await);
        assert_eq!(scene.enter(0, 0).await, Reason::AlreadyScanned);
        assert_eq!(scene.enter(0, 1).await, Reason::TicketVoided);
        scene.set(0, Network::Offline);
        assert_eq!(scene.enter(0, 0).await, Reason::AlreadyScanned);
        assert_eq!(scene.enter(0, 1).await, Reason::TicketVoided);
        scene.restart(0).await;
        assert_eq!(scene.enter(0, 0).await, Reason::AlreadyScanned, "after a restart");
        assert_eq!(scene.enter(0, 1).await, Reason::TicketVoided, "after a restart");
        assert_eq!(scene.enter(0, 2).await, Reason::Admitted);
    });
}

#[test]
fn a_bar_that_the_office_lifts_is_lifted_by_the_next_manifest() {
    run(async |server, clock| {
        let mut scene = Scene::new(&server, clock, Reentry::Never, &[Kind::Plain]).await;
        assert!(scene.office.set_status(0, SettableStatus::Voided).await);
        assert_eq!(scene.enter(0, 0).await, Reason::TicketVoided);
        assert!(scene.office.set_status(0, SettableStatus::Active).await);
        later(10).await;
        scene.refresh(0).await;
        scene.set(0, Network::Offline);
        assert_eq!(scene.enter(0, 0).await, Reason::Admitted);
    });
}

#[test]
fn the_server_admits_again_after_an_undo_by_the_office() {
    run(async |server, clock| {
        let mut scene = Scene::new(&server, clock, Reentry::Never, &[Kind::Plain]).await;
        let verdict = scene
            .scan(0, 0, voelgoed_scan_core::model::Direction::Entry)
            .await;
        assert_eq!(verdict.reason, Reason::Admitted);
        assert!(scene.office.undo(0, verdict.scan_id).await);
        assert_eq!(scene.enter(0, 0).await, Reason::Admitted, "the server knows");
    });
}

#[test]
fn a_revoked_phone_stops_and_still_hands_in() {
    run(async |server, clock| {
        let mut scene = Scene::new(&server, clock, Reentry::Never, &[Kind::Plain, Kind::Plain]).await;
        scene.set(0, Network::Offline);
        assert_eq!(scene.enter(0, 0).await, Reason::Admitted);
        scene.office.revoke(scene.phones[0].device).await;
        scene.set(0, Network::Online);
        later(120).await;
        assert_eq!(scene.error(0, 1).await, "device_inactive");
        scene.set(0, Network::Offline);
        assert_eq!(scene.error(0, 1).await, "device_inactive", "in airplane mode");
        scene.restart(0).await;
        assert_eq!(scene.error(0, 1).await, "device_inactive", "after a restart");
        scene.set(0, Network::Online);
        later(120).await;
        assert_eq!(scene.error(0, 1).await, "device_inactive");
        // An upload may end with the refusal of what follows it.
        let _ = scene.phones[0].client.sync().await;
        assert_eq!(scene.phones[0].client.state().await.expect("a state").waiting, 0);
        assert!(scene.office.records().await.is_empty(), "it is in quarantine");
    });
}

#[test]
fn a_session_that_the_office_ends_is_told_the_same_way_with_and_without_the_network() {
    run(async |server, clock| {
        let scene = Scene::new(&server, clock, Reentry::Never, &[Kind::Plain]).await;
        scene.office.end_session(scene.phones[0].device).await;
        assert_eq!(scene.error(0, 0).await, "no_active_session");
        scene.set(0, Network::Offline);
        assert_eq!(scene.error(0, 0).await, "no_active_session");
        scene.set(0, Network::Online);
        later(120).await;
        let place = scene.office.places[0];
        let started = scene.phones[0]
            .client
            .start_session(place.event, place.main, true)
            .await;
        assert!(started.expect("a session").is_some());
        assert_eq!(scene.enter(0, 0).await, Reason::Admitted);
    });
}

#[test]
fn a_wall_clock_that_is_moved_moves_no_window() {
    run(async |server, clock| {
        for millis in [6 * 3_600_000, -6 * 3_600_000] {
            let kinds = [Kind::Plain, Kind::Later, Kind::Expired];
            let scene = Scene::new(&server, clock, Reentry::Never, &kinds).await;
            scene.set(0, Network::Offline);
            scene.phones[0].move_clock(millis);
            assert_eq!(scene.enter(0, 1).await, Reason::TokenNotYetValid, "{millis}");
            assert_eq!(scene.enter(0, 2).await, Reason::TokenExpired, "{millis}");
            assert_eq!(scene.enter(0, 0).await, Reason::Admitted, "{millis}");
            scene.set(0, Network::Online);
            later(120).await;
            assert_eq!(scene.sync(0).await.recorded, 3, "{millis}");
            for record in scene.office.records().await {
                let age = record.received_at.millis_since(record.scanned_at);
                assert!(
                    (115_000..135_000).contains(&age),
                    "{millis}: recorded {age} ms before its upload"
                );
            }
        }
    });
}

#[test]
fn an_answer_that_is_not_the_servers_is_no_verdict_and_stops_nothing() {
    run(async |server, clock| {
        let weathers = [
            Weather::Portal,
            Weather::ForeignErrors,
            Weather::WrongIds,
            Weather::Busy,
            Weather::Cut,
            Weather::LosesAnswers,
        ];
        for weather in weathers {
            let kinds = [
                Kind::Plain,
                Kind::Plain,
                Kind::Voided,
                Kind::Plain,
                Kind::Plain,
                Kind::Plain,
            ];
            let scene = Scene::new(&server, clock, Reentry::Never, &kinds).await;
            scene.phones[0].link.set(weather);
            for ticket in [0, 1, 3, 4, 5] {
                assert_eq!(scene.enter(0, ticket).await, Reason::Admitted, "{weather:?}");
                sleep(Duration::from_secs(90)).await;
            }
            assert_eq!(scene.enter(0, 2).await, Reason::TicketVoided, "{weather:?}");
            scene.phones[0].link.set(Weather::Clear);
            later(120).await;
            scene.sync(0).await;
            let records = scene.office.records().await;
            assert_eq!(records.len(), 6, "{weather:?}: each scan is on record once");
        }
    });
}
