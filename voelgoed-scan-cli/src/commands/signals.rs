//! `signals`: lists what somebody should look at, and shows and changes the rules by which it is found.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use comfy_table::Cell;
use serde::Serialize;
use voelgoed_scan_core::model::{
    Signal, SignalKind, SignalRule, SignalRulePatch, SignalSettings, SignalSettingsPatch,
};

use super::named_rows;
use super::value_parsers::variant;
use crate::client::{Client, Query};
use crate::context::Context;
use crate::env;
use crate::failure::Failure;
use crate::names::{self, NamedEvent};
use crate::output::{Report, TableRow};

const SETTINGS: &str = "/api/v1/organization/signals";

/// The arguments of `signals`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(after_help = "\
A signal is one of:
  device_silent                a device with a session was not heard of
  occupancy_90, occupancy_100  an event or a gate is almost full, or full
  impossible_travel            a ticket came to two gates in a short time
  duplicate_spam               a ticket was denied as a duplicate many times
  high_velocity                a device made many scans in a short time
  device_errors                many of a device's scans are no tickets
  late_batch                   a device uploaded old scans
  sync_waiting                 a device has many scans to upload

Examples:
  voelgoed-scan signals EVENT
  voelgoed-scan signals EVENT --open
  voelgoed-scan signals EVENT --kind device_silent --output json | jq -r .device_id
  voelgoed-scan signals settings")]
pub(crate) struct Signals {
    #[command(subcommand)]
    command: Option<SignalsCommand>,
    /// The event
    #[arg(required = true, env = env::EVENT)]
    event: Option<NamedEvent>,
    /// Only signals of this kind
    #[arg(long, value_parser = variant::<SignalKind>(SignalKind::STRINGS))]
    kind: Option<SignalKind>,
    /// Only open signals
    #[arg(long)]
    open: bool,
}

/// The subcommands of `signals`.
#[derive(Debug, Subcommand)]
enum SignalsCommand {
    /// Show the rules by which signals are found, or change those of a kind
    ///
    /// Without KIND, shows the rules of all kinds. With KIND and options, changes that kind; what no option names stays.
    #[command(after_help = "\
Examples:
  voelgoed-scan signals settings
  voelgoed-scan signals settings duplicate_spam --limit 10 --within-s 1800
  voelgoed-scan signals settings late_batch --enabled false")]
    Settings(Settings),
}

/// The arguments of `signals settings`.
#[derive(Debug, Args)]
struct Settings {
    /// The kind to change
    #[arg(value_parser = variant::<SignalKind>(SignalKind::STRINGS))]
    kind: Option<SignalKind>,
    /// Whether signals of the kind are found
    #[arg(long, requires = "kind", value_name = "true|false")]
    enabled: Option<bool>,
    /// The number or percentage of the rule
    #[arg(long, requires = "kind", value_name = "N")]
    limit: Option<u32>,
    /// The time of the rule, in seconds
    #[arg(long, requires = "kind", value_name = "SECONDS")]
    within_s: Option<u32>,
    /// When a signal ends after it opened, in seconds
    #[arg(long, requires = "kind", value_name = "SECONDS")]
    close_s: Option<u32>,
}

impl Signals {
    pub(super) async fn run(self, context: &Context) -> Result<Report, Failure> {
        let client = context.client()?;
        if let Some(SignalsCommand::Settings(settings)) = self.command {
            return settings.run(&client).await;
        }
        let mut query = Query::new("/api/v1/scanning/signals");
        let event = names::event_id(&client, self.event.as_ref()).await?;
        query.add("event_id", event);
        query.add("kind", self.kind);
        query.add("open", self.open.then_some(true));
        let signals: Vec<Signal> = client.all(&query.path()).await?;
        named_rows::signals(&client, event, &signals, context.view).await
    }
}

impl Settings {
    async fn run(self, client: &Client) -> Result<Report, Failure> {
        let change = SignalRulePatch {
            enabled: self.enabled,
            limit: self.limit,
            within_s: self.within_s,
            close_s: self.close_s,
        };
        let settings: SignalSettings = match self.kind {
            Some(kind) if change != SignalRulePatch::default() => {
                let patch = SignalSettingsPatch(BTreeMap::from([(kind, change)]));
                client.put(SETTINGS, &patch).await?
            }
            _ => client.get(SETTINGS).await?,
        };
        let rows: Vec<_> = settings
            .rules()
            .filter(|(kind, _)| self.kind.is_none_or(|wanted| wanted == *kind))
            .map(|(kind, rule)| RuleOfKind { kind, rule })
            .collect();
        Report::list(&rows)
    }
}

/// The rule of a kind, as a line of the output.
#[derive(Serialize)]
struct RuleOfKind {
    kind: SignalKind,
    #[serde(flatten)]
    rule: SignalRule,
}

fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

impl TableRow for RuleOfKind {
    const COLUMNS: &'static [&'static str] = &["KIND", "ENABLED", "LIMIT", "WITHIN (S)", "CLOSES (S)"];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::new(self.kind),
            Cell::new(self.rule.enabled),
            Cell::new(or_dash(self.rule.limit)),
            Cell::new(or_dash(self.rule.within_s)),
            Cell::new(or_dash(self.rule.close_s)),
        ]
    }
}

/// What a signal is about, and what it was found by, in words.
pub(super) fn summary(signal: &Signal) -> String {
    let details = &signal.details;
    let number = |value: Option<u32>| value.unwrap_or(0);
    match signal.kind {
        SignalKind::DeviceSilent => match details.last_seen_at {
            Some(at) => format!("not heard of since {at}"),
            None => "never heard of".to_owned(),
        },
        SignalKind::Occupancy90 | SignalKind::Occupancy100 => format!(
            "{} of {} inside",
            details.inside.unwrap_or(0),
            number(details.capacity)
        ),
        SignalKind::ImpossibleTravel => "a duplicate at another gate".to_owned(),
        SignalKind::DuplicateSpam => format!("{} duplicate denials", number(details.scans)),
        SignalKind::HighVelocity => format!(
            "{} scans within {} s",
            number(details.scans),
            number(details.within_s)
        ),
        SignalKind::DeviceErrors => format!(
            "{} of {} scans are no tickets",
            number(details.invalid),
            number(details.scans)
        ),
        SignalKind::LateBatch => format!("{} old scans uploaded", number(details.scans)),
        SignalKind::SyncWaiting => format!("{} scans wait", number(details.waiting)),
    }
}
