//! How is a first admission written in one round trip? Most scans at a door are entries with tickets that have not
//! admitted anybody, at gates without a capacity: one statement checks what can stand against them, admits and records
//! them.
//!
//! Invariants: what it admits, [`judge`](crate::judge) would admit; what it does not, it leaves untouched, and the
//! batch's ordinary way decides it. Events, gates, sessions and devices are taken from memory
//! ([`Standing`](crate::store::Standing)), and the statement admits nothing where the organization's change counter has
//! moved since they were read, as it finds once it has the counters. It locks event and gate against change,
//! then in the order of every batch: occupancy, then tickets, by their codes.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use crate::store::batch::{SLOT_MILLIS, hex, text};
use crate::store::deadline::Deadline;
use crate::store::row;
use crate::store::sql::{Dialect, Row, Sql, query};
use crate::store::{Stand, Standing, StoreError};
use crate::{
    Attempt, Claims, ClassName, Decided, DecidedBy, DeviceStatus, Direction, EventStatus, Format, Gate,
    GateStatus, Headcount, Ledger, Occupancy, OrganizationId, Reason, Recorded, ScanId, ScanRecord,
    ScannedTicket, SessionStatus, Shown, Sighting, Source, Stage, TicketCode, answer,
};

#[derive(Serialize)]
struct FreshRow<'a> {
    /// The attempt's place in the batch.
    #[serde(skip)]
    n: usize,
    #[serde(skip)]
    key: (OrganizationId, ScanId),
    #[serde(skip)]
    gate: &'a Gate,
    o: String,
    /// The change counter that the facts hold by.
    generation: i64,
    scan: String,
    code: String,
    e: String,
    g: String,
    d: String,
    s: String,
    now: i64,
    slot: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<String>,
    sha256: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<String>,
    /// The ticket classes that the gate lets in, where it does not let in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    classes: Option<&'a [ClassName]>,
    /// The ticket's ledger from now on, as JSON.
    ledger: String,
    /// The gate's name and the warnings, as JSON.
    gate_name: String,
    warnings: String,
}

impl<D: Dialect> Sql<D> {
    /// Admits what is plainly admissible of a batch; what it did not is `None`.
    pub(crate) async fn admit_fresh(&self, batch: &[Attempt]) -> Result<Vec<Option<Recorded>>, StoreError> {
        let mut recorded: Vec<Option<Recorded>> = batch.iter().map(|_| None).collect();
        let Some(sql) = D::SQL.admit_fresh else {
            return Ok(recorded);
        };
        let candidates = candidates(batch)?;
        if candidates.is_empty() {
            return Ok(recorded);
        }
        let deadline = Deadline::of::<D>();
        let mut connection = deadline.meet(self.recorder()).await?;
        let admitted = query::<D>(sql).json(&candidates).fetch_all(&mut connection);
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
        let candidates: HashMap<_, &FreshRow<'_>> = candidates.iter().map(|row| (row.key, row)).collect();
        for row in &rows {
            let key = (row.id("t_organization_id")?, row.id("scan")?);
            if let Some(candidate) = candidates.get(&key)
                && let (Some(attempt), Some(place)) = (batch.get(candidate.n), recorded.get_mut(candidate.n))
            {
                *place = Some(Recorded::Decided(Box::new(decided(
                    attempt,
                    candidate.gate,
                    row,
                )?)));
            }
        }
        Ok(recorded)
    }
}

