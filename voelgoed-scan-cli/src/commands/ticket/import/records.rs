//! The tickets of a file, whatever its form: each as a line of the import, or why it is none.
//!
//! Invariant: reading a file twice with the same settings gives the same records.

use std::io::Error;

use indicatif::ProgressBar;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};

use super::columns::{ColumnNames, Columns};
use super::csv_records::{CsvRecord, CsvRecords};
use super::fields::{Field, Fields};
use super::json_array::JsonArray;
use super::presets::Preset;
use super::pretix_orders::{PretixOrders, PretixTicket};
use super::source::{Form, Line, Source, TextLines, Unreadable};
use super::ticket_line::{Foreign, LeftOut, check, to_line};
use crate::failure::Failure;

/// How a file is read.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) names: ColumnNames,
    /// Whether unknown columns reject the file.
    pub(super) strict: bool,
    /// The time zone of the event.
    pub(super) zone: TimeZone,
}

/// A ticket of a file.
#[derive(Debug)]
pub(super) struct Record {
    /// The number of its line, or of the entry of a JSON array, from 1.
    pub(super) number: u64,
    /// Its text as it was.
    pub(super) text: String,
    pub(super) outcome: Outcome,
}

/// What becomes of a record.
#[derive(Debug)]
pub(super) enum Outcome {
    /// A line for the server.
    Line(String),
    /// It is rejected, for this reason.
    Rejected(String),
    /// It is left out, with its order.
    LeftOut(LeftOut, String),
}

/// The records of a file.
pub(super) struct Records {
    settings: Settings,
    form: RecordForm,
}

enum RecordForm {
    Objects(TextLines),
    Array(JsonArray, u64),
    Csv {
        records: Box<CsvRecords>,
        header: CsvRecord,
        columns: Columns,
    },
    Pretix(Box<dyn Iterator<Item = PretixTicket> + Send>, u64),
    /// A table without a header.
    Empty,
}

impl Records {
    /// Reads a file from its beginning.
    pub(super) fn open(source: &Source, settings: &Settings, bar: &ProgressBar) -> Result<Self, Failure> {
        let text = source.text(bar)?;
        let form = match source.form {
            Form::Objects | Form::Array if settings.names.preset == Some(Preset::Pretix) => {
                let orders = PretixOrders::parse(text).map_err(|reason| Failure::Usage {
                    reason: format!("{} {reason}", source.name()),
                    hint: "export \"Order data\" as JSON, or a check-in list as CSV",
                })?;
                RecordForm::Pretix(Box::new(orders.into_tickets()), 0)
            }
            Form::Objects => RecordForm::Objects(TextLines::new(text)),
            Form::Array => RecordForm::Array(JsonArray::new(text), 0),
            Form::Csv => {
                let table = CsvRecords::with_header(TextLines::new(text));
                match table.map_err(|error| source.unreadable(error))? {
                    Some((records, header)) => table_form(source, settings, records, header)?,
                    None => RecordForm::Empty,
                }
            }
        };
        Ok(Self {
            settings: settings.clone(),
            form,
        })
    }

    /// The columns that hold nothing that an import reads.
    pub(super) fn ignored_columns(&self) -> &[String] {
        match &self.form {
            RecordForm::Csv { columns, .. } => &columns.ignored,
            _ => &[],
        }
    }

    /// The header of a table, and its delimiter.
    pub(super) fn header(&self) -> Option<(&str, char)> {
        match &self.form {
            RecordForm::Csv { records, header, .. } => Some((&header.text, records.delimiter())),
            _ => None,
        }
    }

