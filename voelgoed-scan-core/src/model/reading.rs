//! The text that a device reads, and what hardware scanners wrap it in.

use crate::model::Medium;

/// What a device read.
#[derive(Clone, PartialEq, Eq)]
pub enum Reading {
    /// The text of a QR code or of any other code that a camera or a scanner reads.
    Qr(String),
    /// The text that staff typed.
    TicketCode(String),
    /// A medium that the app names outright, such as the id of a wristband.
    Medium(Medium),
}

/// Shows only the kind and the length: the text is a bearer secret.
impl std::fmt::Debug for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self {
            Self::Qr(_) => "Qr",
            Self::TicketCode(_) => "TicketCode",
            Self::Medium(_) => "Medium",
        };
        write!(f, "{kind}({} bytes)", self.text().len())
    }
}

impl Reading {
    /// The reading in the fields of a request: `qr`, `ticket_code` and `medium`. `None` unless exactly one is given.
    #[must_use]
    pub fn of_fields(
        qr: Option<String>,
        ticket_code: Option<String>,
        medium: Option<Medium>,
    ) -> Option<Self> {
        match (qr, ticket_code, medium) {
            (Some(text), None, None) => Some(Self::Qr(text)),
            (None, Some(text), None) => Some(Self::TicketCode(text)),
            (None, None, Some(medium)) => Some(Self::Medium(medium)),
            _ => None,
        }
    }

    /// The fields of a request: `qr`, `ticket_code` and `medium`.
    #[must_use]
    pub fn into_fields(self) -> (Option<String>, Option<String>, Option<Medium>) {
        match self {
            Self::Qr(text) => (Some(text), None, None),
            Self::TicketCode(text) => (None, Some(text), None),
            Self::Medium(medium) => (None, None, Some(medium)),
        }
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Qr(text) | Self::TicketCode(text) => text,
            Self::Medium(medium) => medium.as_str(),
        }
    }
}

/// A reading without what hardware scanners wrap it in: at both ends white space, a byte-order mark, C0 control characters
/// and the `*` of Code 39; at its head an AIM symbology identifier (ISO/IEC 15424) or an ECI escape (`\` and six digits).
#[must_use]
pub fn trim_reading(text: &str) -> &str {
    let is_wrapping = |character: char| {
        character.is_whitespace() || matches!(character, '\u{0}'..='\u{1f}' | '\u{feff}' | '*')
    };
    let mut text = text.trim_matches(is_wrapping);
    while let Some(rest) = without_identifier(text) {
        text = rest.trim_start_matches(is_wrapping);
    }
    text
}

/// The rest of a text that starts with a symbology identifier or an ECI escape.
fn without_identifier(text: &str) -> Option<&str> {
    let mut characters = text.chars();
    match characters.next()? {
        ']' => {
            characters.next().filter(char::is_ascii_alphabetic)?;
            characters.next()?;
        }
        '\\' => {
            for _ in 0..6 {
                characters.next().filter(char::is_ascii_digit)?;
            }
        }
        _ => return None,
    }
    Some(characters.as_str())
}
