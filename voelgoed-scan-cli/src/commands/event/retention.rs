//! `event delete-personal-data` and `event delete`.

use serde::{Deserialize, Serialize};
use voelgoed_scan_core::model::{Event as CoreEvent, EventId};

use crate::client::Client;
use crate::commands::confirm::Confirmation;
use crate::failure::Failure;
use crate::output::Report;

/// The answer of the server.
#[derive(Debug, Serialize, Deserialize)]
struct DeletedPersonalData {
    tickets: u64,
}

/// Deletes the personal data of an event.
pub(super) async fn delete_personal_data(
    client: &Client,
    event: EventId,
    confirmation: Confirmation,
) -> Result<Report, Failure> {
    let path = format!("/api/v1/events/{event}");
    let name = client.get::<CoreEvent>(&path).await?.name;
    confirmation.ask(&format!(
        "Delete the names, orders, notes, seats and wristbands of all tickets of {name}, for good?"
    ))?;
    let deleted: DeletedPersonalData = client.delete_patiently(&format!("{path}/personal-data")).await?;
    let text = format!(
        "Deleted the personal data of {} tickets of {name}.",
        deleted.tickets
    );
    Report::one(&deleted, text)
}

/// Deletes an archived event.
pub(super) async fn delete(
    client: &Client,
    event: EventId,
    confirmation: Confirmation,
) -> Result<Report, Failure> {
    let path = format!("/api/v1/events/{event}");
    let name = client.get::<CoreEvent>(&path).await?.name;
    confirmation.ask(&format!(
        "Delete {name} with all its tickets and scans, for good? `prune --archive` keeps a copy of them."
    ))?;
    client.delete(&path).await?;
    let deleted = serde_json::json!({ "id": event, "deleted": true });
    Report::one(
        &deleted,
        format!("Deleted {name}. The server removes its rows in the background."),
    )
}
