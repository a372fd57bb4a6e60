mod answers;
mod earlier_enrollments;
mod http;
mod language;
mod lost_scans;
mod manifest_download;
mod office;
mod readings;
mod refusal;
mod scenarios;
mod scope;
mod server;
mod session_starts;
mod sessions;
mod storage;

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};

use super::*;
use crate::client::offline::tests::{MADE_AT, TestEvent};
use crate::model::{App, EnrollmentCode, Language, Name, Timestamp};
use server::FakeServer;

/// A secret store in memory.
#[derive(Default)]
struct MemorySecretStore(Mutex<HashMap<String, Vec<u8>>>);

impl SecretStore for MemorySecretStore {
    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, SecretStoreError> {
        Ok(self.0.lock().get(name).cloned())
    }

    fn set(&self, name: &str, secret: Vec<u8>) -> Result<(), SecretStoreError> {
        self.0.lock().insert(name.to_owned(), secret);
        Ok(())
    }

    fn delete(&self, name: &str) -> Result<(), SecretStoreError> {
        self.0.lock().remove(name);
        Ok(())
    }
}

/// A phone's setup, its server, and its clock in milliseconds after [`MADE_AT`].
struct Fixture {
    server: Arc<FakeServer>,
    setup: ClientSetup,
    clock: Arc<AtomicI64>,
    secrets: Arc<MemorySecretStore>,
    _directory: tempfile::TempDir,
}

impl Fixture {
    fn new(test_event: TestEvent) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let clock = Arc::new(AtomicI64::new(0));
        let server = Arc::new(FakeServer::new(test_event, Arc::clone(&clock)));
        let secrets = Arc::new(MemorySecretStore::default());
        let now = Arc::clone(&clock);
        let name = |text: &str| Name::new(text).expect("a name");
        let setup = ClientSetup {
            directory: directory.path().to_owned(),
            app: App {
                name: name("Gate"),
                version: name("1.0"),
                platform: name("test"),
            },
            transport: Arc::clone(&server) as _,
            secrets: Arc::clone(&secrets) as _,
            clock: Arc::new(move || MADE_AT.plus_millis(now.load(Ordering::SeqCst))),
            language: Language::English,
            settings: ClientSettings {
                scan_timeout: Duration::from_millis(200),
                initial_backoff: Duration::from_millis(2),
                max_backoff: Duration::from_millis(8),
                ..ClientSettings::default()
            },
        };
        Self {
            server,
            setup,
            clock,
            secrets,
            _directory: directory,
        }
    }

    fn uri() -> EnrollmentUri {
        EnrollmentUri {
            server: "https://scan.example.org/".to_owned(),
            code: EnrollmentCode::generate(),
        }
    }

    /// Enrols a phone, starts a session at the main gate and fetches the manifest.
    async fn phone(&self) -> ScannerClient {
        let client = ScannerClient::enroll(self.setup.clone(), &Self::uri())
            .await
            .expect("a device");
        let (event, gate) = self.server.event_and_gate();
        client.start_session(event, gate, false).await.expect("a session");
        client.refresh_manifest().await.expect("a manifest");
        client
    }

    /// Advances the clock by ten seconds: past the debounce interval and every backoff.
    fn later(&self) {
        self.clock.fetch_add(10_000, Ordering::SeqCst);
    }
}
