//! Signing keys as database rows. A row has no secret.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::model::text::string_enum;
use crate::model::{Timestamp, hex};

/// The maximum length of a key id.
const KEY_ID_LENGTH: usize = 8;

string_enum! {
    /// The payload formats that an organization's keys sign.
    pub enum KeyFormat {
        /// HMAC-SHA256.
        Vg1 = "vg1" @ 0,
        /// Ed25519.
        Vg2 = "vg2" @ 1,
    }

    /// The status of a key.
    pub enum KeyStatus {
        /// It verifies. The newest active key signs.
        Active = "active" @ 0,
        /// It verifies, and does not sign.
        VerifyOnly = "verify_only" @ 1,
        /// It neither signs nor verifies. This is final.
        Revoked = "revoked" @ 2,
    }
}

/// The error of a text that is not a key id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a key id: 1 to 8 characters of 0-9, A-Z, a-z")]
pub struct InvalidKeyId;

/// The id of a key within its organization and format: 1 to 8 base62 characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId {
    /// The characters, padded with zero bytes.
    characters: [u8; KEY_ID_LENGTH],
}

impl KeyId {
    /// The id of the first key of every organization.
    pub const FIRST: Self = Self {
        characters: *b"1\0\0\0\0\0\0\0",
    };

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let length = self
            .characters
            .iter()
            .position(|&byte| byte == 0)
            .unwrap_or(KEY_ID_LENGTH);
        let characters = self.characters.get(..length).unwrap_or_default();
        // The characters are base62, so the fallback never applies.
        std::str::from_utf8(characters).unwrap_or_default()
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({})", self.as_str())
    }
}

impl FromStr for KeyId {
    type Err = InvalidKeyId;

    fn from_str(text: &str) -> Result<Self, InvalidKeyId> {
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(InvalidKeyId);
        }
        let mut characters = [0; KEY_ID_LENGTH];
        characters
            .get_mut(..text.len())
            .ok_or(InvalidKeyId)?
            .copy_from_slice(text.as_bytes());
        Ok(Self { characters })
    }
}

impl Serialize for KeyId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for KeyId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::model::text::parsed(deserializer)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for KeyId {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "KeyId".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^[0-9A-Za-z]{1,8}$" })
    }
}

/// A signing key without its secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SigningKey {
    /// The format that it signs.
    pub format: KeyFormat,
    /// Its id within organization and format.
    pub kid: KeyId,
    /// Its status.
    pub status: KeyStatus,
    /// The Ed25519 public key in hexadecimal (`vg2` only).
    #[serde(default, with = "hex::option")]
    #[cfg_attr(
        feature = "schema",
        schemars(with = "Option<String>", regex(pattern = "^[0-9a-f]{64}$"))
    )]
    pub public_key: Option<[u8; 32]>,
    /// When it was created. The newest active key signs.
    pub inserted_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_id_has_one_to_eight_base62_characters() {
        for text in ["1", "rotated2", "zZ9"] {
            assert_eq!(text.parse::<KeyId>().expect("a key id").as_str(), text);
        }
        for text in ["", "123456789", "a-b", "a b", "é", "a\0"] {
            assert_eq!(text.parse::<KeyId>(), Err(InvalidKeyId), "{text:?}");
        }
        assert_eq!("1".parse(), Ok(KeyId::FIRST));
    }

    #[test]
    fn a_public_key_is_hexadecimal_in_json() {
        let key = SigningKey {
            format: KeyFormat::Vg2,
            kid: KeyId::FIRST,
            status: KeyStatus::VerifyOnly,
            public_key: Some([0xab; 32]),
            inserted_at: Timestamp::from_seconds(0),
        };
        let json = serde_json::to_string(&key).expect("a key is JSON");
        assert!(
            json.contains(&format!(r#""public_key":"{}""#, "ab".repeat(32))),
            "{json}"
        );
        assert_eq!(serde_json::from_str::<SigningKey>(&json).ok(), Some(key));
        let absent = json.replace(&format!(r#""{}""#, "ab".repeat(32)), "null");
        assert_eq!(
            serde_json::from_str::<SigningKey>(&absent).ok(),
            Some(SigningKey {
                public_key: None,
                ..key
            })
        );
    }
}
