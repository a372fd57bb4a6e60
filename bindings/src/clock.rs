//! What time is it? The one place of the bindings that reads the device's clock; no app passes it in.

use std::time::SystemTime;

use crate::Timestamp;

/// The device's clock, now.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one file that reads the clock"
)]
pub(crate) fn now() -> Timestamp {
    crate::value::timestamp(SystemTime::now())
}
