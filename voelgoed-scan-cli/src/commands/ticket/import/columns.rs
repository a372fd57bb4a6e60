//! Which columns hold the fields of a ticket: by the names of the fields, by `--map` and by a preset.

use std::collections::BTreeSet;

use super::fields::{self, Field, Fields, KNOWN_BESIDES, NAMES, folded};
use super::presets::Preset;
use crate::failure::Failure;

/// The columns that `--map` names for one field. No column means that the field is not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mapping {
    field: Field,
    columns: Vec<String>,
}

/// Parses `code=Barcode,holder_name="First name"+"Last name"`. The quotes may be missing, as a shell removes them.
pub(super) fn parse_mappings(text: &str) -> Result<Vec<Mapping>, String> {
    let mut mappings = Vec::new();
    let mut rest = text;
    while !rest.trim().is_empty() {
        let (name, columns) = rest
            .split_once('=')
            .ok_or_else(|| format!("{:?} names no column: write FIELD=COLUMN", rest.trim()))?;
        let name = name.trim();
        let (_, field) = NAMES
            .iter()
            .find(|(known, _)| *known == name)
            .ok_or_else(|| format!("{name:?} is not a field; the fields are {}", fields::all_names()))?;
        let (columns, after) = parse_columns(columns)?;
        mappings.push(Mapping {
            field: *field,
            columns,
        });
        rest = after;
    }
    Ok(mappings)
}

/// Parses `"First name"+"Last name"` up to a comma. Returns the names and what follows the comma.
fn parse_columns(text: &str) -> Result<(Vec<String>, &str), String> {
    let mut columns = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let (name, after) = if let Some(quoted) = rest.strip_prefix('"') {
            let (name, after) = quoted
                .split_once('"')
                .ok_or_else(|| format!("{rest:?} has a quote that is not closed"))?;
            (name, after.trim_start())
        } else {
            let end = rest.find([',', '+']).unwrap_or(rest.len());
            rest.split_at_checked(end).unwrap_or((rest, ""))
        };
        if !name.trim().is_empty() {
            columns.push(name.trim().to_owned());
        }
        if let Some(next) = after.strip_prefix('+') {
            rest = next;
        } else if let Some(next) = after.strip_prefix(',') {
            return Ok((columns, next));
        } else if after.is_empty() {
            return Ok((columns, ""));
        } else {
            return Err(format!("{after:?} stands where a comma or a plus sign should"));
        }
    }
}

/// How the columns of a file are read.
#[derive(Debug, Clone)]
pub(super) struct ColumnNames {
    pub(super) preset: Option<Preset>,
    pub(super) mappings: Vec<Mapping>,
}

