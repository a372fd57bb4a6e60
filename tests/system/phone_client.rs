//! The core's phone client against a real server: online, offline, and back online.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tempfile::TempDir;
use voelgoed_scan_core::client::{
    ClientSettings, ClientSetup, HttpTransport, ManifestRefresh, ScanInput, ScannerClient, SecretStore,
    SecretStoreError, VerdictSource,
};
use voelgoed_scan_core::model::{App, EnrollmentUri, Language, Name, Reason, Timestamp};
use voelgoed_scan_core::rules::ConflictKind;
use voelgoed_scan_server::{Config, Running, start};
use voelgoed_scan_suite::Fixture;
use voelgoed_scan_suite::fixture::Tenant;
use voelgoed_scan_suite::services::free_port;

/// A secret store in memory.
#[derive(Default)]
struct InMemorySecrets(Mutex<HashMap<String, Vec<u8>>>);

impl SecretStore for InMemorySecrets {
    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, SecretStoreError> {
        Ok(self.0.lock().expect("no panic").get(name).cloned())
    }

    fn set(&self, name: &str, secret: Vec<u8>) -> Result<(), SecretStoreError> {
        self.0.lock().expect("no panic").insert(name.to_owned(), secret);
        Ok(())
    }

    fn delete(&self, name: &str) -> Result<(), SecretStoreError> {
        self.0.lock().expect("no panic").remove(name);
        Ok(())
    }
}

#[expect(clippy::disallowed_methods, reason = "a phone reads its own clock")]
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let millis = since.expect("after 1970").as_millis();
    Timestamp::from_millis(i64::try_from(millis).expect("before the year 292 million"))
}

/// The setup of a phone that is not enrolled yet.
pub(super) fn client_setup(directory: &TempDir) -> ClientSetup {
    let name = |text: &str| Name::new(text).expect("a name");
    ClientSetup {
        directory: directory.path().to_owned(),
        app: App {
            name: name("Gate"),
            version: name("1.0"),
            platform: name("linux"),
        },
        transport: Arc::new(HttpTransport::new().expect("a transport")),
        secrets: Arc::new(InMemorySecrets::default()),
        clock: Arc::new(now),
        language: Language::English,
        settings: ClientSettings {
            // A long deadline, so that a busy machine does not count as a lost network.
            scan_timeout: Duration::from_secs(20),
            initial_backoff: Duration::from_millis(1),
            max_backoff: Duration::from_millis(10),
            allow_plain_http: true,
            ..ClientSettings::default()
        },
    }
}

/// Starts an enrollment and returns the URI that the phone scans, with the real address of the server.
pub(super) async fn enrollment_uri(tenant: &Tenant, device: &str) -> EnrollmentUri {
    let path = format!("/api/v1/scanning/devices/{device}/enrollment");
    let enrollment = tenant.owner.call("POST", &path).await.expect(201).json();
    let uri: EnrollmentUri = enrollment["uri"]
        .as_str()
        .expect("a text")
        .parse()
        .expect("a URI");
    EnrollmentUri {
        server: format!("http://{}", tenant.owner.address()),
        ..uri
    }
}

/// The VG2 payload of a ticket, which a phone can verify offline.
pub(super) async fn vg2_payload(tenant: &Tenant, ticket: usize) -> String {
    let code = &tenant.codes[ticket];
    let path = format!("/api/v1/events/{}/tickets/{code}/qr?format=vg2", tenant.event);
    tenant.owner.get(&path).await.expect(200).text().to_owned()
}

async fn scan(phone: &ScannerClient, qr: &str) -> (Reason, VerdictSource) {
    let verdict = phone.scan(ScanInput::entry(qr)).await.expect("a verdict");
    (verdict.reason, verdict.decided_by)
}

/// Enrolls a phone, and checks that the code works only once.
async fn enroll_with_single_use_code(setup: &ClientSetup, uri: &EnrollmentUri) -> ScannerClient {
    let phone = ScannerClient::enroll(setup.clone(), uri)
        .await
        .expect("it enrolls");
    let again = ScannerClient::enroll(setup.clone(), uri)
        .await
        .expect_err("the code is used");
    assert_eq!(again.code(), "not_found");
    phone
}

/// Starts the server again on the same port and the same database.
async fn restart_server(directory: &TempDir, port: u16) -> Running {
    let mut config = Config::on_free_port(format!("sqlite://{}", directory.path().join("gate.db").display()));
    config.rate_limit = 0;
    config.listen = format!("127.0.0.1:{port}");
    start(config).await.expect("a server")
}

/// Whether the phone is online, how many scans wait for their upload, and how many conflicts it knows.
async fn connectivity(phone: &ScannerClient) -> (bool, u64, u64) {
    let state = phone.state().await.expect("a state");
    (state.online, state.waiting, state.conflicts)
}

async fn inside(tenant: &Tenant) -> Value {
    let path = format!("/api/v1/scanning/events/{}/occupancy", tenant.event);
    tenant.owner.get(&path).await.expect(200).json()["event"]["inside"].clone()
}

