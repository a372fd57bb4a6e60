//! What becomes of a batch? The facts of all its scans come in, what is to be written and answered goes out; pure.

use std::collections::HashMap;

use crate::model::{
    AnswerSnapshot, Direction, Event, EventId, Gate, Outcome, Passage, PreviousScan, ReasonText,
    RuleSettings, ScanId, ScanRecord, ScanResult, ScannedTicket, Source, TicketCode, TicketFacts, TicketId,
    Undone,
};
use crate::rules::batch::{shows_previous_scan, shows_ticket};
use crate::rules::{Allowance, ConflictKind, HistoryKind, NewScan};
use crate::sync::log_verification::{is_log_restart, is_log_valid};
use crate::sync::recheck::{Upload, UploadContext, evaluate};
use crate::sync::refold::{ScanState, TicketHistories};
use crate::sync::{
    LinkHash, LogPosition, NewSyncedScan, QuarantinedScan, ReceivedSequences, ScanFault, SyncFacts,
    SyncResult, SyncStatus, SyncWrites, UploadBatch, UploadItem,
};

/// Why an admission of the server is undone whose device sent the person away.
pub const DENIED_AT_GATE: &str = "denied_at_gate";

/// Judges a batch.
#[must_use]
pub fn ingest(
    intake: &UploadBatch,
    mut facts: SyncFacts,
    rules: &RuleSettings,
) -> (Vec<SyncResult>, SyncWrites) {
    let touches_record = !facts.log.is_empty();
    let anew = is_log_restart(intake, &facts);
    if anew {
        facts.log.clear();
    }
    let trusted = !facts.device.revoked && is_log_valid(intake, &facts);
    let restarts_log = anew && trusted;
    if restarts_log {
        facts.device.received = ReceivedSequences::default();
    }
    let mut ingestion = Ingestion {
        intake,
        rules,
        codes: facts
            .tickets
            .values()
            .map(|one| (one.ticket.code, one.ticket.id))
            .collect(),
        histories: TicketHistories::default(),
        new_uploads: Vec::new(),
        writes: SyncWrites {
            received: facts.device.received.clone(),
            restarts_log,
            // A batch that meets nothing of what is on record leaves it open.
            log_settled: trusted && facts.device.may_restart_log && touches_record,
            ..SyncWrites::default()
        },
        facts,
    };
    for kept in std::mem::take(&mut ingestion.facts.past) {
        ingestion.histories.add_stored(kept);
    }
    for known in ingestion.facts.known.values() {
        ingestion.histories.add_stored(known.kept.clone());
    }
    let statuses: Vec<_> = intake
        .items
        .iter()
        .map(|item| ingestion.item(item, trusted))
        .collect();
    if trusted {
        let numbers = intake.items.iter().filter_map(|item| item.sequence);
        ingestion.writes.received.extend(numbers);
    }
    ingestion.finish(statuses)
}

enum ItemOutcome {
    Recorded(ScanId),
    Replayed(ScanId),
    Rejected(Option<ScanId>, ScanFault),
    Quarantined(ScanId),
}

/// A new scan, until its ticket's history has spoken.
struct NewUpload<'a> {
    upload: &'a Upload,
    log: Option<LogPosition>,
    scan_id: ScanId,
}

struct Ingestion<'a> {
    intake: &'a UploadBatch,
    rules: &'a RuleSettings,
    facts: SyncFacts,
    codes: HashMap<TicketCode, TicketId>,
    histories: TicketHistories,
    new_uploads: Vec<NewUpload<'a>>,
    writes: SyncWrites,
}

impl<'a> Ingestion<'a> {
    fn item(&mut self, item: &'a UploadItem, trusted: bool) -> ItemOutcome {
        let upload = match &item.upload {
            Ok(upload) => &**upload,
            Err(fault) => return ItemOutcome::Rejected(item.scan_id, fault.clone()),
        };
        let scan = &upload.scan;
        let id = scan.scan_id;
        if let Some(known) = self.facts.known.get(&id) {
            let record = &known.kept.record;
            let fault = if record.device_id != self.intake.device_id {
                Some("is the id of another device's scan")
            } else if known.payload_sha256 != upload.fingerprint.sha256 || record.direction != scan.direction
            {
                Some("is the id of a scan with another payload or direction")
            } else {
                None
            };
            if let Some(fault) = fault {
                return ItemOutcome::Rejected(Some(id), ScanFault::new("/scan_id", fault));
            }
            if !trusted {
                return ItemOutcome::Quarantined(id);
            }
            self.known_again(upload, item.link);
            return ItemOutcome::Replayed(id);
        }
        if let Some(before) = self
            .new_uploads
            .iter()
            .find(|new_uploads| new_uploads.scan_id == id)
        {
            let same = before.upload.fingerprint.sha256 == upload.fingerprint.sha256
                && before.upload.scan.direction == scan.direction;
            return if same {
                ItemOutcome::Replayed(id)
            } else {
                let fault = "is the id of a scan with another payload or direction";
                ItemOutcome::Rejected(Some(id), ScanFault::new("/scan_id", fault))
            };
        }
        let Some((event, gate)) = self.facts.places.get(&scan.gate_id).cloned() else {
            return ItemOutcome::Rejected(Some(id), ScanFault::new("/gate_id", "is not a gate"));
        };
        if !trusted {
            return self.quarantine(upload, event.id);
        }
        self.record(upload, item.link, &event, &gate);
        ItemOutcome::Recorded(id)
    }

