//! A report as CSV (RFC 4180). Each section has a row with its columns and rows with its values; the first cell of each is the
//! name of the section. All rows have the same number of cells.

use super::sections::Section;
use crate::failure::Failure;

/// The sections as CSV.
pub(super) fn csv(sections: &[Section]) -> Result<Vec<u8>, Failure> {
    let width = sections
        .iter()
        .map(|section| section.columns.len())
        .max()
        .unwrap_or(0)
        + 1;
    let mut rows = ::csv::WriterBuilder::new()
        .terminator(::csv::Terminator::CRLF)
        .from_writer(Vec::new());
    let failed = |error: ::csv::Error| Failure::invalid("the report", error);
    for section in sections {
        let columns: Vec<_> = section.columns.iter().map(|name| name.to_lowercase()).collect();
        for cells in std::iter::once(&columns).chain(&section.rows) {
            let mut row = vec![section.name.to_owned()];
            row.extend(cells.iter().map(|cell| harmless(cell)));
            row.resize(width, String::new());
            rows.write_record(&row).map_err(failed)?;
        }
    }
    rows.into_inner()
        .map_err(|error| Failure::invalid("the report", error.error().to_string()))
}

/// A cell that a spreadsheet does not take for a formula: names and reasons are written by people.
fn harmless(cell: &str) -> String {
    let is_formula =
        cell.starts_with(['=', '+', '@', '\t', '\r']) || (cell.starts_with('-') && cell.len() > 1);
    if is_formula {
        format!("'{cell}")
    } else {
        cell.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_a_spreadsheet_would_calculate_is_quoted() {
        for (cell, expected) in [
            ("=1+1", "'=1+1"),
            ("+27 82", "'+27 82"),
            ("-2+3", "'-2+3"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("-", "-"),
            ("Main", "Main"),
            ("12", "12"),
        ] {
            assert_eq!(harmless(cell), expected);
        }
    }
}
