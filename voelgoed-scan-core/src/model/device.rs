//! Scanner devices, as operators register them.

use serde::{Deserialize, Serialize};

use crate::model::text::string_enum;
use crate::model::{DeviceId, DeviceScope, Name, OrganizationId, Timestamp};

string_enum! {
    /// The kind of device.
    pub enum DeviceType {
        /// A dedicated scanner.
        Scanner = "scanner",
        /// A phone with the app.
        Mobile = "mobile",
    }

    /// The status of a device.
    pub enum DeviceStatus {
        /// It may call the API.
        Active = "active",
        /// It may not call the API.
        Inactive = "inactive",
    }
}

/// The error of a text that is not a textual device id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a device id: 1 to 64 characters of A-Z, a-z, 0-9, dot, underscore, hyphen")]
pub struct InvalidLabel;

/// The textual `device_id` that an operator assigns. It is unique in the organization.
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

/// The settings of a device. Unknown fields are stored unchanged.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeviceSettings {
    /// Whether it may override denials (`override`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub can_override: bool,
    /// Whether it may search tickets by holder or order.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub can_search: bool,
    /// Other fields of the operator.
    #[serde(flatten)]
    pub other: serde_json::Map<String, serde_json::Value>,
}

impl DeviceSettings {
    /// Whether a rehearsal made the device, so that nothing that it does needs anybody's attention.
    #[must_use]
    pub fn is_rehearsal(&self) -> bool {
        self.other.get("rehearsal") == Some(&serde_json::Value::Bool(true))
    }
}

/// The app that runs on a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct App {
    /// Its name.
    pub name: Name,
    /// Its version.
    pub version: Name,
    /// Its platform, such as `android` or `ios`.
    pub platform: Name,
}

/// A registered scanner device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Device {
    /// The device.
    pub id: DeviceId,
    /// Its organization.
    pub organization_id: OrganizationId,
    /// The textual id that the operator assigned.
    pub device_id: DeviceLabel,
    /// Its display name.
    pub name: Name,
    /// The kind of device.
    pub device_type: DeviceType,
    /// Its status.
    pub status: DeviceStatus,
    /// When it last called, up to 30 s late.
    pub last_seen_at: Option<Timestamp>,
    /// Its settings.
    pub settings: DeviceSettings,
    /// The events and gates that it may work at.
    #[serde(default)]
    pub scope: DeviceScope,
    /// The app that runs on it.
    pub app: Option<App>,
    /// The charge of its battery, from 0 to 1.
    pub battery: Option<f64>,
    /// The number of scans that it has not uploaded.
    pub waiting: Option<u32>,
    /// When it was registered.
    pub inserted_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// The request of `POST /api/v1/scanning/devices`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeviceRegister {
    /// The textual id that the operator assigned.
    pub device_id: DeviceLabel,
    /// Its display name.
    pub name: Name,
    /// The kind of device.
    #[serde(default = "scanner")]
    pub device_type: DeviceType,
    /// Its settings.
    #[serde(default)]
    pub settings: DeviceSettings,
    /// The events and gates that it may work at.
    #[serde(default)]
    pub scope: DeviceScope,
}

const fn scanner() -> DeviceType {
    DeviceType::Scanner
}

/// The request of `PATCH /api/v1/scanning/devices/{id}`. Absent fields stay unchanged.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DevicePatch {
    /// Its display name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// Its status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<DeviceStatus>,
    /// The settings, which replace all present ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<DeviceSettings>,
    /// The scope, which replaces the present one as a whole: an absent list in it is null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<DeviceScope>,
}

/// The request of `PUT /api/v1/scanning/device`: the health of the device.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeviceHealth {
    /// The app that runs on it.
    #[serde(default)]
    pub app: Option<App>,
    /// The charge of its battery, from 0 to 1.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(range(min = 0.0, max = 1.0)))]
    pub battery: Option<f64>,
    /// The number of scans that it has not uploaded.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 2_000_000_000)))]
    pub waiting: Option<u32>,
}
