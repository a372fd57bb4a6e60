//! Puts scans of an upload into quarantine.

use crate::model::{Event, Format};
use crate::sync::ingest::{Ingestion, ItemOutcome};
use crate::sync::{QuarantinedPlace, QuarantinedScan, QuarantinedUpload, ScanFault, Upload};

impl Ingestion<'_> {
    /// Puts a scan into quarantine, unless it is full.
    pub(super) fn quarantine(&mut self, upload: &Upload, event: &Event) -> ItemOutcome {
        let scan = &upload.scan;
        let id = scan.scan_id;
        if self.facts.quarantined.contains_key(&id) {
            return ItemOutcome::Quarantined(id);
        }
        if self.facts.quarantine_capacity == 0 {
            return ItemOutcome::Rejected(Some(id), ScanFault::new("", "the device's quarantine is full"));
        }
        self.facts.quarantine_capacity -= 1;
        let place = QuarantinedPlace {
            event_id: event.id,
            gate_id: scan.gate_id,
            at: self.batch.corrected(scan),
        };
        self.facts.quarantined.insert(id, place);
        let is_signed = upload.fingerprint.format != Some(Format::Bare);
        self.writes.quarantine.push(QuarantinedScan {
            scan_id: id,
            event_id: event.id,
            gate_id: scan.gate_id,
            ticket_code: upload
                .claims
                .ok()
                .filter(|_| is_signed)
                .and_then(|claims| claims.ticket_code),
            local_result: scan.local_result,
            direction: scan.direction,
            at: self.batch.corrected(scan),
            device_at: scan.scanned_at,
            payload_sha256: upload.fingerprint.sha256,
            upload: QuarantinedUpload {
                format: upload.fingerprint.format,
                kid: upload.fingerprint.kid,
                claims: upload.claims,
                medium: upload.medium,
                local_reason: scan.local_reason,
                override_: scan.override_.clone(),
                metadata: scan.metadata.clone(),
                sequence: scan.sequence,
            },
        });
        ItemOutcome::Quarantined(id)
    }
}
