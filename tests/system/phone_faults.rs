//! The core's phone client against a real server through a network that breaks at any byte.
//!
//! The stories in `voelgoed-scan-core/tests/stories` inject more faults, in virtual time. These tests have what the stories
//! leave out: sockets, the default transport, and the server's HTTP.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::timeout;
use voelgoed_scan_core::client::{ClientSettings, ScanInput, ScannerClient, Verdict, VerdictSource};
use voelgoed_scan_core::model::EnrollmentUri;
use voelgoed_scan_suite::{FaultProxy, Faults, Fixture};

use super::phone_client::{client_setup, enrollment_uri, vg2_payload};

/// How long a call may take on a busy machine. A call that takes longer hangs.
const HANG: Duration = Duration::from_secs(60);

/// A phone behind a proxy.
struct Behind {
    _fixture: Fixture,
    proxy: FaultProxy,
    phone: Arc<ScannerClient>,
    tickets: Vec<String>,
    _directory: tempfile::TempDir,
}

impl Behind {
    async fn new() -> Self {
        let fixture = Fixture::new().await;
        let proxy = FaultProxy::start(fixture.tenant.owner.address()).await;
        let (_, device) = fixture.tenant.new_device("phone-7", &json!({})).await;
        let directory = tempfile::tempdir().expect("a directory");
        let setup = client_setup(&directory);
        let setup = voelgoed_scan_core::client::ClientSetup {
            settings: ClientSettings {
                scan_timeout: Duration::from_millis(400),
                call_timeout: Duration::from_secs(2),
                transfer_timeout: Duration::from_secs(2),
                ..setup.settings.clone()
            },
            ..setup
        };
        let uri = EnrollmentUri {
            server: format!("http://{}", proxy.address()),
            ..enrollment_uri(&fixture.tenant, &device).await
        };
        let phone = ScannerClient::enroll(setup, &uri).await.expect("it enrols");
        let event = fixture.tenant.event.parse().expect("an id");
        let gate = fixture.tenant.gate.parse().expect("an id");
        phone.start_session(event, gate, false).await.expect("it starts");
        let mut tickets = Vec::new();
        // The first ticket of the fixture has been admitted.
        for ticket in 1..fixture.tenant.codes.len() {
            tickets.push(vg2_payload(&fixture.tenant, ticket).await);
        }
        phone.refresh_manifest().await.expect("a manifest");
        Self {
            _fixture: fixture,
            proxy,
            phone: Arc::new(phone),
            tickets,
            _directory: directory,
        }
    }

    /// Reads a ticket with some overlapping frames. All get one verdict.
    async fn read(&self, ticket: usize, frames: u32) -> Verdict {
        let calls: Vec<_> = (0..frames)
            .map(|frame| {
                let (phone, qr) = (Arc::clone(&self.phone), self.tickets[ticket].clone());
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(15) * frame).await;
                    timeout(HANG, phone.scan(ScanInput::entry(qr))).await
                })
            })
            .collect();
        let mut verdicts: Vec<Verdict> = Vec::new();
        for call in calls {
            let ended = call.await.expect("no panic").expect("a scan ends");
            verdicts.push(ended.expect("a verdict"));
        }
        let told: HashSet<_> = verdicts.iter().map(|one| (one.scan_id, one.reason)).collect();
        assert_eq!(told.len(), 1, "one reading, one verdict: {told:?}");
        verdicts.remove(0)
    }

    /// Hands everything in.
    async fn hand_in(&self) {
        self.proxy.set(Faults::None);
        for _ in 0..20 {
            let synced = timeout(HANG, self.phone.sync()).await.expect("a sync ends");
            let state = self.phone.state().await.expect("a state");
            if synced.is_ok() && state.waiting == 0 {
                return;
            }
        }
        panic!("{:?}", self.phone.state().await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_died_silently_is_replaced() {
    let behind = Behind::new().await;
    assert_eq!(behind.read(0, 1).await.decided_by, VerdictSource::Server);
    // The connection is open, and nothing passes: the network changed under it.
    let before = behind.proxy.connections();
    behind.proxy.kill_silently();
    assert_eq!(behind.read(1, 1).await.decided_by, VerdictSource::Device);
    behind.hand_in().await;
    assert_eq!(behind.read(2, 1).await.decided_by, VerdictSource::Server);
    assert!(behind.proxy.connections() > before, "a connection was made");
}
