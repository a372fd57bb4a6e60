use super::server::Network;
use super::*;
use crate::client::{Verdict, VerdictSource};
use crate::model::{Reason, TicketStatus};

fn shown(verdict: &Verdict) -> (Reason, VerdictSource) {
    (verdict.reason, verdict.decided_by)
}

const SERVER: VerdictSource = VerdictSource::Server;
const PHONE: VerdictSource = VerdictSource::Device;

impl Fixture {
    async fn scan(&self, phone: &ScannerClient, number: u8) -> (Reason, VerdictSource) {
        let verdict = phone.scan(ScanInput::entry(self.server.vg2(number))).await;
        shown(&verdict.expect("a verdict"))
    }
}

#[tokio::test]
async fn the_credentials_are_in_the_secret_store_and_open_without_a_network() {
    let fixture = Fixture::new(TestEvent::new());
    let plain = EnrollmentUri {
        server: "http://scan.example.org".to_owned(),
        ..Fixture::uri()
    };
    let error = ScannerClient::enroll(fixture.setup.clone(), &plain)
        .await
        .expect_err("no TLS");
    assert_eq!(error.code(), "insecure_server");
    let open = async || {
        ScannerClient::open(fixture.setup.clone())
            .await
            .expect("the database opens")
    };
    assert!(open().await.is_none(), "not enrolled");
    let phone = fixture.phone().await;
    fixture.scan(&phone, 1).await;
    drop(phone);
    fixture.server.set(Network::Down);
    let phone = open().await.expect("it is enrolled");
    assert_eq!(
        fixture.scan(&phone, 2).await,
        (Reason::Admitted, PHONE),
        "session and manifest are stored"
    );
    let stored = fixture
        .secrets
        .get("voelgoed-scan.enrollment")
        .expect("a state")
        .expect("the credentials");
    let stored: serde_json::Value = serde_json::from_slice(&stored).expect("JSON");
    for file in std::fs::read_dir(&fixture.setup.directory).expect("a directory") {
        let bytes = std::fs::read(file.expect("a file").path()).expect("it is read");
        for secret in ["token", "device_seed"] {
            let secret = stored[secret].as_str().expect("a text").as_bytes();
            assert!(!bytes.windows(secret.len()).any(|window| window == secret));
        }
    }
    phone.forget().await.expect("the credentials are deleted");
    drop(phone);
    assert!(open().await.is_none());
}

#[tokio::test]
async fn the_server_decides_while_it_is_available() {
    let fixture = Fixture::new(TestEvent::new());
    let phone = fixture.phone().await;
    assert!(
        phone.state().await.expect("a state").online,
        "the server started the session"
    );
    let first = phone
        .scan(ScanInput::entry(fixture.server.vg2(1)))
        .await
        .expect("a verdict");
    assert_eq!(shown(&first), (Reason::Admitted, SERVER));
    let again = phone
        .scan(ScanInput::entry(fixture.server.vg2(1)))
        .await
        .expect("a verdict");
    assert_eq!((again.scan_id, again.repeated), (first.scan_id, true), "one scan");
    fixture.later();
    assert_eq!(fixture.scan(&phone, 1).await, (Reason::AlreadyScanned, SERVER));
    let state = phone.state().await.expect("a state");
    assert_eq!((state.online, state.waiting, state.last_error), (true, 0, None));
    assert_eq!(state.manifest_age_s, Some(10));
    fixture.server.set(Network::Down);
    fixture.later();
    assert_eq!(
        fixture.scan(&phone, 1).await,
        (Reason::AlreadyScanned, PHONE),
        "the phone recorded the admission"
    );
}

#[tokio::test]
async fn the_phone_decides_during_an_outage_and_uploads_after_it() {
    let fixture = Fixture::new(TestEvent::new());
    let phone = fixture.phone().await;
    for (number, network) in [
        (1, Network::Down),
        (2, Network::Busy),
        (3, Network::CaptivePortal),
        (4, Network::AnswersLost),
    ] {
        fixture.later();
        fixture.server.set(network);
        assert_eq!(
            fixture.scan(&phone, number).await,
            (Reason::Admitted, PHONE),
            "{network:?}"
        );
        assert!(!phone.state().await.expect("a state").online);
    }
    assert_eq!(phone.state().await.expect("a state").waiting, 4);
    fixture.server.set(Network::Up);
    fixture.later();
    let back = async {
        let mut revision = 0;
        loop {
            let state = phone.state().await.expect("a state");
            if state.online && state.waiting == 0 {
                return;
            }
            revision = phone.changed_since(revision).await;
        }
    };
    tokio::select! {
        () = phone.run() => {}
        () = back => {}
    }
    fixture.later();
    assert_eq!(fixture.scan(&phone, 5).await, (Reason::Admitted, SERVER));
    let uploaded = fixture.server.uploaded();
    let sequences: Vec<_> = uploaded
        .iter()
        .filter_map(|scan| scan["sequence"].as_u64())
        .collect();
    assert_eq!(
        sequences,
        [1, 2, 3, 1, 2, 3, 4],
        "scans without an answer are uploaded again"
    );
    assert!(
        uploaded
            .iter()
            .zip(&uploaded[3..])
            .take(3)
            .all(|(once, again)| once == again)
    );
}

