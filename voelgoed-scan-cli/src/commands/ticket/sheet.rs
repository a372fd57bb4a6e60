//! Printable sheets of tickets: a PDF of A4 pages, each ticket with its QR code, its grouped code, the event, the class and the
//! seat.
//!
//! Invariants: a QR code is drawn as shapes, so that it is sharp in every size, with the light border that scanners need. Text
//! that does not fit is drawn smaller, and never cut. A letter that the font lacks is an error before any ticket is issued.

mod font;

use clap::ValueEnum;
use krilla::Document;
use krilla::color::luma;
use krilla::geom::{Path, PathBuilder, Point, Rect};
use krilla::metadata::Metadata;
use krilla::page::PageSettings;
use krilla::paint::{Fill, Stroke, StrokeDash};
use krilla::surface::Surface;
use krilla::text::TextDirection;
use qrcode::{Color, EcLevel, QrCode};

use crate::failure::Failure;

pub(super) use font::SheetFont;

/// The width and the height of an A4 page, in points.
const PAGE: (f32, f32) = (595.28, 841.89);

/// The space between the edge of a ticket and what is drawn on it, in points. Printers leave some of the page empty.
const MARGIN: f32 = 24.0;

/// The light border around a QR code, in modules (ISO/IEC 18004).
const QUIET_ZONE: usize = 4;

/// The smallest size of a text, in points.
const SMALLEST: f32 = 4.0;

/// How many tickets a page has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum PerPage {
    /// One ticket a page
    #[value(name = "1")]
    One,
    /// Four tickets a page
    #[value(name = "4")]
    Four,
    /// Eight tickets a page
    #[value(name = "8")]
    Eight,
}

impl PerPage {
    /// The columns and rows of a page.
    const fn grid(self) -> (usize, usize) {
        match self {
            Self::One => (1, 1),
            Self::Four => (2, 2),
            Self::Eight => (2, 4),
        }
    }
}

/// A ticket on a sheet.
pub(super) struct SheetTicket {
    /// The payload of the QR code.
    pub(super) payload: String,
    /// The grouped code.
    pub(super) code: String,
    /// What is printed besides the event and the code, a line each.
    pub(super) lines: Vec<String>,
}

/// The tickets of an event as PDF.
pub(super) fn to_pdf(
    event: &[String],
    tickets: &[SheetTicket],
    per_page: PerPage,
    font: &SheetFont,
) -> Result<Vec<u8>, Failure> {
    let (columns, rows) = per_page.grid();
    let mut document = Document::new();
    let title = event.first().cloned().unwrap_or_default();
    document.set_metadata(Metadata::new().title(title).creator("voelgoed-scan".to_owned()));
    for tickets in tickets.chunks(columns * rows) {
        let settings = PageSettings::from_wh(PAGE.0, PAGE.1).ok_or_else(|| unprintable("the page"))?;
        let mut page = document.start_page_with(settings);
        let mut surface = page.surface();
        draw_cuts(&mut surface, columns, rows);
        for (ticket, area) in tickets.iter().zip(areas(columns, rows)) {
            draw_ticket(&mut surface, event, ticket, area, font)?;
        }
        surface.finish();
        page.finish();
    }
    document
        .finish()
        .map_err(|error| Failure::invalid("the sheet", format!("cannot be made: {error:?}")))
}

fn unprintable(what: &str) -> Failure {
    Failure::invalid(what, "cannot be printed")
}

/// A part of a page: left, top, width, height.
#[derive(Clone, Copy)]
struct Area {
    left: f32,
    top: f32,
    width: f32,
    height: f32,
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a page has few tickets, and a QR code few modules"
)]
const fn float(number: usize) -> f32 {
    number as f32
}

/// The areas of the tickets of a page, row by row.
fn areas(columns: usize, rows: usize) -> impl Iterator<Item = Area> {
    let (width, height) = (PAGE.0 / float(columns), PAGE.1 / float(rows));
    (0..columns * rows).map(move |at| Area {
        left: float(at % columns) * width,
        top: float(at / columns) * height,
        width,
        height,
    })
}

/// Draws the lines along which a page is cut.
fn draw_cuts(surface: &mut Surface<'_>, columns: usize, rows: usize) {
    surface.set_fill(None);
    surface.set_stroke(Some(Stroke {
        paint: luma::Color::new(160).into(),
        width: 0.5,
        dash: Some(StrokeDash {
            array: vec![3.0, 3.0],
            offset: 0.0,
        }),
        ..Stroke::default()
    }));
    let vertical = (1..columns).map(|at| PAGE.0 / float(columns) * float(at));
    let vertical = vertical.map(|x| ((x, 0.0), (x, PAGE.1)));
    let horizontal = (1..rows).map(|at| PAGE.1 / float(rows) * float(at));
    let horizontal = horizontal.map(|y| ((0.0, y), (PAGE.0, y)));
    for (from, to) in vertical.chain(horizontal) {
        let mut line = PathBuilder::new();
        line.move_to(from.0, from.1);
        line.line_to(to.0, to.1);
        if let Some(line) = line.finish() {
            surface.draw_path(&line);
        }
    }
    surface.set_stroke(None);
    surface.set_fill(Some(black()));
}

