//! Lists with filters that no index serves. A page reads a bounded number of rows in the order of the list, and returns
//! those that match. It may hold fewer rows than requested, or none, and still have a next page.

use crate::store::sql::{Dialect, Row};
use crate::store::{Cursor, Page, PageRequest, StoreError};

/// How many rows one read may examine.
pub(crate) const ROWS_PER_READ: i64 = 5_000;

/// How many reads one page may take. Other lists are read in between.
const READS_PER_PAGE: usize = 4;

/// A page while it is read.
pub(crate) struct BoundedList<T> {
    rows: Vec<T>,
    limit: u16,
    /// Where the next read starts. `None` if there is nothing to read.
    after: Option<Cursor>,
    reads: usize,
}

impl<T> BoundedList<T> {
    /// A page that starts after the cursor of the request, or at the start of the list.
    pub(crate) fn new(page: &PageRequest, start: Cursor) -> Self {
        Self {
            rows: Vec::new(),
            limit: page.limit,
            after: Some(page.after.unwrap_or(start)),
            reads: 0,
        }
    }

    /// Where the next read starts and how many rows it returns at most. `None` if the page is complete.
    pub(crate) fn next_read(&self) -> Option<(Cursor, i64)> {
        let is_full = self.rows.len() > usize::from(self.limit);
        if is_full || self.reads == READS_PER_PAGE {
            return None;
        }
        let limit = usize::from(self.limit) + 1 - self.rows.len();
        Some((self.after?, i64::try_from(limit).unwrap_or(i64::MAX)))
    }

    /// Adds the rows of a read. `bound` is the last row that the read could examine, if rows follow it.
    pub(crate) fn add(
        &mut self,
        rows: impl Iterator<Item = Result<T, StoreError>>,
        bound: Option<Cursor>,
    ) -> Result<(), StoreError> {
        for row in rows {
            self.rows.push(row?);
        }
        self.after = bound;
        self.reads += 1;
        Ok(())
    }

    /// The page. `cursor` is the position of a row.
    pub(crate) fn into_page(self, cursor: impl Fn(&T) -> Cursor) -> Page<T> {
        let is_full = self.rows.len() > usize::from(self.limit);
        let mut page = Page::truncate(self.rows, self.limit, cursor);
        if !is_full {
            page.next = self.after;
        }
        page
    }
}

/// The position of a row.
pub(crate) fn cursor<D: Dialect>(row: &Row<D>, at: &str, id: &str) -> Result<Cursor, StoreError> {
    Ok(Cursor {
        at: row.int(at)?,
        id: row.id(id)?,
    })
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn position(at: u128) -> Cursor {
        Cursor::of_id(Uuid::from_u128(at))
    }

    /// Reads a page of the numbers below 30,000 that are multiples of `divisor`.
    fn page(divisor: u128, limit: u16, after: Option<Cursor>) -> (Page<u128>, usize) {
        let mut list = BoundedList::new(&PageRequest { limit, after }, Cursor::MIN);
        while let Some((after, limit)) = list.next_read() {
            let first = after.id.as_u128() + 1;
            let last = first + u128::from(ROWS_PER_READ.unsigned_abs()) - 1;
            let limit = usize::try_from(limit).expect("a small number");
            let matching = (first..=last.min(29_999))
                .filter(|row| row.is_multiple_of(divisor))
                .take(limit);
            list.add(matching.map(Ok), (last < 30_000).then(|| position(last)))
                .expect("the rows are valid");
        }
        let reads = list.reads;
        (list.into_page(|row| position(*row)), reads)
    }

    #[test]
    fn a_page_reads_a_bounded_part_and_the_next_one_goes_on_behind_it() {
        let (full, reads) = page(10, 3, None);
        assert_eq!(
            (full.data, full.next, reads),
            (vec![10, 20, 30], Some(position(30)), 1)
        );
        let (empty, reads) = page(25_000, 3, None);
        assert_eq!(
            (empty.data, empty.next, reads),
            (vec![], Some(position(20_000)), 4)
        );
        let (last, reads) = page(25_000, 3, empty.next);
        assert_eq!((last.data, last.next, reads), (vec![25_000], None, 2));
    }

    #[test]
    fn every_row_is_on_exactly_one_page() {
        for divisor in [1_000, 4_999, 5_000, 5_001, 29_999] {
            let (mut rows, mut after) = (Vec::new(), None);
            loop {
                let (page, _) = page(divisor, 2, after);
                rows.extend(page.data);
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            let all: Vec<u128> = (1..30_000)
                .filter(|row: &u128| row.is_multiple_of(divisor))
                .collect();
            assert_eq!(rows, all, "{divisor}");
        }
    }
}
