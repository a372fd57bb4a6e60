//! Sessions that the office ends, the maintenance, the clock and changes of the network.

use super::server::Network;
use super::*;
use crate::client::{ProblemCode, VerdictSource};
use crate::model::{EventId, Reason, Warning};

impl Fixture {
    async fn code(&self, phone: &ScannerClient, number: u8) -> String {
        match phone.scan(ScanInput::entry(self.server.vg2(number))).await {
            Ok(verdict) => verdict.reason.to_string(),
            Err(error) => error.code().to_owned(),
        }
    }

    async fn problem(phone: &ScannerClient) -> Option<ProblemCode> {
        let state = phone.state().await.expect("a state");
        state.problem.map(|problem| problem.code)
    }
}

#[tokio::test]
async fn after_the_office_ended_the_session_nobody_scans_until_the_app_starts_one() {
    let fixture = Fixture::new(TestEvent::new());
    let mut phone = fixture.phone().await;
    fixture.server.end_session();
    assert_eq!(fixture.code(&phone, 1).await, "no_active_session", "online");
    fixture.server.set(Network::Down);
    assert_eq!(fixture.code(&phone, 1).await, "no_active_session", "offline");
    drop(phone);
    phone = ScannerClient::open(fixture.setup.clone())
        .await
        .expect("the database opens")
        .expect("it is enrolled");
    assert_eq!(
        fixture.code(&phone, 1).await,
        "no_active_session",
        "after a restart"
    );
    assert_eq!(Fixture::problem(&phone).await, Some(ProblemCode::NoActiveSession));
    let (event, gate) = fixture.server.event_and_gate();
    phone.start_session(event, gate, false).await.expect("a session");
    assert_eq!(fixture.code(&phone, 1).await, "admitted");
    assert_eq!(
        Fixture::problem(&phone).await,
        Some(ProblemCode::ServerUnreachable)
    );
}

#[tokio::test]
async fn the_end_of_a_session_is_learned_from_any_answer() {
    let fixture = Fixture::new(TestEvent::new());
    let phone = fixture.phone().await;
    fixture.server.end_session();
    phone.sync().await.expect("the upload needs no session");
    fixture.server.set(Network::Down);
    assert_eq!(fixture.code(&phone, 1).await, "no_active_session");
    assert_eq!(Fixture::problem(&phone).await, Some(ProblemCode::NoActiveSession));
}

#[tokio::test]
async fn an_offline_phone_that_comes_back_hears_of_the_end_before_it_scans() {
    let fixture = Fixture::new(TestEvent::new());
    let phone = fixture.phone().await;
    fixture.server.set(Network::Down);
    assert_eq!(fixture.code(&phone, 1).await, "admitted");
    fixture.server.end_session();
    fixture.server.set(Network::Up);
    fixture.later();
    assert_eq!(fixture.code(&phone, 2).await, "no_active_session");
    assert_eq!(fixture.server.uploaded().len(), 1, "its scans are uploaded");
}

#[tokio::test]
async fn a_node_that_does_not_know_the_session_yet_does_not_end_it() {
    let fixture = Fixture::new(TestEvent::new());
    let phone = fixture.phone().await;
    fixture.server.set_behind(true);
    assert_eq!(fixture.code(&phone, 1).await, "admitted", "by the phone");
    phone.sync().await.expect("it is uploaded");
    fixture.server.set_behind(false);
    let verdict = phone.scan(ScanInput::entry(fixture.server.vg2(2))).await;
    assert_eq!(verdict.expect("a verdict").decided_by, VerdictSource::Server);
}

