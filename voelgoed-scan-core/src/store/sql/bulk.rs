//! Binds many rows to one statement. PostgreSQL takes one array a column, which costs it a third of what JSON does.
//! SQLite takes one JSON array.

use serde::Serialize;
use uuid::Uuid;

/// The values of one column, one for each row.
#[cfg_attr(not(feature = "postgres"), expect(dead_code, reason = "SQLite takes JSON"))]
pub(crate) enum Column<'a> {
    Id(Vec<Uuid>),
    OptId(Vec<Option<Uuid>>),
    Int(Vec<i64>),
    OptInt(Vec<Option<i64>>),
    Text(Vec<&'a str>),
    OptText(Vec<Option<&'a str>>),
    Bytes(Vec<&'a [u8]>),
}

/// A row that a set-based statement reads. SQLite's statement finds the values by the names of the serialized fields,
/// PostgreSQL's by the order of the columns.
pub(crate) trait BulkRow: Serialize + Sized {
    /// The columns of the rows, in the order of the parameters of PostgreSQL's statement.
    #[cfg_attr(not(feature = "postgres"), expect(dead_code, reason = "SQLite takes JSON"))]
    fn columns(rows: &[Self]) -> Vec<Column<'_>>;
}

/// One column of rows: its kind, and how to read a row's value.
macro_rules! column {
    ($kind:ident, $rows:expr, $row:ident => $value:expr) => {
        crate::store::sql::bulk::Column::$kind($rows.iter().map(|$row| $value).collect())
    };
}

pub(crate) use column;
