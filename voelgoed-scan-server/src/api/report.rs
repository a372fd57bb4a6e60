//! The report of an event.

use hyper::StatusCode;
use voelgoed_scan_core::report::EventReport;

use crate::auth::Permission;
use crate::problem::Code;
use crate::request::Request;
use crate::resource::Resource;
use crate::response;
use crate::route::{HandlerResult, Route};

/// `GET /api/v1/scanning/events/{id}/report`
pub(crate) fn show() -> Route {
    Route::get(
        "/api/v1/scanning/events/{id}/report",
        "showReport",
        "Shows the report of an event: tickets sold, who came and who did not by class, entries by gate and quarter of an \
         hour, denials by reason, overrides and undos with who and why, conflicts, and what each device did.",
    )
    .responds::<EventReport>(StatusCode::OK, "The report.")
    .resource(|request| Ok(Resource::Event(request.event_id()?)))
    .without_read_timeout()
    .authenticated(Permission::Viewer, run_show)
}

async fn run_show(request: Request) -> HandlerResult {
    let organization = request.organization();
    // Denials that a cache answered are recorded after their answers.
    request.scanner().wait_for_pending_denials(organization).await;
    let report = request
        .store()
        .report(organization, request.event_id()?, request.now)
        .await?;
    let mut report = report.ok_or(Code::NotFound)?;
    if !request.caller.may_see_codes() {
        hide_codes(&mut report);
    }
    Ok(response::ok(&report))
}

fn hide_codes(report: &mut EventReport) {
    for row in &mut report.overrides {
        row.ticket_code = None;
    }
    for row in &mut report.undos {
        row.ticket_code = None;
    }
    for row in &mut report.conflicts {
        row.ticket_code = None;
    }
}
