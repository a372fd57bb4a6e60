//! The audit trail: a page of it, or all of it as a stream of lines.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use hyper::body::Frame;
use schemars::{JsonSchema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use voelgoed_scan_core::model::{
    DeviceId, EventId, GateId, OrganizationId, ScanRecord, ScanResult, TicketCode, Timestamp,
};
use voelgoed_scan_core::store::{Order, PageRequest, ScanFilter, StoreError};

use crate::answer::accepts;
use crate::auth::Permission;
use crate::call::Call;
use crate::node::Node;
use crate::query::{Paging, Query};
use crate::reply::{self, BrokenOff, List};
use crate::route::{Answer, Route};

const NDJSON: &str = "application/x-ndjson";

/// How many records an export reads at once.
const EXPORT_PAGE: u16 = 500;

/// Which scans are asked for.
#[derive(Debug, Deserialize, JsonSchema)]
struct Wanted {
    /// Of this event.
    #[serde(default)]
    event_id: Option<EventId>,
    /// At this gate.
    #[serde(default)]
    gate_id: Option<GateId>,
    /// By this device.
    #[serde(default)]
    device_id: Option<DeviceId>,
    /// Of this ticket.
    #[serde(default)]
    ticket_code: Option<TicketCode>,
    /// With this result.
    #[serde(default)]
    result: Option<ScanResult>,
    /// From here on, inclusive.
    #[serde(default)]
    from: Option<Timestamp>,
    /// Until here, inclusive.
    #[serde(default)]
    to: Option<Timestamp>,
    #[serde(flatten)]
    page: Paging,
}

impl Query for Wanted {}

impl Wanted {
    fn filter(&self) -> ScanFilter {
        ScanFilter {
            event_id: self.event_id,
            gate_id: self.gate_id,
            device_id: self.device_id,
            ticket_code: self.ticket_code,
            result: self.result,
            from: self.from,
            to: self.to,
        }
    }
}

/// A scan in an export: what replay reads.
#[derive(Debug, Serialize, JsonSchema)]
struct ExportedScan {
    #[serde(flatten)]
    record: ScanRecord,
    /// The ticket's payload, signed afresh, where the scan's signature had held; null for other roles than owner and
    /// admin.
    qr: Option<String>,
}

/// `GET /api/v1/scanning/scans`
pub(crate) fn list() -> Route {
    Route::get(
        "/api/v1/scanning/scans",
        "listScans",
        "Lists scans, newest first. With Accept: application/x-ndjson it streams all of them, oldest first, a line each.",
    )
    .asks::<Wanted>()
    .answers_as(
        "A page of scans, or a stream of lines.",
        vec![
            ("application/json", Some(SchemaGenerator::subschema_for::<List<ScanRecord>>)),
            (NDJSON, Some(SchemaGenerator::subschema_for::<ExportedScan>)),
        ],
    )
    .by(Permission::Viewer, run)
}

async fn run(call: Call<(), Wanted>) -> Answer {
    let filter = call.query.filter();
    let organization = call.organization();
    call.scanner().wait_for_pending_denials().await;
    if accepts(&call.headers, NDJSON) {
        let export = Export {
            with_qr: call
                .caller
                .role()
                .is_some_and(|role| Permission::Admin.admits_role(role)),
            node: call.node,
            organization,
            filter,
            page: Some(PageRequest {
                limit: EXPORT_PAGE,
                after: None,
            }),
        };
        return export.answer().await;
    }
    let page = call.query.page.into();
    let scans = call
        .store()
        .scans(organization, &filter, Order::Newest, &page)
        .await?;
    Ok(reply::ok(&List::from(scans)))
}

struct Export {
    node: Arc<Node>,
    organization: OrganizationId,
    filter: ScanFilter,
    with_qr: bool,
    /// The page to read next; none after the last.
    page: Option<PageRequest>,
}

impl Export {
    /// Reads the first page before it answers, so that a database that does not answer is a 503.
    async fn answer(mut self) -> Answer {
        let first = self.next_page().await?;
        let rest = stream::try_unfold(self, |mut export| async move {
            match export.next_page().await {
                Ok(lines) => Ok(lines.map(|lines| (Frame::data(lines), export))),
                Err(error) => {
                    tracing::error!(%error, "an export broke off");
                    Err(BrokenOff)
                }
            }
        });
        let first = stream::iter(first.map(|lines| Ok(Frame::data(lines))));
        Ok(reply::stream(NDJSON, futures_util::StreamExt::chain(first, rest)))
    }

    async fn next_page(&mut self) -> Result<Option<Bytes>, StoreError> {
        let Some(page) = self.page.take() else {
            return Ok(None);
        };
        let store = self.node.scanner.store();
        let scans = store
            .scans(self.organization, &self.filter, Order::Oldest, &page)
            .await?;
        self.page = scans.next.map(|after| PageRequest {
            limit: EXPORT_PAGE,
            after: Some(after),
        });
        let mut lines = Vec::new();
        for record in scans.data {
            let qr = if self.with_qr {
                self.node.admin.export_qr(&record).await?
            } else {
                None
            };
            let line = serde_json::to_vec(&ExportedScan { record, qr })
                .map_err(|error| StoreError::failed(error.to_string()))?;
            lines.extend_from_slice(&line);
            lines.push(b'\n');
        }
        Ok(Some(lines.into()))
    }
}
