//! What the phone remembers of a ticket beyond the manifest: its own admissions and exits, and what the server said.
//!
//! Every answer of the server that names a ticket says something about it: its status, how often it was admitted, whether
//! somebody is inside. The phone keeps that like a part of the manifest, until it learns something newer: a later answer,
//! or a manifest that was made after the answer.
//!
//! Invariants: pure; a denial because of the gate, the event or the time says nothing about the ticket and is not kept.

use serde::{Deserialize, Serialize};

use crate::client::offline::COMMIT_MARGIN;
use crate::client::{Verdict, VerdictPreviousScan};
use crate::manifest::TicketKey;
use crate::model::{
    ClassName, Direction, EventId, GateId, OrganizationId, Reason, ScanId, ScanResult, TicketStatus,
    Timestamp,
};
use crate::rules::ConflictKind;
use crate::sync::{Conflict, SyncResult, SyncStatus};

/// An admission or exit that this phone recorded, decided by the server or the phone.
#[derive(Debug, Clone)]
pub(super) struct LocalPassage {
    pub(super) scan_id: ScanId,
    pub(super) direction: Direction,
    pub(super) reason: Reason,
    pub(super) at: Timestamp,
    pub(super) gate_id: GateId,
    pub(super) gate_name: String,
    /// Manifests that are made after this time count it. `None` until the server has it.
    pub(super) known_at: Option<Timestamp>,
}

impl LocalPassage {
    pub(super) fn of(verdict: &Verdict, known_at: Option<Timestamp>) -> Self {
        Self {
            scan_id: verdict.scan_id,
            direction: verdict.direction,
            reason: verdict.reason,
            at: verdict.scanned_at,
            gate_id: verdict.gate.id,
            gate_name: verdict.gate.name.clone(),
            known_at,
        }
    }
}

/// The kinds of facts about a ticket. Of each the phone keeps the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FactKind {
    /// Its status, and the terms that an import may change.
    Status,
    /// Its admissions.
    Admissions,
}

impl FactKind {
    /// The kind in the database.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Admissions => "admissions",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        [Self::Status, Self::Admissions]
            .into_iter()
            .find(|kind| kind.as_str() == text)
    }
}

/// A fact with its times, by the server's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known<T> {
    /// When it held. Scans of this phone that are later come on top of it.
    pub(super) at: Timestamp,
    /// Manifests that are made after this time contain it.
    pub(super) known_at: Timestamp,
    pub(super) fact: T,
}

/// The status of a ticket as the server gave it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StatusFact {
    pub(super) status: TicketStatus,
    /// `None` where the server named only the status.
    pub(super) terms: Option<Terms>,
}

/// The terms of a ticket as the server gave them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Terms {
    pub(super) ticket_class: Option<ClassName>,
    pub(super) entry_limit: u8,
}

/// The admissions of a ticket as the server counted them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AdmissionsFact {
    /// The number of admissions; `None` where the server named none.
    pub(super) admissions: Option<u32>,
    /// The number of people inside, where the answer says it.
    pub(super) inside: Option<u32>,
    /// Whether the ticket admitted nobody else at that time.
    pub(super) is_exhausted: bool,
    /// Whether somebody was let in beyond that, as the loser of a conflict.
    pub(super) is_exceeded: bool,
    /// Whether the server said it when somebody had left.
    #[serde(default)]
    pub(super) is_exit: bool,
    /// The admission that used it up.
    pub(super) last: Option<VerdictPreviousScan>,
}

/// What the phone remembers of a ticket and of the payload that was read.
#[derive(Debug, Clone, Default)]
pub(super) struct TicketMemory {
    /// The admissions and exits on this phone, in the order of time.
    pub(super) passages: Vec<LocalPassage>,
    pub(super) status: Option<Known<StatusFact>>,
    pub(super) admissions: Option<Known<AdmissionsFact>>,
    /// Why the server refused the payload, and since when manifests count that.
    pub(super) refused: Option<(Reason, Timestamp)>,
}

