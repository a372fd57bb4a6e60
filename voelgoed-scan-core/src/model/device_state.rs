//! Whether a device is in touch with the server, by when it was heard of last.

use std::time::Duration;

use crate::model::Timestamp;
use crate::model::text::string_enum;

string_enum! {
    /// Whether a device is in touch with the server.
    pub enum DeviceState {
        /// It was heard of within 60 s.
        Online = "online",
        /// It was heard of within 300 s.
        Idle = "idle",
        /// It was not heard of for more than 300 s.
        Silent = "silent",
        /// It was never heard of.
        Never = "never",
    }
}

impl DeviceState {
    /// Up to this age of its last call a device is online.
    const ONLINE: Duration = Duration::from_mins(1);
    /// Up to this age of its last call a device is idle.
    const IDLE: Duration = Duration::from_mins(5);

    /// The state at `now` of a device that was seen last at this time. Both ends of each span are included.
    #[must_use]
    pub fn at(last_seen: Option<Timestamp>, now: Timestamp) -> Self {
        match last_seen {
            None => Self::Never,
            Some(seen) if now <= seen.plus(Self::ONLINE) => Self::Online,
            Some(seen) if now <= seen.plus(Self::IDLE) => Self::Idle,
            Some(_) => Self::Silent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_online_for_a_minute_and_idle_for_five() {
        let seen = Timestamp::from_millis(1_790_000_000_000);
        for (age_ms, state) in [
            // The clock of the node that saw it may be ahead.
            (-5_000, DeviceState::Online),
            (0, DeviceState::Online),
            (60_000, DeviceState::Online),
            (60_001, DeviceState::Idle),
            (300_000, DeviceState::Idle),
            (300_001, DeviceState::Silent),
        ] {
            let now = seen.plus_millis(age_ms);
            assert_eq!(DeviceState::at(Some(seen), now), state, "{age_ms} ms");
        }
        assert_eq!(DeviceState::at(None, seen), DeviceState::Never);
    }
}
