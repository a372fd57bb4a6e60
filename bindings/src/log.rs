//! The log of the library, for the app's own log: level, target and text.
//!
//! Invariants:
//! - Only the project's own messages are passed on. They contain codes and numbers, and no token, key, payload, ticket
//!   code or name. The libraries underneath log statements and headers, so their messages are not passed on.
//! - A slow or failing hook never delays a scan: a thread of its own calls it, and messages that the hook is too slow for
//!   are counted and dropped.
//! - After `clear_log_hook` has returned, the hook is not called again.

use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, ThreadId};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::ScannerError;

/// How many messages may wait for the hook.
const QUEUE_LENGTH: usize = 1024;

/// The crates whose messages are passed on.
const TARGETS: &str = "voelgoed_scan";

/// How important a message is, the most important first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, uniffi::Enum)]
pub enum LogLevel {
    /// A call failed in a way that needs attention.
    Error,
    /// Something is wrong, and the library goes on.
    Warn,
    /// What happened, a few messages for each session.
    Info,
    /// Details for the search of a fault.
    Debug,
    /// Everything.
    Trace,
}

/// A message of the library.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct LogRecord {
    /// How important it is.
    pub level: LogLevel,
    /// The part of the library, such as `voelgoed_scan_core::client::maintenance`.
    pub target: String,
    /// The text, followed by its fields as `name=value`. It contains no secret and no personal data.
    pub text: String,
}

/// The app's log could not take a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, uniffi::Error)]
pub enum LogHookError {
    /// The hook threw an error.
    #[error("{reason}")]
    Failed {
        /// The error's message.
        reason: String,
    },
}

impl From<uniffi::UnexpectedUniFFICallbackError> for LogHookError {
    fn from(error: uniffi::UnexpectedUniFFICallbackError) -> Self {
        Self::Failed { reason: error.reason }
    }
}

/// Takes the library's messages. The app implements it. Errors that it throws are ignored.
#[uniffi::export(foreign)]
pub trait LogHook: Send + Sync {
    /// Takes a message. Called on one thread of the library, one message at a time.
    fn log(&self, record: LogRecord) -> Result<(), LogHookError>;
}

/// Passes the library's messages of `level` and above to `hook`, and replaces the hook that was set before.
#[uniffi::export]
pub fn set_log_hook(hook: Arc<dyn LogHook>, level: LogLevel) -> Result<(), ScannerError> {
    let log = match LOG.get() {
        Some(log) => log,
        None => start()?,
    };
    let mut state = log.shared.lock();
    state.hook = Some(hook);
    drop(state);
    log.level.store(level as usize + 1, Ordering::SeqCst);
    tracing::callsite::rebuild_interest_cache();
    Ok(())
}

/// Removes the hook. When this returns, the hook is not called again. Call it before the app's log is closed.
#[uniffi::export]
pub fn clear_log_hook() {
    let Some(log) = LOG.get() else { return };
    log.level.store(0, Ordering::SeqCst);
    tracing::callsite::rebuild_interest_cache();
    let mut state = log.shared.lock();
    state.hook = None;
    // The hook itself may call this function.
    while state.busy && log.thread != thread::current().id() {
        state = log.shared.wait(state);
    }
}

/// The log, once a hook was set.
static LOG: OnceLock<Log> = OnceLock::new();

struct Log {
    shared: Arc<Shared>,
    queue: SyncSender<LogRecord>,
    /// The thread that calls the hook.
    thread: ThreadId,
    /// The number of levels that pass, 0 to 5.
    level: AtomicUsize,
    dropped: Arc<AtomicU64>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<HookState>,
    idle: Condvar,
}

#[derive(Default)]
struct HookState {
    hook: Option<Arc<dyn LogHook>>,
    /// Whether the hook is being called.
    busy: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, HookState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, HookState>) -> MutexGuard<'a, HookState> {
        self.idle.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// Passes a message to the hook, if there is one.
    fn deliver(&self, record: LogRecord) {
        let mut state = self.lock();
        let Some(hook) = state.hook.clone() else { return };
        state.busy = true;
        drop(state);
        // There is nowhere to report an error of the log.
        drop(hook.log(record));
        drop(hook);
        self.lock().busy = false;
        self.idle.notify_all();
    }
}

/// Starts the thread that calls the hook, and installs the subscriber.
fn start() -> Result<&'static Log, ScannerError> {
    static STARTING: Mutex<()> = Mutex::new(());
    let _starting = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(log) = LOG.get() {
        return Ok(log);
    }
    let failed = |reason: String| ScannerError::LogUnavailable { reason };
    // Fails if the app installed a subscriber of its own, which gets the messages then.
    tracing::subscriber::set_global_default(HookSubscriber).map_err(|error| failed(error.to_string()))?;
    let shared = Arc::new(Shared::default());
    let dropped = Arc::new(AtomicU64::new(0));
    let (queue, records) = sync_channel(QUEUE_LENGTH);
    let worker = (Arc::clone(&shared), Arc::clone(&dropped));
    let thread = thread::Builder::new()
        .name("voelgoed-scan-log".to_owned())
        .spawn(move || run(&records, &worker.0, &worker.1))
        .map_err(|error| failed(error.to_string()))?;
    Ok(LOG.get_or_init(|| Log {
        shared,
        queue,
        thread: thread.thread().id(),
        level: AtomicUsize::new(0),
        dropped,
    }))
}

