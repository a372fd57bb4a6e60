//! The phone's decision: the same rules as on the server ([`decide`]), applied to the manifest and the phone's own log.
//!
//! Invariant: pure. The time, the manifest and the recorded passages are passed in.

use uuid::Uuid;

use crate::client::offline::COMMIT_MARGIN;
use crate::client::offline::clock::ClockState;
use crate::client::offline::memory::TicketMemory;
use crate::client::{Verdict, VerdictPreviousScan, VerdictSource, VerdictTicket};
use crate::manifest::{Manifest, ManifestGate, ManifestTicket, TicketKey, TicketLookup};
use crate::model::{
    Claims, DeviceId, Direction, EventId, Format, NamedGate, OrganizationId, Reading, Reason, ScanId,
    ScanResult, Ticket, TicketCode, TicketFacts, TicketId, TicketStatus, Timestamp, Warning,
};
use crate::rules::batch::{shows_previous_scan, shows_ticket};
use crate::rules::{ScanContext, can_be_overridden, decide};
use crate::token::{
    Keyring, Payload, fingerprint, medium_of, suggests_scanner_settings, take_reading, verify,
};

/// A reading after verification, as far as a phone can verify it.
#[derive(Debug)]
pub(super) struct VerifiedReading {
    claims: Result<Claims, Reason>,
    format: Option<Format>,
    /// The ticket's key in the manifest.
    pub(super) key: Option<TicketKey>,
    /// Whether the text looks as if the scanner's settings changed it, should it be denied for this reason.
    suggests_settings: bool,
}

/// Makes checks 1 to 3: shape, key and signature. The time window of the payload is not checked here.
pub(super) fn verify_reading(reading: &Reading, manifest: &Manifest, keyring: &Keyring) -> VerifiedReading {
    let event = &manifest.head().event;
    let payload = Payload::parse_reading(reading).ok();
    let claims = match &payload {
        Some(payload) => verify_payload(payload, keyring, event.allow_unsigned),
        None => Err(Reason::Malformed),
    };
    let medium = medium_of(reading);
    let claim = medium.as_ref().map(|(_, claim)| claim);
    let read = (fingerprint(reading, payload.as_ref(), claim), claims);
    let is_code = |claims: &Claims| {
        let key = claims.ticket_code.map(|code| manifest.key(code));
        key.is_some_and(|key| manifest.find(key) != TicketLookup::Absent)
    };
    // The manifest has no codes, so a medium gives a key and no claims.
    let (fingerprint, claims) = take_reading(event, claim, read, is_code, Claims::default);
    let key = match &claims {
        Ok(_) if fingerprint.is_medium() => medium.and_then(|(medium, _)| manifest.owner_of(&medium)),
        Ok(claims) => claims.ticket_code.map(|code| manifest.key(code)),
        Err(_) => None,
    };
    VerifiedReading {
        suggests_settings: claims
            .as_ref()
            .is_err_and(|reason| suggests_scanner_settings(reading.text(), *reason)),
        claims,
        format: fingerprint.format,
        key,
    }
}

fn verify_payload(payload: &Payload<'_>, keyring: &Keyring, allow_unsigned: bool) -> Result<Claims, Reason> {
    match (verify(payload, keyring, None, allow_unsigned), payload.format()) {
        // A phone has no HMAC key. A ticket code has 95 random bits, so whether the manifest lists it is decisive.
        (Err(Reason::UnknownKey), Format::Vg1 | Format::Phoenix) => claims_without_signature(payload),
        (claims, _) => claims,
    }
}

/// Returns the manifest key of the ticket that a payload claims to be. Verifies nothing: use it only to look up what the
/// phone itself has recorded.
pub(super) fn claimed_key(
    reading: &Reading,
    organization: OrganizationId,
    event: EventId,
) -> Option<TicketKey> {
    let claims = Payload::parse_reading(reading).ok()?.unverified_claims().ok()?;
    Some(TicketKey::of(organization, event, claims.ticket_code?))
}

fn claims_without_signature(payload: &Payload<'_>) -> Result<Claims, Reason> {
    let claims = payload.unverified_claims()?;
    if claims.ticket_code.is_none() {
        return Err(Reason::UnknownKey);
    }
    // The manifest contains codes and no ticket ids.
    Ok(Claims {
        ticket_id: None,
        ..claims
    })
}

