//! One phone at several events.

use voelgoed_scan_core::model::{Reason, Reentry};

use super::{Network, Scene};
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
