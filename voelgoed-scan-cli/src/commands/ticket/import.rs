//! `ticket import`: uploads an NDJSON file of any size, and the parsing of the server's answer.

use std::path::PathBuf;

use clap::Args;
use futures_util::{StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use voelgoed_scan_core::model::{EventId, TicketCode, TicketId};

use crate::client::{self, Client, Upload};
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::{Item, Report, ResultStream, TextStyle, styled};

/// The arguments of `ticket import`.
#[derive(Debug, Args)]
#[command(after_help = "\
Each line is a JSON object. All fields are optional: code, id, status, ticket_class, gate_ids, seat, valid_from, \
valid_until, entry_limit, note, holder_name, order_ref, media. A line with the code of an existing ticket changes it: an \
absent field keeps its value, and null clears it. A line without a code is the ticket that has one of its media, or else a new one. \
Importing a file twice changes nothing more if all lines have codes or media. Invalid lines are rejected and reported, the other lines are imported; \
the command then exits 1.

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
    /// Also print the code and id of each line's ticket, before the counts
    #[arg(long)]
    return_codes: bool,
}

/// A line of the server's answer to an import.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum ImportLine {
    /// The counts: the last line.
    Counts(ImportCounts),
    /// The ticket of a line of the upload.
    Ticket(ImportedTicket),
}

/// The code and id of an imported ticket.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::commands) struct ImportedTicket {
    line: u64,
    pub(in crate::commands) code: TicketCode,
    pub(in crate::commands) id: TicketId,
}

/// The counts of an import.
#[derive(Debug, Serialize, Deserialize)]
struct ImportCounts {
    inserted: u64,
    updated: u64,
    unchanged: u64,
    rejected: u64,
    #[serde(default)]
    errors: Vec<LineError>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    new_ticket_classes: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    unknown_fields: Vec<String>,
}

/// A rejected line.
#[derive(Debug, Serialize, Deserialize)]
struct LineError {
    line: u64,
    message: String,
}

impl Import {
    pub(super) async fn run(self, context: &Context) -> Result<Report, Failure> {
        let client = context.client()?;
        let mut path = format!("/api/v1/events/{}/tickets", self.event);
        // A progress bar and output lines would overwrite each other on the terminal.
        let upload = Upload::of_file(&self.file, context.quiet || self.return_codes).await?;
        // A server that rejects the request closes the connection while the body is still being sent, and its answer
        // can get lost. An empty upload first makes sure that the answer arrives.
        drop(client.upload(&path, Upload::of_lines(std::iter::empty())).await?);
        if self.return_codes {
            path.push_str("?return=codes");
        }
        let lines = import_lines(client.upload(&path, upload).await?);
        Ok(Report::Stream(lines.map(|line| to_item(&line?)).boxed()))
    }
}

/// Imports `lines` and returns their tickets, in the order of the answer. Fails where a line is rejected.
pub(in crate::commands) async fn import_tickets(
    client: &Client,
    event: EventId,
    lines: impl Iterator<Item = String> + Send + 'static,
) -> Result<Vec<ImportedTicket>, Failure> {
    let path = format!("/api/v1/events/{event}/tickets?return=codes");
    let mut answer = import_lines(client.upload(&path, Upload::of_lines(lines)).await?);
    let mut tickets = Vec::new();
    while let Some(line) = answer.try_next().await? {
        match line {
            ImportLine::Ticket(ticket) => tickets.push(ticket),
            ImportLine::Counts(counts) => {
                if let Some(error) = counts.errors.into_iter().next() {
                    return Err(Failure::invalid("the ticket", error.message));
                }
            }
        }
    }
    Ok(tickets)
}

fn import_lines(answer: ResultStream<bytes::Bytes>) -> ResultStream<ImportLine> {
    client::lines(answer)
        .try_filter(|line| std::future::ready(!line.trim().is_empty()))
        .map(|line| {
            serde_json::from_str(&line?).map_err(|error| {
                Failure::invalid("the answer to the import", format!("cannot be read: {error}"))
            })
        })
        .boxed()
}

fn to_item(line: &ImportLine) -> Result<Item, Failure> {
    match line {
        ImportLine::Ticket(ticket) => Item::new(ticket, format!("{:>8}  {}", ticket.line, ticket.code)),
        ImportLine::Counts(counts) => {
            let exit = if counts.rejected == 0 {
                Exit::Done
            } else {
                Exit::Failed
            };
            Ok(Item::new(counts, counts.to_string())?.with_exit(exit))
        }
    }
}

impl std::fmt::Display for ImportCounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            inserted,
            updated,
            unchanged,
            rejected,
            errors,
            new_ticket_classes,
            unknown_fields,
        } = self;
        let mark = if *rejected == 0 {
            styled(TextStyle::Success, "✔")
        } else {
            styled(TextStyle::Error, "✘")
        };
        write!(
            f,
            "{mark} {inserted} inserted, {updated} updated, {unchanged} unchanged, {rejected} rejected"
        )?;
        for LineError { line, message } in errors {
            write!(f, "\n  line {line}: {message}")?;
        }
        if !new_ticket_classes.is_empty() {
            let names = new_ticket_classes.join(", ");
            write!(
                f,
                "\n  {}",
                styled(TextStyle::Info, &format!("new ticket classes: {names}"))
            )?;
        }
        if !unknown_fields.is_empty() {
            let names = unknown_fields.join(", ");
            write!(
                f,
                "\n  {}",
                styled(TextStyle::Warning, &format!("unknown fields, ignored: {names}"))
            )?;
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
    fn a_rejected_line_is_reported_and_fails_the_import() {
        let json = r#"{"inserted":1,"updated":0,"unchanged":0,"rejected":2,"errors":[{"line":3,"message":"entry_limit must be 1 to 255"}]}"#;
        let line: ImportLine = serde_json::from_str(json).expect("counts");
        let item = to_item(&line).expect("an item");
        assert_eq!(item.exit, Exit::Failed);
        assert_eq!(item.json, json);
        let text = anstream::adapter::strip_str(&item.text).to_string();
        assert!(text.contains("line 3: entry_limit"), "{text}");
        assert!(text.ends_with("and 1 more"), "{text}");
    }
}
