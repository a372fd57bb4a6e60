//! What must a phone know to decide alone? The manifest of an event: its rules, its gates, the public keys, and every
//! ticket by the hash of its code. No personal data, no secret, no code.
//!
//! A server writes one ([`ManifestFacts`], [`ManifestDraft`]); a phone reads one ([`VerifiedManifest`]) and keeps it in use
//! ([`Manifest`]). The bytes are described in `docs/manifest.md`.
//!
//! Invariants: nothing is read from bytes whose signature does not hold, save for whose they claim to be; reading never
//! panics and never allocates by a length that it read; a manifest in use stays the compact bytes that came.

mod body;
mod build;
mod install;
#[cfg(test)]
mod tests;
mod wire;

use std::fmt;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::model::{
    ClassName, Event, EventId, Gate, GateId, OrganizationId, SigningKey, TicketCode, TicketFacts,
    TicketStatus, Timestamp,
};
pub use build::{ManifestDraft, ManifestFacts, ManifestTooLarge};
pub use install::{Manifest, VerifiedManifest};

/// The media type of a manifest and of a delta.
pub const MANIFEST_MEDIA_TYPE: &str = "application/vnd.voelgoed-scan.manifest";

/// Why a manifest is not taken. Whatever the reason, the one in use stays in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// It names another organization than the device's.
    #[error("the manifest is another organization's")]
    OtherOrganization,
    /// A byte was changed, or another key signed it than the one pinned at enrolment.
    #[error("the manifest's signature does not hold")]
    BadSignature,
    /// It is written in a form that this version does not read.
    #[error("the manifest has the unknown form {format}")]
    UnknownForm {
        /// The number of the form.
        format: u8,
    },
    /// Its bytes make no sense.
    #[error("the manifest is malformed")]
    Malformed,
    /// It is another event's.
    #[error("the manifest is another event's")]
    OtherEvent,
    /// It is older than the one in use.
    #[error("the manifest has version {offered}, older than {held}")]
    Older {
        /// The version in use.
        held: u64,
        /// The version that was offered.
        offered: u64,
    },
    /// It is a delta onto another version than the one in use.
    #[error("the manifest is a delta onto version {base}, which is not in use")]
    OtherBase {
        /// The version that it is a delta onto.
        base: u64,
    },
    /// It had expired when it was to be taken.
    #[error("the manifest expired at {expires_at}")]
    Expired {
        /// When.
        expires_at: Timestamp,
    },
}

impl ManifestError {
    /// The code that the bindings, the CLI and logs name it by.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::OtherOrganization => "manifest_other_organization",
            Self::BadSignature => "manifest_bad_signature",
            Self::UnknownForm { .. } => "manifest_unknown_form",
            Self::Malformed => "manifest_malformed",
            Self::OtherEvent => "manifest_other_event",
            Self::Older { .. } => "manifest_older",
            Self::OtherBase { .. } => "manifest_other_base",
            Self::Expired { .. } => "manifest_expired",
        }
    }
}

/// What a manifest calls a ticket: the first 16 bytes of the SHA-256 of organization, event and code. Whoever reads a
/// manifest learns no code from it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TicketKey([u8; 16]);

impl TicketKey {
    /// The key of a code.
    #[must_use]
    pub fn of(organization: OrganizationId, event: EventId, code: TicketCode) -> Self {
        let digest =
            Sha256::digest(format!("voelgoed-scan/manifest/{organization}/{event}/{code}").as_bytes());
        let mut key = [0; 16];
        key.copy_from_slice(&digest[..16]);
        Self(key)
    }

    /// The key that these bytes are.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
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

/// What a manifest says of a ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestTicket {
    /// What it is called.
    pub key: TicketKey,
    /// What became of it.
    pub status: TicketStatus,
    /// Its class.
    pub ticket_class: Option<ClassName>,
    /// The gates that let it in; `None` for all.
    pub gate_ids: Option<Vec<GateId>>,
    /// It admits from here on.
    pub valid_from: Option<Timestamp>,
    /// It admits until here.
    pub valid_until: Option<Timestamp>,
    /// How many people it admits.
    pub entry_limit: u8,
    /// How many admissions it has had that were not undone.
    pub admissions: u32,
    /// How many people it has inside.
    pub inside: u16,
    /// When the last admission was.
    pub last_admission: Option<Timestamp>,
}

impl ManifestTicket {
    /// A ticket of the server's.
    #[must_use]
    pub fn of(facts: &TicketFacts) -> Self {
        let TicketFacts { ticket, ledger, .. } = facts;
        Self {
            key: TicketKey::of(ticket.organization_id, ticket.event_id, ticket.code),
            status: ticket.status,
            ticket_class: ticket.ticket_class.clone(),
            gate_ids: ticket.gate_ids.clone(),
            valid_from: ticket.valid_from,
            valid_until: ticket.valid_until,
            entry_limit: ticket.entry_limit,
            admissions: ledger.admissions(),
            inside: u16::try_from(ledger.inside()).unwrap_or(u16::MAX),
            last_admission: ledger.last_admission().map(|seen| seen.at),
        }
    }
}

/// A gate as a manifest has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestGate {
    /// The gate; its capacity is not told.
    pub gate: Gate,
    /// Whether it has a capacity, which nobody can keep offline.
    pub has_capacity: bool,
}

/// What a manifest says beside its tickets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestHead {
    /// Rises with every change of the event, its gates, its keys and its tickets.
    pub version: u64,
    /// Of a delta: the version that it is to be laid onto.
    pub base: Option<u64>,
    /// When the server began to read what it says.
    pub made_at: Timestamp,
    /// The last moment at which it may be taken into use.
    pub expires_at: Timestamp,
    /// The event; its capacity is not told.
    pub event: Event,
    /// Whether the event has a capacity.
    pub has_capacity: bool,
    /// The event's gates.
    pub gates: Vec<ManifestGate>,
    /// The public keys, and the names of revoked ones.
    pub keys: Vec<SigningKey>,
    /// The deduplication window of the server.
    pub dedup_window: Duration,
}

impl ManifestHead {
    /// The gate of that id.
    #[must_use]
    pub fn gate(&self, id: GateId) -> Option<&ManifestGate> {
        self.gates.iter().find(|one| one.gate.id == id)
    }

    /// The last moment at which the manifest is as young as its event wants it.
    #[must_use]
    pub fn stale_from(&self) -> Timestamp {
        self.made_at
            .plus(Duration::from_secs(self.event.manifest_max_age_s.into()))
    }

    /// Whether the manifest has grown older at `now` than its event allows.
    #[must_use]
    pub fn is_stale(&self, now: Timestamp) -> bool {
        now > self.stale_from()
    }
}
