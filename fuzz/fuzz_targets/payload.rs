//! Parses arbitrary text as a payload. Parsing never panics, parsing again gives the same payload, and only a payload that the
//! keyring signed verifies.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use uuid::Uuid;
use voelgoed_scan_core::token::{Keyring, MasterSecret, Payload, verify};
use voelgoed_scan_core::model::{OrganizationId, TicketCode};

static KEYRING: LazyLock<Keyring> = LazyLock::new(|| {
    let master = MasterSecret::from_hex(&"42".repeat(32)).expect("a master secret");
    Keyring::derive(&master, OrganizationId::from_uuid(Uuid::from_u128(1)), &[]).expect("no row is wrong")
});

fuzz_target!(|text: &str| {
    let Ok(payload) = Payload::parse(text) else { return };
    let again = Payload::parse(payload.text()).expect("it was read before");
    assert_eq!(again.format(), payload.format());
    assert_eq!(again.kid(), payload.kid());
    let _ = payload.unverified_claims();
    if let Ok(claims) = verify(&payload, &KEYRING, None, false) {
        // The fuzzer does not know the keys. VG1 has exactly one text for a code.
        let code = claims.ticket_code.expect("a VG1 payload has a code");
        assert_eq!(Some(payload.text()), KEYRING.sign_vg1(code).as_deref());
    }
    if let Ok(code) = TicketCode::parse_typed(text) {
        assert_eq!(TicketCode::from_bytes(code.to_bytes()), Ok(code));
        assert_eq!(TicketCode::parse_typed(&code.grouped()), Ok(code));
    }
});
