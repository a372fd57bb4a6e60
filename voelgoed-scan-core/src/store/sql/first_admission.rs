//! How is a first admission written in one round trip? Most scans at a door are entries with tickets that have not
//! admitted anybody, at gates with room: one statement checks what can stand against them, admits and records them.
//!
//! Invariants: what it admits, [`decide_batch`](crate::rules::decide_batch) would admit; what it does not, it leaves untouched, and the
//! batch's ordinary way decides it. Events, gates, sessions and devices are taken from memory
//! ([`AuthenticatedDevice`](crate::model::Standing)), and the statement admits nothing where the organization's change counter has
//! moved since they were read, nor where the counters that it has locked say that event or gate changed after it began. It
//! locks in the order of every batch: occupancy (of the whole event where the event has a capacity), then tickets, by
//! their codes. Where there is not room for all that a batch wants to let in by one door, it lets in none of them.

mod gate_batches;

use std::collections::HashSet;

use gate_batches::{Door, Doors, let_in_elsewhere};

use crate::model::json::{objects, to_json};
use crate::model::{
    ActiveSession, AnswerSnapshot, Attempt, AuthenticatedDevice, Claims, Decided, DecidedBy, DeviceId,
    DeviceStatus, Direction, EventStatus, Format, GateStatus, Headcount, KeyId, Ledger, Occupancy,
    OrganizationId, Passage, Reason, Recorded, ScanId, ScanRecord, ScannedTicket, SessionId, SessionStatus,
    Source, Ticket, TicketCode, TicketFacts, TicketStatus, Timestamp, Verification, Warning,
};
use crate::rules::build_answer;
use crate::store::StoreError;
use crate::store::sql::batch::SLOT_MILLIS;
use crate::store::sql::deadline::Deadline;
use crate::store::sql::{self, Dialect, Sql, query};

/// An attempt that may be a first admission.
struct Candidate<'a> {
    /// The attempt's place in the batch.
    n: usize,
    /// Its door's among the doors.
    k: usize,
    attempt: &'a Attempt,
    active_session: &'a ActiveSession,
    code: TicketCode,
    /// The ticket's ledger from now on.
    ledger: Ledger,
}

/// A candidate as the statement reads it; a ledger and warnings come to it as their JSON texts.
struct Row<'a> {
    /// Its place among the candidates.
    i: usize,
    k: usize,
    o: OrganizationId,
    scan: ScanId,
    code: TicketCode,
    d: DeviceId,
    s: SessionId,
    now: i64,
    slot: i64,
    device_at: Option<i64>,
    /// As a text that holds JSON: within JSON PostgreSQL reads no `\u0000`.
    metadata: Option<String>,
    sha256: String,
    format: Option<Format>,
    kid: Option<KeyId>,
    ledger: &'a Ledger,
    warnings: &'a [Warning],
}

objects! {
    Row<'_> {
        i,
        k,
        o,
        scan,
        code,
        d,
        s,
        now,
        slot,
        device_at,
        metadata,
        sha256,
        format,
        kid,
        ledger,
        warnings,
    }
}

impl Candidate<'_> {
    /// The place where tickets are locked in order.
    fn place(&self) -> (OrganizationId, TicketCode) {
        (self.attempt.organization_id, self.code)
    }

    fn row(&self, i: usize) -> Row<'_> {
        let attempt = self.attempt;
        Row {
            i,
            k: self.k,
            o: attempt.organization_id,
            scan: attempt.scan_id,
            code: self.code,
            d: attempt.device_id,
            s: attempt.session_id,
            now: attempt.now.as_millis(),
            slot: attempt.now.as_millis().div_euclid(SLOT_MILLIS),
            device_at: attempt.device_scanned_at.map(Timestamp::as_millis),
            metadata: attempt.metadata.as_ref().map(to_json),
            sha256: crate::model::hex::encode(&attempt.fingerprint.sha256),
            format: attempt.fingerprint.format,
            kid: attempt.fingerprint.kid,
            ledger: &self.ledger,
            warnings: &attempt.warnings,
        }
    }
}

