//! `doctor`: checks the server, the storage, the credential and the clock.

mod certificate;
mod disk;
mod event;

use clap::Args;
use futures_util::stream;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use voelgoed_scan_core::model::{Role, Timestamp};

use crate::client::Client;
use crate::context::Context;
use crate::env;
use crate::failure::{Exit, Failure};
use crate::names::NamedEvent;
use crate::output::{Item, Report, TextStyle, styled};

/// The clock difference from which the server warns of `clock_skew`, in milliseconds.
const MAX_CLOCK_SKEW: i64 = 300_000;

/// The arguments of `doctor`.
#[derive(Debug, Args)]
#[command(after_help = "\
Checks, in this order: the server's address, its version, its public address, its storage, the credential and its role, this \
machine's clock, the certificates of both addresses, and with --database-url the free space where the database is. With --event \
also whether the event is ready: live, doors, open gates, devices that were heard of and may work there, batteries, scans to \
upload, manifests, clocks of the devices. Each problem is shown with what to do. Exits with the code of the first check that \
failed; a certificate that ends within 21 days and a disk with less than 5 GiB are warnings.

Examples:
  voelgoed-scan doctor
  voelgoed-scan doctor --event 'Summer Night'
  voelgoed-scan doctor --server https://gate.example.org --token-file device.token")]
pub(crate) struct Doctor {
    /// Also check whether this event is ready (API key)
    #[arg(long, env = env::EVENT)]
    event: Option<NamedEvent>,
    /// Also check the free space of the folder of this database: `sqlite://FILE`, as the server on this machine has it
    #[arg(
        long,
        value_name = "URL",
        env = "VOELGOED_SCAN_DATABASE_URL",
        hide_env_values = true
    )]
    database_url: Option<String>,
}

/// The result of one check.
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
    fn passed(check: &'static str, detail: impl Into<String>) -> Self {
        Self {
            check,
            ok: true,
            detail: detail.into(),
            hint: None,
            exit: Exit::Done,
        }
    }

    /// Something that works now and needs attention soon, and what to do about it.
    fn warning(check: &'static str, detail: String, hint: String) -> Self {
        Self {
            hint: Some(hint),
            ..Self::passed(check, detail)
        }
    }

    /// Something that does not work, and what to do about it.
    fn problem(check: &'static str, detail: String, hint: String) -> Self {
        Self {
            check,
            ok: false,
            detail,
            hint: Some(hint),
            exit: Exit::Failed,
        }
    }

    fn failed(check: &'static str, failure: &Failure) -> Self {
        Self {
            check,
            ok: false,
            detail: failure.to_string(),
            hint: failure.hint(),
            exit: failure.exit(),
        }
    }

    fn to_item(&self) -> Result<Item, Failure> {
        let mark = match (self.ok, &self.hint) {
            (true, None) => styled(TextStyle::Success, "✔"),
            (true, Some(_)) => styled(TextStyle::Warning, "!"),
            (false, _) => styled(TextStyle::Error, "✘"),
        };
        let mut text = format!("{mark} {:<11}  {}", self.check, self.detail);
        if let Some(hint) = &self.hint {
            text.push_str("\n               ");
            text.push_str(&styled(TextStyle::Info, hint));
        }
        Ok(Item::new(self, text)?.with_exit(self.exit))
    }
}

/// The part of the calling device's object that the clock check needs.
#[derive(Deserialize)]
struct OwnDevice {
    server_time: Timestamp,
}

impl Doctor {
    /// The URL of the database. An empty variable is an unset one.
    fn database_url(&self) -> Option<&str> {
        self.database_url.as_deref().filter(|url| !url.is_empty())
    }

    pub(super) async fn run(self, context: &Context) -> Result<Report, Failure> {
        let client = context.client()?;
        let (mut findings, public) = check(&client).await;
        findings.extend(certificates(context, public.as_deref(), client.server()).await);
        findings.extend(self.database_url().map(disk::check));
        if let Some(event) = &self.event
            && findings
                .iter()
                .all(|finding| finding.check != "server" || finding.ok)
        {
            findings.extend(event::check(&client, event).await);
        }
        let items: Vec<_> = findings.iter().map(Finding::to_item).collect();
        Ok(Report::Stream(Box::pin(stream::iter(items))))
    }
}

/// Checks the certificates of the server's public address and of the one that is called.
async fn certificates(context: &Context, public: Option<&str>, called: &str) -> Vec<Finding> {
    let mut addresses: Vec<&str> = public.into_iter().chain([called]).collect();
    addresses.dedup();
    let mut findings = Vec::new();
    for address in addresses {
        match context.tls_config() {
            Ok(tls) => findings.extend(certificate::check(address, tls, env::now()).await),
            Err(failure) => findings.push(Finding::failed("certificate", &failure)),
        }
    }
    findings
}

