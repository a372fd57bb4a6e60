//! How do numbers, times and texts stand in a manifest? Big-endian, texts with their length before them.

use crate::manifest::{ManifestError, ManifestTooLarge};
use crate::model::Timestamp;

/// What every manifest begins with. Nothing else that the organization's manifest key signs does.
pub(super) const MAGIC: [u8; 3] = *b"VGM";

/// The form that this version writes and reads.
pub(super) const FORM: u8 = 1;

/// Length of the signature at the end.
pub(super) const SIGNATURE: usize = 64;

/// A time that is not there. No [`Timestamp`] reaches so far back.
const NO_TIME: i64 = i64::MIN;

/// A time that may be missing, as it is written.
pub(super) fn opt_millis(time: Option<Timestamp>) -> i64 {
    time.map_or(NO_TIME, Timestamp::as_millis)
}

/// A time that may be missing, as it was written.
pub(super) fn opt_time(millis: i64) -> Option<Timestamp> {
    (millis != NO_TIME).then(|| Timestamp::from_millis(millis))
}

/// Reads from the front of what is left. A length that was read is only ever compared with what is there.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// How many bytes are left.
    pub(super) const fn left(&self) -> usize {
        self.rest.len()
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], ManifestError> {
        let (array, rest) = self.rest.split_first_chunk().ok_or(ManifestError::Malformed)?;
        self.rest = rest;
        Ok(*array)
    }

    pub(super) fn slice(&mut self, length: usize) -> Result<&'a [u8], ManifestError> {
        let (slice, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(ManifestError::Malformed)?;
        self.rest = rest;
        Ok(slice)
    }

    pub(super) fn u8(&mut self) -> Result<u8, ManifestError> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Result<u16, ManifestError> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, ManifestError> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, ManifestError> {
        self.array().map(u64::from_be_bytes)
    }

    pub(super) fn i64(&mut self) -> Result<i64, ManifestError> {
        self.array().map(i64::from_be_bytes)
    }

    pub(super) fn time(&mut self) -> Result<Timestamp, ManifestError> {
        self.i64().map(Timestamp::from_millis)
    }

    pub(super) fn opt_time(&mut self) -> Result<Option<Timestamp>, ManifestError> {
        self.i64().map(opt_time)
    }

    /// A text that a type takes.
    pub(super) fn text<T: std::str::FromStr>(&mut self) -> Result<T, ManifestError> {
        let length = self.u16()?;
        std::str::from_utf8(self.slice(length.into())?)
            .ok()
            .and_then(|text| text.parse().ok())
            .ok_or(ManifestError::Malformed)
    }

    /// A value of a closed list, by its place in it.
    pub(super) fn word<T: Copy>(&mut self, all: &[T]) -> Result<T, ManifestError> {
        let place = self.u8()?;
        all.get(usize::from(place))
            .copied()
            .ok_or(ManifestError::Malformed)
    }

    /// Flags of which only the lowest `known` bits are known.
    pub(super) fn flags<const N: usize>(&mut self) -> Result<[bool; N], ManifestError> {
        let byte = self.u8()?;
        if usize::from(byte) >> N != 0 {
            return Err(ManifestError::Malformed);
        }
        Ok(std::array::from_fn(|bit| byte >> bit & 1 == 1))
    }
}

/// Writes at the end of what is there.
#[derive(Default)]
pub(super) struct Writer(pub(super) Vec<u8>);

impl Writer {
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn u8(&mut self, number: u8) {
        self.0.push(number);
    }

    pub(super) fn u16(&mut self, number: u16) {
        self.bytes(&number.to_be_bytes());
    }

    pub(super) fn u32(&mut self, number: u32) {
        self.bytes(&number.to_be_bytes());
    }

    pub(super) fn u64(&mut self, number: u64) {
        self.bytes(&number.to_be_bytes());
    }

    pub(super) fn i64(&mut self, number: i64) {
        self.bytes(&number.to_be_bytes());
    }

    pub(super) fn time(&mut self, time: Timestamp) {
        self.i64(time.as_millis());
    }

    /// The number of things that follow, where there is room for so many.
    pub(super) fn count(&mut self, count: usize, what: &'static str) -> Result<(), ManifestTooLarge> {
        self.u16(u16::try_from(count).map_err(|_| ManifestTooLarge { what })?);
        Ok(())
    }

    pub(super) fn text(&mut self, text: &str) -> Result<(), ManifestTooLarge> {
        self.count(text.len(), "bytes of a text")?;
        self.bytes(text.as_bytes());
        Ok(())
    }

    /// A value of a closed list, by its place in it.
    pub(super) fn word<T: PartialEq>(&mut self, value: &T, all: &[T]) -> Result<(), ManifestTooLarge> {
        let place = all.iter().position(|one| one == value).unwrap_or(all.len());
        self.u8(u8::try_from(place).map_err(|_| ManifestTooLarge { what: "words" })?);
        Ok(())
    }

    /// Flags, the first in the lowest bit.
    pub(super) fn flags<const N: usize>(&mut self, flags: [bool; N]) {
        let byte = flags
            .iter()
            .rev()
            .fold(0, |byte, &flag| byte << 1 | u8::from(flag));
        self.u8(byte);
    }
}
