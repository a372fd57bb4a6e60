//! Uploads of scans that a device decided offline, and the conflicts that they cause.

use std::sync::Arc;

use bytes::Bytes;
use hyper::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;
use voelgoed_scan_core::model::{DeviceStatus, EventId, ScanId, ScanRecord};
use voelgoed_scan_core::rules::ConflictKind;
use voelgoed_scan_core::store::{Acceptance, ConflictFilter};
use voelgoed_scan_core::sync::{AcceptRequest, BatchFault, Conflict, ReceivedScan, SyncAnswer, SyncRequest};

use crate::auth::{Caller, Permission};
use crate::body::{BodyReader, MAX_BODY_BYTES};
use crate::json::SchemaValidator;
use crate::problem::{Code, FieldError, Problem};
use crate::query::{PageParams, Query};
use crate::request::Request;
use crate::resource::Resource;
use crate::response::{self, List};
use crate::route::{BodyKind, FromBody, HandlerResult, Json, RawBody, Route, schema_of};

/// The size limit of the body of an upload, in bytes. Only an active device may send more than [`MAX_BODY_BYTES`].
const MAX_UPLOAD_BYTES: usize = 16 * 1024 * 1024;

/// The body of an upload. A body of at most [`MAX_BODY_BYTES`] is read at once; a larger one is read outside the async
/// workers.
pub(crate) enum UploadBody {
    Read(SyncRequest<ReceivedScan>),
    Unread(Bytes),
}

impl FromBody for UploadBody {
    const KIND: BodyKind = BodyKind::Json(schema_of::<SyncRequest>, MAX_UPLOAD_BYTES);

    fn from_body(raw: RawBody, _: &SchemaValidator) -> Result<Self, Problem> {
        match raw {
            RawBody::Full(bytes) if bytes.len() <= MAX_BODY_BYTES => read(&bytes).map(Self::Read),
            RawBody::Full(bytes) => Ok(Self::Unread(bytes)),
            RawBody::Stream(_) => Err(Code::Internal.into()),
        }
    }
}

impl UploadBody {
    async fn read(self, reader: &BodyReader) -> Result<SyncRequest<ReceivedScan>, Problem> {
        match self {
            Self::Read(upload) => Ok(upload),
            Self::Unread(bytes) => reader
                .parse(move || read(&bytes))
                .await
                .unwrap_or_else(|| Err(Code::Internal.into())),
        }
    }
}

fn read(bytes: &[u8]) -> Result<SyncRequest<ReceivedScan>, Problem> {
    SyncRequest::read(bytes).map_err(|fault| match fault {
        BatchFault::NotJson => Code::MalformedJson.into(),
        BatchFault::Invalid(faults) => Problem::invalid(
            faults
                .into_iter()
                .map(|fault| FieldError {
                    pointer: fault.pointer,
                    message: fault.message.into(),
                })
                .collect(),
        ),
    })
}

/// `POST /api/v1/scanning/sync`
pub(crate) fn sync() -> Route {
    Route::post(
        "/api/v1/scanning/sync",
        "sync",
        "Uploads a batch of scans that the device decided offline. Each scan has its own outcome: an invalid scan does \
         not affect the others, and a known scan is returned as it is recorded. A device has one upload under way: a \
         second one gets 429. A revoked device may send 64 KiB.",
    )
    .body::<UploadBody>()
    .responds::<SyncAnswer>(StatusCode::OK, "The outcome of each scan.")
    .responds::<SyncAnswer>(
        StatusCode::ACCEPTED,
        "The device was revoked: its scans are stored separately and admit no one.",
    )
    .problems(&[Code::Overloaded])
    .one_per_device()
    .authenticated(Permission::DeviceEvenRevoked, run_sync)
}

async fn run_sync(request: Request<UploadBody>) -> HandlerResult {
    let authenticated = Arc::clone(request.authenticated_device()?);
    let origin = request.audit_context();
    let upload = request.body.read(&request.state.body_reader).await?;
    let answer = request
        .state
        .scanner
        .sync(&authenticated, upload, Some(origin), request.now)
        .await?;
    request.state.metrics.count_upload(&answer);
    let status = match authenticated.device.status {
        DeviceStatus::Active => StatusCode::OK,
        DeviceStatus::Inactive => StatusCode::ACCEPTED,
    };
    Ok(response::json(status, &answer))
}

/// The filter of a list of conflicts.
#[derive(Debug, Deserialize, JsonSchema)]
struct ConflictListParams {
    /// Only conflicts of this event.
    #[serde(default)]
    event_id: Option<EventId>,
    /// Only conflicts of this kind.
    #[serde(default)]
    kind: Option<ConflictKind>,
    #[serde(flatten)]
    page: PageParams,
}

impl Query for ConflictListParams {}

/// `GET /api/v1/scanning/conflicts`
pub(crate) fn list_conflicts() -> Route {
    Route::get(
        "/api/v1/scanning/conflicts",
        "listConflicts",
        "Lists conflicts, newest first by the time of the scan that lost.",
    )
    .query::<ConflictListParams>()
    .responds::<List<Conflict>>(StatusCode::OK, "A page of conflicts.")
    .authenticated(Permission::Viewer, run_list_conflicts)
}

async fn run_list_conflicts(request: Request<(), ConflictListParams>) -> HandlerResult {
    let filter = ConflictFilter {
        event_id: request.query.event_id,
        kind: request.query.kind,
    };
    let page = request.query.page.into();
    let mut conflicts = request
        .scanner()
        .conflicts(request.organization(), &filter, &page)
        .await?;
    if !request.caller.may_see_codes() {
        conflicts
            .data
            .iter_mut()
            .for_each(|conflict| conflict.ticket_code = None);
    }
    Ok(response::ok(&List::from(conflicts)))
}

/// `POST /api/v1/scanning/conflicts/{scan_id}/accept`
pub(crate) fn accept() -> Route {
    Route::post(
        "/api/v1/scanning/conflicts/{scan_id}/accept",
        "acceptScan",
        "Records a quarantined scan as if its device were trusted. A repetition gives the same response.",
    )
    .json_body::<AcceptRequest>()
    .responds::<ScanRecord>(StatusCode::OK, "The record of the scan.")
    .problems(&[Code::ScanIdReused, Code::Conflict])
    .resource(|request| Ok(Resource::ReceivedScan(request.id("scan_id")?)))
    .authenticated(Permission::Admin, run_accept)
}

async fn run_accept(request: Request<Json<AcceptRequest>>) -> HandlerResult {
    let scan: ScanId = request.id("scan_id")?;
    let Caller::Member(key) = &request.caller else {
        return Err(Code::Forbidden.into());
    };
    let acceptance = Acceptance {
        reason: request.body.0.reason.clone(),
        api_key_id: key.id,
        at: request.now,
    };
    let record = request
        .scanner()
        .accept(
            request.organization(),
            scan,
            &acceptance,
            &request.audit_context(),
        )
        .await?;
    Ok(response::ok(&record))
}