#[tokio::test]
async fn a_lost_answer_does_not_admit_twice() {
    let fixture = Fixture::new(TestEvent::new());
    let phone = fixture.phone().await;
    fixture.server.set(Network::AnswersLost);
    assert_eq!(
        fixture.scan(&phone, 1).await,
        (Reason::Admitted, PHONE),
        "the server admitted it, but the answer was lost"
    );
    assert_eq!(fixture.server.admissions(), 1);
    fixture.server.set(Network::Up);
    let report = phone.sync().await.expect("it is uploaded");
    assert_eq!(
        (report.replayed, report.recorded),
        (1, 0),
        "under the same scan_id"
    );
    assert_eq!(fixture.server.admissions(), 1);
}

#[tokio::test]
async fn no_scan_waits_for_the_server_during_the_backoff() {
    let mut fixture = Fixture::new(TestEvent::new());
    fixture.setup.settings.initial_backoff = Duration::from_mins(1);
    fixture.setup.settings.max_backoff = Duration::from_mins(1);
    let phone = fixture.phone().await;
    fixture.server.set(Network::AnswersLost);
    fixture.scan(&phone, 1).await;
    fixture.server.calls();
    assert_eq!(fixture.scan(&phone, 2).await, (Reason::Admitted, PHONE));
    assert!(fixture.server.calls().is_empty(), "no request during the backoff");
    fixture.server.set(Network::Up);
    for _ in 0..6 {
        fixture.later();
    }
    assert_eq!(
        fixture.scan(&phone, 3).await,
        (Reason::Admitted, SERVER),
        "without run()"
    );
    assert_eq!(
        fixture.server.calls(),
        ["POST sync", "PUT device", "POST scan"],
        "the upload goes first"
    );
}

#[tokio::test]
async fn the_phone_decides_where_it_has_newer_facts_than_the_server() {
    let fixture = Fixture::new(TestEvent::new());
    let phone = fixture.phone().await;
    fixture.server.set(Network::Down);
    fixture.scan(&phone, 1).await;
    fixture.server.set(Network::Up);
    fixture.server.answer_syncs("rejected");
    let report = phone.sync().await.expect("it is uploaded");
    assert_eq!(report.rejected, 1);
    fixture.later();
    assert!(phone.state().await.expect("a state").online);
    assert_eq!(
        fixture.scan(&phone, 1).await,
        (Reason::AlreadyScanned, PHONE),
        "the server would admit it"
    );
}

#[tokio::test]
async fn the_server_is_asked_where_it_refused_an_admission_and_the_phone_would_admit_again() {
    let mut test_event = TestEvent::new();
    test_event.tickets[0].entry_limit = 2;
    let fixture = Fixture::new(test_event);
    let phone = fixture.phone().await;
    fixture.server.set(Network::Down);
    fixture.scan(&phone, 1).await;
    fixture.server.set(Network::Up);
    fixture.later();
    fixture.server.answer_syncs("quarantined");
    phone.sync().await.expect("it is uploaded");
    fixture.later();
    assert_eq!(fixture.scan(&phone, 1).await.1, SERVER);
    fixture.later();
    assert_eq!(
        fixture.scan(&phone, 1).await,
        (Reason::AlreadyScanned, PHONE),
        "the server said that the ticket is for one person"
    );
}

#[tokio::test]
async fn a_session_started_offline_is_started_on_the_server_later() {
    let fixture = Fixture::new(TestEvent::new());
    let phone = fixture.phone().await;
    let (event, gate) = fixture.server.event_and_gate();
    assert!(phone.end_session().await.expect("the session ends").is_some());
    let error = phone.scan(ScanInput::entry("x")).await.expect_err("no session");
    assert_eq!(error.code(), "no_active_session");
    fixture.server.set(Network::Down);
    assert_eq!(
        phone
            .start_session(event, gate, false)
            .await
            .expect("an offline session"),
        None
    );
    let unknown = phone
        .start_session(event, offline::tests::gate_id(99), false)
        .await;
    assert_eq!(unknown.expect_err("not in the manifest").code(), "offline");
    assert_eq!(fixture.scan(&phone, 1).await, (Reason::Admitted, PHONE));
    fixture.server.set(Network::Up);
    fixture.later();
    assert_eq!(fixture.scan(&phone, 2).await, (Reason::Admitted, SERVER));
    let session = phone.state().await.expect("a state").session.expect("a session");
    assert!(session.session_id.is_some());
}

