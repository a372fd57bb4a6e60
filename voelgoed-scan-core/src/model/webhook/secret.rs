//! The secret that signs the deliveries of a webhook, as the Standard Webhooks specification writes it.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

/// The error of a text that is no secret of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no secret: whsec_ and the base64 of 24 to 64 bytes")]
pub struct InvalidWebhookSecret;

/// The secret of a webhook: 24 to 64 bytes. Its text is `whsec_` and their base64.
#[derive(Clone)]
pub struct WebhookSecret(Zeroizing<Vec<u8>>);

impl WebhookSecret {
    /// The prefix of its text.
    pub const PREFIX: &'static str = "whsec_";
    /// The minimum number of bytes.
    pub const MIN_LENGTH: usize = 24;
    /// The maximum number of bytes.
    pub const MAX_LENGTH: usize = 64;
    /// The number of bytes of a generated secret.
    const GENERATED_LENGTH: usize = 32;

    /// A new secret from the operating system's random numbers.
    #[must_use]
    pub fn generate() -> Self {
        let mut bytes = Zeroizing::new(vec![0; Self::GENERATED_LENGTH]);
        crate::model::random::fill(&mut bytes);
        Self(bytes)
    }

    /// A secret of these bytes.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, InvalidWebhookSecret> {
        let bytes = Zeroizing::new(bytes);
        if (Self::MIN_LENGTH..=Self::MAX_LENGTH).contains(&bytes.len()) {
            Ok(Self(bytes))
        } else {
            Err(InvalidWebhookSecret)
        }
    }

    /// The bytes, which are the key of the signatures.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text. It is a secret: show it once, never log it.
    #[must_use]
    pub fn reveal(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(
            Self::PREFIX.len() + Self::MAX_LENGTH.div_ceil(3) * 4,
        ));
        text.push_str(Self::PREFIX);
        STANDARD.encode_string(self.0.as_slice(), &mut text);
        text
    }
}

impl FromStr for WebhookSecret {
    type Err = InvalidWebhookSecret;

    fn from_str(text: &str) -> Result<Self, InvalidWebhookSecret> {
        let base64 = text.strip_prefix(Self::PREFIX).ok_or(InvalidWebhookSecret)?;
        let bytes = STANDARD.decode(base64).map_err(|_| InvalidWebhookSecret)?;
        Self::from_bytes(bytes)
    }
}

/// Hides the secret and its length.
impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebhookSecret({}…)", Self::PREFIX)
    }
}

/// The text, for the one answer that shows it.
impl Serialize for WebhookSecret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.reveal())
    }
}

impl<'de> Deserialize<'de> for WebhookSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::model::text::parsed(deserializer)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for WebhookSecret {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "WebhookSecret".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^whsec_(?:(?:[A-Za-z0-9+/]{4}){8,21}(?:[A-Za-z0-9+/][AQgw]==)?|(?:[A-Za-z0-9+/]{4}){8,20}[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)$"
        })
    }
}