fn run(records: &Receiver<LogRecord>, shared: &Shared, dropped: &AtomicU64) {
    for record in records {
        shared.deliver(record);
        let missed = dropped.swap(0, Ordering::SeqCst);
        if missed > 0 {
            shared.deliver(LogRecord {
                level: LogLevel::Warn,
                target: module_path!().to_owned(),
                text: format!("the log hook is too slow: {missed} messages were dropped"),
            });
        }
    }
}

/// Passes the project's own messages to the queue. Spans are not passed on.
struct HookSubscriber;

impl Subscriber for HookSubscriber {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let passing = LOG.get().map_or(0, |log| log.level.load(Ordering::SeqCst));
        metadata.is_event()
            && metadata.target().starts_with(TARGETS)
            && log_level(*metadata.level()) as usize <= passing.wrapping_sub(1)
            && passing > 0
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        let passing = LOG.get().map_or(0, |log| log.level.load(Ordering::SeqCst));
        Some(match passing {
            0 => LevelFilter::OFF,
            1 => LevelFilter::ERROR,
            2 => LevelFilter::WARN,
            3 => LevelFilter::INFO,
            4 => LevelFilter::DEBUG,
            _ => LevelFilter::TRACE,
        })
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let Some(log) = LOG.get() else { return };
        let mut text = EventText::default();
        event.record(&mut text);
        let record = LogRecord {
            level: log_level(*event.metadata().level()),
            target: event.metadata().target().to_owned(),
            text: format!("{}{}", text.message, text.fields),
        };
        if log.queue.try_send(record).is_err() {
            log.dropped.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

fn log_level(level: Level) -> LogLevel {
    match level {
        Level::ERROR => LogLevel::Error,
        Level::WARN => LogLevel::Warn,
        Level::INFO => LogLevel::Info,
        Level::DEBUG => LogLevel::Debug,
        Level::TRACE => LogLevel::Trace,
    }
}

/// The text of an event and its fields.
#[derive(Default)]
struct EventText {
    message: String,
    fields: String,
}

impl Visit for EventText {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a String cannot fail.
        let _ = if field.name() == "message" {
            write!(self.message, "{value:?}")
        } else {
            write!(self.fields, " {}={value:?}", field.name())
        };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    /// Sends each message to the test, and waits until the test lets it go on.
    struct Gate(Mutex<Sender<LogRecord>>, Mutex<Receiver<()>>);

    impl LogHook for Gate {
        fn log(&self, record: LogRecord) -> Result<(), LogHookError> {
            self.0
                .lock()
                .expect("no panic")
                .send(record)
                .expect("the test waits");
            self.1
                .lock()
                .expect("no panic")
                .recv()
                .expect("the test lets it go on");
            Err(LogHookError::Failed {
                reason: "an error of the hook changes nothing".to_owned(),
            })
        }
    }

    // One test, because the subscriber is one for the process.
    #[test]
    fn the_hook_gets_the_projects_messages_and_a_slow_hook_delays_nobody() {
        let (seen, records) = channel();
        let (go_on, gate) = channel();
        set_log_hook(Arc::new(Gate(Mutex::new(seen), Mutex::new(gate))), LogLevel::Info).expect("a log");
        tracing::info!(target: "hyper", "another library");
        tracing::debug!("a detail");
        tracing::warn!(code = "offline", count = 3, "the server is unavailable");
        let record = records.recv().expect("a message");
        assert_eq!(
            record,
            LogRecord {
                level: LogLevel::Warn,
                target: module_path!().to_owned(),
                text: "the server is unavailable code=offline count=3".to_owned(),
            }
        );
        // The hook has not returned. The queue takes its length, and the rest is dropped.
        for number in 0..QUEUE_LENGTH + 7 {
            tracing::info!(number, "one of many");
        }
        go_on.send(()).expect("the hook waits");
        let first = records.recv().expect("a message");
        assert_eq!(first.text, "the log hook is too slow: 7 messages were dropped");
        go_on.send(()).expect("the hook waits");
        for number in 0..QUEUE_LENGTH {
            let record = records.recv().expect("a message");
            assert_eq!(record.text, format!("one of many number={number}"));
            if number + 1 < QUEUE_LENGTH {
                go_on.send(()).expect("the hook waits");
            }
        }
        // The hook is being called: the function returns only after that.
        let clearing = thread::spawn(clear_log_hook);
        while LOG.get().expect("it has started").shared.lock().hook.is_some() {
            thread::yield_now();
        }
        tracing::warn!("nobody hears this");
        go_on.send(()).expect("the hook waits");
        clearing.join().expect("it returns");
        tracing::warn!("nor this");
        assert!(records.try_recv().is_err());
    }
}