#[tokio::test]
async fn a_session_that_the_app_started_meanwhile_is_not_ended_by_an_older_answer() {
    let fixture = Fixture::new(TestEvent::new());
    let phone = fixture.phone().await;
    let old = phone.offline().session().await.expect("a session");
    fixture.server.end_session();
    let (event, gate) = fixture.server.event_and_gate();
    let started = PhoneSession {
        session_id: None,
        event_id: event,
        gate_id: gate,
    };
    phone
        .offline()
        .set_session(Some(started))
        .await
        .expect("it is stored");
    phone
        .without_session(&old)
        .await
        .expect_err("the old one has ended");
    assert_eq!(phone.offline().session().await, Some(started));
}

#[tokio::test]
async fn after_a_start_without_an_answer_the_server_decides_in_the_phones_session() {
    let fixture = Fixture::new(TestEvent::new());
    let phone = fixture.phone().await;
    let session = phone.offline().session().await.expect("a session");
    let (_, gate) = fixture.server.event_and_gate();
    fixture.server.set(Network::AnswersLost);
    phone
        .start_session(EventId::from_uuid(uuid::Uuid::from_u128(77)), gate, true)
        .await
        .expect_err("the server may have started it");
    fixture.server.set(Network::Up);
    fixture.later();
    fixture.server.calls();
    assert_eq!(fixture.code(&phone, 1).await, "admitted");
    let calls = fixture.server.calls();
    let position = |call: &str| calls.iter().position(|one| one.contains(call));
    assert!(position("POST sessions").is_some(), "{calls:?}");
    assert!(position("POST sessions") < position("POST scan"), "{calls:?}");
    let restarted = phone.offline().session().await.expect("a session");
    assert_eq!(
        (restarted.event_id, restarted.gate_id),
        (session.event_id, session.gate_id)
    );
}

#[tokio::test]
async fn a_start_whose_caller_is_gone_goes_on() {
    let fixture = Fixture::new(TestEvent::new());
    let phone = fixture.phone().await;
    phone.end_session().await.expect("it ends");
    let (event, gate) = fixture.server.event_and_gate();
    let mut revision = phone.changed_since(u64::MAX).await;
    let mut start = Box::pin(phone.start_session(event, gate, false));
    let polled = std::future::poll_fn(|context| std::task::Poll::Ready(start.as_mut().poll(context)));
    assert!(polled.await.is_pending());
    drop(start);
    while phone.offline().session().await.is_none() {
        revision = phone.changed_since(revision).await;
    }
    assert_eq!(fixture.code(&phone, 1).await, "admitted");
}

#[tokio::test]
async fn stop_ends_the_runs_under_way_and_no_later_one() {
    let fixture = Fixture::new(TestEvent::new());
    let phone = fixture.phone().await;
    phone.stop();
    phone.stop();
    let started_after_stop = async {
        tokio::join!(phone.run(), phone.run());
    };
    let works = async {
        fixture.server.calls();
        phone.network_changed();
        while fixture.server.calls().is_empty() {
            tokio::task::yield_now().await;
        }
        phone.stop();
    };
    tokio::join!(started_after_stop, works);
    // It ended. The next one works, too.
    fixture.server.set(Network::Down);
    fixture.code(&phone, 1).await;
    fixture.server.set(Network::Up);
    fixture.later();
    let uploads = async {
        let mut revision = 0;
        while phone.state().await.expect("a state").waiting > 0 {
            revision = phone.changed_since(revision).await;
        }
        phone.stop();
    };
    tokio::join!(phone.run(), uploads);
}

#[tokio::test]
async fn a_change_of_the_network_ends_the_wait() {
    let mut fixture = Fixture::new(TestEvent::new());
    fixture.setup.settings.initial_backoff = Duration::from_mins(1);
    let phone = fixture.phone().await;
    fixture.server.set(Network::Down);
    assert_eq!(fixture.code(&phone, 1).await, "admitted");
    fixture.server.set(Network::Up);
    let scan = async |number| {
        let verdict = phone.scan(ScanInput::entry(fixture.server.vg2(number))).await;
        verdict.expect("a verdict").decided_by
    };
    assert_eq!(scan(2).await, VerdictSource::Device, "it waits");
    phone.network_changed();
    assert_eq!(scan(3).await, VerdictSource::Server);
}

