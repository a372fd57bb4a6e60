//! The two fonts: the encoding of their characters and the widths of texts.

use pdf_writer::Name;

/// A font of the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Font {
    /// Helvetica.
    Regular,
    /// Helvetica Bold.
    Bold,
}

impl Font {
    pub(super) const fn resource(self) -> Name<'static> {
        match self {
            Self::Regular => Name(b"F1"),
            Self::Bold => Name(b"F2"),
        }
    }

    pub(super) const fn base_name(self) -> &'static [u8] {
        match self {
            Self::Regular => b"Helvetica",
            Self::Bold => b"Helvetica-Bold",
        }
    }
}

/// The widths of the characters from the blank to the tilde in Helvetica, in thousandths of the size (Adobe's AFM file).
const WIDTHS: [u16; 95] = [
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556, 556,
    556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667, 611, 778, 722, 278,
    500, 667, 556, 833, 722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469,
    556, 333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556, 556, 556, 333, 500,
    278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584,
];

/// The width of any other character: that of a wide small letter.
const OTHER_WIDTH: u16 = 611;

/// How much wider bold characters are, at most.
const BOLD: f32 = 1.1;

/// The width of a text in points. It is exact for ASCII in Helvetica, and not too small for other texts.
pub(crate) fn text_width(text: &str, font: Font, size: f32) -> f32 {
    let width = |byte: u8| {
        let index = usize::from(byte.wrapping_sub(b' '));
        f32::from(WIDTHS.get(index).copied().unwrap_or(OTHER_WIDTH))
    };
    let sum: f32 = encode(text).into_iter().map(width).sum();
    let factor = match font {
        Font::Regular => 1.0,
        Font::Bold => BOLD,
    };
    sum / 1000.0 * size * factor
}

/// A text in Windows-1252.
pub(super) fn encode(text: &str) -> Vec<u8> {
    text.chars().map(encode_char).collect()
}

fn encode_char(character: char) -> u8 {
    match character {
        ' '..='~' | '\u{a0}'..='\u{ff}' => u8::try_from(u32::from(character)).unwrap_or(b'?'),
        '€' => 0x80,
        '…' => 0x85,
        'Š' => 0x8a,
        'Œ' => 0x8c,
        'Ž' => 0x8e,
        '‘' => 0x91,
        '’' => 0x92,
        '“' => 0x93,
        '”' => 0x94,
        '•' => 0x95,
        '–' => 0x96,
        '—' => 0x97,
        'š' => 0x9a,
        'œ' => 0x9c,
        'ž' => 0x9e,
        'Ÿ' => 0x9f,
        _ => b'?',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn western_european_texts_keep_their_characters_and_others_become_question_marks() {
        assert_eq!(encode("Zoë–3 €"), [b'Z', b'o', 0xeb, 0x96, b'3', b' ', 0x80]);
        assert_eq!(encode("Łódź\n"), *b"?\xf3d??");
    }

    #[test]
    fn the_width_of_a_text_is_the_sum_of_its_characters() {
        // H 722, i 222, blank 278, ! 278.
        let width = text_width("Hi !", Font::Regular, 10.0);
        assert!((width - 15.0).abs() < 0.001, "{width}");
        assert!(text_width("Hi !", Font::Bold, 10.0) > width);
    }
}
