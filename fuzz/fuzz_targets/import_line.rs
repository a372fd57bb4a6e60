//! Reads arbitrary bytes as a line of a ticket import. A line that is read keeps within the limits of its fields.
#![no_main]

use libfuzzer_sys::fuzz_target;
use voelgoed_scan_core::model::{FieldUpdate, TicketCode, TicketLine};

fuzz_target!(|bytes: &[u8]| {
    let Ok(line) = serde_json::from_slice::<TicketLine>(bytes) else {
        return;
    };
    assert_eq!(serde_json::from_slice::<TicketLine>(bytes).ok().as_ref(), Some(&line));
    if let Some(code) = line.code {
        assert_eq!(TicketCode::from_bytes(code.to_bytes()), Ok(code));
    }
    if let FieldUpdate::Set(note) = &line.note {
        assert!((1..=500).contains(&note.as_str().chars().count()));
        assert!(!note.as_str().chars().any(char::is_control));
    }
    if let FieldUpdate::Set(from) = &line.valid_from {
        assert_eq!(from.to_string().parse(), Ok(*from));
    }
});
