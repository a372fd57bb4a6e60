//! The tickets of an event: list them all, or search.

use hyper::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;
use voelgoed_scan_core::model::{TicketListing, TicketStatus};

use crate::auth::Permission;
use crate::call::Call;
use crate::problem::Code;
use crate::query::{Paging, Query};
use crate::reply::{self, List};
use crate::route::{Answer, Route};
use crate::thing::Thing;

/// Which tickets are asked for.
#[derive(Debug, Deserialize, JsonSchema)]
struct Wanted {
    /// The start of a code, of a holder's name or of an order; without it all tickets, for owner and admin alone.
    #[serde(default)]
    #[schemars(length(min = 3, max = 200))]
    q: Option<String>,
    /// With this status.
    #[serde(default)]
    status: Option<TicketStatus>,
    #[serde(flatten)]
    page: Paging,
}

impl Query for Wanted {}

/// `GET /api/v1/events/{id}/tickets`
pub(crate) fn list() -> Route {
    Route::get(
        "/api/v1/events/{id}/tickets",
        "listTickets",
        "Searches the tickets of an event, or lists them all. The only call that shows personal data.",
    )
    .asks::<Wanted>()
    .answers::<List<TicketListing>>(StatusCode::OK, "A page of tickets, in the order of their codes.")
    .names(|call| Ok(Thing::Event(call.event_id()?)))
    .permits(|call| match call.query.q {
        Some(_) => Permission::Search,
        None => Permission::Admin,
    })
    .by(Permission::Search, run)
}

async fn run(call: Call<(), Wanted>) -> Answer {
    let event = call.event_id()?;
    let organization = call.organization();
    let Wanted { q, status, page } = &call.query;
    let tickets = call
        .store()
        .tickets(organization, event, q.as_deref(), *status, &(*page).into())
        .await?;
    // No tickets, or no event to have any?
    if tickets.data.is_empty() && call.store().event(organization, event).await?.is_none() {
        return Err(Code::NotFound.into());
    }
    Ok(reply::ok(&List::from(tickets)))
}
