//! Parses arbitrary text as an enrolment code and an enrolment URI, as the camera of a phone reads it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use voelgoed_scan_core::model::{EnrollmentCode, EnrollmentUri};

fuzz_target!(|text: &str| {
    if let Ok(code) = text.parse::<EnrollmentCode>() {
        assert_eq!(code.reveal(), text);
    }
    if let Ok(uri) = text.parse::<EnrollmentUri>() {
        let parsed: EnrollmentUri = uri.reveal().parse().expect("its own text");
        assert_eq!(parsed.server, uri.server);
        assert_eq!(parsed.code.reveal(), uri.code.reveal());
    }
});
