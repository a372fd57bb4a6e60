//! What does a command say, and how does it look? A command returns a [`Report`]; the [`Printer`] is the one place
//! that writes it: for people, or as compact JSON and nothing else.
//!
//! Texts carry their colours as escape sequences; the printer takes them out where they are not wanted.

mod card;
mod paint;

use std::io::{ErrorKind, Write};
use std::pin::Pin;
use std::process::ExitCode;

use anstream::{AutoStream, ColorChoice};
use bytes::Bytes;
use comfy_table::{Attribute, Cell, Table, presets};
use futures_util::{Stream, StreamExt};
use serde::Serialize;

use crate::args::{Colour, Form, Global};
use crate::failure::{Exit, Failure};

pub(crate) use card::card;
pub(crate) use paint::{Tone, paint, status_cell};

/// Things that come one after another.
pub(crate) type Coming<T> = Pin<Box<dyn Stream<Item = Result<T, Failure>> + Send>>;

/// What a command has to say.
pub(crate) enum Report {
    /// One value.
    One(Shown),
    /// A list, as a table or a value a line.
    List(List),
    /// Values, each shown as it comes.
    Live(Coming<Shown>),
    /// A file, byte by byte as it comes.
    Bytes(Coming<Bytes>),
}

impl Report {
    /// One value, for people as its fields.
    pub(crate) fn card(value: &impl Serialize) -> Result<Self, Failure> {
        let json = json(value)?;
        let text = card(&json)?;
        Ok(Self::One(Shown {
            json,
            text,
            note: None,
            exit: Exit::Done,
        }))
    }

    /// One value and what it says to people.
    pub(crate) fn one(value: &impl Serialize, text: impl Into<String>) -> Result<Self, Failure> {
        Ok(Self::One(Shown::new(value, text)?))
    }

    /// A text that is done, such as a script.
    pub(crate) fn bytes(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self::Bytes(Box::pin(futures_util::stream::once(async move { Ok(bytes) })))
    }

    /// A list.
    pub(crate) fn list<T: Listed>(items: &[T]) -> Result<Self, Failure> {
        let rows = items
            .iter()
            .map(|item| Ok((json(item)?, item.cells())))
            .collect::<Result<_, Failure>>()?;
        Ok(Self::List(List { head: T::HEAD, rows }))
    }

    /// With a note for people beside it.
    #[must_use]
    pub(crate) fn noted(mut self, note: impl Into<String>) -> Self {
        if let Self::One(shown) = &mut self {
            shown.note = Some(note.into());
        }
        self
    }

    /// With an end other than [`Exit::Done`].
    #[must_use]
    pub(crate) fn ending(mut self, exit: Exit) -> Self {
        if let Self::One(shown) = &mut self {
            shown.exit = exit;
        }
        self
    }
}

/// A value in both its forms.
pub(crate) struct Shown {
    /// For programs: compact JSON.
    pub(crate) json: String,
    /// For people.
    pub(crate) text: String,
    /// What people should know beside it, on standard error.
    pub(crate) note: Option<String>,
    /// How the program ends for it.
    pub(crate) exit: Exit,
}

impl Shown {
    /// A value and what it says to people.
    pub(crate) fn new(value: &impl Serialize, text: impl Into<String>) -> Result<Self, Failure> {
        Ok(Self {
            json: json(value)?,
            text: text.into(),
            note: None,
            exit: Exit::Done,
        })
    }

    /// With an end other than [`Exit::Done`].
    #[must_use]
    pub(crate) fn ending(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }
}

/// A list in both its forms.
pub(crate) struct List {
    head: &'static [&'static str],
    rows: Vec<(String, Vec<Cell>)>,
}

/// What stands in a list: its JSON, and its cells under a head.
pub(crate) trait Listed: Serialize {
    /// The names of the columns.
    const HEAD: &'static [&'static str];
    /// What stands under them.
    fn cells(&self) -> Vec<Cell>;
}

