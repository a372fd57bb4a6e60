//! `demo`: the whole gate in one process, with one scan of every result.

mod stage;
mod story;

use std::path::PathBuf;

use clap::Args;
use futures_util::{StreamExt, stream};
use serde::Serialize;
use voelgoed_scan_core::model::{EventId, GateId, OrganizationId};

use crate::desk::Desk;
use crate::failure::Failure;
use crate::output::{Report, Shown, Tone, paint};
use crate::qr;
use stage::Stage;
use story::Scene;

/// What `demo` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
Starts a server with a sample organization, event, gates, devices and tickets, scans one of every result over \
HTTP, and shows what the server answered. Then it serves until Ctrl-C, for the curl lines that it prints. It \
exits 1 if a scan had another result than it should.

Examples:
  voelgoed-scan demo
  voelgoed-scan demo --exit
  voelgoed-scan demo --dir ./demo --listen 0.0.0.0:8080
  voelgoed-scan demo --exit --output json | jq -c '.answer.result? // empty'")]
pub(crate) struct Demo {
    /// End after the scans instead of serving
    #[arg(long)]
    exit: bool,
    /// Keep the database in this folder; without it, in one that is removed at the end
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    listen: String,
}

/// The stage as programs see it.
#[derive(Serialize)]
struct Set<'a> {
    server: &'a str,
    organization_id: OrganizationId,
    event_id: EventId,
    gates: [GateId; 2],
    api_key: &'a str,
    device_tokens: [&'a str; 2],
    tickets: usize,
    qr: &'a str,
}

impl Demo {
    pub(super) async fn run(self, desk: &Desk) -> Result<Report, Failure> {
        let stage = Stage::build(self.dir, self.listen).await?;
        let outcome = tell(&stage, self.exit, desk.quiet).await;
        let shown = match outcome {
            Ok(shown) => shown,
            Err(failure) => {
                stage.strike().await;
                return Err(failure);
            }
        };
        let exit = self.exit;
        let end = stream::once(async move {
            if !exit {
                stage.serve().await;
            }
            stage.strike().await;
        })
        .filter_map(|()| std::future::ready(None));
        Ok(Report::Live(
            stream::iter(shown.into_iter().map(Ok)).chain(end).boxed(),
        ))
    }
}

/// Plays every scene; what there is to see.
async fn tell(stage: &Stage, exit: bool, quiet: bool) -> Result<Vec<Shown>, Failure> {
    let spare = stage.spare().await?;
    let set = Set {
        server: stage.server(),
        organization_id: stage.organization,
        event_id: stage.event,
        gates: [stage.main.gate, stage.vip.gate],
        api_key: &stage.api_key,
        device_tokens: [&stage.main.token, &stage.vip.token],
        tickets: stage::TICKETS,
        qr: &spare,
    };
    let mut shown = vec![Shown::new(&set, opening(stage, &spare)?)?];
    for scene in story::scenes(stage).await? {
        let played = scene.play().await?;
        shown.push(played.shown()?);
    }
    if !exit && !quiet {
        shown.push(Shown {
            json: String::new(),
            text: closing(stage, &spare),
            note: None,
            exit: crate::failure::Exit::Done,
        });
    }
    Ok(shown)
}

fn opening(stage: &Stage, spare: &str) -> Result<String, Failure> {
    let code = format!("  {}\n", qr::on_terminal(spare)?.replace('\n', "\n  "));
    Ok(format!(
        "{}  {}\n  A live event, 2 gates (Main: everybody, VIP: VIP tickets), 2 scanners, {} tickets. One of them:\n\n{code}\n{}",
        paint(Tone::Head, "voelgoed-scan demo"),
        paint(Tone::Note, stage.server()),
        stage::TICKETS,
        Scene::head(),
    ))
}

fn closing(stage: &Stage, spare: &str) -> String {
    let server = stage.server();
    let scan = |qr: &str| {
        format!(
            "curl -sw '\\n' {server}/api/v1/scanning/scan -H 'Authorization: Bearer {}' -H 'Content-Type: application/json' -d '{{\"qr\":\"{qr}\"}}'",
            stage.main.token
        )
    };
    let read = |flags: &str, what: &str| {
        format!(
            "curl {flags} {server}/api/v1/scanning/events/{}/{what} -H 'Authorization: Bearer {}'",
            stage.event, stage.api_key
        )
    };
    let note = |text: &str| paint(Tone::Faint, &format!("# {text}"));
    [
        String::new(),
        paint(Tone::Head, "Try it from another terminal"),
        note("the ticket above: valid once"),
        scan(spare),
        note("a ticket that was scanned already: duplicate"),
        scan(&stage.first),
        note("who is inside"),
        read("-sw '\\n'", "occupancy"),
        note("every scan as it happens"),
        read("-sN", "stream"),
        String::new(),
        format!("Serving on {server} until Ctrl-C."),
    ]
    .join("\n")
}
