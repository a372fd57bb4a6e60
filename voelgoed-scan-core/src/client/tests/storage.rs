//! A phone whose disk, database or clock fails.

use super::server::Network;
use super::*;
use crate::client::{Verdict, VerdictSource};
use crate::model::{Reason, StaleManifest, Warning};

async fn scan(fixture: &Fixture, phone: &ScannerClient, number: u8) -> Verdict {
    let verdict = phone.scan(ScanInput::entry(fixture.server.vg2(number))).await;
    verdict.expect("a verdict")
}

fn shown(verdict: &Verdict) -> (Reason, VerdictSource, &[Warning]) {
    (verdict.reason, verdict.decided_by, &verdict.warnings)
}

async fn problem(phone: &ScannerClient) -> Option<ProblemCode> {
    let state = phone.state().await.expect("a state");
    state.problem.map(|problem| problem.code)
}

async fn open(fixture: &Fixture) -> ScannerClient {
    ScannerClient::open(fixture.setup.clone())
        .await
        .expect("the database opens")
        .expect("it is enrolled")
}

/// Many tickets, so that a database without room to grow reaches its limit.
fn many_tickets() -> TestEvent {
    let mut test_event = TestEvent::new();
    test_event.tickets = (0..250).map(|number| test_event.ticket(number)).collect();
    test_event
}

#[tokio::test]
async fn the_server_decides_while_the_disk_is_full_and_the_steward_is_warned() {
    let fixture = Fixture::new(many_tickets());
    let phone = fixture.phone().await;
    phone.offline().limit_pages(1).await;
    let mut warned = Vec::new();
    for number in 0..240 {
        let verdict = scan(&fixture, &phone, number).await;
        assert_eq!(
            (verdict.reason, verdict.decided_by),
            (Reason::Admitted, VerdictSource::Server)
        );
        if verdict.warnings == [Warning::StorageFull] {
            warned.push(number);
            assert_eq!(problem(&phone).await, Some(ProblemCode::StorageFull));
        }
    }
    assert!(warned.len() > 1, "the database reaches its limit");
    fixture.server.set(Network::Down);
    fixture.later();
    phone.offline().limit_pages(1_000_000).await;
    for number in warned {
        fixture.later();
        let verdict = scan(&fixture, &phone, number).await;
        assert_eq!(verdict.reason, Reason::AlreadyScanned, "{number}");
    }
    assert_ne!(problem(&phone).await, Some(ProblemCode::StorageFull));
}

#[tokio::test]
async fn a_phone_with_a_damaged_database_scans_on_and_reports_it() {
    let fixture = Fixture::new(TestEvent::new());
    let phone = fixture.phone().await;
    scan(&fixture, &phone, 1).await;
    drop(phone);
    let file = std::fs::read_dir(&fixture.setup.directory)
        .expect("a directory")
        .map(|file| file.expect("a file").path())
        .find(|path| path.extension().is_some_and(|extension| extension == "db"))
        .expect("a database");
    // The connection of the dropped client closes first.
    drop(open(&fixture).await);
    std::fs::write(&file, b"damaged").expect("it is written");
    let phone = open(&fixture).await;
    let replaced = phone.replaced_storage().await.expect("a list");
    assert_eq!(replaced.len(), 1);
    assert!(replaced[0].path.exists());
    assert_eq!(problem(&phone).await, Some(ProblemCode::StorageReplaced));
    let (event, gate) = fixture.server.event_and_gate();
    phone.start_session(event, gate, true).await.expect("a session");
    assert_eq!(
        shown(&scan(&fixture, &phone, 2).await),
        (Reason::Admitted, VerdictSource::Server, [].as_slice())
    );
    phone.confirm_replacements().await.expect("it is stored");
    assert_eq!(problem(&phone).await, None);
    assert_eq!(phone.rescued_scans().await.expect("there is nothing").scans, 0);
}

