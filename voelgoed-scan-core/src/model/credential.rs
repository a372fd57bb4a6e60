//! Bearer tokens: a prefix that names the kind, then 256 random bits.
//!
//! A token is returned once, when it is created. Afterwards the server knows only its SHA-256.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// SHA-256 of a bearer token. Only this is stored.
pub type TokenHash = [u8; 32];

/// The length of 256 bits in base64url.
const SECRET_LENGTH: usize = 43;

/// The error of a text that is not a token of this kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a token of this kind")]
pub struct InvalidToken;

macro_rules! tokens {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name(Zeroizing<String>);

        impl $name {
            /// The prefix of its text.
            pub const PREFIX: &'static str = $prefix;

            /// A new token from the operating system's random numbers.
            #[must_use]
            pub fn generate() -> Self {
                let mut secret = Zeroizing::new([0_u8; 32]);
                crate::model::random::fill(secret.as_mut_slice());
                let mut text = String::with_capacity($prefix.len() + SECRET_LENGTH);
                text.push_str($prefix);
                URL_SAFE_NO_PAD.encode_string(secret.as_slice(), &mut text);
                Self(Zeroizing::new(text))
            }

            /// The token. It is a secret: show it once or send it, never log it.
            #[must_use]
            pub fn reveal(&self) -> &str {
                &self.0
            }

            /// Its SHA-256, for storage and lookup.
            #[must_use]
            pub fn hash(&self) -> TokenHash {
                Sha256::digest(self.0.as_bytes()).into()
            }

            /// The SHA-256 of a token's text. The text is not copied.
            pub fn hash_of(text: &str) -> Result<TokenHash, InvalidToken> {
                Self::check(text)?;
                Ok(Sha256::digest(text.as_bytes()).into())
            }

            fn check(text: &str) -> Result<(), InvalidToken> {
                let secret = text.strip_prefix($prefix).ok_or(InvalidToken)?;
                let is_base64url = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
                if secret.len() == SECRET_LENGTH && secret.bytes().all(is_base64url) {
                    Ok(())
                } else {
                    Err(InvalidToken)
                }
            }
        }

        impl FromStr for $name {
            type Err = InvalidToken;

            fn from_str(text: &str) -> Result<Self, InvalidToken> {
                Self::check(text)?;
                Ok(Self(Zeroizing::new(text.to_owned())))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({}…)", stringify!($name), $prefix)
            }
        }
    )+};
}

tokens! {
    /// The token of a scanner device.
    DeviceToken = "vgd_";
    /// The secret of an API key.
    ApiKeySecret = "vgk_";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_a_prefix_and_256_bits_that_debug_hides() {
        let token = DeviceToken::generate();
        assert_eq!(token.reveal().len(), 4 + SECRET_LENGTH);
        let again: DeviceToken = token.reveal().parse().expect("its own text");
        assert_eq!(again.hash(), token.hash());
        assert_eq!(DeviceToken::hash_of(token.reveal()), Ok(token.hash()));
        assert_eq!(format!("{token:?}"), "DeviceToken(vgd_…)");
        assert!(token.reveal().parse::<ApiKeySecret>().is_err());
        for text in [
            "",
            "vgd_",
            "vgd_short",
            "Bearer vgd_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        ] {
            assert!(text.parse::<DeviceToken>().is_err(), "{text:?}");
        }
    }
}
