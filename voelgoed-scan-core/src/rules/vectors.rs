//! Test vectors of decisions: compares this build with the verdicts of a file.
//!
//! A file is JSON with `cases`. A case has an `event` and a `gate` (the members of their `PUT` requests), a `ticket` (the
//! members of an import line; null for a ticket that does not exist), and `steps`: scans in the order of their times, each
//! with its expected `result` and `reason`. Members that a case leaves out take the defaults of `docs/vectors.md`.

#![expect(
    clippy::expect_used,
    reason = "the keys and the code of the cases are constants"
)]

mod case;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::model::{
    Attempt, Claims, DecidedBy, Denial, DeviceId, DeviceScope, DeviceStatus, Event, EventId, EventPut,
    Fingerprint, Gate, GateId, GatePut, KeyFormat, KeyId, KeyStatus, Ledger, Medium, OrganizationId,
    Override, Reading, Reason, Recorded, Reentry, RuleSettings, ScanId, ScanResult, ScannedBy, SessionId,
    SigningKey, TicketFacts, Timestamp, Verification,
};
use crate::rules::{BatchFacts, SessionFacts, decide_batch};
use crate::token::vectors::Mismatch;
use crate::token::{Keyring, MasterSecret, MediumClaim, Vg2Claims, medium_of, take_reading, verify_reading};

pub use case::{DecisionCase, DecisionStep, OfflineVerdict, StepReading};

/// The deduplication window of every case.
const DEDUP_WINDOW: Duration = Duration::from_mins(5);

/// The code of every ticket.
const TICKET_CODE: &str = "3KQR7F924M1XaB0z";

