//! Scans have the right time whatever happens to the wall clock, and they are uploaded with their age.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use parking_lot::Mutex;

use super::*;
use crate::client::{Attempt, Clock, ClockState};

/// A device's clocks: the wall clock in seconds after [`MADE_AT`], which anybody may set, and a monotonic clock.
struct TestClock {
    wall: AtomicI64,
    monotonic_ms: AtomicU64,
    boot: Mutex<String>,
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        after(self.wall.load(Ordering::SeqCst))
    }

    fn monotonic_ms(&self) -> Option<u64> {
        Some(self.monotonic_ms.load(Ordering::SeqCst))
    }

    fn boot_id(&self) -> Option<String> {
        Some(self.boot.lock().clone())
    }
}

impl TestClock {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            wall: AtomicI64::new(0),
            monotonic_ms: AtomicU64::new(500_000),
            boot: Mutex::new("first boot".to_owned()),
        })
    }

    /// Time passes.
    fn pass(&self, seconds: i64) {
        self.wall.fetch_add(seconds, Ordering::SeqCst);
        let millis = u64::try_from(seconds * 1000).expect("forward");
        self.monotonic_ms.fetch_add(millis, Ordering::SeqCst);
    }

    /// Somebody sets the wall clock.
    fn set(&self, by_seconds: i64) {
        self.wall.fetch_add(by_seconds, Ordering::SeqCst);
    }

    fn restart(&self) {
        self.monotonic_ms.store(1000, Ordering::SeqCst);
        *self.boot.lock() = "second boot".to_owned();
    }
}

struct ClockedPhone {
    scanner: OfflineScanner,
    clock: Arc<TestClock>,
    directory: tempfile::TempDir,
}

impl ClockedPhone {
    /// Creates a phone that has just talked to the server.
    async fn new(test_event: &TestEvent) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let clock = TestClock::new();
        let scanner = Self::open(test_event, &directory, &clock).await;
        let phone = Self {
            scanner,
            clock,
            directory,
        };
        phone.exchange(0).await;
        phone
            .scanner
            .install(test_event.event.id, test_event.manifest(), phone.clock.now())
            .await
            .expect("it is installed");
        phone
    }

    async fn open(
        test_event: &TestEvent,
        directory: &tempfile::TempDir,
        clock: &Arc<TestClock>,
    ) -> OfflineScanner {
        let options = OfflineScannerOptions {
            clock: Some(Arc::clone(clock) as Arc<dyn Clock>),
            ..OfflineScannerOptions::default()
        };
        let setup = test_event.setup(&directory.path().join("device.db"));
        OfflineScanner::open_with(setup, options)
            .await
            .expect("the database opens")
    }

    async fn reopened(self, test_event: &TestEvent) -> Self {
        let Self {
            scanner,
            clock,
            directory,
        } = self;
        drop(scanner);
        Self {
            scanner: Self::open(test_event, &directory, &clock).await,
            clock,
            directory,
        }
    }

    /// An exchange with a server whose time is this many seconds after [`MADE_AT`].
    async fn exchange(&self, server: i64) {
        let now = self.clock.now();
        self.scanner
            .update_clock_offset(now, now, after(server))
            .await
            .expect("it is stored");
    }

    async fn try_scan(&self, qr: String) -> Result<Verdict, OfflineError> {
        let scan = OfflineScan {
            scanned_at: self.clock.now(),
            ..entry(qr, 0)
        };
        self.scanner.decide(scan).await
    }

    async fn scan(&self, qr: String) -> (Reason, i64, Vec<Warning>) {
        let verdict = self.try_scan(qr).await.expect("a verdict");
        let at = verdict.scanned_at.millis_since(MADE_AT) / 1000;
        (verdict.reason, at, verdict.warnings)
    }
}

/// Tickets 1 and 2 are valid for the first hour, ticket 3 later.
fn with_windows() -> TestEvent {
    let mut test_event = TestEvent::new();
    for index in [0, 1] {
        test_event.tickets[index].valid_until = Some(after(3600));
    }
    test_event.tickets[2].valid_from = Some(after(3601));
    test_event.event.manifest_max_age_s = 7200;
    test_event
}

#[tokio::test]
async fn a_clock_that_was_set_ahead_or_back_moves_no_window_and_warns() {
    for by in [6 * 3600, -6 * 3600, 10, -10] {
        let test_event = with_windows();
        let mut phone = ClockedPhone::new(&test_event).await;
        phone.clock.pass(60);
        phone.clock.set(by);
        let moved = vec![Warning::ClockMoved];
        assert_eq!(
            phone.scan(test_event.vg2(1)).await,
            (Reason::Admitted, 60, moved.clone()),
            "{by}"
        );
        phone = phone.reopened(&test_event).await;
        phone.clock.pass(10);
        assert_eq!(
            phone.scan(test_event.vg2(3)).await,
            (Reason::TicketNotYetValid, 70, moved),
            "{by}, after the app was started again"
        );
        let now = phone.clock.now();
        assert_eq!(
            phone.scanner.server_time(now).await,
            (after(70), ClockState::Moved)
        );
        phone.exchange(70).await;
        phone.clock.pass(10);
        assert_eq!(
            phone.scan(test_event.vg2(2)).await,
            (Reason::Admitted, 80, Vec::new()),
            "{by}, after an exchange"
        );
    }
}

