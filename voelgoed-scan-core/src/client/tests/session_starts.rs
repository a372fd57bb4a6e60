//! A start of a session in the background, and the session that the app chooses while the server's answer is under way.

use std::sync::atomic::AtomicBool;

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::*;
use crate::client::offline::tests::gate_id;
use crate::model::GateId;

/// The number of reads of the state that give a call of the app time to overtake the answer.
const READS: usize = 20;

/// A transport in front of [`FakeServer`] that can hold the answer to one start of a session.
struct SlowStart {
    server: Arc<FakeServer>,
    /// Whether the answer to the next start waits.
    holds_next: AtomicBool,
    /// Whether an answer is waiting.
    is_held: watch::Sender<bool>,
}

impl SlowStart {
    fn open(fixture: &mut Fixture) -> Arc<Self> {
        let transport = Arc::new(Self {
            server: Arc::clone(&fixture.server),
            holds_next: AtomicBool::new(false),
            is_held: watch::Sender::new(false),
        });
        fixture.setup.transport = Arc::clone(&transport) as _;
        transport
    }

    fn hold_next(&self) {
        self.holds_next.store(true, Ordering::SeqCst);
    }

    /// Waits until an answer is held or released.
    async fn until_held(&self, is_held: bool) {
        let mut held = self.is_held.subscribe();
        held.wait_for(|held| *held == is_held)
            .await
            .expect("the transport owns the sender");
    }

    /// Sends the answer after the app has had the time to overtake it.
    async fn release_after_reads_of(&self, phone: &ScannerClient) {
        for _ in 0..READS {
            phone.state().await.expect("a state");
        }
        self.is_held.send_replace(false);
    }
}

#[async_trait]
impl Transport for SlowStart {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        if !request.url.ends_with("/sessions") {
            return self.server.send(request).await;
        }
        let start: Value = serde_json::from_slice(&request.body).expect("JSON");
        let mut answer = self.server.send(request).await?;
        // The fake server knows one gate.
        let mut session: Value = serde_json::from_slice(&answer.body).expect("JSON");
        session["gate_id"] = json!(start["gate_id"]);
        answer.body = session.to_string().into_bytes();
        if self.holds_next.swap(false, Ordering::SeqCst) {
            self.is_held.send_replace(true);
            self.until_held(false).await;
        }
        Ok(answer)
    }
}

/// A phone whose session the server has not started yet.
async fn unconfirmed_phone(fixture: &Fixture) -> ScannerClient {
    let phone = fixture.phone().await;
    let session = phone.offline().session().await.expect("a session");
    let unconfirmed = PhoneSession {
        session_id: None,
        ..session
    };
    let stored = phone.offline().set_session(Some(unconfirmed)).await;
    stored.expect("it is stored");
    phone
}

#[tokio::test]
async fn a_start_in_the_background_does_not_overwrite_the_session_that_the_app_started_meanwhile() {
    let mut fixture = Fixture::new(TestEvent::new());
    let transport = SlowStart::open(&mut fixture);
    let phone = unconfirmed_phone(&fixture).await;
    let (event, main) = fixture.server.event_and_gate();
    let other: GateId = gate_id(12);
    assert_ne!(main, other);
    transport.hold_next();
    let app = async {
        transport.until_held(true).await;
        tokio::join!(
            phone.start_session(event, other, true),
            transport.release_after_reads_of(&phone)
        )
    };
    let (uploaded, (started, ())) = tokio::join!(phone.sync(), app);
    uploaded.expect("nothing waits");
    let started = started.expect("a session").expect("the server has it");
    assert_eq!(started.gate_id, other);
    let session = phone.offline().session().await.expect("a session");
    assert_eq!(session.gate_id, other);
}

#[tokio::test]
async fn a_start_in_the_background_does_not_bring_back_the_session_that_the_app_ended_meanwhile() {
    let mut fixture = Fixture::new(TestEvent::new());
    let transport = SlowStart::open(&mut fixture);
    let phone = unconfirmed_phone(&fixture).await;
    transport.hold_next();
    let app = async {
        transport.until_held(true).await;
        tokio::join!(phone.end_session(), transport.release_after_reads_of(&phone))
    };
    let (uploaded, (ended, ())) = tokio::join!(phone.sync(), app);
    uploaded.expect("nothing waits");
    assert!(ended.expect("it ends").is_some(), "the server ended it too");
    assert_eq!(phone.offline().session().await, None);
}
