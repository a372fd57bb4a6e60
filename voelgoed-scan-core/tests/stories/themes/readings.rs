//! Repeated readings: the frames of a camera, a code held for long, people who turn around, callers who go away.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use voelgoed_scan_core::client::{ScanInput, Verdict};
use voelgoed_scan_core::model::{Direction, Reason, Reentry, ScanId};

use super::{BOTH, Network, Scene, later};
use crate::link::Weather;
use crate::office::Kind;
use crate::run;

impl Scene {
    /// Calls `scan` for each frame, `spacing` apart, whether or not the call before has ended.
    async fn frames(&self, ticket: usize, frames: u32, spacing: Duration) -> Vec<Verdict> {
        let calls: Vec<_> = (0..frames)
            .map(|frame| {
                let client = Arc::clone(&self.phones[0].client);
                let input = ScanInput::entry(self.office.tickets[ticket].qr.clone());
                tokio::spawn(async move {
                    sleep(spacing * frame).await;
                    client.scan(input).await.expect("a verdict")
                })
            })
            .collect();
        let mut verdicts = Vec::new();
        for call in calls {
            verdicts.push(call.await.expect("no panic"));
        }
        verdicts
    }
}

fn ids(verdicts: &[Verdict]) -> HashSet<ScanId> {
    verdicts.iter().map(|verdict| verdict.scan_id).collect()
}

#[test]
fn the_frames_of_one_reading_are_one_scan_and_one_verdict() {
    run(async |server, clock| {
        for network in BOTH {
            let scene = Scene::new(&server, clock, Reentry::Never, &[Kind::Plain, Kind::Plain]).await;
            for weather in [Weather::Clear, Weather::Slow] {
                let ticket = usize::from(weather == Weather::Slow);
                scene.phones[0].link.set(if network == Network::Online {
                    weather
                } else {
                    Weather::Down
                });
                let verdicts = scene.frames(ticket, 40, Duration::from_millis(33)).await;
                assert_eq!(ids(&verdicts).len(), 1, "{network:?} {weather:?}");
                assert!(verdicts.iter().all(|verdict| verdict.reason == Reason::Admitted));
                later(10).await;
            }
            scene.phones[0].link.set(Weather::Clear);
            later(120).await;
            scene.sync(0).await;
            assert_eq!(scene.office.records().await.len(), 2, "{network:?}");
        }
    });
}

#[test]
fn a_code_held_for_longer_is_read_again() {
    run(async |server, clock| {
        for network in BOTH {
            let scene = Scene::new(&server, clock, Reentry::Never, &[Kind::Plain]).await;
            scene.set(0, network);
            let first = scene.frames(0, 2, Duration::from_millis(2400)).await;
            assert_eq!(ids(&first).len(), 1, "{network:?}: within 2.5 s");
            sleep(Duration::from_millis(300)).await;
            assert_eq!(
                scene.enter(0, 0).await,
                Reason::AlreadyScanned,
                "{network:?}: later"
            );
        }
    });
}

#[test]
fn who_comes_in_turns_around_and_comes_in_again_makes_three_scans() {
    run(async |server, clock| {
        for network in BOTH {
            let scene = Scene::new(&server, clock, Reentry::AfterExit, &[Kind::Plain]).await;
            scene.set(0, network);
            let mut reasons = Vec::new();
            for direction in [Direction::Entry, Direction::Exit, Direction::Entry] {
                let mut input = ScanInput::entry(scene.office.tickets[0].qr.clone());
                input.direction = direction;
                let verdict = scene.phones[0].client.scan(input).await.expect("a verdict");
                reasons.push(verdict.reason);
                sleep(Duration::from_millis(300)).await;
            }
            assert_eq!(
                reasons,
                [Reason::Admitted, Reason::Exited, Reason::Readmitted],
                "{network:?}"
            );
        }
    });
}

#[test]
fn a_caller_who_goes_away_leaves_the_verdict_to_the_next_one() {
    run(async |server, clock| {
        for patience in [1, 50, 100, 150] {
            let scene = Scene::new(&server, clock, Reentry::Never, &[Kind::Plain]).await;
            let input = || ScanInput::entry(scene.office.tickets[0].qr.clone());
            let gone = timeout(
                Duration::from_millis(patience),
                scene.phones[0].client.scan(input()),
            )
            .await;
            let verdict = scene.phones[0].client.scan(input()).await.expect("a verdict");
            assert_eq!(
                verdict.reason,
                Reason::Admitted,
                "gone after {patience} ms: {gone:?}"
            );
            later(3).await;
            assert_eq!(scene.enter(0, 0).await, Reason::AlreadyScanned);
            let records = scene.office.records().await;
            assert_eq!(records.len(), 2, "gone after {patience} ms");
        }
    });
}

#[test]
fn a_scan_whose_answer_is_lost_is_one_scan() {
    run(async |server, clock| {
        let scene = Scene::new(&server, clock, Reentry::Never, &[Kind::Plain]).await;
        scene.phones[0].link.set(Weather::LosesAnswers);
        let verdicts = scene.frames(0, 20, Duration::from_millis(33)).await;
        assert_eq!(ids(&verdicts).len(), 1);
        scene.phones[0].link.set(Weather::Clear);
        later(120).await;
        scene.sync(0).await;
        let records = scene.office.records().await;
        assert_eq!((records.len(), records[0].reason), (1, Reason::Admitted));
        assert_eq!(scene.enter(0, 0).await, Reason::AlreadyScanned);
    });
}
