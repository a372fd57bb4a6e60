//! `device`: registers, lists, shows, enrols and revokes scanner devices.

mod enroll;
mod list;
mod revoke;

use clap::{ArgGroup, Args, Subcommand};
use serde::{Deserialize, Serialize};
use voelgoed_scan_core::model::{
    Device as CoreDevice, DeviceLabel, DevicePatch, DeviceRegister, DeviceScope, DeviceSettings,
    DeviceStatus, DeviceType, Name,
};

use super::value_parsers::variant;
use crate::client::Client;
use crate::context::Context;
use crate::failure::Failure;
use crate::names::{self, NamedDevice, NamedEvent, NamedGate};
use crate::output::Report;

const DEVICES: &str = "/api/v1/scanning/devices";

const SHOWN_ONCE: &str =
    "the token is shown only this once; the device keeps it in VOELGOED_SCAN_TOKEN or in a --token-file";

/// The subcommands of `device`.
#[derive(Debug, Subcommand)]
pub(crate) enum Device {
    /// Register a device; its token is printed once
    #[command(after_help = "\
Examples:
  voelgoed-scan device register door-1 --name 'Door 1' --type scanner
  voelgoed-scan device register phone-7 --name 'Steward 7' --type mobile --can-override")]
    Register(Register),
    /// List the devices with their state: heard of within 60 s (online), within 300 s (idle), silent, or never
    #[command(after_help = "\
Examples:
  voelgoed-scan device list --status active
  voelgoed-scan --output json device list | jq -r 'select(.state == \"silent\") | .name'")]
    List {
        /// Only devices of this status
        #[arg(long, value_parser = variant::<DeviceStatus>(DeviceStatus::STRINGS))]
        status: Option<DeviceStatus>,
        /// Also the devices of rehearsals
        #[arg(long)]
        all: bool,
    },
    /// Show a device
    #[command(after_help = "Examples:\n  voelgoed-scan device show door-1")]
    Show(DeviceArgs),
    /// Change what a device may do; what is not named stays
    #[command(after_help = "\
Examples:
  voelgoed-scan device set phone-7 --can-override true
  voelgoed-scan device set phone-7 --scope-event 'Summer Night' --scope-gate Main
  voelgoed-scan device set phone-7 --scope-any
  voelgoed-scan device set phone-7 --inactive")]
    Set(Set),
    /// Give a device a new token; the old one stops working, its session stays active
    #[command(after_help = "Examples:\n  voelgoed-scan device rotate door-1")]
    Rotate(DeviceArgs),
    /// Show a QR code that enrols one phone as this device, and wait until it has; the device's old token stops working
    Enroll(enroll::Enroll),
    /// Revoke a device permanently; its session ends
    Revoke(revoke::Revoke),
}

/// The arguments of `device register`.
#[derive(Debug, Args)]
pub(crate) struct Register {
    /// Its textual id, unique in the organization: A-Z a-z 0-9 . _ -
    device_id: DeviceLabel,
    /// Its display name [default: `DEVICE_ID`]
    #[arg(long)]
    name: Option<Name>,
    /// Its type
    #[arg(long = "type", default_value = "scanner", value_parser = variant::<DeviceType>(DeviceType::STRINGS))]
    device_type: DeviceType,
    /// Let it force entries by override
    #[arg(long)]
    can_override: bool,
    /// Let it search tickets by holder or order
    #[arg(long)]
    can_search: bool,
    #[command(flatten)]
    scope: ScopeArgs,
}

/// The events and gates that a device may work at.
#[derive(Debug, Args)]
pub(crate) struct ScopeArgs {
    /// An event that it may work at; repeatable, or with commas
    #[arg(long, value_name = "EVENT", value_delimiter = ',')]
    scope_event: Vec<NamedEvent>,
    /// A gate that it may work at; repeatable, or with commas
    #[arg(long, value_name = "GATE", value_delimiter = ',')]
    scope_gate: Vec<NamedGate>,
}