/// Checks the server and the credential. Returns also the server's public address.
async fn check(client: &Client) -> (Vec<Finding>, Option<String>) {
    if let Err(failure) = client.get_bytes("/healthz").await {
        return (vec![Finding::failed("server", &failure)], None);
    }
    let mut public = None;
    let mut findings = vec![Finding::passed("server", format!("{} answers", client.server()))];
    match client.get::<Value>("/openapi.json").await {
        Ok(document) => {
            let text = |pointer| document.pointer(pointer).and_then(Value::as_str);
            findings.push(check_version(text("/info/version")));
            let url = text("/servers/0/url").filter(|url| *url != "/");
            findings.push(check_public_url(url, client.server()));
            public = url.map(str::to_owned);
        }
        Err(failure) => findings.push(Finding::failed("version", &failure)),
    }
    match client.get::<Value>("/readyz").await {
        Ok(readiness) => {
            findings.push(Finding::passed("storage", "records scans"));
            let durability = readiness.pointer("/checks/durability").and_then(Value::as_str);
            findings.extend(durability.map(check_durability));
        }
        Err(failure) => findings.push(Finding::failed("storage", &failure)),
    }
    findings.extend(check_credential(client).await);
    (findings, public)
}

/// Checks the credential and its role, and this machine's clock.
async fn check_credential(client: &Client) -> Vec<Finding> {
    let mut findings = Vec::new();
    match client.token_prefix() {
        None => {
            let reason = format!("there is none: neither {} nor --token-file", env::TOKEN);
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
                findings.push(Finding::passed(
                    "credential",
                    "a device token that the server knows",
                ));
                findings.extend(
                    OwnDevice::deserialize(&device)
                        .ok()
                        .map(|device| check_clock(device.server_time, env::now())),
                );
            }
            Err(failure) => findings.push(Finding::failed("credential", &failure)),
        },
        Some(_) => match role(client).await {
            Ok(role) => {
                findings.push(Finding::passed(
                    "credential",
                    format!("an API key with the role {role}"),
                ));
                if let Ok(server) = client.server_time().await {
                    findings.push(check_clock(server, env::now()));
                }
            }
            Err(failure) => findings.push(Finding::failed("credential", &failure)),
        },
    }
    findings
}

/// The role of the API key, found out by what it may read.
async fn role(client: &Client) -> Result<Role, Failure> {
    for (path, role) in [
        ("/api/v1/api-keys?limit=1", Role::Owner),
        ("/api/v1/webhooks?limit=1", Role::Admin),
        ("/api/v1/organization/signals", Role::Staff),
        ("/api/v1/events?limit=1", Role::Viewer),
    ] {
        match client.get::<Value>(path).await {
            Ok(_) => return Ok(role),
            Err(Failure::Problem(problem)) if problem.status == 403 => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok(Role::ScannerOnly)
}

/// The address that phones get when they are paired.
fn check_public_url(public: Option<&str>, called: &str) -> Finding {
    let hint = "start the server with --public-url https://..., which phones get when they are paired";
    match public {
        Some(url) if url.starts_with("https://") => Finding::passed("public url", url),
        Some(url) => Finding::problem(
            "public url",
            format!("{url} has no TLS, which apps refuse"),
            hint.to_owned(),
        ),
        None => Finding {
            hint: Some(hint.to_owned()),
            ..Finding::passed(
                "public url",
                format!("none is set: phones get the one that was called, such as {called}"),
            )
        },
    }
}

fn check_version(server: Option<&str>) -> Finding {
    let own = env!("CARGO_PKG_VERSION");
    match server {
        Some(version) if version == own => Finding::passed("version", format!("{own}, on both sides")),
        Some(version) => Finding::passed("version", format!("the server has {version}, this is {own}")),
        None => Finding::passed("version", "the server does not report its version"),
    }
}

fn check_durability(durability: &str) -> Finding {
    let (ok, detail, hint) = match durability {
        "at_risk" => (
            false,
            "PostgreSQL runs with fsync=off, or a worker of Citus with that or synchronous_commit=off: a crash of its machine \
             loses acknowledged admissions",
            Some("set both to on in postgresql.conf of the server or the worker, then reload it"),
        ),
        "overridden" => (
            true,
            "the database sets synchronous_commit=off; the server overrides it for its own connections",
            Some("alter database NAME reset synchronous_commit; look at the role and at postgresql.conf too"),
        ),
        _ => (true, "acknowledged scans are on disk", None),
    };
    Finding {
        check: "durability",
        ok,
        detail: detail.to_owned(),
        hint: hint.map(str::to_owned),
        exit: if ok { Exit::Done } else { Exit::Failed },
    }
}

fn check_clock(server: Timestamp, own: Timestamp) -> Finding {
    let skew = own.millis_since(server);
    let ok = skew.abs() < MAX_CLOCK_SKEW;
    let seconds = skew / 1000;
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
    fn a_public_address_without_tls_is_a_problem() {
        assert_eq!(check_public_url(Some("https://gate.example.org"), "x").hint, None);
        assert!(!check_public_url(Some("http://gate.example.org"), "x").ok);
        let none = check_public_url(None, "http://127.0.0.1:8080");
        assert!(none.ok && none.hint.is_some());
    }

    #[test]
    fn settings_that_lose_admissions_are_reported() {
        assert_eq!(check_durability("ok").hint, None);
        let overridden = check_durability("overridden");
        assert!(overridden.ok && overridden.detail.contains("synchronous_commit=off"));
        assert!(overridden.hint.is_some());
        assert_eq!(check_durability("at_risk").exit, Exit::Failed);
    }

    #[test]
    fn a_clock_five_minutes_off_fails_the_check() {
        let now = Timestamp::from_seconds(1_780_000_000);
        assert!(check_clock(now, now.plus_millis(-2000)).ok);
        assert!(!check_clock(now, now.plus_millis(300_001)).ok);
        assert_eq!(check_clock(now, now.plus_millis(-300_001)).exit, Exit::Failed);
    }
}
