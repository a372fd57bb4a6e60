//! Reads the device's clock. No other file of the bindings does, and apps do not pass the time.

use std::time::SystemTime;

use crate::Timestamp;

/// Returns the current time of the device's clock.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one file that reads the clock"
)]
pub(crate) fn now() -> Timestamp {
    crate::custom_types::timestamp(SystemTime::now())
}
