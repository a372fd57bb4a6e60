//! The conversions of ids, codes and times: ids and codes are texts, times are the language's own time type. An invalid
//! text is an error.

use std::time::{Duration, SystemTime};

use crate::ScannerError;
pub use voelgoed_scan_core::model::{
    ClassName, DeviceId, EventId, GateCode, GateId, HolderName, KeyId, Medium, Metadata, Name, Note,
    OrderRef, OrganizationId, ReasonText, ScanId, SeatPart, SessionId, TicketCode, TicketId, Timestamp,
};

macro_rules! texts {
    ($($type:ident = $kind:literal;)+) => {$(
        uniffi::custom_type!($type, String, {
            remote,
            lower: |value| value.to_string(),
            try_lift: |text| text.parse().map_err(|error| ScannerError::invalid($kind, error).into()),
        });
    )+};
}

texts! {
    OrganizationId = "organization id";
    EventId = "event id";
    GateId = "gate id";
    TicketId = "ticket id";
    DeviceId = "device id";
    SessionId = "session id";
    ScanId = "scan id";
    TicketCode = "ticket code";
    Medium = "medium";
    KeyId = "key id";
    ClassName = "ticket class";
    SeatPart = "part of a seat";
    GateCode = "gate code";
    HolderName = "holder's name";
    OrderRef = "order reference";
    Note = "note";
    Name = "name";
    ReasonText = "reason";
}

// Kotlin and Swift get the JSON text of the object, Python a dict.
uniffi::custom_type!(Metadata, String, {
    remote,
    // A JSON object of texts, numbers and lists always has a text.
    lower: |metadata| serde_json::to_string(&metadata).unwrap_or_default(),
    try_lift: |text| serde_json::from_str(&text).map_err(|error| ScannerError::invalid("metadata", error).into()),
});

// In whole milliseconds. Kotlin gets java.time.Instant, Swift Date, Python datetime.
uniffi::custom_type!(Timestamp, SystemTime, {
    remote,
    lower: |time| {
        let millis = Duration::from_millis(time.as_millis().unsigned_abs());
        if time.as_millis() >= 0 {
            SystemTime::UNIX_EPOCH + millis
        } else {
            SystemTime::UNIX_EPOCH - millis
        }
    },
    try_lift: |time| Ok(timestamp(time)),
});

/// Converts a platform time to whole milliseconds.
pub(crate) fn timestamp(time: SystemTime) -> Timestamp {
    let millis = match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |millis| -millis),
    };
    Timestamp::from_millis(millis)
}
