//! What the metrics show of the gates and devices of all organizations.

use crate::model::{EventId, GateId, Headcount, OrganizationId};

/// A live event with the people inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveEvent {
    /// The organization.
    pub organization_id: OrganizationId,
    /// The event.
    pub event_id: EventId,
    /// The capacity of the event. Null is no limit.
    pub capacity: Option<u32>,
    /// The people inside who entered through each gate, with the gate's capacity, in the order of the gates' names.
    pub gates: Vec<(GateId, Headcount)>,
}

/// The number of active devices of all organizations by when they were last heard of, and what they have not uploaded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeviceCounts {
    /// Within 60 s.
    pub online: i64,
    /// Within 300 s.
    pub idle: i64,
    /// Before that.
    pub silent: i64,
    /// Never.
    pub never: i64,
    /// The scans that devices heard of within a day said that they have not uploaded.
    pub unsent_scans: i64,
}
