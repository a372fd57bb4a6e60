//! Reads arbitrary bytes as the body of every request. A body that is read is the same when it is written and read again.
#![no_main]

use std::fmt::Debug;

use libfuzzer_sys::fuzz_target;
use serde::Serialize;
use serde::de::DeserializeOwned;
use voelgoed_scan_core::model::{
    ApiKeyCreate, DeviceHealth, DevicePatch, DeviceRegister, EnrollRequest, EventPut, GatePut, RawScanRequest,
    ScanRequest, SessionStart, TicketPatch, UndoRequest,
};
use voelgoed_scan_core::sync::AcceptRequest;

fn check<T: DeserializeOwned + Serialize + PartialEq + Debug>(bytes: &[u8]) {
    if let Ok(body) = serde_json::from_slice::<T>(bytes) {
        let written = serde_json::to_vec(&body).expect("a body can be written");
        let again: T = serde_json::from_slice(&written).expect("its own text");
        assert_eq!(again, body);
    }
}

fuzz_target!(|bytes: &[u8]| {
    check::<ApiKeyCreate>(bytes);
    check::<DeviceHealth>(bytes);
    check::<DevicePatch>(bytes);
    check::<DeviceRegister>(bytes);
    check::<EventPut>(bytes);
    check::<GatePut>(bytes);
    check::<RawScanRequest>(bytes);
    check::<SessionStart>(bytes);
    check::<TicketPatch>(bytes);
    check::<UndoRequest>(bytes);
    check::<AcceptRequest>(bytes);
    let _ = serde_json::from_slice::<EnrollRequest>(bytes);
    // The request of a scan is the same as its JSON form, within the rules between its fields.
    let raw = serde_json::from_slice::<RawScanRequest>(bytes).ok();
    let scan = serde_json::from_slice::<ScanRequest>(bytes).ok();
    let allowed = raw
        .as_ref()
        .is_some_and(|raw| (raw.qr.is_some() != raw.ticket_code.is_some()) && !(raw.dry_run && raw.scan_id.is_some()));
    assert_eq!(scan.is_some(), allowed);
});