impl<D: Dialect> Sql<D> {
    /// Admits what is plainly admissible of a batch; what it did not is `None`.
    pub(crate) async fn admit_fresh(&self, batch: &[Attempt]) -> Result<Vec<Option<Recorded>>, StoreError> {
        let mut recorded: Vec<Option<Recorded>> = batch.iter().map(|_| None).collect();
        let Some(sql) = D::SQL.admit_fresh else {
            return Ok(recorded);
        };
        let (doors, candidates) = candidates(batch)?;
        if candidates.is_empty() {
            return Ok(recorded);
        }
        let deadline = Deadline::of::<D>();
        let mut connection = deadline.meet(self.recorder()).await?;
        let rows: Vec<Row<'_>> = candidates.iter().enumerate().map(|(i, one)| one.row(i)).collect();
        let admitted = query::<D>(sql)
            .text(&to_json(&rows))
            .json(&doors)
            .fetch_all(&mut connection);
        let rows = match deadline.meet(admitted).await {
            Ok(rows) => rows,
            // A scan id that is known already, or nodes in each other's way: nothing was written.
            Err(StoreError::Contended { .. }) => {
                self.keep(connection);
                return Ok(recorded);
            }
            Err(error) => {
                // It may be in the middle of anything, and nobody may be at its other end.
                connection.close_on_drop();
                return Err(error);
            }
        };
        self.keep(connection);
        let mut admitted = Vec::with_capacity(rows.len());
        let mut let_in = vec![0; doors.len()];
        for row in &rows {
            let at: usize = row.number("i")?;
            if let Some(candidate) = candidates.get(at) {
                admitted.push((candidate, row));
                if let Some(many) = let_in.get_mut(candidate.k) {
                    *many += 1;
                }
            }
        }
        for (candidate, row) in admitted {
            let elsewhere = let_in_elsewhere(&doors, &let_in, candidate.k);
            if let Some(place) = recorded.get_mut(candidate.n) {
                let decided = decided(candidate, elsewhere, row)?;
                *place = Some(Recorded::Decided(Box::new(decided)));
            }
        }
        Ok(recorded)
    }
}

/// The attempts that may be first admissions: the first of each ticket and of each scan id, with nothing special; in the
/// order in which tickets are locked. And their doors.
fn candidates(batch: &[Attempt]) -> Result<(Vec<Door<'_>>, Vec<Candidate<'_>>), StoreError> {
    let mut tickets = HashSet::new();
    let mut scans = HashSet::new();
    let mut doors = Doors::default();
    let mut candidates = Vec::new();
    for (n, attempt) in batch.iter().enumerate() {
        let organization = attempt.organization_id;
        let first_of_scan = scans.insert((organization, attempt.scan_id));
        let Verification::Verified(claims) = &attempt.verification else {
            continue;
        };
        let Some(code) = claims.ticket_code else {
            continue;
        };
        let first_of_ticket = tickets.insert((organization, code));
        if first_of_scan
            && first_of_ticket
            && is_plain(attempt, claims)
            && let Some((authenticated, active_session)) = open_place(attempt)
        {
            let k = doors.want(authenticated, active_session)?;
            candidates.push(Candidate {
                n,
                k,
                attempt,
                active_session,
                code,
                ledger: ledger(attempt, authenticated, active_session),
            });
        }
    }
    candidates.sort_unstable_by_key(Candidate::place);
    Ok((doors.counted(), candidates))
}

fn is_plain(attempt: &Attempt, claims: &Claims) -> bool {
    attempt.direction == Direction::Entry
        && attempt.override_.is_none()
        && claims.ticket_id.is_none()
        && claims
            .organization_id
            .is_none_or(|claimed| claimed == attempt.organization_id)
        && claims.event_id.is_none_or(|claimed| claimed == attempt.event_id)
}

