//! The unused part of a page of an SQLite file.
//!
//! A page of a table or an index has a header, the places of its cells, and at its end the cells. The balancing of a tree
//! writes the cells of a page anew, and leaves in the part before them what stood there.

/// The header of the file, with which the first page begins.
const FILE_HEADER: usize = 100;

/// Overwrites the unused part of a page with zeros. True if it held something.
pub(super) fn clear_unused_part(number: i64, page: &mut [u8]) -> bool {
    let header = if number == 1 { FILE_HEADER } else { 0 };
    match unused_part(header, page) {
        Some(part) if part.iter().any(|byte| *byte != 0) => {
            part.fill(0);
            true
        }
        _ => false,
    }
}

/// `None` where the page is of another kind: of the list of free pages, or the rest of a long row.
fn unused_part(header: usize, page: &mut [u8]) -> Option<&mut [u8]> {
    let header_length = match page.get(header)? {
        2 | 5 => 12,
        10 | 13 => 8,
        _ => return None,
    };
    let number_at = |at: usize| {
        Some(usize::from(u16::from_be_bytes([
            *page.get(at)?,
            *page.get(at + 1)?,
        ])))
    };
    let cells = number_at(header + 3)?;
    let first_cell = match number_at(header + 5)? {
        // 65,536 does not fit.
        0 => page.len(),
        place => place,
    };
    page.get_mut(header + header_length + 2 * cells..first_cell)
}

#[cfg(test)]
mod tests {
    use super::clear_unused_part;

    /// A page of 512 bytes with two cells of ten bytes; everything else is 0xee.
    fn page(header: usize, kind: u8) -> Vec<u8> {
        let mut page = vec![0xee; 512];
        page[header] = kind;
        page[header + 3..header + 7].copy_from_slice(&[0, 2, 0x01, 0xec]);
        page
    }

    #[test]
    fn only_the_part_between_the_places_and_the_cells_is_overwritten() {
        for (number, header) in [(1, 100), (2, 0)] {
            for (kind, header_length) in [(2, 12), (5, 12), (10, 8), (13, 8)] {
                let before = page(header, kind);
                let mut after = before.clone();
                assert!(clear_unused_part(number, &mut after), "kind {kind}");
                let from = header + header_length + 4;
                assert_eq!(after[..from], before[..from]);
                assert!(after[from..492].iter().all(|byte| *byte == 0));
                assert_eq!(after[492..], before[492..]);
                assert!(!clear_unused_part(number, &mut after), "nothing is left");
            }
        }
    }

    #[test]
    fn a_page_of_another_kind_is_left_alone() {
        for kind in [0, 1, 3, 14, 0xff] {
            let before = page(0, kind);
            let mut after = before.clone();
            assert!(!clear_unused_part(2, &mut after));
            assert_eq!(after, before);
        }
        assert!(!clear_unused_part(2, &mut []));
        assert!(!clear_unused_part(2, &mut [13, 0, 0]));
    }
}
