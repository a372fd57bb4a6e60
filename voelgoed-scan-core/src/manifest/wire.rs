//! The encoding of numbers, times, texts and flags in a manifest: big-endian, texts with their length before them.
//!
//! Invariant: the reader compares a length that it read with the bytes that are left, and never allocates by it.

use crate::manifest::{ManifestError, ManifestTooLarge};
use crate::model::Timestamp;

/// The first bytes of every manifest. Nothing else that the organization's manifest key signs starts with them.
pub(super) const MAGIC: [u8; 3] = *b"VGM";

/// The version of the format that this code writes and reads.
pub(super) const FORMAT_VERSION: u8 = 2;

/// The length of the fixed start: magic, format version, flags and organization. It is the same in every format version, so
/// that the organization can be read before the signature is checked.
pub(super) const START_LENGTH: usize = 21;

/// The length of the signature at the end, in bytes.
pub(super) const SIGNATURE_LENGTH: usize = 64;

/// The encoding of an absent time. [`Timestamp`] starts at year 1, so no time has this value.
const NO_TIME: i64 = i64::MIN;

/// Encodes an optional time.
pub(super) fn encode_time(time: Option<Timestamp>) -> i64 {
    time.map_or(NO_TIME, Timestamp::as_millis)
}

/// Decodes an optional time.
pub(super) fn decode_time(millis: i64) -> Option<Timestamp> {
    (millis != NO_TIME).then(|| Timestamp::from_millis(millis))
}

/// Reads values from the front of a byte slice.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The number of bytes that are left.
    pub(super) const fn remaining(&self) -> usize {
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

    pub(super) fn optional_time(&mut self) -> Result<Option<Timestamp>, ManifestError> {
        self.i64().map(decode_time)
    }

    /// A text, parsed into its type.
    pub(super) fn text<T: std::str::FromStr>(&mut self) -> Result<T, ManifestError> {
        let length = self.u16()?;
        std::str::from_utf8(self.slice(length.into())?)
            .ok()
            .and_then(|text| text.parse().ok())
            .ok_or(ManifestError::Malformed)
    }

    /// An enum by its wire number. `field` names it in the error for a number that this version does not know.
    pub(super) fn wire_enum<T>(
        &mut self,
        field: &'static str,
        from_wire: fn(u8) -> Option<T>,
    ) -> Result<T, ManifestError> {
        let number = self.u8()?;
        from_wire(number).ok_or(ManifestError::UnknownValue { field, number })
    }

    /// A byte of `N` flags, the first in the lowest bit. A higher bit that is set is an error.
    pub(super) fn flags<const N: usize>(&mut self) -> Result<[bool; N], ManifestError> {
        let byte = self.u8()?;
        if usize::from(byte) >> N != 0 {
            return Err(ManifestError::Malformed);
        }
        Ok(std::array::from_fn(|bit| byte >> bit & 1 == 1))
    }
}

/// Appends values to a byte vector.
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

    /// A count as two bytes. An error names `what` is too many.
    pub(super) fn count(&mut self, count: usize, what: &'static str) -> Result<(), ManifestTooLarge> {
        self.u16(u16::try_from(count).map_err(|_| ManifestTooLarge { what })?);
        Ok(())
    }

    pub(super) fn text(&mut self, text: &str) -> Result<(), ManifestTooLarge> {
        self.count(text.len(), "bytes of a text")?;
        self.bytes(text.as_bytes());
        Ok(())
    }

    /// A byte of flags, the first in the lowest bit.
    pub(super) fn flags<const N: usize>(&mut self, flags: [bool; N]) {
        let byte = flags
            .iter()
            .rev()
            .fold(0, |byte, &flag| byte << 1 | u8::from(flag));
        self.u8(byte);
    }
}
