//! `ticket import`: a file of any size, streamed as the server takes it.

use std::path::PathBuf;

use clap::Args;
use futures_util::{StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use voelgoed_scan_core::model::{EventId, TicketCode, TicketId};

use crate::client::{self, Upload};
use crate::desk::Desk;
use crate::failure::{Exit, Failure};
use crate::output::{Coming, Report, Shown, Tone, paint};

/// What `ticket import` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
Each line is a JSON object; all of its fields are optional: code, id, status, ticket_class, gate_ids, seat, \
valid_from, valid_until, entry_limit, note, holder_name, order_ref. A ticket whose code is known is changed:
an absent field stays and null clears it. A line without a code makes a new ticket. Sending a file twice does \
no harm where its lines have codes. A bad line is rejected and named, the rest is taken; then it exits 1.

Examples:
  voelgoed-scan ticket import tickets.ndjson --event EVENT
  jq -c '.tickets[]' shop.json | voelgoed-scan ticket import - --event EVENT
  echo '{\"ticket_class\":\"VIP\",\"entry_limit\":2}' | voelgoed-scan ticket import - --event EVENT --return-codes")]
pub(crate) struct Import {
    /// The file; `-` is standard input
    file: PathBuf,
    /// The event that the tickets are for
    #[arg(long)]
    event: EventId,
    /// Print each line's code and id as well, before the counts
    #[arg(long)]
    return_codes: bool,
}

/// What a server says of an import, line by line.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(in crate::commands) enum Said {
    /// How it went: last.
    Counts(Counts),
    /// What became of a line.
    Line(Coded),
}

/// The code and id of a line's ticket.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::commands) struct Coded {
    pub(in crate::commands) line: u64,
    pub(in crate::commands) code: TicketCode,
    pub(in crate::commands) id: TicketId,
}

/// How an import went.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::commands) struct Counts {
    inserted: u64,
    updated: u64,
    unchanged: u64,
    rejected: u64,
    #[serde(default)]
    pub(in crate::commands) errors: Vec<LineError>,
}

/// A line that was rejected.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::commands) struct LineError {
    line: u64,
    pub(in crate::commands) message: String,
}

impl Import {
    pub(super) async fn run(self, desk: &Desk) -> Result<Report, Failure> {
        let client = desk.client()?;
        let mut path = format!("/api/v1/events/{}/tickets", self.event);
        // Lines that appear while a bar moves would tear it.
        let upload = Upload::of_file(&self.file, desk.quiet || self.return_codes).await?;
        // A server that says no closes the connection under a body that is still being sent, and what it said may be
        // lost. So it is asked first, with nothing to take.
        drop(client.upload(&path, Upload::of_lines(std::iter::empty())).await?);
        if self.return_codes {
            path.push_str("?return=codes");
        }
        let said = said(client.upload(&path, upload).await?);
        Ok(Report::Live(said.map(|said| shown(&said?)).boxed()))
    }
}

/// What the server says, line by line.
pub(in crate::commands) fn said(answer: Coming<bytes::Bytes>) -> Coming<Said> {
    client::lines(answer)
        .try_filter(|line| std::future::ready(!line.trim().is_empty()))
        .map(|line| {
            serde_json::from_str(&line?).map_err(|error| {
                Failure::unfit("the answer to the import", format!("cannot be read: {error}"))
            })
        })
        .boxed()
}

fn shown(said: &Said) -> Result<Shown, Failure> {
    match said {
        Said::Line(line) => Shown::new(line, format!("{:>8}  {}", line.line, line.code)),
        Said::Counts(counts) => {
            let exit = if counts.rejected == 0 {
                Exit::Done
            } else {
                Exit::Failed
            };
            Ok(Shown::new(counts, counts.to_string())?.ending(exit))
        }
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            inserted,
            updated,
            unchanged,
            rejected,
            errors,
        } = self;
        let mark = if *rejected == 0 {
            paint(Tone::Good, "✔")
        } else {
            paint(Tone::Bad, "✘")
        };
        write!(
            f,
            "{mark} {inserted} inserted, {updated} updated, {unchanged} unchanged, {rejected} rejected"
        )?;
        for LineError { line, message } in errors {
            write!(f, "\n  line {line}: {message}")?;
        }
        let listed = u64::try_from(errors.len()).unwrap_or(u64::MAX);
        match rejected.saturating_sub(listed) {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejected_line_is_named_and_makes_the_import_fail() {
        let json = r#"{"inserted":1,"updated":0,"unchanged":0,"rejected":2,"errors":[{"line":3,"message":"entry_limit must be 1 to 255"}]}"#;
        let said: Said = serde_json::from_str(json).expect("counts");
        let shown = shown(&said).expect("shown");
        assert_eq!(shown.exit, Exit::Failed);
        assert_eq!(shown.json, json);
        let text = anstream::adapter::strip_str(&shown.text).to_string();
        assert!(text.contains("line 3: entry_limit"), "{text}");
        assert!(text.ends_with("and 1 more"), "{text}");
    }
}
