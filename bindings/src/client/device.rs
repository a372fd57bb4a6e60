//! The device that the phone is enrolled as: what it is, where it may work and what it may do.

use voelgoed_scan_core::model::DeviceSettings as CoreDeviceSettings;

use crate::{DeviceId, EventId, GateId, OrganizationId};

/// The device that the phone is enrolled as.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct EnrolledDevice {
    /// The device's id, which other objects refer to.
    pub id: DeviceId,
    /// The organization.
    pub organization_id: OrganizationId,
    /// The operator's own identifier of the device.
    pub device_id: String,
    /// The display name.
    pub name: String,
}

/// The events and gates that the device may work at.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct DeviceScope {
    /// The events. Absent is any; an empty list is none.
    pub event_ids: Option<Vec<EventId>>,
    /// The gates. Absent is any; an empty list is none.
    pub gate_ids: Option<Vec<GateId>>,
}

/// What the operator allows the device to do.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct DeviceSettings {
    /// Whether it may override denials.
    pub can_override: bool,
    /// Whether it may search guests.
    pub can_search: bool,
    /// The operator's other fields: a JSON object. It may be for this app.
    pub other: String,
}

impl From<CoreDeviceSettings> for DeviceSettings {
    fn from(settings: CoreDeviceSettings) -> Self {
        let CoreDeviceSettings {
            can_override,
            can_search,
            other,
        } = settings;
        Self {
            can_override,
            can_search,
            other: serde_json::Value::Object(other).to_string(),
        }
    }
}
