//! `replay --what-if`: decides a file of past scans under other settings and sends nothing.
//!
//! Invariant: the memory depends on the tickets of the events in the file, not on its lines.

mod events;
mod settings;

use futures_util::stream;
use jiff::tz::TimeZone;
use serde::Serialize;
use voelgoed_scan_core::model::{Reason, ScanId, ScanResult, TicketCode, Timestamp};

use self::events::{Decided, WhatIfEvents};
pub(super) use self::settings::Settings;
use super::comparison::{Comparison, Now};
use super::past_scan::PastScan;
use super::reader::{InputLine, Reader};
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::{Item, Report, TextStyle, styled};
use crate::view::View;

/// A scan that is decided differently.
#[derive(Debug, Serialize)]
struct Difference {
    scan_id: ScanId,
    /// The result on record.
    recorded: ScanResult,
    /// The result under the other settings.
    now: ScanResult,
    recorded_reason: Option<Reason>,
    now_reason: Reason,
    scanned_at: Timestamp,
    /// The ticket, where the payload was valid.
    #[serde(skip)]
    ticket_code: Option<TicketCode>,
    /// The time zone of the event, where it is known.
    #[serde(skip)]
    zone: Option<TimeZone>,
}

/// What became of the lines.
#[derive(Default)]
struct Summary {
    comparison: Comparison,
    /// Lines that are no scans, by number.
    invalid: u64,
    first_invalid: Option<(u64, String)>,
    /// Scans of tickets, gates or events that the server does not have.
    unknown: u64,
    /// Scans without a result on record: they count, but nothing can be compared.
    without_result: u64,
    without_ticket: u64,
}

/// A file that is decided line by line.
struct Decider {
    reader: Reader,
    events: WhatIfEvents,
    summary: Summary,
    last: Option<(Timestamp, u64)>,
}

/// Decides all lines. Each difference is a line, and a table for people sums up.
pub(super) fn run(reader: Reader, settings: Settings, context: &Context) -> Result<Report, Failure> {
    let decider = Decider {
        reader,
        events: WhatIfEvents::new(context.client()?, settings),
        summary: Summary::default(),
        last: None,
    };
    let view = context.view;
    let items = stream::try_unfold(Some(decider), move |decider| async move {
        let Some(mut decider) = decider else {
            return Ok(None);
        };
        match decider.next_difference().await? {
            Some(difference) => {
                let item = Item::new(&difference, difference.text(view))?;
                Ok(Some((item, Some(decider))))
            }
            None => Ok(Some((decider.summary.into_item(), None))),
        }
    });
    Ok(Report::Stream(Box::pin(items)))
}

impl Difference {
    /// One line: when, which ticket, what it was and what it is now.
    fn text(&self, view: View) -> String {
        let at = view.time(self.scanned_at, self.zone.as_ref());
        let ticket = self
            .ticket_code
            .map_or_else(|| "-".to_owned(), |code| view.code(code));
        let recorded = match self.recorded_reason {
            Some(reason) => format!("{} ({reason})", self.recorded),
            None => self.recorded.to_string(),
        };
        let now = format!("{} ({})", self.now, self.now_reason);
        let mut text = format!("{at}  {ticket:<16}  {recorded} -> {now}");
        if view.ids {
            text.push_str("  ");
            text.push_str(&self.scan_id.to_string());
        }
        text
    }
}

impl Decider {
    /// Decides lines up to the next one whose result differs. `None` at the end.
    async fn next_difference(&mut self) -> Result<Option<Difference>, Failure> {
        while let Some(line) = tokio::task::block_in_place(|| self.reader.next()) {
            if let Some(difference) = self.decide(line?).await? {
                return Ok(Some(difference));
            }
        }
        Ok(None)
    }

    async fn decide(&mut self, line: InputLine) -> Result<Option<Difference>, Failure> {
        let number = line.number;
        let scan = match line.scan {
            Ok(scan) => scan,
            Err(reason) => {
                self.summary.invalid += 1;
                self.summary.first_invalid.get_or_insert((number, reason));
                return Ok(None);
            }
        };
        self.check_order(&scan, number)?;
        let (recorded_result, recorded_reason) = (scan.recorded_result(), scan.recorded_reason());
        let Some(recorded) = scan.to_recorded(number, &line.text) else {
            self.summary.without_ticket += 1;
            return Ok(None);
        };
        let Some(Decided {
            reason: now_reason,
            zone,
        }) = self.events.decide(&scan, &recorded, number).await?
        else {
            self.summary.unknown += 1;
            return Ok(None);
        };
        let Some(recorded_result) = recorded_result else {
            self.summary.without_result += 1;
            return Ok(None);
        };
        let now = now_reason.result();
        self.summary
            .comparison
            .add(recorded_result, Now::Decided(now), recorded.direction);
        Ok((now != recorded_result).then_some(Difference {
            scan_id: recorded.scan_id,
            recorded: recorded_result,
            now,
            recorded_reason,
            now_reason,
            scanned_at: recorded.at,
            ticket_code: recorded.ticket_code,
            zone,
        }))
    }

    /// Fails where a line is earlier than the one before: the decisions depend on the order.
    fn check_order(&mut self, scan: &PastScan, number: u64) -> Result<(), Failure> {
        let at = scan.at();
        if let Some((_, before)) = self.last.filter(|(last, _)| at < *last) {
            return Err(Failure::Invalid {
                what: format!("line {number}"),
                reason: format!("is a scan from before that of line {before}"),
                hint: Some("sort the file by scanned_at, as scans export does"),
            });
        }
        self.last = Some((at, number));
        Ok(())
    }
}

impl Summary {
    fn text(&self) -> String {
        let head = format!(
            "{} scans decided, {} different, nothing sent",
            self.comparison.scans(),
            self.comparison.differences()
        );
        // An empty line is between the differences and their sums.
        let gap = if self.comparison.differences() > 0 {
            "\n"
        } else {
            ""
        };
        format!(
            "{gap}{}\n\n{}",
            styled(TextStyle::Heading, &head),
            self.comparison.table()
        )
    }

    /// What could not be decided or compared.
    fn remarks(&self) -> Vec<String> {
        let counts = [
            (
                self.unknown,
                "scans of gates or tickets that the server does not have",
            ),
            (
                self.without_result,
                "scans without a result on record: decided, not compared",
            ),
            (self.without_ticket, "scans without a ticket code and a result"),
        ];
        let mut remarks: Vec<_> = counts
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        if let Some((line, reason)) = &self.first_invalid {
            remarks.push(format!(
                "{} lines that are no scans, the first is line {line}: {reason}",
                self.invalid
            ));
        }
        remarks
    }

    /// Failed where a scan of the file was not decided.
    const fn exit(&self) -> Exit {
        if self.unknown > 0 || self.invalid > 0 || self.without_ticket > 0 {
            Exit::Failed
        } else {
            Exit::Done
        }
    }

    /// The end of the output: the table for people, and the remarks.
    fn into_item(self) -> Item {
        let remarks = self.remarks();
        Item {
            json: String::new(),
            text: self.text(),
            note: (!remarks.is_empty()).then(|| remarks.join("; ")),
            exit: self.exit(),
        }
    }
}
