//! Builds the attempts that tests record, and reads the outcomes.

use uuid::Uuid;
use voelgoed_scan_core::model::{
    Attempt, Claims, Decided, Direction, Fingerprint, Format, Override, Reason, Recorded, ScanId, ScannedBy,
    TicketCode, Verification,
};
use voelgoed_scan_core::store::{Store, StoreError};
use voelgoed_scan_core::token::payload_sha256;

use crate::fixture::{RULES, TestSession, after, reason_text};

/// How often a call is repeated that the database did not answer in time.
const MAX_TRIES: usize = 40;

/// An entry, `seconds` after the start, with a new scan id and a verified VG1 payload.
pub(crate) fn entry(session: &TestSession, code: TicketCode, seconds: i64) -> Attempt {
    let claims = Claims {
        ticket_code: Some(code),
        ..Claims::default()
    };
    Attempt {
        scan_id: ScanId::from_uuid(Uuid::new_v4()),
        organization_id: session.organization,
        scanned_by: ScannedBy::Device {
            id: session.device,
            session_id: session.id,
        },
        event_id: session.event,
        gate_id: session.gate,
        gate_name: "Main".to_owned(),
        authenticated: None,
        fingerprint: Fingerprint {
            sha256: payload_sha256(&code.to_string()),
            other_sha256: None,
            format: Some(Format::Vg1),
            kid: Some(voelgoed_scan_core::model::KeyId::FIRST),
        },
        verification: Verification::Verified(claims),
        direction: Direction::Entry,
        now: after(seconds),
        device_scanned_at: None,
        override_: None,
        metadata: None,
        warnings: Vec::new(),
        origin: None,
        claimed: true,
    }
}

/// An exit, otherwise like [`entry`].
pub(crate) fn exit(session: &TestSession, code: TicketCode, seconds: i64) -> Attempt {
    Attempt {
        direction: Direction::Exit,
        ..entry(session, code, seconds)
    }
}

/// An entry with an override, otherwise like [`entry`].
pub(crate) fn overriding_entry(session: &TestSession, code: TicketCode, seconds: i64) -> Attempt {
    Attempt {
        override_: Some(Override {
            reason: reason_text("the promoter says so"),
        }),
        ..entry(session, code, seconds)
    }
}

/// The decision; panics where the attempt was not decided.
pub(crate) fn decided(recorded: Recorded) -> Decided {
    match recorded {
        Recorded::Decided(decided) => *decided,
        other => panic!("not decided: {other:?}"),
    }
}

/// Records attempts as a client does: a call without an answer in time is repeated with the same scan ids. So a database
/// that is slow on a busy machine does not fail a test about another rule.
pub(crate) async fn record_until_answered(store: &dyn Store, batch: &[Attempt]) -> Vec<Reason> {
    for _ in 0..MAX_TRIES {
        let recorded = match store.record(batch, &RULES).await {
            Ok(recorded) => recorded,
            Err(StoreError::Unavailable { .. }) => continue,
            Err(error) => panic!("the batch is not recorded: {error:?}"),
        };
        let reasons: Option<Vec<_>> = recorded.iter().map(answered_reason).collect();
        if let Some(reasons) = reasons {
            return reasons;
        }
    }
    panic!("the database does not answer")
}

/// The reason of a first answer or of its replay; `None` where the database was not available for this scan.
fn answered_reason(recorded: &Recorded) -> Option<Reason> {
    match recorded {
        Recorded::Decided(decided) => Some(decided.answer.reason),
        Recorded::Replayed(answer) => Some(answer.reason),
        Recorded::NotRecorded { .. } => None,
        other => panic!("not decided: {other:?}"),
    }
}

/// The reasons of the decisions; panics where an attempt was not decided.
pub(crate) fn reasons(recorded: &[Recorded]) -> Vec<Reason> {
    let reason = |one: &Recorded| match one {
        Recorded::Decided(decided) => decided.answer.reason,
        other => panic!("not decided: {other:?}"),
    };
    recorded.iter().map(reason).collect()
}
