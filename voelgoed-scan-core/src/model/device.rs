//! Who scans? A device that an operator registered.

use serde::{Deserialize, Serialize};

use crate::model::text::string_enum;
use crate::model::{DeviceId, Name, OrganizationId, Timestamp};

string_enum! {
    /// What kind of device it is.
    pub enum DeviceType {
        /// A dedicated scanner.
        Scanner = "scanner",
        /// A phone with the app.
        Mobile = "mobile",
    }

    /// Whether a device may call.
    pub enum DeviceStatus {
        /// It may.
        Active = "active",
        /// It may not.
        Inactive = "inactive",
    }
}

/// A text that is not an operator's name for a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a device id: 1 to 64 characters of A-Z, a-z, 0-9, dot, underscore, hyphen")]
pub struct InvalidLabel;

/// The textual `device_id` that an operator gives a device; unique in the organization.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct DeviceLabel(String);

impl DeviceLabel {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for DeviceLabel {
    type Err = InvalidLabel;

    fn from_str(text: &str) -> Result<Self, InvalidLabel> {
        let fits = (1..=64).contains(&text.len());
        if fits
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
        {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidLabel)
        }
    }
}

impl std::fmt::Display for DeviceLabel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

impl<'de> Deserialize<'de> for DeviceLabel {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::model::text::parsed(deserializer)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for DeviceLabel {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "DeviceLabel".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$" })
    }
}

/// What an operator lets a device do. Fields that are not known here are kept as they came.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeviceSettings {
    /// Whether it may force an entry (`override`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub can_override: bool,
    /// Whether it may search tickets by holder or order.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub can_search: bool,
    /// Whatever else the operator keeps with the device.
    #[serde(flatten)]
    pub other: serde_json::Map<String, serde_json::Value>,
}

/// The app that runs on a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct App {
    /// Its name.
    pub name: Name,
    /// Its version.
    pub version: Name,
    /// What it runs on, such as `android` or `ios`.
    pub platform: Name,
}

/// A registered scanner device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Device {
    /// The device, as every other object names it.
    pub id: DeviceId,
    /// Its organization.
    pub organization_id: OrganizationId,
    /// The operator's textual name for it.
    pub device_id: DeviceLabel,
    /// What it is called.
    pub name: Name,
    /// What kind of device it is.
    pub device_type: DeviceType,
    /// Whether it may call.
    pub status: DeviceStatus,
    /// When it last told how it is.
    pub last_seen_at: Option<Timestamp>,
    /// What it may do.
    pub settings: DeviceSettings,
    /// The app that runs on it.
    pub app: Option<App>,
    /// How full its battery is, from 0 to 1.
    pub battery: Option<f64>,
    /// How many scans wait on it to be handed in.
    pub waiting: Option<u32>,
    /// When it was registered.
    pub inserted_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// What `POST /api/v1/scanning/devices` takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeviceRegister {
    /// The operator's textual name for it.
    pub device_id: DeviceLabel,
    /// What it is called.
    pub name: Name,
    /// What kind of device it is.
    #[serde(default = "scanner")]
    pub device_type: DeviceType,
    /// What it may do.
    #[serde(default)]
    pub settings: DeviceSettings,
}

const fn scanner() -> DeviceType {
    DeviceType::Scanner
}

/// What `PATCH /api/v1/scanning/devices/{id}` takes; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DevicePatch {
    /// What it is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// Whether it may call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<DeviceStatus>,
    /// What it may do: replaces all settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<DeviceSettings>,
}

/// What `PUT /api/v1/scanning/device` takes: how the device is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeviceHealth {
    /// The app that runs on it.
    #[serde(default)]
    pub app: Option<App>,
    /// How full its battery is, from 0 to 1.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(range(min = 0.0, max = 1.0)))]
    pub battery: Option<f64>,
    /// How many scans wait on it to be handed in.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 2_000_000_000)))]
    pub waiting: Option<u32>,
}
