//! How do many rows travel in one statement? On PostgreSQL as one array a column, which costs it a third of what JSON
//! does; on SQLite as one JSON array.

use serde::Serialize;
use uuid::Uuid;

/// The values of one column, a row's each.
#[cfg_attr(not(feature = "postgres"), expect(dead_code, reason = "SQLite takes JSON"))]
pub(crate) enum Column<'a> {
    Id(Vec<Uuid>),
    MaybeId(Vec<Option<Uuid>>),
    Int(Vec<i64>),
    MaybeInt(Vec<Option<i64>>),
    Text(Vec<&'a str>),
    MaybeText(Vec<Option<&'a str>>),
    Bytes(Vec<&'a [u8]>),
}

/// A row of a set-based statement: its fields are named as SQLite's statement reads them, and its columns stand in the
/// order of the parameters of PostgreSQL's.
pub(crate) trait Columns: Serialize + Sized {
    /// The columns of some rows.
    #[cfg_attr(not(feature = "postgres"), expect(dead_code, reason = "SQLite takes JSON"))]
    fn columns(rows: &[Self]) -> Vec<Column<'_>>;
}

/// One column of rows: its kind, and how a row's value is got.
macro_rules! column {
    ($kind:ident, $rows:expr, $row:ident => $value:expr) => {
        crate::store::sql::columns::Column::$kind($rows.iter().map(|$row| $value).collect())
    };
}

pub(crate) use column;
