//! `report`: shows the figures of an event, as a table, JSON, CSV or PDF.

mod csv;
mod pages;
mod sections;

use std::io::IsTerminal as _;

use clap::{Args, ValueEnum};
use voelgoed_scan_core::report::EventReport;

use self::sections::Section;
use crate::args::OutputFormat;
use crate::context::Context;
use crate::env;
use crate::failure::Failure;
use crate::names::NamedEvent;
use crate::output::{Report as Output, TextStyle, new_table, render_table, styled};
use crate::view::View;

/// The arguments of `report`.
#[derive(Debug, Args)]
#[command(after_help = "\
Sold tickets are all but voided and refunded ones. A ticket came if it let at least one person in who was not undone. \
Arrivals are the people let in, by gate and quarter of an hour, in the event's time zone. Denials are scans, so one person may \
cause several. People whom an offline device let in against the rules have arrived; their scans are among the denials and the \
conflicts.

Table, CSV and PDF show the last four characters of ticket codes, or with --codes whole ones. JSON has whole codes where the key may see them. The rows of \
the CSV begin with the name of their section.

Examples:
  voelgoed-scan report EVENT
  voelgoed-scan report EVENT --format json | jq '.classes'
  voelgoed-scan report EVENT --format csv > report.csv
  voelgoed-scan report EVENT --format pdf > report.pdf")]
pub(crate) struct Report {
    /// The event
    #[arg(env = env::EVENT)]
    event: NamedEvent,
    /// Format of the report [default: that of --output]
    #[arg(long, value_enum)]
    format: Option<Format>,
}

/// The formats of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Tables for people.
    Table,
    /// One JSON object.
    Json,
    /// Comma-separated values for spreadsheets.
    Csv,
    /// Pages to print.
    Pdf,
}

impl Report {
    pub(super) async fn run(self, context: &Context) -> Result<Output, Failure> {
        let format = self.format.unwrap_or(match context.output {
            OutputFormat::Table => Format::Table,
            OutputFormat::Json => Format::Json,
        });
        if format == Format::Pdf && std::io::stdout().is_terminal() {
            return Err(Failure::Usage {
                reason: "a PDF is nothing for a terminal".to_owned(),
                hint: "write it to a file: voelgoed-scan report EVENT --format pdf > report.pdf",
            });
        }
        let client = context.client()?;
        context.view.check_codes(&client).await?;
        let event = self.event.id(&client).await?;
        let path = format!("/api/v1/scanning/events/{event}/report");
        let report: EventReport = client.get_patiently(&path).await?;
        match format {
            Format::Table => Output::one(&report, tables(&report, context.view)),
            Format::Json => {
                let mut json = crate::output::json(&report)?;
                json.push('\n');
                Ok(Output::bytes(json))
            }
            Format::Csv => Ok(Output::bytes(csv::csv(&sections::for_spreadsheets(
                &report,
                context.view,
            ))?)),
            Format::Pdf => Ok(Output::bytes(pages::pdf(
                &report,
                &sections::for_people(&report, context.view),
            ))),
        }
    }
}

/// All sections as tables.
fn tables(report: &EventReport, view: View) -> String {
    let mut parts = Vec::new();
    for section in sections::for_people(report, view) {
        parts.push(styled(TextStyle::Heading, section.title));
        if section.rows.is_empty() {
            parts.push(format!("{}\n", styled(TextStyle::Dim, "none")));
            continue;
        }
        parts.push(render_section(&section));
        if let Some(note) = &section.note {
            parts.push(styled(TextStyle::Dim, note));
        }
        parts.push(String::new());
    }
    parts.join("\n").trim_end().to_owned()
}

fn render_section(section: &Section) -> String {
    let columns: Vec<_> = section.columns.iter().map(String::as_str).collect();
    let mut table = new_table(&columns);
    for row in &section.rows {
        table.add_row(row);
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        if section.is_numeric(index) {
            column.set_cell_alignment(comfy_table::CellAlignment::Right);
        }
    }
    render_table(&table)
}
