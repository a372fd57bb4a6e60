//! Finds signals: pure functions from records and states to signals that open and end.
//!
//! | file | finds | from |
//! |---|---|---|
//! | `device_window` | `high_velocity`, `device_errors`, `late_batch` | the last scans of a device |
//! | `presentations` | `duplicate_spam`, `impossible_travel` | the scans of a ticket |
//! | `states` | `device_silent`, `occupancy_90`, `occupancy_100`, `sync_waiting`, and every end | what holds now |
//!
//! Invariants: the times of scans decide, whenever they arrive. What is found from scans needs a new scan, so a signal that
//! ended opens again only by one.

mod device_window;
mod presentations;
mod states;

pub use device_window::{DeviceScan, DeviceWindow, LateUpload, WindowFindings};
pub use presentations::{Presentation, ticket_signals};
pub use states::{OrganizationState, Place, StateChanges, WaitingDevice, WorkingDevice};

use crate::model::{SignalDetails, SignalId, SignalKind, Timestamp};

/// What a new signal gets from its caller: the rules read neither a clock nor random numbers.
pub struct Opening<'a> {
    /// The present time.
    pub now: Timestamp,
    /// Makes the id of a signal.
    pub next_id: &'a mut dyn FnMut() -> SignalId,
}

impl Opening<'_> {
    /// A signal without a subject.
    fn signal(&mut self, kind: SignalKind, details: SignalDetails) -> crate::model::Signal {
        crate::model::Signal {
            id: (self.next_id)(),
            kind,
            event_id: None,
            gate_id: None,
            device_id: None,
            ticket_id: None,
            opened_at: self.now,
            closed_at: None,
            details,
        }
    }
}

/// A number of seconds in milliseconds.
fn millis(seconds: u32) -> i64 {
    i64::from(seconds) * 1000
}

/// A number of things for the details of a signal.
fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
