//! The keys and values in Redis, and the commands that write them without overwriting a newer version.

use serde::Deserialize;

use super::MAX_KEYS_PER_COMMAND;
use crate::model::json::{objects, to_json};
use crate::model::{OrganizationId, TicketCode, TicketFacts};

/// Sets each key unless it holds a newer version, or a tombstone of the same version. Arguments: version and value of each
/// key, then the time to live in milliseconds.
const SET_IF_NEWER: &str = "\
local ttl = ARGV[#ARGV]
for i, key in ipairs(KEYS) do
  local new_version, value = tonumber(ARGV[2 * i - 1]), ARGV[2 * i]
  local old = redis.call('GET', key)
  local old_version = old and tonumber(string.match(old, '^{\"v\":(%-?%d+)'))
  local is_tombstone = old and not string.find(old, '\"f\":', 1, true)
  if not (old_version and (old_version > new_version or (is_tombstone and old_version == new_version))) then
    redis.call('SET', key, value, 'PX', ttl)
  end
end
return #KEYS";

pub(super) type TicketKey = (OrganizationId, TicketCode);

/// A value as read: a ticket, or a tombstone without one.
#[derive(Deserialize)]
struct StoredValue {
    v: i64,
    c: Option<i64>,
    f: Option<TicketFacts>,
}

/// A ticket that a node stored.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StoredTicket {
    pub(crate) facts: TicketFacts,
    /// The value that the organization's change counter had at least when the ticket was read from the database.
    pub(crate) counter: i64,
}

/// The value of a ticket as written. The version comes first, so that the script reads it without parsing the rest.
struct TicketValue<'a> {
    v: i64,
    c: i64,
    f: &'a TicketFacts,
}

objects! {
    TicketValue<'_> {
        v,
        c,
        f,
    }
}

/// A value to be written under a key.
pub(super) struct EntryWrite {
    key: String,
    version: i64,
    value: String,
}

impl EntryWrite {
    /// A ticket that was read while the organization's change counter had at least the value `counter`.
    pub(super) fn ticket(facts: &TicketFacts, counter: i64) -> Self {
        let version = facts.version;
        Self {
            key: key_text((facts.ticket.organization_id, facts.ticket.code)),
            version,
            value: to_json(&TicketValue {
                v: version,
                c: counter,
                f: facts,
            }),
        }
    }

    pub(super) fn tombstone(key: TicketKey, version: i64) -> Self {
        Self {
            key: key_text(key),
            version,
            value: format!("{{\"v\":{version}}}"),
        }
    }
}

/// The key of a ticket.
pub(super) fn key_text((organization, code): TicketKey) -> String {
    let mut buffer = [0; uuid::fmt::Hyphenated::LENGTH];
    let organization = organization.as_uuid().hyphenated().encode_lower(&mut buffer);
    [
        "voelgoed-scan:org:",
        organization,
        ":ticket:",
        code.text().as_str(),
    ]
    .concat()
}

/// Parses the value of a key. A ticket counts only if it names that key and has a change counter.
pub(super) fn parse((organization, code): TicketKey, value: &[u8]) -> Option<StoredTicket> {
    let stored: StoredValue = serde_json::from_slice(value).ok()?;
    let facts = stored.f.filter(|facts| facts.version == stored.v)?;
    let is_of_key = facts.ticket.organization_id == organization && facts.ticket.code == code;
    let counter = stored.c.filter(|_| is_of_key)?;
    Some(StoredTicket { facts, counter })
}

/// Writes and reads a key as the cache does. A Redis that only answers `PING` may be full or read-only, or refuse the keys.
pub(super) fn probe(ttl_millis: i64) -> redis::Pipeline {
    let (key, value) = ("voelgoed-scan:probe", "{\"v\":0}");
    let mut pipeline = redis::pipe();
    pipeline
        .cmd("SET")
        .arg(key)
        .arg(value)
        .arg("PX")
        .arg(ttl_millis)
        .ignore();
    let script = pipeline.cmd("EVAL").arg(SET_IF_NEWER).arg(1).arg(key);
    script.arg(1).arg(value).arg(ttl_millis).ignore();
    pipeline.cmd("MGET").arg(key).ignore();
    pipeline
}

/// Sets keys that do not exist. The pipeline returns for each whether it was set.
pub(super) fn set_if_absent(writes: &[EntryWrite], ttl_millis: i64) -> redis::Pipeline {
    let mut pipeline = redis::pipe();
    for EntryWrite { key, value, .. } in writes {
        let command = pipeline.cmd("SET").arg(key).arg(value);
        command.arg("PX").arg(ttl_millis).arg("NX");
    }
    pipeline
}

/// Sets keys that hold nothing newer, several with each script.
pub(super) fn set_if_newer(writes: &[&EntryWrite], ttl_millis: i64) -> redis::Pipeline {
    let mut pipeline = redis::pipe();
    for writes in writes.chunks(MAX_KEYS_PER_COMMAND) {
        let script = pipeline.cmd("EVAL").arg(SET_IF_NEWER).arg(writes.len());
        for EntryWrite { key, .. } in writes {
            script.arg(key);
        }
        for EntryWrite { version, value, .. } in writes {
            script.arg(*version).arg(value);
        }
        script.arg(ttl_millis).ignore();
    }
    pipeline
}
