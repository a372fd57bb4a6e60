//! Calls the app when the client's state changes.
//!
//! Each listener has a thread of its own, so that a slow one delays neither scans nor other listeners. Changes that
//! happen while a listener runs are one call.
//!
//! Invariants:
//! - A listener keeps neither the client nor its database open: after the client is closed, it is not called again.
//! - After `cancel` has returned, the listener is not called again.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, ThreadId};

use tokio::sync::watch;
use voelgoed_scan_core as core;

use crate::{ClientState, ScannerError};

/// The listener failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, uniffi::Error)]
pub enum ListenerError {
    /// The listener threw an error.
    #[error("{reason}")]
    Failed {
        /// The error's message.
        reason: String,
    },
}

impl From<uniffi::UnexpectedUniFFICallbackError> for ListenerError {
    fn from(error: uniffi::UnexpectedUniFFICallbackError) -> Self {
        Self::Failed { reason: error.reason }
    }
}

/// Is called when the state changes. The app implements it. Errors that it throws are ignored.
#[uniffi::export(foreign)]
pub trait StateListener: Send + Sync {
    /// Takes the new state. Called at once with the present state, then after each change, one call at a time, on a thread
    /// of the library.
    fn state_changed(&self, state: ClientState) -> Result<(), ListenerError>;
}

/// The client of a listener, until the app closes it.
#[derive(Default)]
pub(crate) struct ClientSlot(Mutex<Option<Arc<core::client::ScannerClient>>>);

impl ClientSlot {
    pub(crate) fn new(client: Arc<core::client::ScannerClient>) -> Self {
        Self(Mutex::new(Some(client)))
    }

    /// Takes the client away from the listeners. When this returns, none of them uses it.
    pub(crate) fn clear(&self) {
        drop(self.lock().take());
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<core::client::ScannerClient>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A listener that is being called, until this is cancelled or the client is closed. An app that needs neither may forget
/// this object: the calls go on.
#[derive(uniffi::Object)]
pub struct StateSubscription {
    running: Arc<Running>,
}

struct Running {
    /// Whether the thread ends. The thread shares this, so that it does not end when the app forgets the subscription.
    stop: watch::Sender<bool>,
    state: Mutex<RunningState>,
    idle: Condvar,
}

#[derive(Default)]
struct RunningState {
    cancelled: bool,
    /// The thread that calls the listener, while it does.
    calling: Option<ThreadId>,
}

impl Running {
    fn lock(&self) -> MutexGuard<'_, RunningState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cancel(&self) {
        self.stop.send_replace(true);
        let mut running = self.lock();
        running.cancelled = true;
        while running
            .calling
            .is_some_and(|thread| thread != thread::current().id())
        {
            running = self.idle.wait(running).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Calls the listener unless it was cancelled.
    fn call(&self, listener: &dyn StateListener, state: ClientState) {
        let mut running = self.lock();
        if running.cancelled {
            return;
        }
        running.calling = Some(thread::current().id());
        drop(running);
        if let Err(error) = listener.state_changed(state) {
            tracing::warn!(%error, "a state listener failed");
        }
        self.lock().calling = None;
        self.idle.notify_all();
    }
}

#[uniffi::export]
impl StateSubscription {
    /// Ends the calls. When this returns, the listener is not called again, unless the listener itself called this.
    pub fn cancel(&self) {
        self.running.cancel();
    }
}

/// The listeners of this process.
static LISTENERS: Mutex<Vec<Weak<Running>>> = Mutex::new(Vec::new());

fn listeners() -> MutexGuard<'static, Vec<Weak<Running>>> {
    LISTENERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Cancels the subscriptions of all clients. For the end of a process whose language cannot run code any more: the Python
/// package calls it at exit.
#[uniffi::export]
pub fn cancel_subscriptions() {
    let all = std::mem::take(&mut *listeners());
    for running in all.iter().filter_map(Weak::upgrade) {
        running.cancel();
    }
}

/// Starts to call a listener.
pub(crate) fn listen(
    slot: Arc<ClientSlot>,
    mut changes: watch::Receiver<u64>,
    listener: Arc<dyn StateListener>,
) -> Result<StateSubscription, ScannerError> {
    let failed = |error: std::io::Error| ScannerError::StorageUnavailable {
        reason: error.to_string(),
    };
    let (stop, mut stopped) = watch::channel(false);
    let running = Arc::new(Running {
        stop,
        state: Mutex::default(),
        idle: Condvar::new(),
    });
    let calls = Arc::clone(&running);
    let mut all = listeners();
    all.retain(|running| running.strong_count() > 0);
    all.push(Arc::downgrade(&running));
    drop(all);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed)?;
    thread::Builder::new()
        .name("voelgoed-scan-state".to_owned())
        .spawn(move || {
            let mut shown = None;
            loop {
                changes.mark_unchanged();
                // The lock is held while the state is read, and not while the listener runs.
                let state = match &*slot.lock() {
                    Some(client) => runtime.block_on(client.state()),
                    None => return,
                };
                match state {
                    Ok(state) => {
                        let state = ClientState::from(state);
                        if shown.as_ref() != Some(&state) {
                            shown = Some(state.clone());
                            calls.call(&*listener, state);
                        }
                    }
                    Err(error) => tracing::warn!(code = error.code(), "the state could not be read"),
                }
                let goes_on = runtime.block_on(async {
                    tokio::select! {
                        changed = changes.changed() => changed.is_ok(),
                        _ = stopped.wait_for(|stopped| *stopped) => false,
                    }
                });
                if !goes_on {
                    return;
                }
            }
        })
        .map_err(failed)?;
    Ok(StateSubscription { running })
}
