//! `webhook`: creates, lists, changes and deletes webhooks, tests them, and shows and repeats their deliveries.

use std::path::PathBuf;

use clap::Subcommand;
use serde::Serialize;
use voelgoed_scan_core::model::{
    AcceptedDelivery, CreatedWebhook, DeliveryId, DeliveryStatus, FieldUpdate, RotatedSecret, Webhook,
    WebhookCreate, WebhookDelivery, WebhookDescription, WebhookId, WebhookPatch, WebhookSecret,
    WebhookStatus, WebhookTypes, WebhookUrl,
};
use zeroize::Zeroizing;

use super::value_parsers::{OrNone, variant};
use crate::client::Query;
use crate::context::Context;
use crate::failure::Failure;
use crate::names::{self, NamedEvent};
use crate::output::Report;

const WEBHOOKS: &str = "/api/v1/webhooks";

/// How many deliveries are listed where no number is given.
const DEFAULT_ROWS: usize = 50;

/// The subcommands of `webhook`.
#[derive(Debug, Subcommand)]
pub(crate) enum WebhookCommand {
    /// Create a webhook; its secret is printed once
    #[command(after_help = "\
Examples:
  voelgoed-scan webhook create --url https://shop.example.org/hooks/gate --types 'scan.*'
  voelgoed-scan webhook create --url https://shop.example.org/hooks/gate --types scan.admitted,scan.exited --event EVENT
  voelgoed-scan webhook create --url https://shop.example.org/hooks/gate --types 'scan.*,conflict.opened' \\
      --output json | jq -r .secret > webhook.secret")]
    Create {
        /// Where deliveries are sent: https, without credentials
        #[arg(long)]
        url: WebhookUrl,
        /// What it is told: types, or groups such as `scan.*`; repeatable, or with commas
        #[arg(long, required = true, value_delimiter = ',', value_name = "TYPE")]
        types: Vec<String>,
        /// Only what happens at this event; repeatable. Without it, at every event
        #[arg(long = "event", value_name = "EVENT")]
        events: Vec<NamedEvent>,
        /// Tell it ticket codes too. Where an event admits unsigned codes, each of them opens the gate
        #[arg(long)]
        codes: bool,
        /// What it is for
        #[arg(long)]
        description: Option<WebhookDescription>,
        /// Sign with the secret in this file (whsec_...) instead of a new one
        #[arg(long, value_name = "FILE")]
        secret_file: Option<PathBuf>,
    },
    /// List the webhooks
    #[command(after_help = "Examples:\n  voelgoed-scan webhook list")]
    List,
    /// Show a webhook
    #[command(after_help = "Examples:\n  voelgoed-scan webhook show WEBHOOK")]
    Show {
        /// The webhook
        #[arg(value_name = "WEBHOOK")]
        id: WebhookId,
    },
    /// Change a webhook; options that are not given stay
    #[command(after_help = "\
Examples:
  voelgoed-scan webhook update WEBHOOK --status active
  voelgoed-scan webhook update WEBHOOK --types 'scan.*' --all-events --description none")]
    Update {
        /// The webhook
        #[arg(value_name = "WEBHOOK")]
        id: WebhookId,
        /// Where deliveries are sent
        #[arg(long)]
        url: Option<WebhookUrl>,
        /// What it is told; replaces the present types
        #[arg(long, value_delimiter = ',', value_name = "TYPE")]
        types: Vec<String>,
        /// Only what happens at this event; repeatable, replaces the present events
        #[arg(long = "event", value_name = "EVENT", conflicts_with = "all_events")]
        events: Vec<NamedEvent>,
        /// What happens at every event
        #[arg(long)]
        all_events: bool,
        /// What it is for, or `none`
        #[arg(long)]
        description: Option<OrNone<WebhookDescription>>,
        /// `disabled`: it is told nothing, and what was pending has failed; `active`: it is told what happens from now on
        #[arg(long, value_parser = variant::<WebhookStatus>(WebhookStatus::STRINGS))]
        status: Option<WebhookStatus>,
    },
    /// Give a webhook a new secret, printed once; the old one signs as well for 24 hours
    #[command(after_help = "Examples:\n  voelgoed-scan webhook rotate WEBHOOK --output json | jq -r .secret")]
    Rotate {
        /// The webhook
        #[arg(value_name = "WEBHOOK")]
        id: WebhookId,
    },
    /// Send a delivery of the type webhook.test
    #[command(after_help = "Examples:\n  voelgoed-scan webhook test WEBHOOK")]
    Test {
        /// The webhook
        #[arg(value_name = "WEBHOOK")]
        id: WebhookId,
    },
    /// List the deliveries of a webhook, newest first
    #[command(after_help = "\
Examples:
  voelgoed-scan webhook deliveries WEBHOOK
  voelgoed-scan webhook deliveries WEBHOOK --status failed --limit 1000 --output json")]
    Deliveries {
        /// The webhook
        #[arg(value_name = "WEBHOOK")]
        id: WebhookId,
        /// Only deliveries of this status
        #[arg(long, value_parser = variant::<DeliveryStatus>(DeliveryStatus::STRINGS))]
        status: Option<DeliveryStatus>,
        /// The maximum number of rows
        #[arg(long, default_value_t = DEFAULT_ROWS, value_name = "NUMBER")]
        limit: usize,
    },
    /// Send a delivery again, under the same webhook-id
    #[command(after_help = "Examples:\n  voelgoed-scan webhook redeliver WEBHOOK DELIVERY")]
    Redeliver {
        /// The webhook
        #[arg(value_name = "WEBHOOK")]
        id: WebhookId,
        /// The delivery
        #[arg(value_name = "DELIVERY")]
        delivery: DeliveryId,
    },
    /// Delete a webhook with its deliveries, also the pending ones
    #[command(after_help = "Examples:\n  voelgoed-scan webhook delete WEBHOOK")]
    Delete {
        /// The webhook
        #[arg(value_name = "WEBHOOK")]
        id: WebhookId,
    },
}

