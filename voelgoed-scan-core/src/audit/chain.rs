//! Makes entries: numbers them, links them to the one before, hashes and signs them.

use std::fmt;
use std::str::FromStr;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::model::{
    AuditAction, AuditChanges, AuditContext, AuditEntry, AuditSignature, AuditSubject, OrganizationId,
    Timestamp, hex,
};
use crate::token::MasterSecret;

/// The fields of an entry that its hash does not cover.
const NOT_HASHED: [&str; 3] = ["hash", "signature", "address"];

/// Signs the entries of every organization, each with the organization's manifest key.
#[derive(Debug, Clone, Copy)]
pub struct AuditSigner<'a>(&'a MasterSecret);

impl<'a> AuditSigner<'a> {
    /// The signer of a server with this secret.
    #[must_use]
    pub const fn new(master: &'a MasterSecret) -> Self {
        Self(master)
    }
}

/// Who makes a change, when, and what signs the entry about it.
#[derive(Debug, Clone, Copy)]
pub struct Audit<'a> {
    /// Who makes the change, and by which call.
    pub context: &'a AuditContext,
    /// When.
    pub at: Timestamp,
    /// Signs the entry.
    pub signer: AuditSigner<'a>,
}

/// A change that the audit log tells of.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditedChange {
    /// What was done.
    pub action: AuditAction,
    /// What it was done to.
    pub subject: AuditSubject,
    /// The fields that changed.
    pub changes: AuditChanges,
}

/// The last entry of a chain. Its text is `SEQUENCE:HASH`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditHead {
    /// The number of the entry.
    pub sequence: i64,
    /// Its hash.
    pub hash: [u8; 32],
}

/// The error of a text that is not the head of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not SEQUENCE:HASH with a number from 1 and 64 hexadecimal digits")]
pub struct InvalidAuditHead;

impl fmt::Display for AuditHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.sequence, hex::encode(&self.hash))
    }
}

impl FromStr for AuditHead {
    type Err = InvalidAuditHead;

    fn from_str(text: &str) -> Result<Self, InvalidAuditHead> {
        let (sequence, hash) = text.split_once(':').ok_or(InvalidAuditHead)?;
        let sequence = sequence.parse().map_err(|_| InvalidAuditHead)?;
        let hash = hex::decode(hash).map_err(|_| InvalidAuditHead)?;
        if sequence < 1 {
            return Err(InvalidAuditHead);
        }
        Ok(Self { sequence, hash })
    }
}

/// An entry with the text that is hashed.
#[derive(Debug, Clone, PartialEq)]
pub struct ChainedEntry {
    /// The entry.
    pub entry: AuditEntry,
    /// The canonical JSON of the entry without what the hash does not cover. A store keeps it, so that a later version
    /// hashes the same text.
    pub content: String,
}

/// The entry about a change that follows `head`, which is `None` at the start of a chain. A store makes it while it has the
/// lock of the head.
pub fn next_entry(
    organization: OrganizationId,
    head: Option<AuditHead>,
    change: AuditedChange,
    audit: Audit<'_>,
) -> Result<ChainedEntry, serde_json::Error> {
    let AuditContext {
        actor,
        address,
        request_id,
    } = audit.context.clone();
    let AuditedChange {
        action,
        subject,
        changes,
    } = change;
    let mut entry = AuditEntry {
        sequence: head.map_or(0, |head| head.sequence) + 1,
        at: audit.at,
        actor,
        address,
        action,
        subject,
        changes,
        request_id,
        previous_hash: head.map(|head| head.hash),
        hash: [0; 32],
        signature: AuditSignature::new([0; 64]),
    };
    let content = hashed_content(serde_json::to_value(&entry)?)?;
    entry.hash = Sha256::digest(content.as_bytes()).into();
    entry.signature = AuditSignature::new(audit.signer.0.sign_audit_hash(organization, &entry.hash));
    Ok(ChainedEntry { entry, content })
}

/// The canonical JSON (RFC 8785) of what the hash of an entry covers.
pub(super) fn hashed_content(mut entry: Value) -> Result<String, serde_json::Error> {
    if let Some(fields) = entry.as_object_mut() {
        for field in NOT_HASHED {
            fields.remove(field);
        }
    }
    serde_json_canonicalizer::to_string(&entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 8785, sections 3.2.2 and 3.2.3, and of its appendix B.
    #[test]
    fn the_canonical_json_is_that_of_rfc_8785() {
        let canonical = |text: &str| {
            let value: Value = serde_json::from_str(text).expect("JSON");
            hashed_content(value).expect("canonical JSON")
        };
        let input = r#"{
            "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
            "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
            "literals": [null, true, false]
        }"#;
        assert_eq!(
            canonical(input),
            "{\"literals\":[null,true,false],\"numbers\":[333333333.3333333,1e+30,4.5,0.002,1e-27],\"string\":\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}"
        );
        let input = r#"{
            "\u20ac": "Euro Sign", "\r": "Carriage Return", "\ufb33": "Hebrew Letter Dalet With Dagesh", "1": "One",
            "\ud83d\ude00": "Emoji: Grinning Face", "\u0080": "Control", "\u00f6": "Latin Small Letter O With Diaeresis"
        }"#;
        assert_eq!(
            canonical(input),
            "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\u{80}\":\"Control\",\"ö\":\"Latin Small Letter O With Diaeresis\",\
             \"€\":\"Euro Sign\",\"😀\":\"Emoji: Grinning Face\",\"\u{fb33}\":\"Hebrew Letter Dalet With Dagesh\"}"
        );
        for (number, text) in [
            ("0.0", "0"),
            ("-0.0", "0"),
            ("5e-324", "5e-324"),
            ("1.7976931348623157e308", "1.7976931348623157e+308"),
            ("9007199254740992", "9007199254740992"),
            ("295147905179352830000", "295147905179352830000"),
            ("9.999999999999997e22", "9.999999999999997e+22"),
            ("1e21", "1e+21"),
            ("999999999999999900000", "999999999999999900000"),
            ("1e-7", "1e-7"),
            ("0.000001", "0.000001"),
        ] {
            assert_eq!(canonical(number), text);
        }
    }

    #[test]
    fn the_text_of_a_head_is_read_again() {
        let head = AuditHead {
            sequence: 42,
            hash: [0xab; 32],
        };
        assert_eq!(head.to_string(), format!("42:{}", "ab".repeat(32)));
        assert_eq!(head.to_string().parse(), Ok(head));
        for text in ["", "42", "42:", "42:ab", ":ab", "0:ab", "x:ab"] {
            let text = text.replace("ab", &"ab".repeat(32));
            let is_complete = text.starts_with("42:") && text.len() > 3;
            assert_eq!(text.parse::<AuditHead>().is_ok(), is_complete, "{text}");
        }
    }
}
