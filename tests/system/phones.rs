//! The core's own client against the server itself: a phone's evening, with and without a network.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tempfile::TempDir;
use voelgoed_scan_core::client::{
    ClientSettings, ClientSetup, HttpTransport, ManifestRefresh, ScanInput, ScannerClient, SecretStore,
    SecretStoreError, VerdictSource,
};
use voelgoed_scan_core::model::{App, EnrollmentUri, Name, Reason, Timestamp};
use voelgoed_scan_core::rules::ConflictKind;
use voelgoed_scan_server::{Config, Running, start};
use voelgoed_scan_suite::world::Tenant;
use voelgoed_scan_suite::{Cluster, World};

/// Where an app keeps its secrets.
#[derive(Default)]
struct Vault(Mutex<HashMap<String, Vec<u8>>>);

impl SecretStore for Vault {
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

#[expect(clippy::disallowed_methods, reason = "a phone has a clock of its own")]
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let millis = since.expect("after 1970").as_millis();
    Timestamp::from_millis(i64::try_from(millis).expect("before the year 292 million"))
}

/// A phone that nobody enrolled yet.
fn phone(folder: &TempDir) -> ClientSetup {
    let name = |text: &str| Name::new(text).expect("a name");
    ClientSetup {
        directory: folder.path().to_owned(),
        app: App {
            name: name("Gate"),
            version: name("1.0"),
            platform: name("linux"),
        },
        transport: Arc::new(HttpTransport::new().expect("a transport")),
        secrets: Arc::new(Vault::default()),
        clock: Arc::new(now),
        settings: ClientSettings {
            // What is tried here is what happens, not how fast: a busy machine is no lost network.
            scan_timeout: Duration::from_secs(20),
            initial_backoff: Duration::from_millis(1),
            max_backoff: Duration::from_millis(10),
            allow_plain_http: true,
            ..ClientSettings::default()
        },
    }
}

/// What the phone reads off the operator's screen, for a device of the tenant's.
async fn uri(tenant: &Tenant, device: &str) -> EnrollmentUri {
    let path = format!("/api/v1/scanning/devices/{device}/enrollment");
    let begun = tenant.owner.call("POST", &path).await.expect(201).json();
    let uri: EnrollmentUri = begun["uri"].as_str().expect("a text").parse().expect("a URI");
    EnrollmentUri {
        server: format!("http://{}", tenant.owner.address()),
        ..uri
    }
}

/// A ticket's payload that phones can verify.
async fn vg2(tenant: &Tenant, ticket: usize) -> String {
    let code = &tenant.codes[ticket];
    let path = format!("/api/v1/events/{}/tickets/{code}/qr?format=vg2", tenant.event);
    tenant.owner.get(&path).await.expect(200).text().to_owned()
}

async fn scan(phone: &ScannerClient, qr: &str) -> (Reason, VerdictSource) {
    let verdict = phone.scan(ScanInput::entry(qr)).await.expect("a verdict");
    (verdict.reason, verdict.decided_by)
}

/// The server again, on the same port and the same database.
async fn back(folder: &TempDir, port: u16) -> Running {
    let mut config = Config::on_free_port(format!("sqlite://{}", folder.path().join("gate.db").display()));
    config.rate_limit = 0;
    config.listen = format!("127.0.0.1:{port}");
    start(config).await.expect("a server")
}

/// Whether it is online, how many scans wait, how many are at odds.
async fn authenticated(phone: &ScannerClient) -> (bool, u64, u64) {
    let state = phone.state().await.expect("a state");
    (state.online, state.waiting, state.conflicts)
}

async fn admissions(tenant: &Tenant) -> Value {
    let path = format!("/api/v1/scanning/events/{}/occupancy", tenant.event);
    tenant.owner.get(&path).await.expect(200).json()["event"]["inside"].clone()
}

