//! Tables without borders, as other command-line tools print them.

use comfy_table::{Attribute, Cell, CellAlignment, Table, presets};
use serde::Serialize;

/// A value that a list shows as a row of a table.
pub(crate) trait TableRow: Serialize {
    /// The names of the columns.
    const COLUMNS: &'static [&'static str];
    /// The cells, one for each column.
    fn cells(&self) -> Vec<Cell>;
}

/// An empty table with these column names.
pub(crate) fn new_table(columns: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).enforce_styling();
    table.set_header(
        columns
            .iter()
            .map(|name| Cell::new(name).add_attribute(Attribute::Bold)),
    );
    if let Some(first) = table.column_mut(0) {
        first.set_padding((0, 1));
    }
    table
}

/// Aligns the cells of all columns but the first to the right.
pub(crate) fn align_right(table: &mut Table) {
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

/// The lines of a table, without the blanks at their ends.
pub(crate) fn render_table(table: &Table) -> String {
    table.trim_fmt()
}
