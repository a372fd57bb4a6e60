//! Byte strings of a fixed length. Their text is base64url without padding (RFC 4648, section 5).

use ed25519_dalek::{Signature, VerifyingKey};

/// The error of a text that is not base64url of the right length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not base64url without padding of the right length")]
pub struct InvalidBytes;

macro_rules! fixed_bytes {
    ($($(#[$doc:meta])* $name:ident: $length:literal, $characters:literal, $last:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $name([u8; $length]);

        impl $name {
            /// Wraps the bytes.
            #[must_use]
            pub const fn new(bytes: [u8; $length]) -> Self {
                Self(bytes)
            }

            /// The bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $length] {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                use base64::Engine as _;
                f.pad(&base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(self.0))
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::model::InvalidBytes;

            fn from_str(text: &str) -> Result<Self, $crate::model::InvalidBytes> {
                use base64::Engine as _;
                // The decoder needs an output buffer for whole groups, so the length is checked first.
                if text.len() != $characters {
                    return Err($crate::model::InvalidBytes);
                }
                let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).map_err(|_| $crate::model::InvalidBytes)?;
                bytes.try_into().map(Self).map_err(|_| $crate::model::InvalidBytes)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                crate::model::text::parsed(deserializer)
            }
        }

        #[cfg(feature = "schema")]
        impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                // The last character carries fewer than six bits; the others of it are zero.
                schemars::json_schema!({
                    "type": "string", "minLength": $characters, "maxLength": $characters,
                    "pattern": concat!("^[A-Za-z0-9_-]+[", $last, "]$")
                })
            }
        }
    )+};
}

pub(crate) use fixed_bytes;

fixed_bytes! {
    /// A device's Ed25519 public key. Its text is base64url without padding.
    DeviceKey: 32, 43, "AEIMQUYcgkosw048";
}

impl DeviceKey {
    /// Whether the bytes are a public key that can verify signatures: a point of the curve that is not weak.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        VerifyingKey::from_bytes(&self.0).is_ok_and(|key| !key.is_weak())
    }

    /// Whether `signature` is a valid signature of this key over `bytes` (strict verification, RFC 8032).
    #[must_use]
    pub fn verifies(&self, bytes: &[u8], signature: &[u8; 64]) -> bool {
        VerifyingKey::from_bytes(&self.0).is_ok_and(|key| {
            key.verify_strict(bytes, &Signature::from_bytes(signature))
                .is_ok()
        })
    }
}
