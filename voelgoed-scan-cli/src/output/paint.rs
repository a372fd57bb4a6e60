//! Which colour means what? Green may pass, red may not, yellow wants a look.

use anstyle::{AnsiColor, Style};
use comfy_table::{Cell, Color};

/// What a piece of text means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// It may pass.
    Good,
    /// It may not.
    Bad,
    /// It wants a look.
    Odd,
    /// It is said beside the rest.
    Note,
    /// It is there if somebody looks for it.
    Faint,
    /// It stands over the rest.
    Head,
    /// A verdict at the gate that lets somebody pass.
    Pass,
    /// A verdict at the gate that does not.
    Stop,
}

/// A text in its tone.
pub(crate) fn paint(tone: Tone, text: &str) -> String {
    let style = match tone {
        Tone::Good => AnsiColor::Green.on_default(),
        Tone::Bad => AnsiColor::Red.on_default().bold(),
        Tone::Odd => AnsiColor::Yellow.on_default(),
        Tone::Note => AnsiColor::Cyan.on_default(),
        Tone::Faint => Style::new().dimmed(),
        Tone::Head => Style::new().bold(),
        Tone::Pass => AnsiColor::BrightWhite.on(AnsiColor::Green).bold(),
        Tone::Stop => AnsiColor::BrightWhite.on(AnsiColor::Red).bold(),
    };
    format!("{style}{text}{style:#}")
}

/// The tone of a status word of the contract.
pub(crate) fn tone(word: &str) -> Option<Tone> {
    match word {
        "active" | "live" | "open" | "valid" => Some(Tone::Good),
        "closed" | "revoked" | "voided" | "refunded" | "inactive" | "duplicate" | "invalid_token"
        | "wrong_event" | "wrong_gate" | "refused" => Some(Tone::Bad),
        "draft" | "published" | "verify_only" | "used" => Some(Tone::Odd),
        _ => None,
    }
}

/// A status in a table.
pub(crate) fn status_cell(word: impl std::fmt::Display) -> Cell {
    let word = word.to_string();
    let colour = match tone(&word) {
        Some(Tone::Good) => Some(Color::Green),
        Some(Tone::Bad) => Some(Color::Red),
        Some(Tone::Odd) => Some(Color::Yellow),
        _ => None,
    };
    let cell = Cell::new(word);
    match colour {
        Some(colour) => cell.fg(colour),
        None => cell,
    }
}
