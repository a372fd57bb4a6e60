//! The undo of a scan.

use hyper::StatusCode;
use voelgoed_scan_core::model::{ScanId, ScanRecord, UndoRequest};
use voelgoed_scan_core::node::UndoActor;

use crate::auth::{Caller, Permission};
use crate::call::Call;
use crate::problem::Code;
use crate::reply;
use crate::route::{Answer, Json, Route};
use crate::thing::Thing;

/// `POST /api/v1/scanning/scans/{scan_id}/undo`
pub(crate) fn undo() -> Route {
    Route::post(
        "/api/v1/scanning/scans/{scan_id}/undo",
        "undoScan",
        "Takes an open admission back: a device its own within 15 minutes, members at any time. The record stays, \
         marked; twice is the same answer.",
    )
    .takes::<UndoRequest>()
    .answers::<ScanRecord>(StatusCode::OK, "The record, marked as undone.")
    .may_fail(&[Code::Conflict])
    .names(|call| Ok(Thing::Scan(call.id("scan_id")?)))
    .by(Permission::DeviceOrStaff, run)
}

async fn run(call: Call<Json<UndoRequest>>) -> Answer {
    let scan: ScanId = call.id("scan_id")?;
    let by = match &call.caller {
        Caller::Device(authenticated) => UndoActor::Device(authenticated.device.id),
        Caller::Member(_) => UndoActor::Member,
    };
    let reason = &call.body.0.reason;
    let record = call
        .scanner()
        .undo(call.organization(), scan, by, reason, call.now)
        .await?;
    Ok(reply::ok(&record))
}
