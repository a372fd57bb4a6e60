//! What a phone believes: keys, denials that the server told it, its device, its session, its clock, foreign answers.

use voelgoed_scan_core::model::{KeyStatus, Reason, Reentry, SettableStatus};

use super::{Network, Scene, later};
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
