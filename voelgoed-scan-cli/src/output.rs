//! The output of the commands. A command returns a [`Report`]; the [`Printer`] writes it, as text for people or as
//! compact JSON for programs.
//!
//! Texts contain ANSI escape sequences for their styles. The printer removes them where colour is off.

mod field_list;
mod style;
mod table;

use std::io::{ErrorKind, Write};
use std::pin::Pin;
use std::process::ExitCode;

use anstream::{AutoStream, ColorChoice};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use serde::Serialize;

use crate::args::{ColorMode, Global, OutputFormat};
use crate::failure::{Exit, Failure};

pub(crate) use field_list::field_list;
pub(crate) use style::{TextStyle, status_cell, styled};
pub(crate) use table::{TableRow, align_right, new_table, render_table};

/// A stream whose items can fail.
pub(crate) type ResultStream<T> = Pin<Box<dyn Stream<Item = Result<T, Failure>> + Send>>;

/// The result of a command.
pub(crate) enum Report {
    /// One value.
    One(Item),
    /// A list: one table, or one JSON value a line.
    List(List),
    /// Values that are printed as they arrive.
    Stream(ResultStream<Item>),
    /// Raw bytes that are copied to standard output as they arrive.
    Bytes(ResultStream<Bytes>),
}

impl Report {
    /// One object, shown to people as a list of its fields.
    pub(crate) fn object(value: &impl Serialize) -> Result<Self, Failure> {
        let json = json(value)?;
        let text = field_list(&json)?;
        Ok(Self::One(Item {
            json,
            text,
            note: None,
            exit: Exit::Done,
        }))
    }

    /// One value with its text for people.
    pub(crate) fn one(value: &impl Serialize, text: impl Into<String>) -> Result<Self, Failure> {
        Ok(Self::One(Item::new(value, text)?))
    }

    /// Bytes that are complete already, such as a script.
    pub(crate) fn bytes(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self::Bytes(Box::pin(futures_util::stream::once(async move { Ok(bytes) })))
    }

    /// A list.
    pub(crate) fn list<T: TableRow>(items: &[T]) -> Result<Self, Failure> {
        let rows = items
            .iter()
            .map(|item| Ok((json(item)?, item.cells())))
            .collect::<Result<_, Failure>>()?;
        Ok(Self::List(List {
            columns: T::COLUMNS,
            rows,
        }))
    }

    /// A list whose cells depend on more than the items: the JSON of each row, and its cells.
    pub(crate) fn rows(
        columns: &'static [&'static str],
        rows: Vec<(String, Vec<comfy_table::Cell>)>,
    ) -> Self {
        Self::List(List { columns, rows })
    }

    /// One object, shown to people as a list of its fields, of which `shown` replaces some.
    pub(crate) fn object_shown(value: &impl Serialize, shown: &impl Serialize) -> Result<Self, Failure> {
        let text = field_list(&json(shown)?)?;
        Self::one(value, text)
    }

    /// Adds a note to a [`Report::One`]; other reports stay as they are.
    #[must_use]
    pub(crate) fn with_note(mut self, note: impl Into<String>) -> Self {
        if let Self::One(item) = &mut self {
            item.note = Some(note.into());
        }
        self
    }

    /// Sets the exit code of a [`Report::One`]; other reports stay as they are.
    #[must_use]
    pub(crate) fn with_exit(mut self, exit: Exit) -> Self {
        if let Self::One(item) = &mut self {
            item.exit = exit;
        }
        self
    }
}

/// One value of the output, in both formats.
pub(crate) struct Item {
    /// For programs: compact JSON. Nothing is printed where it is empty.
    pub(crate) json: String,
    /// For people. Nothing is printed where it is empty.
    pub(crate) text: String,
    /// A remark for people, printed to standard error.
    pub(crate) note: Option<String>,
    /// The exit code that this value asks for.
    pub(crate) exit: Exit,
}

impl Item {
    /// A value with its text for people.
    pub(crate) fn new(value: &impl Serialize, text: impl Into<String>) -> Result<Self, Failure> {
        Ok(Self {
            json: json(value)?,
            text: text.into(),
            note: None,
            exit: Exit::Done,
        })
    }

