//! Reads arbitrary bytes as a manifest. Bytes without a valid signature are refused; bytes that the organization itself signed
//! never cause a panic.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use uuid::Uuid;
use voelgoed_scan_core::token::{Keyring, MasterSecret};
use voelgoed_scan_core::manifest::{VerifiedManifest, TicketKey};
use voelgoed_scan_core::model::OrganizationId;

static KEYRING: LazyLock<Keyring> = LazyLock::new(|| {
    let master = MasterSecret::from_hex(&"42".repeat(32)).expect("a master secret");
    Keyring::derive(&master, organization(), &[]).expect("no row is wrong")
});

fn organization() -> OrganizationId {
    OrganizationId::from_uuid(Uuid::from_u128(1))
}

fuzz_target!(|bytes: &[u8]| {
    let key = KEYRING.manifest_key().expect("a server's keyring");
    assert!(VerifiedManifest::verify(bytes.to_vec(), organization(), &key).is_err());

    // The magic, the format version, the flags and the organization are given, so that the fuzzer gets past them.
    let Some((flags, rest)) = bytes.split_first() else {
        return;
    };
    let mut signed = b"VGM\x02".to_vec();
    signed.push(*flags);
    signed.extend_from_slice(organization().as_uuid().as_bytes());
    signed.extend_from_slice(rest);
    let signature = KEYRING.sign_manifest(&signed).expect("a server's keyring");
    signed.extend_from_slice(&signature);
    let Ok(verified) = VerifiedManifest::verify(signed, organization(), &key) else {
        return;
    };
    let event = verified.head().event.id;
    let made_at = verified.head().made_at;
    let _ = verified.check(event, None, made_at);
    let Ok(manifest) = verified.clone().into_manifest(None) else {
        return;
    };
    for ticket in manifest.tickets() {
        assert!(manifest.find(ticket.key).listed().is_some());
    }
    let _ = manifest.find(TicketKey::from_bytes([0; 16]));
    let _ = verified.into_manifest(Some(&manifest));
});
