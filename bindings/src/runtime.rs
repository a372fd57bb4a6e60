//! How is a database opened from a foreign language? On one thread of the library's own, off the app's.

use std::pin::pin;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;
use voelgoed_scan_core::client::{ClientSetup, ScannerClient, Transport, TransportError};
use voelgoed_scan_core::model::EnrollmentUri;

use crate::{GateError, HttpRequest, HttpResponse};

/// Runs to its end what may migrate a database. The compiler cannot show that a running migration may change threads
/// (rust-lang/rust#100013), and a foreign executor would change them; so it stays on one.
pub(crate) async fn on_one_thread<T, E, F>(work: impl FnOnce() -> F + Send + 'static) -> Result<T, GateError>
where
    F: Future<Output = Result<T, E>>,
    T: Send + 'static,
    E: Send + 'static,
    GateError: From<E>,
{
    let runtime = Handle::current();
    match spawn_blocking(move || runtime.block_on(work())).await {
        Ok(done) => Ok(done?),
        Err(error) => Err(GateError::StorageUnavailable {
            reason: error.to_string(),
        }),
    }
}

type Answer = Result<HttpResponse, TransportError>;

/// Brings calls from the library's thread back to where the app awaits: an app's transport is called there alone.
struct Relay(mpsc::UnboundedSender<(HttpRequest, oneshot::Sender<Answer>)>);

#[async_trait]
impl Transport for Relay {
    async fn send(&self, request: HttpRequest) -> Answer {
        let gone = || TransportError::Unreachable {
            reason: "the enrolment was given up".to_owned(),
        };
        let (answer, answered) = oneshot::channel();
        self.0.send((request, answer)).map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

/// Enrols a phone, and opens it with the transport that it keeps.
pub(crate) async fn enroll(setup: ClientSetup, uri: EnrollmentUri) -> Result<ScannerClient, GateError> {
    let (relay, mut calls) = mpsc::unbounded_channel();
    let away = ClientSetup {
        transport: Arc::new(Relay(relay)),
        ..setup.clone()
    };
    let enrolling = on_one_thread(async move || ScannerClient::enroll(away, &uri).await.map(drop));
    let mut enrolling = pin!(enrolling);
    loop {
        tokio::select! {
            enrolled = &mut enrolling => break enrolled?,
            Some((request, answer)) = calls.recv() => {
                // Whoever no longer waits for the answer does not need it.
                let _ = answer.send(setup.transport.send(request).await);
            }
        }
    }
    open(setup).await?.ok_or_else(|| GateError::NotEnrolled {
        reason: "the secret store did not keep the enrolment".to_owned(),
    })
}

/// Opens a phone as it was enrolled.
pub(crate) async fn open(setup: ClientSetup) -> Result<Option<ScannerClient>, GateError> {
    on_one_thread(|| ScannerClient::open(setup)).await
}
