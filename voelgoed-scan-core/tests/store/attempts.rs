//! Builds the attempts that tests record, and reads the outcomes.

use uuid::Uuid;
use voelgoed_scan_core::model::{
    Attempt, Claims, Decided, Direction, Fingerprint, Format, Override, Reason, Recorded, ScanId, TicketCode,
    Verification,
};
use voelgoed_scan_core::token::payload_sha256;

use crate::fixture::{TestSession, after, reason_text};

/// An entry, `seconds` after the start, with a new scan id and a verified VG1 payload.
pub(crate) fn entry(session: &TestSession, code: TicketCode, seconds: i64) -> Attempt {
    let claims = Claims {
        ticket_code: Some(code),
        ..Claims::default()
    };
    Attempt {
        scan_id: ScanId::from_uuid(Uuid::new_v4()),
        organization_id: session.organization,
        device_id: session.device,
        session_id: session.id,
        event_id: session.event,
        gate_id: session.gate,
        gate_name: "Main".to_owned(),
        authenticated: None,
        fingerprint: Fingerprint {
            sha256: payload_sha256(&code.to_string()),
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

/// The reasons of the decisions; panics where an attempt was not decided.
pub(crate) fn reasons(recorded: &[Recorded]) -> Vec<Reason> {
    let reason = |one: &Recorded| match one {
        Recorded::Decided(decided) => decided.answer.reason,
        other => panic!("not decided: {other:?}"),
    };
    recorded.iter().map(reason).collect()
}
