//! Gates: the entrances of an event.

use serde::{Deserialize, Serialize};

use crate::model::text::string_enum;
use crate::model::{ClassName, EventId, GateCode, GateId, Name, OrganizationId, Timestamp};

string_enum! {
    /// Whether a gate admits people.
    pub enum GateStatus {
        /// It admits people.
        Open = "open",
        /// It admits nobody.
        Closed = "closed",
    }
}

/// An entrance of an event. Its key is its event and its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Gate {
    /// The gate. The same id may serve several events; each has a gate of its own with it.
    pub id: GateId,
    /// Its organization.
    pub organization_id: OrganizationId,
    /// Its event.
    pub event_id: EventId,
    /// Its display name.
    pub name: Name,
    /// A short code for plans and signs, unique in the event.
    pub code: Option<GateCode>,
    /// Whether it admits people.
    pub status: GateStatus,
    /// The maximum number of people inside who entered here. Null is no limit; 0 admits nobody.
    pub capacity: Option<u32>,
    /// The ticket classes that it admits; null for all.
    pub ticket_classes: Option<Vec<ClassName>>,
    /// When it was created.
    pub inserted_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// The request of `PUT /api/v1/events/{id}/gates/{gate_id}`: the whole gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GatePut {
    /// Its display name.
    pub name: Name,
    /// A short code for plans and signs, unique in the event.
    #[serde(default)]
    pub code: Option<GateCode>,
    /// Whether it admits people.
    pub status: GateStatus,
    /// The maximum number of people inside who entered here. Null is no limit; 0 admits nobody.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 2_000_000_000)))]
    pub capacity: Option<u32>,
    /// The ticket classes that it admits; null for all.
    #[serde(default)]
    pub ticket_classes: Option<Vec<ClassName>>,
}

impl GatePut {
    /// The new gate that the request makes.
    #[must_use]
    pub fn gate(&self, organization: OrganizationId, event: EventId, id: GateId, now: Timestamp) -> Gate {
        Gate {
            id,
            organization_id: organization,
            event_id: event,
            name: self.name.clone(),
            code: self.code.clone(),
            status: self.status,
            capacity: self.capacity,
            ticket_classes: self.ticket_classes.clone(),
            inserted_at: now,
            updated_at: now,
        }
    }
}
