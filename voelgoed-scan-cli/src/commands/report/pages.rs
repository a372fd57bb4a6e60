//! A report as a PDF: the sections one below the other, on as many pages as they need.
//!
//! Invariants: every text is printed whole, in several lines where it is wider than its column; the columns of a section are
//! repeated on each page that it continues on.

use voelgoed_scan_core::report::EventReport;

use super::sections::Section;
use crate::pdf::{Document, Font, PAGE_HEIGHT, PAGE_WIDTH, text_width};

const MARGIN: f32 = 42.0;
const SIZE: f32 = 8.5;
const LINE: f32 = 11.5;
const GAP: f32 = 9.0;
const BOTTOM: f32 = PAGE_HEIGHT - MARGIN - 14.0;
const WIDTH: f32 = PAGE_WIDTH - 2.0 * MARGIN;

/// The report as a PDF.
pub(super) fn pdf(report: &EventReport, sections: &[Section]) -> Vec<u8> {
    let title = format!("{}: report", report.event_name);
    let mut pages = Pages {
        document: Document::new(&title),
        title,
        y: 0.0,
    };
    pages.next_page();
    for section in sections {
        pages.section(section);
    }
    pages.document.finish()
}

struct Pages {
    document: Document,
    title: String,
    /// The base line of the next text.
    y: f32,
}

impl Pages {
    fn next_page(&mut self) {
        self.document.add_page();
        let number = format!("page {}", self.document.page_count());
        let x = PAGE_WIDTH - MARGIN - text_width(&number, Font::Regular, SIZE);
        let foot = PAGE_HEIGHT - MARGIN + 8.0;
        self.document.text((x, foot), Font::Regular, SIZE, &number);
        if self.document.page_count() == 1 {
            self.y = MARGIN + 14.0;
            self.document
                .text((MARGIN, self.y), Font::Bold, 16.0, &self.title.clone());
            self.y += 26.0;
        } else {
            self.document
                .text((MARGIN, foot), Font::Regular, SIZE, &self.title.clone());
            self.y = MARGIN + LINE;
        }
    }

    /// Begins a new page where fewer than `lines` lines are left. Returns whether it did.
    fn reserve(&mut self, lines: f32) -> bool {
        let is_full = self.y + lines * LINE > BOTTOM;
        if is_full {
            self.next_page();
        }
        is_full
    }

    fn section(&mut self, section: &Section) {
        self.reserve(5.0);
        self.document
            .text((MARGIN, self.y), Font::Bold, 11.0, section.title);
        self.y += LINE + 5.0;
        if section.rows.is_empty() {
            self.document.text((MARGIN, self.y), Font::Regular, SIZE, "none");
            self.y += 2.0 * LINE;
            return;
        }
        let widths = column_widths(section);
        self.head(section, &widths);
        for row in &section.rows {
            self.row(section, &widths, row);
        }
        if let Some(note) = &section.note {
            for line in wrap(note, WIDTH, Font::Regular) {
                self.reserve(1.0);
                self.document.text((MARGIN, self.y), Font::Regular, SIZE, &line);
                self.y += LINE;
            }
        }
        self.y += LINE;
    }

    fn head(&mut self, section: &Section, widths: &[f32]) {
        self.cells(section, widths, &section.columns, Font::Bold);
        let line = self.y - LINE + 2.5;
        self.document.rectangle((MARGIN, line), (WIDTH, 0.5), 0.6);
        self.y += 1.5;
    }

    fn row(&mut self, section: &Section, widths: &[f32], row: &[String]) {
        let lines = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| wrap(cell, *width, Font::Regular).len())
            .max()
            .unwrap_or(1);
        // A row that is longer than a page is split.
        let lines = u16::try_from(lines).unwrap_or(u16::MAX).min(40);
        if self.reserve(f32::from(lines)) {
            self.head(section, widths);
        }
        self.cells(section, widths, row, Font::Regular);
    }

    /// Prints the cells of a row, and moves below the highest one.
    fn cells(&mut self, section: &Section, widths: &[f32], cells: &[String], font: Font) {
        let top = self.y;
        let mut bottom = top + LINE;
        let mut x = MARGIN;
        for (index, (cell, width)) in cells.iter().zip(widths).enumerate() {
            let mut y = top;
            for line in wrap(cell, *width, font) {
                let indent = if section.is_numeric(index) {
                    (width - text_width(&line, font, SIZE)).max(0.0)
                } else {
                    0.0
                };
                self.document.text((x + indent, y), font, SIZE, &line);
                y += LINE;
            }
            bottom = bottom.max(y);
            x += width + GAP;
        }
        self.y = bottom;
    }
}

/// The widths of the columns. They share the width of the page where their texts need more.
fn column_widths(section: &Section) -> Vec<f32> {
    let mut widths: Vec<f32> = section
        .columns
        .iter()
        .enumerate()
        .map(|(index, name)| {
            let cells = section.rows.iter().filter_map(|row| row.get(index));
            let widest = cells.map(|cell| text_width(cell, Font::Regular, SIZE));
            widest.fold(text_width(name, Font::Bold, SIZE), f32::max)
        })
        .collect();
    let count = u16::try_from(widths.len()).unwrap_or(u16::MAX);
    let available = WIDTH - GAP * f32::from(count.saturating_sub(1));
    // The widest columns give up what is too much, so that short texts stay on one line.
    let mut limit = available;
    while widths.iter().map(|width| width.min(limit)).sum::<f32>() > available && limit > 10.0 {
        limit -= 2.0;
    }
    for width in &mut widths {
        *width = width.min(limit);
    }
    widths
}

/// A text in lines of a width, broken at blanks, or within a word that is too wide.
fn wrap(text: &str, width: f32, font: Font) -> Vec<String> {
    let fits = |line: &str| text_width(line, font, SIZE) <= width + 0.1;
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        let joined = if line.is_empty() {
            word.to_owned()
        } else {
            format!("{line} {word}")
        };
        if fits(&joined) {
            line = joined;
            continue;
        }
        if !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        for character in word.chars() {
            line.push(character);
            if !fits(&line) && line.chars().count() > 1 {
                line.pop();
                lines.push(std::mem::take(&mut line));
                line.push(character);
            }
        }
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_broken_at_blanks_and_within_long_words_and_loses_nothing() {
        let text =
            "the promoter says that this guest and her band may go in: abcdefghijklmnopqrstuvwxyzabcdefghij";
        let lines = wrap(text, 80.0, Font::Regular);
        assert!(lines.len() > 4, "{lines:?}");
        for line in &lines {
            assert!(text_width(line, Font::Regular, SIZE) <= 80.1, "{line}");
        }
        let letters = |text: &str| text.replace(' ', "");
        assert_eq!(letters(&lines.concat()), letters(text));
        assert_eq!(wrap("short", 80.0, Font::Regular), ["short"]);
        assert_eq!(wrap("", 80.0, Font::Regular), [""]);
    }
}