/// The attempts that may be first admissions: the first of each ticket and of each scan id, with nothing special; in the
/// order in which tickets are locked.
fn candidates(batch: &[Attempt]) -> Result<Vec<FreshRow<'_>>, StoreError> {
    let mut tickets = HashSet::new();
    let mut scans = HashSet::new();
    let mut rows = Vec::new();
    for (n, attempt) in batch.iter().enumerate() {
        let organization = attempt.organization_id;
        let first_of_scan = scans.insert((organization, attempt.scan_id));
        let Stage::Verified(claims) = &attempt.stage else {
            continue;
        };
        let Some(code) = claims.ticket_code else {
            continue;
        };
        let first_of_ticket = tickets.insert((organization, code));
        if first_of_scan
            && first_of_ticket
            && is_plain(attempt, claims)
            && let Some((standing, stand)) = open_place(attempt)
        {
            rows.push(fresh_row(n, attempt, code, standing, stand)?);
        }
    }
    rows.sort_unstable_by(|one, other| (&one.o, &one.code).cmp(&(&other.o, &other.code)));
    Ok(rows)
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
fn open_place(attempt: &Attempt) -> Option<(&Standing, &Stand)> {
    let standing = attempt.standing.as_deref()?;
    let stand = standing.stand.as_ref()?;
    let Stand { session, event, gate } = stand;
    let same = standing.device.organization_id == attempt.organization_id
        && standing.device.id == attempt.device_id
        && session.id == attempt.session_id
        && event.id == attempt.event_id
        && gate.id == attempt.gate_id;
    let open = standing.device.status == DeviceStatus::Active
        && session.status == SessionStatus::Active
        && event.status == EventStatus::Live
        && gate.status == GateStatus::Open;
    let uncounted = event.capacity.is_none() && gate.capacity.is_none();
    let readable = event.allow_unsigned || attempt.fingerprint.format != Some(Format::Bare);
    (same && open && uncounted && readable).then_some((standing, stand))
}

fn fresh_row<'a>(
    n: usize,
    attempt: &'a Attempt,
    code: TicketCode,
    standing: &'a Standing,
    stand: &'a Stand,
) -> Result<FreshRow<'a>, StoreError> {
    let ledger = Ledger::of_first(Sighting {
        scan_id: attempt.scan_id,
        at: attempt.now,
        gate_id: attempt.gate_id,
        gate_name: stand.gate.name.to_string(),
        device_id: attempt.device_id,
        device_name: standing.device.name.to_string(),
    });
    Ok(FreshRow {
        n,
        key: (attempt.organization_id, attempt.scan_id),
        gate: &stand.gate,
        o: hex(attempt.organization_id.as_uuid()),
        generation: standing.generation,
        scan: hex(attempt.scan_id.as_uuid()),
        code: code.to_string(),
        e: hex(attempt.event_id.as_uuid()),
        g: hex(attempt.gate_id.as_uuid()),
        d: hex(attempt.device_id.as_uuid()),
        s: hex(attempt.session_id.as_uuid()),
        now: attempt.now.as_millis(),
        slot: attempt.now.as_millis().div_euclid(SLOT_MILLIS),
        device_at: attempt.device_scanned_at.map(crate::Timestamp::as_millis),
        metadata: attempt.metadata.as_ref().map(text).transpose()?,
        sha256: crate::hex::encode(&attempt.fingerprint.sha256),
        format: attempt.fingerprint.format.map(Format::as_str),
        kid: attempt.fingerprint.kid.map(|kid| kid.to_string()),
        classes: stand.gate.ticket_classes.as_deref(),
        ledger: text(&ledger)?,
        gate_name: text(&stand.gate.name)?,
        warnings: text(&attempt.warnings)?,
    })
}

/// The decision that a row of the statement tells.
fn decided<D: Dialect>(attempt: &Attempt, gate: &Gate, row: &Row<D>) -> Result<Decided, StoreError> {
    let ticket = row::ticket(row)?;
    let record = ScanRecord {
        scan_id: attempt.scan_id,
        organization_id: attempt.organization_id,
        ticket_id: Some(ticket.ticket.id),
        ticket_code: Some(ticket.ticket.code),
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
    let shown = Shown {
        gate_name: gate.name.to_string(),
        ticket: Some(ScannedTicket::from(&ticket.ticket)),
        previous_scan: None,
        warnings: attempt.warnings.clone(),
    };
    let occupancy = Occupancy {
        gate: Headcount {
            inside: row.int("gate_inside")?,
            capacity: None,
        },
        event: Headcount {
            inside: row.int("event_inside")?,
            capacity: None,
        },
    };
    Ok(Decided {
        answer: answer(&record, &shown, occupancy),
        record,
        ticket: Some(ticket),
    })
}
