//! `demo`: runs a server with sample data in this process and scans one ticket for every result.

mod scenarios;
mod server;

use std::path::PathBuf;

use clap::Args;
use futures_util::{StreamExt, stream};
use serde::Serialize;
use voelgoed_scan_core::model::{EventId, GateId, OrganizationId};

use self::scenarios::Scenario;
use self::server::DemoServer;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::{Item, Report, TextStyle, styled};
use crate::{env, qr};

/// The arguments of `demo`.
#[derive(Debug, Args)]
#[command(after_help = "\
Starts a server with a sample organization, event, gates, devices and tickets, scans one ticket for every result over \
HTTP, and shows what the server answered. Then it serves until Ctrl-C, so that you can try the curl lines that it \
prints. It exits 1 if a scan had an unexpected result.

Examples:
  voelgoed-scan demo
  voelgoed-scan demo --exit
  voelgoed-scan demo --dir ./demo --listen 0.0.0.0:8080
  voelgoed-scan demo --exit --output json | jq -c '.answer.result? // empty'")]
pub(crate) struct Demo {
    /// Exit after the scans instead of serving
    #[arg(long)]
    exit: bool,
    /// Keep the database in this folder [default: a temporary folder]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The address to listen on; port 0 chooses a free port
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    listen: String,
}

/// The sample data in JSON output.
#[derive(Serialize)]
struct SampleData<'a> {
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
    pub(super) async fn run(self, context: &Context) -> Result<Report, Failure> {
        let server = DemoServer::start(self.dir, self.listen).await?;
        let items = match run_scenarios(&server, self.exit, context.quiet).await {
            Ok(items) => items,
            Err(failure) => {
                server.stop().await;
                return Err(failure);
            }
        };
        let exit = self.exit;
        // The server runs until the printer has printed all items and polls for the end of the stream.
        let end = stream::once(async move {
            if !exit {
                env::shutdown_signal().await;
            }
            server.stop().await;
        })
        .filter_map(|()| std::future::ready(None));
        Ok(Report::Stream(
            stream::iter(items.into_iter().map(Ok)).chain(end).boxed(),
        ))
    }
}

/// Runs all scenarios and returns the whole output.
async fn run_scenarios(server: &DemoServer, exit: bool, quiet: bool) -> Result<Vec<Item>, Failure> {
    let unused_qr = server.unused_qr().await?;
    let data = SampleData {
        server: server.address(),
        organization_id: server.organization,
        event_id: server.event,
        gates: [server.main.gate, server.vip.gate],
        api_key: &server.api_key,
        device_tokens: [&server.main.token, &server.vip.token],
        tickets: server::TICKETS,
        qr: &unused_qr,
    };
    let mut items = vec![Item::new(&data, introduction(server, &unused_qr)?)?];
    for scenario in scenarios::all(server).await? {
        let outcome = scenario.run().await?;
        items.push(outcome.to_item()?);
    }
    if !exit && !quiet {
        items.push(Item {
            json: String::new(),
            text: instructions(server, &unused_qr),
            note: None,
            exit: Exit::Done,
        });
    }
    Ok(items)
}

fn introduction(server: &DemoServer, unused_qr: &str) -> Result<String, Failure> {
    let code = format!("  {}\n", qr::render_terminal(unused_qr)?.replace('\n', "\n  "));
    Ok(format!(
        "{}  {}\n  A live event, 2 gates (Main: all tickets, VIP: VIP tickets), 2 scanners, {} tickets. One of them:\n\n{code}\n{}",
        styled(TextStyle::Heading, "voelgoed-scan demo"),
        styled(TextStyle::Info, server.address()),
        server::TICKETS,
        Scenario::heading(),
    ))
}

fn instructions(server: &DemoServer, unused_qr: &str) -> String {
    let address = server.address();
    let scan = |qr: &str| {
        format!(
            "curl -sw '\\n' {address}/api/v1/scanning/scan -H 'Authorization: Bearer {}' -H 'Content-Type: application/json' -d '{{\"qr\":\"{qr}\"}}'",
            server.main.token
        )
    };
    let read = |flags: &str, resource: &str| {
        format!(
            "curl {flags} {address}/api/v1/scanning/events/{}/{resource} -H 'Authorization: Bearer {}'",
            server.event, server.api_key
        )
    };
    let comment = |text: &str| styled(TextStyle::Dim, &format!("# {text}"));
    [
        String::new(),
        styled(TextStyle::Heading, "Try it from another terminal"),
        comment("the ticket above: valid once"),
        scan(unused_qr),
        comment("a ticket that was scanned already: duplicate"),
        scan(&server.first_qr),
        comment("how many people are inside"),
        read("-sw '\\n'", "occupancy"),
        comment("every scan as it happens"),
        read("-sN", "stream"),
        String::new(),
        format!("Serving on {address} until Ctrl-C."),
    ]
    .join("\n")
}
