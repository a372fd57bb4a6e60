//! Sends the deliveries of one webhook.
//!
//! A turn writes the results of attempts and leases the next deliveries in one transaction. Results that arrive during a
//! turn go together into the next one.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::StatusCode;
use tokio::task::JoinSet;
use tokio::time::timeout;
use uuid::Uuid;
use voelgoed_scan_core::delivery::next_wait;
use voelgoed_scan_core::model::{DeliveryId, WebhookSecret};
use voelgoed_scan_core::store::{
    ClaimedDelivery, SettledDelivery, Settlement, StoreError, TicketPlace, WebhookKey,
};

use super::attempt::{AttemptResult, Message};
use super::concurrency::Concurrency;
use super::places::Place;
use super::{RELEASE_TIMEOUT, STOP_TIMEOUT, Shared, Signal};

/// How long results wait for others while more deliveries are to be sent.
const BATCH_DELAY: Duration = Duration::from_millis(20);

/// The pause after the database failed.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// The worker of a webhook.
pub(super) struct Worker {
    webhook: WebhookKey,
    shared: Arc<Shared>,
    signal: Arc<Signal>,
    concurrency: Concurrency,
    attempts: JoinSet<SettledDelivery>,
    /// The deliveries under way.
    leased: HashMap<DeliveryId, Option<TicketPlace>>,
    /// Results that are not written yet.
    settled: Vec<SettledDelivery>,
}

impl Worker {
    pub(super) fn new(webhook: WebhookKey, shared: Arc<Shared>, signal: Arc<Signal>) -> Self {
        Self {
            webhook,
            shared,
            signal,
            concurrency: Concurrency::default(),
            attempts: JoinSet::new(),
            leased: HashMap::new(),
            settled: Vec::new(),
        }
    }

    /// Whether there may be deliveries that the worker has not looked for. Resets the signal.
    pub(super) fn has_signal(&self) -> bool {
        !self.shared.stopping.is_cancelled() && self.signal.is_due.swap(false, Ordering::AcqRel)
    }

    /// Sends what is due. Returns when nothing is left, or when the server stops.
    pub(super) async fn run(&mut self) {
        while !self.shared.stopping.is_cancelled() {
            let places = self.free_places();
            let limit = places.len();
            let mut is_drained = false;
            if limit > 0 || !self.settled.is_empty() {
                match self.take_turn(limit).await {
                    Ok(deliveries) => {
                        is_drained = deliveries.len() < limit;
                        for (delivery, place) in deliveries.into_iter().zip(places) {
                            self.start(delivery, place);
                        }
                    }
                    Err(error) => {
                        // Others may use them meanwhile.
                        drop(places);
                        tracing::warn!(%error, "webhook deliveries could not be leased or settled");
                        if self.attempts.is_empty() && self.settled.is_empty() {
                            return;
                        }
                        self.pause(RETRY_INTERVAL).await;
                        self.collect();
                        continue;
                    }
                }
            }
            if self.attempts.is_empty() {
                if is_drained {
                    return;
                }
            } else {
                self.wait(is_drained).await;
            }
        }
        self.stop().await;
    }

    /// Takes places for as many attempts as may start.
    fn free_places(&self) -> Vec<Place> {
        let free = self.concurrency.limit().saturating_sub(self.attempts.len());
        let mut places = Vec::new();
        if free > 0 && self.attempts.is_empty() {
            places.push(Place::Own);
        }
        while places.len() < free
            && let Some(place) = self.shared.places.take(self.webhook.organization_id)
        {
            places.push(place);
        }
        places
    }

    /// Writes the results and leases the next deliveries.
    async fn take_turn(&mut self, limit: usize) -> Result<Vec<Ready>, StoreError> {
        let limit = u16::try_from(limit).unwrap_or(u16::MAX);
        let deliveries = self.shared.scanner.deliveries();
        let leased = deliveries.take_turn(self.webhook, &self.settled, limit).await?;
        self.settled.clear();
        let Some(leased) = leased else {
            return Ok(Vec::new());
        };
        let url: Arc<str> = leased.url.into();
        let secrets: Arc<[WebhookSecret]> = leased.secrets.into();
        let ready = leased.deliveries.into_iter().map(|delivery| Ready {
            delivery,
            url: Arc::clone(&url),
            secrets: Arc::clone(&secrets),
        });
        Ok(ready.collect())
    }

    fn start(&mut self, ready: Ready, place: Place) {
        self.leased.insert(ready.delivery.id, ready.delivery.place);
        let shared = Arc::clone(&self.shared);
        self.attempts.spawn(async move {
            let settled = ready.send(&shared).await;
            drop(place);
            settled
        });
    }

