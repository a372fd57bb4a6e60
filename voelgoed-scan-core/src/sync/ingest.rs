//! What becomes of a batch? The facts of all its scans come in, what is to be written and answered goes out; pure.

use std::collections::HashMap;

use crate::model::{
    AnswerSnapshot, Direction, Event, EventId, Gate, Outcome, Passage, PreviousScan, ReasonText, Rules,
    ScanId, ScanRecord, ScanResult, ScannedTicket, Source, TicketCode, TicketFacts, TicketId, Undone,
};
use crate::rules::batch::{tells_previous_scan, tells_ticket};
use crate::rules::{Allowance, ConflictKind, HistoryKind, NewScan};
use crate::sync::log_verification::{begins_anew, log_holds};
use crate::sync::recheck::{Place, Upload, weigh};
use crate::sync::refold::{Histories, KeptScan};
use crate::sync::{
    Fault, Intake, Item, LinkHash, LogPlace, NewSync, Quarantined, Received, SyncFacts, SyncResult,
    SyncStatus, SyncWrites,
};

/// Why an admission of the server is undone whose device sent the person away.
pub const DENIED_AT_GATE: &str = "denied_at_gate";

/// Judges a batch.
#[must_use]
pub fn take(intake: &Intake, mut facts: SyncFacts, rules: &Rules) -> (Vec<SyncResult>, SyncWrites) {
    let touches_record = !facts.log.is_empty();
    let anew = begins_anew(intake, &facts);
    if anew {
        facts.log.clear();
    }
    let trusted = !facts.device.revoked && log_holds(intake, &facts);
    let begins_anew = anew && trusted;
    if begins_anew {
        facts.device.received = Received::default();
    }
    let mut taking = Taking {
        intake,
        rules,
        codes: facts
            .tickets
            .values()
            .map(|one| (one.ticket.code, one.ticket.id))
            .collect(),
        histories: Histories::default(),
        fresh: Vec::new(),
        writes: SyncWrites {
            received: facts.device.received.clone(),
            begins_anew,
            // A batch that meets nothing of what is on record leaves it open.
            settled: trusted && facts.device.may_begin_anew && touches_record,
            ..SyncWrites::default()
        },
        facts,
    };
    for kept in std::mem::take(&mut taking.facts.past) {
        taking.histories.add_stored(kept);
    }
    for known in taking.facts.known.values() {
        taking.histories.add_stored(known.kept.clone());
    }
    let statuses: Vec<_> = intake
        .items
        .iter()
        .map(|item| taking.item(item, trusted))
        .collect();
    if trusted {
        let numbers = intake.items.iter().filter_map(|item| item.sequence);
        taking.writes.received.extend(numbers);
    }
    taking.finish(statuses)
}

enum Taken {
    Recorded(ScanId),
    Replayed(ScanId),
    Rejected(Option<ScanId>, Fault),
    Quarantined(ScanId),
}

/// A new scan, until its ticket's history has spoken.
struct Fresh<'a> {
    upload: &'a Upload,
    log: Option<LogPlace>,
    scan_id: ScanId,
}

struct Taking<'a> {
    intake: &'a Intake,
    rules: &'a Rules,
    facts: SyncFacts,
    codes: HashMap<TicketCode, TicketId>,
    histories: Histories,
    fresh: Vec<Fresh<'a>>,
    writes: SyncWrites,
}