    /// The next record; `None` after the last.
    pub(super) fn next_record(&mut self) -> Result<Option<Record>, Error> {
        let settings = &self.settings;
        Ok(match &mut self.form {
            RecordForm::Empty => None,
            RecordForm::Objects(lines) => next_object(lines, settings)?,
            RecordForm::Array(entries, number) => entries.next_entry()?.map(|entry| {
                *number += 1;
                let (text, outcome) = match entry {
                    Ok(text) => {
                        let outcome = of_object(&text, settings);
                        (text, outcome)
                    }
                    Err(shown) => (shown, Outcome::Rejected("is longer than 64 KiB".to_owned())),
                };
                let number = *number;
                Record {
                    number,
                    text,
                    outcome,
                }
            }),
            RecordForm::Csv { records, columns, .. } => records.next_record()?.map(|record| {
                let CsvRecord { line, text, cells } = record;
                let fields = match cells {
                    Ok(cells) => columns.fields(&cells),
                    Err(reason) => Err(reason.to_owned()),
                };
                let outcome = fields.map_or_else(Outcome::Rejected, |fields| of_fields(fields, settings));
                let number = line;
                Record {
                    number,
                    text,
                    outcome,
                }
            }),
            RecordForm::Pretix(tickets, number) => tickets.next().map(|ticket| {
                *number += 1;
                let outcome = match ticket.fields {
                    Ok(fields) => match of_fields(fields, settings) {
                        Outcome::LeftOut(why, _) => Outcome::LeftOut(why, ticket.order),
                        other => other,
                    },
                    Err(reason) => Outcome::Rejected(reason),
                };
                let (number, text) = (*number, ticket.text);
                Record {
                    number,
                    text,
                    outcome,
                }
            }),
        })
    }
}

fn table_form(
    source: &Source,
    settings: &Settings,
    records: CsvRecords,
    header: CsvRecord,
) -> Result<RecordForm, Failure> {
    let cells = header.cells.as_ref().map_err(|reason| Failure::Usage {
        reason: format!("the header of {} {reason}", source.name()),
        hint: "save the table as CSV in UTF-8",
    })?;
    let columns = settings.names.resolve(cells)?;
    if settings.strict && !columns.ignored.is_empty() {
        return Err(Failure::Usage {
            reason: format!(
                "{} has unknown columns: {}",
                source.name(),
                columns.ignored.join(", ")
            ),
            hint: "take them out, name them with --map FIELD=COLUMN, or import without --strict",
        });
    }
    Ok(RecordForm::Csv {
        records: Box::new(records),
        header,
        columns,
    })
}

/// The next line that is neither empty nor a note.
fn next_object(lines: &mut TextLines, settings: &Settings) -> Result<Option<Record>, Error> {
    while let Some(Line { number, text }) = lines.next_line()? {
        let (text, outcome) = match text {
            Ok(text) => {
                let text = text.trim().to_owned();
                if text.is_empty() || text.starts_with('#') {
                    continue;
                }
                let outcome = of_object(&text, settings);
                (text, outcome)
            }
            Err(Unreadable { reason, shown }) => {
                (shown.trim_end().to_owned(), Outcome::Rejected(reason.to_owned()))
            }
        };
        return Ok(Some(Record {
            number,
            text,
            outcome,
        }));
    }
    Ok(None)
}

/// A JSON object. Without names of fields it is a line of the import as it is.
fn of_object(text: &str, settings: &Settings) -> Outcome {
    let names = &settings.names;
    if names.preset.is_none() && names.mappings.is_empty() {
        // A line break stands between the parts of an object, and never within a text.
        return Outcome::Line(text.replace(['\n', '\r'], " "));
    }
    let Ok(object) = serde_json::from_str::<Map<String, Value>>(text) else {
        return Outcome::Rejected("is not a JSON object".to_owned());
    };
    let (keys, values): (Vec<_>, Vec<_>) = object.into_iter().map(|(key, value)| (key, cell(&value))).unzip();
    let Ok(columns) = names.resolve(&keys) else {
        return Outcome::Rejected("has no field that is needed".to_owned());
    };
    if let Some(unknown) = columns.ignored.first().filter(|_| settings.strict) {
        return Outcome::Rejected(format!("{unknown}: is not a field of a ticket"));
    }
    columns
        .fields(&values)
        .map_or_else(Outcome::Rejected, |fields| of_fields(fields, settings))
}

/// A value of an object as the cell of a table has it.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn of_fields(fields: Fields, settings: &Settings) -> Outcome {
    if settings.names.preset.is_none() {
        return Outcome::Line(to_line(&fields, &settings.zone));
    }
    let order = fields.get(&Field::OrderRef).cloned().unwrap_or_default();
    match check(fields) {
        Ok(Foreign::Import(fields)) => Outcome::Line(to_line(&fields, &settings.zone)),
        Ok(Foreign::LeftOut(why)) => {
            let order = match settings.names.preset {
                // The position follows the code of the order.
                Some(Preset::Pretix) => order.split('-').next().unwrap_or_default().to_owned(),
                _ => order,
            };
            Outcome::LeftOut(why, order)
        }
        Err(reason) => Outcome::Rejected(reason),
    }
}