/// The circumstances of a scan on a phone.
#[derive(Debug, Clone, Copy)]
pub(super) struct OfflineContext<'a> {
    pub(super) manifest: &'a Manifest,
    pub(super) gate: &'a ManifestGate,
    pub(super) direction: Direction,
    /// The time of the scan, by the server's clock.
    pub(super) now: Timestamp,
    /// Whether the scan carries an override.
    pub(super) has_override: bool,
    pub(super) device_id: DeviceId,
    pub(super) device_name: &'a str,
    /// What the phone knows about its clock.
    pub(super) clock: ClockState,
    /// When earlier scans of this phone were lost with a database.
    pub(super) lost_at: Option<Timestamp>,
}

/// A phone's decision.
#[derive(Debug)]
pub(super) struct OfflineDecision {
    pub(super) reason: Reason,
    pub(super) ticket: Option<VerdictTicket>,
    pub(super) previous_scan: Option<VerdictPreviousScan>,
    pub(super) warnings: Vec<Warning>,
}

/// Makes the remaining checks. `memory` is what the phone remembers of this ticket and this payload.
pub(super) fn decide_offline(
    context: &OfflineContext<'_>,
    reading: &VerifiedReading,
    memory: &TicketMemory,
) -> OfflineDecision {
    let claims = match &reading.claims {
        Ok(claims) => claims,
        Err(reason) => {
            let mut denied = context.denied(*reason);
            if reading.suggests_settings {
                denied.warnings.push(Warning::ScannerSettings);
            }
            return denied;
        }
    };
    let head = context.manifest.head();
    let mut warnings = context.warnings();
    let lookup = reading
        .key
        .map_or(TicketLookup::Absent, |key| context.manifest.find(key));
    if let Some(reason) = context.refused(&lookup, reading.is_medium(), memory) {
        return context.denied(reason);
    }
    let ticket = match (&lookup, reading.format) {
        (TicketLookup::Listed(listed), format) => {
            if matches!(format, Some(Format::Vg1 | Format::Phoenix)) || reading.is_medium() {
                warnings.push(Warning::SignatureUnchecked);
            }
            let code = claims.ticket_code.or_else(unknown_code);
            code.map(|code| context.ticket_from_manifest(code, listed))
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
            context.ticket_from_claims(claims)
        }
        (TicketLookup::Absent, _) => None,
    };
    let listed = lookup.listed();
    let facts = ticket.map(|ticket| context.facts(ticket, listed.as_ref(), memory));
    let scan_context = context.scan_context();
    let by_rules = decide(&scan_context, claims, facts.as_ref());
    let is_forced = context.has_override && can_be_overridden(by_rules, context.direction);
    let reason = if is_forced { Reason::Overridden } else { by_rules };
    let is_admission = reason.result() == ScanResult::Valid && context.direction == Direction::Entry;
    if is_admission && (head.has_capacity || context.gate.has_capacity) {
        warnings.push(Warning::CapacityUnknown);
    }
    let facts = facts.as_ref().filter(|_| shows_ticket(by_rules));
    let previous_scan = facts
        .filter(|_| shows_previous_scan(by_rules) && !is_forced)
        .and_then(|facts| {
            let passage = match context.direction {
                Direction::Entry => facts.ledger.last_admission(),
                Direction::Exit => facts.ledger.last_passage(),
            };
            passage.map(|passage| VerdictPreviousScan::of(passage, context.now, context.device_id))
        });
    OfflineDecision {
        reason,
        ticket: facts.map(|facts| verdict_ticket(facts, claims.ticket_code, is_admission)),
        previous_scan,
        warnings,
    }
}

/// Returns a ticket with its history, without a scan. Its code is unknown and not part of the history.
pub(super) fn facts_of(
    context: &OfflineContext<'_>,
    key: TicketKey,
    memory: &TicketMemory,
) -> Option<TicketFacts> {
    let listed = context.manifest.find(key).listed();
    let code = unknown_code()?;
    let ticket = match &listed {
        Some(listed) => context.ticket_from_manifest(code, listed),
        None => context.base_ticket(code),
    };
    Some(context.facts(ticket, listed.as_ref(), memory))
}

/// Stands for the code of a ticket that the phone knows only by its key. No rule uses it.
fn unknown_code() -> Option<TicketCode> {
    TicketCode::from_bytes([0; 12]).ok()
}

impl VerifiedReading {
    /// Whether the reading is taken as a medium.
    const fn is_medium(&self) -> bool {
        matches!(self.format, Some(Format::Barcode | Format::Nfc))
    }
}

