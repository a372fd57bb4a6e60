//! The scenarios of the demo: one scan for every result, over HTTP. The output shows the server's own answers.

use std::time::Duration;

use serde::Serialize;
use voelgoed_scan_core::model::{Direction, RawScanRequest, Reason, ScanAnswer, ScanId, ScanResult};

use super::super::scan;
use super::server::{DemoScanner, DemoServer};
use crate::env;
use crate::failure::{Exit, Failure};
use crate::output::{Item, TextStyle, styled};

/// A scan with its expected reason.
pub(super) struct Scenario<'a> {
    description: &'static str,
    scanner: &'a DemoScanner,
    qr: String,
    expected: Reason,
}

/// The outcome of a scenario.
#[derive(Serialize)]
pub(super) struct Outcome {
    scan: &'static str,
    expected: Reason,
    as_expected: bool,
    latency_ms: f64,
    answer: ScanAnswer,
}

/// One scenario for every result; `invalid_token` has two.
pub(super) async fn all(server: &DemoServer) -> Result<Vec<Scenario<'_>>, Failure> {
    let voided = server.ticket(2)?;
    server.void(voided).await?;
    let scenario = |description, scanner, qr, expected| Scenario {
        description,
        scanner,
        qr,
        expected,
    };
    let main = &server.main;
    Ok(vec![
        scenario("a ticket", main, server.first_qr.clone(), Reason::Admitted),
        scenario(
            "the same ticket again",
            main,
            server.first_qr.clone(),
            Reason::AlreadyScanned,
        ),
        scenario(
            "a forged copy",
            main,
            forge(&server.qr(server.event, server.ticket(1)?).await?),
            Reason::BadSignature,
        ),
        scenario(
            "a ticket never sold",
            main,
            server.unknown_ticket_qr().await?,
            Reason::TicketNotFound,
        ),
        scenario(
            "a ticket for another event",
            main,
            server.qr(server.other_event, server.other_ticket).await?,
            Reason::OtherEvent,
        ),
        scenario(
            "a standard ticket at VIP",
            &server.vip,
            server.qr(server.event, server.ticket(1)?).await?,
            Reason::GateNotAllowed,
        ),
        scenario(
            "a voided ticket",
            main,
            server.qr(server.event, voided).await?,
            Reason::TicketVoided,
        ),
    ])
}

/// The payload with another first character in its tag.
fn forge(qr: &str) -> String {
    match qr.rsplit_once('.') {
        Some((signed, tag)) => {
            let first = if tag.starts_with('A') { 'B' } else { 'A' };
            let rest: String = tag.chars().skip(1).collect();
            format!("{signed}.{first}{rest}")
        }
        None => qr.to_owned(),
    }
}

impl Scenario<'_> {
    /// The heading of the table.
    pub(super) fn heading() -> String {
        styled(
            TextStyle::Heading,
            &row(
                "SCANNED OVER HTTP",
                "GATE",
                &pad_answer("  ANSWER"),
                "DECIDED BY",
                "TIME",
            ),
        )
    }

    /// Scans over HTTP and measures the time from the request to the answer.
    pub(super) async fn run(self) -> Result<Outcome, Failure> {
        let request = RawScanRequest {
            qr: Some(self.qr),
            ticket_code: None,
            medium: None,
            scan_id: Some(ScanId::generate(env::now())),
            scanned_at: None,
            direction: Direction::Entry,
            metadata: None,
            override_: None,
            dry_run: false,
        };
        let started = env::monotonic_now();
        let answer = scan::scan(&self.scanner.client, &request).await?;
        Ok(Outcome {
            scan: self.description,
            expected: self.expected,
            as_expected: answer.reason == self.expected && answer.result == self.expected.result(),
            latency_ms: millis(started.elapsed()),
            answer,
        })
    }
}

/// Milliseconds, rounded to two decimal places.
fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 100_000.0).round() / 100.0
}

impl Outcome {
    /// The outcome as a line of the table.
    pub(super) fn to_item(&self) -> Result<Item, Failure> {
        let answer = &self.answer;
        let (mark, style) = match answer.result {
            ScanResult::Valid => ("✔", TextStyle::Success),
            _ => ("✘", TextStyle::Error),
        };
        let verdict = format!("{mark} {} · {}", answer.result, answer.reason);
        let time = format!("{:.1} ms", self.latency_ms);
        let mut text = row(
            self.scan,
            &answer.gate.name,
            &styled(style, &pad_answer(&verdict)),
            answer.decided_by.as_str(),
            &time,
        );
        if !self.as_expected {
            text.push_str(&styled(
                TextStyle::Error,
                &format!("  expected {}", self.expected),
            ));
        }
        let exit = if self.as_expected {
            Exit::Done
        } else {
            Exit::Failed
        };
        Ok(Item::new(self, text)?.with_exit(exit))
    }
}

/// A line of the table. `answer` is padded already, because its escape sequences would count as width.
fn row(scan: &str, gate: &str, answer: &str, decided_by: &str, time: &str) -> String {
    format!("  {scan:<28}{gate:<6}{answer}{decided_by:<12}{time:>8}")
}

fn pad_answer(answer: &str) -> String {
    format!("{answer:<36}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forged_payload_differs_only_in_its_tag() {
        assert_eq!(
            forge("VG1.1.fO7PQD0HtpbJu1DB.VGtaswiiCdSvrK4-qZ36BQ"),
            "VG1.1.fO7PQD0HtpbJu1DB.AGtaswiiCdSvrK4-qZ36BQ"
        );
        assert_eq!(
            forge("VG1.1.fO7PQD0HtpbJu1DB.AGtaswiiCdSvrK4-qZ36BQ"),
            "VG1.1.fO7PQD0HtpbJu1DB.BGtaswiiCdSvrK4-qZ36BQ"
        );
    }
}
