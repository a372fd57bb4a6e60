//! What does a phone decide? The rules of the server ([`decide`]) on what the manifest and the phone's own log tell;
//! pure.

use uuid::Uuid;

use crate::client::{SeenBefore, SeenTicket, Verdict, VerdictBy};
use crate::manifest::{Manifest, ManifestGate, ManifestTicket, TicketKey, TicketLookup};
use crate::model::{
    Claims, DeviceId, Direction, Format, GateId, Ledger, NamedGate, Passage, Reading, Reason, ScanId,
    ScanResult, Ticket, TicketCode, TicketFacts, TicketId, TicketStatus, Timestamp, Warning,
};
use crate::rules::batch::{shows_previous_scan, shows_ticket};
use crate::rules::{ScanContext, can_be_overridden, decide};
use crate::token::{Keyring, Malformed, Payload, verify};

/// What was read, as far as a phone can tell.
#[derive(Debug)]
pub(super) struct Read {
    verdict: Result<Claims, Reason>,
    format: Option<Format>,
    /// What the manifest calls the ticket.
    pub(super) key: Option<TicketKey>,
}

/// Checks 1 to 3, less the payload's own window.
pub(super) fn read(reading: &Reading, manifest: &Manifest, keyring: &Keyring) -> Read {
    let payload = match Payload::parse_reading(reading) {
        Ok(payload) => payload,
        Err(Malformed) => {
            return Read {
                verdict: Err(Reason::Malformed),
                format: None,
                key: None,
            };
        }
    };
    let format = payload.format();
    let allow_unsigned = manifest.head().event.allow_unsigned;
    let verdict = match (verify(&payload, keyring, None, allow_unsigned), format) {
        // A phone holds no HMAC key. The code has 95 random bits: whether the manifest lists it decides.
        (Err(Reason::UnknownKey), Format::Vg1 | Format::Phoenix) => unchecked(&payload),
        (verdict, _) => verdict,
    };
    let code = verdict.as_ref().ok().and_then(|claims| claims.ticket_code);
    Read {
        verdict,
        format: Some(format),
        key: code.map(|code| manifest.key(code)),
    }
}

/// What the manifest of an event calls the ticket that a payload claims to be. Nothing is checked: this only finds what
/// the phone itself wrote.
#[cfg(feature = "client")]
pub(super) fn claimed_key(
    reading: &Reading,
    organization: crate::model::OrganizationId,
    event: crate::model::EventId,
) -> Option<TicketKey> {
    let claims = Payload::parse_reading(reading).ok()?.unverified_claims().ok()?;
    Some(TicketKey::of(organization, event, claims.ticket_code?))
}

fn unchecked(payload: &Payload<'_>) -> Result<Claims, Reason> {
    let claims = payload.unverified_claims()?;
    if claims.ticket_code.is_none() {
        return Err(Reason::UnknownKey);
    }
    // The manifest knows codes and no ids.
    Ok(Claims {
        ticket_id: None,
        ..claims
    })
}

/// A scan that went in or out here.
#[derive(Debug, Clone)]
pub(super) struct OwnMovement {
    pub(super) scan_id: ScanId,
    pub(super) direction: Direction,
    pub(super) reason: Reason,
    pub(super) at: Timestamp,
    pub(super) gate_id: GateId,
    pub(super) gate_name: String,
    /// A manifest made after this counts it.
    pub(super) known_at: Option<Timestamp>,
}

impl OwnMovement {
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

/// Where and when a phone is asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ask<'a> {
    pub(super) manifest: &'a Manifest,
    pub(super) gate: &'a ManifestGate,
    pub(super) direction: Direction,
    /// By the server's clock.
    pub(super) now: Timestamp,
    /// Whether the scan carries an override.
    pub(super) force: bool,
    pub(super) device_id: DeviceId,
    pub(super) device_name: &'a str,
}

/// What a phone decided.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) reason: Reason,
    pub(super) ticket: Option<SeenTicket>,
    pub(super) previous_scan: Option<SeenBefore>,
    pub(super) warnings: Vec<Warning>,
}

