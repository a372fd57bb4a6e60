//! What do scans look like on their way to the store, and on their way back?

use uuid::Uuid;
use voelgoed_scan_core::model::{
    Attempt, Claims, Decided, Direction, Fingerprint, Format, Override, Reason, Recorded, ScanId, TicketCode,
    Verification,
};
use voelgoed_scan_core::token::payload_sha256;

use crate::world::{SessionFacts, after, why};

/// An entry with a new scan id, its payload a VG1 code.
pub(crate) fn entry(post: &SessionFacts, code: TicketCode, seconds: i64) -> Attempt {
    let claims = Claims {
        ticket_code: Some(code),
        ..Claims::default()
    };
    Attempt {
        scan_id: ScanId::from_uuid(Uuid::new_v4()),
        organization_id: post.organization,
        device_id: post.device,
        session_id: post.session,
        event_id: post.event,
        gate_id: post.gate,
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

pub(crate) fn exit(post: &SessionFacts, code: TicketCode, seconds: i64) -> Attempt {
    Attempt {
        direction: Direction::Exit,
        ..entry(post, code, seconds)
    }
}

/// An entry that is forced.
pub(crate) fn forced(post: &SessionFacts, code: TicketCode, seconds: i64) -> Attempt {
    Attempt {
        override_: Some(Override {
            reason: why("the promoter says so"),
        }),
        ..entry(post, code, seconds)
    }
}

pub(crate) fn decided(recorded: Recorded) -> Decided {
    match recorded {
        Recorded::Decided(decided) => *decided,
        other => panic!("not decided: {other:?}"),
    }
}

pub(crate) fn reasons(recorded: &[Recorded]) -> Vec<Reason> {
    let reason = |one: &Recorded| match one {
        Recorded::Decided(decided) => decided.answer.reason,
        other => panic!("not decided: {other:?}"),
    };
    recorded.iter().map(reason).collect()
}
