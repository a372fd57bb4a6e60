//! Whether the phone knows something of a ticket that the server does not have yet.

use crate::client::offline::clock::ClockReading;
use crate::client::offline::debounce::ReadingKey;
use crate::client::offline::log::Unacknowledged;
use crate::client::offline::{State, decide, manifests};
use crate::client::{Attempt, OfflineError, OfflineScanner};
use crate::manifest::TicketKey;
use crate::model::{EventId, Reading, ScanResult};
use crate::token::medium_of;

impl OfflineScanner {
    /// Returns whether the phone must decide an attempt although the server may answer, because the phone knows more of the
    /// ticket.
    ///
    /// While an admission or exit waits for its upload, the server could admit the ticket again. One that the server has
    /// rejected or put into quarantine may stay unknown to it for ever: the phone then keeps a denial of its own, and
    /// asks where it would admit, because the server may know of another admission.
    pub(crate) async fn must_decide(&self, attempt: &Attempt) -> Result<bool, OfflineError> {
        let state = &mut *self.state.lock().await;
        match self.must_decide_with(state, attempt).await {
            Err(error) if error.is_damage() => {
                self.replace_database(state, error).await?;
                self.must_decide_with(state, attempt).await
            }
            decided => decided,
        }
    }

    async fn must_decide_with(&self, state: &mut State, attempt: &Attempt) -> Result<bool, OfflineError> {
        let Attempt { event_id, scan } = attempt;
        let claimed = decide::claimed_key(&scan.reading, self.setup.organization_id, *event_id);
        let by_medium = self.owner_of(state, &scan.reading, *event_id).await?;
        let mut has_refused = false;
        for ticket in claimed.into_iter().chain(by_medium) {
            match state.log.unacknowledged(*event_id, ticket).await? {
                Some(Unacknowledged::Waiting) => return Ok(true),
                Some(Unacknowledged::Refused) => has_refused = true,
                None => {}
            }
        }
        if !has_refused {
            return Ok(false);
        }
        let key = ReadingKey::of(&scan.reading, scan.gate_id, scan.direction);
        let reading = ClockReading::at(scan.scanned_at, self.clock());
        let time = state.clock.corrected(&reading);
        let would = match manifests::activate(state, &self.setup, *event_id).await {
            Ok(()) => self.verdict_now(state, &key, scan, time).await,
            Err(error) => Err(error),
        };
        match would {
            Ok((verdict, _)) => Ok(verdict.result != ScanResult::Valid),
            Err(error) if error.is_damage() => Err(error),
            // The decision of the phone returns the error.
            Err(_) => Ok(true),
        }
    }

    /// The ticket of the medium that a reading may name, by the manifest of the event.
    async fn owner_of(
        &self,
        state: &mut State,
        reading: &Reading,
        event: EventId,
    ) -> Result<Option<TicketKey>, OfflineError> {
        let Some((medium, _)) = medium_of(reading) else {
            return Ok(None);
        };
        match manifests::activate(state, &self.setup, event).await {
            Ok(()) => {}
            Err(OfflineError::NoManifest) => return Ok(None),
            Err(error) => return Err(error),
        }
        let active = state.active_manifest.as_ref();
        Ok(active.and_then(|active| active.manifest.owner_of(&medium)))
    }
}