#[tokio::test]
async fn a_phone_s_evening() {
    let port = Cluster::port();
    let world = World::with(|config| config.listen = format!("127.0.0.1:{port}")).await;
    let (_, device) = world.here.new_device("phone-7", &json!({})).await;
    let directory = tempfile::tempdir().expect("a folder");
    let setup = phone(&directory);
    let uri = uri(&world.here, &device).await;
    let phone = ScannerClient::enroll(setup.clone(), &uri)
        .await
        .expect("it enrols");
    assert_eq!(phone.device().id.to_string(), device);
    let again = ScannerClient::enroll(setup.clone(), &uri)
        .await
        .expect_err("the code is used");
    assert_eq!(again.code(), "not_found");

    // At the gate, with the server.
    let tenant = &world.here;
    let (event, gate) = (
        tenant.event.parse().expect("an id"),
        tenant.gate.parse().expect("an id"),
    );
    let session = phone.start_session(event, gate, false).await.expect("it starts");
    assert!(session.is_some());
    let tickets = [vg2(tenant, 1).await, vg2(tenant, 2).await, vg2(tenant, 3).await];
    assert_eq!(
        scan(&phone, &tickets[0]).await,
        (Reason::Admitted, VerdictSource::Server)
    );
    let used = vg2(tenant, 0).await;
    assert_eq!(
        scan(&phone, &used).await,
        (Reason::AlreadyScanned, VerdictSource::Server)
    );
    // Another scanner's, which the phone learns of by the manifest alone.
    let elsewhere = vg2(tenant, 4).await;
    tenant.device.scan(&json!({ "qr": elsewhere })).await.expect(200);
    let taken = phone.refresh_manifest().await.expect("a manifest");
    assert!(matches!(taken, ManifestRefresh::Updated(_)), "{taken:?}");
    let young = phone.refresh_manifest().await.expect("an answer");
    assert_eq!(young, ManifestRefresh::Unchanged);

    // The server goes away.
    let World {
        server,
        here: tenant,
        folder,
        ..
    } = world;
    server.stop().await;
    assert_eq!(
        scan(&phone, &tickets[1]).await,
        (Reason::Admitted, VerdictSource::Device)
    );
    assert_eq!(
        scan(&phone, &elsewhere).await,
        (Reason::AlreadyScanned, VerdictSource::Device),
        "the manifest has it"
    );
    assert_eq!(authenticated(&phone).await, (false, 2, 0));
    drop(phone);
    let phone = ScannerClient::open(setup)
        .await
        .expect("it opens")
        .expect("it is enrolled");
    assert_eq!(
        scan(&phone, &tickets[1]).await,
        (Reason::AlreadyScanned, VerdictSource::Device),
        "it remembers"
    );

    // It comes back, and another scanner lets the same ticket in before the phone has said a word.
    let server = back(&folder, port).await;
    let other = tenant.device.scan(&json!({ "qr": tickets[1] })).await.expect(200);
    assert_eq!(other.json()["reason"], "admitted");
    let report = phone.sync().await.expect("it hands in");
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
    assert_eq!(authenticated(&phone).await, (true, 0, 1));
    assert_eq!(
        scan(&phone, &tickets[2]).await,
        (Reason::Admitted, VerdictSource::Server)
    );
    assert_eq!(admissions(&tenant).await, 6, "people, not rights");
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
async fn a_phone_that_takes_a_device_over_begins_its_log_anew_and_one_that_is_paired_again_goes_on() {
    let port = Cluster::port();
    let world = World::with(|config| config.listen = format!("127.0.0.1:{port}")).await;
    let World {
        mut server,
        here: tenant,
        folder,
        ..
    } = world;
    let (_, device) = tenant.new_device("phone-7", &json!({})).await;
    let event = tenant.event.parse().expect("an id");
    let gate = tenant.gate.parse().expect("an id");
    let folders = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
    let setups = folders.each_ref().map(phone);
    let mut before: Option<ScannerClient> = None;
    // One phone, another in its place, and the other paired again.
    for (turn, at) in [0, 1, 1].into_iter().enumerate() {
        let uri = uri(&tenant, &device).await;
        let phone = ScannerClient::enroll(setups[at].clone(), &uri)
            .await
            .expect("it enrols");
        phone.start_session(event, gate, true).await.expect("it starts");
        phone.refresh_manifest().await.expect("a manifest");
        if let Some(before) = before {
            let error = before.sync().await.expect_err("its token died");
            assert_eq!(error.code(), "invalid_token");
        }
        let tickets = [vg2(&tenant, 2 * turn + 1).await, vg2(&tenant, 2 * turn + 2).await];
        server.stop().await;
        for qr in &tickets {
            assert_eq!(scan(&phone, qr).await, (Reason::Admitted, VerdictSource::Device));
        }
        server = back(&folder, port).await;
        let report = phone.sync().await.expect("it hands in");
        assert_eq!(
            (report.recorded, report.quarantined),
            (2, 0),
            "{turn}: {report:?}"
        );
        before = Some(phone);
    }
    server.stop().await;
}
