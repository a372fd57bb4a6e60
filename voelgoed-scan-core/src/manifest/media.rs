//! The media of the tickets in a manifest: a hash of each, with the ticket that has it.
//!
//! Invariants: the hashes ascend, without duplicates; every position is that of a ticket. The section is present exactly if
//! the event lets media in.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use sha2::{Digest, Sha256};

use crate::manifest::ManifestTooLarge;
use crate::manifest::TicketKey;
use crate::manifest::body::Body;
use crate::manifest::section::Section;
use crate::manifest::wire::Writer;
use crate::model::{EventId, Medium, OrganizationId};

/// The bytes of a hash, and of a position in the list of tickets.
const HASH_LENGTH: usize = 16;
const POSITION_LENGTH: usize = 4;

/// The hash of a medium in a manifest: the first 16 bytes of the SHA-256 of organization, event and medium. A short number
/// can be found by trying.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MediumKey([u8; HASH_LENGTH]);

impl MediumKey {
    /// The hash of a medium.
    #[must_use]
    pub fn of(organization: OrganizationId, event: EventId, medium: &Medium) -> Self {
        let text = format!("voelgoed-scan/medium/{organization}/{event}/{medium}");
        let digest = Sha256::digest(text);
        let mut key = [0; HASH_LENGTH];
        key.copy_from_slice(&digest[..HASH_LENGTH]);
        Self(key)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; HASH_LENGTH] {
        &self.0
    }
}

impl fmt::Debug for MediumKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MediumKey({})", crate::model::hex::encode(&self.0))
    }
}

/// The tickets of the media, while a manifest is written.
pub(super) type MediaOwners = BTreeMap<MediumKey, TicketKey>;

/// Writes the section. `keys` are the keys of all tickets, ascending. A medium of a ticket that is not among them is left
/// out.
pub(super) fn encode_media(
    to: &mut Writer,
    owners: &MediaOwners,
    keys: impl Iterator<Item = [u8; 16]>,
) -> Result<(), ManifestTooLarge> {
    let mut by_ticket: Vec<(TicketKey, MediumKey)> =
        owners.iter().map(|(medium, ticket)| (*ticket, *medium)).collect();
    by_ticket.sort_unstable();
    let mut rest = by_ticket.into_iter().peekable();
    let mut media = Vec::with_capacity(owners.len());
    for (position, key) in (0_u32..).zip(keys) {
        while rest.next_if(|(ticket, _)| *ticket.as_bytes() < key).is_some() {}
        while let Some((_, medium)) = rest.next_if(|(ticket, _)| *ticket.as_bytes() == key) {
            media.push((medium, position));
        }
    }
    media.sort_unstable();
    to.section(Section::Media, |to| {
        for (medium, _) in &media {
            to.bytes(medium.as_bytes());
        }
        for (_, position) in &media {
            to.u32(*position);
        }
        Ok(())
    })
}

/// The columns of the section.
#[derive(Debug, Clone)]
pub(super) struct MediaColumns {
    hashes: Range<usize>,
    positions: Range<usize>,
}

impl MediaColumns {
    /// The columns of a section at `range`. `None` where its length is not a whole number of media.
    pub(super) fn of(range: Range<usize>) -> Option<Self> {
        let (length, start) = (range.len(), range.start);
        let count = length / (HASH_LENGTH + POSITION_LENGTH);
        let middle = start + count * HASH_LENGTH;
        (length == count * (HASH_LENGTH + POSITION_LENGTH)).then_some(Self {
            hashes: start..middle,
            positions: middle..range.end,
        })
    }
}

impl Body {
    fn hashes(&self) -> &[[u8; HASH_LENGTH]] {
        self.media
            .as_ref()
            .map_or(&[], |media| self.column(&media.hashes))
    }

    fn positions(&self) -> &[[u8; POSITION_LENGTH]] {
        self.media
            .as_ref()
            .map_or(&[], |media| self.column(&media.positions))
    }

    /// Whether the hashes ascend and every position is that of a ticket.
    pub(super) fn are_media_valid(&self) -> bool {
        let ascend = self
            .hashes()
            .windows(2)
            .all(|pair| matches!(pair, [one, next] if one < next));
        let is_ticket = |position: &[u8; POSITION_LENGTH]| self.key_at(*position).is_some();
        ascend && self.positions().iter().all(is_ticket)
    }

    fn key_at(&self, position: [u8; POSITION_LENGTH]) -> Option<TicketKey> {
        let position = usize::try_from(u32::from_be_bytes(position)).ok()?;
        self.keys().get(position).copied().map(TicketKey::from_bytes)
    }

    /// The ticket that has a medium.
    pub(super) fn owner_of(&self, medium: MediumKey) -> Option<TicketKey> {
        let index = self.hashes().binary_search(medium.as_bytes()).ok()?;
        self.key_at(*self.positions().get(index)?)
    }

    /// The media with their tickets, ascending.
    fn media_owners(&self) -> impl Iterator<Item = (MediumKey, TicketKey)> + '_ {
        let media = self.hashes().iter().zip(self.positions());
        media.filter_map(|(hash, position)| Some((MediumKey(*hash), self.key_at(*position)?)))
    }
}

/// The media after a delta: it replaces those of the tickets that it lists. `None` where the event lets none in.
pub(super) fn merged_media(base: &Body, delta: &Body) -> Option<MediaOwners> {
    delta.media.as_ref()?;
    let is_listed = |ticket: &TicketKey| delta.keys().binary_search(ticket.as_bytes()).is_ok();
    let kept = base.media_owners().filter(|(_, ticket)| !is_listed(ticket));
    Some(kept.chain(delta.media_owners()).collect())
}
