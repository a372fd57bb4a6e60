//! Repeated readings: the frames of a camera, a code held for long, people who turn around, callers who go away.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use voelgoed_scan_core::client::{ScanInput, Verdict};
use voelgoed_scan_core::model::{Reason, Reentry, ScanId};

use super::{BOTH, Scene};
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
