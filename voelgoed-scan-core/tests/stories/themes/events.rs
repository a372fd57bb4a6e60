//! One phone at several events.

use voelgoed_scan_core::model::{Reason, Reentry};

use super::{Network, Scene, later};
use crate::office::Kind;
use crate::run;

impl Scene {
    async fn move_to(&self, phone: usize, place: usize) {
        let at = self.office.places[place];
        let started = self.phones[phone]
            .client
            .start_session(at.event, at.main, true)
            .await;
        started.expect("a session");
    }
}

const KINDS: [Kind; 4] = [Kind::Plain, Kind::OtherEvent, Kind::Plain, Kind::OtherEvent];

#[test]
fn a_ticket_enters_at_its_own_event_alone() {
    run(async |server, clock| {
        for network in [Network::Online, Network::Offline] {
            let scene = Scene::new(&server, clock, Reentry::Never, &KINDS).await;
            scene.move_to(0, 1).await;
            scene.refresh(0).await;
            scene.set(0, network);
            assert_eq!(scene.enter(0, 0).await, Reason::OtherEvent, "{network:?}");
            assert_eq!(scene.enter(0, 1).await, Reason::Admitted, "{network:?}");
            assert_eq!(scene.enter(0, 1).await, Reason::AlreadyScanned, "{network:?}");
        }
    });
}

#[test]
fn a_phone_that_returns_to_an_event_without_a_network_goes_on_there() {
    run(async |server, clock| {
        let mut scene = Scene::new(&server, clock, Reentry::Never, &KINDS).await;
        scene.set(0, Network::Offline);
        assert_eq!(scene.enter(0, 0).await, Reason::Admitted);
        scene.set(0, Network::Online);
        later(120).await;
        scene.sync(0).await;
        scene.move_to(0, 1).await;
        scene.refresh(0).await;
        assert_eq!(scene.enter(0, 1).await, Reason::Admitted);
        scene.set(0, Network::Offline);
        scene.move_to(0, 0).await;
        assert_eq!(
            scene.enter(0, 0).await,
            Reason::AlreadyScanned,
            "it entered an hour ago"
        );
        assert_eq!(scene.enter(0, 2).await, Reason::Admitted);
        scene.move_to(0, 1).await;
        assert_eq!(scene.enter(0, 1).await, Reason::AlreadyScanned);
        assert_eq!(scene.enter(0, 3).await, Reason::Admitted);
        scene.restart(0).await;
        scene.move_to(0, 0).await;
        assert_eq!(scene.enter(0, 2).await, Reason::AlreadyScanned, "after a restart");
        scene.set(0, Network::Online);
        later(120).await;
        let report = scene.sync(0).await;
        assert_eq!((report.rejected, report.conflicts), (0, 0));
        let records = scene.office.records().await;
        let admissions = records.iter().filter(|record| record.reason == Reason::Admitted);
        assert_eq!(admissions.count(), 4, "each at its own event");
    });
}