#[tokio::test]
async fn a_known_clock_offset_gives_no_warning() {
    let fixture = Fixture::new(TestEvent::new());
    fixture.server.set_ahead(Duration::from_hours(1));
    let phone = fixture.phone().await;
    phone.sync().await.expect("the offset is measured");
    let scan = async |number| {
        let verdict = phone.scan(ScanInput::entry(fixture.server.vg2(number))).await;
        verdict.expect("a verdict")
    };
    let verdict = scan(1).await;
    assert_eq!((verdict.reason, verdict.warnings), (Reason::Admitted, vec![]));
    let sent = fixture.server.scanned()[0]["scanned_at"].clone();
    assert_eq!(
        sent,
        serde_json::json!(fixture.server.now()),
        "by the server's clock"
    );
    // The clock changes: the first answer says so, and the phone measures anew.
    fixture.server.set_ahead(Duration::from_hours(3));
    assert_eq!(scan(2).await.warnings, [Warning::ClockSkew]);
    assert_eq!(scan(3).await.warnings, []);
    assert_eq!(
        phone.state().await.expect("a state").clock_offset_ms,
        3 * 3_600_000
    );
}

/// A clock whose wall clock can be set.
struct SettableClock {
    wall: AtomicI64,
    monotonic: AtomicI64,
}

impl Clock for SettableClock {
    fn now(&self) -> Timestamp {
        MADE_AT.plus_millis(self.wall.load(Ordering::SeqCst))
    }

    fn monotonic_ms(&self) -> Option<u64> {
        u64::try_from(self.monotonic.load(Ordering::SeqCst)).ok()
    }

    fn boot_id(&self) -> Option<String> {
        Some("boot".to_owned())
    }
}

#[tokio::test]
async fn a_clock_that_is_set_is_a_problem_and_ends_no_reading() {
    let mut fixture = Fixture::new(TestEvent::new());
    let clock = Arc::new(SettableClock {
        wall: AtomicI64::new(0),
        monotonic: AtomicI64::new(1000),
    });
    fixture.setup.clock = Arc::clone(&clock) as _;
    let phone = fixture.phone().await;
    phone.sync().await.expect("the time is known");
    let first = phone.scan(ScanInput::entry(fixture.server.vg2(1))).await;
    let first = first.expect("a verdict");
    for hours in [6, -6, 0] {
        clock.wall.store(hours * 3_600_000, Ordering::SeqCst);
        clock.monotonic.fetch_add(500, Ordering::SeqCst);
        let frame = phone.scan(ScanInput::entry(fixture.server.vg2(1))).await;
        let frame = frame.expect("a verdict");
        assert_eq!(
            (frame.scan_id, frame.repeated),
            (first.scan_id, true),
            "{hours} h"
        );
        let expected = (hours != 0).then_some(ProblemCode::ClockMoved);
        assert_eq!(Fixture::problem(&phone).await, expected, "{hours} h");
    }
}

#[tokio::test]
async fn a_refusal_and_a_replaced_database_are_problems_after_a_restart() {
    let fixture = Fixture::new(TestEvent::new());
    let phone = fixture.phone().await;
    let file = fixture.setup.directory.join(format!("{}.db", phone.device().id));
    fixture.server.revoke();
    assert_eq!(fixture.code(&phone, 1).await, "device_inactive");
    let open = async || {
        ScannerClient::open(fixture.setup.clone())
            .await
            .expect("the database opens")
            .expect("it is enrolled")
    };
    drop(phone);
    let phone = open().await;
    assert_eq!(Fixture::problem(&phone).await, Some(ProblemCode::DeviceInactive));
    drop(phone);
    std::fs::write(&file, "not a database".repeat(1000)).expect("it is written");
    let phone = open().await;
    assert_eq!(Fixture::problem(&phone).await, Some(ProblemCode::StorageReplaced));
}
