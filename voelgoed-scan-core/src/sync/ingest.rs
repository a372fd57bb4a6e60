//! Ingests an upload batch: batch and facts in, results and changes out. The functions are pure.

mod history_limits;
mod quarantine;
mod results;

use std::collections::{HashMap, HashSet};

use crate::model::{
    DeviceScope, Direction, Event, Fingerprint, Gate, Outcome, ReasonText, RecordedOverride, RuleSettings,
    ScanId, ScanRecord, ScanResult, Source, TicketCode, TicketId, Undone,
};
use crate::rules::{ConflictKind, HistoryKind};
use crate::sync::event_of_scan::session_at;
use crate::sync::ingest::history_limits::HistorySizes;
use crate::sync::log_verification::{is_log_restart, is_log_valid};
use crate::sync::recheck::{Upload, UploadContext, evaluate};
use crate::sync::refold::{ScanState, TicketHistories};
use crate::sync::{
    LinkHash, LogPosition, ReceivedSequences, ScanFault, SessionSpan, SyncFacts, SyncResult, SyncWrites,
    UploadBatch, UploadChunk, UploadItem,
};

/// The reason of the undo of an admission by the server whose device denied the person.
pub const DENIED_AT_GATE: &str = "denied_at_gate";

/// Why a scan is rejected whose event was deleted after the scan arrived for the first time.
const EVENT_DELETED: &str = "is an event that was deleted";

/// Ingests a chunk of a batch. Returns the result of each of its scans, in order, and the changes to write.
#[must_use]
pub fn ingest(
    chunk: &UploadChunk<'_>,
    mut facts: SyncFacts,
    rules: &RuleSettings,
) -> (Vec<SyncResult>, SyncWrites) {
    let batch = chunk.batch;
    // The log may have scans of this batch already, from an earlier chunk.
    let own: HashSet<ScanId> = batch.items.iter().filter_map(|item| item.scan_id).collect();
    let meets_recorded_log = facts.log.values().any(|(scan, _)| !own.contains(scan));
    let is_restart = is_log_restart(batch, &facts);
    if is_restart {
        facts.log.clear();
    }
    let is_accepted = !facts.device.revoked && is_log_valid(batch, &facts);
    let restarts_log = is_restart && is_accepted;
    if restarts_log {
        facts.device.received = ReceivedSequences::default();
    }
    let writes = SyncWrites {
        restarts_log,
        // A batch that does not meet the recorded log does not decide which log the device continues.
        log_settled: is_accepted && facts.device.may_restart_log && meets_recorded_log,
        ..SyncWrites::default()
    };
    Ingestion::new(chunk, facts, rules, writes).run(&chunk.items, is_accepted)
}

/// Ingests quarantined scans that staff accepted, as if their device were trusted, wherever it may work, and however many
/// scans their tickets have. They take no position in its log, where they may contradict other scans.
#[must_use]
pub fn ingest_accepted(
    chunk: &UploadChunk<'_>,
    mut facts: SyncFacts,
    rules: &RuleSettings,
) -> (Vec<SyncResult>, SyncWrites) {
    facts.log.clear();
    facts.device.scopes.former.clear();
    facts.device.scopes.present = DeviceScope::default();
    let mut ingestion = Ingestion::new(chunk, facts, rules, SyncWrites::default());
    ingestion.history_sizes = None;
    ingestion.run(&chunk.items, true)
}

/// The outcome of one item of a batch.
enum ItemOutcome {
    Recorded(ScanId),
    Replayed(ScanId),
    Rejected(Option<ScanId>, ScanFault),
    Quarantined(ScanId),
}

/// A new scan before its ticket's history is folded.
struct NewUpload<'a> {
    upload: &'a Upload,
    /// The traces of the reading as its event takes it.
    fingerprint: Fingerprint,
    log: Option<LogPosition>,
    scan_id: ScanId,
}

/// The state while a batch is ingested.
struct Ingestion<'a> {
    batch: &'a UploadBatch,
    rules: &'a RuleSettings,
    facts: SyncFacts,
    codes: HashMap<TicketCode, TicketId>,
    histories: TicketHistories,
    /// `None` if the sizes have no limit.
    history_sizes: Option<HistorySizes>,
    new_uploads: Vec<NewUpload<'a>>,
    writes: SyncWrites,
}

