//! Which calls of `scan` share an attempt, and what becomes of attempts whose callers or whose app are gone.

use std::task::Poll;

use futures_util::future::join_all;

use super::server::Network;
use super::*;
use crate::client::attempts::Pending;
use crate::client::{Verdict, VerdictSource};
use crate::model::{Direction, Override, Reason, Reentry, ScanId};

const LONG: Duration = Duration::from_secs(60);

impl Fixture {
    /// A fixture whose scans wait long for the server.
    fn patient(test_event: TestEvent) -> Self {
        let mut fixture = Self::new(test_event);
        fixture.setup.settings.scan_timeout = LONG;
        fixture
    }

    fn entry(&self, number: u8) -> ScanInput {
        ScanInput::entry(self.server.vg2(number))
    }

    fn exit(&self, number: u8) -> ScanInput {
        ScanInput {
            direction: Direction::Exit,
            ..self.entry(number)
        }
    }

    fn override_(&self, number: u8) -> ScanInput {
        ScanInput {
            override_reason: Some("VIP guest".parse().expect("a reason")),
            ..self.entry(number)
        }
    }

    async fn reopened(&self, phone: ScannerClient) -> ScannerClient {
        drop(phone);
        // The tasks of the dropped client end when the runtime runs next.
        tokio::task::yield_now().await;
        ScannerClient::open(self.setup.clone())
            .await
            .expect("the database opens")
            .expect("it is enrolled")
    }

    fn scans(&self) -> usize {
        self.server.scanned().len()
    }
}

fn re_entry() -> TestEvent {
    let mut test_event = TestEvent::new();
    test_event.event.reentry = Reentry::AfterExit;
    test_event
}

fn decided(verdict: &Verdict) -> (Reason, VerdictSource) {
    (verdict.reason, verdict.decided_by)
}

const SERVER: VerdictSource = VerdictSource::Server;
const PHONE: VerdictSource = VerdictSource::Device;

/// Checks that all callers got one verdict, and that exactly one of them got it as the first.
fn assert_one_verdict(verdicts: &[Verdict], expected: (Reason, VerdictSource)) {
    for verdict in verdicts {
        assert_eq!(verdict.scan_id, verdicts[0].scan_id);
        assert_eq!(decided(verdict), expected);
    }
    let first = verdicts.iter().filter(|verdict| !verdict.repeated);
    assert_eq!(first.count(), 1, "{verdicts:?}");
}

#[tokio::test]
async fn all_calls_of_one_reading_share_one_attempt_and_one_verdict() {
    for (number, network, source) in [(1, Network::Up, SERVER), (2, Network::Down, PHONE)] {
        let fixture = Fixture::patient(TestEvent::new());
        let phone = fixture.phone().await;
        fixture.server.set(network);
        fixture.server.hold_scans(true);
        let frames = join_all((0..5).map(|_| phone.scan(fixture.entry(number))));
        let answer = async {
            if network == Network::Up {
                fixture.server.received_scans(1).await;
            }
            fixture.server.hold_scans(false);
        };
        let (frames, ()) = tokio::join!(frames, answer);
        let mut verdicts: Vec<_> = frames.into_iter().map(|one| one.expect("a verdict")).collect();
        // A frame that comes after the answer, at the end of the 2.5 s.
        fixture.clock.fetch_add(2500, Ordering::SeqCst);
        verdicts.push(phone.scan(fixture.entry(number)).await.expect("a verdict"));
        assert_one_verdict(&verdicts, (Reason::Admitted, source));
        let state = phone.state().await.expect("a state");
        assert_eq!(fixture.scans() + usize::try_from(state.waiting).expect("few"), 1);
        fixture.clock.fetch_add(1, Ordering::SeqCst);
        let next = phone.scan(fixture.entry(number)).await.expect("a verdict");
        assert_eq!(
            decided(&next),
            (Reason::AlreadyScanned, source),
            "a scan of its own"
        );
    }
}

