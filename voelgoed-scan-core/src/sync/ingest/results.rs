//! The results and the changes of an ingested batch.

use std::collections::HashMap;

use crate::model::{
    AnswerSnapshot, Event, EventId, Passage, PreviousScan, ScannedTicket, TicketFacts, TicketId,
};
use crate::rules::batch::{shows_previous_scan, shows_ticket};
use crate::rules::{ConflictKind, NewScan};
use crate::sync::ingest::{Ingestion, ItemOutcome};
use crate::sync::{NewSyncedScan, ScanState, SyncResult, SyncStatus, SyncWrites};

impl Ingestion<'_> {
    /// Folds the histories and makes the results and the changes.
    pub(super) fn finish(mut self, outcomes: Vec<ItemOutcome>) -> (Vec<SyncResult>, SyncWrites) {
        let events: HashMap<EventId, &Event> = self
            .facts
            .gates
            .values()
            .map(|(event, _)| (event.id, event))
            .collect();
        let former = &self.facts.former_rules;
        let rules = |facts: &TicketFacts, event: EventId| {
            Some(former.of_ticket(&facts.ticket, events.get(&event)?, self.rules))
        };
        let refolded = self
            .histories
            .refold(&self.facts.tickets, rules, self.batch.received_at);
        let after: HashMap<TicketId, &TicketFacts> = refolded
            .tickets
            .iter()
            .map(|facts| (facts.ticket.id, facts))
            .collect();
        for new_upload in &self.new_uploads {
            let Some(state) = self.histories.get(new_upload.scan_id) else {
                continue;
            };
            let ticket = state
                .record
                .ticket_id
                .filter(|_| shows_ticket(state.record.reason))
                .and_then(|id| after.get(&id).copied().or_else(|| self.facts.tickets.get(&id)));
            self.writes.scans.push(NewSyncedScan {
                scan: NewScan {
                    record: state.record.clone(),
                    fingerprint: new_upload.fingerprint,
                    snapshot: AnswerSnapshot {
                        gate_name: state.gate_name.clone(),
                        ticket: ticket.map(|facts| ScannedTicket::from(&facts.ticket)),
                        previous_scan: self.previous_scan(state),
                        warnings: Vec::new(),
                        desk_name: None,
                    },
                },
                history_kind: state.history_kind,
                conflict: state.conflict,
                winner: state.winner,
                local_reason: new_upload.upload.scan.local_reason,
                log: new_upload.log,
            });
        }
        let results = outcomes.into_iter().map(|one| self.result(one)).collect();
        self.writes.changed = self.histories.changed().cloned().collect();
        let decisions = self.histories.changed_decisions();
        self.writes.changed_decisions = decisions
            .map(|record| (record.event_id, record.scan_id))
            .collect();
        self.writes.opened_conflicts = self.histories.opened_conflicts().collect();
        let quarantined = self.writes.quarantine.iter().map(|_| ConflictKind::Unverified);
        self.writes.opened_conflicts.extend(quarantined);
        self.writes.tickets = refolded.tickets;
        self.writes.counts = refolded.counts;
        (results, self.writes)
    }

    fn previous_scan(&self, state: &ScanState) -> Option<PreviousScan> {
        if !shows_previous_scan(state.record.reason) {
            return None;
        }
        let winner = self.histories.get(state.winner?)?;
        let passage = Passage {
            scan_id: winner.record.scan_id,
            at: winner.record.scanned_at,
            gate_id: winner.record.gate_id,
            gate_name: winner.gate_name.clone(),
            device_id: winner.record.scanned_by(),
            device_name: winner.device_name.clone(),
        };
        Some(PreviousScan::of(
            &passage,
            state.record.scanned_by(),
            state.record.scanned_at,
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
        let state = scan_id
            .filter(|_| on_record)
            .and_then(|id| self.histories.get(id));
        SyncResult {
            scan_id,
            status,
            result: state.map(|state| state.record.result),
            reason: state.map(|state| state.record.reason),
            conflict: state.and_then(|state| self.histories.conflict(state.record.scan_id)),
            errors,
        }
    }
}