impl<'a> Ingestion<'a> {
    fn new(chunk: &UploadChunk<'a>, facts: SyncFacts, rules: &'a RuleSettings, writes: SyncWrites) -> Self {
        let mut ingestion = Self {
            batch: chunk.batch,
            rules,
            codes: facts
                .tickets
                .values()
                .map(|one| (one.ticket.code, one.ticket.id))
                .collect(),
            histories: TicketHistories::default(),
            history_sizes: Some(HistorySizes::of(&facts.history, chunk.batch.device_id)),
            new_uploads: Vec::new(),
            writes: SyncWrites {
                received: facts.device.received.clone(),
                ..writes
            },
            facts,
        };
        for state in std::mem::take(&mut ingestion.facts.history) {
            ingestion.histories.add_stored(state);
        }
        for recorded in ingestion.facts.recorded.values() {
            ingestion.histories.add_stored(recorded.state.clone());
        }
        ingestion
    }

    fn run(mut self, items: &[&'a UploadItem], is_accepted: bool) -> (Vec<SyncResult>, SyncWrites) {
        let outcomes: Vec<_> = items.iter().map(|item| self.item(item, is_accepted)).collect();
        if is_accepted {
            let numbers = items.iter().filter_map(|item| item.sequence);
            self.writes.received.extend(numbers);
        }
        self.finish(outcomes)
    }

    /// Ingests one item. If the batch is not accepted, its scans go into quarantine.
    fn item(&mut self, item: &'a UploadItem, is_accepted: bool) -> ItemOutcome {
        let upload = match &item.upload {
            Ok(upload) => &**upload,
            Err(fault) => return ItemOutcome::Rejected(item.scan_id, fault.clone()),
        };
        let scan = &upload.scan;
        let id = scan.scan_id;
        if let Some(recorded) = self.facts.recorded.get(&id) {
            let record = &recorded.state.record;
            let fault = if record.device_id != Some(self.batch.device_id) {
                Some("is the id of another device's scan")
            } else if !upload.fingerprint.is_of(&recorded.payload_sha256)
                || record.direction != scan.direction
            {
                Some("is the id of a scan with another payload or direction")
            } else {
                None
            };
            if let Some(fault) = fault {
                return ItemOutcome::Rejected(Some(id), ScanFault::new("/scan_id", fault));
            }
            if !self.facts.gates.contains_key(&(record.event_id, record.gate_id)) {
                return ItemOutcome::Rejected(Some(id), ScanFault::new("/event_id", EVENT_DELETED));
            }
            if !is_accepted {
                return ItemOutcome::Quarantined(id);
            }
            self.merge_local_result(upload, item.link);
            return ItemOutcome::Replayed(id);
        }
        if let Some(before) = self
            .new_uploads
            .iter()
            .find(|new_upload| new_upload.scan_id == id)
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
        if !is_accepted && let Some(place) = self.facts.quarantined.get(&id) {
            return if self.facts.gates.contains_key(&(place.event_id, place.gate_id)) {
                ItemOutcome::Quarantined(id)
            } else {
                ItemOutcome::Rejected(Some(id), ScanFault::new("/event_id", EVENT_DELETED))
            };
        }
        let event = match self.facts.event_of(scan, self.batch.corrected(scan)) {
            Ok(event) => event,
            Err(fault) => return ItemOutcome::Rejected(Some(id), fault),
        };
        let Some((mut event, gate)) = self.facts.gates.get(&(event, scan.gate_id)).cloned() else {
            let fault = ScanFault::new("/event_id", "is not an event with this gate");
            return ItemOutcome::Rejected(Some(id), fault);
        };
        // A scan in quarantine keeps the time that its first arrival fixed.
        let at = self.facts.quarantined.get(&id).map(|place| place.at);
        let at = at.unwrap_or_else(|| self.batch.corrected(scan));
        let scope = self.facts.device.scopes.at(at);
        if !is_accepted || !scope.admits_gate(event.id, gate.id) {
            return self.quarantine(upload, &event);
        }
        event.allow_unsigned |= self.facts.device.scopes.could_search(at);
        self.record(upload, item.link, &event, &gate)
    }

    /// Adds the device's result to a scan that the server answered while the device did not receive the answer. Any other
    /// recorded scan stays unchanged.
    fn merge_local_result(&mut self, upload: &Upload, link: LinkHash) {
        let scan = &upload.scan;
        let Some(state) = self.histories.get(scan.scan_id) else {
            return;
        };
        let record = &state.record;
        let (Some(local), Source::Online, None) = (scan.local_result, record.source, record.local_result)
        else {
            return;
        };
        let server_admitted = record.result == ScanResult::Valid;
        let device_admitted = local == ScanResult::Valid;
        let (device, received_at) = (self.batch.device_id, self.batch.received_at);
        let undone = (server_admitted
            && !device_admitted
            && record.direction == Direction::Entry
            && record.undone.is_none())
        .then(|| ReasonText::new(DENIED_AT_GATE).ok())
        .flatten()
        .map(|reason| Undone {
            at: received_at,
            reason: Some(reason),
            device_id: Some(device),
        });
        self.histories.change(scan.scan_id, |state| {
            state.record.local_result = Some(local);
            if !server_admitted && device_admitted {
                state.history_kind = state.record.ticket_id.map(|_| HistoryKind::LetIn);
                state.conflict = Some(ConflictKind::AdmittedOffline);
            }
            if undone.is_some() {
                state.record.undone = undone;
            }
        });
        if let Some(sequence) = scan.sequence {
            let position = LogPosition {
                sequence,
                prev: scan.prev_hash,
                link,
            };
            self.writes.log_positions.push((scan.scan_id, position));
        }
    }

    /// Records a new scan, unless its ticket's history has too many.
    fn record(&mut self, upload: &'a Upload, link: LinkHash, event: &Event, gate: &Gate) -> ItemOutcome {
        let scan = &upload.scan;
        let at = self.batch.corrected(scan);
        let context = UploadContext {
            event,
            gate,
            at,
            can_override: self.facts.device.can_override,
            dedup_window: self.rules.dedup_window,
        };
        let (fingerprint, claims) = upload.read_at(event, |code| self.codes.contains_key(&code));
        let ticket = claims
            .ok()
            .and_then(|claims| self.facts.ticket(&self.codes, &claims));
        let evaluation = evaluate(scan, claims, &context, ticket);
        let ticket = ticket
            .filter(|_| evaluation.names_ticket)
            .map(|facts| &facts.ticket);
        let grows = ticket.filter(|_| evaluation.history_kind.is_some());
        if let (Some(ticket), Some(sizes)) = (grows, &mut self.history_sizes) {
            if !sizes.has_room(ticket.id) {
                return self.quarantine(upload, event);
            }
            sizes.add(ticket.id);
        }
        let position = scan.sequence.map(|sequence| LogPosition {
            sequence,
            prev: scan.prev_hash,
            link,
        });
        // Without a key nothing shows which scan has the number by right, and both people are inside.
        let reuses_number = position.is_some_and(|position| self.belongs_to_other(position, scan.scan_id));
        let position = position.filter(|_| !reuses_number);
        let is_admission = scan.local_result == Some(ScanResult::Valid) && scan.direction == Direction::Entry;
        let conflict = if let Some(conflict) = evaluation.conflict {
            Some(conflict)
        } else if is_admission && ticket.is_some_and(|ticket| self.facts.is_barred(ticket.id, at)) {
            Some(ConflictKind::LetInDespiteStatus)
        } else {
            reuses_number.then_some(ConflictKind::Unverified)
        };
        let is_here = |one: &SessionSpan| one.event_id == event.id && one.gate_id == gate.id;
        let session = session_at(&self.facts.sessions, at, is_here).map(|one| one.id);
        let record = ScanRecord {
            scan_id: scan.scan_id,
            organization_id: self.batch.organization_id,
            ticket_id: ticket.map(|ticket| ticket.id),
            ticket_code: ticket.map(|ticket| ticket.code).or(evaluation.code),
            event_id: event.id,
            gate_id: gate.id,
            device_id: Some(self.batch.device_id),
            api_key_id: None,
            scan_session_id: session,
            result: evaluation.reason.result(),
            reason: evaluation.reason,
            would_have_been: evaluation.would_have_been.map(Outcome::from),
            direction: scan.direction,
            scanned_at: at,
            device_scanned_at: Some(scan.scanned_at),
            received_at: self.batch.received_at,
            source: Source::Sync,
            decided_by: evaluation.decided_by,
            override_: scan.override_.clone().map(RecordedOverride::from),
            undone: None,
            local_result: scan.local_result,
            metadata: scan.metadata.clone(),
        };
        self.histories.add_new(ScanState {
            record,
            history_kind: evaluation.history_kind,
            conflict,
            winner: None,
            gate_name: gate.name.to_string(),
            device_name: self.facts.device.name.clone(),
            entry_limit: None,
        });
        if let Some(session) = session {
            *self.writes.sessions.entry(session).or_default() += 1;
        }
        if self.facts.quarantined.contains_key(&scan.scan_id) {
            self.writes.released.push(scan.scan_id);
        }
        if let Some(position) = position {
            self.facts.log.insert(position.sequence, (scan.scan_id, position));
        }
        self.new_uploads.push(NewUpload {
            upload,
            fingerprint,
            log: position,
            scan_id: scan.scan_id,
        });
        ItemOutcome::Recorded(scan.scan_id)
    }

    /// Whether the number belongs to another scan of the device's log. Then the phone was wiped, or two phones use one token.
    fn belongs_to_other(&self, position: LogPosition, scan: ScanId) -> bool {
        let recorded = self.facts.log.get(&position.sequence);
        recorded.is_some_and(|(owner, _)| *owner != scan)
    }
}