#[tokio::test]
async fn a_reading_lasts_while_it_is_being_decided_and_is_not_red_right_after_its_green() {
    let fixture = Fixture::patient(TestEvent::new());
    let phone = fixture.phone().await;
    fixture.server.hold_scans(true);
    let first = phone.scan(fixture.entry(1));
    let later = async {
        fixture.server.received_scans(1).await;
        fixture.later();
        let second = phone.scan(fixture.entry(1));
        let release = async {
            // Both wait now.
            tokio::task::yield_now().await;
            fixture.server.hold_scans(false);
        };
        tokio::join!(second, release).0
    };
    let (first, second) = tokio::join!(first, later);
    let third = phone.scan(fixture.entry(1)).await;
    let verdicts = [first, second, third].map(|one| one.expect("a verdict"));
    assert_one_verdict(&verdicts, (Reason::Admitted, SERVER));
    assert_eq!(fixture.scans(), 1);
}

#[tokio::test]
async fn a_call_that_had_to_wait_belongs_to_the_reading_of_the_moment_it_was_made() {
    let fixture = Fixture::patient(TestEvent::new());
    let phone = fixture.phone().await;
    let called_at = phone.setup.clock.steady();
    let first = phone.scan(fixture.entry(1)).await.expect("a verdict");
    fixture.later();
    let session = phone.offline.session().await.expect("a session");
    let enter = |called_at| {
        let start = |_| -> attempts::Work { panic!("another attempt starts") };
        let clock = &*phone.setup.clock;
        let entered = phone
            .attempts
            .enter(&session, fixture.entry(1), called_at, clock, start);
        let (call, pending) = entered.expect("an attempt");
        match pending {
            Pending::Decided(verdict) => call.receive(Ok(*verdict), clock.steady()),
            Pending::Work(_) => panic!("the attempt has ended"),
        }
    };
    let second = enter(called_at).expect("a verdict");
    assert_one_verdict(&[first, second], (Reason::Admitted, SERVER));
    assert_eq!(fixture.scans(), 1);
}

#[tokio::test]
async fn a_scan_in_the_other_direction_ends_the_reading() {
    for (network, source) in [(Network::Up, SERVER), (Network::Down, PHONE)] {
        let fixture = Fixture::patient(re_entry());
        let phone = fixture.phone().await;
        fixture.server.set(network);
        let expected = [Reason::Admitted, Reason::Exited, Reason::Readmitted].map(|reason| (reason, source));
        let inputs = |number| [fixture.entry(number), fixture.exit(number), fixture.entry(number)];
        let mut one_by_one = Vec::new();
        for input in inputs(1) {
            one_by_one.push(decided(&phone.scan(input).await.expect("a verdict")));
        }
        assert_eq!(one_by_one, expected);
        let overlapping = join_all(inputs(2).map(|input| phone.scan(input))).await;
        let overlapping: Vec<_> = overlapping
            .iter()
            .map(|one| decided(one.as_ref().expect("a verdict")))
            .collect();
        assert_eq!(overlapping, expected, "in the order of the calls");
    }
}

#[tokio::test]
async fn a_reading_ends_whoever_decided_its_scans() {
    let fixture = Fixture::patient(re_entry());
    let phone = fixture.phone().await;
    fixture.server.set(Network::Down);
    let entry = phone.scan(fixture.entry(1)).await.expect("a verdict");
    fixture.server.set(Network::Up);
    phone.sync().await.expect("it is uploaded");
    fixture.clock.fetch_add(100, Ordering::SeqCst);
    let exit = phone.scan(fixture.exit(1)).await.expect("a verdict");
    fixture.server.set(Network::Down);
    fixture.clock.fetch_add(100, Ordering::SeqCst);
    let again = phone.scan(fixture.entry(1)).await.expect("a verdict");
    assert_eq!(
        [entry.reason, exit.reason, again.reason],
        [Reason::Admitted, Reason::Exited, Reason::Readmitted]
    );
    assert_ne!(entry.scan_id, again.scan_id);
}

