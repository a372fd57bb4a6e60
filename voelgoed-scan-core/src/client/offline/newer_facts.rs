//! Whether the phone knows something of a ticket that the server does not have yet.

use crate::client::offline::{State, decide, manifests};
use crate::client::{OfflineError, OfflineScanner};
use crate::manifest::TicketKey;
use crate::model::{EventId, Reading};
use crate::token::medium_of;

impl OfflineScanner {
    /// Returns whether this phone recorded an admission or exit of a ticket of `event` that the server does not have yet.
    /// The phone's facts are then newer than the server's.
    pub(crate) async fn has_newer_facts(
        &self,
        reading: &Reading,
        event: EventId,
    ) -> Result<bool, OfflineError> {
        let state = &mut *self.state.lock().await;
        let claimed = decide::claimed_key(reading, self.setup.organization_id, event);
        let by_medium = self.owner_of(state, reading, event).await?;
        for ticket in claimed.into_iter().chain(by_medium) {
            if state.log.has_unacknowledged_passage(event, ticket).await? {
                return Ok(true);
            }
        }
        Ok(false)
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
