//! `ticket issue`: so many new tickets, with their QR codes.

use std::num::{NonZeroU8, NonZeroU32};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use comfy_table::Cell;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use voelgoed_scan_core::model::{ClassName, EventId, GateId, KeyFormat, TicketCode, TicketId};

use super::super::typed::word;
use super::import::{Said, said};
use crate::client::{Client, Upload};
use crate::desk::Desk;
use crate::failure::Failure;
use crate::output::{Listed, Report};
use crate::progress;

/// How many QR codes are fetched side by side.
const AT_ONCE: usize = 8;

/// What `ticket issue` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
With --qr-dir each ticket's QR code becomes a file named by its code. Whoever has a code or its QR has the \
ticket: keep them as you would keep money.

Examples:
  voelgoed-scan ticket issue --event EVENT --count 50
  voelgoed-scan ticket issue --event EVENT --count 10 --class VIP --qr-dir vip --as png
  voelgoed-scan ticket issue --event EVENT --count 1 --entry-limit 4 --format vg2 --qr-dir family")]
pub(crate) struct Issue {
    /// The event that the tickets are for
    #[arg(long)]
    event: EventId,
    /// How many
    #[arg(long, value_name = "N")]
    count: NonZeroU32,
    /// Their ticket class
    #[arg(long, value_name = "NAME")]
    class: Option<ClassName>,
    /// How many people each admits; 1 where it is not given
    #[arg(long, value_name = "N")]
    entry_limit: Option<NonZeroU8>,
    /// A gate that lets them in; may be given several times. All gates where it is not given
    #[arg(long = "gate", value_name = "GATE")]
    gates: Vec<GateId>,
    /// Write each ticket's QR code into this folder
    #[arg(long, value_name = "DIR")]
    qr_dir: Option<PathBuf>,
    /// What the files are
    #[arg(long = "as", value_enum, default_value_t = Drawing::Svg, requires = "qr_dir")]
    drawing: Drawing,
    /// What signs the QR codes: vg1 is small, vg2 can be verified offline
    #[arg(long, default_value = "vg1", value_parser = word::<KeyFormat>(KeyFormat::STRINGS), requires = "qr_dir")]
    format: KeyFormat,
}

/// What a QR file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Drawing {
    /// Scalable Vector Graphics.
    Svg,
    /// Portable Network Graphics.
    Png,
}

impl Drawing {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Svg => "svg",
            Self::Png => "png",
        }
    }
}

#[derive(Clone, Serialize)]
struct Line {
    #[serde(skip_serializing_if = "Option::is_none")]
    ticket_class: Option<ClassName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entry_limit: Option<NonZeroU8>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    gate_ids: Vec<GateId>,
}

/// A ticket that was issued.
#[derive(Serialize)]
struct Issued {
    code: TicketCode,
    id: TicketId,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
}

impl Listed for Issued {
    const HEAD: &'static [&'static str] = &["CODE", "ID", "FILE"];

    fn cells(&self) -> Vec<Cell> {
        let file = self
            .file
            .as_ref()
            .map_or_else(|| "-".to_owned(), |file| file.display().to_string());
        vec![Cell::new(self.code), Cell::new(self.id), Cell::new(file)]
    }
}

impl Issue {
    pub(super) async fn run(self, desk: &Desk) -> Result<Report, Failure> {
        let client = desk.client()?;
        // Before there are tickets whose QR codes have nowhere to go.
        if let Some(dir) = &self.qr_dir {
            std::fs::create_dir_all(dir).map_err(|error| Failure::File {
                path: dir.clone(),
                error,
            })?;
        }
        let mut issued = self.issue(&client).await?;
        if let Some(dir) = &self.qr_dir {
            let bar = progress::things(u64::from(self.count.get()), desk.quiet);
            issued = stream::iter(issued)
                .map(|ticket| self.draw(&client, dir, ticket))
                .buffered(AT_ONCE)
                .inspect(|_| bar.inc(1))
                .try_collect()
                .await?;
            bar.finish_and_clear();
        }
        Report::list(&issued)
    }

    async fn issue(&self, client: &Client) -> Result<Vec<Issued>, Failure> {
        let line = Line {
            ticket_class: self.class.clone(),
            entry_limit: self.entry_limit,
            gate_ids: self.gates.clone(),
        };
        let json = crate::output::json(&line)?;
        let count = usize::try_from(self.count.get()).unwrap_or(usize::MAX);
        let upload = Upload::of_lines(std::iter::repeat_n(json, count));
        let path = format!("/api/v1/events/{}/tickets?return=codes", self.event);
        let mut answer = said(client.upload(&path, upload).await?);
        let mut issued = Vec::with_capacity(count);
        while let Some(said) = answer.try_next().await? {
            match said {
                Said::Line(line) => issued.push(Issued {
                    code: line.code,
                    id: line.id,
                    file: None,
                }),
                Said::Counts(counts) => {
                    if let Some(error) = counts.errors.into_iter().next() {
                        return Err(Failure::unfit("the ticket", error.message));
                    }
                }
            }
        }
        Ok(issued)
    }

    async fn draw(&self, client: &Client, dir: &Path, ticket: Issued) -> Result<Issued, Failure> {
        let (format, drawing) = (self.format, self.drawing.as_str());
        let path = format!(
            "/api/v1/events/{}/tickets/{}/qr?format={format}&as={drawing}",
            self.event, ticket.code
        );
        let bytes = client.file(&path).await?;
        let file = dir.join(format!("{}.{drawing}", ticket.code));
        tokio::fs::write(&file, &bytes)
            .await
            .map_err(|error| Failure::File {
                path: file.clone(),
                error,
            })?;
        Ok(Issued {
            file: Some(file),
            ..ticket
        })
    }
}
