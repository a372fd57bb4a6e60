//! Enrolment: a one-time code makes a phone a scanner device.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::model::{App, Device, DeviceKey, DeviceToken, InvalidBytes, InvalidToken, ScanSession, Timestamp};

/// The length of the part that identifies an enrolment.
const ID_LENGTH: usize = 8;

/// The length of the secret part: 131 random bits.
const SECRET_LENGTH: usize = 22;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The error of a text that is not an enrolment code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not an enrolment code: 8 and 22 characters of 0-9, A-Z, a-z with a dot between")]
pub struct InvalidEnrollmentCode;

/// The one-time code that enrols a device: `<8 base62 id>.<22 base62 secret>`.
#[derive(Clone)]
pub struct EnrollmentCode(Zeroizing<String>);

impl EnrollmentCode {
    /// A new code from the operating system's random numbers.
    #[must_use]
    pub fn generate() -> Self {
        let mut text = Zeroizing::new(String::with_capacity(ID_LENGTH + 1 + SECRET_LENGTH));
        while text.len() < ID_LENGTH + 1 + SECRET_LENGTH {
            if text.len() == ID_LENGTH {
                text.push('.');
            }
            let mut byte = [0_u8];
            crate::model::random::fill(&mut byte);
            // 248 is the largest multiple of 62 in a byte. Higher draws are repeated, so that all characters are equally likely.
            if let [byte @ ..248] = byte
                && let Some(character) = BASE62.get(usize::from(byte % 62))
            {
                text.push(char::from(*character));
            }
        }
        Self(text)
    }

    /// The code. It is a secret: show it once or send it, never log it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The id part. It is not secret.
    #[must_use]
    pub fn id(&self) -> &str {
        self.0.split_once('.').map_or("", |(id, _)| id)
    }

    /// SHA-256 of the secret part. The server stores only this.
    #[must_use]
    pub fn secret_hash(&self) -> [u8; 32] {
        let secret = self.0.split_once('.').map_or("", |(_, secret)| secret);
        Sha256::digest(secret.as_bytes()).into()
    }

    /// Whether its secret has this hash. Compares in constant time.
    #[must_use]
    pub fn matches(&self, secret_hash: &[u8; 32]) -> bool {
        self.secret_hash().ct_eq(secret_hash).into()
    }
}

impl FromStr for EnrollmentCode {
    type Err = InvalidEnrollmentCode;

    fn from_str(text: &str) -> Result<Self, InvalidEnrollmentCode> {
        let (id, secret) = text.split_once('.').ok_or(InvalidEnrollmentCode)?;
        let base62 = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if id.len() == ID_LENGTH && secret.len() == SECRET_LENGTH && base62(id) && base62(secret) {
            Ok(Self(Zeroizing::new(text.to_owned())))
        } else {
            Err(InvalidEnrollmentCode)
        }
    }
}

/// Shows only the id.
impl fmt::Debug for EnrollmentCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EnrollmentCode({}.…)", self.id())
    }
}

impl Serialize for EnrollmentCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.reveal())
    }
}

impl<'de> Deserialize<'de> for EnrollmentCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::model::text::parsed(deserializer)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for EnrollmentCode {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "EnrollmentCode".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^[0-9A-Za-z]{8}\\.[0-9A-Za-z]{22}$" })
    }
}

/// The organization's Ed25519 public key for manifests. Its text is base64url without padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(inline))]
#[serde(transparent)]
pub struct ManifestKey(DeviceKey);

impl ManifestKey {
    /// Wraps the bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(DeviceKey::new(bytes))
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }
}

impl fmt::Display for ManifestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for ManifestKey {
    type Err = InvalidBytes;

    fn from_str(text: &str) -> Result<Self, InvalidBytes> {
        text.parse().map(Self)
    }
}

/// A device token in an answer. The server returns it only once.
#[derive(Debug, Clone)]
pub struct IssuedToken(pub DeviceToken);

impl Serialize for IssuedToken {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.reveal())
    }
}

impl<'de> Deserialize<'de> for IssuedToken {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        let token = text.parse::<DeviceToken>();
        token
            .map(Self)
            .map_err(|error: InvalidToken| serde::de::Error::custom(error))
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for IssuedToken {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "IssuedToken".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^vgd_[A-Za-z0-9_-]{43}$" })
    }
}

/// The answer of `POST /api/v1/scanning/devices/{id}/enrollment`, for the person who enrols the phone.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Enrollment {
    /// The code.
    pub code: EnrollmentCode,
    /// The last moment at which it works.
    pub expires_at: Timestamp,
    /// The server's address and the code, for a QR code.
    pub uri: EnrollmentUri,
}

