//! Lists are read in pages. A cursor marks the row after which the next page starts.

/// Which page of a list is requested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    /// The maximum number of rows, 1 to 500.
    pub limit: u16,
    /// The last row of the previous page. `None` requests the first page.
    pub after: Option<Cursor>,
}

/// The position of a row in its list: its time and its id. A list that is ordered by id alone has time 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// Milliseconds since the Unix epoch.
    pub at: i64,
    /// The row's id.
    pub id: uuid::Uuid,
}

#[cfg(any(feature = "sqlite", feature = "postgres"))]
impl Cursor {
    /// Sorts before every row of a list in ascending order.
    pub(super) const MIN: Self = Self {
        at: i64::MIN,
        id: uuid::Uuid::nil(),
    };
    /// Sorts after every row, so that a list in descending order starts with its first row.
    pub(super) const MAX: Self = Self {
        at: i64::MAX,
        id: uuid::Uuid::max(),
    };

    /// The position in a list that is ordered by id alone.
    #[must_use]
    pub const fn of_id(id: uuid::Uuid) -> Self {
        Self { at: 0, id }
    }
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// The rows.
    pub data: Vec<T>,
    /// The cursor of the next page. `None` on the last page.
    pub next: Option<Cursor>,
}

impl<T> Page<T> {
    /// A page without rows, which is the last one.
    #[must_use]
    pub const fn empty() -> Self {
        Self {
            data: Vec::new(),
            next: None,
        }
    }

    /// Makes a page of up to `limit + 1` rows. The extra row shows that there is a next page and is dropped.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(super) fn truncate(mut data: Vec<T>, limit: u16, cursor: impl Fn(&T) -> Cursor) -> Self {
        let has_next = data.len() > usize::from(limit);
        data.truncate(usize::from(limit));
        let next = if has_next { data.last().map(cursor) } else { None };
        Self { data, next }
    }
}
