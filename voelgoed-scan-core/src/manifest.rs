//! The signed manifest of an event, which lets a phone decide without a network.
//!
//! It holds the event's rules, its gates, the public keys, and every ticket by the hash of its code. It has no personal
//! data, no secret and no ticket code. A server builds a manifest ([`ManifestFacts`], [`ManifestDraft`]). A phone
//! verifies it ([`VerifiedManifest`]) and uses it ([`Manifest`]). `docs/manifest.md` describes the bytes.
//!
//! Numbers in the bytes: the status of event and ticket, the re-entry policy, the stale-manifest policy, and format and
//! status of a key are the wire numbers that their enums declare. Gates and options of the event are flags. Names,
//! classes and key ids are texts. Directions, results and reasons do not occur here; device logs and upload batches
//! write them as text.
//!
//! Invariants: only the claimed organization is read before the signature is checked; reading never panics and never
//! allocates by a length that it read; a manifest in use stays encoded; a ticket record with a number that this version
//! does not know affects that ticket alone; a section that this version does not know is skipped if its flag allows it, and
//! refuses the manifest otherwise.

mod body;
mod build;
mod install;
mod media;
mod merge;
mod messages;
mod section;
mod tables;
#[cfg(test)]
mod tests;
mod wire;

use std::fmt;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::model::{
    ClassName, CustomMessages, Event, EventId, Gate, GateId, Ledger, Media, OrganizationId, Reentry,
    SigningKey, TicketCode, TicketFacts, TicketStatus, Timestamp,
};
use crate::rules::ScanDay;
pub use build::{ManifestDraft, ManifestFacts, ManifestTooLarge};
pub use install::{Manifest, VerifiedManifest};
pub use media::MediumKey;

/// The media type of a manifest and of a delta.
pub const MANIFEST_MEDIA_TYPE: &str = "application/vnd.voelgoed-scan.manifest";

/// The media type of a manifest as a gzip file. HTTP clients leave it as it is, so that its ranges can be put together.
pub const MANIFEST_GZIP_MEDIA_TYPE: &str = "application/vnd.voelgoed-scan.manifest+gzip";

/// Why a manifest is refused. The manifest in use stays in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// It belongs to another organization than the device.
    #[error("the manifest is another organization's")]
    OtherOrganization,
    /// The signature is invalid: a byte was changed, or the key is not the one pinned at enrolment.
    #[error("the manifest's signature is not valid")]
    BadSignature,
    /// It has a format version that this software does not read.
    #[error("the manifest has the unknown format version {format}")]
    UnknownForm {
        /// The format version.
        format: u8,
    },
    /// It has a section that this software does not know and must not skip. A newer server made it.
    #[error("the manifest has the unknown section {tag}: a newer server made it")]
    UnknownSection {
        /// The tag of the section.
        tag: u8,
    },
    /// Its head has a status or a policy that this software does not know. A newer server made it.
    #[error("the manifest has the unknown {field} {number}: a newer server made it")]
    UnknownValue {
        /// The field.
        field: &'static str,
        /// The wire number.
        number: u8,
    },
    /// Its bytes do not follow the format.
    #[error("the manifest is malformed")]
    Malformed,
    /// It belongs to another event.
    #[error("the manifest is another event's")]
    OtherEvent,
    /// It is older than the one in use.
    #[error("the manifest has version {offered}, older than {installed}")]
    Older {
        /// The version in use.
        installed: u64,
        /// The refused version.
        offered: u64,
    },
    /// It is a delta onto another version than the one in use.
    #[error("the manifest is a delta onto version {base}, which is not in use")]
    OtherBase {
        /// The base version of the delta.
        base: u64,
    },
    /// It has expired.
    #[error("the manifest expired at {expires_at}")]
    Expired {
        /// The last moment at which it could be taken into use.
        expires_at: Timestamp,
    },
}

impl ManifestError {
    /// The code of the error in the bindings, the CLI and logs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::OtherOrganization => "manifest_other_organization",
            Self::BadSignature => "manifest_bad_signature",
            Self::UnknownForm { .. } => "manifest_unknown_form",
            Self::UnknownSection { .. } => "manifest_unknown_section",
            Self::UnknownValue { .. } => "manifest_unknown_value",
            Self::Malformed => "manifest_malformed",
            Self::OtherEvent => "manifest_other_event",
            Self::Older { .. } => "manifest_older",
            Self::OtherBase { .. } => "manifest_other_base",
            Self::Expired { .. } => "manifest_expired",
        }
    }
}

/// The key of a ticket in a manifest: the first 16 bytes of the SHA-256 of organization, event and code. It does not
/// disclose the code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TicketKey([u8; 16]);

impl TicketKey {
    /// The key of a code.
    #[must_use]
    pub fn of(organization: OrganizationId, event: EventId, code: TicketCode) -> Self {
        TicketKeys::of(organization, event).key(code)
    }

    /// Wraps the bytes of a key.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for TicketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TicketKey({})", crate::model::hex::encode(&self.0))
    }
}

/// The keys of the tickets of one event. What all of them have in common is hashed once.
#[derive(Debug, Clone)]
pub struct TicketKeys(Sha256);

impl TicketKeys {
    /// The keys of an event.
    #[must_use]
    pub fn of(organization: OrganizationId, event: EventId) -> Self {
        let start = format!("voelgoed-scan/manifest/{organization}/{event}/");
        Self(Sha256::new_with_prefix(start))
    }

    /// The key of a code.
    #[must_use]
    pub fn key(&self, code: TicketCode) -> TicketKey {
        let digest = self.0.clone().chain_update(code.to_string()).finalize();
        let mut key = [0; 16];
        key.copy_from_slice(&digest[..16]);
        TicketKey(key)
    }
}

