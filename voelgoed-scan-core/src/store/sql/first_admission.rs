//! The fast path of a first admission: one statement in one round trip. Most scans are entries with tickets that have
//! not been used yet, at gates with room. The statement checks the facts that may forbid such an entry, admits the
//! ticket and records the scan.
//!
//! **First admissions are decided twice: here in SQL, and by [`decide_batch`](crate::rules::decide_batch) in `rules/`.
//! A rule that may deny an entry must be changed in both together:** in the conditions of `statements/first_admission/`
//! or in [`is_plain_entry`] and [`open_session`], and in `rules/`.
//!
//! Invariants:
//! - What the statement admits, `decide_batch` would admit. What it does not admit, it leaves unchanged, and the
//!   general path (`batch`) decides it.
//! - Events, gates, sessions and devices are cached facts ([`AuthenticatedDevice`]). The statement admits nothing if
//!   the organization's change counter has moved since they were read, or if the locked counters show that the event or
//!   one of its gates changed after the statement started.
//! - Locks are taken in the order of every batch: counters (of all gates of an event that has a capacity), then tickets
//!   by code.
//! - The entries at one event are counted in one period, that of their day. If a gate is already in a later one, none is
//!   admitted here.
//! - The entries at one gate are admitted together. If there is not room for all of them, none is admitted here.

mod gate_batches;

use std::collections::{HashMap, HashSet};

use gate_batches::{GateBatch, GateBatches, admitted_at_other_gates};

use crate::model::json::{objects, to_json};
use crate::model::{
    ActiveSession, AnswerSnapshot, Attempt, AuthenticatedDevice, Claims, Decided, DecidedBy, DeviceId,
    DeviceStatus, Direction, Format, GateStatus, Headcount, KeyId, Ledger, Occupancy, OrganizationId,
    Passage, Reason, Recorded, ScanId, ScanRecord, ScannedTicket, SessionId, SessionStatus, Source, Ticket,
    TicketCode, TicketFacts, TicketStatus, Timestamp, Verification, Warning,
};
use crate::rules::{build_answer, check_event};
use crate::store::StoreError;
use crate::store::sql::batch::writes::ARRIVALS_SLOT_MILLIS;
use crate::store::sql::transactions::SingleWrite;
use crate::store::sql::write_deadline::WriteDeadline;
use crate::store::sql::{Dialect, Row, Sql, query};

/// A scan that may be a first admission.
struct FastPathScan<'a> {
    /// The position of the scan in the batch.
    position: usize,
    /// The position of its gate batch.
    gate_batch: usize,
    attempt: &'a Attempt,
    active_session: &'a ActiveSession,
    code: TicketCode,
    /// The ledger of the ticket after the admission.
    ledger: Ledger,
}

/// A scan as the statement reads it. The ledger and the warnings are bound as JSON text.
struct ScanParameters<'a> {
    /// The position among the scans of the statement.
    i: usize,
    /// The position of the gate batch.
    k: usize,
    scan: ScanId,
    code: TicketCode,
    d: DeviceId,
    s: SessionId,
    now: i64,
    slot: i64,
    device_at: Option<i64>,
    /// JSON inside a text: PostgreSQL does not accept `\u0000` in a JSON value.
    metadata: Option<String>,
    sha256: String,
    format: Option<Format>,
    kid: Option<KeyId>,
    ledger: &'a Ledger,
    warnings: &'a [Warning],
}

