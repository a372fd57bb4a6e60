//! The core's phone client against a real server through a network that breaks at any byte.
//!
//! The stories in `voelgoed-scan-core/tests/stories` inject more faults, in virtual time. These tests have what the stories
//! leave out: sockets, the default transport, and the server's HTTP.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;
use voelgoed_scan_core::client::{ClientSettings, ScanInput, ScannerClient, Verdict, VerdictSource};
use voelgoed_scan_core::model::{EnrollmentUri, Reason, ScanId, ScanResult};
use voelgoed_scan_suite::fixture::Tenant;
use voelgoed_scan_suite::{FaultProxy, Faults, Fixture};

use super::history::rng::Rng;
use super::phone_client::{client_setup, enrollment_uri, vg2_payload};

/// How long a call may take on a busy machine. A call that takes longer hangs.
const HANG: Duration = Duration::from_secs(60);

/// How long calls with one payload are one reading.
const READING: Duration = Duration::from_millis(2500);

/// The size of a scan with its head, and of its answer, and some more.
const EXCHANGE_BYTES: usize = 1600;

/// A phone behind a proxy.
struct Behind {
    fixture: Fixture,
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
            fixture,
            proxy,
            phone: Arc::new(phone),
            tickets,
            _directory: directory,
        }
    }

    /// Reads a ticket with some overlapping frames. All get one verdict, unless a reading of the round before ends between
    /// them: then the later ones are a reading of their own.
    async fn read(&self, ticket: usize, frames: u32) -> Vec<Verdict> {
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
        let mut told = HashSet::new();
        verdicts.retain(|one| told.insert((one.scan_id, one.reason)));
        let began = |one: &Verdict| {
            ScanId::as_uuid(&one.scan_id)
                .get_timestamp()
                .map(|at| at.to_unix())
        };
        for pair in verdicts.windows(2) {
            let [one, next] = [began(&pair[0]), began(&pair[1])].map(|began| {
                let (seconds, nanos) = began.expect("the phone's ids have a time");
                Duration::new(seconds, nanos)
            });
            assert!(
                one.abs_diff(next) >= READING,
                "one reading, one verdict: {verdicts:?}"
            );
        }
        verdicts
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

/// The records of the tenant by scan id.
async fn records(tenant: &Tenant) -> HashMap<String, Value> {
    let listed = tenant.owner.get("/api/v1/scanning/scans?limit=500").await;
    let listed = listed.expect(200).json()["data"].as_array().cloned();
    let mut by_id = HashMap::new();
    for record in listed.expect("a list") {
        let id = record["scan_id"].as_str().expect("an id").to_owned();
        assert!(by_id.insert(id, record).is_none(), "recorded twice");
    }
    by_id
}

fn some_faults(rng: &mut Rng) -> Faults {
    match rng.below(8) {
        0 => Faults::None,
        1 => Faults::Delay(Duration::from_millis(rng.below(120) as u64)),
        2 | 3 => Faults::CutRequest(rng.below(EXCHANGE_BYTES) as u64),
        4 | 5 => Faults::CutAnswer(rng.below(EXCHANGE_BYTES) as u64),
        6 => Faults::Freeze,
        _ => Faults::Refuse,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_breaks_at_any_byte_loses_and_doubles_no_scan() {
    let behind = Behind::new().await;
    let already = records(&behind.fixture.tenant).await.len();
    let mut rng = Rng::new(49_191);
    let mut shown: HashMap<String, Verdict> = HashMap::new();
    let mut admissions = HashMap::<usize, usize>::new();
    for round in 0..4 {
        for ticket in 0..behind.tickets.len() {
            let faults = some_faults(&mut rng);
            behind.proxy.set(faults);
            let frames = [1, 1, 4, 12][rng.below(4)];
            for verdict in behind.read(ticket, frames).await {
                let is_admission = verdict.result == ScanResult::Valid;
                if !shown.contains_key(&verdict.scan_id.to_string()) {
                    *admissions.entry(ticket).or_default() += usize::from(is_admission);
                }
                assert!(
                    is_admission || verdict.reason == Reason::AlreadyScanned,
                    "{round} {faults:?}: {verdict:?}"
                );
                shown.insert(verdict.scan_id.to_string(), verdict);
            }
        }
    }
    behind.hand_in().await;
    assert_eq!(admissions.len(), behind.tickets.len());
    assert!(admissions.values().all(|times| *times == 1), "{admissions:?}");
    let records = records(&behind.fixture.tenant).await;
    assert_eq!(
        records.len(),
        already + shown.len(),
        "one record for each reading"
    );
    for (id, verdict) in &shown {
        let record = records
            .get(id)
            .unwrap_or_else(|| panic!("{verdict:?} is not on record"));
        let told = match verdict.decided_by {
            VerdictSource::Device if record["local_result"].is_string() => &record["local_result"],
            _ => &record["result"],
        };
        assert_eq!(told, verdict.result.as_str(), "{record}");
    }
    let by_phone = shown
        .values()
        .filter(|one| one.decided_by == VerdictSource::Device)
        .count();
    assert!(
        by_phone > 0 && by_phone < shown.len(),
        "the network was there and was not"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_died_silently_is_replaced() {
    let behind = Behind::new().await;
    assert_eq!(behind.read(0, 1).await[0].decided_by, VerdictSource::Server);
    // The connection is open, and nothing passes: the network changed under it.
    let before = behind.proxy.connections();
    behind.proxy.kill_silently();
    assert_eq!(behind.read(1, 1).await[0].decided_by, VerdictSource::Device);
    behind.hand_in().await;
    assert_eq!(behind.read(2, 1).await[0].decided_by, VerdictSource::Server);
    assert!(behind.proxy.connections() > before, "a connection was made");
}
