//! `prune`: deletes the events that were archived long ago, after it has written their tickets and scans to files.
//!
//! Invariant: an event is deleted only after its files are complete and on disk, and only if the server still has as many
//! tickets and scans as they hold.

mod age;
mod archive;

use std::path::PathBuf;

use clap::Args;
use futures_util::{StreamExt as _, stream};
use serde::Serialize;
use voelgoed_scan_core::model::{Event, EventId, Name};

use self::age::Age;
use self::archive::{Archive, Exported};
use crate::client::{Client, Query};
use crate::context::Context;
use crate::env;
use crate::failure::{Exit, Failure};
use crate::output::{Item, Report, ResultStream};

/// The arguments of `prune`.
#[derive(Debug, Args)]
#[command(after_help = "\
Needs an owner's key. An event that got scans or tickets after they were exported is left; the command says so and exits 1.

Examples:
  voelgoed-scan prune --older-than 400d --archive /var/backups/gate
  voelgoed-scan prune --older-than 400d --archive /var/backups/gate --dry-run
  zstdcat /var/backups/gate/EVENT.scans.ndjson.zst | voelgoed-scan replay -")]
pub(crate) struct Prune {
    /// Only events that have been archived for longer than this: a number with s, m, h or d
    #[arg(long, value_name = "AGE")]
    older_than: Age,
    /// Write the tickets and scans of each event to this directory before the event is deleted
    #[arg(long, value_name = "DIR")]
    archive: Option<PathBuf>,
    /// Show which events would be deleted, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Deleted,
    WouldBeDeleted,
    /// Something came after it was exported, or it is not archived any more.
    Kept,
}

/// A pruned event.
#[derive(Debug, Serialize)]
struct PrunedEvent {
    id: EventId,
    name: Name,
    outcome: Outcome,
    /// Why the event was left.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// How many scans and tickets were exported.
    #[serde(flatten)]
    exported: Option<Exported>,
}

impl Prune {
    pub(super) async fn run(self, context: &Context) -> Result<Report, Failure> {
        let client = context.client()?;
        let archive = self.archive.map(Archive::open).transpose()?;
        let mut query = Query::new("/api/v1/events");
        query.add(
            "archived_before",
            Some(env::now().minus(self.older_than.duration())),
        );
        let events = client.all::<Event>(&query.path()).await?;
        if events.is_empty() {
            let text = "No event has been archived for that long.".to_owned();
            let nothing = Item {
                json: String::new(),
                text,
                note: None,
                exit: Exit::Done,
            };
            return Ok(Report::One(nothing));
        }
        let dry_run = self.dry_run;
        let pruned = stream::iter(events).then(move |event| {
            let (client, archive) = (client.clone(), archive.clone());
            async move { prune(&client, archive.as_ref(), event, dry_run).await }
        });
        let pruned: ResultStream<Item> = Box::pin(pruned);
        Ok(Report::Stream(pruned))
    }
}

async fn prune(
    client: &Client,
    archive: Option<&Archive>,
    event: Event,
    dry_run: bool,
) -> Result<Item, Failure> {
    let (id, name) = (event.id, event.name);
    if dry_run {
        return item(id, name, Outcome::WouldBeDeleted, None, None);
    }
    let exported = match archive {
        Some(archive) => Some(archive.export(client, id).await?),
        None => None,
    };
    let path = {
        let mut query = Query::new(&format!("/api/v1/events/{id}"));
        query.add("scans", exported.map(|exported| exported.scans));
        query.add("tickets", exported.map(|exported| exported.tickets));
        query.path()
    };
    match client.delete(&path).await {
        Ok(()) => item(id, name, Outcome::Deleted, None, exported),
        Err(Failure::Problem(problem)) if problem.status == 409 => {
            item(id, name, Outcome::Kept, Some(problem.to_string()), exported)
        }
        Err(failure) => Err(failure),
    }
}

fn item(
    id: EventId,
    name: Name,
    outcome: Outcome,
    detail: Option<String>,
    exported: Option<Exported>,
) -> Result<Item, Failure> {
    let counts = exported.map_or_else(String::new, |exported| {
        format!(
            " ({} scans and {} tickets archived)",
            exported.scans, exported.tickets
        )
    });
    let (text, exit) = match outcome {
        Outcome::Deleted => (format!("Deleted {name}{counts}."), Exit::Done),
        Outcome::WouldBeDeleted => (format!("Would delete {name}."), Exit::Done),
        Outcome::Kept => (
            format!("Left {name}: {}", detail.as_deref().unwrap_or("(409)")),
            Exit::Failed,
        ),
    };
    let pruned = PrunedEvent {
        id,
        name,
        outcome,
        detail,
        exported,
    };
    Ok(Item::new(&pruned, text)?.with_exit(exit))
}