/// Something to remember.
#[derive(Debug, Clone)]
pub(super) enum Learned {
    /// A fact about a ticket, as JSON.
    Fact {
        event: EventId,
        ticket: TicketKey,
        kind: FactKind,
        at: Timestamp,
        known_at: Timestamp,
        json: String,
    },
    /// The server refused a payload.
    Refused {
        event: EventId,
        payload: [u8; 32],
        reason: Reason,
        known_at: Timestamp,
    },
    /// The server found the ticket of a payload.
    Accepted {
        event: EventId,
        payload: [u8; 32],
        known_at: Timestamp,
    },
}

/// Whether a denial is about the payload itself, so that the same payload is denied again.
pub(super) const fn is_about_payload(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::Malformed
            | Reason::UnknownKey
            | Reason::KeyRevoked
            | Reason::BadSignature
            | Reason::TicketNotFound
            | Reason::OtherEvent
    )
}

/// A fact about one ticket on its way to the database.
struct FactTarget {
    event: EventId,
    ticket: TicketKey,
    at: Timestamp,
    known_at: Timestamp,
}

impl FactTarget {
    fn status(&self, fact: &StatusFact) -> Result<Learned, serde_json::Error> {
        self.learned(FactKind::Status, serde_json::to_string(fact)?)
    }

    fn admissions(&self, fact: &AdmissionsFact) -> Result<Learned, serde_json::Error> {
        self.learned(FactKind::Admissions, serde_json::to_string(fact)?)
    }

    #[expect(clippy::unnecessary_wraps, reason = "its callers end with it")]
    fn learned(&self, kind: FactKind, json: String) -> Result<Learned, serde_json::Error> {
        Ok(Learned::Fact {
            event: self.event,
            ticket: self.ticket,
            kind,
            at: self.at,
            known_at: self.known_at,
            json,
        })
    }
}

/// What an answer of the server to a scan says. `payload` is the hash of what was read, if the phone still has it.
pub(super) fn learn_from_verdict(
    organization: OrganizationId,
    verdict: &Verdict,
    payload: Option<[u8; 32]>,
) -> Result<Vec<Learned>, serde_json::Error> {
    let event = verdict.event_id;
    let known_at = verdict.scanned_at.plus(COMMIT_MARGIN);
    let mut learned = Vec::new();
    if let Some(payload) = payload {
        if is_about_payload(verdict.reason) {
            learned.push(Learned::Refused {
                event,
                payload,
                reason: verdict.reason,
                known_at,
            });
        } else if verdict.ticket.is_some() {
            learned.push(Learned::Accepted {
                event,
                payload,
                known_at,
            });
        }
    }
    // The server's tickets have their codes.
    let Some((ticket, code)) = verdict
        .ticket
        .as_ref()
        .and_then(|ticket| Some((ticket, ticket.code?)))
    else {
        return Ok(learned);
    };
    let target = FactTarget {
        event,
        ticket: TicketKey::of(organization, event, code),
        at: verdict.scanned_at,
        known_at,
    };
    learned.push(target.status(&StatusFact {
        status: ticket.status,
        terms: Some(Terms {
            ticket_class: ticket.ticket_class.clone(),
            entry_limit: ticket.entry_limit,
        }),
    })?);
    let is_exhausted = verdict.result == ScanResult::Duplicate;
    learned.push(target.admissions(&AdmissionsFact {
        admissions: Some(ticket.scan_count),
        inside: match verdict.reason {
            Reason::AlreadyInside => Some(ticket.entry_limit.into()),
            Reason::NotInside => Some(0),
            _ => None,
        },
        is_exhausted,
        is_exceeded: false,
        is_exit: verdict.reason == Reason::Exited,
        last: verdict.previous_scan.clone().filter(|_| is_exhausted),
    })?);
    Ok(learned)
}

/// A scan of the log, as far as an answer to its upload needs it.
pub(super) struct UploadedScan {
    pub(super) payload_sha256: [u8; 32],
    pub(super) verdict: Verdict,
}

