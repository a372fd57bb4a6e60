//! The font of a sheet: `DejaVu Sans`, or a file.

use std::path::Path;
use std::sync::Arc;

use krilla::text::Font;
use skrifa::instance::{LocationRef, Size};
use skrifa::{FontRef, GlyphId, MetadataProvider};

use crate::failure::Failure;

/// A font with which texts are drawn and measured.
pub(in super::super) struct SheetFont {
    bytes: Arc<Vec<u8>>,
    font: Font,
}

impl SheetFont {
    /// The font of a file, or else the one of this program.
    pub(in super::super) fn open(file: Option<&Path>) -> Result<Self, Failure> {
        let bytes = match file {
            Some(file) => std::fs::read(file).map_err(|error| Failure::file(file, error))?,
            None => dejavu::sans::regular().to_vec(),
        };
        let bytes = Arc::new(bytes);
        let font = Font::new(Arc::clone(&bytes).into(), 0).filter(|_| FontRef::new(&bytes).is_ok());
        let font = font.ok_or_else(|| {
            let name = file.map(|file| file.display().to_string()).unwrap_or_default();
            Failure::invalid(name, "is not a font (TrueType or OpenType)")
        })?;
        Ok(Self { bytes, font })
    }

    /// The font as texts are drawn with it.
    pub(super) fn of_text(&self) -> Font {
        self.font.clone()
    }

    /// The width of a text in this size, in points.
    pub(super) fn width(&self, text: &str, size: f32) -> f32 {
        let Ok(font) = FontRef::new(&self.bytes) else {
            return 0.0;
        };
        let (letters, metrics) = (
            font.charmap(),
            font.glyph_metrics(Size::new(size), LocationRef::default()),
        );
        let width = |letter: char| {
            let glyph = letters.map(letter).unwrap_or(GlyphId::NOTDEF);
            metrics.advance_width(glyph).unwrap_or(size)
        };
        text.chars().map(width).sum()
    }

    /// Fails where the font lacks a letter of a text.
    pub(in super::super) fn check(&self, what: &str, text: &str) -> Result<(), Failure> {
        let Ok(font) = FontRef::new(&self.bytes) else {
            return Ok(());
        };
        let letters = font.charmap();
        match text.chars().find(|letter| letters.map(*letter).is_none()) {
            None => Ok(()),
            Some(letter) => Err(Failure::Usage {
                reason: format!("the font of the sheet has no {letter:?}, which {what} has"),
                hint: "choose a font that has it: --font FILE",
            }),
        }
    }
}
