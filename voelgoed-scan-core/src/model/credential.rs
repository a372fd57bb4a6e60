//! Who is calling? Bearer tokens: 256 random bits behind a prefix that tells what they are for.
//!
//! A token is shown once, when it is made; afterwards only its SHA-256 is known, here and in the database.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// SHA-256 of a bearer token: all that is stored of it.
pub type TokenHash = [u8; 32];

/// Characters of base64url that 256 bits take.
const SECRET_LENGTH: usize = 43;

/// A text that is not a token of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a token of this kind")]
pub struct InvalidToken;

macro_rules! tokens {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name(Zeroizing<String>);

        impl $name {
            /// What its text begins with.
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

            /// The token itself: to be shown once, or sent.
            #[must_use]
            pub fn reveal(&self) -> &str {
                &self.0
            }

            /// Its SHA-256: what is stored and looked up.
            #[must_use]
            pub fn hash(&self) -> TokenHash {
                Sha256::digest(self.0.as_bytes()).into()
            }

            /// The SHA-256 of a token that came as a text, of which no copy is made.
            pub fn hash_of(text: &str) -> Result<TokenHash, InvalidToken> {
                Self::check(text)?;
                Ok(Sha256::digest(text.as_bytes()).into())
            }

            fn check(text: &str) -> Result<(), InvalidToken> {
                let secret = text.strip_prefix($prefix).ok_or(InvalidToken)?;
                let alphabet = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
                if secret.len() == SECRET_LENGTH && secret.bytes().all(alphabet) {
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
    fn a_token_is_its_prefix_and_256_bits_and_hides_them() {
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
