//! A reader of untrusted Erlang external terms (version 131). It reads from the front and allocates nothing.
//!
//! Invariants: a length that was read is only compared with the remaining bytes; a count of elements only limits a loop
//! whose every iteration consumes at least one byte; functions, pids, ports, references, compressed terms and cached
//! atoms are refused at every position.
//!
//! Source: the Erlang external term format.

use crate::token::Malformed;

/// The maximum length of a term in bytes.
pub(super) const MAX_TERM: usize = 4096;
/// The maximum nesting depth of tuples, lists and maps.
pub(super) const MAX_DEPTH: u8 = 16;

/// The maximum number of characters of an atom in Erlang.
const MAX_ATOM: usize = 255;

/// A term without elements, or the head of a term whose elements follow.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Head<'a> {
    /// A binary.
    Binary(&'a [u8]),
    /// The name of an atom, in Latin-1 or UTF-8. The names of claims are ASCII, which is the same in both.
    Atom(&'a [u8]),
    /// An integer, clamped to `i64`.
    Integer(i64),
    /// A float.
    Float(f64),
    /// Any other term without elements.
    Other,
    /// A tuple of this many elements.
    Tuple(u32),
    /// A list of this many elements, then its tail.
    List(u32),
    /// A map of this many pairs.
    Map(u32),
}

/// The unread part of a term.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Reads the version byte.
    pub(super) fn new(term: &'a [u8]) -> Result<Self, Malformed> {
        match term {
            [131, rest @ ..] if term.len() <= MAX_TERM => Ok(Self(rest)),
            _ => Err(Malformed),
        }
    }

    /// Checks that no bytes are left.
    pub(super) fn end(self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed) }
    }

    /// Reads a term or its head.
    pub(super) fn head(&mut self) -> Result<Head<'a>, Malformed> {
        let [tag] = self.array()?;
        Ok(match tag {
            // NEW_FLOAT_EXT
            70 => Head::Float(finite(f64::from_be_bytes(self.array()?))?),
            // BIT_BINARY_EXT: a length, how many bits of the last byte count, the bytes
            77 => {
                let length = self.length32()?;
                match self.array()? {
                    [0..=8] => self.bytes(length)?,
                    _ => return Err(Malformed),
                };
                Head::Other
            }
            // SMALL_INTEGER_EXT, INTEGER_EXT
            97 => Head::Integer(u8::from_be_bytes(self.array()?).into()),
            98 => Head::Integer(i32::from_be_bytes(self.array()?).into()),
            // FLOAT_EXT: a text, which only very old Erlang versions write
            99 => {
                self.bytes(31)?;
                Head::Other
            }
            // ATOM_EXT and SMALL_ATOM_EXT are Latin-1, ATOM_UTF8_EXT and SMALL_ATOM_UTF8_EXT are UTF-8
            100 => Head::Atom(latin1(self.short_bytes()?)?),
            115 => Head::Atom(latin1(self.tiny_bytes()?)?),
            118 => Head::Atom(utf8(self.short_bytes()?)?),
            119 => Head::Atom(utf8(self.tiny_bytes()?)?),
            // SMALL_TUPLE_EXT, LARGE_TUPLE_EXT
            104 => Head::Tuple(u8::from_be_bytes(self.array()?).into()),
            105 => Head::Tuple(u32::from_be_bytes(self.array()?)),
            // NIL_EXT
            106 => Head::Other,
            // STRING_EXT: a list of small integers
            107 => {
                self.short_bytes()?;
                Head::Other
            }
            // LIST_EXT
            108 => Head::List(u32::from_be_bytes(self.array()?)),
            // BINARY_EXT
            109 => {
                let length = self.length32()?;
                Head::Binary(self.bytes(length)?)
            }
            // SMALL_BIG_EXT, LARGE_BIG_EXT: a length, the sign, the magnitude from its lowest byte
            110 => {
                let length = u8::from_be_bytes(self.array()?);
                Head::Integer(self.big(length.into())?)
            }
            111 => {
                let length = self.length32()?;
                Head::Integer(self.big(length)?)
            }
            // MAP_EXT
            116 => Head::Map(u32::from_be_bytes(self.array()?)),
            // Functions, pids, ports, references, compressed and local terms, cached atoms and unknown tags
            _ => return Err(Malformed),
        })
    }

    /// Skips the elements of `head`. `depth` is the nesting depth of `head`, from 1.
    pub(super) fn skip(&mut self, head: Head<'a>, depth: u8) -> Result<(), Malformed> {
        let elements = match head {
            Head::Tuple(elements) => u64::from(elements),
            Head::List(elements) => u64::from(elements) + 1,
            Head::Map(pairs) => u64::from(pairs) * 2,
            Head::Binary(_) | Head::Atom(_) | Head::Integer(_) | Head::Float(_) | Head::Other => {
                return Ok(());
            }
        };
        if depth > MAX_DEPTH {
            return Err(Malformed);
        }
        for _ in 0..elements {
            let element = self.head()?;
            self.skip(element, depth + 1)?;
        }
        Ok(())
    }

    fn bytes(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*bytes)
    }

    fn length32(&mut self) -> Result<usize, Malformed> {
        usize::try_from(u32::from_be_bytes(self.array()?)).map_err(|_| Malformed)
    }

    fn short_bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = u16::from_be_bytes(self.array()?);
        self.bytes(length.into())
    }

    fn tiny_bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let [length] = self.array()?;
        self.bytes(length.into())
    }

    fn big(&mut self, length: usize) -> Result<i64, Malformed> {
        let [sign] = self.array()?;
        let magnitude = self.bytes(length)?.iter().rev().fold(0_u64, |value, &byte| {
            value
                .checked_mul(256)
                .map_or(u64::MAX, |shifted| shifted | u64::from(byte))
        });
        Ok(match (sign, i64::try_from(magnitude)) {
            (0, value) => value.unwrap_or(i64::MAX),
            (_, value) => value.map_or(i64::MIN, |value| -value),
        })
    }
}

fn finite(value: f64) -> Result<f64, Malformed> {
    if value.is_finite() {
        Ok(value)
    } else {
        Err(Malformed)
    }
}

fn latin1(name: &[u8]) -> Result<&[u8], Malformed> {
    if name.len() <= MAX_ATOM {
        Ok(name)
    } else {
        Err(Malformed)
    }
}

fn utf8(name: &[u8]) -> Result<&[u8], Malformed> {
    let text = std::str::from_utf8(name).map_err(|_| Malformed)?;
    if text.chars().count() <= MAX_ATOM {
        Ok(name)
    } else {
        Err(Malformed)
    }
}