    fn quarantine(&mut self, upload: &Upload, event: EventId) -> ItemOutcome {
        let scan = &upload.scan;
        let id = scan.scan_id;
        if self.facts.quarantined.contains(&id) {
            return ItemOutcome::Quarantined(id);
        }
        if self.facts.quarantine_capacity == 0 {
            return ItemOutcome::Rejected(Some(id), ScanFault::new("", "the device's quarantine is full"));
        }
        self.facts.quarantine_capacity -= 1;
        self.facts.quarantined.insert(id);
        let signed = upload.fingerprint.format != Some(crate::model::Format::Bare);
        self.writes.quarantine.push(QuarantinedScan {
            scan_id: id,
            event_id: event,
            gate_id: scan.gate_id,
            ticket_code: upload
                .claims
                .ok()
                .filter(|_| signed)
                .and_then(|claims| claims.ticket_code),
            local_result: scan.local_result,
            direction: scan.direction,
            at: self.intake.corrected(scan.scanned_at),
            device_at: scan.scanned_at,
            payload_sha256: upload.fingerprint.sha256,
        });
        ItemOutcome::Quarantined(id)
    }

    /// A scan that is on record. One that the server answered, and whose answer the device did not hear, meets here
    /// what the device then did; all else stays.
    fn known_again(&mut self, upload: &Upload, link: LinkHash) {
        let scan = &upload.scan;
        let Some(kept) = self.histories.get(scan.scan_id) else {
            return;
        };
        let record = &kept.record;
        let (Some(local), Source::Online, None) = (scan.local_result, record.source, record.local_result)
        else {
            return;
        };
        let server_let_in = record.result == ScanResult::Valid;
        let device_let_in = local == ScanResult::Valid;
        let (device, arrival) = (self.intake.device_id, self.intake.received_at);
        let undone = (server_let_in
            && !device_let_in
            && record.direction == Direction::Entry
            && record.undone.is_none())
        .then(|| ReasonText::new(DENIED_AT_GATE).ok())
        .flatten()
        .map(|reason| Undone {
            at: arrival,
            reason,
            device_id: Some(device),
        });
        self.histories.change(scan.scan_id, |kept| {
            kept.record.local_result = Some(local);
            if !server_let_in && device_let_in {
                kept.part = kept.record.ticket_id.map(|_| HistoryKind::LetIn);
                kept.conflict = Some(ConflictKind::AdmittedOffline);
            }
            if undone.is_some() {
                kept.record.undone = undone;
            }
        });
        if let Some(sequence) = scan.sequence {
            let place = LogPosition {
                sequence,
                prev: scan.prev_hash,
                link,
            };
            self.writes.log_positions.push((scan.scan_id, place));
        }
    }

    fn record(&mut self, upload: &'a Upload, link: LinkHash, event: &Event, gate: &Gate) {
        let scan = &upload.scan;
        let at = self.intake.corrected(scan.scanned_at);
        let place = UploadContext {
            event,
            gate,
            at,
            can_override: self.facts.device.can_override,
            dedup_window: self.rules.dedup_window,
        };
        let ticket = upload
            .claims
            .ok()
            .and_then(|claims| self.facts.ticket(&self.codes, &claims));
        let evaluation = evaluate(upload, &place, ticket);
        let ticket = ticket
            .filter(|_| evaluation.names_ticket)
            .map(|facts| &facts.ticket);
        let session = self
            .facts
            .sessions
            .iter()
            .filter(|one| one.from <= at && one.until.is_none_or(|until| at <= until))
            .max_by_key(|one| (one.from, one.id))
            .map(|one| one.id);
        let record = ScanRecord {
            scan_id: scan.scan_id,
            organization_id: self.intake.organization_id,
            ticket_id: ticket.map(|ticket| ticket.id),
            ticket_code: ticket.map(|ticket| ticket.code).or(evaluation.code),
            event_id: event.id,
            gate_id: gate.id,
            device_id: self.intake.device_id,
            scan_session_id: session,
            result: evaluation.reason.result(),
            reason: evaluation.reason,
            would_have_been: evaluation.would_have_been.map(Outcome::from),
            direction: scan.direction,
            scanned_at: at,
            device_scanned_at: Some(scan.scanned_at),
            received_at: self.intake.received_at,
            source: Source::Sync,
            decided_by: evaluation.decided_by,
            override_: scan.override_.clone(),
            undone: None,
            local_result: scan.local_result,
            metadata: scan.metadata.clone(),
        };
        self.histories.add_new(ScanState {
            record,
            part: evaluation.part,
            conflict: evaluation.conflict,
            winner: None,
            gate_name: gate.name.to_string(),
            device_name: self.facts.device.name.clone(),
            entry_limit: None,
        });
        if let Some(session) = session {
            *self.writes.sessions.entry(session).or_default() += 1;
        }
        if self.facts.quarantined.contains(&scan.scan_id) {
            self.writes.released.push(scan.scan_id);
        }
        self.new_uploads.push(NewUpload {
            upload,
            log: scan.sequence.map(|sequence| LogPosition {
                sequence,
                prev: scan.prev_hash,
                link,
            }),
            scan_id: scan.scan_id,
        });
    }