#[tokio::test]
async fn a_scan_whose_caller_is_gone_goes_on_and_the_next_call_gets_its_verdict() {
    let fixture = Fixture::patient(TestEvent::new());
    let phone = fixture.phone().await;
    fixture.server.hold_scans(true);
    tokio::select! {
        _ = phone.scan(fixture.entry(1)) => panic!("the server does not answer"),
        () = fixture.server.received_scans(1) => {}
    }
    fixture.server.hold_scans(false);
    fixture.later();
    let verdict = phone.scan(fixture.entry(1)).await.expect("a verdict");
    assert_eq!(
        (decided(&verdict), verdict.repeated),
        ((Reason::Admitted, SERVER), false)
    );
    let frame = phone.scan(fixture.entry(1)).await.expect("a verdict");
    assert_eq!(
        (frame.scan_id, frame.repeated),
        (verdict.scan_id, true),
        "a frame later: not red after green"
    );
    assert_eq!(fixture.scans(), 1);
    fixture.later();
    let next = phone.scan(fixture.entry(1)).await.expect("a verdict");
    assert_eq!(next.reason, Reason::AlreadyScanned, "the verdict was seen");
}

#[tokio::test]
async fn a_scan_may_be_cancelled_at_any_moment() {
    for network in [Network::Up, Network::Down, Network::Busy] {
        let fixture = Fixture::patient(TestEvent::new());
        let phone = fixture.phone().await;
        fixture.server.set(network);
        for number in 1..9 {
            fixture.later();
            let mut abandoned = Box::pin(phone.scan(fixture.entry(number)));
            let mut expected = Reason::Admitted;
            for _ in 0..number {
                let poll = std::future::poll_fn(|context| Poll::Ready(abandoned.as_mut().poll(context)));
                if let Poll::Ready(verdict) = poll.await {
                    assert_eq!(verdict.expect("a verdict").reason, Reason::Admitted);
                    // The caller has seen the admission.
                    expected = Reason::AlreadyScanned;
                    break;
                }
                tokio::task::yield_now().await;
            }
            drop(abandoned);
            fixture.later();
            let verdict = phone.scan(fixture.entry(number)).await.expect("a verdict");
            assert_eq!(verdict.reason, expected, "{network:?}, after {number} polls");
        }
    }
}

#[tokio::test]
async fn an_attempt_that_was_under_way_when_the_app_ended_is_repeated_under_its_id() {
    for (network, source) in [(Network::Up, SERVER), (Network::Down, PHONE)] {
        let fixture = Fixture::patient(TestEvent::new());
        let phone = fixture.phone().await;
        fixture.server.set(Network::AnswersLost);
        tokio::select! {
            _ = phone.scan(fixture.entry(1)) => panic!("the answer is lost"),
            () = fixture.server.received_scans(1) => {}
        }
        let phone = fixture.reopened(phone).await;
        fixture.server.set(network);
        fixture.later();
        let verdict = phone.scan(fixture.entry(1)).await.expect("a verdict");
        assert_eq!(decided(&verdict), (Reason::Admitted, source));
        assert_eq!(
            fixture.server.scanned()[0]["scan_id"],
            verdict.scan_id.to_string()
        );
        fixture.server.set(Network::Up);
        phone.sync().await.expect("it is uploaded");
        assert_eq!(fixture.server.admissions(), 1);
        let phone = fixture.reopened(phone).await;
        fixture.later();
        let next = phone.scan(fixture.entry(1)).await.expect("a verdict");
        assert_eq!(next.reason, Reason::AlreadyScanned, "the attempt is finished");
    }
}

