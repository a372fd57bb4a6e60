//! Verifies a copy of an audit log, and names the first entry at which it is not the organization's log.

use std::collections::HashMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use sha2::{Digest, Sha256};

use super::chain::{AuditHead, hashed_content};
use crate::model::{AuditSignature, hex};
use crate::token::is_manifest_signature_valid;

/// Why a copy is not the whole log of the organization. It names the first place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuditFault {
    /// No entry is signed by the key.
    #[error(
        "no entry is signed by this public key: it is not the organization's manifest key, or every entry was changed"
    )]
    WrongKey,
    /// A line is not an entry.
    #[error("line {line}, where entry {sequence} is due, is not an entry of an audit log")]
    Unreadable {
        /// The line, from 1.
        line: usize,
        /// The entry that is due there.
        sequence: i64,
    },
    /// An entry is not as it was signed.
    #[error("entry {sequence} (line {line}) was changed")]
    Changed {
        /// The entry.
        sequence: i64,
        /// The line, from 1.
        line: usize,
    },
    /// Entries were cut out.
    #[error("{} cut out before line {line}", Range(*first, *last))]
    CutOut {
        /// The first missing entry.
        first: i64,
        /// The last one in a row.
        last: i64,
        /// The line where it is due, from 1.
        line: usize,
    },
    /// An entry was put in.
    #[error("line {line}, with the number {sequence}, was put in")]
    PutIn {
        /// The number that it has.
        sequence: i64,
        /// The line, from 1.
        line: usize,
    },
    /// Entries are in another order.
    #[error("entry {sequence} stands in line {line}, where entry {due} is due: entries were swapped")]
    Swapped {
        /// The entry that stands there.
        sequence: i64,
        /// The entry that is due.
        due: i64,
        /// The line, from 1.
        line: usize,
    },
    /// An entry is genuine and continues another chain.
    #[error(
        "entry {sequence} (line {line}) does not follow the entry before it: one of them is of another chain"
    )]
    OtherChain {
        /// The entry.
        sequence: i64,
        /// The line, from 1.
        line: usize,
    },
    /// The end of the log is missing.
    #[error("the tail is missing: {} not there", Range(*first, *last))]
    MissingTail {
        /// The first missing entry.
        first: i64,
        /// The entry of the noted head.
        last: i64,
    },
    /// The entry of the noted head has another hash.
    #[error("entry {sequence} has another hash than the noted head: the log was replaced")]
    OtherHead {
        /// The entry.
        sequence: i64,
    },
}

struct Range(i64, i64);

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self(first, last) if first == last => write!(f, "entry {first} is"),
            Self(first, last) => write!(f, "entries {first} to {last} are"),
        }
    }
}

/// An entry of a copy, as far as the chain needs it.
struct Line {
    number: usize,
    sequence: i64,
    previous_hash: Option<[u8; 32]>,
    hash: [u8; 32],
    has_its_hash: bool,
    is_signed: bool,
}

impl Line {
    /// `None` if the text is not an entry.
    fn read(number: usize, text: &str, public_key: &[u8; 32]) -> Option<Self> {
        let UniqueKeys(entry) = serde_json::from_str(text).ok()?;
        let text_of = |field: &str| entry.get(field).and_then(Value::as_str);
        let sequence = entry.get("sequence")?.as_i64()?;
        let previous_hash = match entry.get("previous_hash")? {
            Value::Null => None,
            hash => Some(hex::decode(hash.as_str()?).ok()?),
        };
        let hash: [u8; 32] = hex::decode(text_of("hash")?).ok()?;
        let signature: AuditSignature = text_of("signature")?.parse().ok()?;
        let content = hashed_content(entry).ok()?;
        Some(Self {
            number,
            sequence,
            previous_hash,
            hash,
            has_its_hash: <[u8; 32]>::from(Sha256::digest(content.as_bytes())) == hash,
            is_signed: is_manifest_signature_valid(public_key, &hash, signature.as_bytes()),
        })
    }

    fn is_intact(&self) -> bool {
        self.has_its_hash && self.is_signed
    }
}

