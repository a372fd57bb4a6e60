//! A phone of a story: the real client with its database, behind a faulty network.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, Row as _};
use tempfile::TempDir;
use tokio::task::AbortHandle;
use voelgoed_scan_core::client::{
    ClientError, ClientSettings, ClientSetup, ScannerClient, SecretStore, SecretStoreError, Verdict,
    VerdictSource,
};
use voelgoed_scan_core::model::{App, DeviceId, EnrollmentUri, Language, Name, Reason, ScanId, Timestamp};

use crate::clock::PhoneClock;
use crate::link::{Link, LinkTransport, Weather};
use crate::office::Office;
use crate::server::{ORIGIN, directory};

/// A secret store in memory.
#[derive(Default)]
pub(crate) struct Secrets(Mutex<HashMap<String, Vec<u8>>>);

impl SecretStore for Secrets {
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

/// A phone with an enrolled app.
pub(crate) struct Phone {
    pub(crate) device: DeviceId,
    pub(crate) clock: Arc<PhoneClock>,
    pub(crate) link: Arc<Link>,
    pub(crate) client: Arc<ScannerClient>,
    secrets: Arc<Secrets>,
    /// The directory of each life of the app, the present one last. A killed life may still write into its own.
    directories: Vec<TempDir>,
    maintenance: Option<AbortHandle>,
    seed: u64,
}

fn settings() -> ClientSettings {
    ClientSettings {
        batch_size: 5,
        ..ClientSettings::default()
    }
}

fn setup(directory: &Path, link: &Arc<Link>, secrets: &Arc<Secrets>, clock: &Arc<PhoneClock>) -> ClientSetup {
    let name = |text: &str| Name::new(text).expect("a name");
    ClientSetup {
        directory: directory.to_owned(),
        app: App {
            name: name("Gate"),
            version: name("1.0"),
            platform: name("story"),
        },
        transport: Arc::new(LinkTransport(Arc::clone(link))),
        secrets: Arc::clone(secrets) as _,
        clock: Arc::clone(clock) as _,
        language: Language::English,
        settings: settings(),
    }
}

impl Phone {
    /// Enrols a phone, starts its session at the main gate of the first event and fetches the manifest.
    pub(crate) async fn enroll(office: &Office, label: &str, seed: u64, clock_error: i64) -> Self {
        let (device, code) = office.register(label).await;
        let clock = Arc::new(PhoneClock::new(office.clock, clock_error));
        let link = Link::new(Arc::clone(&office.server), office.clock, Weather::Clear, seed);
        let secrets = Arc::new(Secrets::default());
        let directory = directory();
        let uri = EnrollmentUri {
            server: ORIGIN.to_owned(),
            code,
        };
        let setup = setup(directory.path(), &link, &secrets, &clock);
        let client = ScannerClient::enroll(setup, &uri).await.expect("it enrols");
        let place = office.places[0];
        client
            .start_session(place.event, place.main, false)
            .await
            .expect("a session");
        client.refresh_manifest().await.expect("a manifest");
        Self {
            device,
            clock,
            link,
            client: Arc::new(client),
            secrets,
            directories: vec![directory],
            maintenance: None,
            seed,
        }
    }

    /// Starts the maintenance of the client, if it does not run.
    pub(crate) fn maintain(&mut self) {
        if self.maintenance.is_none() {
            let client = Arc::clone(&self.client);
            let task = tokio::spawn(async move { client.run().await });
            self.maintenance = Some(task.abort_handle());
        }
    }

    /// Stops the maintenance.
    pub(crate) fn rest(&mut self) {
        if let Some(maintenance) = self.maintenance.take() {
            maintenance.abort();
        }
    }

    pub(crate) fn file(&self) -> PathBuf {
        let directory = self.directories.last().expect("a life").path();
        directory.join(format!("{}.db", self.device))
    }

    /// Kills the app as the system does, at whatever it is doing, and opens it again: the new life has a copy of the files as
    /// they were at that moment.
    pub(crate) async fn kill_and_reopen(&mut self, corrupt: bool) -> Result<(), ClientError> {
        self.end_life(corrupt);
        self.begin_life().await
    }

    /// Kills the app and copies its files.
    fn end_life(&mut self, corrupt: bool) {
        self.rest();
        self.link.kill();
        let next = directory();
        copy(self.directories.last().expect("a life").path(), next.path());
        self.directories.push(next);
        if corrupt {
            self.corrupt();
        }
    }

    /// Opens the app on the files of its last life.
    async fn begin_life(&mut self) -> Result<(), ClientError> {
        let weather = self.link.weather();
        self.seed = self.seed.wrapping_add(1);
        let link = Link::new(self.link.server(), self.link.clock(), weather, self.seed);
        let directory = self.directories.last().expect("a life").path();
        let setup = setup(directory, &link, &self.secrets, &self.clock);
        self.client = Arc::new(ScannerClient::open(setup).await?.expect("it is enrolled"));
        self.link = link;
        Ok(())
    }