impl<'a> Taking<'a> {
    fn item(&mut self, item: &'a Item, trusted: bool) -> Taken {
        let upload = match &item.upload {
            Ok(upload) => &**upload,
            Err(fault) => return Taken::Rejected(item.scan_id, fault.clone()),
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
                return Taken::Rejected(Some(id), Fault::new("/scan_id", fault));
            }
            if !trusted {
                return Taken::Quarantined(id);
            }
            self.known_again(upload, item.link);
            return Taken::Replayed(id);
        }
        if let Some(before) = self.fresh.iter().find(|fresh| fresh.scan_id == id) {
            let same = before.upload.fingerprint.sha256 == upload.fingerprint.sha256
                && before.upload.scan.direction == scan.direction;
            return if same {
                Taken::Replayed(id)
            } else {
                let fault = "is the id of a scan with another payload or direction";
                Taken::Rejected(Some(id), Fault::new("/scan_id", fault))
            };
        }
        let Some((event, gate)) = self.facts.places.get(&scan.gate_id).cloned() else {
            return Taken::Rejected(Some(id), Fault::new("/gate_id", "is not a gate"));
        };
        if !trusted {
            return self.quarantine(upload, event.id);
        }
        self.record(upload, item.link, &event, &gate);
        Taken::Recorded(id)
    }

    fn quarantine(&mut self, upload: &Upload, event: EventId) -> Taken {
        let scan = &upload.scan;
        let id = scan.scan_id;
        if self.facts.quarantined.contains(&id) {
            return Taken::Quarantined(id);
        }
        if self.facts.quarantine_room == 0 {
            return Taken::Rejected(Some(id), Fault::new("", "the device's quarantine is full"));
        }
        self.facts.quarantine_room -= 1;
        self.facts.quarantined.insert(id);
        let signed = upload.fingerprint.format != Some(crate::model::Format::Bare);
        self.writes.quarantine.push(Quarantined {
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
        Taken::Quarantined(id)
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
        let (device, arrival) = (self.intake.device_id, self.intake.arrival);
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
            let place = LogPlace {
                sequence,
                prev: scan.prev_hash,
                link,
            };
            self.writes.logged.push((scan.scan_id, place));
        }
    }

    fn record(&mut self, upload: &'a Upload, link: LinkHash, event: &Event, gate: &Gate) {
        let scan = &upload.scan;
        let at = self.intake.corrected(scan.scanned_at);
        let place = Place {
            event,
            gate,
            at,
            can_override: self.facts.device.can_override,
            window: self.rules.window,
        };
        let ticket = upload
            .claims
            .ok()
            .and_then(|claims| self.facts.ticket(&self.codes, &claims));
        let worth = weigh(upload, &place, ticket);
        let ticket = ticket.filter(|_| worth.names_ticket).map(|facts| &facts.ticket);
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
            ticket_code: ticket.map(|ticket| ticket.code).or(worth.code),
            event_id: event.id,
            gate_id: gate.id,
            device_id: self.intake.device_id,
            scan_session_id: session,
            result: worth.reason.result(),
            reason: worth.reason,
            would_have_been: worth.would_have_been.map(Outcome::from),
            direction: scan.direction,
            scanned_at: at,
            device_scanned_at: Some(scan.scanned_at),
            received_at: self.intake.arrival,
            source: Source::Sync,
            decided_by: worth.decided_by,
            override_: scan.override_.clone(),
            undone: None,
            local_result: scan.local_result,
            metadata: scan.metadata.clone(),
        };
        self.histories.add_new(KeptScan {
            record,
            part: worth.part,
            conflict: worth.conflict,
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
        self.fresh.push(Fresh {
            upload,
            log: scan.sequence.map(|sequence| LogPlace {
                sequence,
                prev: scan.prev_hash,
                link,
            }),
            scan_id: scan.scan_id,
        });
    }

    fn finish(mut self, taken: Vec<Taken>) -> (Vec<SyncResult>, SyncWrites) {
        let events: HashMap<EventId, &Event> = self
            .facts
            .places
            .values()
            .map(|(event, _)| (event.id, event))
            .collect();
        let window = self.rules.window;
        let allowance = |facts: &TicketFacts, event: EventId| {
            Some(Allowance {
                reentry: events.get(&event)?.reentry,
                entry_limit: facts.ticket.entry_limit,
                window,
            })
        };
        let refolded = self
            .histories
            .refold(&self.facts.tickets, allowance, self.intake.arrival);
        let after: HashMap<TicketId, &TicketFacts> = refolded
            .tickets
            .iter()
            .map(|facts| (facts.ticket.id, facts))
            .collect();
        for fresh in &self.fresh {
            let Some(kept) = self.histories.get(fresh.scan_id) else {
                continue;
            };
            let ticket = kept
                .record
                .ticket_id
                .filter(|_| tells_ticket(kept.record.reason))
                .and_then(|id| after.get(&id).copied().or_else(|| self.facts.tickets.get(&id)));
            self.writes.scans.push(NewSync {
                scan: NewScan {
                    record: kept.record.clone(),
                    fingerprint: fresh.upload.fingerprint,
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
                local_reason: fresh.upload.scan.local_reason,
                log: fresh.log,
            });
        }
        let results = taken.into_iter().map(|one| self.result(one)).collect();
        self.writes.changed = self.histories.changed().cloned().collect();
        self.writes.tickets = refolded.tickets;
        self.writes.counts = refolded.counts;
        (results, self.writes)
    }

    fn previous(&self, kept: &KeptScan) -> Option<PreviousScan> {
        if !tells_previous_scan(kept.record.reason) {
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

    fn result(&self, taken: Taken) -> SyncResult {
        let (scan_id, status, errors) = match taken {
            Taken::Recorded(id) => (Some(id), SyncStatus::Recorded, Vec::new()),
            Taken::Replayed(id) => (Some(id), SyncStatus::Replayed, Vec::new()),
            Taken::Quarantined(id) => (Some(id), SyncStatus::Quarantined, Vec::new()),
            Taken::Rejected(id, fault) => (id, SyncStatus::Rejected, vec![fault]),
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