/// The rest of the checks, on what the phone saw of the ticket itself.
pub(super) fn judge(ask: &Ask<'_>, read: &Read, own: &[OwnMovement]) -> Judged {
    let claims = match &read.verdict {
        Ok(claims) => claims,
        Err(reason) => return ask.denied(*reason),
    };
    let head = ask.manifest.head();
    let mut warnings = ask.warnings();
    let lookup = read
        .key
        .map_or(TicketLookup::Absent, |key| ask.manifest.find(key));
    let ticket = match (&lookup, read.format) {
        (TicketLookup::Listed(listed), format) => {
            if matches!(format, Some(Format::Vg1 | Format::Phoenix)) {
                warnings.push(Warning::SignatureUnchecked);
            }
            claims.ticket_code.map(|code| ask.listed(code, listed))
        }
        // The rules cannot be checked: the ticket is denied, even if its claims say more.
        (TicketLookup::Unknown, _) => {
            warnings.push(Warning::ManifestNewer);
            None
        }
        (TicketLookup::Absent, Some(Format::Vg2)) => {
            if claims.event_id == Some(head.event.id) {
                warnings.push(Warning::NotInManifest);
            }
            ask.claimed(claims)
        }
        (TicketLookup::Absent, _) => None,
    };
    let listed = lookup.listed();
    let facts = ticket.map(|ticket| ask.facts(ticket, listed.as_ref(), own));
    let context = ask.context();
    let first = decide(&context, claims, facts.as_ref());
    let forced = ask.force && can_be_overridden(first, ask.direction);
    let reason = if forced { Reason::Overridden } else { first };
    let admits = reason.result() == ScanResult::Valid && ask.direction == Direction::Entry;
    if admits && (head.has_capacity || ask.gate.has_capacity) {
        warnings.push(Warning::CapacityUnknown);
    }
    let facts = facts.as_ref().filter(|_| shows_ticket(first));
    let previous_scan = facts
        .filter(|_| shows_previous_scan(first) && !forced)
        .and_then(|facts| {
            let seen = match ask.direction {
                Direction::Entry => facts.ledger.last_admission(),
                Direction::Exit => facts.ledger.last_passage(),
            };
            seen.map(|seen| SeenBefore::of(seen, ask.now))
        });
    Judged {
        reason,
        ticket: facts.map(|facts| seen_ticket(facts, admits)),
        previous_scan,
        warnings,
    }
}

fn seen_ticket(TicketFacts { ticket, ledger, .. }: &TicketFacts, admitted: bool) -> SeenTicket {
    // As the server shows it: after the scan.
    let scan_count = ledger.admissions().saturating_add(u32::from(admitted));
    SeenTicket {
        id: None,
        code: ticket.code,
        status: ticket.status.after_admissions(scan_count),
        ticket_class: ticket.ticket_class.clone(),
        seat: None,
        entry_limit: ticket.entry_limit,
        scan_count,
        note: None,
    }
}

impl Judged {
    /// What is shown of it.
    pub(super) fn verdict(self, scan_id: ScanId, ask: &Ask<'_>) -> Verdict {
        let gate = &ask.gate.gate;
        Verdict {
            scan_id,
            result: self.reason.result(),
            reason: self.reason,
            direction: ask.direction,
            scanned_at: ask.now,
            event_id: gate.event_id,
            gate: NamedGate {
                id: gate.id,
                name: gate.name.to_string(),
            },
            ticket: self.ticket,
            previous_scan: self.previous_scan,
            occupancy: None,
            decided_by: VerdictBy::Device,
            repeated: false,
            warnings: self.warnings,
            message: self.reason.message().to_owned(),
        }
    }
}

impl<'a> Ask<'a> {
    fn denied(&self, reason: Reason) -> Judged {
        Judged {
            reason,
            ticket: None,
            previous_scan: None,
            warnings: self.warnings(),
        }
    }

    fn warnings(&self) -> Vec<Warning> {
        if self.manifest.head().is_stale(self.now) {
            vec![Warning::StaleManifest]
        } else {
            Vec::new()
        }
    }

