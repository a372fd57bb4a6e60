//! Text styles: green for what may pass, red for what may not, yellow for what needs attention.

use anstyle::{AnsiColor, Style};
use comfy_table::{Cell, Color};

/// The meaning of a piece of text, which decides its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextStyle {
    /// A success or a usable state.
    Success,
    /// An error or an unusable state.
    Error,
    /// A state that needs attention.
    Warning,
    /// A remark beside the result.
    Info,
    /// Text of minor importance.
    Dim,
    /// A heading.
    Heading,
    /// The label of a scan that admits.
    Admitted,
    /// The label of a scan that denies.
    Denied,
}

/// A text with the escape sequences of a style around it.
pub(crate) fn styled(style: TextStyle, text: &str) -> String {
    let style = match style {
        TextStyle::Success => AnsiColor::Green.on_default(),
        TextStyle::Error => AnsiColor::Red.on_default().bold(),
        TextStyle::Warning => AnsiColor::Yellow.on_default(),
        TextStyle::Info => AnsiColor::Cyan.on_default(),
        TextStyle::Dim => Style::new().dimmed(),
        TextStyle::Heading => Style::new().bold(),
        TextStyle::Admitted => AnsiColor::BrightWhite.on(AnsiColor::Green).bold(),
        TextStyle::Denied => AnsiColor::BrightWhite.on(AnsiColor::Red).bold(),
    };
    format!("{style}{text}{style:#}")
}

/// The style of a status or result; `None` for any other text.
pub(super) fn status_style(status: &str) -> Option<TextStyle> {
    match status {
        "active" | "live" | "open" | "valid" | "online" | "delivered" => Some(TextStyle::Success),
        "closed" | "revoked" | "voided" | "refunded" | "inactive" | "duplicate" | "invalid_token"
        | "wrong_event" | "wrong_gate" | "refused" | "cancelled" | "silent" | "disabled" | "failed" => {
            Some(TextStyle::Error)
        }
        "draft" | "published" | "postponed" | "verify_only" | "used" | "idle" | "pending" => {
            Some(TextStyle::Warning)
        }
        // Neither good nor bad, and every other text.
        _ => None,
    }
}

/// A table cell with a status in its colour.
pub(crate) fn status_cell(status: impl std::fmt::Display) -> Cell {
    let status = status.to_string();
    let color = match status_style(&status) {
        Some(TextStyle::Success) => Some(Color::Green),
        Some(TextStyle::Error) => Some(Color::Red),
        Some(TextStyle::Warning) => Some(Color::Yellow),
        _ => None,
    };
    let cell = Cell::new(status);
    match color {
        Some(color) => cell.fg(color),
        None => cell,
    }
}

#[cfg(test)]
mod tests {
    use voelgoed_scan_core::model::{
        DeliveryStatus, DeviceState, DeviceStatus, EventStatus, GateStatus, KeyStatus, ScanResult,
        SessionStatus, TicketStatus, WebhookStatus,
    };

    use super::*;

    #[test]
    fn every_status_has_a_style_or_is_known_to_need_none() {
        let plain = ["scanned", "ended", "archived", "never"];
        let all = [
            DeviceState::STRINGS,
            DeliveryStatus::STRINGS,
            DeviceStatus::STRINGS,
            EventStatus::STRINGS,
            GateStatus::STRINGS,
            KeyStatus::STRINGS,
            ScanResult::STRINGS,
            SessionStatus::STRINGS,
            TicketStatus::STRINGS,
            WebhookStatus::STRINGS,
        ];
        for status in all.into_iter().flatten() {
            assert_ne!(status_style(status).is_some(), plain.contains(status), "{status}");
        }
    }
}