    fn finish(mut self, outcomes: Vec<ItemOutcome>) -> (Vec<SyncResult>, SyncWrites) {
        let events: HashMap<EventId, &Event> = self
            .facts
            .places
            .values()
            .map(|(event, _)| (event.id, event))
            .collect();
        let dedup_window = self.rules.dedup_window;
        let allowance = |facts: &TicketFacts, event: EventId| {
            Some(Allowance {
                reentry: events.get(&event)?.reentry,
                entry_limit: facts.ticket.entry_limit,
                dedup_window,
            })
        };
        let refolded = self
            .histories
            .refold(&self.facts.tickets, allowance, self.intake.received_at);
        let after: HashMap<TicketId, &TicketFacts> = refolded
            .tickets
            .iter()
            .map(|facts| (facts.ticket.id, facts))
            .collect();
        for new_uploads in &self.new_uploads {
            let Some(kept) = self.histories.get(new_uploads.scan_id) else {
                continue;
            };
            let ticket = kept
                .record
                .ticket_id
                .filter(|_| shows_ticket(kept.record.reason))
                .and_then(|id| after.get(&id).copied().or_else(|| self.facts.tickets.get(&id)));
            self.writes.scans.push(NewSyncedScan {
                scan: NewScan {
                    record: kept.record.clone(),
                    fingerprint: new_uploads.upload.fingerprint,
                    shown: AnswerSnapshot {
                        gate_name: kept.gate_name.clone(),
                        ticket: ticket.map(|facts| ScannedTicket::from(&facts.ticket)),
                        previous_scan: self.previous(kept),
                        warnings: Vec::new(),
                    },
                },
                part: kept.part,
                conflict: kept.conflict,
                winner: kept.winner,
                local_reason: new_uploads.upload.scan.local_reason,
                log: new_uploads.log,
            });
        }
        let results = outcomes.into_iter().map(|one| self.result(one)).collect();
        self.writes.changed = self.histories.changed().cloned().collect();
        self.writes.tickets = refolded.tickets;
        self.writes.counts = refolded.counts;
        (results, self.writes)
    }

    fn previous(&self, kept: &ScanState) -> Option<PreviousScan> {
        if !shows_previous_scan(kept.record.reason) {
            return None;
        }
        let winner = self.histories.get(kept.winner?)?;
        let passage = Passage {
            scan_id: winner.record.scan_id,
            at: winner.record.scanned_at,
            gate_id: winner.record.gate_id,
            gate_name: winner.gate_name.clone(),
            device_id: winner.record.device_id,
            device_name: winner.device_name.clone(),
        };
        Some(PreviousScan::of(
            &passage,
            kept.record.device_id,
            kept.record.scanned_at,
        ))
    }

    fn result(&self, outcomes: ItemOutcome) -> SyncResult {
        let (scan_id, status, errors) = match outcomes {
            ItemOutcome::Recorded(id) => (Some(id), SyncStatus::Recorded, Vec::new()),
            ItemOutcome::Replayed(id) => (Some(id), SyncStatus::Replayed, Vec::new()),
            ItemOutcome::Quarantined(id) => (Some(id), SyncStatus::Quarantined, Vec::new()),
            ItemOutcome::Rejected(id, fault) => (id, SyncStatus::Rejected, vec![fault]),
        };
        let on_record = matches!(status, SyncStatus::Recorded | SyncStatus::Replayed);
        let kept = scan_id
            .filter(|_| on_record)
            .and_then(|id| self.histories.get(id));
        SyncResult {
            scan_id,
            status,
            result: kept.map(|kept| kept.record.result),
            reason: kept.map(|kept| kept.record.reason),
            conflict: kept.and_then(|kept| self.histories.conflict(kept.record.scan_id)),
            errors,
        }
    }
}
