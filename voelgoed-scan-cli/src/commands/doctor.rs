//! `doctor`: is everything there that a scan needs?

use clap::Args;
use futures_util::stream;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use voelgoed_scan_core::model::Timestamp;

use crate::client::Client;
use crate::desk::Desk;
use crate::failure::{Exit, Failure};
use crate::output::{Report, Shown, Tone, paint};
use crate::world;

/// A clock this far off makes the server warn, in milliseconds.
const SKEW: i64 = 300_000;

/// What `doctor` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
Checks, in this order: the server's address, its version, its storage, the credential, this machine's clock. \
Exits with the code of the first check that failed.

Examples:
  voelgoed-scan doctor
  voelgoed-scan doctor --server https://gate.example.org --token-file device.token")]
pub(crate) struct Doctor {}

/// What a check found.
#[derive(Serialize)]
struct Finding {
    check: &'static str,
    ok: bool,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    #[serde(skip)]
    exit: Exit,
}

impl Finding {
    fn good(check: &'static str, detail: impl Into<String>) -> Self {
        Self {
            check,
            ok: true,
            detail: detail.into(),
            hint: None,
            exit: Exit::Done,
        }
    }

    fn bad(check: &'static str, failure: &Failure) -> Self {
        Self {
            check,
            ok: false,
            detail: failure.to_string(),
            hint: failure.hint(),
            exit: failure.exit(),
        }
    }

    fn shown(&self) -> Result<Shown, Failure> {
        let mark = if self.ok {
            paint(Tone::Good, "✔")
        } else {
            paint(Tone::Bad, "✘")
        };
        let mut text = format!("{mark} {:<10}  {}", self.check, self.detail);
        if let Some(hint) = &self.hint {
            text.push_str("\n              ");
            text.push_str(&paint(Tone::Note, hint));
        }
        Ok(Shown::new(self, text)?.ending(self.exit))
    }
}

/// As much as is needed of the device's own object.
#[derive(Deserialize)]
struct Me {
    server_time: Timestamp,
}

impl Doctor {
    pub(super) async fn run(self, desk: &Desk) -> Result<Report, Failure> {
        let client = desk.client()?;
        let findings = check(&client).await;
        let shown: Vec<_> = findings.iter().map(Finding::shown).collect();
        Ok(Report::Live(Box::pin(stream::iter(shown))))
    }
}

async fn check(client: &Client) -> Vec<Finding> {
    if let Err(failure) = client.file("/healthz").await {
        return vec![Finding::bad("server", &failure)];
    }
    let mut findings = vec![Finding::good("server", format!("{} answers", client.server()))];
    findings.push(match client.get::<Value>("/openapi.json").await {
        Ok(document) => version(document.pointer("/info/version").and_then(Value::as_str)),
        Err(failure) => Finding::bad("version", &failure),
    });
    findings.push(match client.file("/readyz").await {
        Ok(_) => Finding::good("storage", "answers"),
        Err(failure) => Finding::bad("storage", &failure),
    });
    match client.kind() {
        None => {
            let reason = format!("there is none: neither {} nor --token-file", world::TOKEN);
            let hint = "doctor and everything but init, verify and demo need one";
            findings.push(Finding {
                check: "credential",
                ok: false,
                detail: reason,
                hint: Some(hint.to_owned()),
                exit: Exit::NotAllowed,
            });
        }
        Some("vgd_") => match client.get::<Value>("/api/v1/scanning/device").await {
            Ok(device) => {
                findings.push(Finding::good(
                    "credential",
                    "a device token that the server knows",
                ));
                findings.extend(
                    Me::deserialize(&device)
                        .ok()
                        .map(|me| clock(me.server_time, world::now())),
                );
            }
            Err(failure) => findings.push(Finding::bad("credential", &failure)),
        },
        Some(_) => findings.push(match client.get::<Value>("/api/v1/events?limit=1").await {
            Ok(_) => Finding::good("credential", "an API key that the server knows"),
            Err(failure) => Finding::bad("credential", &failure),
        }),
    }
    findings
}

fn version(server: Option<&str>) -> Finding {
    let own = env!("CARGO_PKG_VERSION");
    match server {
        Some(version) if version == own => Finding::good("version", format!("{own}, on both sides")),
        Some(version) => Finding::good("version", format!("the server has {version}, this is {own}")),
        None => Finding::good("version", "the server does not tell"),
    }
}

fn clock(server: Timestamp, own: Timestamp) -> Finding {
    let off = own.millis_since(server);
    let ok = off.abs() < SKEW;
    let seconds = off / 1000;
    Finding {
        check: "clock",
        ok,
        detail: format!("{seconds} s from the server's"),
        hint: (!ok).then(|| "set this machine's clock: its scans are marked clock_skew".to_owned()),
        exit: if ok { Exit::Done } else { Exit::Failed },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_five_minutes_off_is_a_finding() {
        let now = Timestamp::from_seconds(1_780_000_000);
        assert!(clock(now, now.plus_millis(-2000)).ok);
        assert!(!clock(now, now.plus_millis(300_001)).ok);
        assert_eq!(clock(now, now.plus_millis(-300_001)).exit, Exit::Failed);
    }
}
