//! Runs enrolment and the opening of a database on a thread of the library, because a foreign executor could move them
//! between threads.

use std::pin::pin;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;
use voelgoed_scan_core::client::{
    ClientSetup, HttpRequest, HttpResponse, ScannerClient, Transport, TransportError,
};
use voelgoed_scan_core::model::EnrollmentUri;

use crate::ScannerError;

/// Runs a future that may migrate a database to completion on one thread. Such a future is not provably `Send`
/// (rust-lang/rust#100013), but a foreign executor would move it between threads.
pub(crate) async fn run_on_one_thread<T, E, F>(
    work: impl FnOnce() -> F + Send + 'static,
) -> Result<T, ScannerError>
where
    F: Future<Output = Result<T, E>>,
    T: Send + 'static,
    E: Send + 'static,
    ScannerError: From<E>,
{
    let runtime = Handle::current();
    match spawn_blocking(move || runtime.block_on(work())).await {
        Ok(result) => Ok(result?),
        Err(error) => Err(ScannerError::StorageUnavailable {
            reason: error.to_string(),
        }),
    }
}

type TransportResult = Result<HttpResponse, TransportError>;

/// Forwards requests from the library's thread to the task in which the app awaits. An app's transport is called only
/// there.
struct Relay(mpsc::UnboundedSender<(HttpRequest, oneshot::Sender<TransportResult>)>);

#[async_trait]
impl Transport for Relay {
    async fn send(&self, request: HttpRequest) -> TransportResult {
        let cancelled = || TransportError::Unreachable {
            reason: "the enrolment was cancelled".to_owned(),
        };
        let (reply, response) = oneshot::channel();
        self.0.send((request, reply)).map_err(|_| cancelled())?;
        response.await.map_err(|_| cancelled())?
    }
}

/// Enrols a phone through the relay, then opens the client with the app's own transport.
pub(crate) async fn enroll(setup: ClientSetup, uri: EnrollmentUri) -> Result<ScannerClient, ScannerError> {
    let (relay, mut requests) = mpsc::unbounded_channel();
    let relayed = ClientSetup {
        transport: Arc::new(Relay(relay)),
        ..setup.clone()
    };
    let enrolling = run_on_one_thread(async move || ScannerClient::enroll(relayed, &uri).await.map(drop));
    let mut enrolling = pin!(enrolling);
    loop {
        tokio::select! {
            enrolled = &mut enrolling => break enrolled?,
            Some((request, reply)) = requests.recv() => {
                // The receiver may be gone. It then does not need the response.
                let _ = reply.send(setup.transport.send(request).await);
            }
        }
    }
    open(setup).await?.ok_or_else(|| ScannerError::NotEnrolled {
        reason: "the secret store did not store the credentials".to_owned(),
    })
}

/// Opens the client with the stored credentials.
pub(crate) async fn open(setup: ClientSetup) -> Result<Option<ScannerClient>, ScannerError> {
    run_on_one_thread(|| ScannerClient::open(setup)).await
}
