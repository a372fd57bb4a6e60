//! The chain of a device's log: each scan has the hash of the previous scan, and each batch is signed with the device's key.
//! So a changed or removed scan is detected.
//!
//! Invariants: the hash covers the scan as it is sent, as canonical JSON, so that every scan has exactly one hash; labels
//! separate the hashes from those of other uses; a signature is valid for one device and one batch only.

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::model::bytes::fixed_bytes;
use crate::model::{BatchId, DeviceId, OrganizationId, Timestamp};

/// The label that the hash of a scan starts with.
const LINK_LABEL: &[u8] = b"voelgoed-scan/link/1\n";
/// The label that the signed bytes of a batch start with.
const BATCH_LABEL: &[u8] = b"voelgoed-scan/batch/1\n";
/// The label before the ages of the scans of a batch.
const AGES_LABEL: &[u8] = b"voelgoed-scan/ages/1\n";

fixed_bytes! {
    /// The SHA-256 hash of a scan in a device's log. Its text is base64url without padding.
    LinkHash: 32, 43, "AEIMQUYcgkosw048";
    /// A device's Ed25519 signature over a batch. Its text is base64url without padding.
    BatchSignature: 64, 86, "AQgw";
}

/// The canonical JSON of a scan as it is sent: no white space, members in the order of their names' bytes, top-level members
/// that are null left out, texts and numbers as `serde_json` writes them. The member `age_ms` is left out too: it is another
/// one whenever the scan is sent, and the signature of the batch covers it.
#[must_use]
pub fn canonical(scan: &Value) -> Vec<u8> {
    let mut out = String::new();
    match scan {
        Value::Object(members) => {
            let sent = members
                .iter()
                .filter(|(name, value)| !value.is_null() && *name != "age_ms");
            write_object(sent, &mut out);
        }
        other => write(other, &mut out),
    }
    out.into_bytes()
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Object(members) => write_object(members.iter(), out),
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        plain => out.push_str(&plain.to_string()),
    }
}

fn write_object<'a>(members: impl Iterator<Item = (&'a String, &'a Value)>, out: &mut String) {
    // The order of a map depends on the features of `serde_json`. The canonical order must not.
    let mut members: Vec<_> = members.collect();
    members.sort_unstable_by_key(|(name, _)| name.as_bytes());
    out.push('{');
    for (at, (name, value)) in members.into_iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        out.push_str(&Value::from(name.as_str()).to_string());
        out.push(':');
        write(value, out);
    }
    out.push('}');
}

impl LinkHash {
    /// The hash of a scan as it is sent, including its `prev_hash`. The next scan of the log refers to it.
    #[must_use]
    pub fn of(scan: &Value) -> Self {
        let mut hash = Sha256::new();
        hash.update(LINK_LABEL);
        hash.update(canonical(scan));
        Self(hash.finalize().into())
    }

    /// The hash of an item that has no canonical form, because it is not JSON or too large: that of its text.
    #[must_use]
    pub(crate) fn of_unreadable(text: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update(LINK_LABEL);
        hash.update(text);
        Self(hash.finalize().into())
    }
}

/// The bytes that a device signs for a batch: the ids, the time of sending, and the hash of each scan. If a scan has an
/// `age_ms`, those of all scans follow. `ages` has one value a scan, or is empty.
#[must_use]
pub fn signed_bytes(
    organization: OrganizationId,
    device: DeviceId,
    batch: BatchId,
    sent_at: Timestamp,
    links: &[LinkHash],
    ages: &[Option<u64>],
) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(BATCH_LABEL.len() + 56 + 32 * links.len());
    bytes.extend_from_slice(BATCH_LABEL);
    for id in [organization.as_uuid(), device.as_uuid(), batch.as_uuid()] {
        bytes.extend_from_slice(id.as_bytes());
    }
    bytes.extend_from_slice(&sent_at.as_millis().to_be_bytes());
    for link in links {
        bytes.extend_from_slice(link.as_bytes());
    }
    if ages.iter().any(Option::is_some) {
        bytes.extend_from_slice(AGES_LABEL);
        for age in ages {
            bytes.extend_from_slice(&age.unwrap_or(u64::MAX).to_be_bytes());
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer, SigningKey};
    use serde_json::json;

    use super::*;
    use crate::model::{DeviceKey, InvalidBytes};

    #[test]
    fn the_canonical_form_ignores_only_order_nulls_and_white_space() {
        let one: Value =
            serde_json::from_str(r#"{ "b": 1, "a": {"z": null, "y": [1.5, "é\n"]}, "c": null }"#)
                .expect("JSON");
        let text = String::from_utf8(canonical(&one)).expect("UTF-8");
        assert_eq!(text, r#"{"a":{"y":[1.5,"é\n"],"z":null},"b":1}"#);
        let other = json!({ "a": { "y": [1.5, "é\n"], "z": null }, "b": 1 });
        assert_eq!(LinkHash::of(&one), LinkHash::of(&other));
        assert_ne!(LinkHash::of(&one), LinkHash::of(&json!({ "a": 1, "b": 1 })));
    }

    #[test]
    fn numbers_are_the_same_at_both_ends_of_the_wire() {
        // A fast float parser gets the last digit of these two wrong. The parsed number must equal the signed one.
        for sent in [
            "88888888888888888888888888888888888880e9",
            "0.10000000149011612e-300",
        ] {
            let signed = canonical(&serde_json::from_str(sent).expect("JSON"));
            let read = serde_json::from_slice(&signed).expect("JSON");
            assert_eq!(canonical(&read), signed);
        }
    }

    #[test]
    fn a_signature_is_valid_only_for_its_device_batch_and_scans() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let device_key = DeviceKey::new(key.verifying_key().to_bytes());
        assert!(device_key.is_usable());
        let id = |number| uuid::Uuid::from_u128(number);
        let bytes = |device, batch, at, link| {
            signed_bytes(
                OrganizationId::from_uuid(id(1)),
                DeviceId::from_uuid(id(device)),
                BatchId::from_uuid(id(batch)),
                Timestamp::from_millis(at),
                &[LinkHash::new([link; 32])],
                &[],
            )
        };
        let signature = BatchSignature::new(key.sign(&bytes(2, 3, 4, 5)).to_bytes());
        assert!(device_key.verifies(&bytes(2, 3, 4, 5), signature.as_bytes()));
        for other in [
            bytes(9, 3, 4, 5),
            bytes(2, 9, 4, 5),
            bytes(2, 3, 9, 5),
            bytes(2, 3, 4, 9),
        ] {
            assert!(!device_key.verifies(&other, signature.as_bytes()));
        }
    }

    #[test]
    fn a_hash_has_exactly_one_text() {
        let hash = LinkHash::new([255; 32]);
        let text = hash.to_string();
        assert_eq!(text.parse(), Ok(hash));
        // The last character of 32 bytes has two unused bits, which must be zero.
        let loose = format!("{}9", text.strip_suffix('8').expect("two spare bits"));
        assert_eq!(loose.parse::<LinkHash>(), Err(InvalidBytes));
        assert_eq!(format!("{text}=").parse::<LinkHash>(), Err(InvalidBytes));
    }
}
