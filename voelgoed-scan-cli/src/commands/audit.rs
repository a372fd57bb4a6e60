//! `audit`: lists the audit log, and verifies a copy of it without a server.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use comfy_table::Cell;
use serde::Serialize;
use voelgoed_scan_core::audit::{AuditFault, AuditHead, verify_lines};
use voelgoed_scan_core::model::{AuditActor, AuditChanges, AuditEntry, Timestamp, hex};

use crate::args::OutputFormat;
use crate::client::Query;
use crate::context::Context;
use crate::env::BYTE_ORDER_MARK;
use crate::failure::{Exit, Failure};
use crate::output::{Report, TableRow, TextStyle, styled};

const AUDIT: &str = "/api/v1/audit";

/// The subcommands of `audit`.
#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// List the audit log (owner's or admin's key)
    #[command(after_help = "\
The table shows the newest entries first. With --output json, all entries come as NDJSON, oldest first, as `audit verify` \
reads them.

Examples:
  voelgoed-scan audit list --action device.*
  voelgoed-scan audit list --actor api_key --from 2026-11-22T18:00:00Z
  voelgoed-scan audit list --subject event:0192f0c1-7a4e-7000-8000-000000000002
  voelgoed-scan audit list --output json > audit.ndjson")]
    List {
        /// Only entries of this actor: a kind (`api_key`, `device`, `cli`, `system`), an id, or both (`api_key:ID`)
        #[arg(long)]
        actor: Option<String>,
        /// Only entries with this action, such as `event.update`, or with all actions on a kind of subject (`device.*`)
        #[arg(long)]
        action: Option<String>,
        /// Only entries about this subject: a kind, an id, or both (`event:ID`)
        #[arg(long)]
        subject: Option<String>,
        /// Only entries at or after this time (RFC 3339)
        #[arg(long, value_name = "TIME")]
        from: Option<Timestamp>,
        /// Only entries up to this time (RFC 3339)
        #[arg(long, value_name = "TIME")]
        to: Option<Timestamp>,
        /// The maximum number of entries in the table
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: usize,
    },
    /// Show the public key that the entries are signed with (owner's or admin's key)
    #[command(after_help = "Examples:\n  voelgoed-scan audit key")]
    Key,
    /// Verify a copy of the audit log, without a server
    #[command(after_help = "\
Reads the whole log as NDJSON, oldest first, from a file or from standard input (-). Names the first entry that was changed, \
cut out, put in or swapped, and exits with 1. Prints the head that it reached: note it, and give it with --head next time, \
so that a missing tail is found too.

The key is the organization's manifest key in hexadecimal digits, as `audit key` shows it. Note it where the administrators of \
the server cannot change it.

Examples:
  voelgoed-scan audit list --output json > audit.ndjson
  voelgoed-scan audit verify audit.ndjson --public-key 9407f867bcd6e745...
  voelgoed-scan audit list --output json | voelgoed-scan audit verify - --public-key 9407f867... \\
      --head 1042:1f3ba2d7c0a4...")]
    Verify {
        /// The copy of the log; `-` is standard input
        file: PathBuf,
        /// The organization's manifest key, 64 hexadecimal digits
        #[arg(long, value_name = "HEX", value_parser = hex::decode::<32>)]
        public_key: [u8; 32],
        /// The head that an earlier verification reached
        #[arg(long, value_name = "SEQUENCE:HASH")]
        head: Option<AuditHead>,
    },
}

/// The result for an intact log.
#[derive(Serialize)]
struct Intact {
    intact: bool,
    entries: i64,
    head: Option<String>,
}

/// The result for a log that is not intact.
#[derive(Serialize)]
struct Broken {
    intact: bool,
    fault: &'static str,
    sequence: Option<i64>,
    line: Option<usize>,
    message: String,
}

