//! `scan`: may they pass?

use std::time::Duration;

use clap::Args;
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio_util::io::ReaderStream;
use voelgoed_scan_core::model::{
    Direction, Headcount, Override, RawScanRequest, ReasonText, ScanAnswer, ScanId, ScanResult,
};

use super::rows;
use super::typed::word;
use crate::client::{self, Client};
use crate::desk::Desk;
use crate::failure::{Exit, Failure};
use crate::output::{Coming, Report, Shown, Tone, paint};
use crate::world;

const SCAN: &str = "/api/v1/scanning/scan";

/// How long to wait before each further try of a scan that was not answered.
const PAUSES: [Duration; 3] = [
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
];

/// What `scan` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
Needs a device token and an active session (`voelgoed-scan session start`). Exits 0 where every scan was valid \
and 3 where any was denied. A scan that gets no answer is sent again under the same scan id, so that nobody is \
admitted or denied twice for it.

Examples:
  voelgoed-scan scan VG1.1.3KQR7F924M1XaB0z.VGtaswiiCdSvrK4-qZ36BQ
  voelgoed-scan scan --direction exit VG1.1.3KQR7F924M1XaB0z.VGtaswiiCdSvrK4-qZ36BQ
  voelgoed-scan scan - < payloads.txt
  zbarcam --raw | voelgoed-scan scan -")]
pub(crate) struct Scan {
    /// What the camera reads off the ticket, or a ticket code; `-` reads one a line from standard input
    #[arg(required = true, value_name = "PAYLOAD")]
    payloads: Vec<String>,
    /// Which way the person goes
    #[arg(long, default_value = "entry", value_parser = word::<Direction>(Direction::STRINGS))]
    direction: Direction,
    /// Force the entry, and say why (devices that may)
    #[arg(long = "override", value_name = "REASON")]
    override_: Option<ReasonText>,
    /// Ask what the answer would be; nothing is recorded
    #[arg(long)]
    dry_run: bool,
}

impl Scan {
    #[expect(
        clippy::unused_async,
        reason = "every command that talks to the server runs alike"
    )]
    pub(super) async fn run(self, desk: &Desk) -> Result<Report, Failure> {
        let client = desk.client()?;
        let payloads: Coming<String> = if self.payloads == ["-"] {
            let pieces = ReaderStream::new(tokio::io::stdin()).map_err(|error| Failure::File {
                path: "standard input".into(),
                error,
            });
            client::lines(Box::pin(pieces))
        } else {
            Box::pin(stream::iter(self.payloads.clone().into_iter().map(Ok)))
        };
        let answers = payloads
            .try_filter(|payload| std::future::ready(!payload.trim().is_empty()))
            .and_then(move |payload| {
                let request = RawScanRequest {
                    qr: Some(payload),
                    ticket_code: None,
                    scan_id: (!self.dry_run).then(|| ScanId::generate(world::now())),
                    scanned_at: Some(world::now()),
                    direction: self.direction,
                    metadata: None,
                    override_: self.override_.clone().map(|reason| Override { reason }),
                    dry_run: self.dry_run,
                };
                let client = client.clone();
                async move { shown(&scan(&client, &request).await?) }
            });
        Ok(Report::Live(answers.boxed()))
    }
}

/// The answer to a scan; asked again under the same scan id where none came.
pub(super) async fn scan(client: &Client, request: &RawScanRequest) -> Result<ScanAnswer, Failure> {
    for pause in PAUSES {
        match client.post(SCAN, request).await {
            Err(failure) if failure.is_passing() => tokio::time::sleep(pause).await,
            outcome => return outcome,
        }
    }
    client.post(SCAN, request).await
}

fn shown(answer: &ScanAnswer) -> Result<Shown, Failure> {
    let exit = if answer.result == ScanResult::Valid {
        Exit::Done
    } else {
        Exit::Denied
    };
    Ok(Shown::new(answer, verdict(answer))?.ending(exit))
}