/// The error of a text that is no file of decisions.
#[derive(Debug, thiserror::Error)]
pub enum InvalidDecisionFile {
    /// It is not JSON of the right structure.
    #[error("is not a file of decisions")]
    Json(#[from] serde_json::Error),
    /// A case cannot be run.
    #[error("has an invalid case \"{name}\": {reason}")]
    Case {
        /// The case.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It has no cases.
    #[error("has no cases")]
    Empty,
}

/// A file of decisions.
#[derive(Debug)]
pub struct DecisionFile {
    cases: Vec<PreparedCase>,
    skipped: usize,
}

#[derive(Deserialize)]
struct Cases {
    cases: Vec<DecisionCase>,
}

/// A case with its facts.
#[derive(Debug)]
struct PreparedCase {
    case: DecisionCase,
    event: Event,
    gate: Gate,
    ticket: Option<TicketFacts>,
    /// The media of the ticket.
    media: Vec<Medium>,
}

impl DecisionFile {
    /// Parses a file and prepares its cases.
    pub fn parse(json: &str) -> Result<Self, InvalidDecisionFile> {
        let Cases { cases } = serde_json::from_str(json)?;
        if cases.is_empty() {
            return Err(InvalidDecisionFile::Empty);
        }
        let cases = cases
            .into_iter()
            .map(PreparedCase::new)
            .collect::<Result<Vec<_>, _>>()?;
        let all = cases.len();
        // A phone has no time zone database. It decides by the days in its manifest.
        let has_days = cfg!(feature = "node");
        let can_decide = |case: &PreparedCase| has_days || case.event.reentry != Reentry::Daily;
        let cases: Vec<_> = cases.into_iter().filter(can_decide).collect();
        let skipped = all - cases.len();
        Ok(Self { cases, skipped })
    }

    /// Whether a text looks like such a file: its cases have `steps`. The other vector files have tokens.
    #[must_use]
    pub fn is_likely(json: &str) -> bool {
        let file: Value = serde_json::from_str(json).unwrap_or_default();
        file["cases"][0].get("steps").is_some()
    }

    /// The number of cases that this build decides.
    #[must_use]
    pub fn case_count(&self) -> usize {
        self.cases.len()
    }

    /// The number of cases that this build cannot decide: those of `daily` events where it has no time zone database.
    #[must_use]
    pub const fn skipped_count(&self) -> usize {
        self.skipped
    }

    /// The cases.
    pub fn cases(&self) -> impl Iterator<Item = &DecisionCase> {
        self.cases.iter().map(|prepared| &prepared.case)
    }

    /// Decides every scan of every case. An empty list means that this build agrees with the file.
    #[must_use]
    pub fn mismatches(&self) -> Vec<Mismatch> {
        self.cases.iter().flat_map(PreparedCase::mismatches).collect()
    }
}

/// The keys that sign the payloads of the cases.
static KEYRING: LazyLock<Keyring> = LazyLock::new(|| {
    let master = MasterSecret::from_bytes(&[7; MasterSecret::MIN_LENGTH]).expect("a secret");
    let row = |format| SigningKey {
        format,
        kid: KeyId::FIRST,
        status: KeyStatus::Active,
        public_key: None,
        inserted_at: Timestamp::from_millis(0),
    };
    Keyring::derive(
        &master,
        organization(),
        &[row(KeyFormat::Vg1), row(KeyFormat::Vg2)],
    )
    .expect("two keys")
});

const fn uuid(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

const fn organization() -> OrganizationId {
    OrganizationId::from_uuid(uuid(1))
}

const fn session() -> SessionId {
    SessionId::from_uuid(uuid(5))
}

/// A request with these members, and defaults for the others.
fn request<Put: DeserializeOwned>(
    defaults: Value,
    members: &Map<String, Value>,
) -> Result<Put, serde_json::Error> {
    serde_json::from_value(merged(defaults, members))
}

fn merged(mut object: Value, members: &Map<String, Value>) -> Value {
    if let Value::Object(object) = &mut object {
        object.extend(members.clone());
    }
    object
}

impl PreparedCase {
    fn new(case: DecisionCase) -> Result<Self, InvalidDecisionFile> {
        let invalid = |reason: String| InvalidDecisionFile::Case {
            name: case.name.clone(),
            reason,
        };
        let at = Timestamp::from_millis(0);
        let event: EventPut = request(json!({ "name": "Event", "status": "live" }), &case.event)
            .map_err(|error| invalid(format!("its event: {error}")))?;
        let event = event.event(organization(), EventId::from_uuid(uuid(2)), at);
        let gate: GatePut = request(json!({ "name": "Gate", "status": "open" }), &case.gate)
            .map_err(|error| invalid(format!("its gate: {error}")))?;
        let gate = gate.gate(organization(), event.id, GateId::from_uuid(uuid(3)), at);
        let ticket = |members: &Map<String, Value>| {
            let ticket = json!({
                "id": uuid(4), "organization_id": organization(), "inserted_at": at, "updated_at": at,
                "event_id": event.id, "code": TICKET_CODE, "status": "active", "ticket_class": null,
                "gate_ids": null, "seat": null, "valid_from": null, "valid_until": null, "entry_limit": 1,
                "scan_count": 0, "note": null
            });
            Ok(TicketFacts {
                ticket: request(ticket, members)?,
                ledger: Ledger::default(),
                version: 1,
            })
        };
        let ticket = case.ticket.as_ref().map(ticket).transpose();
        let ticket = ticket.map_err(|error: serde_json::Error| invalid(format!("its ticket: {error}")))?;
        let media = case.ticket.as_ref().and_then(|ticket| ticket.get("media"));
        let media = media.map_or(Ok(Vec::new()), |media| serde_json::from_value(media.clone()));
        let media = media.map_err(|error| invalid(format!("its media: {error}")))?;
        if case.steps.is_empty() {
            return Err(invalid("it has no steps".to_owned()));
        }
        Ok(Self {
            case,
            event,
            gate,
            ticket,
            media,
        })
    }

    fn mismatches(&self) -> Vec<Mismatch> {
        let mut facts = BatchFacts::default();
        let facts_of_session = SessionFacts {
            session_active: true,
            device_status: DeviceStatus::Active,
            device_scope: DeviceScope::default(),
            device_name: "Scanner".to_owned(),
            event: self.event.clone(),
            gate: self.gate.clone(),
            rules_since: Timestamp::MIN,
            counted_since: Timestamp::MIN,
        };
        facts
            .sessions
            .insert((organization(), session()), facts_of_session);
        if let Some(ticket) = &self.ticket {
            facts.add_ticket(ticket.clone());
        }
        let attempts: Vec<Attempt> = (1..)
            .zip(&self.case.steps)
            .map(|(number, step)| self.attempt(number, step))
            .collect();
        let rules = RuleSettings {
            dedup_window: DEDUP_WINDOW,
        };
        let (recorded, _) = decide_batch(&attempts, facts, &rules);
        let got = recorded.iter().map(|recorded| match recorded {
            Recorded::Decided(decided) => verdict(decided.answer.result, decided.answer.reason),
            other => format!("{other:?}"),
        });
        (1..)
            .zip(&self.case.steps)
            .zip(got)
            .filter_map(|((number, step), got)| {
                let expected = verdict(step.result, step.reason);
                (got != expected).then(|| Mismatch {
                    name: format!("{}, scan {number}", self.case.name),
                    expected,
                    got,
                })
            })
            .collect()
    }

    fn attempt(&self, number: u128, step: &DecisionStep) -> Attempt {
        let (fingerprint, claims) = self.verify(&self.reading(&step.reading));
        let verification = match claims {
            Ok(claims) => Verification::Verified(claims),
            Err(reason) => Verification::Denied(Box::new(Denial {
                reason,
                decided_by: DecidedBy::Token,
                claims: None,
                ticket: None,
                previous_scan: None,
            })),
        };
        Attempt {
            scan_id: ScanId::from_uuid(uuid(100 + number)),
            organization_id: organization(),
            scanned_by: ScannedBy::Device {
                id: DeviceId::from_uuid(uuid(6)),
                session_id: session(),
            },
            event_id: self.event.id,
            gate_id: self.gate.id,
            gate_name: "Gate".to_owned(),
            authenticated: None,
            fingerprint,
            verification,
            direction: step.direction,
            now: step.at,
            device_scanned_at: None,
            override_: step.override_.as_ref().and_then(|reason| {
                let reason = reason.parse().ok()?;
                Some(Override { reason })
            }),
            metadata: None,
            warnings: Vec::new(),
            origin: None,
            claimed: true,
        }
    }

    /// Checks 1 to 3.
    fn verify(&self, reading: &Reading) -> (Fingerprint, Result<Claims, Reason>) {
        let medium = medium_of(reading).map(|(_, claim)| claim);
        let read = verify_reading(
            reading,
            medium.as_ref(),
            &KEYRING,
            None,
            self.event.allow_unsigned,
        );
        let is_code = |claims: &Claims| {
            let code = self.ticket.as_ref().map(|facts| facts.ticket.code);
            code.is_some() && claims.ticket_code == code
        };
        let named = || {
            let has = |medium: &&MediumClaim| self.media.iter().any(|own| own.sha256() == medium.sha256);
            let ticket = self
                .ticket
                .as_ref()
                .filter(|_| medium.as_ref().is_some_and(|medium| has(&medium)));
            let tickets = ticket.map(|facts| (facts.ticket.event_id, facts.ticket.code));
            Claims::of_medium(self.event.id, tickets)
        };
        take_reading(&self.event, medium.as_ref(), read, is_code, named)
    }

    /// What a scan reads.
    fn reading(&self, reading: &StepReading) -> Reading {
        let code = TICKET_CODE.parse().expect("a code");
        let claims = Vg2Claims {
            ticket_code: code,
            event_id: self.event.id,
            not_before: None,
            not_after: None,
            ticket_class: 0,
            entry_limit: std::num::NonZeroU8::MIN,
        };
        match reading {
            StepReading::Vg2 => Reading::Qr(KEYRING.sign_vg2(&claims).expect("a key")),
            StepReading::Vg1 => Reading::Qr(KEYRING.sign_vg1(code).expect("a key")),
            StepReading::Code => Reading::TicketCode(TICKET_CODE.to_owned()),
            StepReading::Qr(text) => Reading::Qr(text.clone()),
            StepReading::Medium(medium) => Reading::Medium(medium.clone()),
        }
    }
}

fn verdict(result: ScanResult, reason: Reason) -> String {
    format!("{result}/{reason}")
}