/// What memory holds of an attempt's place, where by it nothing but the ticket can stand against an entry.
fn open_place(attempt: &Attempt) -> Option<(&AuthenticatedDevice, &ActiveSession)> {
    let authenticated = attempt.authenticated.as_deref()?;
    let active_session = authenticated.active_session.as_ref()?;
    let ActiveSession {
        session, event, gate, ..
    } = active_session;
    let same = authenticated.device.organization_id == attempt.organization_id
        && authenticated.device.id == attempt.device_id
        && session.id == attempt.session_id
        && event.id == attempt.event_id
        && gate.id == attempt.gate_id;
    let open = authenticated.device.status == DeviceStatus::Active
        && session.status == SessionStatus::Active
        && event.status == EventStatus::Live
        && gate.status == GateStatus::Open;
    let readable = event.allow_unsigned || attempt.fingerprint.format != Some(Format::Bare);
    (same && open && readable).then_some((authenticated, active_session))
}

/// The ledger of the ticket once it has admitted.
fn ledger(attempt: &Attempt, authenticated: &AuthenticatedDevice, active_session: &ActiveSession) -> Ledger {
    Ledger::with_first_admission(Passage {
        scan_id: attempt.scan_id,
        at: attempt.now,
        gate_id: attempt.gate_id,
        gate_name: active_session.gate.name.to_string(),
        device_id: attempt.device_id,
        device_name: authenticated.device.name.to_string(),
    })
}

/// The decision that a row of the statement tells.
fn decided<D: Dialect>(
    candidate: &Candidate<'_>,
    let_in_elsewhere: i64,
    row: &sql::Row<D>,
) -> Result<Decided, StoreError> {
    let Candidate {
        attempt,
        active_session,
        ..
    } = candidate;
    let ticket = Ticket {
        id: row.id("t_id")?,
        organization_id: attempt.organization_id,
        event_id: attempt.event_id,
        code: candidate.code,
        status: TicketStatus::Scanned,
        ticket_class: row.opt_parse("t_ticket_class")?,
        gate_ids: row.opt_json("t_gate_ids")?,
        seat: row.opt_json("t_seat")?,
        valid_from: row.opt_time("t_valid_from")?,
        valid_until: row.opt_time("t_valid_until")?,
        entry_limit: row.number("t_entry_limit")?,
        scan_count: 1,
        note: row.opt_parse("t_note")?,
        inserted_at: row.time("t_inserted_at")?,
        updated_at: attempt.now,
    };
    let record = ScanRecord {
        scan_id: attempt.scan_id,
        organization_id: attempt.organization_id,
        ticket_id: Some(ticket.id),
        ticket_code: Some(ticket.code),
        event_id: attempt.event_id,
        gate_id: attempt.gate_id,
        device_id: attempt.device_id,
        scan_session_id: Some(attempt.session_id),
        result: Reason::Admitted.result(),
        reason: Reason::Admitted,
        would_have_been: None,
        direction: attempt.direction,
        scanned_at: attempt.now,
        device_scanned_at: attempt.device_scanned_at,
        received_at: attempt.now,
        source: Source::Online,
        decided_by: DecidedBy::Database,
        override_: None,
        undone: None,
        local_result: None,
        metadata: attempt.metadata.clone(),
    };
    let shown = AnswerSnapshot {
        gate_name: active_session.gate.name.to_string(),
        ticket: Some(ScannedTicket::from(&ticket)),
        previous_scan: None,
        warnings: attempt.warnings.clone(),
    };
    let inside = row.int("inside")?;
    let occupancy = Occupancy {
        gate: Headcount {
            inside,
            capacity: active_session.gate.capacity,
        },
        event: Headcount {
            inside: inside + row.int("elsewhere")? + let_in_elsewhere,
            capacity: active_session.event.capacity,
        },
    };
    Ok(Decided {
        answer: build_answer(&record, &shown, occupancy),
        record,
        ticket: Some(TicketFacts {
            ticket,
            ledger: candidate.ledger.clone(),
            version: row.int("t_version")?,
        }),
    })
}