    fn context(&self) -> ScanContext<'a> {
        let head = self.manifest.head();
        ScanContext {
            now: self.now,
            direction: self.direction,
            event: &head.event,
            gate: &self.gate.gate,
            occupancy: None,
            dedup_window: head.dedup_window,
        }
    }

    fn listed(&self, code: TicketCode, listed: &ManifestTicket) -> Ticket {
        Ticket {
            status: listed.status,
            ticket_class: listed.ticket_class.clone(),
            gate_ids: listed.gate_ids.clone(),
            valid_from: listed.valid_from,
            valid_until: listed.valid_until,
            entry_limit: listed.entry_limit,
            ..self.ticket(code)
        }
    }

    /// A ticket sold after the manifest was made, by what its claims say.
    fn claimed(&self, claims: &Claims) -> Option<Ticket> {
        let class = claims
            .ticket_class
            .and_then(|class| self.manifest.claimed_class(class));
        Some(Ticket {
            event_id: claims.event_id?,
            ticket_class: class.cloned(),
            entry_limit: claims.entry_limit?,
            ..self.ticket(claims.ticket_code?)
        })
    }

    fn ticket(&self, code: TicketCode) -> Ticket {
        let head = self.manifest.head();
        Ticket {
            // No rule asks for it: the claims name none here.
            id: TicketId::from_uuid(Uuid::nil()),
            organization_id: head.event.organization_id,
            event_id: head.event.id,
            code,
            status: TicketStatus::Active,
            ticket_class: None,
            gate_ids: None,
            seat: None,
            valid_from: None,
            valid_until: None,
            entry_limit: 1,
            scan_count: 0,
            note: None,
            inserted_at: head.made_at,
            updated_at: head.made_at,
        }
    }

    /// The ticket with its history: what the manifest counts, and what this phone saw that the manifest does not count.
    fn facts(&self, ticket: Ticket, listed: Option<&ManifestTicket>, own: &[OwnMovement]) -> TicketFacts {
        let made_at = self.manifest.head().made_at;
        let mut facts = TicketFacts {
            ledger: listed.map_or_else(Ledger::default, |listed| self.counted(listed)),
            version: 0,
            ticket,
        };
        let allowance = self.context().allowance(&facts);
        let in_counts = |one: &&OwnMovement| one.known_at.is_some_and(|known_at| known_at < made_at);
        let admitted = own
            .iter()
            .filter(in_counts)
            .filter(|one| one.direction == Direction::Entry)
            .count();
        // Should the server count fewer than it acknowledged, what this phone saw stands all the same: a ticket that
        // it let in stays one that it let in.
        let believed = facts.ledger.admissions() as usize >= admitted;
        for one in own.iter().filter(|one| !(believed && in_counts(one))) {
            let seen = self.passage(one);
            match one.direction {
                Direction::Exit => {
                    facts.ledger.leave(seen);
                }
                Direction::Entry => {
                    let person_added = one.reason != Reason::Readmitted
                        || facts.ledger.readmission_adds_person(facts.ticket.entry_limit);
                    facts.ledger.enter(seen, person_added, &allowance);
                }
            }
        }
        facts.ticket.scan_count = facts.ledger.admissions();
        facts.ticket.status = facts.ticket.status.after_admissions(facts.ledger.admissions());
        facts
    }

    fn counted(&self, listed: &ManifestTicket) -> Ledger {
        let last = Passage {
            scan_id: ScanId::from_uuid(Uuid::nil()),
            at: listed.last_admission.unwrap_or(self.manifest.head().made_at),
            gate_id: GateId::from_uuid(Uuid::nil()),
            gate_name: String::new(),
            device_id: DeviceId::from_uuid(Uuid::nil()),
            device_name: String::new(),
        };
        Ledger::from_counts(listed.admissions, listed.inside.into(), &last, listed.entry_limit)
    }

    fn passage(&self, one: &OwnMovement) -> Passage {
        Passage {
            scan_id: one.scan_id,
            at: one.at,
            gate_id: one.gate_id,
            gate_name: one.gate_name.clone(),
            device_id: self.device_id,
            device_name: self.device_name.to_owned(),
        }
    }
}