    /// Damages the database as a bad flash memory does.
    fn corrupt(&self) {
        let file = self.file();
        let mut bytes = std::fs::read(&file).expect("the database");
        for byte in bytes.iter_mut().take(200) {
            *byte ^= 0x5a;
        }
        std::fs::write(&file, bytes).expect("it is written");
        for side in ["-wal", "-shm"] {
            let mut name = file.clone().into_os_string();
            name.push(side);
            // The log may be absent.
            let _ = std::fs::remove_file(PathBuf::from(name));
        }
    }

    /// Makes every write of the app's database fail as on a full disk, or lets them succeed again. If the app has the file
    /// for itself, it is killed and opened again in between: the disk of the new life is full from the start, or free.
    pub(crate) async fn fill_disk(&mut self, full: bool) -> Result<(), ClientError> {
        if set_full(&self.file(), full).await {
            return Ok(());
        }
        self.end_life(false);
        assert!(set_full(&self.file(), full).await, "nobody has the copy open");
        self.begin_life().await
    }

    /// Moves the wall clock.
    pub(crate) fn move_clock(&self, millis: i64) {
        self.clock.error.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Drop for Phone {
    fn drop(&mut self) {
        self.rest();
        self.link.kill();
    }
}

/// Lets triggers refuse every write of a database, or drops them. They roll the transaction back, as SQLite does when a disk
/// is full. Returns false if somebody else has the file for themselves.
async fn set_full(file: &Path, full: bool) -> bool {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .busy_timeout(Duration::ZERO);
    let Ok(mut connection) = options.connect().await else {
        return false;
    };
    let names = "select name from sqlite_master where type = 'table' and name not like 'sqlite%'";
    let Ok(rows) = sqlx::query(names).fetch_all(&mut connection).await else {
        return false;
    };
    let mut free = true;
    for row in rows {
        let table: String = row.get("name");
        for operation in ["insert", "update", "delete"] {
            // The start of an app writes nothing new, but its statement would meet the trigger.
            if (table.as_str(), operation) == ("device", "insert") {
                continue;
            }
            let sql = if full {
                format!(
                    "create trigger if not exists full_{table}_{operation} before {operation} on {table} \
                     begin select raise(rollback, 'database or disk is full'); end"
                )
            } else {
                format!("drop trigger if exists full_{table}_{operation}")
            };
            let statement = sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut connection);
            free &= statement.await.is_ok();
        }
    }
    free & connection.close().await.is_ok()
}

/// Copies the files of an app as they are at one moment. A database thread may still be at work: the copy is made again
/// until nothing has changed meanwhile.
fn copy(from: &Path, to: &Path) {
    loop {
        let before = listing(from);
        let copied = before.keys().all(|file| {
            let target = to.join(file.file_name().expect("a name"));
            std::fs::copy(file, target).is_ok()
        });
        if copied && listing(from) == before {
            return;
        }
        for file in listing(to).into_keys() {
            std::fs::remove_file(file).expect("it is removed");
        }
    }
}

/// The files of a directory with their sizes and times.
fn listing(directory: &Path) -> BTreeMap<PathBuf, (u64, SystemTime)> {
    let files = std::fs::read_dir(directory).expect("a directory");
    files
        .filter_map(|entry| {
            let entry = entry.ok()?;
            // It may be gone already.
            let metadata = entry.metadata().ok()?;
            let path = entry.path();
            let counts = metadata.is_file() && !path.to_string_lossy().ends_with("-shm");
            counts.then_some((path, (metadata.len(), metadata.modified().ok()?)))
        })
        .collect()
}

/// Polls a future at most this often, then drops it: a cancellation at one of its await points.
pub(crate) async fn cancelled_after<F: Future>(polls: u64, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    std::future::poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if left == 0 => Poll::Ready(None),
        Poll::Pending => {
            left -= 1;
            Poll::Pending
        }
    })
    .await
}

/// How long a scan may take: the timeout for the server, and the phone's own work.
pub(crate) const SCAN_BOUND: Duration = Duration::from_secs(5);

/// How long any other call may take: some requests, each with its timeout.
pub(crate) const CALL_BOUND: Duration = Duration::from_mins(10);

/// What a steward saw.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    pub(crate) phone: usize,
    pub(crate) ticket: usize,
    pub(crate) overrides: bool,
    pub(crate) scan_id: ScanId,
    pub(crate) verdict: Verdict,
    /// The true time at which it was shown.
    pub(crate) at: Timestamp,
    /// The phone could not store it, because its disk was full. The server has it.
    pub(crate) is_unstored: bool,
}

impl Shown {
    pub(crate) fn is_by_phone(&self) -> bool {
        self.verdict.decided_by == VerdictSource::Device
    }

    /// A steward overrode the rules, now or when this reading of the ticket failed a moment ago.
    pub(crate) fn is_override(&self) -> bool {
        self.overrides || self.verdict.reason == Reason::Overridden
    }
}
