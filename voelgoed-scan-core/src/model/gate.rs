//! Where do people come in? A gate: one entrance of one event.

use serde::{Deserialize, Serialize};

use crate::model::text::string_enum;
use crate::model::{ClassName, EventId, GateCode, GateId, Name, OrganizationId, Timestamp};

string_enum! {
    /// Whether a gate lets people in.
    pub enum GateStatus {
        /// It does.
        Open = "open",
        /// It does not.
        Closed = "closed",
    }
}

/// An entrance of an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Gate {
    /// The gate.
    pub id: GateId,
    /// Its organization.
    pub organization_id: OrganizationId,
    /// Its event.
    pub event_id: EventId,
    /// What it is called.
    pub name: Name,
    /// A short code for plans and signs.
    pub code: Option<GateCode>,
    /// Whether it lets people in.
    pub status: GateStatus,
    /// How many people that came in here may be inside; null is no limit, 0 is nobody.
    pub capacity: Option<u32>,
    /// The ticket classes let in here; null for all.
    pub ticket_classes: Option<Vec<ClassName>>,
    /// When it was first put here.
    pub inserted_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// What `PUT /api/v1/events/{id}/gates/{gate_id}` takes: the whole gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GatePut {
    /// What it is called.
    pub name: Name,
    /// A short code for plans and signs.
    #[serde(default)]
    pub code: Option<GateCode>,
    /// Whether it lets people in.
    pub status: GateStatus,
    /// How many people that came in here may be inside; null is no limit, 0 is nobody.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 2_000_000_000)))]
    pub capacity: Option<u32>,
    /// The ticket classes let in here; null for all.
    #[serde(default)]
    pub ticket_classes: Option<Vec<ClassName>>,
}