    /// Sets the exit code.
    #[must_use]
    pub(crate) fn with_exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }
}

/// A list in both formats: the JSON of each row, and its cells.
pub(crate) struct List {
    columns: &'static [&'static str],
    rows: Vec<(String, Vec<comfy_table::Cell>)>,
}

/// The compact JSON of a value.
pub(crate) fn json(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(|error| Failure::invalid("the answer", error))
}

/// Writes reports to standard output, and failures and notes to standard error.
pub(crate) struct Printer {
    format: OutputFormat,
    quiet: bool,
    color: ColorChoice,
}

impl Printer {
    /// A printer with the settings of the global options.
    pub(crate) fn new(global: &Global) -> Self {
        let color = match global.color {
            ColorMode::Auto => ColorChoice::Auto,
            ColorMode::Always => ColorChoice::Always,
            ColorMode::Never => ColorChoice::Never,
        };
        Self {
            format: global.output,
            quiet: global.quiet,
            color,
        }
    }

    /// Writes a report to its end. Returns the exit code: the first item's that is not [`Exit::Done`].
    pub(crate) async fn print(&self, report: Report) -> Result<Exit, Failure> {
        let mut exit = Exit::Done;
        match report {
            Report::One(item) => exit = self.print_item(&item)?,
            Report::List(list) => self.print_list(&list)?,
            Report::Stream(mut items) => {
                while let Some(item) = items.next().await {
                    exit = exit.or(self.print_item(&item?)?);
                }
            }
            Report::Bytes(mut chunks) => {
                let mut out = std::io::stdout();
                while let Some(bytes) = chunks.next().await {
                    out.write_all(&bytes?)?;
                }
                out.flush()?;
            }
        }
        Ok(exit)
    }

    /// Writes an error and its hint to standard error. Returns the exit code of the failure.
    pub(crate) fn print_failure(&self, failure: &Failure) -> ExitCode {
        if failure.is_broken_pipe() {
            return Exit::Done.into();
        }
        self.print_message(&styled(TextStyle::Error, "Error"), &failure.to_string());
        if let Some(hint) = failure.hint() {
            self.print_message(&styled(TextStyle::Info, "Hint"), &hint);
        }
        failure.exit().into()
    }

    fn print_item(&self, item: &Item) -> Result<Exit, Failure> {
        match self.format {
            OutputFormat::Json => self.print_text(&item.json)?,
            OutputFormat::Table => self.print_text(&item.text)?,
        }
        if let Some(note) = item.note.as_ref().filter(|_| !self.quiet) {
            self.print_message(&styled(TextStyle::Info, "Note"), note);
        }
        Ok(item.exit)
    }

    fn print_list(&self, list: &List) -> Result<(), Failure> {
        if self.format == OutputFormat::Json {
            return list.rows.iter().try_for_each(|(json, _)| self.print_text(json));
        }
        if list.rows.is_empty() {
            if !self.quiet {
                self.print_message(&styled(TextStyle::Info, "Note"), "the list is empty");
            }
            return Ok(());
        }
        let mut table = new_table(list.columns);
        for (_, cells) in &list.rows {
            table.add_row(cells.clone());
        }
        self.print_text(&render_table(&table))
    }

    fn print_text(&self, text: &str) -> Result<(), Failure> {
        let mut out = AutoStream::new(std::io::stdout(), self.color).lock();
        if !text.is_empty() {
            writeln!(out, "{text}")?;
        }
        // A program at the other end of a pipe waits for this line: do not leave it in the buffer.
        Ok(out.flush()?)
    }

    fn print_message(&self, label: &str, text: &str) {
        let mut err = AutoStream::new(std::io::stderr(), self.color).lock();
        match writeln!(err, "{label}: {text}") {
            Ok(()) => {}
            // Standard error is closed: there is no other place to report to.
            Err(error) => debug_assert!(error.kind() != ErrorKind::InvalidInput),
        }
    }
}
