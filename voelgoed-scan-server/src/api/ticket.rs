//! One ticket: show it, change what became of it.

use hyper::StatusCode;
use voelgoed_scan_core::model::{Ticket, TicketPatch};

use crate::auth::Permission;
use crate::call::Call;
use crate::route::{Answer, Json, Route};
use crate::thing::Thing;

const PATH: &str = "/api/v1/events/{id}/tickets/{code}";

/// `GET /api/v1/events/{id}/tickets/{code}`
pub(crate) fn show() -> Route {
    Route::get(PATH, "showTicket", "Shows a ticket, without personal data.")
        .answers::<Ticket>(StatusCode::OK, "The ticket.")
        .names(|call| Ok(Thing::Ticket(call.event_id()?, call.code()?)))
        .by(Permission::Viewer, run_show)
}

async fn run_show(call: Call) -> Answer {
    let (event, code) = (call.event_id()?, call.code()?);
    let facts = call.store().ticket(call.organization(), event, code).await?;
    super::found(facts.map(|facts| facts.ticket))
}

/// `PATCH /api/v1/events/{id}/tickets/{code}`
pub(crate) fn change() -> Route {
    Route::patch(
        PATH,
        "changeTicket",
        "Voids, refunds, uses up or reactivates a ticket.",
    )
    .takes::<TicketPatch>()
    .answers::<Ticket>(StatusCode::OK, "The ticket as it is now.")
    .names(|call| Ok(Thing::Ticket(call.event_id()?, call.code()?)))
    .by(Permission::Admin, run_change)
}

async fn run_change(call: Call<Json<TicketPatch>>) -> Answer {
    let (event, code, status) = (call.event_id()?, call.code()?, call.body.0.status);
    let admin = call.admin();
    let facts = admin
        .set_ticket_status(call.organization(), event, code, status, call.now)
        .await?;
    super::found(facts.map(|facts| facts.ticket))
}