impl ScopeArgs {
    /// The scope; `None` where no event and no gate is named.
    async fn scope(&self, client: &Client) -> Result<Option<DeviceScope>, Failure> {
        let events = names::event_ids(client, &self.scope_event).await?;
        // Gates are looked up among those of the events that are named with them.
        let only = match events.as_slice() {
            [event] => Some(*event),
            _ => None,
        };
        let mut gates = Vec::with_capacity(self.scope_gate.len());
        for gate in &self.scope_gate {
            gates.push(gate.id(client, only).await?);
        }
        let scope = DeviceScope {
            event_ids: Some(events).filter(|ids| !ids.is_empty()),
            gate_ids: Some(gates).filter(|ids| !ids.is_empty()),
        };
        Ok(Some(scope).filter(|scope| !scope.is_any()))
    }
}

/// The arguments of `device set`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("change").multiple(true).required(true).args([
    "name", "can_override", "can_search", "scope_event", "scope_gate", "scope_any", "scope_none", "inactive", "active",
]))]
pub(crate) struct Set {
    #[command(flatten)]
    device: DeviceArgs,
    /// Its display name
    #[arg(long)]
    name: Option<Name>,
    /// Whether it may force entries by override
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    can_override: Option<bool>,
    /// Whether it may search tickets by holder or order
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    can_search: Option<bool>,
    /// The events and gates replace the whole scope; a kind that is not named is any
    #[command(flatten)]
    scope: ScopeArgs,
    /// Let it work at every event and gate
    #[arg(long, conflicts_with_all = ["scope_event", "scope_gate", "scope_none"])]
    scope_any: bool,
    /// Let it work nowhere
    #[arg(long, conflicts_with_all = ["scope_event", "scope_gate"])]
    scope_none: bool,
    /// Switch it off
    #[arg(long, conflicts_with = "active")]
    inactive: bool,
    /// Switch it on again
    #[arg(long)]
    active: bool,
}

impl Set {
    /// The request. `present` are the settings that the device has, because a request replaces them all.
    fn patch(self, present: &DeviceSettings, scope: Option<DeviceScope>) -> DevicePatch {
        let changes_settings = self.can_override.is_some() || self.can_search.is_some();
        let settings = changes_settings.then(|| DeviceSettings {
            can_override: self.can_override.unwrap_or(present.can_override),
            can_search: self.can_search.unwrap_or(present.can_search),
            other: present.other.clone(),
        });
        let scope = if self.scope_any {
            Some(DeviceScope::default())
        } else if self.scope_none {
            Some(DeviceScope {
                event_ids: Some(Vec::new()),
                gate_ids: Some(Vec::new()),
            })
        } else {
            scope
        };
        let status = match (self.inactive, self.active) {
            (true, _) => Some(DeviceStatus::Inactive),
            (false, true) => Some(DeviceStatus::Active),
            (false, false) => None,
        };
        DevicePatch {
            name: self.name,
            status,
            settings,
            scope,
        }
    }
}

/// The argument that names a device.
#[derive(Debug, Args)]
pub(crate) struct DeviceArgs {
    /// The device: its name, its textual id, or its UUID or the start or end of it
    #[arg(value_name = "DEVICE")]
    device: NamedDevice,
}

/// A device with its token, which the server returns only once.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Registered {
    /// The device.
    #[serde(flatten)]
    pub(super) device: CoreDevice,
    /// Its token.
    pub(super) token: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct NewToken {
    token: String,
}

impl Device {
    pub(super) async fn run(self, context: &Context) -> Result<Report, Failure> {
        let client = context.client()?;
        match self {
            Self::Register(register) => {
                let registered = register_device(&client, &register.request(&client).await?).await?;
                Ok(Report::object(&registered)?.with_note(SHOWN_ONCE))
            }
            Self::List { status, all } => list::run(&client, status, all, context.view).await,
            Self::Show(device) => Report::object(&device.device.find(&client).await?),
            Self::Set(set) => {
                let device = set.device.device.find(&client).await?;
                let scope = set.scope.scope(&client).await?;
                let patch = set.patch(&device.settings, scope);
                let changed: CoreDevice = client.patch(&format!("{DEVICES}/{}", device.id), &patch).await?;
                Report::object(&changed)
            }
            Self::Rotate(device) => {
                let id = device.device.find(&client).await?.id;
                let token: NewToken = client.post_empty(&format!("{DEVICES}/{id}/token")).await?;
                Ok(Report::object(&token)?.with_note(SHOWN_ONCE))
            }
            Self::Enroll(enroll) => enroll.run(client).await,
            Self::Revoke(revoke) => revoke.run(&client).await,
        }
    }
}

