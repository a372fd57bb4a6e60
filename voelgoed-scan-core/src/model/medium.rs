//! Media: what a person holds that is not a code of ours, such as the barcode of a ticket sold elsewhere, or a wristband.
//!
//! Invariant: a medium is stored and compared as one text, `kind:value`. The value of a barcode is trimmed like every
//! reading, so that what a scanner reads equals what was imported.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest, Sha256};

use crate::model::{EventId, FieldUpdate, Format, TicketCode, trim_reading};

/// The maximum number of characters of a barcode.
const MAX_BARCODE: usize = 256;

/// The lengths of an NFC id in bytes.
const NFC_BYTES: std::ops::RangeInclusive<usize> = 4..=32;

/// The maximum number of media of a ticket.
pub const MAX_MEDIA: usize = 8;

/// A medium: `barcode:<text>` with 1 to 256 printable ASCII characters, or `nfc:<hex>` with 4 to 32 bytes in upper-case
/// hexadecimal.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Medium(String);

/// A ticket that has a medium.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MediumTicket {
    /// The SHA-256 of the medium.
    pub medium_sha256: [u8; 32],
    /// The event of the ticket.
    pub event_id: EventId,
    /// The code of the ticket.
    pub ticket_code: TicketCode,
}

/// The error of a text that is not a medium.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "is not a medium: barcode:<1 to 256 printable ASCII characters> or nfc:<4 to 32 bytes in upper-case hexadecimal>"
)]
pub struct InvalidMedium;

impl Medium {
    /// The barcode that a scanner read. It is trimmed first.
    pub fn barcode(text: &str) -> Result<Self, InvalidMedium> {
        let text = trim_reading(text);
        let is_valid =
            (1..=MAX_BARCODE).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if is_valid {
            Ok(Self(format!("barcode:{text}")))
        } else {
            Err(InvalidMedium)
        }
    }

    fn nfc(hex: &str) -> Result<Self, InvalidMedium> {
        let is_valid = hex.len().is_multiple_of(2)
            && NFC_BYTES.contains(&(hex.len() / 2))
            && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F'));
        if is_valid {
            Ok(Self(format!("nfc:{hex}")))
        } else {
            Err(InvalidMedium)
        }
    }

    /// The whole text, `kind:value`. It admits its bearer: never log it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The format of a record of this medium.
    #[must_use]
    pub fn format(&self) -> Format {
        if self.0.starts_with("nfc:") {
            Format::Nfc
        } else {
            Format::Barcode
        }
    }

    /// The SHA-256 of the whole text. Scan records store it, and tickets are looked up by it.
    #[must_use]
    pub fn sha256(&self) -> [u8; 32] {
        Sha256::digest(&self.0).into()
    }
}

/// Shows only the kind: a medium admits its bearer.
impl fmt::Debug for Medium {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Medium({}:…)", self.format())
    }
}

impl fmt::Display for Medium {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for Medium {
    type Err = InvalidMedium;

    fn from_str(text: &str) -> Result<Self, InvalidMedium> {
        match text.split_once(':') {
            Some(("barcode", text)) => Self::barcode(text),
            Some(("nfc", hex)) => Self::nfc(hex),
            _ => Err(InvalidMedium),
        }
    }
}

impl<'de> Deserialize<'de> for Medium {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::model::text::parsed(deserializer)
    }
}

/// A text that is a medium, in JSON Schema. The first character of a barcode excludes what would be trimmed.
#[cfg(feature = "schema")]
const PATTERN: &str = r"^(barcode:[!-)+-\[^-~]([ -~]{0,254}[!-)+-~])?|nfc:([0-9A-F]{2}){4,32})$";

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Medium {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Medium".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string", "pattern": PATTERN,
            "x-meaning": "a medium: barcode: with 1 to 256 printable ASCII characters, or nfc: with 4 to 32 bytes in \
                upper-case hexadecimal"
        })
    }
}

/// The media of a ticket: at most [`MAX_MEDIA`], each once, in the order in which they were given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Media(Vec<Medium>);

