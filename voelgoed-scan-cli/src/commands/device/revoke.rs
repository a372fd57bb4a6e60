//! `device revoke`: revokes a device for good.

use clap::Args;
use voelgoed_scan_core::model::Device;

use super::{DEVICES, DeviceArgs};
use crate::client::Client;
use crate::confirm::confirm;
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
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

impl Revoke {
    pub(super) async fn run(self, client: &Client) -> Result<Report, Failure> {
        let device = self.device.device.find(client).await?;
        if !self.yes {
            let question = format!(
                "Revoke {} ({}) for good? Its session ends, and its token never works again.",
                device.name, device.device_id
            );
            confirm(&question)?;
        }
        let path = format!("{DEVICES}/{}", device.id);
        client.delete(&path).await?;
        Report::object(&client.get::<Device>(&path).await?)
    }
}
