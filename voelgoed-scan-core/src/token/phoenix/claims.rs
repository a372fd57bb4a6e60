//! What does the platform say of a ticket? `{data, signed_at_ms, max_age_s}`, where `data` is the code or a map.

use std::str::FromStr;

use super::term::{Head, Reader};
use crate::model::{Claims, EventId, OrganizationId, TicketCode, TicketId, Timestamp, Window};
use crate::token::Malformed;

/// The seconds that a token without an age of its own holds (`plug_crypto` before 1.2).
const LEGACY_MAX_AGE: i64 = 86_400;

/// Reads the claims of a whole term.
pub(super) fn read(term: &[u8]) -> Result<Claims, Malformed> {
    let mut reader = Reader::new(term)?;
    let Head::Tuple(size @ 2..=3) = reader.head()? else {
        return Err(Malformed);
    };
    let claims = match reader.head()? {
        Head::Binary(code) => Claims::of_code(parse(code)?),
        Head::Map(pairs) => read_map(&mut reader, pairs)?,
        _ => return Err(Malformed),
    };
    let Head::Integer(signed_at) = reader.head()? else {
        return Err(Malformed);
    };
    let max_age = if size == 3 {
        reader.head()?
    } else {
        Head::Integer(LEGACY_MAX_AGE)
    };
    reader.end()?;
    Ok(Claims {
        window: Window::new(None, last_moment(signed_at, max_age)?),
        ..claims
    })
}

/// The last millisecond at which `plug_crypto` takes a token for valid; nothing where it never expires.
///
/// A time of signing in the future is accepted: a clock that runs ahead at the box office must keep nobody out.
/// (The newest `plug_crypto` refuses one; those before it did not.)
fn last_moment(signed_at: i64, max_age: Head<'_>) -> Result<Option<Timestamp>, Malformed> {
    let millis = match max_age {
        Head::Atom(b"infinity") => return Ok(None),
        // An age of nothing or less has expired whenever it was signed.
        Head::Integer(..=0) | Head::Float(..=0.0) => i64::MIN,
        Head::Integer(seconds) => signed_at.saturating_add(seconds.saturating_mul(1000)),
        #[expect(
            clippy::cast_possible_truncation,
            reason = "truncates and saturates, which is what is meant"
        )]
        Head::Float(seconds) => signed_at.saturating_add((seconds * 1000.0) as i64),
        _ => return Err(Malformed),
    };
    Ok(Some(Timestamp::from_millis(millis)))
}

/// Reads a map's pairs: the keys that are claims, atoms or strings, and steps over the rest.
fn read_map(reader: &mut Reader<'_>, pairs: u32) -> Result<Claims, Malformed> {
    // The tuple is depth 1, the map 2.
    const DEPTH: u8 = 3;
    let mut ticket_code = Field::<TicketCode>::Unnamed;
    let mut ticket_id = Field::<TicketId>::Unnamed;
    let mut organization_id = Field::<OrganizationId>::Unnamed;
    let mut event_id = Field::<EventId>::Unnamed;
    for _ in 0..pairs {
        let key = reader.head()?;
        reader.skip(key, DEPTH)?;
        let value = reader.head()?;
        match key {
            Head::Atom(b"ticket_code") | Head::Binary(b"ticket_code") => ticket_code.take(value)?,
            Head::Atom(b"ticket_id") | Head::Binary(b"ticket_id") => ticket_id.take(value)?,
            Head::Atom(b"organization_id" | b"org_id") | Head::Binary(b"organization_id" | b"org_id") => {
                organization_id.take(value)?;
            }
            Head::Atom(b"event_id") | Head::Binary(b"event_id") => event_id.take(value)?,
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

/// A claim of a map. Two keys may name it (an atom and a string, a short and a long one), but not differently.
#[derive(PartialEq)]
enum Field<T> {
    /// No key named it.
    Unnamed,
    /// Named `nil`: as good as absent, but another value than any.
    Nil,
    /// Named so.
    Value(T),
}

impl<T: FromStr + PartialEq> Field<T> {
    fn take(&mut self, value: Head<'_>) -> Result<(), Malformed> {
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
