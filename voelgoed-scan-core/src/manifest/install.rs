//! May a manifest that came be taken into use? And how does a delta become part of the one in use?

use crate::manifest::body::{Body, Record, numbered};
use crate::manifest::build::{Tables, encode};
use crate::manifest::wire::SIGNATURE;
use crate::manifest::{ManifestError, ManifestHead, ManifestTicket, ManifestTooLarge, TicketKey};
use crate::model::{ClassName, EventId, OrganizationId, TicketCode, Timestamp};
use crate::token::is_manifest_signature_valid;

/// A manifest, or a delta, whose signature holds; not in use yet.
#[derive(Debug, Clone)]
pub struct VerifiedManifest(Body);

impl VerifiedManifest {
    /// Reads bytes that claim to be a manifest of `organization`, signed by the key that was pinned at enrolment.
    ///
    /// Errors: another organization's, a signature that does not hold, a form that is not known, malformed.
    pub fn read(
        mut bytes: Vec<u8>,
        organization: OrganizationId,
        manifest_key: &[u8; 32],
    ) -> Result<Self, ManifestError> {
        // Another organization signs with another key: told first, so that it is told from a forgery.
        if Body::claimed_organization(&bytes)? != organization {
            return Err(ManifestError::OtherOrganization);
        }
        let (signed, signature) = bytes
            .split_last_chunk::<SIGNATURE>()
            .ok_or(ManifestError::Malformed)?;
        if !is_manifest_signature_valid(manifest_key, signed, signature) {
            return Err(ManifestError::BadSignature);
        }
        bytes.truncate(bytes.len() - SIGNATURE);
        Body::read(bytes).map(Self)
    }

    /// What it says beside its tickets.
    #[must_use]
    pub const fn head(&self) -> &ManifestHead {
        &self.0.head
    }

    /// Whether it may be taken into use at `now`, instead of or onto the one held.
    ///
    /// Errors: another event's, an older one, a delta onto another version, expired.
    pub fn check(
        &self,
        event: EventId,
        held: Option<&Manifest>,
        now: Timestamp,
    ) -> Result<(), ManifestError> {
        let head = self.head();
        if head.event.id != event {
            return Err(ManifestError::OtherEvent);
        }
        let held = held.map(Manifest::head).filter(|held| held.event.id == event);
        if let Some(held) = held
            && (head.version, head.made_at) < (held.version, held.made_at)
        {
            return Err(ManifestError::Older {
                held: held.version,
                offered: head.version,
            });
        }
        if let Some(base) = head.base
            && held.is_none_or(|held| held.version != base)
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

    /// The manifest that this one makes: itself, or the one held with what changed. An error for a delta onto another
    /// version than the one held. Checks nothing else: see [`Self::check`].
    pub fn onto(self, held: Option<&Manifest>) -> Result<Manifest, ManifestError> {
        let Some(base) = self.head().base else {
            return Ok(Manifest(self.0));
        };
        let same_event = |held: &&Manifest| held.head().event.id == self.head().event.id;
        match held.filter(same_event) {
            Some(held) if held.head().version == base => {
                // A merge that has no room for all is as good as one that has no base: a full manifest is due.
                let bytes = merge(&held.0, &self.0).map_err(|_| ManifestError::OtherBase { base })?;
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
    /// What it says beside its tickets.
    #[must_use]
    pub const fn head(&self) -> &ManifestHead {
        &self.0.head
    }

    /// How many tickets it lists.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it lists no ticket.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.len() == 0
    }

    /// Bytes that it takes in memory, less than a hundredth not counted.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.0.size()
    }

    /// What it calls a code.
    #[must_use]
    pub fn key(&self, code: TicketCode) -> TicketKey {
        let event = &self.head().event;
        TicketKey::of(event.organization_id, event.id, code)
    }

    /// What it says of a ticket; `None` where it does not list it.
    #[must_use]
    pub fn find(&self, key: TicketKey) -> Option<ManifestTicket> {
        self.0.find(key)
    }

    /// All tickets, in the order of their keys.
    pub fn tickets(&self) -> impl Iterator<Item = ManifestTicket> + '_ {
        self.0.records().map(|record| self.0.ticket(&record))
    }

    /// The class that VG2 claims name by this number.
    #[must_use]
    pub fn claimed_class(&self, number: u16) -> Option<&ClassName> {
        numbered(&self.head().event.ticket_classes, number)
    }
}

fn merge(held: &Body, delta: &Body) -> Result<Vec<u8>, ManifestTooLarge> {
    let head = ManifestHead {
        base: None,
        ..delta.head.clone()
    };
    let mut tables = Tables::of(&head)?;
    // Either side counts classes and sets for itself.
    let mut renumber = |body: &Body| -> Result<(Vec<u16>, Vec<u16>), ManifestTooLarge> {
        let classes = body.classes.iter().map(|class| tables.class(class));
        let classes = classes.collect::<Result<_, _>>()?;
        let sets = body.sets.iter().map(|set| tables.set(set));
        Ok((classes, sets.collect::<Result<_, _>>()?))
    };
    let held_numbers = renumber(held)?;
    let delta_numbers = renumber(delta)?;
    let mut records = Vec::with_capacity(held.len() + delta.len());
    let mut changed = delta.records().peekable();
    for old in held.records() {
        while let Some(new) = changed.next_if(|new| new.key < old.key) {
            records.push(renumbered(new, &delta_numbers));
        }
        match changed.next_if(|new| new.key == old.key) {
            Some(new) => records.push(renumbered(new, &delta_numbers)),
            None => records.push(renumbered(old, &held_numbers)),
        }
    }
    records.extend(changed.map(|new| renumbered(new, &delta_numbers)));
    encode(&head, &tables, &records)
}

fn renumbered(record: Record, (classes, sets): &(Vec<u16>, Vec<u16>)) -> Record {
    Record {
        class: numbered(classes, record.class).copied().unwrap_or(0),
        gates: numbered(sets, record.gates).copied().unwrap_or(0),
        ..record
    }
}
