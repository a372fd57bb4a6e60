//! `device enroll`: shows the code that pairs a phone, and waits until a phone has used it.

use std::net::IpAddr;
use std::time::Duration;

use clap::Args;
use futures_util::{StreamExt, stream};
use serde_json::Value;
use voelgoed_scan_core::model::{Device, DeviceId, Enrollment, Timestamp};

use super::{DEVICES, DeviceArgs};
use crate::client::{Client, Query};
use crate::env;
use crate::failure::Failure;
use crate::output::{Item, Report, TextStyle, styled};
use crate::qr;

/// The pause between two questions whether the phone has paired.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The arguments of `device enroll`.
#[derive(Debug, Args)]
#[command(after_help = "\
The code is shown at once. Then the command waits until a phone has paired by it, and exits 0; it exits 1 when the code expired \
before. With --output json the code is the first line, and the paired device the second.

Examples:
  voelgoed-scan device enroll phone-7
  voelgoed-scan device enroll phone-7 --no-wait
  voelgoed-scan --output json device enroll phone-7 | jq -r 'select(.code) | .code'")]
pub(crate) struct Enroll {
    #[command(flatten)]
    device: DeviceArgs,
    /// Show the code and end, without waiting for the phone
    #[arg(long)]
    no_wait: bool,
}

impl Enroll {
    pub(super) async fn run(self, client: Client) -> Result<Report, Failure> {
        let device = self.device.device.find(&client).await?;
        let began = client.server_time().await?;
        let enrollment: Enrollment = client
            .post_empty(&format!("{DEVICES}/{}/enrollment", device.id))
            .await?;
        let mut code = Item::new(&enrollment, text(&device, &enrollment)?)?;
        code.note = address_warning(&enrollment.uri.server).map(str::to_owned);
        if self.no_wait {
            return Ok(Report::One(code));
        }
        let paired = wait(client, device.id, began, enrollment.expires_at);
        let items = stream::once(std::future::ready(Ok(code))).chain(stream::once(paired));
        Ok(Report::Stream(Box::pin(items)))
    }
}

/// The code as a QR code for the phone's camera, and as text.
fn text(device: &Device, enrollment: &Enrollment) -> Result<String, Failure> {
    Ok(format!(
        "{}\n{} makes a phone {} at {}\n{}",
        qr::render_terminal(&enrollment.uri.reveal())?,
        enrollment.code.reveal(),
        device.name,
        enrollment.uri.server,
        styled(TextStyle::Dim, &format!("once, until {}", enrollment.expires_at)),
    ))
}

/// Waits until a phone has paired as the device. Fails when the code has expired.
async fn wait(
    client: Client,
    device: DeviceId,
    began: Timestamp,
    expires_at: Timestamp,
) -> Result<Item, Failure> {
    let lifetime = u64::try_from(expires_at.millis_since(began)).unwrap_or(0);
    let deadline = env::monotonic_now() + Duration::from_millis(lifetime);
    loop {
        match has_paired(&client, device, began).await {
            Ok(true) => {
                let device: Device = client.get(&format!("{DEVICES}/{device}")).await?;
                return Item::new(&device, paired_text(&device));
            }
            Ok(false) => {}
            // The server may be back before the code expires.
            Err(failure) if failure.is_transient() => {}
            Err(failure) => return Err(failure),
        }
        if env::monotonic_now() >= deadline {
            return Err(Failure::Invalid {
                what: "the code".to_owned(),
                reason: "expired before a phone used it".to_owned(),
                hint: Some("run the command again for a new code"),
            });
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// Whether the audit log has an enrolment of the device since then. An enrolment leaves its entry in its own transaction.
async fn has_paired(client: &Client, device: DeviceId, since: Timestamp) -> Result<bool, Failure> {
    // The newest entries are read first, so one page is enough.
    let page: Value = client.get(&enrolments_path(device, since)).await?;
    let entries = page.get("data").and_then(Value::as_array);
    Ok(entries.is_some_and(|entries| !entries.is_empty()))
}

fn enrolments_path(device: DeviceId, since: Timestamp) -> String {
    let mut query = Query::new("/api/v1/audit");
    query.add("action", Some("device.enroll"));
    query.add("subject", Some(format!("device:{device}")));
    query.add("from", Some(since));
    query.add("limit", Some(1));
    query.path()
}

fn paired_text(device: &Device) -> String {
    let app = device.app.as_ref().map_or_else(String::new, |app| {
        format!(" with {} {} on {}", app.name, app.version, app.platform)
    });
    styled(TextStyle::Success, &format!("✔ {} is paired{app}", device.name))
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