#[tokio::test]
async fn a_second_client_on_the_same_database_is_refused() {
    let fixture = Fixture::new(TestEvent::new());
    let phone = fixture.phone().await;
    let error = ScannerClient::open(fixture.setup.clone())
        .await
        .expect_err("it is in use");
    assert_eq!(error.code(), "database_in_use");
    assert_eq!(scan(&fixture, &phone, 1).await.reason, Reason::Admitted);
}

#[tokio::test]
async fn an_admission_by_another_phone_that_was_learned_online_holds_in_airplane_mode() {
    let fixture = Fixture::new(TestEvent::new());
    let phone = fixture.phone().await;
    let elsewhere = tempfile::tempdir().expect("a directory");
    let other = ScannerClient::enroll(
        ClientSetup {
            directory: elsewhere.path().to_owned(),
            ..fixture.setup.clone()
        },
        &Fixture::uri(),
    )
    .await
    .expect("a device");
    let (event, gate) = fixture.server.event_and_gate();
    other.start_session(event, gate, true).await.expect("a session");
    assert_eq!(scan(&fixture, &other, 1).await.reason, Reason::Admitted);
    assert_eq!(scan(&fixture, &phone, 1).await.reason, Reason::AlreadyScanned);
    fixture.server.set(Network::Down);
    fixture.later();
    assert_eq!(
        shown(&scan(&fixture, &phone, 1).await),
        (Reason::AlreadyScanned, VerdictSource::Device, [].as_slice())
    );
}

/// A device's clocks beside the server's: anybody may set the wall clock.
struct SettableClock {
    server: Arc<AtomicI64>,
    set_by: AtomicI64,
}

impl Clock for SettableClock {
    fn now(&self) -> Timestamp {
        MADE_AT.plus_millis(self.server.load(Ordering::SeqCst) + self.set_by.load(Ordering::SeqCst))
    }

    fn monotonic_ms(&self) -> Option<u64> {
        u64::try_from(self.server.load(Ordering::SeqCst) + 7_000_000).ok()
    }

    fn boot_id(&self) -> Option<String> {
        Some("one boot".to_owned())
    }
}

#[tokio::test]
async fn a_clock_that_is_set_ahead_or_back_offline_changes_no_decision() {
    const HOURS: i64 = 3_600_000;
    for set_by in [6 * HOURS, -6 * HOURS] {
        let mut test_event = TestEvent::new();
        test_event.event.stale_manifest = StaleManifest::Refuse;
        test_event.tickets[1].valid_from = Some(MADE_AT.plus_millis(HOURS));
        let mut fixture = Fixture::new(test_event);
        let clock = Arc::new(SettableClock {
            server: Arc::clone(&fixture.clock),
            set_by: AtomicI64::new(0),
        });
        fixture.setup.clock = Arc::clone(&clock) as Arc<dyn Clock>;
        let phone = fixture.phone().await;
        fixture.server.set(Network::Down);
        fixture.later();
        clock.set_by.store(set_by, Ordering::SeqCst);
        assert_eq!(
            shown(&scan(&fixture, &phone, 1).await),
            (
                Reason::Admitted,
                VerdictSource::Device,
                [Warning::ClockMoved].as_slice()
            )
        );
        assert_eq!(scan(&fixture, &phone, 2).await.reason, Reason::TicketNotYetValid);
        assert_eq!(problem(&phone).await, Some(ProblemCode::ClockMoved));
        fixture.clock.fetch_add(HOURS, Ordering::SeqCst);
        let qr = fixture.server.vg2(3);
        let error = phone
            .scan(ScanInput::entry(qr))
            .await
            .expect_err("the manifest is stale");
        assert_eq!(error.code(), "stale_manifest", "{set_by}");
        // Back online the ages tell the server when the scans were made.
        fixture.server.set(Network::Up);
        fixture.later();
        phone.sync().await.expect("it is uploaded");
        let uploaded = fixture.server.uploaded();
        let ages: Vec<_> = uploaded.iter().map(|scan| scan["age_ms"].as_i64()).collect();
        assert_eq!(ages, [Some(HOURS + 10_000); 2]);
        assert_ne!(problem(&phone).await, Some(ProblemCode::ClockMoved));
    }
}