/// Verifies the lines of an audit log as the server serves them, oldest first, with the organization's manifest key. Empty
/// lines are left out. With the noted `head` of an earlier time, the log must still contain it.
///
/// Returns the head of the log, which is `None` for an empty one.
pub fn verify_lines<'a>(
    lines: impl IntoIterator<Item = &'a str>,
    public_key: &[u8; 32],
    head: Option<AuditHead>,
) -> Result<Option<AuditHead>, AuditFault> {
    let lines: Vec<_> = (1..)
        .zip(lines)
        .filter(|(_, text)| !text.trim().is_empty())
        .map(|(number, text)| (number, Line::read(number, text, public_key)))
        .collect();
    let entries = || lines.iter().filter_map(|(_, line)| line.as_ref());
    if entries().next().is_some() && !entries().any(|line| line.is_signed) {
        return Err(AuditFault::WrongKey);
    }
    let mut by_sequence: HashMap<i64, Vec<&Line>> = HashMap::new();
    for line in entries() {
        by_sequence.entry(line.sequence).or_default().push(line);
    }
    let mut last: Option<&Line> = None;
    let mut noted = None;
    for (number, line) in &lines {
        let due = last.map_or(0, |last| last.sequence) + 1;
        let Some(line) = line else {
            return Err(AuditFault::Unreadable {
                line: *number,
                sequence: due,
            });
        };
        let previous_hash = last.map(|last| last.hash);
        if let Some(fault) = fault_of(line, due, previous_hash, &by_sequence) {
            return Err(fault);
        }
        if head.is_some_and(|head| head.sequence == due) {
            noted = Some(line.hash);
        }
        last = Some(line);
    }
    let reached = last.map(|last| AuditHead {
        sequence: last.sequence,
        hash: last.hash,
    });
    match (head, noted) {
        (Some(head), None) => Err(AuditFault::MissingTail {
            first: reached.map_or(0, |reached| reached.sequence) + 1,
            last: head.sequence,
        }),
        (Some(head), Some(hash)) if head.hash != hash => Err(AuditFault::OtherHead {
            sequence: head.sequence,
        }),
        _ => Ok(reached),
    }
}

/// What is wrong with a line where entry `due` has to stand, after an entry with this hash.
fn fault_of(
    line: &Line,
    due: i64,
    previous_hash: Option<[u8; 32]>,
    by_sequence: &HashMap<i64, Vec<&Line>>,
) -> Option<AuditFault> {
    let Line { number, sequence, .. } = *line;
    let others = |sequence: i64| {
        let all = by_sequence.get(&sequence).into_iter().flatten();
        all.filter(|other| other.number != number)
    };
    let put_in = AuditFault::PutIn {
        sequence,
        line: number,
    };
    if sequence == due {
        let follows = |line: &Line| line.is_intact() && line.previous_hash == previous_hash;
        return if follows(line) {
            None
        } else if others(due).any(|other| follows(other)) {
            Some(put_in)
        } else if line.is_intact() {
            Some(AuditFault::OtherChain {
                sequence,
                line: number,
            })
        } else {
            Some(AuditFault::Changed {
                sequence,
                line: number,
            })
        };
    }
    let due_follows = others(due).any(|other| other.number > number);
    let is_again = others(sequence).next().is_some();
    Some(
        if sequence < due || (due_follows && is_again) || !line.is_intact() {
            put_in
        } else if due_follows {
            AuditFault::Swapped {
                sequence,
                due,
                line: number,
            }
        } else {
            AuditFault::CutOut {
                first: due,
                last: sequence - 1,
                line: number,
            }
        },
    )
}

/// A JSON value whose objects have each name once. Programs read an object differently that has one twice.
struct UniqueKeys(Value);

impl<'de> Deserialize<'de> for UniqueKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor).map(Self)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("is not a finite number"))?;
        Ok(number.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(UniqueKeys(value)) = items.next_element()? {
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((name, UniqueKeys(value))) = fields.next_entry::<String, _>()? {
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("a name is there twice"));
            }
        }
        Ok(object.into())
    }
}

#[cfg(test)]
mod tests;
