//! Decodes arbitrary bytes as the Erlang term of a Phoenix.Token. Decoding never panics, and what follows a term makes it
//! malformed.
#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libfuzzer_sys::fuzz_target;
use voelgoed_scan_core::model::Claims;
use voelgoed_scan_core::token::{Malformed, Payload};

/// The claims of a token with this header and term. The signature has the right length and is not checked.
fn claims(header: &str, signature_length: usize, term: &[u8]) -> Result<Claims, Malformed> {
    let payload = URL_SAFE_NO_PAD.encode(term);
    let signature = URL_SAFE_NO_PAD.encode(vec![0; signature_length]);
    let text = format!("{header}.{payload}.{signature}");
    Payload::parse(&text)?.unverified_claims()
}

fuzz_target!(|term: &[u8]| {
    let Ok(read) = claims("SFMyNTY", 32, term) else {
        return;
    };
    assert!(read.ticket_code.is_some() || read.ticket_id.is_some());
    assert_eq!(claims("SFMzODQ", 48, term).ok().as_ref(), Some(&read));
    let mut longer = term.to_vec();
    longer.push(0);
    assert!(claims("SFMyNTY", 32, &longer).is_err());
});
