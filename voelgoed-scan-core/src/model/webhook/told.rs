//! What a webhook is told: the bodies of deliveries, and their ids.

use serde::Serialize;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::model::{
    ApiKeyId, DecidedBy, DeliveryId, DeviceId, Direction, EventId, GateId, OrganizationId, Outcome, Reason,
    ScanId, ScanRecord, ScanResult, SessionId, Source, TicketCode, TicketId, Timestamp, WebhookId,
    WebhookType,
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
    device_id: Option<DeviceId>,
    api_key_id: Option<ApiKeyId>,
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
            api_key_id,
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
            api_key_id: *api_key_id,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn id<T: From<Uuid>>(number: u128) -> T {
        Uuid::from_u128(number).into()
    }

    fn record(change: &serde_json::Value) -> ScanRecord {
        let id = |number: u128| Uuid::from_u128(number);
        let mut record = serde_json::json!({
            "scan_id": id(1), "organization_id": id(2), "ticket_id": id(3), "ticket_code": "3KQR7F924M1XaB0z",
            "event_id": id(4), "gate_id": id(5), "device_id": id(6), "scan_session_id": id(7), "result": "valid",
            "reason": "admitted", "would_have_been": null, "direction": "entry",
            "scanned_at": "2026-11-22T18:00:00Z", "device_scanned_at": null, "received_at": "2026-11-22T18:00:00Z",
            "source": "online", "decided_by": "database", "override": null, "undone": null, "local_result": null,
            "metadata": null,
        });
        for (field, value) in change.as_object().into_iter().flatten() {
            record[field] = value.clone();
        }
        serde_json::from_value(record).expect("a record")
    }

    #[test]
    fn an_entry_of_a_feed_tells_what_its_scan_came_to() {
        use WebhookType::{ScanAdmitted, ScanDenied, ScanExited, ScanUndone};
        let undone =
            serde_json::json!({ "at": "2026-11-22T18:01:00Z", "reason": "a mistake", "device_id": null });
        for (result, reason, direction, is_undone, is_change, expected) in [
            ("valid", "admitted", "entry", false, false, Some(ScanAdmitted)),
            ("valid", "readmitted", "entry", false, false, Some(ScanAdmitted)),
            ("valid", "overridden", "entry", false, false, Some(ScanAdmitted)),
            ("valid", "exited", "exit", false, false, Some(ScanExited)),
            (
                "duplicate",
                "already_scanned",
                "entry",
                false,
                false,
                Some(ScanDenied),
            ),
            ("refused", "not_inside", "exit", false, false, Some(ScanDenied)),
            (
                "invalid_token",
                "malformed",
                "entry",
                false,
                false,
                Some(ScanDenied),
            ),
            // The first entry of a scan that was undone since.
            ("valid", "admitted", "entry", true, false, Some(ScanAdmitted)),
            ("valid", "admitted", "entry", true, true, Some(ScanUndone)),
            // Admitted after all, and denied after all.
            ("valid", "admitted", "entry", false, true, Some(ScanAdmitted)),
            ("valid", "exited", "exit", false, true, Some(ScanExited)),
            ("duplicate", "already_scanned", "entry", false, true, None),
        ] {
            let mut change =
                serde_json::json!({ "result": result, "reason": reason, "direction": direction });
            if is_undone {
                change["undone"] = undone.clone();
            }
            let kind = kind_of_entry(&record(&change), is_change);
            assert_eq!(kind, expected, "{change} {is_change}");
        }
    }

    #[test]
    fn the_id_of_a_delivery_derives_from_what_it_tells() {
        let (webhook, subject) = (id::<WebhookId>(1), Uuid::from_u128(2));
        let told = DeliveryId::of(webhook, "scan.admitted", &subject);
        assert_eq!(told, DeliveryId::of(webhook, "scan.admitted", &subject));
        assert_ne!(told, DeliveryId::of(webhook, "scan.undone", &subject));
        assert_ne!(told, DeliveryId::of(id(3), "scan.admitted", &subject));
        assert_ne!(
            told,
            DeliveryId::of(webhook, "scan.admitted", &Uuid::from_u128(3))
        );
        assert_eq!(told.as_uuid().get_version_num(), 8);
    }

    #[test]
    fn a_record_has_far_less_than_the_maximum_of_a_body() {
        let large = record(&serde_json::json!({
            "would_have_been": { "result": "invalid_token", "reason": "unsigned_not_allowed" },
            "result": "valid", "reason": "overridden", "device_scanned_at": "2026-11-22T18:00:00Z",
            "override": { "reason": "\"".repeat(500) },
            "undone": { "at": "2026-11-22T18:01:00Z", "reason": "𝕏".repeat(500), "device_id": Uuid::from_u128(9) },
            "local_result": "invalid_token",
            "metadata": { "x": "y".repeat(4000) },
        }));
        let kind = WebhookType::ScanUndone;
        let told = ToldScan::new(&large, kind, true);
        let body = body(kind, told.at(), &told).expect("JSON");
        assert!(body.len() < 2048, "{}", body.len());
        assert!(body.len() < MAX_BODY_BYTES);
        assert!(
            !body.contains('𝕏') && !body.contains("yyyy") && !body.contains("\\\""),
            "{body}"
        );
    }
}