/// The verdict on one line: the colour first, the reason in words, then what helps the steward.
fn verdict(answer: &ScanAnswer) -> String {
    let (tone, mark) = match answer.result {
        ScanResult::Valid => (Tone::Pass, "✔"),
        ScanResult::Duplicate
        | ScanResult::InvalidToken
        | ScanResult::WrongEvent
        | ScanResult::WrongGate
        | ScanResult::Refused => (Tone::Stop, "✘"),
    };
    let label = answer.result.as_str().to_uppercase().replace('_', " ");
    let mut parts = vec![paint(Tone::Head, &answer.message)];
    if let Some(ticket) = &answer.ticket {
        parts.extend(ticket.ticket_class.as_ref().map(ToString::to_string));
        parts.extend(
            ticket
                .seat
                .as_ref()
                .map(rows::seat)
                .filter(|seat| !seat.is_empty()),
        );
        if ticket.entry_limit > 1 {
            parts.push(format!("{} of {} in", ticket.scan_count, ticket.entry_limit));
        }
        parts.extend(ticket.note.as_ref().map(|note| paint(Tone::Odd, note.as_str())));
    }
    if let Some(previous) = &answer.previous_scan {
        let by = if previous.same_device {
            "this device"
        } else {
            &previous.device_name
        };
        parts.push(format!(
            "{} at {} by {by}",
            ago(previous.seconds_ago),
            previous.gate.name
        ));
    }
    if answer.replayed {
        parts.push("answered before".to_owned());
    }
    parts.extend(
        answer
            .warnings
            .iter()
            .map(|warning| paint(Tone::Odd, warning.as_str())),
    );
    parts.push(paint(
        Tone::Faint,
        &format!(
            "{} {} inside",
            answer.gate.name,
            headcount(&answer.occupancy.gate)
        ),
    ));
    format!(
        "{} {}",
        paint(tone, &format!(" {mark} {label:<13} ")),
        parts.join(" · ")
    )
}

fn headcount(count: &Headcount) -> String {
    count.capacity.map_or_else(
        || count.inside.to_string(),
        |capacity| format!("{}/{capacity}", count.inside),
    )
}

fn ago(seconds: i64) -> String {
    match seconds {
        ..60 => format!("{seconds} s ago"),
        60..3600 => format!("{} min ago", seconds / 60),
        _ => format!("{} h {} min ago", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(json: &str) -> ScanAnswer {
        serde_json::from_str(json).expect("an answer of the contract")
    }

    const DUPLICATE: &str = r#"{"scan_id":"0192f0c1-7a4e-7000-8000-000000000000","result":"duplicate",
        "reason":"already_scanned","replayed":false,"direction":"entry","scanned_at":"2026-11-22T18:04:05.120Z",
        "session_id":"0192f0c1-7a4e-7000-8000-000000000001","event_id":"0192f0c1-7a4e-7000-8000-000000000002",
        "gate":{"id":"0192f0c1-7a4e-7000-8000-000000000003","name":"Main"},
        "ticket":{"id":"0192f0c1-7a4e-7000-8000-000000000004","code":"3KQR7F924M1XaB0z","status":"scanned",
          "ticket_class":"VIP","seat":{"block":"A","row":"10","number":"42"},"entry_limit":1,"scan_count":1,"note":null},
        "previous_scan":{"scan_id":"0192f0c1-7a4e-7000-8000-000000000005","scanned_at":"2026-11-22T18:03:05.120Z",
          "seconds_ago":60,"gate":{"id":"0192f0c1-7a4e-7000-8000-000000000003","name":"Main"},
          "device_name":"Door 2","same_device":false},
        "occupancy":{"gate":{"inside":342,"capacity":500},"event":{"inside":1250,"capacity":null}},
        "decided_by":"memory","warnings":["clock_skew"],"message":"Already scanned"}"#;

    #[test]
    fn a_verdict_tells_what_a_steward_needs() {
        let text = anstream::adapter::strip_str(&verdict(&answer(DUPLICATE))).to_string();
        assert_eq!(
            text,
            " ✘ DUPLICATE      Already scanned · VIP · A 10 42 · 1 min ago at Main by Door 2 · clock_skew · Main 342/500 inside"
        );
    }

    #[test]
    fn a_denial_ends_with_3_and_an_admission_with_0() {
        assert_eq!(shown(&answer(DUPLICATE)).expect("shown").exit, Exit::Denied);
        let valid = DUPLICATE
            .replace(r#""duplicate""#, r#""valid""#)
            .replace("already_scanned", "admitted");
        assert_eq!(shown(&answer(&valid)).expect("shown").exit, Exit::Done);
    }
}