#[tokio::test]
async fn a_clock_that_is_right_or_drifts_a_little_warns_of_nothing() {
    let test_event = with_windows();
    let phone = ClockedPhone::new(&test_event).await;
    phone.clock.pass(60);
    phone.clock.set(4);
    assert_eq!(
        phone.scan(test_event.vg2(1)).await,
        (Reason::Admitted, 60, Vec::new())
    );
}

#[tokio::test]
async fn a_clock_that_was_set_back_does_not_make_a_manifest_fresh() {
    let mut test_event = TestEvent::new();
    test_event.event.stale_manifest = StaleManifest::Refuse;
    let mut phone = ClockedPhone::new(&test_event).await;
    phone.clock.pass(3601);
    phone.clock.set(-3601);
    let error = phone.try_scan(test_event.vg2(1)).await.expect_err("it is stale");
    assert_eq!(error.code(), "stale_manifest");
    // Neither does one that was set ahead make it stale.
    phone = ClockedPhone::new(&test_event).await;
    phone.clock.pass(3500);
    phone.clock.set(7200);
    let (reason, at, warnings) = phone.scan(test_event.vg2(1)).await;
    assert_eq!(
        (reason, at, warnings),
        (Reason::Admitted, 3500, vec![Warning::ClockMoved])
    );
}

#[tokio::test]
async fn after_a_restart_the_phone_scans_on_and_says_that_its_clock_is_not_confirmed() {
    let test_event = with_windows();
    let mut phone = ClockedPhone::new(&test_event).await;
    phone.clock.pass(600);
    assert_eq!(phone.scan(test_event.vg2(1)).await.0, Reason::Admitted);
    phone.clock.restart();
    phone.clock.pass(60);
    phone = phone.reopened(&test_event).await;
    assert_eq!(
        phone.scan(test_event.vg2(2)).await,
        (Reason::Admitted, 660, vec![Warning::ClockUnverified])
    );
    // A clock that runs behind what was certain was certainly set.
    phone.clock.set(-7200);
    assert_eq!(
        phone.scan(test_event.vg2(4)).await,
        (Reason::Admitted, 600, vec![Warning::ClockMoved])
    );
    phone.exchange(670).await;
    assert_eq!(
        phone.scan(test_event.vg2(5)).await,
        (Reason::Admitted, 670, Vec::new())
    );
}

#[tokio::test]
async fn a_scan_is_handed_in_with_its_age_and_its_event() {
    let test_event = TestEvent::new();
    let mut phone = ClockedPhone::new(&test_event).await;
    phone.clock.pass(60);
    phone.scan(test_event.vg2(1)).await;
    // The clock is set between the scans, and again before the upload.
    phone.clock.set(21_600);
    phone.clock.pass(40);
    phone.scan(test_event.vg2(2)).await;
    phone.clock.set(-50_000);
    phone.clock.pass(100);
    let read = async |phone: &ClockedPhone| {
        let batch = phone
            .scanner
            .next_batch(10, phone.clock.now())
            .await
            .expect("a batch")
            .expect("scans wait");
        let request = SyncRequest::read(&batch.body).expect("a batch");
        let scans: Vec<_> = request
            .scans
            .iter()
            .map(|received| received.scan.as_ref().expect("a scan"))
            .map(|scan| (scan.age_ms, scan.event_id))
            .collect();
        let links: Vec<_> = request.scans.iter().map(|received| received.link).collect();
        let ages: Vec<_> = scans.iter().map(|(age, _)| *age).collect();
        let setup = test_event.setup(Path::new(""));
        let bytes = signed_bytes(
            setup.organization_id,
            setup.device_id,
            request.batch_id,
            request.sent_at,
            &links,
            &ages,
        );
        let key = setup.device_secret.expect("a key").public();
        let signature = request.signature.expect("it is signed");
        assert!(
            key.verifies(&bytes, signature.as_bytes()),
            "the signature covers the ages"
        );
        (scans, links)
    };
    let event = Some(test_event.event.id);
    let (scans, links) = read(&phone).await;
    assert_eq!(scans, [(Some(140_000), event), (Some(100_000), event)]);
    phone.clock.restart();
    phone = phone.reopened(&test_event).await;
    let (scans, same_links) = read(&phone).await;
    assert_eq!(
        scans,
        [(None, event), (None, event)],
        "nobody knows after a restart"
    );
    assert_eq!(links, same_links, "the log stays as it was");
}

#[tokio::test]
async fn an_attempt_that_the_phone_decides_later_keeps_its_time() {
    let test_event = TestEvent::new();
    let phone = ClockedPhone::new(&test_event).await;
    phone.clock.pass(60);
    let scan = OfflineScan {
        scanned_at: phone.clock.now(),
        ..entry(test_event.vg2(1), 0)
    };
    let attempt = Attempt {
        event_id: test_event.event.id,
        scan: scan.clone(),
    };
    phone.scanner.begin_attempt(&attempt).await.expect("it is stored");
    phone.clock.pass(30);
    phone.clock.set(3600);
    let verdict = phone.scanner.decide(scan).await.expect("a verdict");
    assert_eq!(verdict.scanned_at, after(60));
    let batch = phone
        .scanner
        .next_batch(1, phone.clock.now())
        .await
        .expect("a batch")
        .expect("one");
    let request = SyncRequest::read(&batch.body).expect("a batch");
    let scan = request.scans[0].scan.as_ref().expect("a scan");
    assert_eq!(scan.age_ms, Some(30_000));
}
