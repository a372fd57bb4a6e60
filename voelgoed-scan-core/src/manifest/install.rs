//! Verifies a manifest that a phone received and takes it into use.

use crate::manifest::body::{Body, numbered};
use crate::manifest::merge::merge;
use crate::manifest::wire::SIGNATURE_LENGTH;
use crate::manifest::{ManifestError, ManifestHead, ManifestTicket, MediumKey, TicketKey, TicketLookup};
use crate::model::{ClassName, EventId, Medium, OrganizationId, TicketCode, Timestamp};
use crate::token::is_manifest_signature_valid;

/// A manifest or a delta with a valid signature that is not in use yet.
#[derive(Debug, Clone)]
pub struct VerifiedManifest(Body);

impl VerifiedManifest {
    /// Reads a manifest of `organization` and checks its signature with the key that was pinned at enrolment.
    ///
    /// Fails for another organization's manifest, an invalid signature, an unknown format version, an unknown value in
    /// the head, and for malformed bytes.
    pub fn verify(
        mut bytes: Vec<u8>,
        organization: OrganizationId,
        manifest_key: &[u8; 32],
    ) -> Result<Self, ManifestError> {
        // Another organization signs with another key. This check comes first, so that its manifest is not reported as
        // a forgery.
        if Body::claimed_organization(&bytes)? != organization {
            return Err(ManifestError::OtherOrganization);
        }
        let (signed, signature) = bytes
            .split_last_chunk::<SIGNATURE_LENGTH>()
            .ok_or(ManifestError::Malformed)?;
        if !is_manifest_signature_valid(manifest_key, signed, signature) {
            return Err(ManifestError::BadSignature);
        }
        bytes.truncate(bytes.len() - SIGNATURE_LENGTH);
        Body::read(bytes).map(Self)
    }

    /// Everything but the tickets.
    #[must_use]
    pub const fn head(&self) -> &ManifestHead {
        &self.0.head
    }

    /// Checks whether this manifest may replace or extend the installed one at `now`.
    ///
    /// Fails for another event's manifest, an older one, a delta onto a version that is not installed, and an expired
    /// one.
    pub fn check(
        &self,
        event: EventId,
        installed: Option<&Manifest>,
        now: Timestamp,
    ) -> Result<(), ManifestError> {
        let head = self.head();
        if head.event.id != event {
            return Err(ManifestError::OtherEvent);
        }
        let installed = installed
            .map(Manifest::head)
            .filter(|installed| installed.event.id == event);
        if let Some(installed) = installed
            && (head.version, head.made_at) < (installed.version, installed.made_at)
        {
            return Err(ManifestError::Older {
                installed: installed.version,
                offered: head.version,
            });
        }
        if let Some(base) = head.base
            && installed.is_none_or(|installed| installed.version != base)
        {
            return Err(ManifestError::OtherBase { base });
        }
        if now > head.expires_at {
            return Err(ManifestError::Expired {
                expires_at: head.expires_at,
            });
        }
        Ok(())
    }

    /// Makes the manifest to use: a full manifest as it is, a delta merged into `installed`.
    ///
    /// Fails for a delta onto another version than the installed one. It makes none of the checks of [`Self::check`].
    pub fn into_manifest(self, installed: Option<&Manifest>) -> Result<Manifest, ManifestError> {
        let Some(base) = self.head().base else {
            return Ok(Manifest(self.0));
        };
        let same_event = |installed: &&Manifest| installed.head().event.id == self.head().event.id;
        match installed.filter(same_event) {
            Some(installed) if installed.head().version == base => {
                // A merge that exceeds a limit of the format fails like a missing base: the phone then asks for a full
                // manifest.
                let bytes = merge(&installed.0, &self.0).map_err(|_| ManifestError::OtherBase { base })?;
                Body::read(bytes).map(Manifest)
            }
            _ => Err(ManifestError::OtherBase { base }),
        }
    }
}

/// A manifest in use.
#[derive(Debug, Clone)]
pub struct Manifest(Body);

impl Manifest {
    /// Everything but the tickets.
    #[must_use]
    pub const fn head(&self) -> &ManifestHead {
        &self.0.head
    }

    /// The number of tickets.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it lists no ticket.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.len() == 0
    }

    /// Its size in memory in bytes, accurate to 1 %.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.0.size()
    }

    /// The key of a ticket code in this manifest.
    #[must_use]
    pub fn key(&self, code: TicketCode) -> TicketKey {
        let event = &self.head().event;
        TicketKey::of(event.organization_id, event.id, code)
    }

    /// Looks a ticket up by its key.
    #[must_use]
    pub fn find(&self, key: TicketKey) -> TicketLookup {
        self.0.find(key)
    }

    /// The key of the ticket that has a medium. `None` where no ticket has it, or where the event lets no media in.
    #[must_use]
    pub fn owner_of(&self, medium: &Medium) -> Option<TicketKey> {
        let event = &self.head().event;
        self.0
            .owner_of(MediumKey::of(event.organization_id, event.id, medium))
    }

    /// The tickets in the order of their keys, without those whose status or class number this version does not know.
    pub fn tickets(&self) -> impl Iterator<Item = ManifestTicket> + '_ {
        self.0.records().filter_map(|record| self.0.ticket(&record))
    }

    /// The class that VG2 claims name by this number, from 1.
    #[must_use]
    pub fn claimed_class(&self, number: u16) -> Option<&ClassName> {
        numbered(&self.head().event.ticket_classes, number)
    }
}
