mod server;
mod story;
mod wire;

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};

use super::*;
use crate::client::offline::tests::{MADE, World};
use crate::model::{EnrollmentCode, Name};
use server::FakeServer;

/// What a platform keeps secrets in, for a test.
#[derive(Default)]
struct Vault(Mutex<HashMap<String, Vec<u8>>>);

impl SecretStore for Vault {
    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, SecretStoreError> {
        Ok(self.0.lock().expect("nobody panicked").get(name).cloned())
    }

    fn set(&self, name: &str, secret: Vec<u8>) -> Result<(), SecretStoreError> {
        self.0
            .lock()
            .expect("nobody panicked")
            .insert(name.to_owned(), secret);
        Ok(())
    }

    fn delete(&self, name: &str) -> Result<(), SecretStoreError> {
        self.0.lock().expect("nobody panicked").remove(name);
        Ok(())
    }
}

/// A phone, its server, and its clock: seconds after the manifest was made.
struct Scene {
    server: Arc<FakeServer>,
    setup: ClientSetup,
    clock: Arc<AtomicI64>,
    vault: Arc<Vault>,
    _directory: tempfile::TempDir,
}

impl Scene {
    fn new(world: World) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let clock = Arc::new(AtomicI64::new(0));
        let server = Arc::new(FakeServer::new(world, Arc::clone(&clock)));
        let vault = Arc::new(Vault::default());
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
            secrets: Arc::clone(&vault) as _,
            clock: Arc::new(move || MADE.plus_millis(now.load(Ordering::SeqCst))),
            settings: ClientSettings {
                scan_deadline: Duration::from_millis(200),
                first_retry: Duration::from_millis(2),
                longest_retry: Duration::from_millis(8),
                ..ClientSettings::default()
            },
        };
        Self {
            server,
            setup,
            clock,
            vault,
            _directory: directory,
        }
    }

    fn uri() -> EnrollmentUri {
        EnrollmentUri {
            server: "https://scan.example.org/".to_owned(),
            code: EnrollmentCode::generate(),
        }
    }

    /// A phone that is enrolled, stands at the main gate and holds the manifest.
    async fn phone(&self) -> ScannerClient {
        let client = ScannerClient::enroll(self.setup.clone(), &Self::uri())
            .await
            .expect("a device");
        let (event, gate) = self.server.post();
        client.start_session(event, gate, false).await.expect("a session");
        client.refresh_manifest().await.expect("a manifest");
        client
    }

    /// Ten seconds go by: no reading is the same reading any more, no pause goes on.
    fn later(&self) {
        self.clock.fetch_add(10_000, Ordering::SeqCst);
    }
}