/// A ticket in a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestTicket {
    /// Its key.
    pub key: TicketKey,
    /// Its status.
    pub status: TicketStatus,
    /// Its class.
    pub ticket_class: Option<ClassName>,
    /// The gates that let it in; `None` for all.
    pub gate_ids: Option<Vec<GateId>>,
    /// The first moment at which it admits.
    pub valid_from: Option<Timestamp>,
    /// The last moment at which it admits.
    pub valid_until: Option<Timestamp>,
    /// The number of people that it admits.
    pub entry_limit: u8,
    /// The number of admissions that were not undone.
    pub admissions: u32,
    /// The number of people inside. If the event is `daily`, on the day of the last admission.
    pub inside: u16,
    /// The time of the last admission.
    pub last_admission: Option<Timestamp>,
    /// The hashes of its media. Empty in a ticket that was read from a manifest, which finds it by each of them.
    pub media: Vec<MediumKey>,
    /// The number of admissions on the day of the last one, if the event is `daily`; else 0.
    pub day_admissions: u32,
}

impl ManifestTicket {
    /// The entry of a ticket of the server. `day_of` gives the day of a time.
    #[must_use]
    pub fn of(facts: &TicketFacts, media: &Media, day_of: impl FnOnce(Timestamp) -> ScanDay) -> Self {
        let TicketFacts { ticket, ledger, .. } = facts;
        let mut listed = Self {
            key: TicketKey::of(ticket.organization_id, ticket.event_id, ticket.code),
            status: ticket.status,
            ticket_class: ticket.ticket_class.clone(),
            gate_ids: ticket.gate_ids.clone(),
            valid_from: ticket.valid_from,
            valid_until: ticket.valid_until,
            entry_limit: ticket.entry_limit,
            admissions: 0,
            inside: 0,
            last_admission: None,
            media: media
                .iter()
                .map(|medium| MediumKey::of(ticket.organization_id, ticket.event_id, medium))
                .collect(),
            day_admissions: 0,
        };
        listed.set_history(ledger, day_of);
        listed
    }

    /// Sets what a manifest contains of a ticket's admissions. `day_of` gives the day of a time.
    pub(crate) fn set_history(&mut self, ledger: &Ledger, day_of: impl FnOnce(Timestamp) -> ScanDay) {
        self.admissions = ledger.admissions();
        self.last_admission = ledger.last_admission().map(|passage| passage.at);
        let day = self.last_admission.map_or(ScanDay::ENDLESS, day_of);
        self.inside = u16::try_from(ledger.inside(day.counted_since)).unwrap_or(u16::MAX);
        self.day_admissions = match day.from {
            Timestamp::MIN => 0,
            from => u32::try_from(ledger.admissions_since(from)).unwrap_or(u32::MAX),
        };
    }
}

/// The result of looking a ticket up in a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TicketLookup {
    /// The manifest lists the ticket.
    Listed(ManifestTicket),
    /// The manifest lists the ticket with a status number or a class number that this version does not know. The rules
    /// cannot be checked, so the ticket must be denied.
    Unknown,
    /// The manifest does not list the ticket.
    Absent,
}

impl TicketLookup {
    /// The ticket, if the manifest lists it and this version knows all its numbers.
    #[must_use]
    pub fn listed(self) -> Option<ManifestTicket> {
        match self {
            Self::Listed(ticket) => Some(ticket),
            Self::Unknown | Self::Absent => None,
        }
    }
}

/// A gate in a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestGate {
    /// The gate. Its capacity is `None`: the manifest does not carry the number.
    pub gate: Gate,
    /// Whether it has a capacity. A phone cannot enforce it offline.
    pub has_capacity: bool,
}

/// Everything in a manifest but its tickets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestHead {
    /// Rises with every change of the event, its gates, its keys and its tickets.
    pub version: u64,
    /// The base version of a delta; `None` for a full manifest.
    pub base: Option<u64>,
    /// The server's time before it read the facts.
    pub made_at: Timestamp,
    /// The last moment at which it may be taken into use.
    pub expires_at: Timestamp,
    /// The event. Its capacity is `None`: the manifest does not carry the number.
    pub event: Event,
    /// Whether the event has a capacity.
    pub has_capacity: bool,
    /// The event's gates.
    pub gates: Vec<ManifestGate>,
    /// The public keys, and the ids of revoked keys.
    pub keys: Vec<SigningKey>,
    /// The deduplication window of the server.
    pub dedup_window: Duration,
    /// The starts of days, ascending, if the event is `daily`.
    pub days: Vec<Timestamp>,
    /// The messages that the organization replaced.
    pub messages: CustomMessages,
}

impl ManifestHead {
    /// The gate of that id.
    #[must_use]
    pub fn gate(&self, id: GateId) -> Option<&ManifestGate> {
        self.gates.iter().find(|listed| listed.gate.id == id)
    }

    /// The day of a scan at a time.
    #[must_use]
    pub fn day(&self, at: Timestamp) -> ScanDay {
        match self.event.reentry {
            Reentry::Daily => ScanDay::of_begins(&self.days, at),
            Reentry::Never | Reentry::AfterWindow | Reentry::AfterExit => ScanDay::ENDLESS,
        }
    }

    /// The last moment at which the manifest is not stale.
    #[must_use]
    pub fn stale_from(&self) -> Timestamp {
        self.made_at
            .plus(Duration::from_secs(self.event.manifest_max_age_s.into()))
    }

    /// Whether the manifest is older at `now` than its event allows (`manifest_max_age_s`).
    #[must_use]
    pub fn is_stale(&self, now: Timestamp) -> bool {
        now > self.stale_from()
    }
}
