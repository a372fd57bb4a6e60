//! The sections of a manifest: after the fixed start come sections with a tag, a flag and a length, so that a reader steps
//! over a section that it does not know.
//!
//! Invariants: tags ascend, so that a section occurs at most once; a section that this version does not know is skipped
//! only if its flag allows it; a length that was read is compared with the bytes that are left, and nothing is allocated
//! by it. A tag is part of the format: it never changes and is never reused. `docs/manifest.md` lists the tags.

use std::ops::Range;

use crate::manifest::wire::{Reader, Writer};
use crate::manifest::{ManifestError, ManifestTooLarge};

/// The sections that this version writes and reads. A manifest has all of them up to [`Section::TicketHistories`], and of the
/// others those that its event needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    /// The event's id, the version, the base version and the times.
    Version,
    /// The rules of the event.
    Event,
    /// The public keys, and the ids of revoked keys.
    Keys,
    /// The names of the ticket classes.
    Classes,
    /// The gates.
    Gates,
    /// The sets of gates that ticket records refer to.
    GateSets,
    /// The keys of the tickets.
    TicketKeys,
    /// The terms of the tickets.
    TicketTerms,
    /// The admissions of the tickets that have any.
    TicketHistories,
    /// When the doors open and close.
    Doors,
    /// The new start of a postponed event.
    Rescheduled,
    /// The starts of days of a `daily` event.
    Days,
    /// The media of the tickets, where the event lets them in.
    Media,
    /// The admissions on the day of the last one, of a `daily` event.
    DayAdmissions,
    /// The messages that the organization replaced, if it replaced any.
    Messages,
}

impl Section {
    /// All sections, in the order of their tags.
    pub(super) const ALL: [Self; 15] = [
        Self::Version,
        Self::Event,
        Self::Keys,
        Self::Classes,
        Self::Gates,
        Self::GateSets,
        Self::TicketKeys,
        Self::TicketTerms,
        Self::TicketHistories,
        Self::Doors,
        Self::Rescheduled,
        Self::Days,
        Self::Media,
        Self::DayAdmissions,
        Self::Messages,
    ];

    /// The tag in the bytes.
    pub(super) const fn tag(self) -> u8 {
        match self {
            Self::Version => 1,
            Self::Event => 2,
            Self::Keys => 3,
            Self::Classes => 4,
            Self::Gates => 5,
            Self::GateSets => 6,
            Self::TicketKeys => 7,
            Self::TicketTerms => 8,
            Self::TicketHistories => 9,
            Self::Doors => 16,
            Self::Rescheduled => 17,
            Self::Days => 18,
            Self::Media => 19,
            Self::DayAdmissions => 20,
            Self::Messages => 21,
        }
    }

    /// Whether a reader that does not know the section must refuse the manifest.
    const fn is_required(self) -> bool {
        !matches!(self, Self::Media | Self::Messages)
    }

    fn position(tag: u8) -> Option<usize> {
        Self::ALL.iter().position(|section| section.tag() == tag)
    }
}

/// Where the sections are in the bytes of a manifest.
pub(super) struct Sections<'a> {
    bytes: &'a [u8],
    /// In the order of [`Section::ALL`]. `None` where the manifest lacks the section.
    ranges: [Option<Range<usize>>; Section::ALL.len()],
}

impl<'a> Sections<'a> {
    /// Finds the sections in `bytes`, from the offset `start` to the end.
    pub(super) fn find(bytes: &'a [u8], start: usize) -> Result<Self, ManifestError> {
        let mut ranges = [const { None }; Section::ALL.len()];
        let mut reader = Reader::new(bytes);
        reader.slice(start)?;
        let mut last = 0;
        let mut unknown = None;
        while reader.remaining() != 0 {
            let tag = reader.u8()?;
            let [is_required] = reader.flags()?;
            let length = usize::try_from(reader.u32()?).map_err(|_| ManifestError::Malformed)?;
            let from = bytes.len() - reader.remaining();
            reader.slice(length)?;
            if tag <= last {
                return Err(ManifestError::Malformed);
            }
            last = tag;
            let slot = Section::position(tag).and_then(|position| ranges.get_mut(position));
            match slot {
                Some(range) => *range = Some(from..from + length),
                None if is_required => unknown = unknown.or(Some(tag)),
                None => {}
            }
        }
        match unknown {
            Some(tag) => Err(ManifestError::UnknownSection { tag }),
            None => Ok(Self { bytes, ranges }),
        }
    }

    /// The position of a section's content. A manifest that lacks the section is malformed.
    pub(super) fn range(&self, section: Section) -> Result<Range<usize>, ManifestError> {
        self.optional_range(section).ok_or(ManifestError::Malformed)
    }

    /// The position of the content of a section that not every manifest has.
    pub(super) fn optional_range(&self, section: Section) -> Option<Range<usize>> {
        let position = Section::position(section.tag())?;
        self.ranges.get(position)?.clone()
    }

    /// Reads the content of a section to its end. A section with bytes after what `read` takes is malformed.
    pub(super) fn read<T>(
        &self,
        section: Section,
        read: impl FnOnce(&mut Reader<'a>) -> Result<T, ManifestError>,
    ) -> Result<T, ManifestError> {
        let content = self.bytes.get(self.range(section)?);
        let mut reader = Reader::new(content.ok_or(ManifestError::Malformed)?);
        let value = read(&mut reader)?;
        if reader.remaining() == 0 {
            Ok(value)
        } else {
            Err(ManifestError::Malformed)
        }
    }

    /// Reads the content of a section as [`Self::read`] does; `None` where the manifest lacks it.
    pub(super) fn read_optional<T>(
        &self,
        section: Section,
        read: impl FnOnce(&mut Reader<'a>) -> Result<T, ManifestError>,
    ) -> Result<Option<T>, ManifestError> {
        match self.optional_range(section) {
            Some(_) => self.read(section, read).map(Some),
            None => Ok(None),
        }
    }
}

/// The bytes before a section's content: tag, flags and length.
pub(super) const HEADER_LENGTH: usize = 6;

impl Writer {
    /// Appends a section.
    pub(super) fn section(
        &mut self,
        section: Section,
        write: impl FnOnce(&mut Self) -> Result<(), ManifestTooLarge>,
    ) -> Result<(), ManifestTooLarge> {
        self.u8(section.tag());
        self.flags([section.is_required()]);
        let at = self.0.len();
        self.u32(0);
        let start = self.0.len();
        write(self)?;
        let length = u32::try_from(self.0.len() - start).map_err(|_| ManifestTooLarge { what: "tickets" })?;
        if let Some(place) = self.0.get_mut(at..start) {
            place.copy_from_slice(&length.to_be_bytes());
        }
        Ok(())
    }
}
