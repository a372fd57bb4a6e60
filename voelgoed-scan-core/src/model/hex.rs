//! Hexadecimal text of keys and hashes.

/// The error of a text that is not hexadecimal of the right length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not hexadecimal of the right length")]
pub struct InvalidHex;

/// The bytes in lower-case hexadecimal.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        text.extend(char::from_digit((byte >> 4).into(), 16));
        text.extend(char::from_digit((byte & 0xf).into(), 16));
    }
    text
}

/// Decodes hexadecimal digits of either case into `bytes`, which they must fill exactly.
///
/// The caller provides the buffer, so that a secret leaves no copy in memory.
pub fn decode_into(text: &str, bytes: &mut [u8]) -> Result<(), InvalidHex> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() || pairs.len() != bytes.len() {
        return Err(InvalidHex);
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Ok(())
}

/// Decodes hexadecimal digits of either case into `N` bytes.
pub fn decode<const N: usize>(text: &str) -> Result<[u8; N], InvalidHex> {
    let mut bytes = [0; N];
    decode_into(text, &mut bytes).map(|()| bytes)
}

fn digit(character: u8) -> Result<u8, InvalidHex> {
    let digit = char::from(character).to_digit(16).ok_or(InvalidHex)?;
    u8::try_from(digit).map_err(|_| InvalidHex)
}

/// Serde functions for an optional key of 32 bytes: hexadecimal or null.
pub(crate) mod option {
    use std::borrow::Cow;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "the shape that serde's `with` asks for")]
    pub(crate) fn serialize<S: Serializer>(key: &Option<[u8; 32]>, serializer: S) -> Result<S::Ok, S::Error> {
        key.map(|bytes| super::encode(&bytes)).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<[u8; 32]>, D::Error> {
        Option::<Cow<'de, str>>::deserialize(deserializer)?
            .map(|text| super::decode(&text))
            .transpose()
            .map_err(serde::de::Error::custom)
    }
}

/// Serde functions for a hash of 32 bytes in hexadecimal.
pub(crate) mod array {
    use std::borrow::Cow;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(hash: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::encode(hash))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        super::decode(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_read_in_either_case_and_written_in_lower() {
        assert_eq!(decode("00fFAb"), Ok([0, 255, 171]));
        assert_eq!(encode(&[0, 255, 171]), "00ffab");
        for text in ["", "0", "00ffa", "00ffabcd", "00ffag", "+0ffab", "00ffé"] {
            assert_eq!(decode::<3>(text), Err(InvalidHex), "{text:?}");
        }
    }
}
