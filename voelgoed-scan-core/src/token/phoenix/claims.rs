//! The claims of a Phoenix payload: `{data, signed_at_ms, max_age_s}` or an older form of it, where `data` is a ticket code or
//! a map.

use std::str::FromStr;

use super::term::{Head, Reader};
use crate::model::{Claims, EventId, OrganizationId, TicketCode, TicketId, Timestamp, Window};
use crate::token::Malformed;

/// The age in seconds at which a token without its own maximum age expires (`plug_crypto` before 1.2).
const LEGACY_MAX_AGE: i64 = 86_400;

/// Reads the claims of a complete term: a tuple of data, time of signing and maximum age, or one of the older forms without
/// a maximum age. The oldest is a map with the atom keys `data` and `signed` and no others.
pub(super) fn read(term: &[u8]) -> Result<Claims, Malformed> {
    let mut reader = Reader::new(term)?;
    let (claims, signed_at, max_age) = match reader.head()? {
        Head::Tuple(size @ 2..=3) => {
            let claims = read_data(&mut reader)?;
            let signed_at = read_time(&mut reader)?;
            let max_age = match size {
                3 => reader.head()?,
                _ => Head::Integer(LEGACY_MAX_AGE),
            };
            (claims, signed_at, max_age)
        }
        Head::Map(2) => {
            let (claims, signed_at) = read_legacy_map(&mut reader)?;
            (claims, signed_at, Head::Integer(LEGACY_MAX_AGE))
        }
        _ => return Err(Malformed),
    };
    reader.end()?;
    Ok(Claims {
        window: Window::new(None, expires_at(signed_at, max_age)?),
        ..claims
    })
}

/// Reads `data`: a ticket code, or a map of claims.
fn read_data(reader: &mut Reader<'_>) -> Result<Claims, Malformed> {
    match reader.head()? {
        Head::Binary(code) => Ok(Claims::of_code(parse(code)?)),
        Head::Map(pairs) => read_map(reader, pairs),
        _ => Err(Malformed),
    }
}

/// Reads the time of signing, in milliseconds.
fn read_time(reader: &mut Reader<'_>) -> Result<i64, Malformed> {
    match reader.head()? {
        Head::Integer(signed_at) => Ok(signed_at),
        _ => Err(Malformed),
    }
}

/// Reads the two pairs of the oldest form, in either order: Erlang does not sort the keys of a map by their names.
fn read_legacy_map(reader: &mut Reader<'_>) -> Result<(Claims, i64), Malformed> {
    let (mut claims, mut signed_at) = (None, None);
    for _ in 0..2 {
        match reader.head()? {
            Head::Atom(b"data") => claims = Some(read_data(reader)?),
            Head::Atom(b"signed") => signed_at = Some(read_time(reader)?),
            _ => return Err(Malformed),
        }
    }
    claims.zip(signed_at).ok_or(Malformed)
}

/// The last millisecond at which `plug_crypto` accepts a token; `None` if it never expires.
///
/// A time of signing in the future is accepted, so that a fast clock at the box office does not deny tickets. (The newest
/// `plug_crypto` refuses such a token; earlier versions accept it.)
fn expires_at(signed_at: i64, max_age: Head<'_>) -> Result<Option<Timestamp>, Malformed> {
    let millis = match max_age {
        Head::Atom(b"infinity") => return Ok(None),
        // A token with a maximum age of 0 or less has always expired.
        Head::Integer(..=0) | Head::Float(..=0.0) => i64::MIN,
        Head::Integer(seconds) => signed_at.saturating_add(seconds.saturating_mul(1000)),
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the cast truncates and saturates as intended"
        )]
        Head::Float(seconds) => signed_at.saturating_add((seconds * 1000.0) as i64),
        _ => return Err(Malformed),
    };
    Ok(Some(Timestamp::from_millis(millis)))
}

/// Reads the pairs of a map. Keys that name claims may be atoms or strings; other pairs are skipped.
fn read_map(reader: &mut Reader<'_>, pairs: u32) -> Result<Claims, Malformed> {
    // The tuple has depth 1 and the map depth 2.
    const DEPTH: u8 = 3;
    let mut ticket_code = ClaimField::<TicketCode>::Unnamed;
    let mut ticket_id = ClaimField::<TicketId>::Unnamed;
    let mut organization_id = ClaimField::<OrganizationId>::Unnamed;
    let mut event_id = ClaimField::<EventId>::Unnamed;
    for _ in 0..pairs {
        let key = reader.head()?;
        reader.skip(key, DEPTH)?;
        let value = reader.head()?;
        match key {
            Head::Atom(b"ticket_code") | Head::Binary(b"ticket_code") => ticket_code.set(value)?,
            Head::Atom(b"ticket_id") | Head::Binary(b"ticket_id") => ticket_id.set(value)?,
            Head::Atom(b"organization_id" | b"org_id") | Head::Binary(b"organization_id" | b"org_id") => {
                organization_id.set(value)?;
            }
            Head::Atom(b"event_id") | Head::Binary(b"event_id") => event_id.set(value)?,
            _ => reader.skip(value, DEPTH)?,
        }
    }
    let claims = Claims {
        ticket_code: ticket_code.value(),
        ticket_id: ticket_id.value(),
        organization_id: organization_id.value(),
        event_id: event_id.value(),
        ..Claims::default()
    };
    if claims.ticket_code.is_none() && claims.ticket_id.is_none() {
        return Err(Malformed);
    }
    Ok(claims)
}

/// A claim of a map. Two keys may name it, such as an atom and a string, but their values must be equal.
#[derive(PartialEq)]
enum ClaimField<T> {
    /// No key named it.
    Unnamed,
    /// A key named it with `nil`: it is absent, but differs from any value.
    Nil,
    /// A key named it with this value.
    Value(T),
}

impl<T: FromStr + PartialEq> ClaimField<T> {
    fn set(&mut self, value: Head<'_>) -> Result<(), Malformed> {
        let value = match value {
            Head::Binary(text) => Self::Value(parse(text)?),
            Head::Atom(b"nil") => Self::Nil,
            _ => return Err(Malformed),
        };
        if *self != Self::Unnamed && *self != value {
            return Err(Malformed);
        }
        *self = value;
        Ok(())
    }

    fn value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Unnamed | Self::Nil => None,
        }
    }
}

fn parse<T: FromStr>(text: &[u8]) -> Result<T, Malformed> {
    std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or(Malformed)
}