impl Register {
    async fn request(self, client: &Client) -> Result<DeviceRegister, Failure> {
        let scope = self.scope.scope(client).await?.unwrap_or_default();
        let name = match self.name {
            Some(name) => name,
            None => Name::new(self.device_id.as_str())
                .map_err(|error| Failure::invalid("the device id", error))?,
        };
        let settings = DeviceSettings {
            can_override: self.can_override,
            can_search: self.can_search,
            ..DeviceSettings::default()
        };
        Ok(DeviceRegister {
            device_id: self.device_id,
            name,
            device_type: self.device_type,
            settings,
            scope,
        })
    }
}

/// Registers a device.
pub(super) async fn register_device(client: &Client, device: &DeviceRegister) -> Result<Registered, Failure> {
    client.post(DEVICES, device).await
}

/// The request that registers a scanner with these names and no special permissions.
pub(super) fn scanner(label: &str, name: &str) -> Result<DeviceRegister, Failure> {
    Ok(DeviceRegister {
        device_id: label
            .parse::<DeviceLabel>()
            .map_err(|error| Failure::invalid(label, error))?,
        name: Name::new(name).map_err(|error| Failure::invalid(name, error))?,
        device_type: DeviceType::Scanner,
        settings: DeviceSettings::default(),
        scope: DeviceScope::default(),
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct SetCommand {
        #[command(flatten)]
        set: Set,
    }

    #[tokio::test]
    async fn a_change_names_only_what_its_flags_name_and_keeps_the_other_settings() {
        let present: DeviceSettings =
            serde_json::from_str(r#"{"can_search":true,"colour":"red"}"#).expect("settings");
        let (event, gate) = (
            "0192f0c1-7a4e-7000-8000-000000000001",
            "0192f0c1-7a4e-7000-8000-000000000002",
        );
        for (flags, expected) in [
            (vec!["--inactive"], serde_json::json!({ "status": "inactive" })),
            (vec!["--active"], serde_json::json!({ "status": "active" })),
            (
                vec!["--can-override"],
                serde_json::json!({ "settings": { "can_override": true, "can_search": true, "colour": "red" } }),
            ),
            (
                vec!["--can-search", "false"],
                serde_json::json!({ "settings": { "colour": "red" } }),
            ),
            (
                vec!["--scope-event", event],
                serde_json::json!({ "scope": { "event_ids": [event], "gate_ids": null } }),
            ),
            (
                vec!["--scope-gate", gate, "--scope-event", event],
                serde_json::json!({ "scope": { "event_ids": [event], "gate_ids": [gate] } }),
            ),
            (
                vec!["--scope-any"],
                serde_json::json!({ "scope": { "event_ids": null, "gate_ids": null } }),
            ),
            (
                vec!["--scope-none", "--name", "Spare"],
                serde_json::json!({ "name": "Spare", "scope": { "event_ids": [], "gate_ids": [] } }),
            ),
        ] {
            let arguments = ["set", "phone-7"].into_iter().chain(flags.iter().copied());
            let command = SetCommand::try_parse_from(arguments).expect("valid flags");
            // No server is asked for whole UUIDs.
            let client = Client::new("http://127.0.0.1:9", None, None).expect("a client");
            let scope = command.set.scope.scope(&client).await.expect("whole UUIDs");
            let patch = serde_json::to_value(command.set.patch(&present, scope)).expect("JSON");
            assert_eq!(patch, expected, "{flags:?}");
        }
        for flags in [
            vec![],
            vec!["--scope-any", "--scope-event", event],
            vec!["--active", "--inactive"],
        ] {
            let arguments = ["set", "phone-7"].into_iter().chain(flags.iter().copied());
            assert!(SetCommand::try_parse_from(arguments).is_err(), "{flags:?}");
        }
    }
}
