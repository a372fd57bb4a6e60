//! Whatever a phone's camera sees while it waits for an enrolment code.
#![no_main]

use libfuzzer_sys::fuzz_target;
use voelgoed_scan_core::model::{EnrollmentCode, EnrollmentUri};

fuzz_target!(|text: &str| {
    if let Ok(code) = text.parse::<EnrollmentCode>() {
        assert_eq!(code.reveal(), text);
    }
    if let Ok(uri) = text.parse::<EnrollmentUri>() {
        let again: EnrollmentUri = uri.reveal().parse().expect("its own text");
        assert_eq!(again.server, uri.server);
        assert_eq!(again.code.reveal(), uri.code.reveal());
    }
});
