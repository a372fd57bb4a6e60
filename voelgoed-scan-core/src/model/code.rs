//! Ticket codes: 16 characters of base62, about 95 random bits. A code is a bearer secret.
//!
//! A code is stored as the number that it spells, below 62^16 < 2^96. Its binary form is 12 bytes, big-endian.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::model::text::Ascii;

/// The length of a code in base62 characters. Leading zeros count.
pub const CODE_LENGTH: usize = 16;

/// 62^16, the number of codes.
const CODES: u128 = 62_u128.pow(16);

/// A ticket code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TicketCode(u128);

/// The error of a text or a number that is not a ticket code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a ticket code: 16 characters of 0-9, A-Z, a-z")]
pub struct InvalidCode;

impl TicketCode {
    /// A new code from the operating system's random numbers. All codes are equally likely.
    #[must_use]
    pub fn generate() -> Self {
        loop {
            let mut bytes = [0_u8; 12];
            crate::model::random::fill(&mut bytes);
            // 62^16 is 60 % of 2^96. Higher draws are repeated, so that all codes are equally likely.
            if let Ok(code) = Self::from_bytes(bytes) {
                return code;
            }
        }
    }

    /// The code of 12 bytes, big-endian. Fails above 62^16 - 1.
    pub fn from_bytes(bytes: [u8; 12]) -> Result<Self, InvalidCode> {
        let mut wide = [0_u8; 16];
        wide[4..].copy_from_slice(&bytes);
        let number = u128::from_be_bytes(wide);
        if number < CODES {
            Ok(Self(number))
        } else {
            Err(InvalidCode)
        }
    }

    /// The code as 12 bytes, big-endian.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 12] {
        let mut bytes = [0_u8; 12];
        bytes.copy_from_slice(&self.0.to_be_bytes()[4..]);
        bytes
    }

    /// Parses a code that staff type. Single ASCII hyphens and spaces may separate groups of characters.
    pub fn parse_typed(text: &str) -> Result<Self, InvalidCode> {
        let mut plain = [0_u8; CODE_LENGTH];
        let mut length = 0;
        let mut after_character = false;
        for byte in text.bytes() {
            match byte {
                b'-' | b' ' if after_character => after_character = false,
                b'-' | b' ' => return Err(InvalidCode),
                _ => {
                    *plain.get_mut(length).ok_or(InvalidCode)? = byte;
                    length += 1;
                    after_character = true;
                }
            }
        }
        if length == CODE_LENGTH && after_character {
            Self::from_ascii(&plain)
        } else {
            Err(InvalidCode)
        }
    }

    /// The code in groups of four: `3KQR-7F92-4M1X-aB0z`.
    #[must_use]
    pub fn grouped(self) -> String {
        let mut text = String::with_capacity(CODE_LENGTH + 3);
        for (at, character) in self.to_string().chars().enumerate() {
            if at > 0 && at % 4 == 0 {
                text.push('-');
            }
            text.push(character);
        }
        text
    }

    /// The 16 characters.
    pub(crate) fn text(self) -> Ascii<CODE_LENGTH> {
        let mut digits = [b'0'; CODE_LENGTH];
        // A code has at most `CODE_LENGTH` digits. The buffer starts as zeros, which the rotation moves in front.
        let length = base62::encode_bytes(self.0, &mut digits).unwrap_or(CODE_LENGTH);
        digits.rotate_right(CODE_LENGTH - length);
        Ascii(digits)
    }

    /// Parses exactly 16 base62 characters.
    pub fn from_ascii(text: &[u8]) -> Result<Self, InvalidCode> {
        if text.len() != CODE_LENGTH || !text.iter().all(u8::is_ascii_alphanumeric) {
            return Err(InvalidCode);
        }
        base62::decode(text).map(Self).map_err(|_| InvalidCode)
    }
}

impl fmt::Display for TicketCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text().as_str())
    }
}

/// Shows only the first four characters: a code is a bearer secret.
impl fmt::Debug for TicketCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.to_string();
        write!(f, "TicketCode({}…)", text.get(..4).unwrap_or_default())
    }
}

impl FromStr for TicketCode {
    type Err = InvalidCode;

    fn from_str(text: &str) -> Result<Self, InvalidCode> {
        Self::from_ascii(text.as_bytes())
    }
}

impl Serialize for TicketCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TicketCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::model::text::parsed(deserializer)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for TicketCode {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "TicketCode".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^[0-9A-Za-z]{16}$" })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn leading_zeros_count() {
        let zero: TicketCode = "0000000000000000".parse().expect("sixteen zeros are a code");
        assert_eq!(zero.to_bytes(), [0; 12]);
        assert_eq!(zero.to_string(), "0000000000000000");
        let last: TicketCode = "zzzzzzzzzzzzzzzz".parse().expect("sixteen z are a code");
        assert_eq!(last.to_string(), "zzzzzzzzzzzzzzzz");
        assert_eq!(TicketCode::from_bytes([0xff; 12]), Err(InvalidCode));
    }

    #[test]
    fn typed_codes_may_be_grouped_by_hyphens_and_spaces_and_nothing_else() {
        let code: TicketCode = "3KQR7F924M1XaB0z".parse().expect("a code");
        assert_eq!(code.grouped(), "3KQR-7F92-4M1X-aB0z");
        for text in [
            "3KQR-7F92-4M1X-aB0z",
            "3KQR 7F92 4M1X aB0z",
            "3KQR7F924M1XaB0z",
            "3KQR7F92-4M1XaB0z",
        ] {
            assert_eq!(TicketCode::parse_typed(text), Ok(code), "{text:?}");
        }
        for text in [
            "",
            "-3KQR7F924M1XaB0z",
            "3KQR7F924M1XaB0z-",
            "3KQR--7F924M1XaB0z",
            "3KQR_7F924M1XaB0z",
            "3KQR7F924M1XaB0",
            "3KQR7F924M1XaB0zz",
            "3KQR7F924M1XaBé",
            "3KQR\t7F924M1XaB0z",
        ] {
            assert_eq!(TicketCode::parse_typed(text), Err(InvalidCode), "{text:?}");
        }
    }

    #[test]
    fn debug_does_not_show_the_whole_code() {
        let code: TicketCode = "3KQR7F924M1XaB0z".parse().expect("a code");
        assert_eq!(format!("{code:?}"), "TicketCode(3KQR…)");
    }

    proptest! {
        #[test]
        fn text_and_bytes_round_trip(text in "[0-9A-Za-z]{16}") {
            let code: TicketCode = text.parse().expect("sixteen base62 characters are a code");
            prop_assert_eq!(code.to_string(), text);
            prop_assert_eq!(TicketCode::from_bytes(code.to_bytes()), Ok(code));
            prop_assert_eq!(TicketCode::parse_typed(&code.grouped()), Ok(code));
        }
    }
}
