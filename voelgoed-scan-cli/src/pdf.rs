//! Writes PDF documents: pages with text, lines and filled rectangles.
//!
//! Invariants: the fonts are Helvetica and Helvetica Bold, which every reader has, so nothing is embedded; their characters
//! are those of Windows-1252, and any other is shown as a question mark; coordinates are points from the upper left corner.

mod font;

use pdf_writer::{Content, Finish, Name, Pdf, Rect, Ref, Str, TextStr};

pub(crate) use font::{Font, text_width};

/// The width of an A4 page, in points.
pub(crate) const PAGE_WIDTH: f32 = 595.0;

/// The height of an A4 page, in points.
pub(crate) const PAGE_HEIGHT: f32 = 842.0;

/// How dark a mark is: 0 is black, 1 is white.
pub(crate) type Gray = f32;

/// A document of A4 pages.
pub(crate) struct Document {
    title: String,
    pages: Vec<Content>,
}

impl Document {
    /// A document without pages.
    pub(crate) fn new(title: &str) -> Self {
        Self {
            title: title.to_owned(),
            pages: Vec::new(),
        }
    }

    /// Starts a page. Everything that is drawn next is on it.
    pub(crate) fn add_page(&mut self) {
        self.pages.push(Content::new());
    }

    /// The number of pages.
    pub(crate) fn page_count(&self) -> usize {
        self.pages.len()
    }

    fn page(&mut self) -> &mut Content {
        if self.pages.is_empty() {
            self.add_page();
        }
        let last = self.pages.len() - 1;
        &mut self.pages[last]
    }

    /// Draws a text whose base line begins at a point.
    pub(crate) fn text(&mut self, (x, y): (f32, f32), font: Font, size: f32, text: &str) {
        let encoded = font::encode(text);
        let page = self.page();
        page.begin_text();
        page.set_fill_gray(0.0);
        page.set_font(font.resource(), size);
        page.next_line(x, PAGE_HEIGHT - y);
        page.show(Str(&encoded));
        page.end_text();
    }

    /// Fills a rectangle with its upper left corner at a point.
    pub(crate) fn rectangle(&mut self, (x, y): (f32, f32), (width, height): (f32, f32), gray: Gray) {
        let page = self.page();
        page.set_fill_gray(gray);
        page.rect(x, PAGE_HEIGHT - y - height, width, height);
        page.fill_nonzero();
    }

    /// The bytes of the document.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.page();
        let (catalog, tree, info) = (Ref::new(1), Ref::new(2), Ref::new(3));
        let fonts = [(Font::Regular, Ref::new(4)), (Font::Bold, Ref::new(5))];
        let mut next = Ref::new(6);
        let pages: Vec<_> = self
            .pages
            .into_iter()
            .map(|content| (next.bump(), next.bump(), content))
            .collect();
        let mut pdf = Pdf::new();
        pdf.catalog(catalog).pages(tree);
        let count = i32::try_from(pages.len()).unwrap_or(i32::MAX);
        pdf.pages(tree)
            .kids(pages.iter().map(|(page, _, _)| *page))
            .count(count);
        for (font, reference) in fonts {
            let mut entry = pdf.type1_font(reference);
            entry.base_font(Name(font.base_name()));
            entry.encoding_predefined(Name(b"WinAnsiEncoding"));
        }
        for (page, stream, content) in pages {
            let mut entry = pdf.page(page);
            entry.media_box(Rect::new(0.0, 0.0, PAGE_WIDTH, PAGE_HEIGHT));
            entry.parent(tree);
            entry.contents(stream);
            let mut resources = entry.resources();
            let mut names = resources.fonts();
            for (font, reference) in fonts {
                names.pair(font.resource(), reference);
            }
            names.finish();
            resources.finish();
            entry.finish();
            pdf.stream(stream, &content.finish());
        }
        pdf.document_info(info)
            .title(TextStr(&self.title))
            .producer(TextStr("voelgoed-scan"));
        pdf.finish()
    }
}