objects! {
    ScanParameters<'_> {
        i,
        k,
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

impl FastPathScan<'_> {
    /// The key by which tickets are locked in order.
    fn lock_key(&self) -> (OrganizationId, TicketCode) {
        (self.attempt.organization_id, self.code)
    }

    fn parameters(&self, i: usize) -> ScanParameters<'_> {
        let attempt = self.attempt;
        ScanParameters {
            i,
            k: self.gate_batch,
            scan: attempt.scan_id,
            code: self.code,
            d: attempt.scanned_by.id(),
            s: self.active_session.session.id,
            now: attempt.now.as_millis(),
            slot: attempt.now.as_millis().div_euclid(ARRIVALS_SLOT_MILLIS),
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
    /// Admits and records the first admissions of a batch, whose scans are of one organization. Returns one result a scan,
    /// `None` for one that the general path has to decide.
    pub(crate) async fn admit_first(&self, batch: &[Attempt]) -> Result<Vec<Option<Recorded>>, StoreError> {
        let mut recorded: Vec<Option<Recorded>> = batch.iter().map(|_| None).collect();
        let Some(sql) = D::SQL.admit_first.filter(|_| !self.is_citus) else {
            return Ok(recorded);
        };
        let (gate_batches, scans) = fast_path_scans(batch)?;
        let Some(first) = scans.first() else {
            return Ok(recorded);
        };
        let organization = first.attempt.organization_id;
        let deadline = WriteDeadline::start::<D>();
        let mut connection = deadline.connect(self.acquire_writer()).await?;
        let parameters: Vec<_> = scans
            .iter()
            .enumerate()
            .map(|(i, scan)| scan.parameters(i))
            .collect();
        let admitted = async {
            let mut write = SingleWrite::<D>::begin(self.transactions, &mut connection).await?;
            let rows = query::<D>(sql)
                .text(&to_json(&parameters))
                .json(&gate_batches)
                .id(organization.as_uuid())
                .fetch_all(write.connection())
                .await;
            write.end(rows).await
        };
        let rows = match deadline.run(admitted).await {
            Ok(rows) => rows,
            // A scan id is recorded already, or nodes collided. The statement wrote nothing, and no transaction is
            // open.
            Err(StoreError::Contended { .. }) => {
                self.keep_writer(connection);
                return Ok(recorded);
            }
            Err(error) => {
                // The statement may still be running, or the server may be gone.
                connection.close_on_drop();
                return Err(error);
            }
        };
        self.keep_writer(connection);
        let mut admitted = Vec::with_capacity(rows.len());
        let mut admitted_by_gate_batch = vec![0; gate_batches.len()];
        for row in &rows {
            let i: usize = row.number("i")?;
            if let Some(scan) = scans.get(i) {
                admitted.push((scan, row));
                if let Some(count) = admitted_by_gate_batch.get_mut(scan.gate_batch) {
                    *count += 1;
                }
            }
        }
        for (scan, row) in admitted {
            let elsewhere = admitted_at_other_gates(&gate_batches, &admitted_by_gate_batch, scan.gate_batch);
            if let Some(result) = recorded.get_mut(scan.position) {
                *result = Some(Recorded::Decided(Box::new(decided(scan, elsewhere, row)?)));
            }
        }
        Ok(recorded)
    }
}

/// The scans that may be first admissions, in the order in which their tickets are locked, and their gate batches. Of
/// the scans with the same ticket or the same scan id, only the first is included.
fn fast_path_scans(batch: &[Attempt]) -> Result<(Vec<GateBatch<'_>>, Vec<FastPathScan<'_>>), StoreError> {
    let mut tickets = HashSet::new();
    let mut scan_ids = HashSet::new();
    let mut gate_batches = GateBatches::default();
    let mut scans = Vec::new();
    // The period in which people are counted, by event. Where a day begins within the batch, the scans of one of the days are
    // left to the general path.
    let mut periods = HashMap::new();
    for (position, attempt) in batch.iter().enumerate() {
        let organization = attempt.organization_id;
        let first_of_scan_id = scan_ids.insert((organization, attempt.scan_id));
        let Verification::Verified(claims) = &attempt.verification else {
            continue;
        };
        let Some(code) = claims.ticket_code else {
            continue;
        };
        let first_of_ticket = tickets.insert((organization, code));
        if first_of_scan_id
            && first_of_ticket
            && is_plain_entry(attempt, claims)
            && let Some((authenticated, active_session)) = open_session(attempt)
            && let since = active_session.day(attempt.now).counted_since
            && *periods.entry(attempt.event_id).or_insert(since) == since
        {
            scans.push(FastPathScan {
                position,
                gate_batch: gate_batches.add_entry(authenticated, active_session, since)?,
                attempt,
                active_session,
                code,
                ledger: ledger(attempt, authenticated, active_session),
            });
        }
    }
    scans.sort_unstable_by_key(FastPathScan::lock_key);
    Ok((gate_batches.finish(), scans))
}

/// Whether the scan is an entry without an override, whose token names the ticket by its code and fits the event.
fn is_plain_entry(attempt: &Attempt, claims: &Claims) -> bool {
    attempt.direction == Direction::Entry
        && attempt.override_.is_none()
        && claims.ticket_id.is_none()
        && claims
            .organization_id
            .is_none_or(|claimed| claimed == attempt.organization_id)
        && claims.event_id.is_none_or(|claimed| claimed == attempt.event_id)
        && claims.window.check(attempt.now).is_ok()
}

/// The cached facts of the scan, if according to them only the ticket and the capacities can forbid an entry.
fn open_session(attempt: &Attempt) -> Option<(&AuthenticatedDevice, &ActiveSession)> {
    let authenticated = attempt.authenticated.as_deref()?;
    let active_session = authenticated.active_session.as_ref()?;
    let ActiveSession {
        session, event, gate, ..
    } = active_session;
    let matches = authenticated.device.organization_id == attempt.organization_id
        && Some(authenticated.device.id) == attempt.scanned_by.device_id()
        && Some(session.id) == attempt.scanned_by.session_id()
        && event.id == attempt.event_id
        && gate.id == attempt.gate_id;
    let open = authenticated.device.status == DeviceStatus::Active
        && authenticated.is_in_scope(active_session)
        && session.status == SessionStatus::Active
        && check_event(event, attempt.now).is_ok()
        && gate.status == GateStatus::Open
        // The general path dates a scan after the change of the rules, where the clocks of nodes differ.
        && attempt.now >= active_session.rules_since;
    let format_allowed = match attempt.fingerprint.format {
        Some(Format::Bare) => event.allow_unsigned || authenticated.device.settings.can_search,
        Some(Format::Barcode | Format::Nfc) => event.allow_media,
        Some(Format::Vg1 | Format::Vg2 | Format::Phoenix) | None => true,
    };
    (matches && open && format_allowed).then_some((authenticated, active_session))
}

/// The ledger of the ticket after its first admission.
fn ledger(attempt: &Attempt, authenticated: &AuthenticatedDevice, active_session: &ActiveSession) -> Ledger {
    Ledger::with_first_admission(Passage {
        scan_id: attempt.scan_id,
        at: attempt.now,
        gate_id: attempt.gate_id,
        gate_name: active_session.gate.name.to_string(),
        device_id: attempt.scanned_by.id(),
        device_name: authenticated.device.name.to_string(),
    })
}

/// The decision that a row of the statement describes. `admitted_elsewhere` counts the people whom the same statement
/// admitted at other gates of the event: the statement itself reads the counters from before.
fn decided<D: Dialect>(
    scan: &FastPathScan<'_>,
    admitted_elsewhere: i64,
    row: &Row<D>,
) -> Result<Decided, StoreError> {
    let FastPathScan {
        attempt,
        active_session,
        ..
    } = scan;
    let ticket = Ticket {
        id: row.id("t_id")?,
        organization_id: attempt.organization_id,
        event_id: attempt.event_id,
        code: scan.code,
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
        device_id: attempt.scanned_by.device_id(),
        api_key_id: None,
        scan_session_id: attempt.scanned_by.session_id(),
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
    let snapshot = AnswerSnapshot {
        gate_name: active_session.gate.name.to_string(),
        ticket: Some(ScannedTicket::from(&ticket)),
        previous_scan: None,
        warnings: attempt.warnings.clone(),
        desk_name: None,
    };
    let inside = row.int("inside")?;
    let occupancy = Occupancy {
        gate: Headcount {
            inside,
            capacity: active_session.gate.capacity,
        },
        event: Headcount {
            inside: inside + row.int("elsewhere")? + admitted_elsewhere,
            capacity: active_session.event.capacity,
        },
    };
    Ok(Decided {
        answer: build_answer(&record, &snapshot, occupancy),
        record,
        ticket: Some(TicketFacts {
            ticket,
            ledger: scan.ledger.clone(),
            version: row.int("t_version")?,
        }),
    })
}
