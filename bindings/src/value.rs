//! How do ids, codes and times cross? As text and as the language's own time; what is not one is an error.

use std::time::{Duration, SystemTime};

pub use voelgoed_scan_core::{
    DeviceId, EventId, GateId, KeyId, OrganizationId, ScanId, SessionId, TicketCode, TicketId, Timestamp,
};

/// A text that does not say what it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, uniffi::Error)]
pub enum InvalidText {
    /// Not an id, code or name of the kind that was asked for.
    #[error("{kind} {reason}")]
    Invalid {
        /// What was asked for.
        kind: String,
        /// Why it is not one.
        reason: String,
    },
}

impl InvalidText {
    pub(crate) fn new(kind: &str, reason: impl ToString) -> Self {
        Self::Invalid {
            kind: kind.to_owned(),
            reason: reason.to_string(),
        }
    }
}

macro_rules! texts {
    ($($type:ident = $kind:literal;)+) => {$(
        uniffi::custom_type!($type, String, {
            remote,
            lower: |value| value.to_string(),
            try_lift: |text| text.parse().map_err(|error| InvalidText::new($kind, error).into()),
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
    KeyId = "key id";
}

// To the millisecond, as everywhere: java.time.Instant, Date, datetime.
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
    try_lift: |time| {
        let millis = match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |millis| -millis),
        };
        Ok(Timestamp::from_millis(millis))
    },
});