/// The request of `POST /api/v1/scanning/enroll`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EnrollRequest {
    /// The code.
    pub code: EnrollmentCode,
    /// The app on the phone.
    pub app: App,
    /// The device's Ed25519 public key. With it, the device must sign its offline scans and link them in a chain.
    #[serde(default, deserialize_with = "usable_key")]
    pub device_key: Option<DeviceKey>,
}

/// The error of 32 bytes that are no usable public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not an Ed25519 public key that signatures can be checked with")]
struct UnusableKey;

/// Rejects a key that verifies nothing or everything, so that enrolment fails instead of the first upload.
fn usable_key<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DeviceKey>, D::Error> {
    match Option::<DeviceKey>::deserialize(deserializer)? {
        Some(key) if !key.is_usable() => Err(serde::de::Error::custom(UnusableKey)),
        key => Ok(key),
    }
}

/// The answer of `POST /api/v1/scanning/enroll`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EnrollAnswer {
    /// The device.
    pub device: Device,
    /// The device's token. It is returned only here.
    pub token: IssuedToken,
    /// The server's time, from which the device computes the offset of its clock.
    pub server_time: Timestamp,
    /// The key that the device pins for manifests.
    pub manifest_key: ManifestKey,
}

/// The answer of `GET` and `PUT /api/v1/scanning/device`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeviceSelf {
    /// The device.
    pub device: Device,
    /// Its active session.
    pub session: Option<ScanSession>,
    /// The server's time, from which the device computes the offset of its clock.
    pub server_time: Timestamp,
    /// The current key for manifests. A device uses the one that it pinned at enrolment.
    pub manifest_key: ManifestKey,
}

/// The error of a text that is not an enrolment URI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not an enrolment URI such as voelgoed-scan://enroll?server=...&code=...")]
pub struct InvalidEnrollmentUri;

/// The content of an enrolment QR code: `voelgoed-scan://enroll?server=...&code=...`.
#[derive(Debug, Clone)]
pub struct EnrollmentUri {
    /// The server's address, such as `https://scan.example.org`.
    pub server: String,
    /// The code.
    pub code: EnrollmentCode,
}

const URI_PREFIX: &str = "voelgoed-scan://enroll?";

impl FromStr for EnrollmentUri {
    type Err = InvalidEnrollmentUri;

    fn from_str(text: &str) -> Result<Self, InvalidEnrollmentUri> {
        let query = text
            .trim_ascii()
            .strip_prefix(URI_PREFIX)
            .ok_or(InvalidEnrollmentUri)?;
        let (mut server, mut code) = (None, None);
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "server" => server = Some(value.trim_end_matches('/').to_owned()),
                "code" => code = Some(value.parse().map_err(|_| InvalidEnrollmentUri)?),
                _ => {}
            }
        }
        match (server, code) {
            (Some(server), Some(code)) if !server.is_empty() => Ok(Self { server, code }),
            _ => Err(InvalidEnrollmentUri),
        }
    }
}

impl EnrollmentUri {
    /// Its text. It contains the code, so it is a secret.
    #[must_use]
    pub fn reveal(&self) -> String {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("server", &self.server)
            .append_pair("code", self.code.reveal())
            .finish();
        format!("{URI_PREFIX}{query}")
    }
}

impl Serialize for EnrollmentUri {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.reveal())
    }
}

impl<'de> Deserialize<'de> for EnrollmentUri {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::model::text::parsed(deserializer)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for EnrollmentUri {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "EnrollmentUri".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^voelgoed-scan://enroll\\?" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_enrollment_code_has_an_id_and_a_secret_that_debug_hides() {
        let code = EnrollmentCode::generate();
        let again: EnrollmentCode = code.reveal().parse().expect("its own text");
        assert_eq!((again.id(), again.secret_hash()), (code.id(), code.secret_hash()));
        assert!(code.matches(&again.secret_hash()));
        assert!(!EnrollmentCode::generate().matches(&again.secret_hash()));
        assert_eq!(format!("{code:?}"), format!("EnrollmentCode({}.…)", code.id()));
        let short = "a".repeat(8) + "." + &"b".repeat(21);
        let foreign = "a".repeat(8) + "." + &"-".repeat(22);
        for text in ["", ".", "abcdefgh", &short, &foreign] {
            assert!(text.parse::<EnrollmentCode>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_enrollment_uri_carries_server_and_code() {
        let uri = EnrollmentUri {
            server: "https://scan.example.org:8443/x&y".to_owned(),
            code: EnrollmentCode::generate(),
        };
        let again: EnrollmentUri = uri.reveal().parse().expect("its own text");
        assert_eq!(
            (&again.server, again.code.reveal()),
            (&uri.server, uri.code.reveal())
        );
        assert!(!format!("{uri:?}").contains(uri.code.reveal()));
        for text in [
            "",
            "https://x?server=a&code=b",
            "voelgoed-scan://enroll?server=https://a",
        ] {
            assert!(text.parse::<EnrollmentUri>().is_err(), "{text:?}");
        }
    }
}
