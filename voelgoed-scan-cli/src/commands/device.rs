//! `device`: registers, lists, shows, enrols and revokes scanner devices.

use std::net::IpAddr;

use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};
use voelgoed_scan_core::model::{
    Device as CoreDevice, DeviceId, DeviceLabel, DeviceRegister, DeviceScope, DeviceSettings, DeviceStatus,
    DeviceType, Enrollment, Name,
};

use super::value_parsers::variant;
use crate::client::{Client, Query};
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{Report, TextStyle, styled};
use crate::qr;

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
    /// List the devices
    #[command(after_help = "Examples:\n  voelgoed-scan device list --status active")]
    List {
        /// Only devices of this status
        #[arg(long, value_parser = variant::<DeviceStatus>(DeviceStatus::STRINGS))]
        status: Option<DeviceStatus>,
    },
    /// Show a device
    #[command(after_help = "Examples:\n  voelgoed-scan device show door-1")]
    Show(DeviceArgs),
    /// Give a device a new token; the old one stops working, its session stays active
    #[command(after_help = "Examples:\n  voelgoed-scan device rotate door-1")]
    Rotate(DeviceArgs),
    /// Show a QR code that enrols one phone as this device; its old token stops working
    #[command(after_help = "\
Examples:
  voelgoed-scan device enroll phone-7
  voelgoed-scan --output json device enroll phone-7")]
    Enroll(DeviceArgs),
    /// Revoke a device permanently; its session ends
    #[command(after_help = "Examples:\n  voelgoed-scan device revoke door-1")]
    Revoke(DeviceArgs),
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
}

/// The argument that names a device.
#[derive(Debug, Args)]
pub(crate) struct DeviceArgs {
    /// Its textual device id, or its UUID
    #[arg(value_name = "DEVICE")]
    device: DeviceLabel,
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
                let registered = register_device(&client, &register.request()?).await?;
                Ok(Report::object(&registered)?.with_note(SHOWN_ONCE))
            }
            Self::List { status } => {
                let mut query = Query::new(DEVICES);
                query.add("status", status);
                Report::list(&client.all::<CoreDevice>(&query.path()).await?)
            }
            Self::Show(device) => Report::object(&device.find(&client).await?),
            Self::Rotate(device) => {
                let id = device.find(&client).await?.id;
                let token: NewToken = client.post_empty(&format!("{DEVICES}/{id}/token")).await?;
                Ok(Report::object(&token)?.with_note(SHOWN_ONCE))
            }
            Self::Enroll(device) => device.enroll(&client).await,
            Self::Revoke(device) => {
                let id = device.find(&client).await?.id;
                client.delete(&format!("{DEVICES}/{id}")).await?;
                Report::object(&client.get::<CoreDevice>(&format!("{DEVICES}/{id}")).await?)
            }
        }
    }
}

impl Register {
    fn request(self) -> Result<DeviceRegister, Failure> {
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
            scope: DeviceScope::default(),
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

impl DeviceArgs {
    /// Begins an enrolment. Shows its code as a QR code for the phone's camera and as text.
    async fn enroll(&self, client: &Client) -> Result<Report, Failure> {
        let device = self.find(client).await?;
        let enrollment: Enrollment = client
            .post_empty(&format!("{DEVICES}/{}/enrollment", device.id))
            .await?;
        let text = format!(
            "{}\n{} makes a phone {} at {}\n{}",
            qr::render_terminal(&enrollment.uri.reveal())?,
            enrollment.code.reveal(),
            device.name,
            enrollment.uri.server,
            styled(TextStyle::Dim, &format!("once, until {}", enrollment.expires_at)),
        );
        let report = Report::one(&enrollment, text)?;
        Ok(match address_warning(&enrollment.uri.server) {
            Some(warning) => report.with_note(warning),
            None => report,
        })
    }

    /// The device with this UUID, or else with this textual id.
    async fn find(&self, client: &Client) -> Result<CoreDevice, Failure> {
        if let Ok(id) = self.device.as_str().parse::<DeviceId>()
            && let Some(device) = client.find(&format!("{DEVICES}/{id}")).await?
        {
            return Ok(device);
        }
        let mut query = Query::new(DEVICES);
        query.add("device_id", Some(&self.device));
        // Revoked devices keep their textual ids. The one that is not revoked comes first, or else the newest one.
        client
            .all::<CoreDevice>(&query.path())
            .await?
            .into_iter()
            .max_by_key(|device| (device.status == DeviceStatus::Active, device.inserted_at))
            .ok_or_else(|| Failure::NotFound {
                kind: "device",
                name: self.device.to_string(),
                hint: "`voelgoed-scan device list` shows them all",
            })
    }
}

/// A warning where a phone may not be able to use the server's address.
fn address_warning(server: &str) -> Option<&'static str> {
    let url: hyper::Uri = server.parse().ok()?;
    let host = url.host()?.trim_matches(['[', ']']);
    let loopback = host
        .parse::<IpAddr>()
        .map_or(host == "localhost", |ip| ip.is_loopback());
    if loopback {
        Some(
            "the code contains an address that only this machine can reach: start the server with --public-url",
        )
    } else if url.scheme_str() == Some("http") {
        Some(
            "the code contains an address without TLS, which apps refuse: start the server with --public-url https://...",
        )
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loopback_address_and_one_without_tls_give_a_warning() {
        for server in [
            "http://127.0.0.1:8080",
            "https://localhost",
            "http://[::1]:80",
            "http://scan.example.org",
        ] {
            assert!(address_warning(server).is_some(), "{server}");
        }
        for server in ["https://scan.example.org", "https://10.0.0.7:8443/gate"] {
            assert_eq!(address_warning(server), None, "{server}");
        }
    }
}