#[tokio::test]
async fn a_revoked_phone_is_refused_and_may_still_upload() {
    let fixture = Fixture::new(TestEvent::new());
    let phone = fixture.phone().await;
    fixture.server.set(Network::Down);
    fixture.scan(&phone, 1).await;
    fixture.server.set(Network::Up);
    fixture.server.revoke();
    fixture.later();
    let error = phone
        .scan(ScanInput::entry(fixture.server.vg2(2)))
        .await
        .expect_err("it may not");
    assert_eq!(error.code(), "device_inactive");
    let state = phone.state().await.expect("a state");
    assert_eq!(
        (state.waiting, state.last_error.as_deref()),
        (0, Some("device_inactive"))
    );
    assert_eq!(fixture.server.uploaded().len(), 1);
}

#[tokio::test]
async fn the_manifest_is_refreshed_by_a_delta() {
    let fixture = Fixture::new(TestEvent::new());
    let phone = fixture.phone().await;
    assert_eq!(
        phone.refresh_manifest().await.expect("an answer"),
        ManifestRefresh::Unchanged
    );
    assert_eq!(fixture.server.header("If-None-Match").as_deref(), Some("\"1\""));
    fixture.server.change(|test_event| {
        test_event.later(10);
        test_event.tickets[0].status = TicketStatus::Voided;
    });
    let taken = phone.refresh_manifest().await.expect("an answer");
    let ManifestRefresh::Updated(state) = taken else {
        panic!("it changed")
    };
    assert_eq!((state.version, state.tickets), (2, 9));
    fixture.server.set(Network::Down);
    fixture.later();
    assert_eq!(fixture.scan(&phone, 1).await, (Reason::TicketVoided, PHONE));
    // After half of its maximum age it is fetched again without a change.
    fixture.server.set(Network::Up);
    fixture.clock.fetch_add(1_900_000, Ordering::SeqCst);
    fixture
        .server
        .change(|test_event| test_event.made_at = MADE_AT.plus(Duration::from_secs(1900)));
    let taken = phone.refresh_manifest().await.expect("an answer");
    assert!(matches!(taken, ManifestRefresh::Updated(state) if state.version == 2));
}

#[tokio::test]
async fn a_scan_that_the_server_refuses_blocks_no_other() {
    let fixture = Fixture::new(TestEvent::new());
    let phone = fixture.phone().await;
    fixture.server.set(Network::Down);
    for number in 1..8 {
        let qr = if number == 5 {
            "poison".to_owned()
        } else {
            fixture.server.vg2(number)
        };
        phone.scan(ScanInput::entry(qr)).await.expect("a verdict");
    }
    fixture.server.set(Network::Up);
    let report = phone.sync().await.expect("the rest is uploaded");
    assert_eq!((report.recorded, report.rejected), (6, 1));
    assert_eq!(phone.state().await.expect("a state").waiting, 0);
}

#[test]
fn the_debug_output_of_a_scan_shows_no_payload() {
    let shown = format!("{:?}", ScanInput::entry("VG2.secret"));
    assert!(
        shown.contains("Qr(10 bytes)") && !shown.contains("secret"),
        "{shown}"
    );
}

#[tokio::test]
async fn while_another_task_reconnects_the_state_says_why_the_phone_decides() {
    let fixture = Fixture::new(TestEvent::new());
    drop(fixture.phone().await);
    let phone = ScannerClient::open(fixture.setup.clone()).await;
    let phone = phone.expect("the database opens").expect("it is enrolled");
    let problem = async || {
        let problem = phone.state().await.expect("a state").problem;
        problem.map(|problem| problem.code)
    };
    assert_eq!(problem().await, None, "nothing has failed yet");
    let reconnecting = phone.resync_lock.lock().await;
    assert_eq!(fixture.scan(&phone, 1).await, (Reason::Admitted, PHONE));
    assert_eq!(problem().await, Some(ProblemCode::ServerUnreachable));
    drop(reconnecting);
    fixture.later();
    assert_eq!(fixture.scan(&phone, 2).await, (Reason::Admitted, SERVER));
    assert_eq!(problem().await, None);
}
