//! `device revoke`: revokes a device for good.

use clap::Args;
use voelgoed_scan_core::model::Device;

use super::{DEVICES, DeviceArgs};
use crate::client::Client;
use crate::commands::confirm::Confirmation;
use crate::failure::Failure;
use crate::output::Report;

/// The arguments of `device revoke`.
#[derive(Debug, Args)]
#[command(after_help = "\
Asks first. Where there is no terminal to ask at, --yes is needed.

Examples:
  voelgoed-scan device revoke door-1
  voelgoed-scan device revoke door-1 --yes")]
pub(crate) struct Revoke {
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    confirmation: Confirmation,
}

impl Revoke {
    pub(super) async fn run(self, client: &Client) -> Result<Report, Failure> {
        let device = self.device.device.find(client).await?;
        self.confirmation.ask(&format!(
            "Revoke {} ({}) for good? Its session ends, and its token never works again.",
            device.name, device.device_id
        ))?;
        let path = format!("{DEVICES}/{}", device.id);
        client.delete(&path).await?;
        Report::object(&client.get::<Device>(&path).await?)
    }
}
