//! The records of decided scans, and their answers.

use crate::model::{
    AnswerSnapshot, Attempt, Decided, Denial, Fingerprint, NamedGate, Occupancy, Outcome, RecordedOverride,
    ScanAnswer, ScanRecord,
};
use crate::rules::batch::decide::ScanDecision;
use crate::rules::batch::{BatchFacts, BatchWrites, KnownScan, SessionFacts};

/// A scan to write.
#[derive(Debug, Clone, PartialEq)]
pub struct NewScan {
    /// The record.
    pub record: ScanRecord,
    /// The traces of the payload.
    pub fingerprint: Fingerprint,
    /// The other parts of the answer, for retries.
    pub snapshot: AnswerSnapshot,
}

impl NewScan {
    /// The record of a denial that a cache answered.
    #[must_use]
    pub fn denied(attempt: Attempt, denial: Denial) -> Self {
        let Outcome { result, reason } = Outcome::from(denial.reason);
        let code = denial.claims.and_then(|claims| claims.ticket_code);
        let record = ScanRecord {
            scan_id: attempt.scan_id,
            organization_id: attempt.organization_id,
            ticket_id: denial.ticket.as_ref().map(|ticket| ticket.id),
            ticket_code: code,
            event_id: attempt.event_id,
            gate_id: attempt.gate_id,
            device_id: attempt.scanned_by.device_id(),
            api_key_id: attempt.scanned_by.api_key_id(),
            scan_session_id: attempt.scanned_by.session_id(),
            result,
            reason,
            would_have_been: None,
            direction: attempt.direction,
            scanned_at: attempt.now,
            device_scanned_at: attempt.device_scanned_at,
            received_at: attempt.now,
            source: attempt.scanned_by.source(),
            decided_by: denial.decided_by,
            override_: attempt.override_.map(RecordedOverride::from),
            undone: None,
            local_result: None,
            metadata: attempt.metadata,
        };
        let snapshot = AnswerSnapshot {
            gate_name: attempt.gate_name,
            ticket: denial.ticket,
            previous_scan: denial.previous_scan,
            warnings: attempt.warnings,
            desk_name: attempt.scanned_by.desk_name(),
        };
        Self {
            record,
            fingerprint: attempt.fingerprint,
            snapshot,
        }
    }
}

/// Adds a decided scan to the writes and to the known scans.
pub(super) fn write(
    attempt: &Attempt,
    session: &SessionFacts,
    decision: ScanDecision,
    facts: &mut BatchFacts,
    writes: &mut BatchWrites,
) -> Decided {
    let organization = attempt.organization_id;
    let Outcome { result, reason } = Outcome::from(decision.reason);
    let record = ScanRecord {
        scan_id: attempt.scan_id,
        organization_id: organization,
        ticket_id: decision
            .ticket
            .as_ref()
            .map(|facts| facts.ticket.id)
            .or(decision.answer_ticket.as_ref().map(|ticket| ticket.id)),
        ticket_code: decision
            .ticket
            .as_ref()
            .map(|facts| facts.ticket.code)
            .or(decision.claims.and_then(|claims| claims.ticket_code)),
        event_id: session.event.id,
        gate_id: session.gate.id,
        device_id: attempt.scanned_by.device_id(),
        api_key_id: attempt.scanned_by.api_key_id(),
        scan_session_id: attempt.scanned_by.session_id(),
        result,
        reason,
        would_have_been: decision.would_have_been.map(Outcome::from),
        direction: attempt.direction,
        scanned_at: decision.at,
        device_scanned_at: attempt.device_scanned_at,
        received_at: attempt.now,
        source: attempt.scanned_by.source(),
        decided_by: decision.decided_by,
        override_: attempt.override_.clone().map(RecordedOverride::from),
        undone: None,
        local_result: None,
        metadata: attempt.metadata.clone(),
    };
    let snapshot = AnswerSnapshot {
        gate_name: session.gate.name.to_string(),
        ticket: decision.answer_ticket,
        previous_scan: decision.previous_scan,
        warnings: attempt.warnings.clone(),
        desk_name: attempt.scanned_by.desk_name(),
    };
    let answer = build_answer(&record, &snapshot, facts.occupancy(session, decision.day));
    let known = KnownScan {
        scanned_by: attempt.scanned_by.id(),
        payload_sha256: attempt.fingerprint.sha256,
        direction: attempt.direction,
        undone: false,
        answer: answer.clone(),
    };
    facts.known_scans.insert((organization, attempt.scan_id), known);
    writes
        .counts
        .entry((organization, session.event.id, session.gate.id))
        .or_default()
        .results
        .count(result);
    if let Some(session) = attempt.scanned_by.session_id() {
        *writes.sessions.entry((organization, session)).or_default() += 1;
    }
    writes.scans.push(NewScan {
        record: record.clone(),
        fingerprint: attempt.fingerprint,
        snapshot,
    });
    Decided {
        answer,
        record,
        ticket: decision.ticket,
    }
}

/// The answer of a record and its snapshot.
#[must_use]
pub fn build_answer(record: &ScanRecord, snapshot: &AnswerSnapshot, occupancy: Occupancy) -> ScanAnswer {
    ScanAnswer {
        scan_id: Some(record.scan_id),
        result: record.result,
        reason: record.reason,
        replayed: false,
        direction: record.direction,
        scanned_at: record.scanned_at,
        session_id: record.scan_session_id,
        event_id: record.event_id,
        gate: NamedGate {
            id: record.gate_id,
            name: snapshot.gate_name.clone(),
        },
        ticket: snapshot.ticket.clone(),
        previous_scan: snapshot.previous_scan.clone(),
        occupancy,
        decided_by: record.decided_by,
        warnings: snapshot.warnings.clone(),
        message: record.reason.message().to_owned(),
    }
}