#[tokio::test]
#[expect(
    clippy::too_many_lines,
    reason = "one story, from the enrolment to the upload"
)]
async fn a_phone_that_was_offline_uploads_its_scans_and_learns_of_a_conflict() {
    let port = free_port();
    let fixture = Fixture::with_config(|config| config.listen = format!("127.0.0.1:{port}")).await;
    let (_, device) = fixture.tenant.new_device("phone-7", &json!({})).await;
    let directory = tempfile::tempdir().expect("a directory");
    let setup = client_setup(&directory);
    let uri = enrollment_uri(&fixture.tenant, &device).await;
    let phone = enroll_with_single_use_code(&setup, &uri).await;
    assert_eq!(phone.device().id.to_string(), device);

    // Online: the server decides.
    let tenant = &fixture.tenant;
    let (event, gate) = (
        tenant.event.parse().expect("an id"),
        tenant.gate.parse().expect("an id"),
    );
    let session = phone.start_session(event, gate, false).await.expect("it starts");
    assert!(session.is_some());
    let tickets = [
        vg2_payload(tenant, 1).await,
        vg2_payload(tenant, 2).await,
        vg2_payload(tenant, 3).await,
    ];
    assert_eq!(
        scan(&phone, &tickets[0]).await,
        (Reason::Admitted, VerdictSource::Server)
    );
    let used = vg2_payload(tenant, 0).await;
    assert_eq!(
        scan(&phone, &used).await,
        (Reason::AlreadyScanned, VerdictSource::Server)
    );
    // Another device admits this ticket. The phone knows of it only through the manifest.
    let admitted_elsewhere = vg2_payload(tenant, 4).await;
    tenant
        .device
        .scan(&json!({ "qr": admitted_elsewhere }))
        .await
        .expect(200);
    let first = phone.refresh_manifest().await.expect("a manifest");
    assert!(matches!(first, ManifestRefresh::Updated(_)), "{first:?}");
    let second = phone.refresh_manifest().await.expect("an answer");
    assert_eq!(second, ManifestRefresh::Unchanged);

    // Offline: the phone decides.
    let Fixture {
        server,
        tenant,
        directory: database,
        ..
    } = fixture;
    server.stop().await;
    assert_eq!(
        scan(&phone, &tickets[1]).await,
        (Reason::Admitted, VerdictSource::Device)
    );
    assert_eq!(
        scan(&phone, &admitted_elsewhere).await,
        (Reason::AlreadyScanned, VerdictSource::Device),
        "the manifest holds the admission"
    );
    assert_eq!(connectivity(&phone).await, (false, 2, 0));
    drop(phone);
    let phone = ScannerClient::open(setup)
        .await
        .expect("it opens")
        .expect("it is enrolled");
    assert_eq!(
        scan(&phone, &tickets[1]).await,
        (Reason::AlreadyScanned, VerdictSource::Device),
        "the phone keeps its own scans"
    );

    // The server is back, and another device admits the same ticket before the phone uploads its scans.
    let server = restart_server(&database, port).await;
    let other = tenant.device.scan(&json!({ "qr": tickets[1] })).await.expect(200);
    assert_eq!(other.json()["reason"], "admitted");
    let report = phone.sync().await.expect("it uploads");
    assert_eq!(
        (report.recorded, report.quarantined, report.conflicts),
        (3, 0, 1),
        "{report:?}"
    );
    let conflicts = phone.conflicts().await.expect("conflicts");
    assert_eq!(conflicts.len(), 1);
    assert_eq!(conflicts[0].kind, ConflictKind::DoubleEntry);
    let listed = tenant
        .owner
        .get("/api/v1/scanning/conflicts")
        .await
        .expect(200)
        .json();
    assert_eq!(
        listed["data"][0]["other_scan_id"],
        json!(conflicts[0].other_scan_id)
    );
    assert_eq!(connectivity(&phone).await, (true, 0, 1));
    assert_eq!(
        scan(&phone, &tickets[2]).await,
        (Reason::Admitted, VerdictSource::Server)
    );
    assert_eq!(inside(&tenant).await, 6, "both admissions of the conflict count");
    let refreshed = phone.refresh_manifest().await.expect("an answer");
    assert!(
        matches!(
            refreshed,
            ManifestRefresh::Updated(_) | ManifestRefresh::Unchanged
        ),
        "{refreshed:?}"
    );
    server.stop().await;
}

#[tokio::test]
async fn a_phone_that_takes_a_device_over_restarts_the_log_and_one_that_enrolls_again_continues_it() {
    let port = free_port();
    let fixture = Fixture::with_config(|config| config.listen = format!("127.0.0.1:{port}")).await;
    let Fixture {
        mut server,
        tenant,
        directory: database,
        ..
    } = fixture;
    let (_, device) = tenant.new_device("phone-7", &json!({})).await;
    let event = tenant.event.parse().expect("an id");
    let gate = tenant.gate.parse().expect("an id");
    let directories = [(); 2].map(|()| tempfile::tempdir().expect("a directory"));
    let setups = directories.each_ref().map(client_setup);
    let mut previous: Option<ScannerClient> = None;
    let mut previous_at = None;
    // The first phone, a second phone in its place, and the second phone enrolled again.
    for (turn, at) in [0, 1, 1].into_iter().enumerate() {
        let uri = enrollment_uri(&tenant, &device).await;
        // One client at a time uses a database. The app closes its client before it enrolls the phone again.
        if previous_at == Some(at) {
            previous = None;
        }
        let phone = ScannerClient::enroll(setups[at].clone(), &uri)
            .await
            .expect("it enrolls");
        phone.start_session(event, gate, true).await.expect("it starts");
        phone.refresh_manifest().await.expect("a manifest");
        if let Some(previous) = previous {
            let error = previous.sync().await.expect_err("its token is invalid");
            assert_eq!(error.code(), "invalid_token");
        }
        let tickets = [
            vg2_payload(&tenant, 2 * turn + 1).await,
            vg2_payload(&tenant, 2 * turn + 2).await,
        ];
        server.stop().await;
        for qr in &tickets {
            assert_eq!(scan(&phone, qr).await, (Reason::Admitted, VerdictSource::Device));
        }
        server = restart_server(&database, port).await;
        let report = phone.sync().await.expect("it uploads");
        assert_eq!(
            (report.recorded, report.quarantined),
            (2, 0),
            "{turn}: {report:?}"
        );
        (previous, previous_at) = (Some(phone), Some(at));
    }
    server.stop().await;
}
