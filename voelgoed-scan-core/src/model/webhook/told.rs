//! What a webhook is told: the bodies of deliveries, and their ids.

use serde::Serialize;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::model::{
    DecidedBy, DeliveryId, DeviceId, Direction, EventId, GateId, OrganizationId, Outcome, Reason, ScanId,
    ScanRecord, ScanResult, SessionId, Source, TicketCode, TicketId, Timestamp, WebhookId, WebhookType,
};

/// The maximum size of a body in bytes.
pub(crate) const MAX_BODY_BYTES: usize = 20 * 1024;

/// The text that is sent: `{"type","timestamp","data"}`. The time is that of what happened.
pub(crate) fn body(
    kind: WebhookType,
    at: Timestamp,
    data: &impl Serialize,
) -> Result<String, serde_json::Error> {
    #[derive(Serialize)]
    struct Body<'a, T> {
        #[serde(rename = "type")]
        kind: WebhookType,
        timestamp: Timestamp,
        data: &'a T,
    }
    let text = serde_json::to_string(&Body {
        kind,
        timestamp: at,
        data,
    })?;
    debug_assert!(text.len() <= MAX_BODY_BYTES, "{kind} has a bounded size");
    Ok(text)
}

impl DeliveryId {
    /// The id of what tells a webhook of a subject once: always the same for the same three (UUID version 8). `what` is the
    /// type, and where a subject has several of a type also which one.
    #[must_use]
    pub fn of(webhook: WebhookId, what: &str, subject: &Uuid) -> Self {
        let mut hash = Sha256::new();
        hash.update(webhook.as_uuid().as_bytes());
        hash.update(subject.as_bytes());
        hash.update(what.as_bytes());
        let hash: [u8; 32] = hash.finalize().into();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(hash.split_at(16).0);
        Self::from_uuid(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }
}

/// What an entry of a feed tells.
///
/// The entry of a new scan tells its decision. A later one tells an undo, or that a scan counts as an entry or an exit after
/// all. It says nothing of a scan that is denied after all: an admission that an upload turned down is a conflict.
#[must_use]
pub(crate) fn kind_of_entry(record: &ScanRecord, is_change: bool) -> Option<WebhookType> {
    if is_change && record.undone.is_some() {
        return Some(WebhookType::ScanUndone);
    }
    match (record.result, record.direction) {
        (ScanResult::Valid, Direction::Entry) => Some(WebhookType::ScanAdmitted),
        (ScanResult::Valid, Direction::Exit) => Some(WebhookType::ScanExited),
        _ if is_change => None,
        _ => Some(WebhookType::ScanDenied),
    }
}

/// The record of a scan as webhooks get it: without metadata and without what people wrote.
#[derive(Debug, Serialize)]
pub(crate) struct ToldScan<'a> {
    scan_id: ScanId,
    organization_id: OrganizationId,
    ticket_id: Option<TicketId>,
    ticket_code: Option<TicketCode>,
    event_id: EventId,
    gate_id: GateId,
    device_id: DeviceId,
    scan_session_id: Option<SessionId>,
    result: ScanResult,
    reason: Reason,
    would_have_been: &'a Option<Outcome>,
    direction: Direction,
    scanned_at: Timestamp,
    device_scanned_at: Option<Timestamp>,
    received_at: Timestamp,
    source: Source,
    decided_by: DecidedBy,
    #[serde(rename = "override")]
    override_: Option<ToldOverride>,
    undone: Option<ToldUndo>,
    local_result: Option<ScanResult>,
}

#[derive(Debug, Serialize)]
struct ToldOverride {}

#[derive(Debug, Serialize)]
struct ToldUndo {
    at: Timestamp,
    device_id: Option<DeviceId>,
}

impl<'a> ToldScan<'a> {
    /// The record for a webhook that gets ticket codes, or for one that does not. The undo is told by `scan.undone` alone.
    #[must_use]
    pub(crate) fn new(record: &'a ScanRecord, kind: WebhookType, codes: bool) -> Self {
        // Each field is named, so that a new one does not compile until somebody decides whether it is told.
        let ScanRecord {
            scan_id,
            organization_id,
            ticket_id,
            ticket_code,
            event_id,
            gate_id,
            device_id,
            scan_session_id,
            result,
            reason,
            would_have_been,
            direction,
            scanned_at,
            device_scanned_at,
            received_at,
            source,
            decided_by,
            override_,
            undone,
            local_result,
            metadata: _,
        } = record;
        let undone = undone.as_ref().filter(|_| kind == WebhookType::ScanUndone);
        Self {
            scan_id: *scan_id,
            organization_id: *organization_id,
            ticket_id: *ticket_id,
            ticket_code: ticket_code.filter(|_| codes),
            event_id: *event_id,
            gate_id: *gate_id,
            device_id: *device_id,
            scan_session_id: *scan_session_id,
            result: *result,
            reason: *reason,
            would_have_been,
            direction: *direction,
            scanned_at: *scanned_at,
            device_scanned_at: *device_scanned_at,
            received_at: *received_at,
            source: *source,
            decided_by: *decided_by,
            override_: override_.as_ref().map(|_| ToldOverride {}),
            undone: undone.map(|undone| ToldUndo {
                at: undone.at,
                device_id: undone.device_id,
            }),
            local_result: *local_result,
        }
    }

    /// When what is told happened.
    #[must_use]
    pub(crate) fn at(&self) -> Timestamp {
        self.undone.as_ref().map_or(self.scanned_at, |undone| undone.at)
    }
}
