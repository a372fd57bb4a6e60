//! The self-test of a phone before the doors open.

pub use voelgoed_scan_core::client::{SelfTestCheck, SelfTestSubject};

/// What a check tests.
#[uniffi::remote(Enum)]
pub enum SelfTestSubject {
    /// The credentials in the app's secret store.
    Key,
    /// The phone's database.
    Store,
    /// The phone's clock.
    Clock,
    /// The way to the server, and whether it accepts this device.
    Network,
    /// The manifest of the session's event.
    Manifest,
}

/// The result of one check.
#[uniffi::remote(Record)]
pub struct SelfTestCheck {
    /// What was tested.
    pub subject: SelfTestSubject,
    /// The code of what is wrong, such as `offline` or `stale_manifest`. Absent if nothing is.
    pub problem: Option<String>,
    /// What to do. Empty if nothing is wrong.
    pub advice: String,
}
