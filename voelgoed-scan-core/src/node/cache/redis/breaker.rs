//! A circuit breaker: after the first failure Redis is not called until a probe succeeds.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::time::Instant;

/// The state of the ticket cache in Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RedisHealth {
    /// Whether Redis is used at present.
    pub up: bool,
    /// How many calls failed or timed out since the start.
    pub failures: u64,
}

/// Closed while Redis works.
pub(super) struct CircuitBreaker {
    closed: AtomicBool,
    failures: AtomicU64,
}

impl Default for CircuitBreaker {
    fn default() -> Self {
        Self {
            closed: AtomicBool::new(true),
            failures: AtomicU64::new(0),
        }
    }
}

impl CircuitBreaker {
    pub(super) fn health(&self) -> RedisHealth {
        RedisHealth {
            up: self.is_closed(),
            failures: self.failures.load(Ordering::Relaxed),
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Closes the breaker after a successful probe.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        tracing::info!("the ticket cache uses Redis again");
    }

    /// Runs a call unless the breaker is open. A failure or a timeout opens it and gives `None`.
    pub(super) async fn call<T>(
        &self,
        deadline: Instant,
        call: impl Future<Output = redis::RedisResult<T>>,
    ) -> Option<T> {
        if !self.is_closed() {
            return None;
        }
        let failure = match tokio::time::timeout_at(deadline, call).await {
            Ok(Ok(answer)) => return Some(answer),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer in time".to_owned(),
        };
        self.failures.fetch_add(1, Ordering::Relaxed);
        if self.closed.swap(false, Ordering::Relaxed) {
            tracing::warn!(
                failure,
                "the ticket cache does not use Redis until Redis answers again"
            );
        }
        None
    }
}