#[derive(Serialize)]
struct Deleted {
    id: WebhookId,
    deleted: bool,
}

fn webhook_types(types: Vec<String>) -> Result<WebhookTypes, Failure> {
    WebhookTypes::new(types).map_err(|error| Failure::Usage {
        reason: format!("--types {error}"),
        hint: "the types are in docs/webhooks.md; a group ends with `.*`",
    })
}

/// Reads a secret from a file.
fn read_secret(file: &PathBuf) -> Result<WebhookSecret, Failure> {
    let text = Zeroizing::new(std::fs::read_to_string(file).map_err(|error| Failure::file(file, error))?);
    text.trim()
        .parse()
        .map_err(|error| Failure::invalid(file.display().to_string(), error))
}

impl WebhookCommand {
    pub(super) async fn run(self, context: &Context) -> Result<Report, Failure> {
        let client = context.client()?;
        let path = |id: WebhookId| format!("{WEBHOOKS}/{id}");
        match self {
            Self::Create {
                url,
                types,
                events,
                codes,
                description,
                secret_file,
            } => {
                let create = WebhookCreate {
                    url,
                    types: webhook_types(types)?,
                    event_ids: Some(names::event_ids(&client, &events).await?).filter(|ids| !ids.is_empty()),
                    codes,
                    description,
                    secret: secret_file.as_ref().map(read_secret).transpose()?,
                };
                let created: CreatedWebhook = client.post(WEBHOOKS, &create).await?;
                Ok(Report::object(&created)?.with_note(
                    "the secret is shown only this once; the receiver verifies signatures with it",
                ))
            }
            Self::List => Report::list(&client.all::<Webhook>(WEBHOOKS).await?),
            Self::Show { id } => Report::object(&client.get::<Webhook>(&path(id)).await?),
            Self::Update {
                id,
                url,
                types,
                events,
                all_events,
                description,
                status,
            } => {
                let patch = WebhookPatch {
                    url,
                    types: (!types.is_empty()).then(|| webhook_types(types)).transpose()?,
                    event_ids: match events {
                        _ if all_events => FieldUpdate::Clear,
                        events if events.is_empty() => FieldUpdate::Keep,
                        events => FieldUpdate::Set(names::event_ids(&client, &events).await?),
                    },
                    description: match description {
                        None => FieldUpdate::Keep,
                        Some(OrNone::None) => FieldUpdate::Clear,
                        Some(OrNone::Some(text)) => FieldUpdate::Set(text),
                    },
                    status,
                };
                if patch == WebhookPatch::default() {
                    return Err(Failure::Usage {
                        reason: "there is nothing to change".to_owned(),
                        hint: "give options such as --url, --types and --status",
                    });
                }
                Report::object(&client.patch::<Webhook>(&path(id), &patch).await?)
            }
            Self::Rotate { id } => {
                let rotated: RotatedSecret = client.post_empty(&format!("{}/rotate", path(id))).await?;
                Ok(Report::object(&rotated)?
                    .with_note("the secret is shown only this once; the old one signs as well for 24 hours"))
            }
            Self::Test { id } => {
                let accepted: AcceptedDelivery = client.post_empty(&format!("{}/test", path(id))).await?;
                Report::object(&accepted)
            }
            Self::Deliveries { id, status, limit } => {
                let mut query = Query::new(&format!("{}/deliveries", path(id)));
                query.add("status", status);
                Report::list(&client.first::<WebhookDelivery>(&query.path(), limit).await?)
            }
            Self::Redeliver { id, delivery } => {
                let path = format!("{}/deliveries/{delivery}/redeliver", path(id));
                Report::object(&client.post_empty::<AcceptedDelivery>(&path).await?)
            }
            Self::Delete { id } => {
                client.delete(&path(id)).await?;
                Report::object(&Deleted { id, deleted: true })
            }
        }
    }
}
