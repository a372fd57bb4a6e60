//! `device`: who scans.

use std::net::IpAddr;

use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};
use voelgoed_scan_core::model::{
    Device as CoreDevice, DeviceId, DeviceLabel, DeviceRegister, DeviceSettings, DeviceStatus, DeviceType,
    Enrollment, Name,
};

use super::typed::word;
use crate::client::{Client, Query};
use crate::desk::Desk;
use crate::failure::Failure;
use crate::output::{Report, Tone, paint};
use crate::qr;

const DEVICES: &str = "/api/v1/scanning/devices";

const SHOWN_ONCE: &str =
    "the token is shown this once; the device keeps it in VOELGOED_SCAN_TOKEN or in a --token-file";

/// Scanner devices.
#[derive(Debug, Subcommand)]
pub(crate) enum Device {
    /// Register a device; prints its token, once
    #[command(after_help = "\
Examples:
  voelgoed-scan device register door-1 --name 'Door 1' --type scanner
  voelgoed-scan device register phone-7 --name 'Steward 7' --type mobile --can-override")]
    Register(Register),
    /// List the devices
    #[command(after_help = "Examples:\n  voelgoed-scan device list --status active")]
    List {
        /// Those of this status
        #[arg(long, value_parser = word::<DeviceStatus>(DeviceStatus::STRINGS))]
        status: Option<DeviceStatus>,
    },
    /// Show a device
    #[command(after_help = "Examples:\n  voelgoed-scan device show door-1")]
    Show(Which),
    /// Give a device a new token; the old one dies, its session goes on
    #[command(after_help = "Examples:\n  voelgoed-scan device rotate door-1")]
    Rotate(Which),
    /// Show a QR code that makes a phone this device, once; the token that it had dies
    #[command(after_help = "\
Examples:
  voelgoed-scan device enroll phone-7
  voelgoed-scan --output json device enroll phone-7")]
    Enroll(Which),
    /// Revoke a device for good; its session ends
    #[command(after_help = "Examples:\n  voelgoed-scan device revoke door-1")]
    Revoke(Which),
}

/// What `device register` takes.
#[derive(Debug, Args)]
pub(crate) struct Register {
    /// The operator's name for it, unique in the organization: A-Z a-z 0-9 . _ -
    device_id: DeviceLabel,
    /// What people call it; `DEVICE_ID` where it is not given
    #[arg(long)]
    name: Option<Name>,
    /// What kind of device it is
    #[arg(long = "type", default_value = "scanner", value_parser = word::<DeviceType>(DeviceType::STRINGS))]
    device_type: DeviceType,
    /// It may force entries by override
    #[arg(long)]
    can_override: bool,
    /// It may search tickets by holder or order
    #[arg(long)]
    can_search: bool,
}

/// A device by either of its names.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// Its textual device id, or its UUID
    #[arg(value_name = "DEVICE")]
    device: DeviceLabel,
}

/// A device with the token that is shown once.
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
    pub(super) async fn run(self, desk: &Desk) -> Result<Report, Failure> {
        let client = desk.client()?;
        match self {
            Self::Register(register) => Ok(Report::card(&register.run(&client).await?)?.noted(SHOWN_ONCE)),
            Self::List { status } => {
                let mut query = Query::new(DEVICES);
                query.add("status", status);
                Report::list(&client.all::<CoreDevice>(&query.path()).await?)
            }
            Self::Show(which) => Report::card(&which.find(&client).await?),
            Self::Rotate(which) => {
                let id = which.find(&client).await?.id;
                let token: NewToken = client.ask(&format!("{DEVICES}/{id}/token")).await?;
                Ok(Report::card(&token)?.noted(SHOWN_ONCE))
            }
            Self::Enroll(which) => which.enroll(&client).await,
            Self::Revoke(which) => {
                let id = which.find(&client).await?.id;
                client.delete(&format!("{DEVICES}/{id}")).await?;
                Report::card(&client.get::<CoreDevice>(&format!("{DEVICES}/{id}")).await?)
            }
        }
    }
}

impl Register {
    async fn run(self, client: &Client) -> Result<Registered, Failure> {
        let name = match self.name {
            Some(name) => name,
            None => {
                Name::new(self.device_id.as_str()).map_err(|error| Failure::unfit("the device id", error))?
            }
        };
        let settings = DeviceSettings {
            can_override: self.can_override,
            can_search: self.can_search,
            ..DeviceSettings::default()
        };
        let device = DeviceRegister {
            device_id: self.device_id,
            name,
            device_type: self.device_type,
            settings,
        };
        client.post(DEVICES, &device).await
    }
}

impl Which {
    /// A code for a phone: to be read by its camera, or typed.
    async fn enroll(&self, client: &Client) -> Result<Report, Failure> {
        let device = self.find(client).await?;
        let begun: Enrollment = client.ask(&format!("{DEVICES}/{}/enrollment", device.id)).await?;
        let text = format!(
            "{}\n{} makes a phone {} at {}\n{}",
            qr::on_terminal(&begun.uri.reveal())?,
            begun.code.reveal(),
            device.name,
            begun.uri.server,
            paint(Tone::Faint, &format!("once, until {}", begun.expires_at)),
        );
        let report = Report::one(&begun, text)?;
        Ok(match doubt(&begun.uri.server) {
            Some(doubt) => report.noted(doubt),
            None => report,
        })
    }

    /// The device of that UUID, or else of that textual id.
    async fn find(&self, client: &Client) -> Result<CoreDevice, Failure> {
        if let Ok(id) = self.device.as_str().parse::<DeviceId>()
            && let Some(device) = client.find(&format!("{DEVICES}/{id}")).await?
        {
            return Ok(device);
        }
        let mut query = Query::new(DEVICES);
        query.add("device_id", Some(&self.device));
        client
            .all(&query.path())
            .await?
            .pop()
            .ok_or_else(|| Failure::Unknown {
                kind: "device",
                name: self.device.to_string(),
                hint: "`voelgoed-scan device list` shows them all",
            })
    }
}

/// Why a phone may not get to a server by this address.
fn doubt(server: &str) -> Option<&'static str> {
    let url: hyper::Uri = server.parse().ok()?;
    let host = url.host()?.trim_matches(['[', ']']);
    let loopback = host
        .parse::<IpAddr>()
        .map_or(host == "localhost", |ip| ip.is_loopback());
    if loopback {
        Some("the code names an address that only this machine reaches: start the server with --public-url")
    } else if url.scheme_str() == Some("http") {
        Some(
            "the code names a server without TLS, which apps refuse: start the server with --public-url https://...",
        )
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_no_phone_reaches_or_trusts_is_doubted() {
        for server in [
            "http://127.0.0.1:8080",
            "https://localhost",
            "http://[::1]:80",
            "http://scan.example.org",
        ] {
            assert!(doubt(server).is_some(), "{server}");
        }
        for server in ["https://scan.example.org", "https://10.0.0.7:8443/gate"] {
            assert_eq!(doubt(server), None, "{server}");
        }
    }
}