#[tokio::test]
async fn an_unfinished_attempt_is_forgotten_after_five_minutes_or_a_scan_in_the_other_direction() {
    let fixture = Fixture::patient(re_entry());
    let mut phone = fixture.phone().await;
    for number in [1, 2] {
        fixture.server.set(Network::AnswersLost);
        let received = fixture.scans() + 1;
        tokio::select! {
            _ = phone.scan(fixture.entry(number)) => panic!("the answer is lost"),
            () = fixture.server.received_scans(received) => {}
        }
        phone = fixture.reopened(phone).await;
        fixture.server.set(Network::Up);
        if number == 1 {
            fixture.clock.fetch_add(300_001, Ordering::SeqCst);
        } else {
            let exit = phone.scan(fixture.exit(number)).await.expect("a verdict");
            assert_eq!(exit.reason, Reason::Exited);
        }
        let next = phone.scan(fixture.entry(number)).await.expect("a verdict");
        let expected = [Reason::AlreadyScanned, Reason::Readmitted][usize::from(number) - 1];
        assert_eq!(next.reason, expected);
        let unfinished = phone.offline().unfinished_attempts().await.expect("a list");
        assert!(unfinished.is_empty(), "{unfinished:?}");
    }
}

#[tokio::test]
async fn an_error_is_shared_and_then_forgotten_and_the_attempt_keeps_its_id() {
    let mut fixture = Fixture::new(TestEvent::new());
    fixture.setup.settings.scan_timeout = Duration::from_millis(50);
    let phone = ScannerClient::enroll(fixture.setup.clone(), &Fixture::uri())
        .await
        .expect("a device");
    let (event, gate) = fixture.server.event_and_gate();
    phone.start_session(event, gate, false).await.expect("a session");
    fixture.server.set(Network::AnswersLost);
    let frames = join_all((0..3).map(|_| phone.scan(fixture.entry(1)))).await;
    for frame in frames {
        assert_eq!(frame.expect_err("no manifest").code(), "no_manifest");
    }
    assert_eq!(
        (fixture.scans(), fixture.server.admissions()),
        (1, 1),
        "the server decided"
    );
    fixture.server.set(Network::Up);
    fixture.later();
    let verdict = phone.scan(fixture.entry(1)).await.expect("a verdict");
    assert_eq!(decided(&verdict), (Reason::Admitted, SERVER), "not a second scan");
    let ids: Vec<_> = fixture
        .server
        .scanned()
        .iter()
        .map(|scan| scan["scan_id"].clone())
        .collect();
    assert_eq!(ids[0], ids[1]);
}

#[tokio::test]
async fn calls_with_one_scan_id_are_one_attempt() {
    for network in [Network::Up, Network::Down] {
        let fixture = Fixture::patient(TestEvent::new());
        let phone = fixture.phone().await;
        fixture.server.set(network);
        let with_id = |number| ScanInput {
            scan_id: Some(ScanId::from_uuid(offline::tests::uuid(500))),
            ..fixture.entry(number)
        };
        let together = join_all([phone.scan(with_id(1)), phone.scan(with_id(1))]).await;
        fixture.later();
        let later = phone.scan(with_id(1)).await;
        for verdict in together.into_iter().chain([later]) {
            let verdict = verdict.expect("a verdict");
            assert_eq!(
                (verdict.scan_id, verdict.reason),
                (with_id(1).scan_id.expect("an id"), Reason::Admitted)
            );
        }
        if network == Network::Down {
            for other in [
                with_id(2),
                ScanInput {
                    direction: Direction::Exit,
                    ..with_id(1)
                },
            ] {
                let error = phone.scan(other).await.expect_err("another scan");
                assert_eq!(error.code(), "scan_id_reused");
            }
        }
    }
}