fn black() -> Fill {
    Fill {
        paint: luma::Color::new(0).into(),
        ..Fill::default()
    }
}

/// A line of text with the share of a ticket's height that it takes.
struct TextLine<'a> {
    text: &'a str,
    share: f32,
}

/// Draws a ticket: the texts beside the QR code where the area is wide, else above and below it.
fn draw_ticket(
    surface: &mut Surface<'_>,
    event: &[String],
    ticket: &SheetTicket,
    area: Area,
    font: &SheetFont,
) -> Result<(), Failure> {
    let inner = Area {
        left: area.left + MARGIN,
        top: area.top + MARGIN,
        width: area.width - 2.0 * MARGIN,
        height: area.height - 2.0 * MARGIN,
    };
    let mut lines: Vec<_> = event
        .iter()
        .enumerate()
        .map(|(at, text)| TextLine {
            text,
            share: if at == 0 { 1.0 } else { 0.7 },
        })
        .collect();
    lines.extend(ticket.lines.iter().map(|text| TextLine { text, share: 0.8 }));
    lines.push(TextLine {
        text: &ticket.code,
        share: 0.8,
    });
    let (qr, texts) = split(inner, lines.len());
    draw_qr(surface, &ticket.payload, qr)?;
    draw_lines(surface, &lines, texts, font);
    Ok(())
}

/// The square of the QR code, and the area of so many lines of text.
fn split(inner: Area, lines: usize) -> (Area, Area) {
    if inner.width > inner.height {
        let side = inner.height.min(inner.width * 0.55);
        let gap = MARGIN / 2.0;
        let qr = Area {
            width: side,
            height: side,
            ..inner
        };
        let texts = Area {
            left: inner.left + side + gap,
            width: inner.width - side - gap,
            ..inner
        };
        return (qr, texts);
    }
    let text_height = (inner.height * 0.06 * float(lines)).min(inner.height * 0.45);
    let side = inner.width.min(inner.height - text_height);
    let qr = Area {
        left: inner.left + (inner.width - side) / 2.0,
        top: inner.top + text_height,
        width: side,
        height: side,
    };
    (
        qr,
        Area {
            height: text_height,
            ..inner
        },
    )
}

fn draw_lines(surface: &mut Surface<'_>, lines: &[TextLine<'_>], area: Area, font: &SheetFont) {
    let shares: f32 = lines.iter().map(|line| line.share).sum();
    // A third of a line's height stays empty above and below its letters.
    let unit = (area.height / shares / 1.5).min(20.0);
    let mut top = area.top;
    for TextLine { text, share } in lines {
        let wanted = unit * share;
        let width = font.width(text, wanted);
        let size = if width > area.width {
            (wanted * area.width / width).max(SMALLEST)
        } else {
            wanted
        };
        top += wanted * 1.5;
        let start = Point::from_xy(area.left, top - wanted * 0.4);
        surface.draw_text(start, font.of_text(), size, text, false, TextDirection::Auto);
    }
}

/// Draws a QR code into a square, with its light border.
fn draw_qr(surface: &mut Surface<'_>, payload: &str, area: Area) -> Result<(), Failure> {
    let code = QrCode::with_error_correction_level(payload, EcLevel::M)
        .map_err(|error| Failure::invalid("the payload", format!("makes no QR code: {error}")))?;
    let module = area.width / float(code.width() + 2 * QUIET_ZONE);
    let path = modules(&code, area, module).ok_or_else(|| unprintable("the QR code"))?;
    surface.draw_path(&path);
    Ok(())
}

/// The dark modules, those side by side as one rectangle.
fn modules(code: &QrCode, area: Area, module: f32) -> Option<Path> {
    let colors = code.to_colors();
    let mut path = PathBuilder::new();
    for (y, row) in colors.chunks(code.width()).enumerate() {
        let mut x = 0;
        for run in row.chunk_by(|one, next| one == next) {
            if run.first() == Some(&Color::Dark) {
                let left = area.left + module * float(QUIET_ZONE + x);
                let top = area.top + module * float(QUIET_ZONE + y);
                path.push_rect(Rect::from_xywh(left, top, module * float(run.len()), module)?);
            }
            x += run.len();
        }
    }
    path.finish()
}
