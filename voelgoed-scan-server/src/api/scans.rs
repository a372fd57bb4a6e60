//! Scans: decide and record, undo, list, export.

use std::sync::Arc;

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::ACCEPT;
use schemars::{JsonSchema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use voelgoed_scan_core::model::{
    DeviceId, DeviceScope, EventId, GateId, OrganizationId, ScanAnswer, ScanId, ScanRecord, ScanRequest,
    ScanResult, SessionId, TicketCode, Timestamp, UndoRequest,
};
use voelgoed_scan_core::node::{ScanError, UndoActor};
use voelgoed_scan_core::store::{Order, Page, PageRequest, ScanFilter, StoreError};

use super::messages::{self, ACCEPT_LANGUAGE, CONTENT_LANGUAGE};
use super::{NDJSON, export};
use crate::auth::{Caller, Permission};
use crate::clock;
use crate::head::{accepts, language};
use crate::json::backwards;
use crate::problem::{Code, FieldError, Problem};
use crate::query::{PageParams, Query};
use crate::request::Request;
use crate::resource::Resource;
use crate::response::{self, List};
use crate::route::{HandlerResult, Json, Route};
use crate::state::ServerState;

/// How many records an export reads at once.
const EXPORT_PAGE_SIZE: u16 = 500;

/// `POST /api/v1/scanning/scan`
pub(crate) fn scan() -> Route {
    Route::post(
        "/api/v1/scanning/scan",
        "scan",
        "Decides whether a person may pass, and records the scan. A denial is a decision as well: the status is 200.",
    )
    .json_body::<ScanRequest>()
    .request_headers(ACCEPT_LANGUAGE)
    .responds::<ScanAnswer>(StatusCode::OK, "The decision.")
    .response_headers(CONTENT_LANGUAGE)
    .problems(&[
        Code::OutOfScope,
        Code::NoActiveSession,
        Code::ScanIdReused,
        Code::ScanUndone,
        Code::Overloaded,
    ])
    .authenticated(Permission::Device, run_scan)
}

/// Drops the unused parts of the request before the first await, which keeps the future of every scan small.
fn run_scan(request: Request<Json<ScanRequest>>) -> impl Future<Output = HandlerResult> + Send {
    let started = clock::stopwatch();
    let device = request.authenticated_device().map(Arc::clone);
    // Only an override is entered in the audit log.
    let origin = request
        .body
        .0
        .override_
        .is_some()
        .then(|| Arc::new(request.audit_context()));
    let (organization, language) = (request.organization(), language(&request.headers));
    let Request {
        state,
        body: Json(scan),
        now,
        ..
    } = request;
    async move {
        let device = device?;
        let (answer, messages) = tokio::join!(
            state.scanner.scan_from(&device, scan, origin, now),
            state.scanner.messages(organization),
        );
        let answer = answer?;
        state.metrics.record_scan(&answer, started.elapsed());
        Ok(messages::worded(answer, &messages, language))
    }
}

impl From<ScanError> for Problem {
    fn from(error: ScanError) -> Self {
        match error {
            ScanError::NoActiveSession => Code::NoActiveSession.into(),
            ScanError::ScanIdReused => Code::ScanIdReused.into(),
            ScanError::ScanUndone => Code::ScanUndone.into(),
            ScanError::OverrideNotAllowed | ScanError::NotAllowed => Code::Forbidden.into(),
            ScanError::DeviceInactive => Code::DeviceInactive.into(),
            ScanError::OutOfScope => Code::OutOfScope.into(),
            ScanError::NotOpen => Self::conflict("Only an open admission can be undone."),
            ScanError::NotQuarantined => Self::conflict("Only a scan in quarantine can be accepted."),
            ScanError::NotAcceptable => Self::conflict(
                "This scan was quarantined by an earlier version, which stored too little of it.",
            ),
            ScanError::NotFound => Code::NotFound.into(),
            ScanError::Overloaded => Code::Overloaded.into(),
            ScanError::Store(error) => Self::storage(&error),
        }
    }
}

/// `POST /api/v1/scanning/scans/{scan_id}/undo`
pub(crate) fn undo() -> Route {
    Route::post(
        "/api/v1/scanning/scans/{scan_id}/undo",
        "undoScan",
        "Undoes an open admission. A device may undo its own within 15 minutes, members any at any time. The record stays \
         and is marked. A repetition gives the same response.",
    )
    .json_body::<UndoRequest>()
    .responds::<ScanRecord>(StatusCode::OK, "The record, marked as undone.")
    .problems(&[Code::Conflict])
    .resource(|request| Ok(Resource::Scan(request.id("scan_id")?)))
    .authenticated(Permission::DeviceOrStaff, run_undo)
}

async fn run_undo(request: Request<Json<UndoRequest>>) -> HandlerResult {
    let scan: ScanId = request.id("scan_id")?;
    let undoer = match &request.caller {
        Caller::Device(authenticated) => UndoActor::Device(authenticated.device.id),
        Caller::Member(_) => UndoActor::Member,
    };
    let reason = &request.body.0.reason;
    let record = request
        .scanner()
        .undo(
            request.organization(),
            scan,
            undoer,
            reason,
            &request.audit_context(),
            request.now,
        )
        .await?;
    Ok(response::ok(&record))
}

/// The filter of a list of scans.
#[derive(Debug, Deserialize, JsonSchema)]
struct ScanListParams {
    /// Only scans of this event.
    #[serde(default)]
    event_id: Option<EventId>,
    /// Only scans at this gate, of all events that have it, or with `event_id` of one.
    #[serde(default)]
    gate_id: Option<GateId>,
    /// Only scans by this device.
    #[serde(default)]
    device_id: Option<DeviceId>,
    /// Only scans of this session.
    #[serde(default)]
    session_id: Option<SessionId>,
    /// Only scans of this ticket.
    #[serde(default)]
    ticket_code: Option<TicketCode>,
    /// Only scans with this result.
    #[serde(default)]
    result: Option<ScanResult>,
    /// Only scans at or after this time.
    #[serde(default)]
    from: Option<Timestamp>,
    /// Only scans at or before this time.
    #[serde(default)]
    to: Option<Timestamp>,
    #[serde(flatten)]
    page: PageParams,
}

impl Query for ScanListParams {
    fn field_errors(&self) -> Vec<FieldError> {
        backwards(self.from, self.to)
            .then(|| FieldError {
                pointer: "/to".to_owned(),
                message: "must not be before from".into(),
            })
            .into_iter()
            .collect()
    }
}

impl ScanListParams {
    /// The filter for a caller. `None` if no scan can match, because a device sees its own scans alone.
    fn filter(&self, caller: &Caller) -> Option<ScanFilter> {
        let device_id = match caller {
            Caller::Device(authenticated) => Some(authenticated.device.id),
            Caller::Member(_) => self.device_id,
        };
        if self.device_id.is_some() && self.device_id != device_id {
            return None;
        }
        Some(ScanFilter {
            event_id: self.event_id,
            gate_id: self.gate_id,
            device_id,
            session_id: self.session_id,
            ticket_code: self.ticket_code,
            result: self.result,
            from: self.from,
            to: self.to,
        })
    }
}

/// A scan in an export, as replay reads it.
#[derive(Debug, Serialize, JsonSchema)]
struct ExportedScan {
    #[serde(flatten)]
    record: ScanRecord,
    /// The ticket's payload, signed again, if the signature of the scan was valid; null for other roles than owner and
    /// admin.
    qr: Option<String>,
}

/// `GET /api/v1/scanning/scans`
pub(crate) fn list() -> Route {
    Route::get(
        "/api/v1/scanning/scans",
        "listScans",
        "Lists scans, newest first. With Accept: application/x-ndjson it streams all scans, oldest first, one per line. A \
         device gets its own scans in its scope alone. A page reads a bounded part of the audit trail: it may hold fewer scans than \
         the limit, even none, and still have a next_cursor.",
    )
    .query::<ScanListParams>()
    .responds_with(
        "A page of scans, or a stream of lines.",
        vec![
            ("application/json", Some(SchemaGenerator::subschema_for::<List<ScanRecord>>)),
            (NDJSON, Some(SchemaGenerator::subschema_for::<ExportedScan>)),
        ],
    )
    .authenticated(Permission::DeviceOrViewer, run_list)
}

async fn run_list(request: Request<(), ScanListParams>) -> HandlerResult {
    let organization = request.organization();
    request
        .scanner()
        .wait_for_pending_denials(request.organization())
        .await;
    let filter = request.query.filter(&request.caller);
    if accepts(&request.headers, &ACCEPT, NDJSON) {
        let export = Export {
            with_qr: request
                .caller
                .role()
                .is_some_and(|role| Permission::Admin.admits_role(role)),
            with_codes: request.caller.may_see_codes(),
            scope: request.scope().cloned(),
            state: request.state,
            organization,
            next_page: filter.is_some().then_some(PageRequest {
                limit: EXPORT_PAGE_SIZE,
                after: None,
            }),
            filter: filter.unwrap_or_default(),
        };
        return export::respond(export).await;
    }
    let page = request.query.page.into();
    let mut scans = match filter {
        Some(filter) => {
            let store = request.store();
            store.scans(organization, &filter, Order::Newest, &page).await?
        }
        None => Page {
            data: Vec::new(),
            next: None,
        },
    };
    if let Some(scope) = request.scope() {
        scans.data.retain(|record| is_within(scope, record));
    }
    if !request.caller.may_see_codes() {
        scans.data.iter_mut().for_each(|record| record.ticket_code = None);
    }
    Ok(response::ok(&List::from(scans)))
}

/// Whether a device with this scope may read the record.
fn is_within(scope: &DeviceScope, record: &ScanRecord) -> bool {
    scope.admits_gate(record.event_id, record.gate_id)
}

/// An export in progress.
struct Export {
    state: Arc<ServerState>,
    organization: OrganizationId,
    filter: ScanFilter,
    with_qr: bool,
    with_codes: bool,
    /// The scope of the device that reads.
    scope: Option<DeviceScope>,
    /// The page to read next; `None` after the last.
    next_page: Option<PageRequest>,
}

impl export::Export for Export {
    async fn read_page(&mut self) -> Result<Option<Bytes>, StoreError> {
        let Some(page) = self.next_page.take() else {
            return Ok(None);
        };
        let store = self.state.scanner.store();
        let scans = store
            .scans(self.organization, &self.filter, Order::Oldest, &page)
            .await?;
        self.next_page = scans.next.map(|after| PageRequest {
            limit: EXPORT_PAGE_SIZE,
            after: Some(after),
        });
        let mut lines = Vec::new();
        let scope = self.scope.as_ref();
        let is_shown = |record: &ScanRecord| scope.is_none_or(|scope| is_within(scope, record));
        for mut record in scans.data.into_iter().filter(is_shown) {
            let qr = if self.with_qr {
                self.state.admin.export_qr(&record).await?
            } else {
                None
            };
            if !self.with_codes {
                record.ticket_code = None;
            }
            let line = serde_json::to_vec(&ExportedScan { record, qr })
                .map_err(|error| StoreError::failed(error.to_string()))?;
            lines.extend_from_slice(&line);
            lines.push(b'\n');
        }
        Ok(Some(lines.into()))
    }
}