#[tokio::test]
async fn a_call_with_the_id_of_a_scan_that_the_server_decided_gets_its_verdict_without_a_network() {
    let fixture = Fixture::patient(TestEvent::new());
    let phone = fixture.phone().await;
    let with_id = |id, number| ScanInput {
        scan_id: Some(ScanId::from_uuid(offline::tests::uuid(id))),
        ..fixture.entry(number)
    };
    let admitted = phone.scan(with_id(500, 1)).await.expect("a verdict");
    fixture.later();
    let denied = phone.scan(with_id(501, 1)).await.expect("a verdict");
    assert_eq!(
        (admitted.reason, denied.reason),
        (Reason::Admitted, Reason::AlreadyScanned)
    );
    fixture.server.set(Network::Down);
    for (id, first) in [(500, &admitted), (501, &denied)] {
        fixture.later();
        let again = phone.scan(with_id(id, 1)).await.expect("a verdict");
        assert_eq!(
            (again.scan_id, again.reason, again.decided_by, again.repeated),
            (first.scan_id, first.reason, first.decided_by, true)
        );
    }
    let error = phone.scan(with_id(500, 2)).await.expect_err("another ticket");
    assert_eq!(error.code(), "scan_id_reused");
    let state = phone.state().await.expect("a state");
    assert_eq!(state.waiting, 0, "the phone decided nothing");
}

#[tokio::test]
async fn an_override_is_an_attempt_of_its_own_and_its_green_stays() {
    let fixture = Fixture::patient(TestEvent::new());
    let phone = fixture.phone().await;
    phone.scan(fixture.entry(1)).await.expect("a verdict");
    fixture.later();
    let denied = phone.scan(fixture.entry(1)).await.expect("a verdict");
    assert_eq!(denied.reason, Reason::AlreadyScanned);
    let forced = phone.scan(fixture.override_(1)).await.expect("a verdict");
    let frame = phone.scan(fixture.entry(1)).await.expect("a verdict");
    assert_eq!(
        (forced.reason, frame.reason),
        (Reason::Overridden, Reason::Overridden)
    );
    assert_eq!((frame.scan_id, frame.repeated), (forced.scan_id, true));
    // A steward who taps twice admits one person.
    let twice = phone.scan(fixture.override_(1)).await.expect("a verdict");
    assert_eq!((twice.scan_id, twice.repeated), (forced.scan_id, true));
    fixture.later();
    let again = phone.scan(fixture.override_(1)).await.expect("a verdict");
    assert_ne!(again.scan_id, forced.scan_id);
    let sent = &fixture.server.scanned()[2]["override"];
    let sent: Override = serde_json::from_value(sent.clone()).expect("an override");
    assert_eq!(sent.reason.to_string(), "VIP guest");
}

/// A camera reads a ticket twice, and the app gives each call an id.
#[tokio::test]
async fn a_call_that_joined_a_reading_is_no_second_scan_when_it_is_repeated_later() {
    for network in [Network::Up, Network::Down] {
        let fixture = Fixture::new(TestEvent::new());
        let phone = fixture.phone().await;
        fixture.server.set(network);
        let call = |id| ScanInput {
            scan_id: Some(ScanId::from_uuid(offline::tests::uuid(id))),
            ..fixture.entry(1)
        };
        let first = phone.scan(call(501)).await.expect("a verdict");
        let joined = phone.scan(call(502)).await.expect("a verdict");
        assert_eq!((joined.scan_id, joined.repeated), (first.scan_id, true));
        fixture.later();
        let phone = fixture.reopened(phone).await;
        for id in [502, 501] {
            let again = phone.scan(call(id)).await.expect("a verdict");
            assert_eq!(
                (again.scan_id, again.reason, again.repeated),
                (first.scan_id, Reason::Admitted, true)
            );
        }
        let other = ScanInput {
            scan_id: Some(ScanId::from_uuid(offline::tests::uuid(502))),
            ..fixture.entry(2)
        };
        let error = phone.scan(other).await.expect_err("the id is of another ticket");
        assert_eq!(error.code(), "scan_id_reused");
    }
}