/// What the server's answer to an uploaded scan says. `passage` is the ticket that the scan admitted, as the phone recorded
/// it: of a medium the phone knows no code. `server_time` is the time of the answer.
pub(super) fn learn_from_upload(
    organization: OrganizationId,
    scan: &UploadedScan,
    passage: Option<TicketKey>,
    result: &SyncResult,
    server_time: Timestamp,
) -> Result<Vec<Learned>, serde_json::Error> {
    let mut learned = Vec::new();
    let verdict = &scan.verdict;
    let event = verdict.event_id;
    let known_at = server_time.plus(COMMIT_MARGIN);
    // A denial of the phone is recorded as it was given: the server says nothing new.
    let was_admitted = verdict.result == ScanResult::Valid;
    if !was_admitted || !matches!(result.status, SyncStatus::Recorded | SyncStatus::Replayed) {
        return Ok(learned);
    }
    if let Some(reason) = result.reason.filter(|reason| is_about_payload(*reason)) {
        learned.push(Learned::Refused {
            event,
            payload: scan.payload_sha256,
            reason,
            known_at,
        });
    }
    let code = verdict.ticket.as_ref().and_then(|ticket| ticket.code);
    let Some(ticket) = code
        .map(|code| TicketKey::of(organization, event, code))
        .or(passage.filter(|_| verdict.ticket.is_some()))
    else {
        return Ok(learned);
    };
    let target = |at: Timestamp| FactTarget {
        event,
        ticket,
        at,
        known_at,
    };
    let conflict = result.conflict.as_ref();
    let let_in_despite_status = conflict.is_some_and(|one| {
        one.kind == ConflictKind::LetInDespiteStatus && one.other_scan_id == verdict.scan_id
    });
    // The conflict does not say which status. All of them bar the ticket.
    let barred = result
        .reason
        .and_then(TicketStatus::denied_with)
        .or_else(|| let_in_despite_status.then_some(TicketStatus::Voided));
    if let Some(status) = barred {
        learned.push(target(verdict.scanned_at).status(&StatusFact { status, terms: None })?);
    }
    let lost = result.result == Some(ScanResult::Duplicate);
    let double_entry = conflict.filter(|one| one.kind == ConflictKind::DoubleEntry);
    if lost || double_entry.is_some() {
        let other = double_entry.and_then(|one| other_scan(one, verdict));
        let at = other.as_ref().map_or(verdict.scanned_at, |other| {
            other.scanned_at.max(verdict.scanned_at)
        });
        learned.push(target(at).admissions(&AdmissionsFact {
            is_exhausted: true,
            is_exceeded: true,
            last: other,
            ..AdmissionsFact::default()
        })?);
    }
    Ok(learned)
}

/// The other scan of a double entry. The lists of a conflict have the winner first.
fn other_scan(conflict: &Conflict, own: &Verdict) -> Option<VerdictPreviousScan> {
    let own_lost = conflict.other_scan_id == own.scan_id;
    let (scan_id, index) = if own_lost {
        (conflict.winner_scan_id?, 0)
    } else {
        (conflict.other_scan_id, conflict.times.len().checked_sub(1)?)
    };
    Some(VerdictPreviousScan {
        scan_id: Some(scan_id),
        scanned_at: *conflict.times.get(index)?,
        seconds_ago: 0,
        gate: conflict.gates.get(index).cloned(),
        device_name: conflict.devices.get(index).map(|device| device.name.clone()),
        same_device: false,
    })
}

/// What the undo of an admission says: the ticket without it. `before` is the ticket with it, of which `inside` people are
/// inside.
pub(super) fn learn_from_undo(
    event: EventId,
    ticket: TicketKey,
    before: &crate::model::TicketFacts,
    inside: usize,
    undone_at: Timestamp,
) -> Result<Vec<Learned>, serde_json::Error> {
    let target = FactTarget {
        event,
        ticket,
        at: undone_at,
        known_at: undone_at.plus(COMMIT_MARGIN),
    };
    let inside = u32::try_from(inside).unwrap_or(u32::MAX);
    Ok(vec![target.admissions(&AdmissionsFact {
        admissions: Some(before.ledger.admissions().saturating_sub(1)),
        inside: Some(inside.saturating_sub(1)),
        ..AdmissionsFact::default()
    })?])
}