    /// Waits for results, or where the worker could send more, for deliveries.
    async fn wait(&mut self, is_drained: bool) {
        tokio::select! {
            ended = self.attempts.join_next() => {
                if let Some(ended) = ended {
                    self.note(ended);
                }
                if !is_drained && !self.attempts.is_empty() {
                    self.pause(BATCH_DELAY).await;
                }
            }
            () = self.signal.wait(), if is_drained => {}
            () = self.shared.stopping.cancelled() => {}
        }
        self.collect();
    }

    /// Takes the results that are there.
    fn collect(&mut self) {
        while let Some(ended) = self.attempts.try_join_next() {
            self.note(ended);
        }
    }

    fn note(&mut self, ended: Result<SettledDelivery, tokio::task::JoinError>) {
        match ended {
            Ok(settled) => {
                self.leased.remove(&settled.id);
                self.concurrency.note(settled.settlement == Settlement::Delivered);
                self.settled.push(settled);
            }
            // Its lease ends by itself, and then it is sent again.
            Err(error) if error.is_panic() => {
                tracing::error!(%error, "an attempt to send a webhook panicked");
            }
            Err(_) => {}
        }
    }

    async fn pause(&self, duration: Duration) {
        // The timeout is the pause.
        let _ = timeout(duration, self.shared.stopping.cancelled()).await;
    }

    /// Waits for the attempts under way, and gives up the leases of those that take too long.
    async fn stop(&mut self) {
        let finish = async {
            while let Some(ended) = self.attempts.join_next().await {
                self.note(ended);
            }
        };
        if timeout(STOP_TIMEOUT, finish).await.is_err() {
            self.collect();
            self.attempts.abort_all();
        }
        let released = self.leased.drain().map(|(id, place)| SettledDelivery {
            id,
            place,
            settlement: Settlement::Released,
            status: None,
            error: None,
        });
        self.settled.extend(released);
        if self.settled.is_empty() {
            return;
        }
        let written = timeout(RELEASE_TIMEOUT, self.take_turn(0)).await;
        if !matches!(written, Ok(Ok(_))) {
            tracing::warn!("the last webhook deliveries could not be settled; another node sends them again");
        }
    }
}

/// A delivery that is leased, with what its attempt needs.
struct Ready {
    delivery: ClaimedDelivery,
    url: Arc<str>,
    secrets: Arc<[WebhookSecret]>,
}

impl Ready {
    async fn send(self, shared: &Shared) -> SettledDelivery {
        let ClaimedDelivery {
            id,
            body,
            attempts,
            place,
        } = self.delivery;
        let result = shared
            .sender
            .send(Message {
                url: &self.url,
                id,
                secrets: &self.secrets,
                body,
                at: shared.clock.now(),
            })
            .await;
        let settlement = settlement(&result, attempts + 1, random());
        shared.metrics.count_attempt(settlement);
        SettledDelivery {
            id,
            place,
            settlement,
            status: result.status.map(|status| status.as_u16()),
            error: result.error,
        }
    }
}

/// What follows from an attempt. `attempts` counts it.
fn settlement(result: &AttemptResult, attempts: u32, random: u32) -> Settlement {
    if result.error.is_none() {
        Settlement::Delivered
    } else if result.status == Some(StatusCode::GONE) {
        Settlement::Gone
    } else {
        next_wait(attempts, random, result.retry_after).map_or(Settlement::Failed, Settlement::Retry)
    }
}

/// A random number.
fn random() -> u32 {
    Uuid::new_v4().as_fields().0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, retry_after: Option<u64>) -> AttemptResult {
        let status = StatusCode::from_u16(status).expect("a status");
        AttemptResult {
            status: Some(status),
            error: (!status.is_success()).then_some("unexpected_status"),
            retry_after: retry_after.map(Duration::from_secs),
        }
    }

    #[test]
    fn an_answer_says_whether_and_when_a_delivery_is_sent_again() {
        let no_answer = AttemptResult {
            status: None,
            error: Some("timed_out"),
            retry_after: None,
        };
        let seconds = |seconds| Settlement::Retry(Duration::from_secs(seconds));
        for (result, attempts, expected) in [
            (answer(200, None), 1, Settlement::Delivered),
            (answer(204, None), 10, Settlement::Delivered),
            (answer(500, None), 1, seconds(5)),
            (answer(404, None), 2, seconds(300)),
            (answer(302, None), 9, seconds(86_400)),
            (answer(500, None), 10, Settlement::Failed),
            (answer(503, Some(7)), 3, seconds(7)),
            (answer(429, Some(7200)), 1, seconds(7200)),
            (answer(429, Some(1)), 10, Settlement::Failed),
            (answer(410, None), 1, Settlement::Gone),
            (answer(410, Some(60)), 10, Settlement::Gone),
            (no_answer.clone(), 1, seconds(5)),
            (no_answer, 10, Settlement::Failed),
        ] {
            assert_eq!(
                settlement(&result, attempts, 0),
                expected,
                "{result:?} {attempts}"
            );
        }
    }
}