/// A field with the places of its columns, and what joins their texts.
type FieldSource = (Field, Vec<usize>, &'static str);

/// The columns of a header.
#[derive(Debug, Clone)]
pub(super) struct Columns {
    count: usize,
    sources: Vec<FieldSource>,
    /// The names of the columns that hold no field.
    pub(super) ignored: Vec<String>,
}

impl ColumnNames {
    /// Finds the columns in a header. Fails where it lacks what is needed.
    pub(super) fn resolve(&self, header: &[String]) -> Result<Columns, Failure> {
        let names: Vec<_> = header.iter().map(|name| folded(name)).collect();
        let mut sources = self.mapped(header, &names)?;
        let mapped: BTreeSet<_> = self.mappings.iter().map(|mapping| mapping.field).collect();
        // A column that `--map` names holds what it says, and nothing else.
        let taken: BTreeSet<_> = sources.iter().flat_map(|(_, places, _)| places.clone()).collect();
        let mut known: BTreeSet<usize> = BTreeSet::new();
        if let Some(preset) = self.preset {
            for choice in preset.choices() {
                let find = |wanted: &&str| place(&names, wanted);
                let mut found = choice.alternatives.iter();
                let places = found.find_map(|columns| columns.iter().map(find).collect::<Option<Vec<_>>>());
                let is_free = |places: &Vec<usize>| places.iter().all(|at| !taken.contains(at));
                if let Some(places) = places.filter(is_free).filter(|_| !mapped.contains(&choice.field)) {
                    sources.push((choice.field, places, choice.separator));
                }
            }
            known.extend(places_of(&names, preset.known_besides()));
        } else {
            for (name, field) in NAMES {
                if let Some(at) = place(&names, &folded(name))
                    && !mapped.contains(&field)
                    && !taken.contains(&at)
                {
                    sources.push((field, vec![at], " "));
                }
            }
        }
        known.extend(places_of(&names, &KNOWN_BESIDES));
        self.check_needed(header, &sources)?;
        known.extend(sources.iter().flat_map(|(_, places, _)| places));
        let is_ignored = |(at, name): &(usize, &String)| !known.contains(at) && !name.trim().is_empty();
        let ignored = header.iter().enumerate().filter(is_ignored);
        Ok(Columns {
            count: header.len(),
            sources,
            ignored: ignored.map(|(_, name)| name.trim().to_owned()).collect(),
        })
    }

    /// The columns that `--map` names.
    fn mapped(&self, header: &[String], names: &[String]) -> Result<Vec<FieldSource>, Failure> {
        let mut sources = Vec::new();
        for Mapping { field, columns } in &self.mappings {
            let mut places = Vec::new();
            for column in columns {
                let exact = header.iter().position(|name| name.trim() == column);
                let found = exact.or_else(|| place(names, &folded(column)));
                places.push(
                    found.ok_or_else(|| {
                        lacks(&format!("the column {column:?}"), header, &columns.join(", "))
                    })?,
                );
            }
            if !places.is_empty() {
                sources.push((*field, places, " "));
            }
        }
        Ok(sources)
    }

    fn check_needed(&self, header: &[String], sources: &[FieldSource]) -> Result<(), Failure> {
        let has = |field: &Field| sources.iter().any(|(known, ..)| known == field);
        match self.preset {
            Some(preset) => {
                let is_complete = preset.needed().iter().all(|fields| fields.iter().any(has));
                if is_complete {
                    return Ok(());
                }
                Err(lacks("a column that is needed", header, preset.expected_header()))
            }
            None if sources.is_empty() => Err(lacks(
                "every column that an import reads",
                header,
                &fields::all_names(),
            )),
            None => Ok(()),
        }
    }
}

fn lacks(what: &str, header: &[String], expected: &str) -> Failure {
    let found: Vec<_> = header.iter().map(|name| name.trim()).collect();
    Failure::Usage {
        reason: format!(
            "the header lacks {what}\n  found:    {}\n  expected: {expected}",
            found.join(", ")
        ),
        hint: "name the columns with --map FIELD=COLUMN, or choose a --preset",
    }
}

fn place(names: &[String], wanted: &str) -> Option<usize> {
    names.iter().position(|name| name == wanted)
}

fn places_of<'a>(names: &'a [String], wanted: &'a [&str]) -> impl Iterator<Item = usize> + 'a {
    let is_wanted = |(_, name): &(usize, &String)| wanted.contains(&name.as_str());
    names.iter().enumerate().filter(is_wanted).map(|(at, _)| at)
}

impl Columns {
    /// The fields of a record. Fails where it has not as many cells as the header.
    pub(super) fn fields(&self, cells: &[String]) -> Result<Fields, String> {
        let is_empty = |cell: &String| cell.trim().is_empty();
        let extra = cells.get(self.count..).unwrap_or_default();
        if cells.len() < self.count || !extra.iter().all(is_empty) {
            let (have, count) = (cells.len(), self.count);
            return Err(format!("has {have} cells, and the header has {count}"));
        }
        let mut fields = Fields::new();
        for (field, places, separator) in &self.sources {
            let texts = places
                .iter()
                .filter_map(|at| cells.get(*at))
                .filter(|cell| !is_empty(cell));
            let texts: Vec<_> = match places.len() {
                1 => texts.map(String::as_str).collect(),
                _ => texts.map(|cell| cell.trim()).collect(),
            };
            if !texts.is_empty() {
                fields.insert(*field, texts.join(separator));
            }
        }
        Ok(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_mapping_names_columns_with_and_without_quotes() {
        let expected = vec![
            Mapping {
                field: Field::Code,
                columns: header(&["Barcode"]),
            },
            Mapping {
                field: Field::HolderName,
                columns: header(&["First name", "Last name"]),
            },
        ];
        for text in [
            r#"code=Barcode,holder_name="First name"+"Last name""#,
            "code=Barcode,holder_name=First name+Last name",
            r#" code = "Barcode" , holder_name = "First name" + Last name "#,
        ] {
            assert_eq!(parse_mappings(text), Ok(expected.clone()), "{text}");
        }
        let odd = parse_mappings(r#"note="a,b+c=d",status="#).expect("mappings");
        assert_eq!(odd[0].columns, ["a,b+c=d"]);
        assert!(odd[1].columns.is_empty(), "the field is not read");
        for wrong in ["Barcode", "colour=Blue", r#"note="a"#, r#"note="a"b"#] {
            assert!(parse_mappings(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_header_that_lacks_what_is_needed_shows_both_headers() {
        let with = |preset, mappings: &str| ColumnNames {
            preset,
            mappings: parse_mappings(mappings).expect("mappings"),
        };
        for (names, columns, expected) in [
            (with(None, ""), ["Foo", "Bar"], "code, id, status"),
            (with(None, "code=Ticket"), ["code", "Bar"], "Ticket"),
            (
                with(Some(Preset::Pretix), ""),
                ["Order code", "Bar"],
                "Order code, Product",
            ),
            (
                with(Some(Preset::Attendees), ""),
                ["Name", "Bar"],
                "Barcode, Name",
            ),
        ] {
            let failure = names.resolve(&header(&columns)).expect_err("a column lacks");
            let text = failure.to_string();
            assert_eq!(failure.exit() as u8, 2);
            assert!(
                text.contains(&columns.join(", ")) && text.contains(expected),
                "{text}"
            );
        }
    }

    #[test]
    fn the_first_column_of_a_preset_that_is_there_holds_the_field() {
        let names = ColumnNames {
            preset: Some(Preset::Attendees),
            mappings: Vec::new(),
        };
        let columns = names
            .resolve(&header(&["Code", "EAN", "First Name", "Last-Name", "Shoe size"]))
            .expect("columns");
        assert_eq!(columns.ignored, ["Code", "Shoe size"]);
        let fields = columns.fields(&header(&["x", "4006381333931", " Ada ", "Lovelace", "38"]));
        let fields = fields.expect("fields");
        assert_eq!(
            fields.get(&Field::Barcode).map(String::as_str),
            Some("4006381333931")
        );
        assert_eq!(
            fields.get(&Field::HolderName).map(String::as_str),
            Some("Ada Lovelace")
        );
        let mappings = parse_mappings("code=Barcode").expect("mappings");
        let mapped = ColumnNames {
            preset: None,
            mappings,
        }
        .resolve(&header(&["Barcode", "nfc"]));
        let fields = mapped
            .expect("columns")
            .fields(&header(&["c", "n"]))
            .expect("fields");
        let held: Vec<_> = fields.keys().copied().collect();
        assert_eq!(held, [Field::Code, Field::Nfc], "a column holds one field");
        assert_eq!(
            columns.fields(&header(&["x"])),
            Err("has 1 cells, and the header has 5".to_owned())
        );
    }
}
