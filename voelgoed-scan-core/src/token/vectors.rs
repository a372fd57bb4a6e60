//! Test vectors: compares this implementation with the results of others. A vector file is run through the public
//! functions, and every difference is reported.
//!
//! A file is JSON with `cases` and the keys of either the Phoenix format (`secret_key_base`) or the native formats
//! (`master_secret_hex`). A claim that is `null` must be absent. A claim that a case does not name is not compared.

use std::fmt;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::phoenix::{InvalidPhoenixKeys, KeyDerivation, KeyDigest, PhoenixKeys};
use super::{Claims, Payload, verify};
use crate::model::hex::{self, InvalidHex};
use crate::model::{KeyFormat, KeyId, KeyStatus, OrganizationId, Reason, SigningKey, Timestamp};
use crate::token::{InvalidMasterSecret, Keyring, KeyringError, MasterSecret};

/// The error of a text that is no vector file.
#[derive(Debug, thiserror::Error)]
pub enum InvalidVectorFile {
    /// It is not JSON of the right structure.
    #[error("is not a vector file")]
    Json(#[from] serde_json::Error),
    /// It has no cases.
    #[error("has no cases")]
    Empty,
    /// Its master secret is invalid.
    #[error("has no usable master secret")]
    MasterSecret(#[from] InvalidMasterSecret),
    /// A key is invalid.
    #[error("has a key that is not 32 bytes in hexadecimal")]
    Key(#[from] InvalidHex),
    /// The Phoenix key settings are invalid.
    #[error("has no usable Phoenix keys")]
    PhoenixKeys(#[from] InvalidPhoenixKeys),
    /// The keys give no keyring.
    #[error("has no usable keys")]
    Keyring(#[from] KeyringError),
}

/// A difference in one case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The case, and the claim if a claim differs.
    pub name: String,
    /// The value in the file.
    pub expected: String,
    /// The value of this build.
    pub got: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected {}, got {}", self.name, self.expected, self.got)
    }
}

/// A vector file with its keys.
pub struct VectorFile {
    keyring: Keyring,
    phoenix: Option<PhoenixKeys>,
    allow_unsigned: bool,
    keys: Vec<Mismatch>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    token: String,
    now: i64,
    outcome: String,
    claims: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
struct Cases {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct PhoenixSettings {
    secret_key_base: String,
    salt: String,
    key_iterations: u32,
    key_length: usize,
    key_digest: KeyDigest,
}

#[derive(Deserialize)]
struct NativeSettings {
    master_secret_hex: String,
    organization_id: OrganizationId,
    keys: Vec<NativeKey>,
    allow_unsigned: bool,
}

#[derive(Deserialize)]
struct NativeKey {
    kid: KeyId,
    #[serde(rename = "VG1_key_hex")]
    vg1_key: String,
    #[serde(rename = "VG2_public_hex")]
    vg2_public: String,
}

impl VectorFile {
    /// Parses a vector file of either kind.
    pub fn parse(json: &str) -> Result<Self, InvalidVectorFile> {
        let head: Value = serde_json::from_str(json)?;
        let file = if head.get("secret_key_base").is_some() {
            Self::phoenix(&PhoenixSettings::deserialize(&head)?)?
        } else {
            Self::native(&NativeSettings::deserialize(&head)?)?
        };
        let Cases { cases } = Cases::deserialize(head)?;
        if cases.is_empty() {
            return Err(InvalidVectorFile::Empty);
        }
        Ok(Self { cases, ..file })
    }

    fn phoenix(head: &PhoenixSettings) -> Result<Self, InvalidVectorFile> {
        let derivation = KeyDerivation {
            iterations: head.key_iterations,
            length: head.key_length,
            digest: head.key_digest,
        };
        Ok(Self {
            keyring: Keyring::public(OrganizationId::from_uuid(uuid::Uuid::nil()), &[])?,
            phoenix: Some(PhoenixKeys::derive(
                &head.secret_key_base,
                &head.salt,
                derivation,
            )?),
            allow_unsigned: false,
            keys: Vec::new(),
            cases: Vec::new(),
        })
    }

    fn native(head: &NativeSettings) -> Result<Self, InvalidVectorFile> {
        let master = MasterSecret::from_hex(&head.master_secret_hex)?;
        let mut rows = Vec::new();
        let mut keys = Vec::new();
        for NativeKey {
            kid,
            vg1_key,
            vg2_public,
        } in &head.keys
        {
            let row = |format| SigningKey {
                format,
                kid: *kid,
                status: KeyStatus::Active,
                public_key: None,
                inserted_at: Timestamp::from_seconds(0),
            };
            rows.push(row(KeyFormat::Vg1));
            rows.push(row(KeyFormat::Vg2));
            let vg1_differs = hex::decode(vg1_key)? != *master.vg1_secret(head.organization_id, *kid);
            let vg2_differs = hex::decode(vg2_public)? != master.vg2_public_key(head.organization_id, *kid);
            for (differs, name) in [(vg1_differs, "VG1_key_hex"), (vg2_differs, "VG2_public_hex")] {
                if differs {
                    keys.push(Mismatch {
                        name: format!("key {kid}, {name}"),
                        expected: "the key in the file".to_owned(),
                        got: "another key from the master secret".to_owned(),
                    });
                }
            }
        }
        Ok(Self {
            keyring: Keyring::derive(&master, head.organization_id, &rows)?,
            phoenix: None,
            allow_unsigned: head.allow_unsigned,
            keys,
            cases: Vec::new(),
        })
    }

    /// The number of cases, at least one.
    #[must_use]
    pub fn case_count(&self) -> usize {
        self.cases.len()
    }

    /// Runs every case. An empty list means that this build agrees with the file.
    #[must_use]
    pub fn mismatches(&self) -> Vec<Mismatch> {
        self.keys
            .iter()
            .cloned()
            .chain(self.cases.iter().flat_map(|case| self.check(case)))
            .collect()
    }

    fn check(&self, case: &Case) -> Vec<Mismatch> {
        let mismatch = |name: String, expected: &str, got: String| Mismatch {
            name,
            expected: expected.to_owned(),
            got,
        };
        let claims = match (
            self.decide(&case.token, Timestamp::from_seconds(case.now)),
            case.outcome.as_str(),
        ) {
            (Ok(claims), "valid") => claims,
            (Ok(_), outcome) => return vec![mismatch(case.name.clone(), outcome, "valid".to_owned())],
            (Err(reason), outcome) if reason.as_str() == outcome => return Vec::new(),
            (Err(reason), outcome) => return vec![mismatch(case.name.clone(), outcome, reason.to_string())],
        };
        case.claims
            .iter()
            .flatten()
            .filter_map(|(name, expected)| {
                let got = claim(&claims, name);
                (got.as_ref() != Some(expected)).then(|| {
                    let got =
                        got.map_or_else(|| "a claim that is not known".to_owned(), |got| got.to_string());
                    mismatch(format!("{}, {name}", case.name), &expected.to_string(), got)
                })
            })
            .collect()
    }

    /// Makes checks 1 to 3 of an entry.
    fn decide(&self, token: &str, now: Timestamp) -> Result<Claims, Reason> {
        let payload = Payload::parse(token)?;
        let claims = verify(
            &payload,
            &self.keyring,
            self.phoenix.as_ref(),
            self.allow_unsigned,
        )?;
        claims.window.check(now)?;
        Ok(claims)
    }
}

/// A claim in the notation of vector files; `None` for an unknown name.
fn claim(claims: &Claims, name: &str) -> Option<Value> {
    // An open end of a VG2 window is written as 0, as in its bytes.
    let end = |end: Option<Timestamp>| match (end, claims.ticket_class) {
        (Some(end), _) => json!(end.as_seconds()),
        (None, Some(_)) => json!(0),
        (None, None) => Value::Null,
    };
    Some(match name {
        "ticket_code" => json!(claims.ticket_code),
        "ticket_id" => json!(claims.ticket_id),
        "organization_id" => json!(claims.organization_id),
        "event_id" => json!(claims.event_id),
        "not_before" => end(claims.window.not_before),
        "not_after" => end(claims.window.not_after),
        "ticket_class" => json!(claims.ticket_class),
        "entry_limit" => json!(claims.entry_limit),
        _ => return None,
    })
}