impl Audit {
    pub(super) async fn run(self, context: &Context) -> Result<Report, Failure> {
        match self {
            Self::List {
                actor,
                action,
                subject,
                from,
                to,
                limit,
            } => {
                let client = context.client()?;
                let mut query = Query::new(AUDIT);
                query.add("actor", actor);
                query.add("action", action);
                query.add("subject", subject);
                query.add("from", from);
                query.add("to", to);
                match context.output {
                    OutputFormat::Json => Ok(Report::Bytes(
                        client.stream(&query.path(), "application/x-ndjson").await?,
                    )),
                    OutputFormat::Table => {
                        Report::list(&client.first::<AuditEntry>(&query.path(), limit).await?)
                    }
                }
            }
            Self::Key => {
                let key: serde_json::Value = context.client()?.get(&format!("{AUDIT}/key")).await?;
                Report::object(&key)
            }
            Self::Verify {
                file,
                public_key,
                head,
            } => {
                let text = read(&file)?;
                let text = text.trim_start_matches(BYTE_ORDER_MARK);
                report(verify_lines(text.lines(), &public_key, head))
            }
        }
    }
}

fn read(file: &Path) -> Result<String, Failure> {
    let failed = |error| Failure::file(file, error);
    if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map_err(failed)?;
        return Ok(text);
    }
    std::fs::read_to_string(file).map_err(failed)
}

fn report(verified: Result<Option<AuditHead>, AuditFault>) -> Result<Report, Failure> {
    match verified {
        Ok(head) => {
            let entries = head.map_or(0, |head| head.sequence);
            let head = head.map(|head| head.to_string());
            let reached = head.as_ref().map_or_else(
                || "the log is empty".to_owned(),
                |head| format!("all {entries} entries are intact\nHead: {head}"),
            );
            let text = format!("{} {reached}", styled(TextStyle::Success, "✔"));
            Report::one(
                &Intact {
                    intact: true,
                    entries,
                    head,
                },
                text,
            )
        }
        Err(fault) => {
            let (name, sequence, line) = described(fault);
            let message = fault.to_string();
            let text = format!("{} {message}", styled(TextStyle::Error, "✘"));
            let broken = Broken {
                intact: false,
                fault: name,
                sequence,
                line,
                message,
            };
            Ok(Report::one(&broken, text)?.with_exit(Exit::Failed))
        }
    }
}

/// The name of a fault, the first entry that it concerns, and its line.
fn described(fault: AuditFault) -> (&'static str, Option<i64>, Option<usize>) {
    match fault {
        AuditFault::WrongKey => ("wrong_key", None, None),
        AuditFault::Unreadable { sequence, line } => ("unreadable", Some(sequence), Some(line)),
        AuditFault::Changed { sequence, line } => ("changed", Some(sequence), Some(line)),
        AuditFault::CutOut { first, line, .. } => ("cut_out", Some(first), Some(line)),
        AuditFault::PutIn { sequence, line } => ("put_in", Some(sequence), Some(line)),
        AuditFault::Swapped { due, line, .. } => ("swapped", Some(due), Some(line)),
        AuditFault::OtherChain { sequence, line } => ("other_chain", Some(sequence), Some(line)),
        AuditFault::MissingTail { first, .. } => ("missing_tail", Some(first), None),
        AuditFault::OtherHead { sequence } => ("other_head", Some(sequence), None),
    }
}

fn actor(actor: &AuditActor) -> String {
    match (&actor.name, actor.id) {
        (Some(name), _) => format!("{} {name}", actor.kind),
        (None, Some(id)) => format!("{} {id}", actor.kind),
        (None, None) => actor.kind.to_string(),
    }
}

fn changes(changes: &AuditChanges) -> String {
    let lines = changes
        .iter()
        .map(|(field, [before, after])| format!("{field}: {before} -> {after}"));
    lines.collect::<Vec<_>>().join("\n")
}

impl TableRow for AuditEntry {
    const COLUMNS: &'static [&'static str] =
        &["NO", "TIME", "ACTOR", "ACTION", "SUBJECT", "CHANGES", "ADDRESS"];

    fn cells(&self) -> Vec<Cell> {
        let address = self
            .address
            .map_or_else(|| "-".to_owned(), |address| address.to_string());
        vec![
            Cell::new(self.sequence),
            Cell::new(self.at),
            Cell::new(actor(&self.actor)),
            Cell::new(self.action),
            Cell::new(format!("{} {}", self.subject.kind, self.subject.id)),
            Cell::new(changes(&self.changes)),
            Cell::new(address),
        ]
    }
}
