//! The number of people inside, for the steward's status line.

use crate::client::{ClientError, ScannerClient};
use crate::model::EventOccupancy;

impl ScannerClient {
    /// Returns the counters of the session's event and of its gates. Needs the server.
    pub async fn occupancy(&self) -> Result<EventOccupancy, ClientError> {
        let session = self.offline.session().await.ok_or(ClientError::NoActiveSession)?;
        self.get(format!("/api/v1/scanning/events/{}/occupancy", session.event_id))
            .await
    }
}
