//! Short stories with known endings, by theme: windows, re-entry, exits, unknown and later-sold tickets, keys, several
//! events, repeated readings, the order of the queue, conflicts.
//!
//! Most run twice, once with the server and once without it: a phone gives the same reasons either way.

mod daily;
mod event_states;
mod events;
mod readings;
mod tickets;
mod trust;
mod uploads;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use voelgoed_scan_core::client::{ScanInput, Verdict, VerdictSource};
use voelgoed_scan_core::model::{Direction, Reason, ReasonText, Reentry, StaleManifest, Warning};

use crate::clock::TrueClock;
use crate::link::Weather;
use crate::office::{Kind, Office};
use crate::phone::Phone;
use crate::server::Server;

/// Who decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Network {
    Online,
    Offline,
}

pub(super) const BOTH: [Network; 2] = [Network::Online, Network::Offline];

/// An office and phones.
pub(super) struct Scene {
    pub(super) office: Office,
    pub(super) phones: Vec<Phone>,
}

impl Scene {
    /// One phone at the main gate of the first event, with its manifest.
    pub(super) async fn new(
        server: &Arc<Server>,
        clock: TrueClock,
        reentry: Reentry,
        kinds: &[Kind],
    ) -> Self {
        let office = Office::open(server, clock, reentry, StaleManifest::Warn, kinds).await;
        let mut scene = Self {
            office,
            phones: Vec::new(),
        };
        scene.add_phone().await;
        scene
    }

    pub(super) async fn add_phone(&mut self) {
        let number = self.phones.len();
        let phone = Phone::enroll(&self.office, &format!("phone-{number}"), 7, 0).await;
        self.phones.push(phone);
    }

    pub(super) fn set(&self, phone: usize, network: Network) {
        self.phones[phone].link.set(match network {
            Network::Online => Weather::Clear,
            Network::Offline => Weather::Down,
        });
    }

    fn input(&self, ticket: usize, direction: Direction) -> ScanInput {
        let mut input = ScanInput::entry(self.office.tickets[ticket].qr.clone());
        input.direction = direction;
        input
    }

    pub(super) async fn scan(&self, phone: usize, ticket: usize, direction: Direction) -> Verdict {
        let input = self.input(ticket, direction);
        let verdict = self.phones[phone].client.scan(input).await;
        // The next scan is another reading.
        later(3).await;
        verdict.expect("a verdict")
    }

    pub(super) async fn enter(&self, phone: usize, ticket: usize) -> Reason {
        self.scan(phone, ticket, Direction::Entry).await.reason
    }

    pub(super) async fn leave(&self, phone: usize, ticket: usize) -> Reason {
        self.scan(phone, ticket, Direction::Exit).await.reason
    }

    pub(super) async fn force(&self, phone: usize, ticket: usize) -> Reason {
        let mut input = self.input(ticket, Direction::Entry);
        input.override_reason = Some(ReasonText::new("the steward knows them").expect("a reason"));
        let verdict = self.phones[phone].client.scan(input).await;
        later(3).await;
        verdict.expect("a verdict").reason
    }

    /// The code of the error that a scan gives instead of a verdict.
    pub(super) async fn error(&self, phone: usize, ticket: usize) -> String {
        let input = self.input(ticket, Direction::Entry);
        let result = self.phones[phone].client.scan(input).await;
        later(3).await;
        result.expect_err("no verdict").code().to_owned()
    }

    pub(super) async fn refresh(&self, phone: usize) {
        let refreshed = self.phones[phone].client.refresh_manifest().await;
        refreshed.expect("a manifest");
    }

    pub(super) async fn sync(&self, phone: usize) -> voelgoed_scan_core::client::SyncReport {
        self.phones[phone].client.sync().await.expect("it is uploaded")
    }

    /// Kills the app and opens it again.
    pub(super) async fn restart(&mut self, phone: usize) {
        let reopened = self.phones[phone].kill_and_reopen(false).await;
        reopened.expect("it opens");
    }
}

/// Time passes, and every backoff with it.
pub(super) async fn later(seconds: u64) {
    sleep(Duration::from_secs(seconds)).await;
}

pub(super) fn source(network: Network) -> VerdictSource {
    match network {
        Network::Online => VerdictSource::Server,
        Network::Offline => VerdictSource::Device,
    }
}

pub(super) fn has(verdict: &Verdict, warning: Warning) -> bool {
    verdict.warnings.contains(&warning)
}