/// The error of too many media.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a ticket has at most {MAX_MEDIA} media")]
pub struct TooManyMedia;

impl Media {
    /// Checks the number of media. A repeated one counts once.
    pub fn new(media: impl IntoIterator<Item = Medium>) -> Result<Self, TooManyMedia> {
        let mut distinct = Vec::new();
        for medium in media {
            if !distinct.contains(&medium) {
                distinct.push(medium);
            }
        }
        if distinct.len() <= MAX_MEDIA {
            Ok(Self(distinct))
        } else {
            Err(TooManyMedia)
        }
    }

    /// The media.
    pub fn iter(&self) -> std::slice::Iter<'_, Medium> {
        self.0.iter()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the medium is one of them.
    #[must_use]
    pub fn contains(&self, medium: &Medium) -> bool {
        self.0.contains(medium)
    }

    /// The media after an import line.
    #[must_use]
    pub fn updated(self, update: FieldUpdate<Self>) -> Self {
        update.apply(Some(self)).unwrap_or_default()
    }
}

impl<'a> IntoIterator for &'a Media {
    type Item = &'a Medium;
    type IntoIter = std::slice::Iter<'a, Medium>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<'de> Deserialize<'de> for Media {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(Vec::<Medium>::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Media {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Media".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let medium = Medium::json_schema(generator);
        schemars::json_schema!({ "type": "array", "maxItems": MAX_MEDIA, "items": medium })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_medium_is_a_printable_barcode_or_an_nfc_id_in_upper_case() {
        let long = format!("barcode:{}", "9".repeat(256));
        for text in [
            "barcode:4006381333931",
            "barcode:a b:c",
            "barcode:~",
            "nfc:04A1B2C3",
            "nfc:04A1B2C3D4E5F607",
            long.as_str(),
        ] {
            let medium: Medium = text.parse().expect(text);
            assert_eq!(medium.as_str(), text);
        }
        let longer = format!("barcode:{}", "9".repeat(257));
        let long_id = format!("nfc:{}", "AB".repeat(33));
        for text in [
            "",
            "barcode:",
            "barcode: ",
            "barcode:**",
            "barcode:a\u{7f}b",
            "barcode:a\tb",
            "barcode:é",
            "4006381333931",
            "Barcode:4006381333931",
            "qr:4006381333931",
            "nfc:",
            "nfc:04a1b2c3",
            "nfc:04A1B2",
            "nfc:04A1B2C3D",
            "nfc:04:A1:B2:C3",
            "nfc: 04A1B2C3",
            longer.as_str(),
            long_id.as_str(),
        ] {
            assert_eq!(text.parse::<Medium>(), Err(InvalidMedium), "{text:?}");
        }
    }

    #[test]
    fn a_barcode_is_trimmed_like_every_reading() {
        let plain: Medium = "barcode:4006381333931".parse().expect("a barcode");
        for text in [
            "barcode:]E04006381333931",
            "barcode:*4006381333931*",
            "barcode: 4006381333931\r\n",
        ] {
            assert_eq!(text.parse(), Ok(plain.clone()), "{text:?}");
        }
        assert_eq!(Medium::barcode("]E04006381333931\r\n"), Ok(plain));
    }

    #[test]
    fn a_ticket_has_at_most_eight_different_media() {
        let media = |numbers: std::ops::Range<u32>| {
            let texts: Vec<_> = numbers.map(|number| format!("barcode:{number}")).collect();
            serde_json::from_value::<Media>(serde_json::json!(texts))
        };
        assert_eq!(media(0..8).expect("eight").iter().count(), 8);
        assert!(media(0..9).is_err());
        let twice = serde_json::from_value::<Media>(serde_json::json!(["barcode:1", "barcode:*1*"]));
        assert_eq!(twice.expect("one").iter().count(), 1);
    }

    #[test]
    fn the_texts_of_a_medium_are_in_no_debug_output() {
        let medium: Medium = "barcode:4006381333931".parse().expect("a barcode");
        assert_eq!(format!("{medium:?}"), "Medium(barcode:…)");
    }
}
