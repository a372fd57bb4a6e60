//! What happens in the demo? One scan of every result; what is shown is what the server answered.

use std::time::Duration;

use serde::Serialize;
use voelgoed_scan_core::model::{Direction, RawScanRequest, Reason, ScanAnswer, ScanId, ScanResult};

use super::super::scan;
use super::stage::{Post, Stage};
use crate::failure::{Exit, Failure};
use crate::output::{Shown, Tone, paint};
use crate::world;

/// A scan, and what it should be answered.
pub(super) struct Scene<'a> {
    what: &'static str,
    post: &'a Post,
    qr: String,
    expected: Reason,
}

/// A scan that was answered.
#[derive(Serialize)]
pub(super) struct Played {
    scan: &'static str,
    expected: Reason,
    as_expected: bool,
    latency_ms: f64,
    answer: ScanAnswer,
}

/// One scene for every result; the invalid token has two.
pub(super) async fn scenes(stage: &Stage) -> Result<Vec<Scene<'_>>, Failure> {
    let voided = stage.ticket(2)?;
    stage.void(voided).await?;
    let scene = |what, post, qr, expected| Scene {
        what,
        post,
        qr,
        expected,
    };
    let main = &stage.main;
    Ok(vec![
        scene("a ticket", main, stage.first.clone(), Reason::Admitted),
        scene(
            "the same ticket again",
            main,
            stage.first.clone(),
            Reason::AlreadyScanned,
        ),
        scene(
            "a forged copy",
            main,
            forged(&stage.qr(stage.event, stage.ticket(1)?).await?),
            Reason::BadSignature,
        ),
        scene(
            "a ticket nobody sold",
            main,
            stage.of_nobody().await?,
            Reason::TicketNotFound,
        ),
        scene(
            "a ticket for another event",
            main,
            stage.qr(stage.other_event, stage.stray).await?,
            Reason::OtherEvent,
        ),
        scene(
            "a standard ticket at VIP",
            &stage.vip,
            stage.qr(stage.event, stage.ticket(1)?).await?,
            Reason::GateNotAllowed,
        ),
        scene(
            "a voided ticket",
            main,
            stage.qr(stage.event, voided).await?,
            Reason::TicketVoided,
        ),
    ])
}

/// The payload with the first character of its tag changed.
fn forged(qr: &str) -> String {
    match qr.rsplit_once('.') {
        Some((signed, tag)) => {
            let first = if tag.starts_with('A') { 'B' } else { 'A' };
            let rest: String = tag.chars().skip(1).collect();
            format!("{signed}.{first}{rest}")
        }
        None => qr.to_owned(),
    }
}

impl Scene<'_> {
    /// What stands over the scenes.
    pub(super) fn head() -> String {
        paint(
            Tone::Head,
            &row("SCANNED OVER HTTP", "GATE", "  ANSWER", "DECIDED BY", "TIME"),
        )
    }

    /// Scans, over HTTP, and measures from the request to the answer.
    pub(super) async fn play(self) -> Result<Played, Failure> {
        let request = RawScanRequest {
            qr: Some(self.qr),
            ticket_code: None,
            scan_id: Some(ScanId::generate(world::now())),
            scanned_at: None,
            direction: Direction::Entry,
            metadata: None,
            override_: None,
            dry_run: false,
        };
        let watch = world::stopwatch();
        let answer = scan::scan(&self.post.client, &request).await?;
        Ok(Played {
            scan: self.what,
            expected: self.expected,
            as_expected: answer.reason == self.expected && answer.result == self.expected.result(),
            latency_ms: millis(watch.elapsed()),
            answer,
        })
    }
}

/// Milliseconds to a hundredth.
fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 100_000.0).round() / 100.0
}

impl Played {
    /// A line of the table.
    pub(super) fn shown(&self) -> Result<Shown, Failure> {
        let answer = &self.answer;
        let (mark, tone) = match answer.result {
            ScanResult::Valid => ("✔", Tone::Good),
            _ => ("✘", Tone::Bad),
        };
        let verdict = format!("{mark} {} · {}", answer.result, answer.reason);
        let time = format!("{:.1} ms", self.latency_ms);
        let mut text = row(
            self.scan,
            &answer.gate.name,
            "\0",
            answer.decided_by.as_str(),
            &time,
        )
        .replace('\0', &paint(tone, &format!("{verdict:<36}")));
        if !self.as_expected {
            text.push_str(&paint(Tone::Bad, &format!("  expected {}", self.expected)));
        }
        let exit = if self.as_expected {
            Exit::Done
        } else {
            Exit::Failed
        };
        Ok(Shown::new(self, text)?.ending(exit))
    }
}

fn row(what: &str, gate: &str, answer: &str, by: &str, time: &str) -> String {
    let answer = if answer == "\0" {
        answer.to_owned()
    } else {
        format!("{answer:<36}")
    };
    format!("  {what:<28}{gate:<6}{answer}{by:<12}{time:>8}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forged_payload_differs_in_its_tag_alone() {
        assert_eq!(
            forged("VG1.1.fO7PQD0HtpbJu1DB.VGtaswiiCdSvrK4-qZ36BQ"),
            "VG1.1.fO7PQD0HtpbJu1DB.AGtaswiiCdSvrK4-qZ36BQ"
        );
        assert_eq!(
            forged("VG1.1.fO7PQD0HtpbJu1DB.AGtaswiiCdSvrK4-qZ36BQ"),
            "VG1.1.fO7PQD0HtpbJu1DB.BGtaswiiCdSvrK4-qZ36BQ"
        );
    }
}