fn verdict_ticket(
    TicketFacts { ticket, ledger, .. }: &TicketFacts,
    code: Option<TicketCode>,
    is_admission: bool,
) -> VerdictTicket {
    // Includes this scan, as the server's answer does.
    let scan_count = ledger.admissions().saturating_add(u32::from(is_admission));
    VerdictTicket {
        id: None,
        code,
        status: ticket.status.after_admissions(scan_count),
        ticket_class: ticket.ticket_class.clone(),
        seat: None,
        entry_limit: ticket.entry_limit,
        scan_count,
        note: None,
    }
}

impl OfflineDecision {
    /// Converts the decision into the verdict that the app shows.
    pub(super) fn into_verdict(self, scan_id: ScanId, context: &OfflineContext<'_>) -> Verdict {
        let gate = &context.gate.gate;
        Verdict {
            scan_id,
            result: self.reason.result(),
            reason: self.reason,
            direction: context.direction,
            scanned_at: context.now,
            event_id: gate.event_id,
            gate: NamedGate {
                id: gate.id,
                name: gate.name.to_string(),
            },
            ticket: self.ticket,
            previous_scan: self.previous_scan,
            occupancy: None,
            decided_by: VerdictSource::Device,
            repeated: false,
            warnings: self.warnings,
            message: self.reason.message().to_owned(),
        }
    }
}

impl<'a> OfflineContext<'a> {
    fn denied(&self, reason: Reason) -> OfflineDecision {
        OfflineDecision {
            reason,
            ticket: None,
            previous_scan: None,
            warnings: self.warnings(),
        }
    }

    fn warnings(&self) -> Vec<Warning> {
        let head = self.manifest.head();
        let mut warnings = Vec::new();
        if head.is_stale(self.now) {
            warnings.push(Warning::StaleManifest);
        }
        match self.clock {
            ClockState::Trusted => {}
            ClockState::Moved => warnings.push(Warning::ClockMoved),
            ClockState::Unverified => warnings.push(Warning::ClockUnverified),
        }
        // A manifest that was made later contains what this phone had uploaded.
        if self
            .lost_at
            .is_some_and(|lost_at| head.made_at <= lost_at.plus(COMMIT_MARGIN))
        {
            warnings.push(Warning::StorageReplaced);
        }
        warnings
    }

    /// Returns why the server refused this payload, unless the manifest knows better: it is newer and lists the ticket.
    fn refused(&self, lookup: &TicketLookup, is_medium: bool, memory: &TicketMemory) -> Option<Reason> {
        let (reason, known_at) = memory.refused?;
        if is_medium && reason == Reason::Malformed {
            // It was typed, or the event let no media in then. By its manifest it does.
            return None;
        }
        let is_about_ticket = matches!(reason, Reason::TicketNotFound | Reason::OtherEvent);
        let is_listed_since =
            !matches!(lookup, TicketLookup::Absent) && known_at < self.manifest.head().made_at;
        (!(is_about_ticket && is_listed_since)).then_some(reason)
    }

    pub(super) fn scan_context(&self) -> ScanContext<'a> {
        let head = self.manifest.head();
        ScanContext {
            now: self.now,
            direction: self.direction,
            event: &head.event,
            gate: &self.gate.gate,
            occupancy: None,
            dedup_window: head.dedup_window,
            day: head.day(self.now),
        }
    }

    fn ticket_from_manifest(&self, code: TicketCode, listed: &ManifestTicket) -> Ticket {
        Ticket {
            status: listed.status,
            ticket_class: listed.ticket_class.clone(),
            gate_ids: listed.gate_ids.clone(),
            valid_from: listed.valid_from,
            valid_until: listed.valid_until,
            entry_limit: listed.entry_limit,
            ..self.base_ticket(code)
        }
    }

    /// Builds a ticket that was sold after the manifest was made from its signed claims.
    fn ticket_from_claims(&self, claims: &Claims) -> Option<Ticket> {
        let class = claims
            .ticket_class
            .and_then(|class| self.manifest.claimed_class(class));
        Some(Ticket {
            event_id: claims.event_id?,
            ticket_class: class.cloned(),
            entry_limit: claims.entry_limit?,
            ..self.base_ticket(claims.ticket_code?)
        })
    }

    fn base_ticket(&self, code: TicketCode) -> Ticket {
        let head = self.manifest.head();
        Ticket {
            // The manifest has no ticket ids. No rule uses the id, because the claims contain none here.
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
}