/// The compact JSON of a value.
pub(crate) fn json(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(|error| Failure::unfit("the answer", error))
}

/// A table without lines, as other tools of the command line draw them.
pub(crate) fn table(head: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).enforce_styling();
    table.set_header(
        head.iter()
            .map(|name| Cell::new(name).add_attribute(Attribute::Bold)),
    );
    if let Some(first) = table.column_mut(0) {
        first.set_padding((0, 1));
    }
    table
}

/// Writes reports to standard output; failures and notes to standard error.
pub(crate) struct Printer {
    form: Form,
    quiet: bool,
    colour: ColorChoice,
}

impl Printer {
    /// The printer that the command line asks for.
    pub(crate) fn new(global: &Global) -> Self {
        let colour = match global.color {
            Colour::Auto => ColorChoice::Auto,
            Colour::Always => ColorChoice::Always,
            Colour::Never => ColorChoice::Never,
        };
        Self {
            form: global.output,
            quiet: global.quiet,
            colour,
        }
    }

    /// Writes a report, to its end.
    pub(crate) async fn print(&self, report: Report) -> Result<Exit, Failure> {
        let mut exit = Exit::Done;
        match report {
            Report::One(shown) => exit = self.shown(&shown)?,
            Report::List(list) => self.list(&list)?,
            Report::Live(mut coming) => {
                while let Some(shown) = coming.next().await {
                    exit = exit.and(self.shown(&shown?)?);
                }
            }
            Report::Bytes(mut coming) => {
                let mut out = std::io::stdout();
                while let Some(bytes) = coming.next().await {
                    out.write_all(&bytes?)?;
                }
                out.flush()?;
            }
        }
        Ok(exit)
    }

    /// Says what went wrong and what to do about it, and how the program ends.
    pub(crate) fn failure(&self, failure: &Failure) -> ExitCode {
        if failure.is_broken_pipe() {
            return Exit::Done.into();
        }
        self.remark(&paint(Tone::Bad, "Error"), &failure.to_string());
        if let Some(hint) = failure.hint() {
            self.remark(&paint(Tone::Note, "Hint"), &hint);
        }
        failure.exit().into()
    }

    fn shown(&self, shown: &Shown) -> Result<Exit, Failure> {
        match self.form {
            Form::Json => self.line(&shown.json)?,
            Form::Table => self.line(&shown.text)?,
        }
        if let Some(note) = shown.note.as_ref().filter(|_| !self.quiet) {
            self.remark(&paint(Tone::Note, "Note"), note);
        }
        Ok(shown.exit)
    }

    fn list(&self, list: &List) -> Result<(), Failure> {
        if self.form == Form::Json {
            return list.rows.iter().try_for_each(|(json, _)| self.line(json));
        }
        if list.rows.is_empty() {
            if !self.quiet {
                self.remark(&paint(Tone::Note, "Note"), "there are none");
            }
            return Ok(());
        }
        let mut table = table(list.head);
        for (_, cells) in &list.rows {
            table.add_row(cells.clone());
        }
        self.line(&trimmed(&table))
    }

    fn line(&self, text: &str) -> Result<(), Failure> {
        let mut out = AutoStream::new(std::io::stdout(), self.colour).lock();
        if !text.is_empty() {
            writeln!(out, "{text}")?;
        }
        // Whoever waits for an answer at the gate waits for this line.
        Ok(out.flush()?)
    }

    fn remark(&self, label: &str, text: &str) {
        let mut err = AutoStream::new(std::io::stderr(), self.colour).lock();
        match writeln!(err, "{label}: {text}") {
            Ok(()) => {}
            // There is nobody left to tell.
            Err(error) => debug_assert!(error.kind() != ErrorKind::InvalidInput),
        }
    }
}

/// A table's lines without the blanks that fill its last column.
pub(crate) fn trimmed(table: &Table) -> String {
    table.trim_fmt()
}
