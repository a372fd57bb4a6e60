//! `scan`: scans tickets as a device with an active session.

use std::path::Path;
use std::time::Duration;

use clap::Args;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_util::io::ReaderStream;
use voelgoed_scan_core::model::{
    Direction, Headcount, Medium, Override, RawScanRequest, Reading, ReasonText, ScanAnswer, ScanId,
    ScanResult,
};

use super::tables;
use super::value_parsers::variant;
use crate::client::{self, Client};
use crate::context::Context;
use crate::env;
use crate::failure::{Exit, Failure};
use crate::output::{Item, Report, ResultStream, TextStyle, styled};

const SCAN: &str = "/api/v1/scanning/scan";

/// The delay before each retry of a scan that was not answered.
const RETRY_DELAYS: [Duration; 3] = [
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
];

/// The arguments of `scan`.
#[derive(Debug, Args)]
#[command(after_help = "\
Needs a device token and an active session (`voelgoed-scan session start`). Exits 0 if every scan was valid, and 3 \
if any scan was denied. A scan that gets no answer is sent again with the same scan id, so that it counts once.

Examples:
  voelgoed-scan scan VG1.1.3KQR7F924M1XaB0z.VGtaswiiCdSvrK4-qZ36BQ
  voelgoed-scan scan --direction exit VG1.1.3KQR7F924M1XaB0z.VGtaswiiCdSvrK4-qZ36BQ
  voelgoed-scan scan --medium nfc:04A1B2C3D4E5F6
  voelgoed-scan scan - < payloads.txt
  zbarcam --raw | voelgoed-scan scan -")]
pub(crate) struct Scan {
    /// The payload of the ticket's QR code, a ticket code, or what else a scanner reads; `-` reads one a line from standard
    /// input
    #[arg(required_unless_present = "media", value_name = "PAYLOAD")]
    payloads: Vec<String>,
    /// A medium that is named outright, such as the id of a wristband: `nfc:` and its bytes in upper-case hexadecimal, or
    /// `barcode:` and its text. May be repeated
    #[arg(long = "medium", value_name = "MEDIUM", conflicts_with = "payloads")]
    media: Vec<Medium>,
    /// The direction in which the person passes
    #[arg(long, default_value = "entry", value_parser = variant::<Direction>(Direction::STRINGS))]
    direction: Direction,
    /// Force the entry for this reason (needs a device that may override)
    #[arg(long = "override", value_name = "REASON")]
    override_: Option<ReasonText>,
    /// Show the answer without recording a scan
    #[arg(long)]
    dry_run: bool,
}

impl Scan {
    #[expect(clippy::unused_async, reason = "the commands have the same signature")]
    pub(super) async fn run(self, context: &Context) -> Result<Report, Failure> {
        let client = context.client()?;
        let readings: ResultStream<Reading> = if self.payloads == ["-"] {
            let chunks = ReaderStream::new(tokio::io::stdin())
                .map_err(|error| Failure::file(Path::new("standard input"), error));
            let lines = client::lines(Box::pin(chunks));
            lines
                .try_filter(|payload| std::future::ready(!payload.trim().is_empty()))
                .map_ok(Reading::Qr)
                .boxed()
        } else {
            let payloads = self.payloads.clone().into_iter().map(Reading::Qr);
            let media = self.media.clone().into_iter().map(Reading::Medium);
            stream::iter(payloads.chain(media).map(Ok)).boxed()
        };
        let answers = readings.and_then(move |reading| {
            let (qr, ticket_code, medium) = reading.into_fields();
            let request = RawScanRequest {
                qr,
                ticket_code,
                medium,
                scan_id: (!self.dry_run).then(|| ScanId::generate(env::now())),
                scanned_at: Some(env::now()),
                direction: self.direction,
                metadata: None,
                override_: self.override_.clone().map(|reason| Override { reason }),
                dry_run: self.dry_run,
            };
            let client = client.clone();
            async move { to_item(&scan(&client, &request).await?) }
        });
        Ok(Report::Stream(answers.boxed()))
    }
}

/// Scans, and retries with the same scan id where no answer arrives.
pub(super) async fn scan(client: &Client, request: &RawScanRequest) -> Result<ScanAnswer, Failure> {
    retried(client, SCAN, request).await
}

/// Sends a request that counts once however often it is sent, and sends it again where no answer arrives.
pub(super) async fn retried<T: DeserializeOwned>(
    client: &Client,
    path: &str,
    request: &impl Serialize,
) -> Result<T, Failure> {
    for delay in RETRY_DELAYS {
        match client.post(path, request).await {
            Err(failure) if failure.is_transient() => tokio::time::sleep(delay).await,
            outcome => return outcome,
        }
    }
    client.post(path, request).await
}

/// The answer to a scan, and the exit code that it asks for.
pub(super) fn to_item(answer: &ScanAnswer) -> Result<Item, Failure> {
    let exit = if answer.result == ScanResult::Valid {
        Exit::Done
    } else {
        Exit::Denied
    };
    Ok(Item::new(answer, verdict_line(answer))?.with_exit(exit))
}

/// The answer on one line: the coloured result, the message, then the details for the steward.
fn verdict_line(answer: &ScanAnswer) -> String {
    let (style, mark) = match answer.result {
        ScanResult::Valid => (TextStyle::Admitted, "✔"),
        ScanResult::Duplicate
        | ScanResult::InvalidToken
        | ScanResult::WrongEvent
        | ScanResult::WrongGate
        | ScanResult::Refused => (TextStyle::Denied, "✘"),
    };
    let label = answer.result.as_str().to_uppercase().replace('_', " ");
    let mut parts = vec![styled(TextStyle::Heading, &answer.message)];
    if let Some(ticket) = &answer.ticket {
        parts.extend(ticket.ticket_class.as_ref().map(ToString::to_string));
        parts.extend(
            ticket
                .seat
                .as_ref()
                .map(tables::seat)
                .filter(|seat| !seat.is_empty()),
        );
        if ticket.entry_limit > 1 {
            parts.push(format!("{} of {} in", ticket.scan_count, ticket.entry_limit));
        }
        parts.extend(
            ticket
                .note
                .as_ref()
                .map(|note| styled(TextStyle::Warning, note.as_str())),
        );
    }
    if let Some(previous) = &answer.previous_scan {
        // Several people check in by hand with one key, which has no session.
        let by = if previous.same_device && answer.session_id.is_some() {
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
            .map(|warning| styled(TextStyle::Warning, warning.as_str())),
    );
    parts.push(styled(
        TextStyle::Dim,
        &format!(
            "{} {} inside",
            answer.gate.name,
            headcount(&answer.occupancy.gate)
        ),
    ));
    format!(
        "{} {}",
        styled(style, &format!(" {mark} {label:<13} ")),
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
        serde_json::from_str(json).expect("an answer as the server sends it")
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
    fn a_verdict_line_shows_the_ticket_and_the_previous_scan() {
        let text = anstream::adapter::strip_str(&verdict_line(&answer(DUPLICATE))).to_string();
        assert_eq!(
            text,
            " ✘ DUPLICATE      Already scanned · VIP · A 10 42 · 1 min ago at Main by Door 2 · clock_skew · Main 342/500 inside"
        );
    }

    #[test]
    fn a_denial_exits_with_3_and_an_admission_with_0() {
        assert_eq!(to_item(&answer(DUPLICATE)).expect("an item").exit, Exit::Denied);
        let valid = DUPLICATE
            .replace(r#""duplicate""#, r#""valid""#)
            .replace("already_scanned", "admitted");
        assert_eq!(to_item(&answer(&valid)).expect("an item").exit, Exit::Done);
    }
}
